//! Activity tasks that wait for a worker, and workers that wait for a task.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use tokio::sync::Notify;

use crate::model::execution_record::ExecutionId;
use crate::model::id::TaskId;
use crate::model::payload::Payload;

/// A task that a worker may take.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub(super) execution: ExecutionId,
    pub(super) task: TaskId,
    pub(super) input: Payload,
    pub(super) token: Arc<str>,
}

/// All queues by activity ARN.
#[derive(Debug, Default)]
pub(super) struct Activities {
    inner: Mutex<HashMap<Arc<str>, Queue>>,
}

#[derive(Debug, Default)]
struct Queue {
    tasks: VecDeque<Waiting>,
    n_pollers: usize,
    arrived: Arc<Notify>,
}

/// A worker that waits. Dropping it ends the wait.
pub(super) struct Poller<'a> {
    activities: &'a Activities,
    arn: Arc<str>,
    arrived: Arc<Notify>,
}

impl Activities {
    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Queue>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Offers a task.
    pub(super) fn offer(&self, arn: &Arc<str>, task: Waiting) {
        let mut queues = self.lock();
        let queue = queues.entry(Arc::clone(arn)).or_default();
        queue.tasks.push_back(task);
        queue.arrived.notify_one();
    }

    /// Takes a task back that is not wanted any more.
    pub(super) fn withdraw(&self, execution: ExecutionId, task: TaskId) {
        for queue in self.lock().values_mut() {
            queue
                .tasks
                .retain(|waiting| waiting.execution != execution || waiting.task != task);
        }
    }

    /// Joins the workers of an activity; `None` when there are `limit` already.
    pub(super) fn poll(&self, arn: &Arc<str>, limit: usize) -> Option<Poller<'_>> {
        let mut queues = self.lock();
        let queue = queues.entry(Arc::clone(arn)).or_default();
        if limit <= queue.n_pollers {
            return None;
        }
        queue.n_pollers += 1;
        Some(Poller {
            activities: self,
            arn: Arc::clone(arn),
            arrived: Arc::clone(&queue.arrived),
        })
    }

    /// Counts workers that wait.
    pub(super) fn n_pollers(&self) -> usize {
        self.lock().values().map(|queue| queue.n_pollers).sum()
    }

    /// Counts tasks that wait.
    pub(super) fn n_waiting(&self) -> usize {
        self.lock().values().map(|queue| queue.tasks.len()).sum()
    }
}

impl Poller<'_> {
    /// Waits for a task. Safe to be dropped: a task is taken only when it is returned.
    pub(super) async fn next(&self) -> Waiting {
        loop {
            // Registered before looking, so that no arrival is missed.
            let arrived = self.arrived.notified();
            if let Some(task) = self.take() {
                return task;
            }
            arrived.await;
        }
    }

    fn take(&self) -> Option<Waiting> {
        let mut queues = self.activities.lock();
        let queue = queues.get_mut(&self.arn)?;
        let task = queue.tasks.pop_front();
        if !queue.tasks.is_empty() {
            queue.arrived.notify_one();
        }
        task
    }
}

impl Drop for Poller<'_> {
    fn drop(&mut self) {
        let mut queues = self.activities.lock();
        if let Some(queue) = queues.get_mut(&self.arn) {
            queue.n_pollers -= 1;
            if queue.n_pollers == 0 && queue.tasks.is_empty() {
                queues.remove(&self.arn);
            }
        }
    }
}
