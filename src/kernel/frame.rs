//! A frame: one running block inside an execution.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use serde::Serialize;

use crate::kernel::event::TaskProgress;
use crate::kernel::map_run::state::MapRun;
use crate::model::id::EventId;
use crate::model::id::StateId;
use crate::model::id::TaskId;
use crate::model::payload::Payload;
use crate::model::states_error::StatesError;
use crate::model::timestamp::Timestamp;

/// A frame's place in `Core::frames`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(super) struct FrameId(pub(super) u32);

/// One running block.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Frame {
    /// The frame that waits for this one, and which of its children this is.
    pub(super) parent: Option<(FrameId, u64)>,
    /// The current state.
    pub(super) state: StateId,
    /// What it is doing.
    pub(super) step: Step,
    /// The raw input of the current state.
    pub(super) input: Payload,
    /// The variables of this block.
    pub(super) variables: BTreeMap<Arc<str>, Payload>,
    /// Used attempts of each retrier, for this visit of the state.
    pub(super) attempts: Vec<u32>,
    /// All retries of this visit.
    pub(super) retry_count: u32,
    /// The last event of this thread of control.
    pub(super) cursor: EventId,
    /// The state's `…Entered` event, and what that pointed at.
    pub(super) entered: EventId,
    pub(super) entered_previous: EventId,
    /// When the state was entered.
    pub(super) entered_at: Timestamp,
    /// The last `EvaluationFailed` of this visit: a retried one points at it.
    pub(super) evaluation_failed: Option<EventId>,
}

impl Frame {
    /// Returns how much its variables count, as JSON text.
    pub(super) fn variables_bytes(&self) -> usize {
        self.variables.values().map(|value| value.text().len()).sum()
    }
}

/// What a frame is doing.
///
/// ```text
/// Enter -> (leaves at once) -> Enter
///       -> Work -> Task | Waiting | Join | MapRun -> Enter
///            ^------- Pause <- (failure with a retry)
/// ```
///
/// In an execution that ended unsuccessfully only Enter, Work, Join and MapRun are left: a redrive goes on from there.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Step {
    /// The state is to be entered.
    Enter,
    /// The state's work is to be done (again).
    Work,
    /// A task is open.
    Task(OpenTask),
    /// A Wait state waits.
    Waiting { until: Timestamp },
    /// A retry waits for its time.
    Pause { until: Timestamp },
    /// Branches or iterations are running.
    Join(Box<Join>),
    /// A Map Run is under way.
    MapRun(Box<MapRun>),
    /// The failure's event is written; Retry and Catch are to be asked.
    Failing { error: StatesError, heartbeat: bool },
    /// A redriven state is to be left with its input as output.
    Skip,
}

/// A task that waits for its answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct OpenTask {
    pub(super) task: TaskId,
    pub(super) progress: TaskProgress,
    pub(super) input: Payload,
    pub(super) timeout_seconds: Option<u64>,
    pub(super) heartbeat_seconds: Option<u64>,
    pub(super) role_arn: Option<Arc<str>>,
    pub(super) token: Option<Arc<str>>,
    pub(super) timeout_at: Option<Timestamp>,
    pub(super) heartbeat_at: Option<Timestamp>,
}

/// Branches of a Parallel or iterations of an inline Map.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Join {
    /// `None` for Parallel.
    pub(super) items: Option<Payload>,
    /// The effective input, `$` of `ItemSelector`.
    pub(super) effective: Payload,
    pub(super) n_children: u64,
    pub(super) concurrency: u64,
    pub(super) next_index: u64,
    pub(super) running: BTreeMap<u64, FrameId>,
    /// Children that failed or were called off. Kept until somebody answers the failure: a redrive goes on with them.
    pub(super) cut: BTreeMap<u64, FrameId>,
    pub(super) results: Vec<Option<Payload>>,
    pub(super) n_done: u64,
    /// The `…StateStarted` event.
    pub(super) started: EventId,
    /// The last event of the child that was done last, once all are.
    pub(super) last: EventId,
}
