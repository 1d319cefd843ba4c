//! Runs executions on virtual time.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::VecDeque;
use std::sync::Arc;

use crate::asl::definition::Definition;
use crate::kernel::event::Command;
use crate::kernel::event::Event;
use crate::kernel::event::EventKind;
use crate::kernel::event::FinishedChild;
use crate::kernel::event::Outbox;
use crate::kernel::event::ReadItem;
use crate::kernel::event::Start;
use crate::kernel::event::StartTask;
use crate::kernel::event::Status;
use crate::kernel::event::Way;
use crate::kernel::execution::Execution;
use crate::model::entropy::Entropy;
use crate::model::history_event::HistoryEvent;
use crate::model::id::BlockId;
use crate::model::id::ChildId;
use crate::model::id::MapRunId;
use crate::model::id::StateId;
use crate::model::id::TaskId;
use crate::model::payload::Payload;
use crate::model::states_error::StatesError;
use crate::model::timestamp::Timestamp;
use crate::sim::exchange::Exchange;
use crate::sim::exchange::Exchanged;

mod exchange;

/// Answers tasks. The driver gives every answer at `now + delay_millis`.
pub trait Tasks {
    /// Returns the reports of one attempt, in order: typically `TaskStarted`, (`TaskSubmitted`,) then an end.
    fn answer(&mut self, task: &StartTask) -> Vec<Report>;

    /// Reads all items of a Distributed Map. Without more there is no bucket.
    fn read(&mut self, exchange: &Exchange) -> Exchanged<Vec<ReadItem>> {
        let cause = "There are no buckets here. Pass the items in the state's input instead.";
        Exchanged::now(Err(exchange.field.error(cause)))
    }

    /// Writes the results of a Distributed Map; gives the state's result. Without more there is no bucket.
    fn write(&mut self, exchange: &Exchange) -> Exchanged<Payload> {
        let cause = "There are no buckets here. Drop the ResultWriter's Resource to get the results as output.";
        Exchanged::now(Err(exchange.field.error(cause)))
    }
}

/// One report of a task.
#[derive(Clone, Debug)]
pub struct Report {
    /// How long after the report before it (or after the start).
    pub delay_millis: u64,
    /// What.
    pub kind: EventKind,
}

/// How a simulated execution ended.
#[derive(Debug)]
pub struct Outcome {
    /// Its status. `Running` when the event limit was met or, without quotas, nothing more can happen: a task never
    /// answers.
    pub status: Status,
    /// Its history.
    pub history: Vec<HistoryEvent>,
    /// The virtual time of its end.
    pub ended: Timestamp,
    /// The events that the kernel accepted, in order: replaying them gives the same history.
    pub journal: Vec<Event>,
}

/// Sees a simulated execution while it runs.
pub trait Observer {
    /// Sees a history event of the execution.
    fn history(&mut self, event: HistoryEvent);
    /// Sees an event of the execution that the kernel accepted.
    fn journal(&mut self, _event: &Event) {}
    /// Sees which way a state took, of the execution or of a child.
    fn took(&mut self, _state: StateId, _way: Way) {}
    /// Sees a history event of a child execution.
    fn child_history(&mut self, _execution_arn: &Arc<str>, _event: HistoryEvent) {}
}

impl<F: FnMut(HistoryEvent)> Observer for F {
    fn history(&mut self, event: HistoryEvent) {
        self(event);
    }
}

/// Runs one execution, its Distributed Map children included, to its end on virtual time.
pub fn run(definition: &Arc<Definition>, start: Start, at: Timestamp, tasks: &mut dyn Tasks) -> Outcome {
    run_with(definition, start, at, tasks, u64::MAX)
}

/// Runs like `run`, but gives at most `step_limit` events to the kernel, those of child executions included.
pub fn run_with(
    definition: &Arc<Definition>,
    start: Start,
    at: Timestamp,
    tasks: &mut dyn Tasks,
    step_limit: u64,
) -> Outcome {
    let mut record = Record::default();
    let (status, ended) = run_observed(definition, start, at, tasks, step_limit, &mut record);
    Outcome {
        status,
        history: record.history,
        ended,
        journal: record.journal,
    }
}

/// Runs like `run`, and redrives the execution after each of `pauses` in milliseconds, as long as it ends
/// unsuccessfully.
pub fn run_redriven(
    definition: &Arc<Definition>,
    start: Start,
    at: Timestamp,
    tasks: &mut dyn Tasks,
    pauses: &[u64],
) -> Outcome {
    let mut record = Record::default();
    let mut driver = Driver::new(definition, tasks, &mut record, at);
    driver.pauses = pauses.iter().copied().collect();
    let (status, ended) = driver.drive(start);
    Outcome {
        status,
        history: record.history,
        ended,
        journal: record.journal,
    }
}

/// Runs like `run_with`, but hands the history to `observer` (a closure will do) instead of keeping it.
///
/// Returns the status and the virtual time of the end.
pub fn run_observed(
    definition: &Arc<Definition>,
    start: Start,
    at: Timestamp,
    tasks: &mut dyn Tasks,
    step_limit: u64,
    observer: &mut dyn Observer,
) -> (Status, Timestamp) {
    let mut driver = Driver::new(definition, tasks, observer, at);
    driver.steps_left = step_limit;
    driver.drive(start)
}

#[derive(Default)]
struct Record {
    history: Vec<HistoryEvent>,
    journal: Vec<Event>,
}

impl Observer for Record {
    fn history(&mut self, event: HistoryEvent) {
        self.history.push(event);
    }
    fn journal(&mut self, event: &Event) {
        self.journal.push(event.clone());
    }
}

/// One execution in the loop. 0 is the one that was asked for.
type RunId = u64;

const TOP: RunId = 0;

struct Run {
    execution: Execution,
    /// What children inherit; the input is not kept.
    start: Start,
    chance: Entropy,
    /// The execution that waits for this one.
    parent: Option<(RunId, ChildId)>,
    children: BTreeMap<ChildId, RunId>,
    deadline: Option<Timestamp>,
    ended: bool,
}

/// When something is due: the time, then how many reports without delay led to it, then the order of scheduling.
///
/// The round makes tasks that start together take turns, as they do in AWS: all `TaskStarted` come before the
/// first answer.
type Key = (Timestamp, u64, u64);

struct Due {
    run: RunId,
    kind: EventKind,
    /// The task that reports, and its later reports.
    task: Option<(TaskId, VecDeque<Report>)>,
}

struct Driver<'a> {
    definition: &'a Arc<Definition>,
    tasks: &'a mut dyn Tasks,
    observer: &'a mut dyn Observer,
    now: Timestamp,
    round: u64,
    n_scheduled: u64,
    n_runs: u64,
    steps_left: u64,
    queue: BTreeMap<Key, Due>,
    pending: BTreeMap<(RunId, TaskId), Key>,
    deadlines: BTreeSet<(Timestamp, RunId)>,
    runs: BTreeMap<RunId, Run>,
    /// How long after each end the execution is to be redriven.
    pauses: VecDeque<u64>,
    /// Child executions that did not succeed, by ARN, while a redrive may come.
    unsuccessful: BTreeMap<Arc<str>, RunId>,
    /// Items that were read and are still to be given.
    unread: BTreeMap<(RunId, MapRunId), VecDeque<ReadItem>>,
}

impl<'a> Driver<'a> {
    fn new(
        definition: &'a Arc<Definition>,
        tasks: &'a mut dyn Tasks,
        observer: &'a mut dyn Observer,
        at: Timestamp,
    ) -> Self {
        Self {
            definition,
            tasks,
            observer,
            now: at,
            round: 0,
            n_scheduled: 0,
            n_runs: 0,
            steps_left: u64::MAX,
            queue: BTreeMap::new(),
            pending: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            runs: BTreeMap::new(),
            pauses: VecDeque::new(),
            unsuccessful: BTreeMap::new(),
            unread: BTreeMap::new(),
        }
    }

    fn drive(&mut self, start: Start) -> (Status, Timestamp) {
        let top = self.admit(start.clone());
        self.give(top, EventKind::Start(start));
        self.go_on();
        while let Some(pause) = self.pauses.pop_front() {
            self.now = self.now.plus_millis(pause);
            self.round = 0;
            if let Some(run) = self.runs.get_mut(&top) {
                run.ended = false;
            }
            self.give(top, EventKind::Redrive);
            self.go_on();
        }
        let status = match self.runs.get(&top) {
            Some(run) => run.execution.status().clone(),
            None => Status::New,
        };
        (status, self.now)
    }

    fn go_on(&mut self) {
        while self.steps_left > 0 && self.runs.get(&TOP).is_some_and(|run| !run.ended) {
            let report = self.queue.first_key_value().map(|(key, _)| *key);
            let deadline = self.deadlines.first().copied();
            match (report, deadline) {
                (None, None) => break,
                (Some(key), Some((at, run))) if at.max(self.now) < key.0 => self.pass_time(at, run),
                (None, Some((at, run))) => self.pass_time(at, run),
                (Some(key), _) => self.deliver(key),
            }
        }
    }

    fn admit(&mut self, start: Start) -> RunId {
        let id = self.n_runs;
        self.n_runs += 1;
        let run = Run {
            execution: Execution::new(Arc::clone(self.definition)),
            // The children's seeds must not repeat the execution's own draws.
            chance: Entropy::new(start.seed.rotate_left(32) ^ 0x6368_696c_6472_656e),
            start: Start {
                input: Payload::new(serde_json::Value::Null),
                ..start
            },
            parent: None,
            children: BTreeMap::new(),
            deadline: None,
            ended: false,
        };
        self.runs.insert(id, run);
        id
    }

    fn pass_time(&mut self, at: Timestamp, run: RunId) {
        if at > self.now {
            self.now = at;
            self.round = 0;
        }
        self.give(run, EventKind::TimePassed);
        // A deadline that stays where it was would be met again and again.
        if self.runs.get(&run).is_some_and(|run| run.deadline == Some(at)) {
            self.deadlines.remove(&(at, run));
        }
    }

    fn deliver(&mut self, key: Key) {
        let Some(due) = self.queue.remove(&key) else {
            return;
        };
        self.now = self.now.max(key.0);
        self.round = key.1;
        if let Some((task, rest)) = due.task {
            self.pending.remove(&(due.run, task));
            self.schedule(due.run, task, rest);
        }
        self.give(due.run, due.kind);
    }

    /// Schedules the next of a task's reports.
    fn schedule(&mut self, run: RunId, task: TaskId, mut reports: VecDeque<Report>) {
        if let Some(report) = reports.pop_front() {
            let due = Due {
                run,
                kind: report.kind,
                task: Some((task, reports)),
            };
            let key = self.enqueue(report.delay_millis, due);
            self.pending.insert((run, task), key);
        }
    }

    fn enqueue(&mut self, delay_millis: u64, due: Due) -> Key {
        let round = if delay_millis == 0 {
            self.round.saturating_add(1)
        } else {
            0
        };
        let key = (self.now.plus_millis(delay_millis), round, self.n_scheduled);
        self.n_scheduled += 1;
        self.queue.insert(key, due);
        key
    }

    /// Gives one event to an execution and carries out all that follows from it at once.
    fn give(&mut self, run: RunId, kind: EventKind) {
        let mut events = VecDeque::from([(run, kind)]);
        while let Some((id, kind)) = events.pop_front() {
            if self.steps_left == 0 {
                return;
            }
            self.steps_left -= 1;
            for command in self.advance(id, kind) {
                self.carry_out(id, command, &mut events);
            }
            self.settle(id, &mut events);
        }
    }

    /// Returns the commands: none if the event was refused, as it is when a task answers too late.
    fn advance(&mut self, id: RunId, kind: EventKind) -> Vec<Command> {
        let Some(run) = self.runs.get_mut(&id) else {
            return Vec::new();
        };
        let event = Event { at: self.now, kind };
        let mut tray = Tray {
            observer: self.observer,
            child: (id != TOP).then_some(&run.start.execution_arn),
            commands: Vec::new(),
        };
        let accepted = run.execution.advance(&event, &mut tray).is_ok();
        let commands = tray.commands;
        if accepted && id == TOP {
            self.observer.journal(&event);
        }
        commands
    }

    fn carry_out(&mut self, id: RunId, command: Command, events: &mut VecDeque<(RunId, EventKind)>) {
        match command {
            Command::StartTask(task) => {
                let reports = VecDeque::from(self.tasks.answer(&task));
                self.schedule(id, task.task, reports);
            }
            Command::CancelTask { task } => self.forget(id, task),
            Command::StartChild {
                child,
                state,
                block,
                name,
                input,
                ..
            } => {
                let input = input.unwrap_or_else(|| Payload::new(serde_json::Value::Null));
                let Some(start) = self.child_start(id, (state, block), name, input) else {
                    return;
                };
                let (run, kind) = match self.unsuccessful.remove(&start.execution_arn) {
                    Some(run) => self.again(run),
                    None => (self.admit(start.clone()), EventKind::Start(start)),
                };
                self.adopt(id, child, run);
                events.push_back((run, kind));
            }
            Command::StopChild { child } => {
                let stopped = self.runs.get_mut(&id).and_then(|run| run.children.remove(&child));
                if let Some(stopped) = stopped {
                    self.stop(stopped, events);
                }
            }
            Command::ReadItems { .. } | Command::WriteResults { .. } => self.exchange(id, command, events),
            Command::MapRunChanged(_) => {}
        }
    }

    fn child_start(
        &mut self,
        parent: RunId,
        (state, block): (StateId, BlockId),
        name: Arc<str>,
        input: Payload,
    ) -> Option<Start> {
        let run = self.runs.get_mut(&parent)?;
        let seed = run.chance.next_u64();
        Some(run.start.of_child(self.definition, state, block, name, input, seed))
    }

    /// Redrives a child; an EXPRESS one begins again.
    fn again(&mut self, id: RunId) -> (RunId, EventKind) {
        let Some(run) = self.runs.get_mut(&id) else {
            return (id, EventKind::Redrive);
        };
        match run.execution.start_facts() {
            Some(start) if start.express => {
                let start = start.clone();
                let redrive_count = run.execution.redrive_count() + 1;
                run.execution = Execution::new(Arc::clone(self.definition)).redriven(redrive_count);
                (id, EventKind::Start(start))
            }
            _ => (id, EventKind::Redrive),
        }
    }

    fn adopt(&mut self, parent: RunId, child: ChildId, id: RunId) {
        if let Some(run) = self.runs.get_mut(&id) {
            run.parent = Some((parent, child));
            run.ended = false;
        }
        if let Some(run) = self.runs.get_mut(&parent) {
            run.children.insert(child, id);
        }
    }

    fn forget(&mut self, run: RunId, task: TaskId) {
        if let Some(key) = self.pending.remove(&(run, task)) {
            self.queue.remove(&key);
        }
    }

    fn stop(&mut self, id: RunId, events: &mut VecDeque<(RunId, EventKind)>) {
        if let Some(run) = self.runs.get_mut(&id) {
            // Nobody waits for its result any more.
            run.parent = None;
            events.push_back((id, EventKind::Stop(StatesError::default())));
        }
    }

    /// Notes the deadline of an execution that has moved, or its end.
    fn settle(&mut self, id: RunId, events: &mut VecDeque<(RunId, EventKind)>) {
        let Some(run) = self.runs.get_mut(&id) else {
            return;
        };
        let is_open = matches!(run.execution.status(), Status::New | Status::Running);
        let deadline = run.execution.next_deadline().filter(|_| is_open);
        if let Some(old) = std::mem::replace(&mut run.deadline, deadline) {
            self.deadlines.remove(&(old, id));
        }
        if let Some(deadline) = deadline {
            self.deadlines.insert((deadline, id));
        }
        if is_open {
            return;
        }
        run.ended = true;
        let parent = run.parent.take();
        let children = std::mem::take(&mut run.children);
        if let Some((parent_id, child)) = parent
            && let Some(finished) = self.finished(id, parent_id, child)
        {
            let due = Due {
                run: parent_id,
                kind: EventKind::ChildrenFinished {
                    children: vec![finished],
                },
                task: None,
            };
            self.enqueue(0, due);
        }
        if id != TOP
            && let Some(run) = self.runs.remove(&id)
            && !self.pauses.is_empty()
            && !matches!(run.execution.status(), Status::Succeeded(_))
        {
            // A redrive of the execution goes on with it.
            self.unsuccessful.insert(Arc::clone(&run.start.execution_arn), id);
            self.runs.insert(id, run);
        }
        let open = self.pending.range((id, TaskId(0))..=(id, TaskId(u64::MAX)));
        let open: Vec<TaskId> = open.map(|((_, task), _)| *task).collect();
        for task in open {
            self.forget(id, task);
        }
        for child in children.into_values() {
            self.stop(child, events);
        }
        if let Some((parent, child)) = parent
            && let Some(run) = self.runs.get_mut(&parent)
        {
            run.children.remove(&child);
        }
    }

    fn finished(&self, id: RunId, parent: RunId, child: ChildId) -> Option<FinishedChild> {
        let wanted = self.runs.get(&parent)?.execution.wanted_result(child)?;
        self.runs.get(&id)?.execution.finished(child, wanted)
    }
}

/// Takes what one `advance` puts out.
struct Tray<'a> {
    observer: &'a mut dyn Observer,
    child: Option<&'a Arc<str>>,
    commands: Vec<Command>,
}

impl Outbox for Tray<'_> {
    fn command(&mut self, command: Command) {
        self.commands.push(command);
    }
    fn history(&mut self, event: HistoryEvent) {
        match self.child {
            None => self.observer.history(event),
            Some(arn) => self.observer.child_history(arn, event),
        }
    }
    fn took(&mut self, state: StateId, way: Way) {
        self.observer.took(state, way);
    }
}

#[cfg(test)]
mod tests;
