//! The background of a host: timers, workers' reports, commits that came back, and what an earlier process left.

use std::collections::HashSet;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::host::Closing;
use crate::engine::host::Feeds;
use crate::engine::host::Host;
use crate::engine::host::lock;
use crate::engine::live::Live;
use crate::engine::timers::HORIZON_MILLIS;
use crate::model::execution_record::ExecutionId;
use crate::model::id::TaskId;
use crate::model::timestamp::Timestamp;
use crate::store::StoreError;
use crate::worker::Message;

/// Rows that are read at a time.
const PAGE: usize = 10_000;
/// Longest single sleep: the system's clock may be put forward meanwhile.
const SLEEP_MAX: Duration = Duration::from_secs(10);

impl Host {
    /// Finds what an earlier process left open. Quick: only numbers are read.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn recover(&self) -> Result<(), StoreError> {
        let mut after = ExecutionId(0);
        loop {
            let page = self.store.busy(after, PAGE)?;
            let Some(last) = page.last() else {
                break;
            };
            after = *last;
            lock(&self.to_resume).extend(page);
        }
        self.read_ahead()
    }

    /// Runs the background until the runtime ends.
    pub fn serve(self: &Arc<Self>, mut feeds: Feeds) {
        let host = Arc::clone(self);
        tokio::spawn(async move {
            while let Some(after) = feeds.inbox.recv().await {
                let mut work = VecDeque::from([after]);
                while let Ok(after) = feeds.inbox.try_recv() {
                    work.push_back(after);
                }
                host.drain(work);
            }
        });
        let host = Arc::clone(self);
        tokio::spawn(async move {
            while let Some(message) = feeds.messages.recv().await {
                host.take(message);
            }
        });
        let host = Arc::clone(self);
        tokio::spawn(async move { host.wake().await });
        let host = Arc::clone(self);
        tokio::task::spawn_blocking(move || host.resume());
        tokio::spawn(Arc::clone(self).resume_rollbacks());
        let host = Arc::clone(self);
        tokio::spawn(async move {
            for arn in host.registry.deleting() {
                // When this fails the store has stopped, and the next start does it.
                let _ = host.bury_machine(&arn).await;
            }
        });
    }

    /// Sends away whoever waits for a task of an activity.
    pub fn send_away(&self) {
        self.closing.send_replace(Closing::NoWaiting);
    }

    /// Ends the work here: from now on no task begins, and no report counts, so that what is open stays open and is
    /// issued again by the next process. Returns when all that was accepted before is safe.
    ///
    /// # Errors
    /// The store has stopped.
    pub async fn rest(self: &Arc<Self>) -> Result<(), StoreError> {
        self.closing.send_replace(Closing::Resting);
        self.site.nursery.end_all().await;
        self.catch_up().await
    }

    fn take(self: &Arc<Self>, message: Message) {
        if *self.closing.borrow() == Closing::Resting {
            return;
        }
        match message {
            Message::Event { execution, kind } => {
                // A report can cross its cancellation.
                let _ = self.give(ExecutionId(execution), kind, None);
            }
            Message::Over { execution, task, ran } => {
                if let Some(ran) = ran {
                    let rung = ran.rung.number();
                    tracing::debug!(execution, %task, ran.pid, rung, %ran.user, "A task's process has ended.");
                }
                self.over(ExecutionId(execution), task);
            }
            Message::Log { execution, state, line } => {
                let id = ExecutionId(execution);
                let shard = self.shard(id);
                if let Some(live) = shard.live.get(&id) {
                    let execution = &*live.record.facts.arn;
                    tracing::info!(execution, state = &*state, line, "A task wrote a line.");
                }
            }
        }
    }

    fn over(&self, id: ExecutionId, task: TaskId) {
        let mut shard = self.shard(id);
        if let Some(live) = shard.live.get_mut(&id) {
            live.jobs.remove(&task);
        }
        self.let_go(&mut shard, id);
    }

    async fn wake(self: &Arc<Self>) {
        let mut read_until = self.clock.now();
        while *self.closing.borrow() != Closing::Resting {
            let now = self.clock.now();
            for (id, kind) in self.timers.due(now) {
                // The execution may have gone on or ended meanwhile.
                let _ = self.give(id, kind, None);
            }
            if read_until.plus_millis(HORIZON_MILLIS / 2) <= now {
                // Nothing is lost when this fails: the next round reads again.
                if self.read_ahead().is_ok() {
                    read_until = now;
                }
            }
            let pause = self
                .timers
                .next()
                .map_or(SLEEP_MAX, |at| self.clock.until(at).min(SLEEP_MAX));
            if self.skip_time
                && !pause.is_zero()
                && let Some(next) = self.timers.next()
                && self.is_quiet()
            {
                self.clock.skip_to(next);
                continue;
            }
            if pause.is_zero() {
                tokio::task::yield_now().await;
                continue;
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.timers.changed() => {}
            }
        }
    }

    /// Tells whether nothing is being done: all executions only wait for time or for answers from outside.
    fn is_quiet(&self) -> bool {
        let is_quiet = |live: &Live| live.n_in_flight == 0 && live.jobs.is_empty();
        let (mut here, mut children) = (HashSet::new(), Vec::new());
        for shard in &self.shards {
            let shard = lock(shard);
            if !shard.live.values().all(is_quiet) {
                return false;
            }
            here.extend(shard.live.keys().copied());
            children.extend(shard.live.values().flat_map(|live| live.children.values().copied()));
        }
        // A child that is not there is about to begin, or has ended and its parent is about to hear of it.
        children.iter().all(|child| here.contains(child))
    }

    /// Brings the deadlines of the next minutes into memory.
    fn read_ahead(&self) -> Result<(), StoreError> {
        let horizon = match self.skip_time {
            true => Timestamp(i64::MAX),
            false => self.clock.now().plus_millis(HORIZON_MILLIS),
        };
        self.timers.set_horizon(horizon);
        let mut limit = PAGE;
        loop {
            let page = self.store.due_timers(horizon, limit)?;
            if page.len() < limit {
                for (at, id) in page {
                    self.timers.arm(at, id);
                }
                return Ok(());
            }
            limit = limit.saturating_mul(4);
        }
    }

    /// Issues again what an earlier process had open.
    fn resume(self: &Arc<Self>) {
        let mut ids: Vec<ExecutionId> = lock(&self.to_resume).iter().copied().collect();
        ids.sort_unstable();
        let mut n_resumed = 0_u64;
        for id in ids {
            let mut work = VecDeque::new();
            {
                let mut shard = self.shard(id);
                if shard.live.contains_key(&id) {
                    continue;
                }
                match self.load(id) {
                    Ok((live, after)) => {
                        shard.live.insert(id, live);
                        work.extend(after);
                    }
                    Err(error) => {
                        tracing::error!(%id, %error, "An open execution cannot be resumed.");
                        continue;
                    }
                }
            }
            n_resumed += 1;
            self.drain(work);
        }
        if 0 < n_resumed {
            tracing::info!(n_resumed, "The tasks of open executions are issued again.");
        }
    }
}
