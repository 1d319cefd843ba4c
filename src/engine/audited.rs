//! What the audit log learns of an execution.

use std::sync::Arc;

use crate::audit::record::Record;
use crate::audit::say::ExecutionSubject;
use crate::model::execution_record::ExecutionRecord;

/// What records call an execution.
pub(super) trait Audited {
    fn subject(&self) -> ExecutionSubject;
    fn ended(&self) -> Record;
}

impl Audited for ExecutionRecord {
    fn subject(&self) -> ExecutionSubject {
        let facts = &self.facts;
        ExecutionSubject {
            arn: Arc::clone(&facts.arn),
            state_machine: Arc::clone(&facts.machine_arn),
            definition: Some(Arc::clone(&facts.definition)),
            started_by: facts.started_by.clone(),
        }
    }

    /// Says how it ended: the error's name, not its cause.
    fn ended(&self) -> Record {
        self.subject().ended(self.status.as_str(), self.error.as_deref())
    }
}
