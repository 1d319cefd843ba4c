//! Keeps what must survive: journals, snapshots, histories, lists, resources.
//!
//! May import: `model`. Must not: `kernel`, `engine`, `api`. Invariants: `submit` is first in, first out; what
//! is told as done is on the disk; after one failed commit nothing is accepted any more.
//! To add an engine: a file or folder that implements `Store`, and the suite in `contract.rs` run over it.

pub mod change;
#[cfg(test)]
mod contract;
pub mod encode;
#[cfg(test)]
pub(crate) mod fake;
pub mod memory;
pub mod sqlite;

use std::sync::Arc;

use serde_json::Value;

use crate::model::execution_record::ExecutionId;
use crate::model::execution_record::ExecutionRecord;
use crate::model::timestamp::Timestamp;
use crate::store::change::Change;
use crate::store::change::HistoryQuery;
use crate::store::change::ListQuery;
use crate::store::change::Loaded;
use crate::store::change::Resource;

/// What is told when a submitted batch is safe, or cannot be made safe.
pub type Done = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// Why the store cannot do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// A commit failed; nothing is accepted until the store is opened again.
    #[error("the store stopped after a failed commit: {0}")]
    Stopped(Arc<str>),
    /// Reading failed.
    #[error("the store cannot be read: {0}")]
    Read(Arc<str>),
    /// The files are not a store, or of another version.
    #[error("the store cannot be opened: {0}")]
    Open(Arc<str>),
    /// What was read breaks an invariant.
    #[error("the store is damaged: {0}")]
    Damaged(Arc<str>),
}

/// A durable (or not durable) memory of executions and resources.
pub trait Store: Send + Sync + 'static {
    /// Tells whether what was stored outlives the process. If not, journals and snapshots need not be given.
    fn is_durable(&self) -> bool;
    /// Queues one atomic batch. `done` is called once it is safe, in the order of submission, on any thread.
    fn submit(&self, batch: Vec<Change>, done: Done);
    /// Returns how many batches are queued.
    fn n_queued(&self) -> usize;
    /// Returns an execution.
    fn execution(&self, id: ExecutionId) -> Result<Option<Arc<ExecutionRecord>>, StoreError>;
    /// Finds an execution by its ARN.
    fn find(&self, arn: &str) -> Result<Option<Arc<ExecutionRecord>>, StoreError>;
    /// Lists executions, newest first.
    fn list(&self, query: &ListQuery) -> Result<Vec<Arc<ExecutionRecord>>, StoreError>;
    /// Returns a page of a history as `GetExecutionHistory` shows the events.
    fn history(&self, query: &HistoryQuery) -> Result<Vec<Value>, StoreError>;
    /// Returns what is needed to go on with an open execution.
    fn load(&self, id: ExecutionId) -> Result<Option<Loaded>, StoreError>;
    /// Returns open executions with work outside (tasks, children), above `after`, in order.
    fn busy(&self, after: ExecutionId, limit: usize) -> Result<Vec<ExecutionId>, StoreError>;
    /// Returns deadlines up to `until`, earliest first.
    fn due_timers(&self, until: Timestamp, limit: usize) -> Result<Vec<(Timestamp, ExecutionId)>, StoreError>;
    /// Returns executions that ended before `stopped_before`, above `after`, in order, with their number of
    /// transitions; never the one with the largest number.
    fn old(
        &self,
        stopped_before: Timestamp,
        after: ExecutionId,
        limit: usize,
    ) -> Result<Vec<(ExecutionId, u64)>, StoreError>;
    /// Returns all resources of a kind.
    fn resources(&self, kind: &'static str) -> Result<Vec<Resource>, StoreError>;
    /// Returns the resources of a kind whose keys begin with `prefix`, by key.
    fn resources_below(&self, kind: &'static str, prefix: &str) -> Result<Vec<Resource>, StoreError>;
    /// Returns a definition's text by its hash.
    fn definition(&self, hash: &str) -> Result<Option<Arc<str>>, StoreError>;
    /// Returns the largest execution number that was ever used.
    fn last_execution(&self) -> Result<ExecutionId, StoreError>;
}
