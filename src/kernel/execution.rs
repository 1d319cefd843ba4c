//! One execution.

use std::sync::Arc;

use crate::asl::definition::Definition;
use crate::kernel::event::Event;
use crate::kernel::event::Illegal;
use crate::kernel::event::Outbox;
use crate::kernel::event::Status;
use crate::model::timestamp::Timestamp;

/// One execution of a definition.
pub struct Execution {
    #[expect(dead_code, reason = "stub")]
    definition: Arc<Definition>,
}

/// Why a snapshot cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the snapshot cannot be read: {0}")]
pub struct SnapshotError(pub String);

impl Execution {
    /// Makes an execution that has not started.
    pub fn new(definition: Arc<Definition>) -> Self {
        Self { definition }
    }
    /// Reads a snapshot back.
    pub fn restore(_definition: Arc<Definition>, _snapshot: &[u8]) -> Result<Self, SnapshotError> {
        todo!()
    }
    /// Applies one event and runs until every frame waits.
    pub fn advance(&mut self, _event: &Event, _out: &mut dyn Outbox) -> Result<(), Illegal> {
        todo!()
    }
    /// The next instant at which `TimePassed` must be given.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        todo!()
    }
    /// Re-issues the commands that are still open.
    pub fn outstanding(&self, _out: &mut dyn Outbox) {}
    /// Writes the whole state down.
    pub fn snapshot(&self) -> Vec<u8> {
        todo!()
    }
    /// How it stands.
    pub fn status(&self) -> &Status {
        todo!()
    }
}
