//! Undoes what the actions of a failed execution changed, when the configuration asks for it.
//!
//! The checkpoints are the truth: what a crash interrupts is undone after the next start.

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::engine::audited::Audited;
use crate::engine::host::Closing;
use crate::engine::host::Host;
use crate::model::execution_record::ExecutionRecord;
use crate::model::execution_record::ExecutionStatus;
use crate::model::quota::PAYLOAD_BYTES_MAX;
use crate::worker::Cancel;
use crate::worker::Reports;
use crate::worker::action::Work;
use crate::worker::action::checkpoint::Saved;
use crate::worker::action::checkpoint::Status;
use crate::worker::action::rollback;

impl Host {
    /// Undoes what an execution that has ended changed, unless it ended well.
    pub(super) fn roll_back(self: &Arc<Self>, record: &ExecutionRecord) {
        let actions = &self.site.actions;
        if !actions.rollback_on_failure || actions.checkpoints.is_none() || !has_failed(record.status) {
            return;
        }
        let host = Arc::clone(self);
        let arn = Arc::clone(&record.facts.arn);
        tokio::spawn(async move {
            let Some(checkpoints) = &host.site.actions.checkpoints else {
                return;
            };
            match rollback::find(checkpoints, None, Some(&arn)).await {
                Ok(found) => host.undo(found).await,
                Err(error) => tracing::error!(execution = &*arn, cause = error.cause, "Nothing was rolled back."),
            }
        });
    }

    /// Undoes what an earlier process did not come to undo.
    pub(super) async fn resume_rollbacks(self: Arc<Self>) {
        let actions = &self.site.actions;
        let Some(checkpoints) = actions.checkpoints.clone().filter(|_| actions.rollback_on_failure) else {
            return;
        };
        let host = Arc::clone(&self);
        let left = tokio::task::spawn_blocking(move || {
            let mut left = checkpoints.all()?;
            left.retain(|saved| saved.status != Status::Undone && host.is_lost(&saved.execution_arn));
            Ok::<_, std::io::Error>(left)
        });
        match left.await.map_err(std::io::Error::other).flatten() {
            Ok(left) => self.undo(left).await,
            Err(error) => tracing::error!(%error, "The checkpoints cannot be read: nothing was rolled back."),
        }
    }

    /// Tells whether an execution, or one that it is a part of, has ended badly.
    fn is_lost(&self, arn: &str) -> bool {
        let mut next = self.store.find(arn).ok().flatten();
        while let Some(record) = next {
            if has_failed(record.status) {
                return true;
            }
            let parent = record.facts.child_of.as_ref().map(|child| child.parent);
            next = parent.and_then(|parent| self.store.execution(parent).ok().flatten());
        }
        false
    }

    async fn undo(self: &Arc<Self>, found: Vec<Saved>) {
        if *self.closing.borrow() == Closing::Resting {
            // The next process does it.
            return;
        }
        // Nobody follows the lines.
        let (sender, _) = mpsc::unbounded_channel();
        let (_keep, mut cancel) = Cancel::pair();
        let reports = Reports::of_nobody("rollback", sender);
        let mut work = Work {
            nursery: &self.site.nursery,
            site: &self.site.actions,
            reports: &reports,
            cancel: &mut cancel,
            output_bytes_max: PAYLOAD_BYTES_MAX,
            before: None,
        };
        for undone in rollback::undo_all(found, &mut work).await {
            let saved = &undone.saved;
            let (execution, state) = (&*saved.execution_arn, &*saved.state_name);
            let (action, checkpoint) = (&*saved.action, &*saved.id);
            let failure = undone.failure();
            if let Some(audit) = &self.site.audit
                && let Ok(Some(record)) = self.store.find(execution)
            {
                audit.note(&record.subject().rollback(state, action, failure.as_deref()));
            }
            match failure {
                None => tracing::info!(execution, state, action, checkpoint, "A change was rolled back."),
                Some(sentence) => tracing::error!(execution, checkpoint, "{sentence}"),
            }
        }
    }
}

fn has_failed(status: ExecutionStatus) -> bool {
    matches!(
        status,
        ExecutionStatus::Aborted | ExecutionStatus::Failed | ExecutionStatus::TimedOut
    )
}
