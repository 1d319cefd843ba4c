//! One execution: the kernel's door.

use std::sync::Arc;

use serde_json::Value;

use crate::asl::definition::Definition;
use crate::kernel::core::Core;
use crate::kernel::core::Cx;
use crate::kernel::event::ChildOutcome;
use crate::kernel::event::Command;
use crate::kernel::event::Event;
use crate::kernel::event::EventKind;
use crate::kernel::event::FinishedChild;
use crate::kernel::event::Illegal;
use crate::kernel::event::Outbox;
use crate::kernel::event::Start;
use crate::kernel::event::Status;
use crate::kernel::event::WantedResult;
use crate::kernel::frame::Step;
use crate::kernel::map_run::state::MapRun;
use crate::model::entropy::Entropy;
use crate::model::history_event::HistoryEventKind;
use crate::model::id::ChildId;
use crate::model::id::EventId;
use crate::model::id::MapRunId;
use crate::model::id::StateId;
use crate::model::id::TaskId;
use crate::model::map_run_record::MapRunRecord;
use crate::model::payload::Payload;
use crate::model::quota::EXPRESS_SECONDS_MAX;
use crate::model::quota::Quotas;
use crate::model::quota::STANDARD_SECONDS_MAX;
use crate::model::states_error::StatesError;
use crate::model::timestamp::Timestamp;

/// The version that a snapshot begins with.
const SNAPSHOT_VERSION: u8 = 3;

/// Turns that an EXPRESS execution takes without waiting, at most. AWS has no limit of events there and ends a loop
/// after five minutes; here no time passes, so the loop must end otherwise.
const TURNS_MAX: u64 = 250_000;

/// One execution of a definition.
pub struct Execution {
    definition: Arc<Definition>,
    core: Core,
}

/// Why a snapshot cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// It was written by a version that this one does not know.
    #[error("the snapshot has version {0}, this program reads version {SNAPSHOT_VERSION}")]
    Version(u8),
    /// It is damaged.
    #[error("the snapshot is damaged")]
    Damaged(#[source] serde_json::Error),
    /// It is empty.
    #[error("the snapshot is empty")]
    Empty,
}

impl Execution {
    /// Makes an execution that has not started.
    pub fn new(definition: Arc<Definition>) -> Self {
        Self {
            definition,
            core: Core::new(),
        }
    }

    /// Lets it tell of redrives before its start.
    #[must_use]
    pub fn redriven(mut self, redrive_count: u32) -> Self {
        self.core.redrive_count = redrive_count;
        self
    }

    /// Reads a snapshot back.
    ///
    /// # Errors
    /// The snapshot is damaged or of another version.
    pub fn restore(definition: Arc<Definition>, snapshot: &[u8]) -> Result<Self, SnapshotError> {
        match snapshot.split_first() {
            None => Err(SnapshotError::Empty),
            Some((&SNAPSHOT_VERSION, rest)) => {
                let core = serde_json::from_slice(rest).map_err(SnapshotError::Damaged)?;
                Ok(Self { definition, core })
            }
            Some((&version, _)) => Err(SnapshotError::Version(version)),
        }
    }

    /// Applies one event and runs until every frame waits.
    ///
    /// # Errors
    /// The event does not fit; nothing has changed.
    pub fn advance(&mut self, event: &Event, out: &mut dyn Outbox) -> Result<(), Illegal> {
        self.check(event)?;
        let mut cx = Cx {
            definition: &self.definition,
            core: &mut self.core,
            out,
        };
        cx.core.now = event.at;
        match &event.kind {
            EventKind::Start(start) => cx.start(start),
            EventKind::Stop(error) => cx.end(EventId::NONE, Status::Aborted(error.clone())),
            EventKind::MachineDeleted => cx.machine_deleted(),
            EventKind::Redrive => cx.redrive(),
            EventKind::TimePassed => cx.time_passed(),
            EventKind::TaskStarted { task, worker_name } => cx.task_started(*task, worker_name.clone()),
            EventKind::TaskSubmitted { task, output } => cx.task_submitted(*task, output),
            EventKind::TaskHeartbeat { task } => cx.task_heartbeat(*task),
            EventKind::TaskSucceeded { task, output } => cx.task_succeeded(*task, output),
            EventKind::TaskFailed { task, error } => cx.task_failed(*task, error),
            EventKind::TaskTimedOut { task, error } => cx.task_timed_out(*task, error),
            EventKind::ChildrenFinished { children } => cx.children_finished(children),
            EventKind::ItemsRead {
                map_run,
                items,
                is_last,
            } => cx.items_read(*map_run, items, *is_last),
            EventKind::ItemsFailed { map_run, error } => cx.items_failed(*map_run, error),
            EventKind::ResultsWritten { map_run, result } => cx.results_written(*map_run, result),
            EventKind::ResultsFailed { map_run, error } => cx.results_failed(*map_run, error),
            EventKind::MapRunUpdated {
                map_run,
                max_concurrency,
                tolerated_count,
                tolerated_percentage,
            } => cx.update_map_run(*map_run, *max_concurrency, *tolerated_count, *tolerated_percentage),
        }
        cx.run_to_quiet();
        Ok(())
    }

    /// Re-issues the commands that are still open, after a restart.
    pub fn outstanding(&self, out: &mut dyn Outbox) {
        for frame in self.core.frames.iter().flatten() {
            match &frame.step {
                Step::Task(open) => {
                    let state = self.definition.state(frame.state);
                    out.command(Command::StartTask(crate::kernel::state::task::command(
                        &self.core, state, frame, open,
                    )));
                }
                Step::MapRun(run) => run.outstanding(&self.definition, frame.state, out),
                _ => {}
            }
        }
    }

    /// Returns the next instant at which `TimePassed` must be given.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let timer = self.core.timers.first().map(|(at, _)| *at);
        match (timer, self.core.timeout_at) {
            (Some(timer), Some(timeout)) => Some(timer.min(timeout)),
            (timer, timeout) => timer.or(timeout),
        }
    }

    /// Writes the whole state down.
    pub fn snapshot(&self) -> Vec<u8> {
        let mut bytes = vec![SNAPSHOT_VERSION];
        serde_json::to_writer(&mut bytes, &self.core).expect("the core is made of serializable parts");
        bytes
    }

    /// Returns how it stands.
    pub fn status(&self) -> &Status {
        &self.core.status
    }

    /// Returns the number of history events written so far.
    pub fn n_history_events(&self) -> u64 {
        self.core.last_event.0
    }

    /// Tells whether work outside is open: tasks or Map Runs.
    pub fn is_busy(&self) -> bool {
        !self.core.tasks.is_empty() || !self.core.map_runs.is_empty()
    }

    /// Returns how a Map Run stands that has not ended.
    pub fn map_run(&self, arn: &str) -> Option<MapRunRecord> {
        let runs = self
            .core
            .map_runs
            .values()
            .filter_map(|frame| self.core.map_run(*frame));
        runs.into_iter()
            .find(|run| *run.arn == *arn)
            .map(|run| run.record(&self.core, None))
    }

    /// Returns what a Map Run is told of this execution, its child, once it has ended.
    pub fn finished(&self, child: ChildId, wanted: WantedResult) -> Option<FinishedChild> {
        let (outcome, output, error) = match &self.core.status {
            Status::New | Status::Running => return None,
            Status::Succeeded(output) => (ChildOutcome::Succeeded, Some(output), None),
            Status::Failed(error) => (ChildOutcome::Failed, None, Some(error)),
            Status::TimedOut(_) => (ChildOutcome::TimedOut, None, None),
            Status::Aborted(error) => (ChildOutcome::Aborted, None, Some(error)),
        };
        let result = match wanted {
            WantedResult::Nothing => None,
            WantedResult::Output => output.cloned(),
            WantedResult::Record => Some(self.child_record(outcome, output, error)),
        };
        Some(FinishedChild { child, outcome, result })
    }

    /// A child as `ResultWriter` shows it with `Transformation: NONE`.
    fn child_record(&self, outcome: ChildOutcome, output: Option<&Payload>, error: Option<&StatesError>) -> Payload {
        let start = self.core.start();
        let details = serde_json::json!({ "Included": true });
        let mut map = serde_json::Map::new();
        let mut put = |name: &str, value: Value| map.insert(name.to_owned(), value);
        if let Some(cause) = error.and_then(|error| error.cause.as_deref()) {
            put("Cause", cause.into());
        }
        if let Some(name) = error.and_then(|error| error.name.as_deref()) {
            put("Error", name.into());
        }
        put("ExecutionArn", (&*start.execution_arn).into());
        put("Input", start.input.text().into());
        put("InputDetails", details.clone());
        put("Name", (&*start.name).into());
        if let Some(output) = output {
            put("Output", output.text().into());
            put("OutputDetails", details);
        }
        put("RedriveCount", self.core.redrive_count.into());
        let status = outcome.as_str();
        let is_success = outcome == ChildOutcome::Succeeded;
        put(
            "RedriveStatus",
            if is_success {
                "NOT_REDRIVABLE"
            } else {
                "REDRIVABLE_BY_MAP_RUN"
            }
            .into(),
        );
        if is_success {
            put(
                "RedriveStatusReason",
                format!("Execution is {status} and cannot be redriven").into(),
            );
        }
        put("StartDate", self.core.started_at.to_string().into());
        put("StateMachineArn", (&*start.state_machine_arn).into());
        put("Status", status.into());
        put("StopDate", self.core.now.to_string().into());
        Payload::new(Value::Object(map))
    }

    /// Returns what a child's Map Run keeps of its end; `None` when nobody waits for it.
    pub fn wanted_result(&self, child: ChildId) -> Option<WantedResult> {
        let frame = self.core.children.get(&child)?;
        self.core.map_run(*frame).map(MapRun::wanted_result)
    }

    /// Returns the Map state of a Map Run that is under way.
    pub fn map_run_state(&self, map_run: MapRunId) -> Option<StateId> {
        let frame = self.core.map_runs.get(&map_run)?;
        Some(self.core.frame(*frame).state)
    }

    /// Tells whether a task waits for its answer.
    pub fn is_open(&self, task: TaskId) -> bool {
        self.core.tasks.contains_key(&task)
    }

    /// Tells whether a `Redrive` would be taken.
    pub fn is_redrivable(&self) -> bool {
        self.core.is_redrivable()
    }

    /// Returns how often it was redriven.
    pub fn redrive_count(&self) -> u32 {
        self.core.redrive_count
    }

    /// Returns the time of the last event.
    pub fn now(&self) -> Timestamp {
        self.core.now
    }

    /// Returns the facts it started with, once it has.
    pub fn start_facts(&self) -> Option<&Start> {
        self.core.start.as_ref()
    }

    /// Returns the definition.
    pub fn definition(&self) -> &Arc<Definition> {
        &self.definition
    }

    fn check(&self, event: &Event) -> Result<(), Illegal> {
        let is_start = matches!(event.kind, EventKind::Start(_));
        let is_redrive = matches!(event.kind, EventKind::Redrive);
        match self.core.status {
            Status::New => return if is_start { Ok(()) } else { Err(Illegal::Start) },
            Status::Running => {}
            _ if is_redrive => {}
            _ => return Err(Illegal::Ended),
        }
        if event.at < self.core.now {
            return Err(Illegal::TimeWentBack);
        }
        match &event.kind {
            EventKind::Start(_) => Err(Illegal::Start),
            EventKind::Redrive => match self.core.is_redrivable() {
                true => Ok(()),
                false => Err(Illegal::NotRedrivable),
            },
            EventKind::Stop(_) | EventKind::MachineDeleted | EventKind::TimePassed => Ok(()),
            EventKind::TaskStarted { task, .. }
            | EventKind::TaskSubmitted { task, .. }
            | EventKind::TaskHeartbeat { task }
            | EventKind::TaskSucceeded { task, .. }
            | EventKind::TaskFailed { task, .. }
            | EventKind::TaskTimedOut { task, .. } => match self.core.tasks.contains_key(task) {
                true => Ok(()),
                false => Err(Illegal::NoSuchTask(*task)),
            },
            EventKind::ChildrenFinished { children } => {
                let is_open = |finished: &FinishedChild| self.core.children.contains_key(&finished.child);
                children.iter().any(is_open).then_some(()).ok_or(Illegal::NoSuchChild)
            }
            EventKind::ItemsRead { map_run, .. } | EventKind::ItemsFailed { map_run, .. } => {
                self.check_map_run(*map_run, MapRun::is_reading)
            }
            EventKind::ResultsWritten { map_run, .. } | EventKind::ResultsFailed { map_run, .. } => {
                self.check_map_run(*map_run, MapRun::is_writing)
            }
            EventKind::MapRunUpdated { map_run, .. } => self.check_map_run(*map_run, |_| true),
        }
    }

    fn check_map_run(&self, map_run: MapRunId, fits: impl Fn(&MapRun) -> bool) -> Result<(), Illegal> {
        let frame = self.core.map_runs.get(&map_run);
        let run = frame.and_then(|frame| self.core.map_run(*frame));
        match run.is_some_and(fits) {
            true => Ok(()),
            false => Err(Illegal::NoSuchMapRun(map_run)),
        }
    }
}

impl Cx<'_> {
    fn start(&mut self, start: &Start) {
        self.core.status = Status::Running;
        self.core.started_at = self.core.now;
        self.core.entropy = std::cell::RefCell::new(Entropy::new(start.seed));
        self.core.start = Some(start.clone());
        let input = start.input.clone();
        self.write_started();
        self.start_clock();
        // AWS chains the first StateEntered to 0, not to ExecutionStarted (recorded).
        let first = self.definition.block(start.block).start_at;
        self.spawn(None, first, input, EventId::NONE);
    }

    fn write_started(&mut self) {
        let start = self.core.start();
        let kind = HistoryEventKind::ExecutionStarted {
            input: start.input.clone(),
            role_arn: start.role_arn.clone(),
            version_arn: start.version_arn.clone(),
            alias_arn: start.alias_arn.clone(),
        };
        self.history(EventId::NONE, kind);
    }

    /// Starts the machine's `TimeoutSeconds`, anew after a redrive; the quota counts from the start.
    pub(super) fn start_clock(&mut self) {
        let start = self.core.start();
        // A child execution has the quota alone.
        let own = self.definition.timeout_seconds.filter(|_| start.block.0 == 0);
        let quota = match (start.quotas, start.express) {
            (Quotas::Off, _) => None,
            (Quotas::Aws, true) => Some(EXPRESS_SECONDS_MAX),
            (Quotas::Aws, false) => Some(STANDARD_SECONDS_MAX),
        };
        let after = |at: Timestamp, seconds: u64| at.plus_millis(seconds.saturating_mul(1000));
        let own = own.map(|seconds| after(self.core.now, seconds));
        let quota = quota.map(|seconds| after(self.core.started_at, seconds));
        self.core.timeout_at = own.into_iter().chain(quota).min();
    }

    fn machine_deleted(&mut self) {
        let machine = &self.core.start().state_machine_name;
        let machine = machine.split('/').next().unwrap_or_default();
        let cause = format!("State machine {machine} has been deleted");
        // Where AWS chains it to is not known: the last event is right wherever only one thing runs.
        let previous = self.core.last_event;
        self.end(previous, Status::Failed(StatesError::new("States.Runtime", cause)));
    }

    fn time_passed(&mut self) {
        if self.core.timeout_at.is_some_and(|at| at <= self.core.now) {
            self.end(EventId::NONE, Status::TimedOut(StatesError::named("States.Timeout")));
            return;
        }
        while let Some((at, frame)) = self.core.timers.first().copied() {
            if at > self.core.now {
                break;
            }
            self.core.timers.pop_first();
            match &self.core.frame(frame).step {
                Step::Task(_) => self.task_expired(frame),
                Step::Waiting { .. } => self.core.ready.push_back(frame),
                Step::Pause { .. } => {
                    self.core.frame_mut(frame).step = Step::Work;
                    self.core.ready.push_back(frame);
                }
                _ => {}
            }
        }
    }

    /// Empties the ready queue: one state's step at a time, so that branches take turns.
    fn run_to_quiet(&mut self) {
        let mut n_turns = 0;
        while self.core.status == Status::Running {
            n_turns += 1;
            if n_turns > TURNS_MAX && self.core.quotas() == Quotas::Aws && self.core.start().express {
                self.end(EventId::NONE, Status::TimedOut(StatesError::named("States.Timeout")));
                break;
            }
            let Some(frame) = self.core.ready.pop_front() else {
                return;
            };
            self.turn(frame);
        }
        self.settle();
    }
}
