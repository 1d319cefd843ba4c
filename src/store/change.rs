//! What is written and what is asked.

use std::sync::Arc;

use serde_json::Value;

use crate::model::execution_record::ExecutionId;
use crate::model::execution_record::ExecutionRecord;
use crate::model::execution_record::ExecutionStatus;
use crate::model::history_event::HistoryEvent;
use crate::model::timestamp::Timestamp;

/// One change of a batch.
#[derive(Clone, Debug)]
pub enum Change {
    /// A definition's text, under its hash. Writing it again changes nothing.
    PutDefinition {
        /// The hash.
        hash: Arc<str>,
        /// The text.
        text: Arc<str>,
    },
    /// A resource: a machine, an activity, …
    PutResource(Resource),
    /// A resource is gone.
    DeleteResource {
        /// Its kind.
        kind: &'static str,
        /// Its key.
        key: Arc<str>,
    },
    /// An execution is not kept any longer, unless it is open, or ended later, or has the largest number: numbers
    /// are never given again.
    Forget {
        /// Which.
        execution: ExecutionId,
        /// It must have ended before.
        stopped_before: Timestamp,
    },
    /// An execution moved.
    Transition(Box<Transition>),
}

/// One step of one execution: written as one row.
#[derive(Clone, Debug)]
pub struct Transition {
    /// The execution after the step. `version` is one more than before, 1 for the first; 0 for an execution that was
    /// in memory only and has ended: nothing else of it is stored. It takes the place
    /// of the one of its ARN.
    pub record: Arc<ExecutionRecord>,
    /// The events that the kernel was given, as JSON; empty in a store that is not durable.
    pub journal: String,
    /// The history events that came out.
    pub history: Vec<HistoryEvent>,
    /// When the execution must be woken next.
    pub deadline: Option<Timestamp>,
    /// It has work outside: it must be loaded after a restart.
    pub is_busy: bool,
    /// The state as a whole, when it is time to write one.
    pub snapshot: Option<Vec<u8>>,
}

/// A stored resource.
#[derive(Clone, Debug, PartialEq)]
pub struct Resource {
    /// `machine`, `activity`, `map_run`, …
    pub kind: &'static str,
    /// Its key, an ARN.
    pub key: Arc<str>,
    /// Its members.
    pub value: Value,
}

/// What is needed to go on with an open execution.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The execution.
    pub record: Arc<ExecutionRecord>,
    /// The last snapshot, if one was written.
    pub snapshot: Option<Vec<u8>>,
    /// The journal entries after it, as JSON, in order.
    pub journal: Vec<String>,
    /// When it must be woken.
    pub deadline: Option<Timestamp>,
}

/// Whose executions are listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListOf {
    /// A machine's, by its ARN without qualifier.
    Machine(Arc<str>),
    /// A Map Run's children.
    MapRun(Arc<str>),
}

/// A page of a list, newest first.
#[derive(Clone, Debug)]
pub struct ListQuery {
    /// Whose.
    pub of: ListOf,
    /// Only these.
    pub status: Option<ExecutionStatus>,
    /// Only those started with this version.
    pub version_arn: Option<Arc<str>>,
    /// Only those started with this alias.
    pub alias_arn: Option<Arc<str>>,
    /// Only redriven ones (`true`), only others (`false`).
    pub redriven: Option<bool>,
    /// The last one of the page before: its start and number.
    pub after: Option<(Timestamp, ExecutionId)>,
    /// How many.
    pub limit: usize,
}

impl ListQuery {
    /// Tells whether an execution belongs into the list, its place aside.
    pub fn admits(&self, record: &ExecutionRecord) -> bool {
        let same = |wanted: &Option<Arc<str>>, found: &Option<Arc<str>>| wanted.is_none() || wanted == found;
        self.status.is_none_or(|status| record.status == status)
            && same(&self.version_arn, &record.facts.version_arn)
            && same(&self.alias_arn, &record.facts.alias_arn)
            && self
                .redriven
                .is_none_or(|redriven| redriven == (0 < record.redrive_count))
    }
}

/// A page of a history.
#[derive(Clone, Debug)]
pub struct HistoryQuery {
    /// Whose.
    pub execution: ExecutionId,
    /// The first event of the page.
    pub from: u64,
    /// How many.
    pub limit: usize,
    /// Downwards from `from`.
    pub reverse: bool,
}
