//! One execution with its children, from the first event to the last process.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::asl::definition::Definition;
use crate::asl::definition::StateKind;
use crate::engine::clock::Clock;
use crate::engine::observer::Observer;
use crate::kernel::event::Command;
use crate::kernel::event::Event;
use crate::kernel::event::EventKind;
use crate::kernel::event::Illegal;
use crate::kernel::event::Outbox;
use crate::kernel::event::Start;
use crate::kernel::event::StartTask;
use crate::kernel::event::Status;
use crate::kernel::execution::Execution;
use crate::model::entropy::Entropy;
use crate::model::history_event::HistoryEvent;
use crate::model::id::ChildId;
use crate::model::id::TaskId;
use crate::model::payload::Payload;
use crate::model::principal::Principal;
use crate::model::states_error::StatesError;
use crate::model::timestamp::Timestamp;
use crate::sim::driver::Tasks;
use crate::sim::mock_config::MockTasks;
use crate::worker;
use crate::worker::Cancel;
use crate::worker::Job;
use crate::worker::Message;
use crate::worker::Site;

/// The number of the execution that was asked for; its children count on.
const ROOT: u64 = 0;
/// Longest single sleep: the system's clock may be put forward meanwhile.
const SLEEP_MAX: Duration = Duration::from_secs(60);
/// Jobs that run at the same time, at most.
const JOBS_MAX: u64 = 256;
/// Open files of one job: three pipes and a handle of its process.
const FILES_PER_JOB: u64 = 4;
/// Open files of everything else: the runtime, the streams, a process being started.
const FILES_BESIDES: u64 = 32;

/// How to run.
pub struct Options {
    /// Jump over waits and retry pauses.
    pub skip_time: bool,
    /// What the tasks share.
    pub site: Arc<Site>,
    /// Answers that replace tasks.
    pub mocks: Option<MockTasks>,
    /// Who runs it.
    pub started_by: Option<Arc<Principal>>,
    /// The SHA-256 of the definition, for records.
    pub definition_hash: Option<Arc<str>>,
}

/// How a run ended.
#[derive(Debug)]
pub struct Outcome {
    /// The execution's status.
    pub status: Status,
    /// The signal that interrupted it.
    pub interrupted: Option<i32>,
}

/// The wish to stop.
#[derive(Debug)]
pub struct Interrupt {
    /// The signal that tells it.
    pub signal: i32,
    /// The error pair of the stopped execution.
    pub error: StatesError,
}

/// Why a run broke off.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The kernel refused an event that the engine thought legal.
    #[error("an event was refused: {0}")]
    Illegal(#[from] Illegal),
    /// A worker panicked.
    #[error("a worker panicked: {0}")]
    Worker(String),
    /// Nothing can happen any more.
    #[error("the execution waits for something that cannot come")]
    Stuck,
}

/// One execution of the run.
struct Running {
    execution: Execution,
    /// What children inherit; the input is not kept.
    start: Start,
    /// The children's seeds.
    chance: Entropy,
    parent: Option<(u64, ChildId)>,
    deadline: Option<Timestamp>,
    children: BTreeMap<ChildId, u64>,
}

/// A task attempt at work.
struct Open {
    // Dropping it cancels, too.
    cancel: Option<oneshot::Sender<()>>,
}

/// Runs executions.
pub struct Engine<'a> {
    definition: Arc<Definition>,
    options: Options,
    observer: &'a mut dyn Observer,
    clock: Clock,
    running: BTreeMap<u64, Running>,
    next: u64,
    deadlines: BTreeSet<(Timestamp, u64)>,
    queue: VecDeque<(u64, EventKind)>,
    /// Mocked reports by time, place in their task's reports, and order of planning: tasks that start together
    /// take turns.
    planned: BTreeMap<(Timestamp, usize, u64), (u64, EventKind)>,
    plans: u64,
    /// Tasks that wait for a free place, and their order. A cancelled one leaves its place in the order.
    pending: BTreeMap<(u64, TaskId), StartTask>,
    pending_order: VecDeque<(u64, TaskId)>,
    open: BTreeMap<(u64, TaskId), Open>,
    jobs: JoinSet<()>,
    jobs_max: usize,
    sender: mpsc::UnboundedSender<Message>,
    receiver: mpsc::UnboundedReceiver<Message>,
    ended: Option<Status>,
}

struct Collect<'a> {
    commands: Vec<Command>,
    observer: &'a mut dyn Observer,
    is_child: bool,
}

impl Outbox for Collect<'_> {
    fn command(&mut self, command: Command) {
        self.commands.push(command);
    }

    fn history(&mut self, event: HistoryEvent) {
        self.observer.history(&event, self.is_child);
    }
}

impl<'a> Engine<'a> {
    /// Makes an engine for one run.
    pub fn new(definition: Arc<Definition>, options: Options, observer: &'a mut dyn Observer) -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        Self {
            definition,
            options,
            observer,
            clock: Clock::default(),
            running: BTreeMap::new(),
            next: ROOT,
            deadlines: BTreeSet::new(),
            queue: VecDeque::new(),
            planned: BTreeMap::new(),
            plans: 0,
            pending: BTreeMap::new(),
            pending_order: VecDeque::new(),
            open: BTreeMap::new(),
            jobs: JoinSet::new(),
            jobs_max: jobs_max(rustix::process::getrlimit(rustix::process::Resource::Nofile).current),
            sender,
            receiver,
            ended: None,
        }
    }

    /// Starts the execution and runs it as far as it goes without waiting.
    ///
    /// Returns its status when that was all.
    ///
    /// # Errors
    /// The kernel refused an event.
    pub fn start(&mut self, start: Start) -> Result<Option<Status>, RunError> {
        self.begin(start, None);
        self.apply_all(false)?;
        Ok(self.ended.clone())
    }

    fn begin(&mut self, start: Start, parent: Option<(u64, ChildId)>) {
        let number = self.next;
        self.next += 1;
        self.queue.push_back((number, EventKind::Start(start.clone())));
        self.running.insert(
            number,
            Running {
                execution: Execution::new(Arc::clone(&self.definition)),
                // The children's seeds must not repeat the execution's own draws.
                chance: Entropy::new(start.seed.rotate_left(32) ^ 0x6368_696c_6472_656e),
                start: Start {
                    input: Payload::new(serde_json::Value::Null),
                    ..start
                },
                parent,
                deadline: None,
                children: BTreeMap::new(),
            },
        );
        if let Some((parent, child)) = parent
            && let Some(parent) = self.running.get_mut(&parent)
        {
            parent.children.insert(child, number);
        }
    }

    /// Goes on until the execution has ended and nothing of it is left. `interrupt` gives one item per signal.
    ///
    /// # Errors
    /// The kernel refused an event, or nothing can happen any more.
    pub async fn finish(&mut self, mut interrupt: mpsc::Receiver<Interrupt>) -> Result<Outcome, RunError> {
        let mut interrupted = None;
        let result = loop {
            if let Err(error) = self.apply_all(true) {
                break Err(error);
            }
            if let Some(status) = self.ended.take() {
                break Ok(status);
            }
            self.observer.waiting();
            match self.wait(&mut interrupt).await {
                Ok(None) => {}
                Ok(Some(interrupt)) => {
                    interrupted = Some(interrupt.signal);
                    self.queue.push_back((ROOT, EventKind::Stop(interrupt.error)));
                }
                Err(error) => break Err(error),
            }
        };
        self.open.clear();
        self.pending.clear();
        while self.jobs.join_next().await.is_some() {}
        self.options.site.nursery.end_all().await;
        self.drain_logs();
        result.map(|status| Outcome { status, interrupted })
    }

    /// Waits for the next thing to happen; returns the reason to stop when it was a signal.
    async fn wait(&mut self, interrupt: &mut mpsc::Receiver<Interrupt>) -> Result<Option<Interrupt>, RunError> {
        let due = self.due();
        if due.is_none() && self.open.is_empty() && self.pending.is_empty() {
            return Err(RunError::Stuck);
        }
        if let Some(due) = due {
            let may_skip = self.options.skip_time && self.open.is_empty() && self.pending.is_empty();
            if may_skip {
                self.clock.skip_to(due);
            }
            if self.clock.now() >= due {
                // Signals and reports must get their turn in a machine that never sleeps.
                tokio::task::yield_now().await;
                if let Ok(interrupt) = interrupt.try_recv() {
                    return Ok(Some(interrupt));
                }
                while let Ok(message) = self.receiver.try_recv() {
                    self.take(message);
                }
                self.come_due();
                return Ok(None);
            }
        }
        let pause = due.map_or(SLEEP_MAX, |due| self.clock.until(due).min(SLEEP_MAX));
        tokio::select! {
            Some(interrupt) = interrupt.recv() => return Ok(Some(interrupt)),
            Some(message) = self.receiver.recv() => {
                self.take(message);
                while let Ok(message) = self.receiver.try_recv() {
                    self.take(message);
                }
            }
            Some(ended) = self.jobs.join_next() => {
                if let Err(error) = ended {
                    return Err(RunError::Worker(error.to_string()));
                }
            }
            () = tokio::time::sleep(pause) => self.come_due(),
        }
        Ok(None)
    }

    fn due(&self) -> Option<Timestamp> {
        let deadline = self.deadlines.first().map(|(at, _)| *at);
        let planned = self.planned.first_key_value().map(|((at, ..), _)| *at);
        deadline.into_iter().chain(planned).min()
    }

    /// Queues what is due now.
    fn come_due(&mut self) {
        let now = self.clock.now();
        while let Some(entry) = self.planned.first_entry()
            && entry.key().0 <= now
        {
            self.queue.push_back(entry.remove());
        }
        for (_, number) in self.deadlines.iter().take_while(|(at, _)| *at <= now) {
            self.queue.push_back((*number, EventKind::TimePassed));
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Event { execution, kind } => self.queue.push_back((execution, kind)),
            Message::Log { state, line, .. } => self.observer.log(&state, &line),
            Message::Over { execution, task, .. } => {
                self.open.remove(&(execution, task));
            }
        }
    }

    fn drain_logs(&mut self) {
        while let Ok(message) = self.receiver.try_recv() {
            if let Message::Log { state, line, .. } = message {
                self.observer.log(&state, &line);
            }
        }
    }

    /// Applies all queued events. Without `may_start` the tasks wait for a runtime.
    fn apply_all(&mut self, may_start: bool) -> Result<(), RunError> {
        loop {
            while let Some((number, kind)) = self.queue.pop_front() {
                self.apply(number, &kind)?;
            }
            if !may_start {
                return Ok(());
            }
            while self.jobs.len() < self.jobs_max
                && let Some(key) = self.pending_order.pop_front()
            {
                if let Some(task) = self.pending.remove(&key) {
                    self.start_task(key.0, task);
                }
            }
            if self.queue.is_empty() {
                return Ok(());
            }
        }
    }

    fn apply(&mut self, number: u64, kind: &EventKind) -> Result<(), RunError> {
        let at = self.clock.now();
        let Some(running) = self.running.get_mut(&number) else {
            return Ok(());
        };
        if matches!(kind, EventKind::TimePassed) && running.deadline.is_none_or(|deadline| deadline > at) {
            return Ok(());
        }
        let mut out = Collect {
            commands: Vec::new(),
            observer: self.observer,
            is_child: running.parent.is_some(),
        };
        let event = Event { at, kind: kind.clone() };
        match running.execution.advance(&event, &mut out) {
            Ok(()) => {}
            // A report can cross its cancellation.
            Err(Illegal::NoSuchTask(_) | Illegal::NoSuchChild | Illegal::NoSuchMapRun(_) | Illegal::Ended) => {}
            Err(error) => return Err(error.into()),
        }
        let commands = out.commands;
        let deadline = running.execution.next_deadline();
        if deadline != running.deadline {
            if let Some(old) = running.deadline.take() {
                self.deadlines.remove(&(old, number));
            }
            if let Some(new) = deadline {
                self.deadlines.insert((new, number));
            }
            running.deadline = deadline;
        } else if let (Some(stale), EventKind::TimePassed) = (deadline, kind) {
            // A deadline that stays where it was would be met again and again.
            self.deadlines.remove(&(stale, number));
        }
        let ended = match running.execution.status() {
            Status::New | Status::Running => None,
            status => Some(status.clone()),
        };
        for command in commands {
            self.obey(number, command);
        }
        if let Some(status) = ended {
            self.end(number, status);
        }
        Ok(())
    }

    fn obey(&mut self, number: u64, command: Command) {
        match command {
            Command::StartTask(task) => {
                self.pending_order.push_back((number, task.task));
                self.pending.insert((number, task.task), task);
            }
            Command::CancelTask { task } => {
                self.pending.remove(&(number, task));
                if let Some(open) = self.open.get_mut(&(number, task)) {
                    open.cancel = None;
                }
            }
            Command::StartChild {
                child,
                state,
                block,
                name,
                input,
                ..
            } => {
                let Some(parent) = self.running.get_mut(&number) else {
                    return;
                };
                let seed = parent.chance.next_u64();
                // Nothing is redriven here.
                let input = input.unwrap_or_else(|| Payload::new(serde_json::Value::Null));
                let start = parent.start.of_child(&self.definition, state, block, name, input, seed);
                self.begin(start, Some((number, child)));
            }
            Command::StopChild { child } => {
                let found = self
                    .running
                    .get_mut(&number)
                    .and_then(|parent| parent.children.remove(&child));
                if let Some(child) = found {
                    self.queue.push_back((child, EventKind::Stop(StatesError::default())));
                }
            }
            Command::ReadItems { map_run, .. } => {
                let error = StatesError::new(
                    "States.ItemReaderFailed",
                    "`stepfn run` has no buckets. Pass the items in the state's input, or use `stepfn serve --bucket`.",
                );
                self.queue
                    .push_back((number, EventKind::ItemsFailed { map_run, error }));
            }
            Command::WriteResults { map_run, .. } => {
                let error = StatesError::new(
                    "States.ResultWriterFailed",
                    "`stepfn run` has no buckets. Drop the ResultWriter's Resource, or use `stepfn serve --bucket`.",
                );
                self.queue
                    .push_back((number, EventKind::ResultsFailed { map_run, error }));
            }
            Command::MapRunChanged(_) => {}
        }
    }

    fn end(&mut self, number: u64, status: Status) {
        let Some(running) = self.running.remove(&number) else {
            return;
        };
        if let Some(deadline) = running.deadline {
            self.deadlines.remove(&(deadline, number));
        }
        let tasks = (number, TaskId(0))..=(number, TaskId(u64::MAX));
        while let Some((&key, _)) = self.pending.range(tasks.clone()).next() {
            self.pending.remove(&key);
        }
        for (_, open) in self.open.range_mut(tasks) {
            open.cancel = None;
        }
        for child in running.children.into_values() {
            self.queue.push_back((child, EventKind::Stop(StatesError::default())));
        }
        match running.parent {
            None => self.ended = Some(status),
            Some((parent, child)) => {
                if let Some(parent) = self.running.get_mut(&parent) {
                    parent.children.remove(&child);
                }
                let wanted = self
                    .running
                    .get(&parent)
                    .and_then(|parent| parent.execution.wanted_result(child));
                let finished = wanted.and_then(|wanted| running.execution.finished(child, wanted));
                let children = finished.into_iter().collect();
                self.queue.push_back((parent, EventKind::ChildrenFinished { children }));
            }
        }
    }

    fn start_task(&mut self, number: u64, task: StartTask) {
        if let Some(mocks) = &mut self.options.mocks
            && mocks.mocks(&task.state_name)
        {
            let mut at = self.clock.now();
            for (place, report) in mocks.answer(&task).into_iter().enumerate() {
                at = at.plus_millis(report.delay_millis);
                self.plans += 1;
                self.planned.insert((at, place, self.plans), (number, report.kind));
            }
            return;
        }
        let StateKind::Task(state) = &self.definition.state(task.state).kind else {
            return;
        };
        let Some(running) = self.running.get(&number) else {
            return;
        };
        let key = (number, task.task);
        let parent = running.parent.and_then(|(parent, _)| self.running.get(&parent));
        let job = Job {
            execution_arn: running.start.execution_arn.clone(),
            parent_arn: parent.map(|parent| parent.start.execution_arn.clone()),
            role_arn: running.start.role_arn.clone(),
            started_by: self.options.started_by.clone(),
            state_machine: worker::machine_name(&running.start.state_machine_arn),
            machine_arn: running.start.state_machine_arn.clone(),
            definition: self.options.definition_hash.clone(),
            resource: state.resource.clone(),
            quotas: running.start.quotas,
            site: Arc::clone(&self.options.site),
            task,
        };
        let (sender, cancel) = Cancel::pair();
        self.open.insert(key, Open { cancel: Some(sender) });
        let intent = job.intend();
        self.jobs
            .spawn(worker::carry_out(job, intent, number, self.sender.clone(), cancel));
    }
}

/// Returns how many jobs may run at the same time, so that none lacks a file; `files_max` is `None` without a limit.
fn jobs_max(files_max: Option<u64>) -> usize {
    let jobs = files_max.map_or(JOBS_MAX, |files| files.saturating_sub(FILES_BESIDES) / FILES_PER_JOB);
    usize::try_from(jobs.clamp(1, JOBS_MAX)).unwrap_or(1)
}

/// Runs a future on a fresh single-threaded runtime.
///
/// # Errors
/// The runtime cannot be made.
pub fn block_on<T>(future: impl Future<Output = T>) -> std::io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(future))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_fit_into_the_open_files() {
        for (files_max, jobs) in [
            (None, 256),
            (Some(1_048_576), 256),
            (Some(1024), 248),
            (Some(64), 8),
            (Some(20), 1),
            (Some(0), 1),
        ] {
            assert_eq!(jobs_max(files_max), jobs, "{files_max:?}");
        }
    }
}
