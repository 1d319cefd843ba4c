//! What the audit log learns of an execution.

use std::sync::Arc;

use crate::audit::log::Audit;
use crate::audit::log::AuditError;
use crate::audit::record::Record;
use crate::audit::say::ExecutionSubject;
use crate::engine::host::Host;
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

impl Host {
    /// Returns where it is recorded what is done, if it is.
    pub fn audit(&self) -> Option<&Audit> {
        self.site.audit.as_deref()
    }

    /// Tells why nothing can be recorded at the moment, if that is so.
    pub fn audit_trouble(&self) -> Option<AuditError> {
        self.audit()?.trouble()
    }

    /// Records an end. Of children of Map Runs the tasks are recorded.
    pub(super) fn note_end(&self, record: &ExecutionRecord) {
        if let Some(audit) = self.audit().filter(|_| record.facts.child_of.is_none()) {
            audit.note(&record.ended());
        }
    }
}
