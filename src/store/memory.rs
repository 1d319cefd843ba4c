//! A store that ends with the process: `--ephemeral`.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;

use serde_json::Value;

use crate::model::execution_record::ExecutionId;
use crate::model::execution_record::ExecutionRecord;
use crate::model::history_event::HistoryEvent;
use crate::model::timestamp::Timestamp;
use crate::store::Done;
use crate::store::Store;
use crate::store::StoreError;
use crate::store::change::Change;
use crate::store::change::HistoryQuery;
use crate::store::change::ListOf;
use crate::store::change::ListQuery;
use crate::store::change::Loaded;
use crate::store::change::Resource;
use crate::store::change::Transition;

/// Newest first: start, then number.
type Place = (Reverse<Timestamp>, Reverse<ExecutionId>);

/// Everything in memory.
#[derive(Default)]
pub struct MemoryStore {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    executions: HashMap<ExecutionId, Kept>,
    by_arn: HashMap<Arc<str>, ExecutionId>,
    lists: HashMap<Arc<str>, BTreeSet<Place>>,
    timers: BTreeSet<(Timestamp, ExecutionId)>,
    resources: BTreeMap<(&'static str, Arc<str>), Value>,
    definitions: HashMap<Arc<str>, Arc<str>>,
    last: ExecutionId,
}

struct Kept {
    record: Arc<ExecutionRecord>,
    history: Vec<HistoryEvent>,
    deadline: Option<Timestamp>,
    /// Of one that can be redriven.
    snapshot: Option<Vec<u8>>,
}

impl MemoryStore {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic elsewhere leaves the maps whole: each change is a few inserts.
        self.inner.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Inner {
    fn apply(&mut self, change: Change) {
        match change {
            Change::PutDefinition { hash, text } => {
                self.definitions.entry(hash).or_insert(text);
            }
            Change::PutResource(resource) => {
                self.resources.insert((resource.kind, resource.key), resource.value);
            }
            Change::DeleteResource { kind, key } => {
                self.resources.remove(&(kind, key));
            }
            Change::Forget {
                execution,
                stopped_before,
            } => self.forget(execution, stopped_before),
            Change::Transition(transition) => self.step(*transition),
        }
    }

    fn forget(&mut self, id: ExecutionId, stopped_before: Timestamp) {
        let is_old = |kept: &Kept| kept.record.stopped.is_some_and(|at| at < stopped_before);
        if id == self.last || !self.executions.get(&id).is_some_and(is_old) {
            return;
        }
        self.remove(id);
    }

    fn remove(&mut self, id: ExecutionId) {
        let Some(kept) = self.executions.remove(&id) else {
            return;
        };
        let facts = &kept.record.facts;
        self.by_arn.remove(&facts.arn);
        let run = facts.child_of.as_ref().map(|child| &child.map_run_arn);
        for key in std::iter::once(&facts.machine_arn).chain(run) {
            if let Some(places) = self.lists.get_mut(key) {
                places.remove(&(Reverse(facts.started), Reverse(id)));
                if places.is_empty() {
                    self.lists.remove(key);
                }
            }
        }
    }

    fn step(&mut self, transition: Transition) {
        let Transition {
            record,
            history,
            deadline,
            snapshot,
            ..
        } = transition;
        let id = record.id;
        self.last = self.last.max(id);
        if record.version == 0
            && let Some(before) = self.by_arn.get(&record.facts.arn)
        {
            self.remove(*before);
        }
        match self.executions.get_mut(&id) {
            Some(kept) => {
                if kept.deadline != deadline {
                    if let Some(old) = kept.deadline {
                        self.timers.remove(&(old, id));
                    }
                    if let Some(new) = deadline {
                        self.timers.insert((new, id));
                    }
                }
                kept.record = record;
                kept.history.extend(history);
                kept.deadline = deadline;
                kept.snapshot = snapshot;
            }
            None => {
                let facts = &record.facts;
                self.by_arn.insert(Arc::clone(&facts.arn), id);
                let place = (Reverse(facts.started), Reverse(id));
                self.lists
                    .entry(Arc::clone(&facts.machine_arn))
                    .or_default()
                    .insert(place);
                if let Some(child) = &facts.child_of {
                    self.lists
                        .entry(Arc::clone(&child.map_run_arn))
                        .or_default()
                        .insert(place);
                }
                if let Some(at) = deadline {
                    self.timers.insert((at, id));
                }
                self.executions.insert(
                    id,
                    Kept {
                        record,
                        history,
                        deadline,
                        snapshot,
                    },
                );
            }
        }
    }
}

impl Store for MemoryStore {
    fn is_durable(&self) -> bool {
        false
    }

    fn submit(&self, batch: Vec<Change>, done: Done) {
        {
            let mut inner = self.lock();
            for change in batch {
                inner.apply(change);
            }
        }
        done(Ok(()));
    }

    fn n_queued(&self) -> usize {
        0
    }

    fn execution(&self, id: ExecutionId) -> Result<Option<Arc<ExecutionRecord>>, StoreError> {
        Ok(self.lock().executions.get(&id).map(|kept| Arc::clone(&kept.record)))
    }

    fn find(&self, arn: &str) -> Result<Option<Arc<ExecutionRecord>>, StoreError> {
        let inner = self.lock();
        let found = inner.by_arn.get(arn).and_then(|id| inner.executions.get(id));
        Ok(found.map(|kept| Arc::clone(&kept.record)))
    }

    fn list(&self, query: &ListQuery) -> Result<Vec<Arc<ExecutionRecord>>, StoreError> {
        let inner = self.lock();
        let (ListOf::Machine(key) | ListOf::MapRun(key)) = &query.of;
        let Some(places) = inner.lists.get(key) else {
            return Ok(Vec::new());
        };
        let from = match query.after {
            Some((started, id)) => std::ops::Bound::Excluded((Reverse(started), Reverse(id))),
            None => std::ops::Bound::Unbounded,
        };
        let records = places.range((from, std::ops::Bound::Unbounded));
        let records = records.filter_map(|(_, Reverse(id))| inner.executions.get(id).map(|kept| &kept.record));
        Ok(records
            .filter(|record| query.admits(record))
            .take(query.limit)
            .map(Arc::clone)
            .collect())
    }

    fn history(&self, query: &HistoryQuery) -> Result<Vec<Value>, StoreError> {
        let inner = self.lock();
        let Some(kept) = inner.executions.get(&query.execution) else {
            return Ok(Vec::new());
        };
        // Event n stands at n - 1.
        let from = usize::try_from(query.from).unwrap_or(usize::MAX);
        let events: Vec<HistoryEvent> = match query.reverse {
            false => kept
                .history
                .iter()
                .skip(from.saturating_sub(1))
                .take(query.limit)
                .cloned()
                .collect(),
            true => kept
                .history
                .iter()
                .take(from)
                .rev()
                .take(query.limit)
                .cloned()
                .collect(),
        };
        drop(inner);
        Ok(events.iter().map(HistoryEvent::to_api).collect())
    }

    fn load(&self, id: ExecutionId) -> Result<Option<Loaded>, StoreError> {
        let inner = self.lock();
        Ok(inner.executions.get(&id).map(|kept| Loaded {
            record: Arc::clone(&kept.record),
            snapshot: kept.snapshot.clone(),
            journal: Vec::new(),
            deadline: kept.deadline,
        }))
    }

    fn busy(&self, _after: ExecutionId, _limit: usize) -> Result<Vec<ExecutionId>, StoreError> {
        Ok(Vec::new())
    }

    fn due_timers(&self, until: Timestamp, limit: usize) -> Result<Vec<(Timestamp, ExecutionId)>, StoreError> {
        let inner = self.lock();
        Ok(inner
            .timers
            .iter()
            .take_while(|(at, _)| *at <= until)
            .take(limit)
            .copied()
            .collect())
    }

    fn old(
        &self,
        stopped_before: Timestamp,
        after: ExecutionId,
        limit: usize,
    ) -> Result<Vec<(ExecutionId, u64)>, StoreError> {
        let inner = self.lock();
        let is_old = |record: &ExecutionRecord| {
            after < record.id && record.id != inner.last && record.stopped.is_some_and(|at| at < stopped_before)
        };
        let records = inner.executions.values().map(|kept| &kept.record);
        let old = records.filter(|record| is_old(record));
        let mut old: Vec<(ExecutionId, u64)> = old.map(|record| (record.id, record.version)).collect();
        old.sort_unstable();
        old.truncate(limit);
        Ok(old)
    }

    fn resources(&self, kind: &'static str) -> Result<Vec<Resource>, StoreError> {
        let inner = self.lock();
        let found = inner.resources.iter().filter(|((found, _), _)| *found == kind);
        Ok(found
            .map(|((kind, key), value)| Resource {
                kind,
                key: Arc::clone(key),
                value: value.clone(),
            })
            .collect())
    }

    fn resources_below(&self, kind: &'static str, prefix: &str) -> Result<Vec<Resource>, StoreError> {
        let inner = self.lock();
        let from = inner.resources.range((kind, Arc::from(prefix))..);
        let found = from.take_while(|((found, key), _)| *found == kind && key.starts_with(prefix));
        Ok(found
            .map(|((kind, key), value)| Resource {
                kind,
                key: Arc::clone(key),
                value: value.clone(),
            })
            .collect())
    }

    fn definition(&self, hash: &str) -> Result<Option<Arc<str>>, StoreError> {
        Ok(self.lock().definitions.get(hash).cloned())
    }

    fn last_execution(&self) -> Result<ExecutionId, StoreError> {
        Ok(self.lock().last)
    }
}
