//! How executions begin, end by request, and hear from outside workers.

use std::hash::BuildHasher;
use std::hash::BuildHasherDefault;
use std::hash::DefaultHasher;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::OwnedMutexGuard;
use tokio::sync::oneshot;

use crate::asl::definition::Definition;
use crate::engine::answers::SharedAnswers;
use crate::engine::audited::Audited;
use crate::engine::host::Closing;
use crate::engine::host::Host;
use crate::engine::host::Refused;
use crate::engine::host::lock;
use crate::engine::live::Live;
use crate::kernel::event::EventKind;
use crate::kernel::event::Start;
use crate::model::decision::Decision;
use crate::model::execution_record::ExecutionFacts;
use crate::model::execution_record::ExecutionId;
use crate::model::execution_record::ExecutionRecord;
use crate::model::execution_record::ExecutionStatus;
use crate::model::execution_record::MachineType;
use crate::model::id::BlockId;
use crate::model::payload::Payload;
use crate::model::states_error::StatesError;
use crate::model::token::TokenClaim;
use crate::model::token::TokenKey;
use crate::store::StoreError;
use crate::store::change::HistoryQuery;

/// Workers that may wait for one activity.
const POLLERS_MAX: usize = 1_000;
/// History events that are read at a time.
const HISTORY_PAGE: usize = 1_000;

/// What an execution is started with.
pub struct Begin {
    /// What never changes. `started` is set by the host.
    pub facts: ExecutionFacts,
    /// The machine's name.
    pub machine_name: Arc<str>,
    /// What it runs.
    pub definition: Arc<Definition>,
    /// The input.
    pub input: Payload,
    /// The caller chose the name: there may be an execution of this name.
    pub is_named: bool,
    /// The caller waits for the end.
    pub is_synchronous: bool,
    /// What allowed it.
    pub decision: Option<Decision>,
}

/// How a start ended.
pub enum Begun {
    /// It was started now.
    Fresh(Arc<ExecutionRecord>),
    /// There was one of this name.
    Known(Arc<ExecutionRecord>),
}

/// What an outside worker says.
pub enum Word {
    /// `SendTaskSuccess`.
    Success(Payload),
    /// `SendTaskFailure`.
    Failure(StatesError),
    /// `SendTaskHeartbeat`.
    Heartbeat,
}

/// Why a worker's word was not taken.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// It is no token of ours.
    #[error("invalid token")]
    Invalid,
    /// Its task is over; the activity's ARN, if it is one.
    #[error("the task is over")]
    Over(Option<Arc<str>>),
    /// The store has stopped.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An activity task for a worker.
pub struct Assignment {
    /// The task token.
    pub token: Arc<str>,
    /// The input.
    pub input: Payload,
}

impl Host {
    /// Starts an execution, unless there is one of its name.
    ///
    /// # Errors
    /// The store has stopped.
    pub async fn begin(self: &Arc<Self>, begin: Begin) -> Result<Begun, StoreError> {
        if !begin.is_named || begin.facts.machine_type == MachineType::Express {
            return self.begin_now(begin, None).await.map(Begun::Fresh);
        }
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(&begin.facts.arn);
        let index = usize::try_from(hash % self.starting.len() as u64).unwrap_or(0);
        // Goes with the step and is held until its commit, even when the caller is gone by then: whoever asks next
        // for this name finds it in the store.
        let turn = Arc::clone(&self.starting[index]).lock_owned().await;
        if let Some(known) = self.store.find(&begin.facts.arn)? {
            return Ok(Begun::Known(known));
        }
        self.begin_now(begin, Some(turn)).await.map(Begun::Fresh)
    }

    async fn begin_now(
        self: &Arc<Self>,
        begin: Begin,
        turn: Option<OwnedMutexGuard<()>>,
    ) -> Result<Arc<ExecutionRecord>, StoreError> {
        let (ack, safe) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        let is_synchronous = begin.is_synchronous;
        self.measures.started.inc();
        {
            let id = self.fresh_id();
            let start = self.start_of(&begin, id);
            let mut facts = begin.facts;
            facts.started = self.clock.now();
            let answers = self.answers(&facts);
            let logging = self.logging(&facts);
            let record = Arc::new(ExecutionRecord {
                id,
                facts: Arc::new(facts),
                status: ExecutionStatus::Running,
                stopped: None,
                input: begin.input.text().into(),
                output: None,
                error: None,
                cause: None,
                redrive_count: 0,
                redriven: None,
                version: 0,
                n_events: 0,
            });
            if let Some(audit) = &self.site.audit {
                audit.note(&record.subject().started(begin.decision));
            }
            let mut live = Live::new(begin.definition, record);
            live.answers = answers;
            live.logging = logging;
            live.turn = turn;
            if is_synchronous {
                live.waiters.push(end);
            }
            let mut work = std::collections::VecDeque::new();
            {
                let mut shard = self.shard(id);
                shard.live.insert(id, live);
                let stepped = self.step_live(&mut shard, id, EventKind::Start(start), Some(ack), &mut work);
                debug_assert!(stepped.is_ok(), "a new execution takes its start");
            }
            self.drain(work);
        }
        let stopped = || StoreError::Stopped("the server is stopping".into());
        let record = safe.await.map_err(|_| stopped())??;
        if is_synchronous {
            return ended.await.map_err(|_| stopped());
        }
        Ok(record)
    }

    fn start_of(&self, begin: &Begin, id: ExecutionId) -> Start {
        let facts = &begin.facts;
        Start {
            execution_arn: facts.arn.clone(),
            name: facts.name.clone(),
            state_machine_arn: facts.machine_arn.clone(),
            state_machine_name: begin.machine_name.clone(),
            role_arn: facts.role_arn.clone(),
            input: begin.input.clone(),
            seed: self.draw(),
            quotas: self.quotas,
            express: facts.machine_type == MachineType::Express,
            synchronous: begin.is_synchronous,
            version_arn: facts.version_arn.clone(),
            alias_arn: facts.alias_arn.clone(),
            token_key: TokenKey::derive(&self.secret, id),
            wait_scale: self.wait_scale,
            block: BlockId(0),
        }
    }

    /// Returns what answers an execution's tasks instead of workers.
    pub(super) fn answers(&self, facts: &ExecutionFacts) -> Option<SharedAnswers> {
        let answers = self.answering.as_ref()?(facts)?;
        Some(Arc::new(std::sync::Mutex::new(answers)))
    }

    /// Stops an execution; one that has ended stays as it is.
    ///
    /// # Errors
    /// The store has stopped.
    pub async fn stop(
        self: &Arc<Self>,
        id: ExecutionId,
        error: StatesError,
    ) -> Result<Option<Arc<ExecutionRecord>>, StoreError> {
        let (ack, safe) = oneshot::channel();
        match self.give(id, EventKind::Stop(error), Some(ack)) {
            Ok(()) => {}
            Err(Refused::NotOpen | Refused::Illegal(_)) => {
                // Its end may be on its way to the store.
                self.catch_up().await?;
                return self.store.execution(id);
            }
            Err(Refused::Store(error)) => return Err(error),
        }
        let record = safe.await;
        record
            .map_err(|_| StoreError::Stopped("the server is stopping".into()))?
            .map(Some)
    }

    /// Waits until a stored execution has ended.
    ///
    /// # Errors
    /// The store cannot be read, or has stopped.
    pub async fn ended(&self, id: ExecutionId) -> Result<Arc<ExecutionRecord>, StoreError> {
        let (sender, receiver) = oneshot::channel();
        // Before looking: whoever ends from now on tells it.
        lock(&self.ended).entry(id).or_default().push(sender);
        if let Some(record) = self.store.execution(id)?
            && record.status != ExecutionStatus::Running
        {
            drop(receiver);
            let mut ended = lock(&self.ended);
            if let Some(waiters) = ended.get_mut(&id) {
                waiters.retain(|waiter| !waiter.is_closed());
                if waiters.is_empty() {
                    ended.remove(&id);
                }
            }
            return Ok(record);
        }
        receiver
            .await
            .map_err(|_| StoreError::Stopped("the server is stopping".into()))
    }

    /// Takes a worker's word for a task.
    ///
    /// # Errors
    /// The token is not ours, or its task is over.
    pub async fn answer(self: &Arc<Self>, token: &str, word: Word) -> Result<(), TokenError> {
        let claim = TokenClaim::read(token).ok_or(TokenError::Invalid)?;
        if !TokenKey::derive(&self.secret, claim.execution).verifies(token) {
            return Err(TokenError::Invalid);
        }
        let task = claim.task;
        let kind = match word {
            Word::Success(output) => EventKind::TaskSucceeded { task, output },
            Word::Failure(error) => EventKind::TaskFailed { task, error },
            Word::Heartbeat => EventKind::TaskHeartbeat { task },
        };
        let (ack, safe) = oneshot::channel();
        match self.give(claim.execution, kind, Some(ack)) {
            Ok(()) => {}
            Err(Refused::NotOpen | Refused::Illegal(_)) => {
                // What ended the task may be on its way to the store.
                self.catch_up().await?;
                return Err(TokenError::Over(self.activity_of(claim)?));
            }
            Err(Refused::Store(error)) => return Err(error.into()),
        }
        match safe.await {
            Ok(result) => result.map(|_| ()).map_err(TokenError::Store),
            Err(_) => Err(StoreError::Stopped("the server is stopping".into()).into()),
        }
    }

    /// Returns the activity of a task that was scheduled once: task n is the n-th that the history tells of.
    fn activity_of(&self, claim: TokenClaim) -> Result<Option<Arc<str>>, StoreError> {
        let (mut from, mut n_before) = (1, 0);
        loop {
            let page = self.store.history(&HistoryQuery {
                execution: claim.execution,
                from,
                limit: HISTORY_PAGE,
                reverse: false,
            })?;
            let scheduled = |event: &&Value| {
                let kind = event.get("type").and_then(Value::as_str);
                kind.is_some_and(|kind| kind.ends_with("Scheduled"))
            };
            let index = claim.task.0.saturating_sub(1).saturating_sub(n_before);
            let mut found = page.iter().filter(scheduled);
            if let Some(event) = usize::try_from(index).ok().and_then(|index| found.nth(index)) {
                let resource = event.pointer("/activityScheduledEventDetails/resource");
                return Ok(resource.and_then(Value::as_str).map(Arc::from));
            }
            n_before += page.iter().filter(scheduled).count() as u64;
            if page.len() < HISTORY_PAGE {
                return Ok(None);
            }
            from += page.len() as u64;
        }
    }

    /// Waits for a task of an activity; `None` when none came in time, or too many wait.
    ///
    /// # Errors
    /// The store has stopped.
    pub async fn take_activity_task(
        self: &Arc<Self>,
        arn: &Arc<str>,
        worker_name: Option<Arc<str>>,
        patience: Duration,
    ) -> Result<Option<Assignment>, TooManyPollers> {
        let mut closing = self.closing.subscribe();
        let poller = self.activities.poll(arn, POLLERS_MAX).ok_or(TooManyPollers)?;
        let deadline = tokio::time::Instant::now() + patience;
        loop {
            let waiting = tokio::select! {
                waiting = tokio::time::timeout_at(deadline, poller.next()) => waiting,
                // The worker asks again, and finds the next process.
                _ = closing.wait_for(|closing| *closing != Closing::Open) => return Ok(None),
            };
            let Ok(waiting) = waiting else {
                return Ok(None);
            };
            let (ack, safe) = oneshot::channel();
            let kind = EventKind::TaskStarted {
                task: waiting.task,
                worker_name: worker_name.clone(),
            };
            match self.give(waiting.execution, kind, Some(ack)) {
                Ok(()) if matches!(safe.await, Ok(Ok(_))) => {
                    return Ok(Some(Assignment {
                        token: waiting.token,
                        input: waiting.input,
                    }));
                }
                // A task may have been called off while it waited.
                Ok(()) | Err(Refused::NotOpen | Refused::Illegal(_)) => {}
                Err(Refused::Store(_)) => {
                    // It is still to be done; this worker has to ask again.
                    self.activities.offer(arn, waiting);
                    return Ok(None);
                }
            }
        }
    }

    /// Counts the workers that wait for a task of an activity.
    pub fn n_pollers(&self) -> usize {
        self.activities.n_pollers()
    }

    /// Counts the deadlines in memory.
    pub fn n_timers(&self) -> usize {
        self.timers.n_near()
    }

    /// Counts the executions in memory.
    pub fn n_live(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).live.len()).sum()
    }
}

/// As many workers wait for the activity as may.
#[derive(Debug)]
pub struct TooManyPollers;
