//! Redriving: an execution that ended unsuccessfully goes on.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use serde_json::json;
use tokio::sync::oneshot;

use crate::engine::dispatch::After;
use crate::engine::host::Ack;
use crate::engine::host::Host;
use crate::engine::host::Refused;
use crate::engine::host::lock;
use crate::kernel::event::EventKind;
use crate::model::execution_record::ExecutionId;
use crate::model::execution_record::ExecutionRecord;
use crate::model::execution_record::ExecutionStatus;
use crate::model::execution_record::MachineType;
use crate::model::quota::HISTORY_EVENTS_MAX;
use crate::model::quota::Quotas;
use crate::model::quota::STANDARD_SECONDS_MAX;
use crate::model::timestamp::Timestamp;
use crate::store::Store;
use crate::store::StoreError;
use crate::store::change::Change;
use crate::store::change::Resource;

/// How long after its end an execution can be redriven: 14 days.
const REDRIVABLE_MILLIS: i64 = 14 * 24 * 60 * 60 * 1000;
/// How long a client's token stands for the redrive that it asked for.
const TOKEN_MILLIS: i64 = 15 * 60 * 1000;
/// Tokens of one execution, at most.
const TOKENS_MAX: usize = 10;
/// The store's kind of resource for tokens.
const KIND: &str = "redrive";

/// Why an execution was not redriven.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RedriveError {
    /// It cannot be, in AWS's words.
    #[error("{0}")]
    NotRedrivable(String),
    /// The store has stopped or cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The redrives of the last minutes, by execution: a request that comes twice redrives once. Kept in the store, since
/// it is after a crash that clients ask again.
#[derive(Debug, Default)]
pub(super) struct RedriveTokens(HashMap<ExecutionId, Vec<(Arc<str>, Timestamp)>>);

impl RedriveTokens {
    pub(super) fn load(store: &dyn Store) -> Result<Self, StoreError> {
        let mut tokens = HashMap::new();
        for Resource { key, value, .. } in store.resources(KIND)? {
            let damaged = |error: &dyn std::fmt::Display| {
                StoreError::Damaged(format!("the redrives of the execution number {key}: {error}").into())
            };
            let id = key.parse().map_err(|error| damaged(&error))?;
            tokens.insert(
                ExecutionId(id),
                serde_json::from_value(value).map_err(|error| damaged(&error))?,
            );
        }
        Ok(Self(tokens))
    }

    fn find(&self, id: ExecutionId, token: &str, now: Timestamp) -> Option<Timestamp> {
        let found = self.0.get(&id)?.iter().find(|(known, _)| **known == *token)?;
        is_recent(found.1, now).then_some(found.1)
    }

    /// Returns what the store must change to know a token, too, and to forget the old ones.
    fn changes(&self, id: ExecutionId, token: &Arc<str>, now: Timestamp) -> Vec<Change> {
        let old = self.old(now).filter(|old| *old != id);
        let mut changes: Vec<Change> = old
            .map(|old| Change::DeleteResource {
                kind: KIND,
                key: old.to_string().into(),
            })
            .collect();
        changes.push(Change::PutResource(Resource {
            kind: KIND,
            key: id.to_string().into(),
            value: json!(self.with(id, token, now)),
        }));
        changes
    }

    fn note(&mut self, id: ExecutionId, token: &Arc<str>, now: Timestamp) {
        let tokens = self.with(id, token, now);
        for old in self.old(now).collect::<Vec<_>>() {
            self.0.remove(&old);
        }
        self.0.insert(id, tokens);
    }

    fn with(&self, id: ExecutionId, token: &Arc<str>, now: Timestamp) -> Vec<(Arc<str>, Timestamp)> {
        let known = self.0.get(&id).map_or(&[][..], Vec::as_slice);
        let recent = known.iter().filter(|(_, at)| is_recent(*at, now)).cloned();
        let mut tokens: Vec<_> = recent.chain([(Arc::clone(token), now)]).collect();
        tokens.drain(..tokens.len().saturating_sub(TOKENS_MAX));
        tokens
    }

    fn old(&self, now: Timestamp) -> impl Iterator<Item = ExecutionId> {
        let is_old = move |tokens: &[(Arc<str>, Timestamp)]| !tokens.iter().any(|(_, at)| is_recent(*at, now));
        self.0
            .iter()
            .filter(move |(_, tokens)| is_old(tokens))
            .map(|(id, _)| *id)
    }
}

fn is_recent(at: Timestamp, now: Timestamp) -> bool {
    now.0 - at.0 < TOKEN_MILLIS
}

impl Host {
    /// Tells in AWS's words why an execution cannot be redriven, by a client or by its Map Run.
    pub fn redrive_obstacle(&self, record: &ExecutionRecord) -> Option<String> {
        let facts = &record.facts;
        let Some(stopped) = record.stopped.filter(|_| record.status != ExecutionStatus::Succeeded) else {
            let status = record.status.as_str();
            return Some(format!("Execution is {status} and cannot be redriven"));
        };
        let machine = facts.machine_arn.split('/').next().unwrap_or_default();
        if self.registry.machine(machine).is_none_or(|machine| machine.is_deleting) {
            return Some("State machine is in DELETING status".to_owned());
        }
        // An EXPRESS child begins again.
        if self.quotas == Quotas::Off || facts.machine_type == MachineType::Express {
            return None;
        }
        let open_millis = u64::try_from(stopped.0 - facts.started.0).unwrap_or_default();
        if HISTORY_EVENTS_MAX - 1 <= record.n_events {
            Some("Execution history event limit exceeded".to_owned())
        } else if STANDARD_SECONDS_MAX * 1000 <= open_millis {
            Some("Execution has exceeded the max execution time".to_owned())
        } else if facts.child_of.is_none() && REDRIVABLE_MILLIS < self.clock.now().0 - stopped.0 {
            Some("Execution redrivable period exceeded".to_owned())
        } else {
            None
        }
    }

    /// Lets an execution go on that ended unsuccessfully, and returns when it did. A token that was given before stands
    /// for the redrive that it brought.
    ///
    /// # Errors
    /// It cannot be redriven, or the store has stopped.
    pub async fn redrive(
        self: &Arc<Self>,
        record: &ExecutionRecord,
        token: Option<Arc<str>>,
    ) -> Result<Timestamp, RedriveError> {
        if let Some(at) = self.known_redrive(record.id, token.as_deref()).await? {
            return Ok(at);
        }
        if let Some(obstacle) = self.redrive_obstacle(record) {
            return Err(RedriveError::NotRedrivable(obstacle));
        }
        let (ack, safe) = oneshot::channel();
        match self.redrive_now(record, token.as_ref(), ack) {
            Ok(()) => {}
            Err(Refused::NotOpen | Refused::Illegal(_)) => {
                // Another request was quicker; what it did is on its way to the store.
                if let Some(at) = self.known_redrive(record.id, token.as_deref()).await? {
                    return Ok(at);
                }
                self.catch_up().await?;
                let now = self.store.execution(record.id)?;
                let obstacle = now.and_then(|record| self.redrive_obstacle(&record));
                let obstacle = obstacle.unwrap_or_else(|| "Execution is RUNNING and cannot be redriven".to_owned());
                return Err(RedriveError::NotRedrivable(obstacle));
            }
            Err(Refused::Store(error)) => return Err(error.into()),
        }
        let record = safe
            .await
            .map_err(|_| StoreError::Stopped("the server is stopping".into()))??;
        Ok(record.redriven.unwrap_or(record.facts.started))
    }

    async fn known_redrive(
        self: &Arc<Self>,
        id: ExecutionId,
        token: Option<&str>,
    ) -> Result<Option<Timestamp>, StoreError> {
        let now = self.clock.now();
        let found = token.and_then(|token| lock(&self.redrives).find(id, token, now));
        if found.is_some() {
            self.catch_up().await?;
        }
        Ok(found)
    }

    fn redrive_now(
        self: &Arc<Self>,
        record: &ExecutionRecord,
        token: Option<&Arc<str>>,
        ack: Ack,
    ) -> Result<(), Refused> {
        let id = record.id;
        let mut work = VecDeque::new();
        let result = {
            // Held until the step is made: two requests with one token are one redrive.
            let mut tokens = lock(&self.redrives);
            let now = self.clock.now().max(record.stopped.unwrap_or_default());
            let along = token.map_or_else(Vec::new, |token| tokens.changes(id, token, now));
            let result = self.redrive_step(id, now, along, Some(ack), &mut work);
            if let (Ok(at), Some(token)) = (&result, token) {
                tokens.note(id, token, *at);
            }
            result
        };
        self.drain(work);
        result.map(|_| ())
    }

    /// Gives the event to an execution that has ended, in memory as long as its end is on its way to the store, at an
    /// instant that is not earlier than its end.
    pub(super) fn redrive_step(
        self: &Arc<Self>,
        id: ExecutionId,
        at: Timestamp,
        along: Vec<Change>,
        ack: Option<Ack>,
        work: &mut VecDeque<After>,
    ) -> Result<Timestamp, Refused> {
        let mut shard = self.shard(id);
        let live = match shard.live.entry(id) {
            Entry::Occupied(place) => place.into_mut(),
            Entry::Vacant(place) => place.insert(self.restore(id, |status| {
                !matches!(status, ExecutionStatus::Running | ExecutionStatus::Succeeded)
            })?),
        };
        live.earliest = live.earliest.max(at);
        let result = self.step_live_with(&mut shard, id, EventKind::Redrive, ack, along, work);
        let redriven = shard.live.get(&id).and_then(|live| live.record.redriven);
        if result.is_err() {
            self.let_go(&mut shard, id);
        }
        result.map(|()| redriven.unwrap_or_default())
    }
}
