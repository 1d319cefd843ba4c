//! When executions must be woken: the near ones in memory, all of them in the store.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use tokio::sync::Notify;

use crate::kernel::event::EventKind;
use crate::model::execution_record::ExecutionId;
use crate::model::timestamp::Timestamp;

/// How far the memory reaches, in milliseconds.
pub(super) const HORIZON_MILLIS: u64 = 120_000;

/// The near deadlines. An entry may be stale: whoever is woken looks whether it is due.
#[derive(Debug, Default)]
pub(super) struct Timers {
    inner: Mutex<Inner>,
    earlier: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    /// A set, since the store's deadlines are read more than once.
    near: BTreeSet<(Timestamp, ExecutionId)>,
    /// Reports of answered tasks by time and order.
    planned: BTreeMap<(Timestamp, u64), (ExecutionId, EventKind)>,
    n_planned: u64,
    /// Up to here the store's deadlines are in the set.
    horizon: Timestamp,
}

impl Timers {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a deadline; one beyond the horizon is left to the store.
    pub(super) fn arm(&self, at: Timestamp, execution: ExecutionId) {
        if at <= self.lock().horizon {
            self.arm_at_any_time(at, execution);
        }
    }

    /// Takes a deadline back.
    pub(super) fn disarm(&self, at: Timestamp, execution: ExecutionId) {
        self.lock().near.remove(&(at, execution));
    }

    /// Notes a deadline that the store does not know, however far it is.
    pub(super) fn arm_at_any_time(&self, at: Timestamp, execution: ExecutionId) {
        let is_first = {
            let mut inner = self.lock();
            let is_first = inner.near.first().is_none_or(|(first, _)| at < *first);
            inner.near.insert((at, execution));
            is_first
        };
        if is_first {
            self.earlier.notify_one();
        }
    }

    /// Notes an event that is to be given at a time.
    pub(super) fn plan(&self, at: Timestamp, execution: ExecutionId, kind: EventKind) {
        let is_first = {
            let mut inner = self.lock();
            let is_first = inner.next().is_none_or(|first| at < first);
            let order = inner.n_planned;
            inner.n_planned += 1;
            inner.planned.insert((at, order), (execution, kind));
            is_first
        };
        if is_first {
            self.earlier.notify_one();
        }
    }

    /// Moves the horizon; whoever does reads the store for what lies before it.
    pub(super) fn set_horizon(&self, horizon: Timestamp) {
        self.lock().horizon = horizon;
    }

    /// Takes what is due: planned events first, then deadlines.
    pub(super) fn due(&self, now: Timestamp) -> Vec<(ExecutionId, EventKind)> {
        let mut inner = self.lock();
        let mut due = Vec::new();
        while let Some(entry) = inner.planned.first_entry()
            && entry.key().0 <= now
        {
            due.push(entry.remove());
        }
        let mut last = None;
        while let Some((at, execution)) = inner.near.first().copied()
            && at <= now
        {
            inner.near.pop_first();
            if last.replace(execution) != Some(execution) {
                due.push((execution, EventKind::TimePassed));
            }
        }
        due
    }

    /// Returns the next deadline.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.lock().next()
    }

    /// Counts what is in memory.
    pub(super) fn n_near(&self) -> usize {
        let inner = self.lock();
        inner.near.len() + inner.planned.len()
    }

    /// Waits until an earlier deadline is noted.
    pub(super) async fn changed(&self) {
        self.earlier.notified().await;
    }
}

impl Inner {
    fn next(&self) -> Option<Timestamp> {
        let deadline = self.near.first().map(|(at, _)| *at);
        let planned = self.planned.first_key_value().map(|((at, _), _)| *at);
        deadline.into_iter().chain(planned).min()
    }
}
