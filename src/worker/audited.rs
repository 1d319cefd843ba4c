//! What the audit log learns of a task: before it starts, and when it is over.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::audit::log::AuditError;
use crate::audit::record::RunAs;
use crate::audit::say::Subject;
use crate::model::states_error::StatesError;
use crate::worker::Cancel;
use crate::worker::Job;
use crate::worker::leaves_to_others;
use crate::worker::spawn::wire::Ran;

/// A task cannot be recorded, so it does not start.
const AUDIT_UNAVAILABLE: &str = "Debian.AuditUnavailable";

/// A task's intent on its way to the disk; `None` where nothing is recorded.
pub type Intent = Option<oneshot::Receiver<Result<(), AuditError>>>;

impl Job {
    /// Returns what records call it.
    pub fn subject(&self) -> Subject {
        Subject {
            execution: Arc::clone(&self.execution_arn),
            state_machine: Arc::clone(&self.machine_arn),
            definition: self.definition.clone(),
            state: Arc::clone(&self.task.state_name),
            task: self.task.task.0,
            attempt: self.task.attempt,
            resource: Arc::clone(&self.task.resource_arn),
            started_by: self.started_by.clone(),
        }
    }

    /// Records that it is about to start, unless nothing here does it.
    pub fn intend(&self) -> Intent {
        let audit = self.site.audit.as_ref().filter(|_| !leaves_to_others(self))?;
        Some(audit.write(&self.subject().intent()))
    }

    /// Records how it ended.
    pub(super) fn note_result(&self, error: Option<&StatesError>, ran: Option<&Ran>, is_cancelled: bool) {
        let Some(audit) = self.site.audit.as_ref().filter(|_| !leaves_to_others(self)) else {
            return;
        };
        let run_as = ran.map(|ran| RunAs {
            user: ran.user.as_str().into(),
            rung: Some(ran.rung.number()),
            pid: Some(ran.pid),
            uid: ran.uid,
            groups: ran.groups.clone(),
        });
        let error = error.map(|error| error.name.as_deref().unwrap_or_default());
        audit.note(&self.subject().result(run_as, error, is_cancelled));
    }

    /// Records what an action changed, or may have before it failed.
    pub(super) fn note_changes(&self, action: &str, changes: &[String], has_failed: bool) {
        if let Some(audit) = self.site.audit.as_ref().filter(|_| !changes.is_empty()) {
            audit.note(&self.subject().change(action, changes, has_failed));
        }
    }
}

/// Waits until the intent is on the disk; `None` when the task is not wanted any more.
pub(super) async fn settled(intent: Intent, cancel: &mut Cancel) -> Option<Result<(), StatesError>> {
    let Some(intent) = intent else {
        return Some(Ok(()));
    };
    let result = tokio::select! {
        () = cancel.cancelled() => return None,
        result = intent => result.unwrap_or(Err(AuditError::Closed)),
    };
    let refused = |error| {
        let cause = format!("The task was not started, since it cannot be recorded: {error}.");
        StatesError::new(AUDIT_UNAVAILABLE, cause)
    };
    Some(result.map_err(refused))
}
