//! Runs executions on virtual time.

use std::sync::Arc;

use crate::asl::definition::Definition;
use crate::kernel::event::EventKind;
use crate::kernel::event::Start;
use crate::kernel::event::StartTask;
use crate::kernel::event::Status;
use crate::model::history_event::HistoryEvent;
use crate::model::timestamp::Timestamp;

/// Answers tasks. The driver gives every answer at `now + delay_millis`.
pub trait Tasks {
    /// Returns the reports of one attempt, in order: typically `TaskStarted`, (`TaskSubmitted`,) then an end.
    fn answer(&mut self, task: &StartTask) -> Vec<Report>;
}

/// One report of a task.
#[derive(Clone, Debug)]
pub struct Report {
    /// How long after the report before it (or after the start).
    pub delay_millis: u64,
    /// What.
    pub kind: EventKind,
}

/// How a simulated execution ended.
#[derive(Debug)]
pub struct Outcome {
    /// Its status. `Running` when nothing more can happen (a task never answers) or the event limit was met.
    pub status: Status,
    /// Its history.
    pub history: Vec<HistoryEvent>,
    /// The virtual time of its end.
    pub ended: Timestamp,
}

/// Runs one execution, its Distributed Map children included, to its end on virtual time.
pub fn run(_definition: &Arc<Definition>, _start: Start, _at: Timestamp, _tasks: &mut dyn Tasks) -> Outcome {
    todo!()
}
