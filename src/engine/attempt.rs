//! One attempt of a task with no execution around it, as `TestState` makes it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::asl::definition::Resource;
use crate::engine::host::Host;
use crate::kernel::event::EventKind;
use crate::kernel::event::Start;
use crate::kernel::event::StartTask;
use crate::model::payload::Payload;
use crate::model::principal::Principal;
use crate::model::quota::Quotas;
use crate::model::states_error::StatesError;
use crate::worker;
use crate::worker::Cancel;
use crate::worker::Job;
use crate::worker::Message;

/// A state under test runs no longer than this, in seconds.
pub const TEST_SECONDS_MAX: u64 = 300;

impl Host {
    /// Returns which quotas hold.
    pub fn quotas(&self) -> Quotas {
        self.quotas
    }

    /// Does a task once, in the name of `asking`, and waits for its answer. Nothing of it is kept.
    ///
    /// # Errors
    /// What the task failed with; `States.Timeout` after its `TimeoutSeconds`, or after five minutes.
    pub async fn attempt(
        &self,
        task: StartTask,
        resource: Resource,
        start: &Start,
        asking: &Arc<Principal>,
    ) -> Result<Payload, StatesError> {
        let seconds = task.timeout_seconds.unwrap_or(TEST_SECONDS_MAX).min(TEST_SECONDS_MAX);
        let job = Job {
            task,
            execution_arn: start.execution_arn.clone(),
            parent_arn: None,
            started_by: Some(Arc::clone(asking)),
            role_arn: start.role_arn.clone(),
            state_machine: start.state_machine_name.clone(),
            machine_arn: start.state_machine_arn.clone(),
            definition: None,
            resource,
            quotas: self.quotas,
            site: Arc::clone(&self.site),
        };
        let (sender, mut messages) = mpsc::unbounded_channel();
        let (cancel, cancelled) = Cancel::pair();
        let intent = job.intend();
        let work = tokio::spawn(worker::carry_out(job, intent, 0, sender, cancelled));
        let answer = async {
            while let Some(message) = messages.recv().await {
                match message {
                    Message::Event {
                        kind: EventKind::TaskSucceeded { output, .. },
                        ..
                    } => return Ok(output),
                    Message::Event {
                        kind: EventKind::TaskFailed { error, .. } | EventKind::TaskTimedOut { error, .. },
                        ..
                    } => return Err(error),
                    _ => {}
                }
            }
            Err(StatesError::named("States.TaskFailed"))
        };
        let answer = tokio::time::timeout(Duration::from_secs(seconds), answer).await;
        // Dropping it cancels work that goes on.
        drop(cancel);
        drop(work);
        answer.unwrap_or_else(|_| Err(StatesError::named("States.Timeout")))
    }
}
