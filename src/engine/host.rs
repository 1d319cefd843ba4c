//! Serves many executions: the clock, the shards, commit and then dispatch.

use std::collections::HashMap;
use std::collections::HashSet;
use std::collections::VecDeque;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Instant;

use tokio::sync::mpsc;
use tokio::sync::oneshot;
use tokio::sync::watch;

use crate::asl::definition::Definition;
use crate::asl::load;
use crate::engine::activities::Activities;
use crate::engine::answers::Answering;
use crate::engine::clock::SharedClock;
use crate::engine::dispatch::After;
use crate::engine::live::Live;
use crate::engine::logs::Logging;
use crate::engine::logs::Logs;
use crate::engine::map_runs;
use crate::engine::map_runs::MapRuns;
use crate::engine::measures::Measures;
use crate::engine::redrive::RedriveTokens;
use crate::engine::registry::Edit;
use crate::engine::registry::Edits;
use crate::engine::registry::Registry;
use crate::engine::secret;
use crate::engine::timers::Timers;
use crate::items::bucket::Buckets;
use crate::kernel::event::Command;
use crate::kernel::event::EventKind;
use crate::kernel::event::Illegal;
use crate::model::entropy::Entropy;
use crate::model::execution_record::ExecutionFacts;
use crate::model::execution_record::ExecutionId;
use crate::model::execution_record::ExecutionRecord;
use crate::model::execution_record::ExecutionStatus;
use crate::model::execution_record::MachineType;
use crate::model::quota::Quotas;
use crate::store::Store;
use crate::store::StoreError;
use crate::store::change::Change;
use crate::worker::Message;
use crate::worker::Site;
use crate::worker::sfn::StepFunctions;

/// Executions are spread over this many locks.
const N_SHARDS: u64 = 64;
/// An execution that must be woken within this time stays in memory, in milliseconds.
const SOON_MILLIS: u64 = 30_000;

/// How to serve.
pub struct HostOptions {
    /// What the tasks share.
    pub site: Arc<Site>,
    /// Which quotas hold.
    pub quotas: Quotas,
    /// Answers that replace tasks.
    pub answering: Option<Answering>,
    /// Jump over waits while nothing is being done.
    pub skip_time: bool,
    /// Waits and pauses before retries take this many times as long as they say.
    pub wait_scale: f64,
    /// Where the log events of state machines go.
    pub logs: Option<Logs>,
    /// Where Distributed Maps read their items and write their results.
    pub buckets: Arc<dyn Buckets>,
}

/// Why an event was not taken.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Refused {
    /// There is no such execution, or it is not open.
    #[error("there is no such open execution")]
    NotOpen,
    /// It does not fit.
    #[error("the event does not fit: {0}")]
    Illegal(#[from] Illegal),
    /// The store has stopped or cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Serves executions.
pub struct Host {
    pub(super) store: Arc<dyn Store>,
    pub(super) shards: Vec<Mutex<Shard>>,
    pub(super) clock: SharedClock,
    pub(super) timers: Timers,
    pub(super) activities: Activities,
    pub(super) map_runs: MapRuns,
    pub(super) site: Arc<Site>,
    pub(super) quotas: Quotas,
    pub(super) answering: Option<Answering>,
    pub(super) skip_time: bool,
    pub(super) logs: Option<Logs>,
    pub(super) wait_scale: f64,
    pub(super) secret: [u8; 32],
    pub(super) messages: mpsc::UnboundedSender<Message>,
    pub(super) inbox: mpsc::UnboundedSender<After>,
    /// Machines and activities.
    pub registry: Registry,
    /// One resource changes at a time: read, commit, show.
    editing: Arc<tokio::sync::Mutex<()>>,
    /// Starts with a given name take turns by name: look, commit.
    pub(super) starting: Vec<Arc<tokio::sync::Mutex<()>>>,
    /// The first failure of the store.
    failure: watch::Sender<Option<StoreError>>,
    /// How far the end of this process has come.
    pub(super) closing: watch::Sender<Closing>,
    chance: Mutex<Entropy>,
    next_id: AtomicU64,
    definitions: Mutex<HashMap<Arc<str>, Arc<Definition>>>,
    /// Open executions of an earlier process whose work outside was not issued again yet.
    pub(super) to_resume: Mutex<HashSet<ExecutionId>>,
    /// What it has done so far.
    pub measures: Measures,
    /// Who waits for the end of an execution that is stored.
    pub(super) ended: Mutex<HashMap<ExecutionId, Vec<Ender>>>,
    /// Redrives of the last minutes, by the clients' tokens.
    pub(super) redrives: Mutex<RedriveTokens>,
}

/// How far the end of a process has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Closing {
    /// It serves.
    #[default]
    Open,
    /// Whoever waits for work is sent away.
    NoWaiting,
    /// No task begins, and no report counts: what is open stays open in the store.
    Resting,
}

/// Told of an end.
pub(super) type Ender = oneshot::Sender<Arc<ExecutionRecord>>;

/// Some of the executions in memory.
#[derive(Default)]
pub(super) struct Shard {
    pub(super) live: HashMap<ExecutionId, Live>,
}

/// What the background tasks of a host read.
pub struct Feeds {
    pub(super) messages: mpsc::UnboundedReceiver<Message>,
    pub(super) inbox: mpsc::UnboundedReceiver<After>,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What a panic left behind is checked by the kernel before it is used.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Host {
    /// Opens what a store holds. `Host::serve` must run for anything to happen in it.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn open(store: Arc<dyn Store>, options: HostOptions) -> Result<(Arc<Self>, Feeds), StoreError> {
        let registry = Registry::load(&*store)?;
        let last = store.last_execution()?;
        let secret = secret::of(&*store)?;
        let redrives = Mutex::new(RedriveTokens::load(&*store)?);
        let (messages, messages_out) = mpsc::unbounded_channel();
        let (inbox, inbox_out) = mpsc::unbounded_channel();
        let host = Self {
            shards: (0..N_SHARDS).map(|_| Mutex::default()).collect(),
            starting: (0..1024).map(|_| Arc::default()).collect(),
            failure: watch::Sender::default(),
            closing: watch::Sender::default(),
            clock: SharedClock::default(),
            timers: Timers::default(),
            activities: Activities::default(),
            map_runs: MapRuns::new(options.buckets),
            site: options.site,
            quotas: options.quotas,
            answering: options.answering,
            skip_time: options.skip_time,
            logs: options.logs,
            wait_scale: options.wait_scale,
            secret,
            messages,
            inbox,
            registry,
            editing: Arc::default(),
            chance: Mutex::new(Entropy::new(secret::random_u64()?)),
            next_id: AtomicU64::new(last.0 + 1),
            definitions: Mutex::default(),
            to_resume: Mutex::default(),
            measures: Measures::default(),
            ended: Mutex::default(),
            redrives,
            store,
        };
        let feeds = Feeds {
            messages: messages_out,
            inbox: inbox_out,
        };
        Ok((Arc::new(host), feeds))
    }

    /// Lets tasks call the Step Functions service.
    pub fn set_step_functions(&self, service: Arc<dyn StepFunctions>) {
        // Only the first counts: there is one service.
        let _ = self.site.sfn.set(service);
    }

    /// Returns a fresh number for an execution.
    pub(super) fn fresh_id(&self) -> ExecutionId {
        ExecutionId(self.next_id.fetch_add(1, Ordering::Relaxed))
    }

    /// Returns fresh bits; not for secrets.
    pub fn draw(&self) -> u64 {
        lock(&self.chance).next_u64()
    }

    /// Returns a fresh UUID.
    pub fn uuid(&self) -> String {
        lock(&self.chance).uuid()
    }

    /// Returns the secret that page tokens are made with.
    pub fn page_secret(&self) -> &[u8; 32] {
        &self.secret
    }

    /// Returns the time.
    pub fn now(&self) -> crate::model::timestamp::Timestamp {
        self.clock.now()
    }

    /// Returns the store, for reading.
    pub fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// Returns what tells others how to verify the tokens that states get; `None` when none are issued here.
    ///
    /// # Errors
    /// The keys cannot be used: a fragment of a sentence.
    pub fn published(&self, path: &str) -> Option<Result<serde_json::Value, String>> {
        self.site.tokens.as_ref()?.published(path)
    }

    /// Returns the region and the account of what is made here.
    pub fn place(&self) -> (&str, &str) {
        (&self.site.region, &self.site.account)
    }

    /// Returns how many activity tasks wait for a worker.
    pub fn n_waiting_activities(&self) -> usize {
        self.activities.n_waiting()
    }

    /// Returns how an execution is logged: as its machine, or the version that it runs, says now.
    pub(super) fn logging(&self, facts: &ExecutionFacts) -> Option<Arc<Logging>> {
        self.logs.as_ref()?;
        let machine_arn = facts.machine_arn.split('/').next()?;
        let machine = self.registry.machine(machine_arn)?;
        let number = facts
            .version_arn
            .as_ref()
            .and_then(|arn| arn.rsplit(':').next()?.parse().ok());
        let version = number.and_then(|number| machine.version(number));
        let revision = version.map_or(&machine.revision, |version| &version.revision);
        Logging::read(&revision.logging).map(Arc::new)
    }

    pub(super) fn shard(&self, id: ExecutionId) -> MutexGuard<'_, Shard> {
        let index = usize::try_from(id.0 % N_SHARDS).unwrap_or(0);
        lock(&self.shards[index])
    }

    /// Compiles a definition that the store has, once.
    pub fn definition(&self, hash: &str, express: bool) -> Result<Arc<Definition>, StoreError> {
        if let Some(definition) = lock(&self.definitions).get(hash) {
            return Ok(Arc::clone(definition));
        }
        let damaged = |what: String| StoreError::Damaged(format!("the definition {hash}: {what}").into());
        let text = self
            .store
            .definition(hash)?
            .ok_or_else(|| damaged("is missing".to_owned()))?;
        let options = load::Options {
            express,
            ..load::Options::default()
        };
        let definition = load::compile(&text, &options)
            .map_err(|findings| damaged(findings.first().map_or(String::new(), ToString::to_string)))?;
        Ok(self.remember(hash.into(), Arc::new(definition)))
    }

    /// Keeps a compiled definition for those who ask by hash.
    pub fn remember(&self, hash: Arc<str>, definition: Arc<Definition>) -> Arc<Definition> {
        Arc::clone(lock(&self.definitions).entry(hash).or_insert(definition))
    }

    /// Changes resources: `decide` sees them as they are and says what changes; it is shown once it is safe, even
    /// when the caller does not wait for it.
    ///
    /// # Errors
    /// `decide`'s, or the store has stopped.
    pub async fn edit<T, E: From<StoreError>>(
        self: &Arc<Self>,
        decide: impl FnOnce(&Registry) -> Result<Edits<T>, E>,
    ) -> Result<T, E> {
        let turn = Arc::clone(&self.editing).lock_owned().await;
        let (answer, edits, mut changes) = decide(&self.registry)?;
        if edits.is_empty() && changes.is_empty() {
            return Ok(answer);
        }
        changes.extend(edits.iter().map(Edit::change));
        let (sender, receiver) = oneshot::channel();
        let host = Arc::clone(self);
        // A client that hangs up ends the call: what the store has must be shown all the same.
        self.submit(changes, move |result| {
            if result.is_ok() {
                edits.iter().for_each(|edit| host.registry.apply(edit));
            }
            drop(turn);
            let _ = sender.send(result);
        });
        answered(receiver).await?;
        Ok(answer)
    }

    /// Waits until all that was given to the store before is safe.
    pub(super) async fn catch_up(self: &Arc<Self>) -> Result<(), StoreError> {
        self.commit(Vec::new()).await
    }

    /// Writes changes and waits until they are safe.
    pub(super) async fn commit(self: &Arc<Self>, changes: Vec<Change>) -> Result<(), StoreError> {
        let (sender, receiver) = oneshot::channel();
        self.submit(changes, move |result| {
            let _ = sender.send(result);
        });
        answered(receiver).await
    }

    /// Gives changes to the store; `done` is told when they are safe.
    fn submit(self: &Arc<Self>, changes: Vec<Change>, done: impl FnOnce(Result<(), StoreError>) + Send + 'static) {
        let host = Arc::clone(self);
        let since = Instant::now();
        self.store.submit(
            changes,
            Box::new(move |result| {
                match &result {
                    Ok(()) => host.measures.commit_seconds.observe(since.elapsed().as_secs_f64()),
                    Err(error) => host.fail(error),
                }
                done(result);
            }),
        );
    }

    /// Notes that the store has failed: what is in memory is ahead of it and must not be used any more.
    pub(super) fn fail(&self, error: &StoreError) {
        self.failure.send_if_modified(|failure| {
            let is_first = failure.is_none();
            if is_first {
                tracing::error!(%error, "The store has failed.");
            }
            failure.get_or_insert_with(|| error.clone());
            is_first
        });
    }

    /// Waits until the store fails. Whoever serves must then end the process: the next one recovers.
    pub async fn failed(&self) -> StoreError {
        let mut failure = self.failure.subscribe();
        let found = failure.wait_for(Option::is_some).await.map(|found| found.clone());
        found
            .ok()
            .flatten()
            .unwrap_or_else(|| StoreError::Stopped("the host has ended".into()))
    }

    /// Gives an event to an execution and goes on until nothing more follows at once.
    ///
    /// # Errors
    /// The execution is not open, or the event does not fit: nothing has changed.
    pub(super) fn give(self: &Arc<Self>, id: ExecutionId, kind: EventKind, ack: Option<Ack>) -> Result<(), Refused> {
        let mut work = VecDeque::new();
        let result = self.step(id, kind, ack, &mut work);
        self.drain(work);
        result
    }

    /// Carries out what is safe, and what follows from it.
    pub(super) fn drain(self: &Arc<Self>, mut work: VecDeque<After>) {
        while let Some(after) = work.pop_front() {
            self.dispatch(after, &mut work);
        }
    }

    /// Gives an event; what must wait for the commit goes to `work`, or comes by the inbox.
    pub(super) fn step(
        self: &Arc<Self>,
        id: ExecutionId,
        kind: EventKind,
        ack: Option<Ack>,
        work: &mut VecDeque<After>,
    ) -> Result<(), Refused> {
        let mut shard = self.shard(id);
        self.bring(&mut shard, id, work)?;
        let result = self.step_live(&mut shard, id, kind, ack, work);
        if result.is_err() {
            // It may have been loaded for nothing.
            self.let_go(&mut shard, id);
        }
        result
    }

    /// Loads an execution that is not in memory.
    pub(super) fn bring(
        self: &Arc<Self>,
        shard: &mut Shard,
        id: ExecutionId,
        work: &mut VecDeque<After>,
    ) -> Result<(), Refused> {
        if let Entry::Vacant(place) = shard.live.entry(id) {
            let (live, after) = self.load(id)?;
            place.insert(live);
            work.extend(after);
        }
        Ok(())
    }

    /// Gives an event to an execution in memory.
    pub(super) fn step_live(
        self: &Arc<Self>,
        shard: &mut Shard,
        id: ExecutionId,
        kind: EventKind,
        ack: Option<Ack>,
        work: &mut VecDeque<After>,
    ) -> Result<(), Refused> {
        self.step_live_with(shard, id, kind, ack, Vec::new(), work)
    }

    /// Gives an event to an execution in memory; `changes` are written with it, in one batch.
    pub(super) fn step_live_with(
        self: &Arc<Self>,
        shard: &mut Shard,
        id: ExecutionId,
        kind: EventKind,
        ack: Option<Ack>,
        mut changes: Vec<Change>,
        work: &mut VecDeque<After>,
    ) -> Result<(), Refused> {
        let live = shard.live.get_mut(&id).ok_or(Refused::NotOpen)?;
        let now = self.clock.now();
        if matches!(kind, EventKind::TimePassed) {
            let deadline = live.execution.next_deadline();
            if deadline.is_none_or(|at| now < at) {
                // The deadline has moved, or the store's was older than the one in memory.
                if let Some(at) = deadline {
                    self.timers.arm(at, id);
                }
                self.let_go(shard, id);
                return Ok(());
            }
        }
        let kind = self.unless_deleted(&live.record, kind);
        let is_kept = keeps(&live.record);
        let stepped = live.step(now, kind, is_kept && self.store.is_durable())?;
        for command in &stepped.commands {
            if let Command::MapRunChanged(record) = command {
                changes.extend(map_runs::changes(id, record));
            }
        }
        let mut after = After::new(id, Arc::clone(&live.record), stepped.commands);
        after.ack = ack;
        after.deadline = stepped.deadline;
        after.turn = live.turn.take();
        if let (Some(logging), Some(transition)) = (&live.logging, &stepped.transition) {
            after.log = logging.batch(&live.record, &transition.history);
        }
        if stepped.has_ended {
            // It stays in memory until the store has its end: from the store it would come back as open.
            after.has_ended = true;
            after.waiters = std::mem::take(&mut live.waiters);
            after.jobs = std::mem::take(&mut live.jobs);
        }
        if stepped.transition.is_some() {
            live.n_in_flight += 1;
            after.is_counted = true;
        }
        self.measures.transitions.inc();
        if stepped.has_ended {
            self.measures.ended(live.record.status);
            self.note_end(&live.record);
        }
        match stepped.transition.filter(|_| is_kept) {
            Some(transition) => {
                changes.push(Change::Transition(Box::new(transition)));
                let batch = changes;
                if self.store.is_durable() {
                    let host = Arc::clone(self);
                    // Under the shard's lock, so that the store sees the steps in their order.
                    self.submit(batch, move |result| {
                        after.committed(&result);
                        let _ = host.inbox.send(after);
                    });
                } else {
                    self.store.submit(batch, Box::new(|_| {}));
                    after.committed(&Ok(()));
                    work.push_back(after);
                }
            }
            None => {
                after.committed(&Ok(()));
                work.push_back(after);
            }
        }
        Ok(())
    }

    /// Reads an open execution from the store. With what must be issued again when an earlier process had it.
    pub(super) fn load(self: &Arc<Self>, id: ExecutionId) -> Result<(Live, Option<After>), Refused> {
        let mut live = self.restore(id, |status| status == ExecutionStatus::Running)?;
        let is_left_over = lock(&self.to_resume).remove(&id);
        let after = is_left_over.then(|| {
            // The last beats before the crash were not written: each worker gets its whole time again.
            live.beat(self.clock.now());
            let mut after = After::new(id, Arc::clone(&live.record), live.outstanding());
            after.is_again = true;
            // Nobody may take it out of memory before its work is issued.
            live.n_in_flight += 1;
            after.is_counted = true;
            after.deadline = live.execution.next_deadline();
            after.committed(&Ok(()));
            after
        });
        Ok((live, after))
    }

    /// Reads an execution from the store, if it stands as it should.
    pub(super) fn restore(&self, id: ExecutionId, fits: fn(ExecutionStatus) -> bool) -> Result<Live, Refused> {
        let loaded = self.store.load(id)?.ok_or(Refused::NotOpen)?;
        if !fits(loaded.record.status) {
            return Err(Refused::NotOpen);
        }
        let facts = Arc::clone(&loaded.record.facts);
        let definition = self.definition(&facts.definition, facts.machine_type == MachineType::Express)?;
        let mut live = Live::restore(definition, loaded)?;
        live.answers = self.answers(&facts);
        live.logging = self.logging(&facts);
        Ok(live)
    }

    /// Takes an execution out of memory when nothing here needs it for a while.
    pub(super) fn let_go(&self, shard: &mut Shard, id: ExecutionId) {
        let Some(live) = shard.live.get(&id) else {
            return;
        };
        if live.record.status != ExecutionStatus::Running {
            // Until the store has its end it would come back as open.
            if live.n_in_flight == 0 {
                shard.live.remove(&id);
            }
            return;
        }
        let soon = self.clock.now().plus_millis(SOON_MILLIS);
        let is_soon = live.execution.next_deadline().is_some_and(|at| at < soon);
        if self.store.is_durable() && keeps(&live.record) && live.is_idle() && !is_soon {
            shard.live.remove(&id);
        }
    }
}

async fn answered(receiver: oneshot::Receiver<Result<(), StoreError>>) -> Result<(), StoreError> {
    receiver
        .await
        .unwrap_or_else(|_| Err(StoreError::Stopped("the writer has ended".into())))
}

/// Told when an event is safe.
pub(super) type Ack = oneshot::Sender<Result<Arc<ExecutionRecord>, StoreError>>;

/// Tells whether an execution's steps are stored. Express executions are in memory only; of a Map Run's children the
/// records are stored once they have ended.
pub(super) fn keeps(record: &ExecutionRecord) -> bool {
    record.facts.machine_type == MachineType::Standard
}

#[cfg(test)]
mod tests;
