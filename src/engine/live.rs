//! One open execution in memory: the kernel's state, and what is going on outside for it.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::OwnedMutexGuard;
use tokio::sync::oneshot;

use crate::asl::definition::Definition;
use crate::engine::answers::SharedAnswers;
use crate::engine::host::keeps;
use crate::engine::logs::Logging;
use crate::kernel::event::Command;
use crate::kernel::event::Event;
use crate::kernel::event::EventKind;
use crate::kernel::event::Illegal;
use crate::kernel::event::Outbox;
use crate::kernel::event::Status;
use crate::kernel::event::TaskProgress;
use crate::kernel::execution::Execution;
use crate::kernel::execution::SnapshotError;
use crate::model::execution_record::ExecutionId;
use crate::model::execution_record::ExecutionRecord;
use crate::model::execution_record::ExecutionStatus;
use crate::model::history_event::HistoryEvent;
use crate::model::id::ChildId;
use crate::model::id::TaskId;
use crate::model::payload::Payload;
use crate::model::states_error::StatesError;
use crate::model::timestamp::Timestamp;
use crate::store::StoreError;
use crate::store::change::Loaded;
use crate::store::change::Transition;

/// A journal this long is replaced by a snapshot even when the snapshot is small, in bytes.
const JOURNAL_BYTES: usize = 16 * 1024;

/// An execution in memory.
pub(super) struct Live {
    pub(super) execution: Execution,
    /// The execution after the last transition, which may not be safe yet.
    pub(super) record: Arc<ExecutionRecord>,
    /// Transitions that the store has not answered.
    pub(super) n_in_flight: u32,
    /// Local work by task. Dropping the sender cancels it.
    pub(super) jobs: BTreeMap<TaskId, oneshot::Sender<()>>,
    /// Child executions that run.
    pub(super) children: BTreeMap<ChildId, ExecutionId>,
    /// The deadline in the timers of an execution that the store does not know.
    pub(super) alarm: Option<Timestamp>,
    /// Who waits for its end.
    pub(super) waiters: Vec<oneshot::Sender<Arc<ExecutionRecord>>>,
    /// The turn among starts of its name, until its first step.
    pub(super) turn: Option<OwnedMutexGuard<()>>,
    /// Answers that replace tasks.
    pub(super) answers: Option<SharedAnswers>,
    /// How it is logged.
    pub(super) logging: Option<Arc<Logging>>,
    /// No step is earlier: a child begins and goes on after its parent, even when the system's clock was put back.
    pub(super) earliest: Timestamp,
    /// Events that changed nothing worth a row (heartbeats): they go with the next transition.
    unwritten: Vec<Event>,
    journal_bytes: usize,
    snapshot_bytes: usize,
}

/// What a step brought.
pub(super) struct Stepped {
    pub(super) transition: Option<Transition>,
    pub(super) commands: Vec<Command>,
    pub(super) deadline: Option<Timestamp>,
    pub(super) has_ended: bool,
}

impl Live {
    pub(super) fn new(definition: Arc<Definition>, record: Arc<ExecutionRecord>) -> Self {
        // An EXPRESS child that is redriven begins again.
        let execution = Execution::new(definition).redriven(record.redrive_count);
        Self::with(execution, record)
    }

    /// Goes on from what the store has.
    pub(super) fn restore(definition: Arc<Definition>, loaded: Loaded) -> Result<Self, StoreError> {
        let damaged = |error: &dyn std::fmt::Display| {
            StoreError::Damaged(format!("the execution `{}`: {error}", loaded.record.facts.arn).into())
        };
        let snapshot_bytes = loaded.snapshot.as_ref().map_or(0, Vec::len);
        let journal_bytes = loaded.journal.iter().map(String::len).sum();
        let execution =
            replay(definition, loaded.snapshot.as_deref(), &loaded.journal).map_err(|error| damaged(&error))?;
        if execution.n_history_events() != loaded.record.n_events {
            return Err(damaged(&format_args!(
                "its journal gives {} history events, {} are stored",
                execution.n_history_events(),
                loaded.record.n_events
            )));
        }
        Ok(Self {
            journal_bytes,
            snapshot_bytes,
            ..Self::with(execution, loaded.record)
        })
    }

    fn with(execution: Execution, record: Arc<ExecutionRecord>) -> Self {
        Self {
            execution,
            record,
            n_in_flight: 0,
            jobs: BTreeMap::new(),
            children: BTreeMap::new(),
            alarm: None,
            waiters: Vec::new(),
            turn: None,
            answers: None,
            logging: None,
            earliest: Timestamp::default(),
            unwritten: Vec::new(),
            journal_bytes: 0,
            snapshot_bytes: 0,
        }
    }

    /// Gives one event to the kernel.
    pub(super) fn step(&mut self, at: Timestamp, kind: EventKind, is_durable: bool) -> Result<Stepped, Illegal> {
        // Whoever redrives has said when, and may have told others.
        let at = match kind {
            EventKind::Redrive => self.earliest,
            _ => at.max(self.earliest),
        };
        let event = Event {
            at: at.max(self.execution.now()),
            kind,
        };
        let mut out = Collect::default();
        self.execution.advance(&event, &mut out)?;
        let is_heartbeat = matches!(event.kind, EventKind::TaskHeartbeat { .. });
        let deadline = self.execution.next_deadline();
        if is_heartbeat && out.history.is_empty() && out.commands.is_empty() {
            // Only the last beat of a task counts.
            self.unwritten.retain(|old| old.kind != event.kind);
            self.unwritten.push(event);
            return Ok(Stepped {
                transition: None,
                commands: Vec::new(),
                deadline,
                has_ended: false,
            });
        }
        let record = self.record_after(event.at);
        let has_ended = record.status != ExecutionStatus::Running;
        self.record = Arc::new(record);
        let (mut journal, mut snapshot) = (String::new(), None);
        if is_durable && self.record.status != ExecutionStatus::Succeeded {
            let mut events = std::mem::take(&mut self.unwritten);
            events.push(event);
            journal = serde_json::to_string(&events).expect("events are made of plain members");
            self.journal_bytes += journal.len();
        }
        // Written as often as it pays: all snapshots together are no longer than all journals. And for a redrive, which
        // may come in days and from another version of this program.
        let may_be_redriven = has_ended && keeps(&self.record) && self.execution.is_redrivable();
        if may_be_redriven || self.journal_bytes > JOURNAL_BYTES.max(self.snapshot_bytes) {
            let state = self.execution.snapshot();
            self.snapshot_bytes = state.len();
            self.journal_bytes = 0;
            snapshot = Some(state);
        }
        Ok(Stepped {
            transition: Some(Transition {
                record: Arc::clone(&self.record),
                journal,
                history: out.history,
                deadline: deadline.filter(|_| !has_ended),
                is_busy: !has_ended && self.execution.is_busy(),
                snapshot,
            }),
            commands: out.commands,
            deadline: deadline.filter(|_| !has_ended),
            has_ended,
        })
    }

    /// Lets every task's heartbeat begin anew: beats that were not written yet are lost in a crash.
    pub(super) fn beat(&mut self, at: Timestamp) {
        for command in self.outstanding() {
            if let Command::StartTask(task) = command
                && task.heartbeat_seconds.is_some()
                && task.progress != TaskProgress::Scheduled
            {
                let beat = self.step(at, EventKind::TaskHeartbeat { task: task.task }, true);
                debug_assert!(beat.is_ok(), "an open task takes a heartbeat");
            }
        }
    }

    /// Returns the commands that are still open, after a restart.
    pub(super) fn outstanding(&self) -> Vec<Command> {
        let mut out = Collect::default();
        self.execution.outstanding(&mut out);
        out.commands
    }

    /// Tells whether it can be taken out of memory.
    pub(super) fn is_idle(&self) -> bool {
        self.n_in_flight == 0
            && self.jobs.is_empty()
            && self.children.is_empty()
            && self.waiters.is_empty()
            && self.unwritten.is_empty()
            && self.answers.is_none()
    }

    fn record_after(&self, at: Timestamp) -> ExecutionRecord {
        let (status, output, error) = standing(self.execution.status());
        let none = StatesError::default();
        let error = error.unwrap_or(&none);
        let redrive_count = self.execution.redrive_count();
        let redriven = match redrive_count == self.record.redrive_count {
            true => self.record.redriven,
            false => Some(at),
        };
        ExecutionRecord {
            status,
            stopped: (status != ExecutionStatus::Running).then_some(at),
            output: output.map(|output| Arc::from(output.text())),
            error: error.name.as_deref().map(Arc::from),
            cause: error.cause.as_deref().map(Arc::from),
            redrive_count,
            redriven,
            version: self.record.version + 1,
            n_events: self.execution.n_history_events(),
            ..(*self.record).clone()
        }
    }
}

/// Why a journal does not lead to an execution.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReplayError {
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    #[error("its journal cannot be read: {0}")]
    Journal(#[from] serde_json::Error),
    #[error("its journal does not fit: {0}")]
    Illegal(#[from] Illegal),
}

/// Gives an execution, or its snapshot, the events of a journal.
pub(super) fn replay(
    definition: Arc<Definition>,
    snapshot: Option<&[u8]>,
    journal: &[String],
) -> Result<Execution, ReplayError> {
    let mut execution = match snapshot {
        Some(snapshot) => Execution::restore(definition, snapshot)?,
        None => Execution::new(definition),
    };
    for entry in journal {
        let events: Vec<Event> = serde_json::from_str(entry)?;
        for event in events {
            execution.advance(&event, &mut Void)?;
        }
    }
    Ok(execution)
}

/// Returns how an execution stands in the API's words, with its output or its error.
pub(super) fn standing(status: &Status) -> (ExecutionStatus, Option<&Payload>, Option<&StatesError>) {
    match status {
        Status::New | Status::Running => (ExecutionStatus::Running, None, None),
        Status::Succeeded(output) => (ExecutionStatus::Succeeded, Some(output), None),
        Status::Failed(error) => (ExecutionStatus::Failed, None, Some(error)),
        // AWS shows neither error nor cause (recorded).
        Status::TimedOut(_) => (ExecutionStatus::TimedOut, None, None),
        Status::Aborted(error) => (ExecutionStatus::Aborted, None, Some(error)),
    }
}

#[derive(Default)]
struct Collect {
    commands: Vec<Command>,
    history: Vec<HistoryEvent>,
}

impl Outbox for Collect {
    fn command(&mut self, command: Command) {
        self.commands.push(command);
    }
    fn history(&mut self, event: HistoryEvent) {
        self.history.push(event);
    }
}

/// Drops what a replay puts out: it was carried out before.
struct Void;

impl Outbox for Void {
    fn command(&mut self, _: Command) {}
    fn history(&mut self, _: HistoryEvent) {}
}
