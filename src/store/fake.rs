//! A store for tests: it can hold its commits back, fail, and lose in a crash what it did not commit.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;

use serde_json::Value;

use crate::model::execution_record::ExecutionId;
use crate::model::execution_record::ExecutionRecord;
use crate::model::timestamp::Timestamp;
use crate::store::Done;
use crate::store::Store;
use crate::store::StoreError;
use crate::store::change::Change;
use crate::store::change::HistoryQuery;
use crate::store::change::ListQuery;
use crate::store::change::Loaded;
use crate::store::change::Resource;
use crate::store::memory::MemoryStore;

/// Durable in the eyes of its user: `reopen` is the restart.
#[derive(Default)]
pub(crate) struct FakeStore {
    disk: MemoryStore,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// All batches that were committed.
    log: Vec<Vec<Change>>,
    executions: BTreeMap<ExecutionId, Kept>,
    queue: VecDeque<(Vec<Change>, Done)>,
    is_held: bool,
    failure: Option<StoreError>,
}

#[derive(Default)]
struct Kept {
    version: u64,
    is_busy: bool,
    snapshot: Option<Vec<u8>>,
    journal: Vec<String>,
}

impl FakeStore {
    /// Leaves what is submitted from now on in the queue.
    pub(crate) fn hold(&self) {
        self.lock().is_held = true;
    }

    /// Commits the first `n` batches of the queue.
    pub(crate) fn commit(&self, n: usize) {
        for _ in 0..n {
            let Some((batch, done)) = self.lock().queue.pop_front() else {
                return;
            };
            let result = self.write(batch);
            done(result);
        }
    }

    /// Commits all that is held back, and no longer holds back.
    pub(crate) fn release(&self) {
        self.lock().is_held = false;
        self.commit(usize::MAX);
    }

    /// Fails every commit from now on.
    pub(crate) fn fail(&self) {
        self.lock().failure = Some(StoreError::Stopped("disk full".into()));
    }

    /// Returns the store that the next process finds when this one crashes now and the first `n` batches of the queue
    /// still reach the disk.
    pub(crate) fn reopen(&self, n: usize) -> Self {
        let store = Self::default();
        let inner = self.lock();
        let late = inner.queue.iter().take(n).map(|(batch, _)| batch);
        for batch in inner.log.iter().chain(late) {
            store.write(batch.clone()).expect("what was written before");
        }
        store
    }

    fn write(&self, batch: Vec<Change>) -> Result<(), StoreError> {
        let mut inner = self.lock();
        if let Some(failure) = &inner.failure {
            return Err(failure.clone());
        }
        for change in &batch {
            // Version 0 was in memory only.
            if let Change::Transition(transition) = change
                && transition.record.version != 0
            {
                let kept = inner.executions.entry(transition.record.id).or_default();
                kept.version += 1;
                assert_eq!(
                    kept.version, transition.record.version,
                    "a step was left out or doubled"
                );
                kept.is_busy = transition.is_busy;
                kept.journal.push(transition.journal.clone());
                if let Some(snapshot) = &transition.snapshot {
                    kept.snapshot = Some(snapshot.clone());
                    kept.journal.clear();
                }
            }
        }
        inner.log.push(batch.clone());
        drop(inner);
        self.disk.submit(batch, Box::new(|_| {}));
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Store for FakeStore {
    fn is_durable(&self) -> bool {
        true
    }

    fn submit(&self, batch: Vec<Change>, done: Done) {
        let is_held = {
            let mut inner = self.lock();
            inner.queue.push_back((batch, done));
            inner.is_held
        };
        if !is_held {
            self.commit(1);
        }
    }

    fn n_queued(&self) -> usize {
        self.lock().queue.len()
    }

    fn execution(&self, id: ExecutionId) -> Result<Option<Arc<ExecutionRecord>>, StoreError> {
        self.disk.execution(id)
    }

    fn find(&self, arn: &str) -> Result<Option<Arc<ExecutionRecord>>, StoreError> {
        self.disk.find(arn)
    }

    fn list(&self, query: &ListQuery) -> Result<Vec<Arc<ExecutionRecord>>, StoreError> {
        self.disk.list(query)
    }

    fn history(&self, query: &HistoryQuery) -> Result<Vec<Value>, StoreError> {
        self.disk.history(query)
    }

    fn load(&self, id: ExecutionId) -> Result<Option<Loaded>, StoreError> {
        let Some(loaded) = self.disk.load(id)? else {
            return Ok(None);
        };
        let inner = self.lock();
        let kept = &inner.executions[&id];
        Ok(Some(Loaded {
            snapshot: kept.snapshot.clone(),
            journal: kept.journal.clone(),
            ..loaded
        }))
    }

    fn busy(&self, after: ExecutionId, limit: usize) -> Result<Vec<ExecutionId>, StoreError> {
        let inner = self.lock();
        let busy = inner
            .executions
            .iter()
            .filter(|(id, kept)| after < **id && kept.is_busy);
        Ok(busy.map(|(id, _)| *id).take(limit).collect())
    }

    fn due_timers(&self, until: Timestamp, limit: usize) -> Result<Vec<(Timestamp, ExecutionId)>, StoreError> {
        self.disk.due_timers(until, limit)
    }

    fn old(
        &self,
        stopped_before: Timestamp,
        after: ExecutionId,
        limit: usize,
    ) -> Result<Vec<(ExecutionId, u64)>, StoreError> {
        self.disk.old(stopped_before, after, limit)
    }

    fn resources(&self, kind: &'static str) -> Result<Vec<Resource>, StoreError> {
        self.disk.resources(kind)
    }

    fn resources_below(&self, kind: &'static str, prefix: &str) -> Result<Vec<Resource>, StoreError> {
        self.disk.resources_below(kind, prefix)
    }

    fn definition(&self, hash: &str) -> Result<Option<Arc<str>>, StoreError> {
        self.disk.definition(hash)
    }

    fn last_execution(&self) -> Result<ExecutionId, StoreError> {
        self.disk.last_execution()
    }
}
