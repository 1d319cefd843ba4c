//! One state by itself, as `TestState` runs it: no block around it, and what lies between input and output visible.
//!
//! The state is carried out by the same code as in an execution. Only this file knows that there is no execution:
//! it makes the one frame, and it stops when the state is left.

pub mod context;

use std::cell::Cell;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::asl::definition::Definition;
use crate::asl::definition::Map;
use crate::asl::definition::MapMode;
use crate::asl::definition::QueryLanguage;
use crate::asl::definition::Resource;
use crate::asl::definition::State;
use crate::asl::definition::StateKind;
use crate::kernel::context::Extra;
use crate::kernel::context::Item;
use crate::kernel::core::Core;
use crate::kernel::core::Cx;
use crate::kernel::data_flow::Completion;
use crate::kernel::event::Command;
use crate::kernel::event::Outbox;
use crate::kernel::event::Start;
use crate::kernel::event::StartTask;
use crate::kernel::event::Status;
use crate::kernel::event::Way;
use crate::kernel::failure::Failure;
use crate::kernel::frame::FrameId;
use crate::kernel::frame::Step;
use crate::kernel::map_run;
use crate::kernel::map_run::items;
use crate::kernel::retry;
use crate::model::entropy::Entropy;
use crate::model::history_event::HistoryEvent;
use crate::model::history_event::StateType;
use crate::model::id::EventId;
use crate::model::id::StateId;
use crate::model::id::TaskId;
use crate::model::payload::Payload;
use crate::model::states_error::StatesError;
use crate::model::timestamp::Timestamp;

/// The name that AWS gives to every state under test in its context object (recorded).
pub const STATE_NAME: &str = "StateName";

/// What a state under test is given beside its input.
#[derive(Clone, Debug, Default)]
pub struct Setting {
    /// The context object, when it is not the usual one.
    pub context: Option<Value>,
    /// The variables in reach.
    pub variables: BTreeMap<Arc<str>, Payload>,
    /// Attempts that were already made for the retrier that matches.
    pub retry_count: u32,
    /// What a Map's `ItemReader` would read.
    pub reader_items: Option<Payload>,
    /// Failed iterations of a Map.
    pub n_failed_iterations: Option<u64>,
}

/// A point between a state's input and its output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names are the API's own")]
pub enum Stage {
    AfterArguments,
    AfterInputPath,
    AfterItemBatcher,
    AfterItemSelector,
    AfterItemsPath,
    AfterItemsPointer,
    AfterParameters,
    AfterResultPath,
    AfterResultSelector,
    MaxConcurrency,
    Result,
    ToleratedFailureCount,
    ToleratedFailurePercentage,
}

/// How far a state under test has come.
#[derive(Debug)]
pub enum Progress {
    /// It is over.
    Done,
    /// A Map or Parallel needs its result.
    Join,
    /// A task is to be done.
    Task(Box<StartTask>, Resource),
    /// It waits until an instant.
    Waiting(Timestamp),
}

/// How a state under test ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Ending {
    /// A catcher leads on.
    Caught {
        /// What it caught.
        error: StatesError,
        /// The state's output.
        output: Payload,
        /// Where it leads.
        next: Arc<str>,
    },
    /// Nobody answers its error.
    Failed(StatesError),
    /// A retrier would try again.
    Retriable(StatesError),
    /// It succeeded.
    Succeeded {
        /// The state's output.
        output: Payload,
        /// Where it leads, unless it ends its block.
        next: Option<Arc<str>>,
    },
}

/// Which retrier and catcher answered an error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ErrorDetails {
    /// The catcher.
    pub catcher: Option<usize>,
    /// The retrier that matched, even if its attempts are used up.
    pub retrier: Option<usize>,
    /// The pause before the next attempt, in milliseconds.
    pub pause_millis: Option<u64>,
}

/// What can be seen of a state under test.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// The stages that were reached.
    pub stages: BTreeMap<Stage, Payload>,
    /// The variables, those that the state assigned among them.
    pub variables: BTreeMap<Arc<str>, Payload>,
    /// What answered the error, if something did.
    pub error_details: ErrorDetails,
}

/// One state under test.
pub struct IsolatedState {
    definition: Arc<Definition>,
    state: StateId,
    core: Core,
    frame: FrameId,
    setting: Setting,
    ways: Vec<Way>,
}

/// What a core knows when its one state is under test.
#[derive(Clone, Debug, Default)]
pub(super) struct Watch {
    pub(super) context: Option<Value>,
    pub(super) item: Option<Item>,
    stages: RefCell<BTreeMap<Stage, Payload>>,
    /// The last error, and whether a heartbeat was missed.
    error: RefCell<Option<(StatesError, bool)>>,
    catcher: Cell<Option<usize>>,
    n_items: Cell<Option<u64>>,
}

/// Keeps a command that starts a task, and the ways that were taken; everything else a state under test does not need.
#[derive(Default)]
struct Task(Option<StartTask>, Vec<Way>);

impl Outbox for Task {
    fn command(&mut self, command: Command) {
        if let Command::StartTask(task) = command {
            self.0 = Some(task);
        }
    }

    fn history(&mut self, _: HistoryEvent) {}

    fn took(&mut self, _: StateId, way: Way) {
        self.1.push(way);
    }
}

impl Core {
    /// Shows a stage to whoever tests the state.
    pub(super) fn show(&self, stage: Stage, value: &Payload) {
        if let Some(watch) = &self.watch {
            watch.stages.borrow_mut().insert(stage, value.clone());
        }
    }

    /// Shows an error before it is answered.
    pub(super) fn show_error(&self, error: &StatesError, heartbeat: bool) {
        if let Some(watch) = &self.watch {
            *watch.error.borrow_mut() = Some((error.clone(), heartbeat));
            watch.catcher.set(None);
        }
    }

    /// Shows which catcher answers.
    pub(super) fn show_catcher(&self, index: usize) {
        if let Some(watch) = &self.watch {
            watch.catcher.set(Some(index));
        }
    }
}

impl IsolatedState {
    /// Prepares a state. `start` holds the execution's facts for the context object, and the state's input.
    pub fn new(definition: Arc<Definition>, state: StateId, start: Start, setting: Setting, now: Timestamp) -> Self {
        let mut core = Core::new();
        core.now = now;
        core.started_at = now;
        core.status = Status::Running;
        core.entropy = RefCell::new(Entropy::new(start.seed));
        core.watch = Some(Box::new(Watch {
            context: setting.context.clone(),
            item: match setting.context {
                None => item_of_iteration(&definition, state, &start.input),
                Some(_) => None,
            },
            ..Watch::default()
        }));
        let input = start.input.clone();
        core.start = Some(start);
        let mut isolated = Self {
            definition,
            state,
            core,
            frame: FrameId(0),
            setting,
            ways: Vec::new(),
        };
        let mut out = Task::default();
        let frame = isolated.cx(&mut out).spawn(None, state, input, EventId::NONE);
        isolated.frame = frame;
        let n_retriers = isolated.definition.state(state).retriers.len();
        let live = isolated.core.frame_mut(frame);
        live.step = Step::Work;
        live.variables = isolated.setting.variables.clone();
        live.attempts = vec![isolated.setting.retry_count; n_retriers];
        live.retry_count = isolated.setting.retry_count;
        isolated.core.variables_bytes = isolated.core.frame(frame).variables_bytes();
        isolated
    }

    /// Does what can be done before anything outside answers.
    pub fn begin(&mut self) -> Progress {
        let definition = Arc::clone(&self.definition);
        let (frame, setting) = (self.frame, self.setting.clone());
        let state = definition.state(self.state);
        let mut out = Task::default();
        let mut cx = self.cx(&mut out);
        match &state.kind {
            StateKind::Map(map) => {
                if let Err(failure) = cx.map_under_test(frame, state, map, &setting) {
                    cx.fail(frame, failure);
                }
            }
            StateKind::Pass(Some(result)) => {
                cx.core.show(Stage::Result, result);
                cx.turn(frame);
            }
            StateKind::Choice(_) | StateKind::Fail(_) | StateKind::Succeed | StateKind::Wait(_) => {
                cx.show_input_path(frame, state);
                cx.turn(frame);
            }
            StateKind::Parallel(_) | StateKind::Pass(None) | StateKind::Task(_) => cx.turn(frame),
        }
        self.progress(out)
    }

    /// The wait that `begin` told is over.
    pub fn time_passed(&mut self, now: Timestamp) -> Progress {
        let frame = self.frame;
        self.core.now = now.max(self.core.now);
        let mut out = Task::default();
        self.cx(&mut out).turn(frame);
        self.progress(out)
    }

    /// Gives the result that `begin` asked for.
    pub fn succeed(&mut self, result: Payload) -> Progress {
        let frame = self.frame;
        let mut out = Task::default();
        let mut cx = self.cx(&mut out);
        match cx.open_task(frame) {
            Some(task) => {
                cx.core.show(Stage::Result, &result);
                cx.task_succeeded(task, &result);
                cx.answer_failure(frame);
            }
            None => {
                let completion = Completion {
                    result,
                    worked: true,
                    succeeded: None,
                };
                cx.complete(frame, &completion);
            }
        }
        self.progress(out)
    }

    /// Gives the error that `begin` asked for.
    pub fn fail(&mut self, error: StatesError) -> Progress {
        let frame = self.frame;
        let mut out = Task::default();
        let mut cx = self.cx(&mut out);
        match cx.open_task(frame) {
            Some(task) => {
                cx.task_failed(task, &error);
                cx.answer_failure(frame);
            }
            None => cx.fail(frame, Failure::error(error)),
        }
        self.progress(out)
    }

    /// Returns how many items a Map has, once they are known.
    pub fn n_items(&self) -> Option<u64> {
        self.watch().n_items.get()
    }

    /// Returns the ways that the state took, in order: a retrier or catcher that answered, a rule, the way on.
    pub fn ways(&self) -> &[Way] {
        &self.ways
    }

    /// Returns how the state ended; `None` while it waits for something.
    pub fn ending(&self) -> Option<Ending> {
        let error = self.watch().error.borrow().clone().map(|(error, _)| error);
        match &self.core.status {
            Status::Succeeded(output) => {
                return Some(Ending::Succeeded {
                    output: output.clone(),
                    next: None,
                });
            }
            Status::Failed(error) => return Some(Ending::Failed(error.clone())),
            _ => {}
        }
        let live = self.core.frame(self.frame);
        let name = || Arc::clone(&self.definition.state(live.state).name);
        match (&live.step, error) {
            (Step::Pause { .. }, Some(error)) => Some(Ending::Retriable(error)),
            (Step::Enter, Some(error)) => Some(Ending::Caught {
                error,
                output: live.input.clone(),
                next: name(),
            }),
            (Step::Enter, None) => Some(Ending::Succeeded {
                output: live.input.clone(),
                next: Some(name()),
            }),
            _ => None,
        }
    }

    /// Returns what can be seen of the state.
    pub fn inspection(&self) -> Inspection {
        let live = self.core.frame(self.frame);
        let state = self.definition.state(self.state);
        let watch = self.watch();
        let mut error_details = ErrorDetails {
            catcher: watch.catcher.get(),
            ..ErrorDetails::default()
        };
        if let Some((error, heartbeat)) = &*watch.error.borrow() {
            error_details.retrier = retry::matching(&state.retriers, error.name.as_deref(), *heartbeat);
        }
        if let Step::Pause { until } = live.step {
            error_details.pause_millis = u64::try_from(until.0 - self.core.now.0).ok();
        }
        let mut stages = watch.stages.borrow().clone();
        // Fields that a type does not have show nothing (recorded).
        let absent: &[Stage] = match state.state_type() {
            StateType::Pass => &[Stage::AfterArguments],
            StateType::Succeed | StateType::Wait => &[Stage::AfterResultPath, Stage::AfterResultSelector],
            _ => &[],
        };
        stages.retain(|stage, _| !absent.contains(stage));
        Inspection {
            stages,
            variables: live.variables.clone(),
            error_details,
        }
    }

    fn watch(&self) -> &Watch {
        self.core.watch.as_ref().expect("a state under test is watched")
    }

    fn progress(&mut self, out: Task) -> Progress {
        self.ways.extend(out.1);
        if self.ending().is_some() {
            return Progress::Done;
        }
        let kind = &self.definition.state(self.state).kind;
        match (&self.core.frame(self.frame).step, out.0, kind) {
            (Step::Waiting { until }, ..) => Progress::Waiting(*until),
            (Step::Task(_), Some(task), StateKind::Task(state)) => {
                Progress::Task(Box::new(task), state.resource.clone())
            }
            _ => Progress::Join,
        }
    }

    fn cx<'a>(&'a mut self, out: &'a mut Task) -> Cx<'a> {
        Cx {
            definition: &self.definition,
            core: &mut self.core,
            out,
        }
    }
}

impl Cx<'_> {
    /// Shows the effective input of a state that has nothing but `InputPath` to make it.
    fn show_input_path(&self, frame: FrameId, state: &State) {
        if state.language == QueryLanguage::JsonPath
            && let Ok(input) = self.apply_path(frame, &state.input_path, &self.core.frame(frame).input)
        {
            self.core.show(Stage::AfterInputPath, &input);
        }
    }

    /// Does what a Map does before its first iteration.
    fn map_under_test(&self, frame: FrameId, state: &State, map: &Map, setting: &Setting) -> Result<(), Failure> {
        let effective = self.apply_path(frame, &state.input_path, &self.core.frame(frame).input)?;
        self.show_input_path(frame, state);
        let items = match map.item_reader.is_some() {
            true => setting.reader_items.clone(),
            false => Some(self.items(frame, state, map, &effective)?),
        };
        if state.language == QueryLanguage::JsonPath
            && map.item_reader.is_none()
            && let Some(items) = &items
        {
            self.core.show(Stage::AfterItemsPath, items);
        }
        let number = |field: &Option<_>, name: &str| match field {
            Some(field) => self.whole_number(frame, field, name, &effective, 0).map(Some),
            None => Ok(None),
        };
        let concurrency = number(&map.max_concurrency, "MaxConcurrency")?.unwrap_or(0);
        self.core.show(Stage::MaxConcurrency, &Payload::new(concurrency.into()));
        let count = number(&map.tolerated_failure_count, "ToleratedFailureCount")?;
        if let Some(count) = count {
            self.core
                .show(Stage::ToleratedFailureCount, &Payload::new(count.into()));
        }
        let percentage = match &map.tolerated_failure_percentage {
            Some(field) => Some(self.percentage(frame, field, &effective)?),
            None => None,
        };
        if let Some(percentage) = percentage {
            let percentage = Payload::new(percentage.into());
            self.core.show(Stage::ToleratedFailurePercentage, &percentage);
        }
        let Some(items) = items else {
            return Ok(());
        };
        let pairs = items::pairs(items.value());
        let n_items = pairs.len() as u64;
        if let Some(watch) = &self.core.watch {
            watch.n_items.set(Some(n_items));
        }
        let selected = self.select_under_test(frame, map, &effective, pairs)?;
        if let Some(batcher) = &map.item_batcher {
            let batches = self.batches(frame, batcher, &effective, selected)?;
            self.core
                .show(Stage::AfterItemBatcher, &Payload::new(Value::Array(batches)));
        }
        let n_failed = setting.n_failed_iterations.unwrap_or(0);
        // Without a tolerance in the definition AWS reports the iteration's own error, however many failed (recorded).
        if count.is_some_and(|count| count < n_failed)
            || percentage.is_some_and(|percentage| percentage * (n_items as f64) < n_failed as f64 * 100.0)
        {
            return Err(Failure::error(map_run::over_threshold()));
        }
        Ok(())
    }

    fn select_under_test(
        &self,
        frame: FrameId,
        map: &Map,
        effective: &Payload,
        pairs: Vec<(Option<String>, Value)>,
    ) -> Result<Vec<Value>, Failure> {
        let Some(template) = &map.item_selector else {
            return Ok(pairs.into_iter().map(|(key, value)| items::plain(key, value)).collect());
        };
        let source: Option<Arc<str>> = (map.mode != MapMode::Inline).then(|| Arc::from("STATE_DATA"));
        let mut selected = Vec::with_capacity(pairs.len());
        for (index, (key, value)) in (0..).zip(pairs) {
            let extra = Extra {
                item: Some(Item {
                    index,
                    key,
                    value,
                    source: source.clone(),
                }),
                ..Extra::default()
            };
            let item = self.evaluate(frame, template, effective.clone(), &extra, "ItemSelector")?;
            selected.push(item.value().clone());
        }
        let shown = Payload::new(Value::Array(selected.clone()));
        self.core.show(Stage::AfterItemSelector, &shown);
        Ok(selected)
    }

    fn open_task(&self, frame: FrameId) -> Option<TaskId> {
        match &self.core.frame(frame).step {
            Step::Task(open) => Some(open.task),
            _ => None,
        }
    }

    /// A task that failed waits for its turn before anybody answers.
    fn answer_failure(&mut self, frame: FrameId) {
        if matches!(self.core.frame(frame).step, Step::Failing { .. }) {
            self.turn(frame);
        }
    }
}

/// The item that AWS puts into the context object of a state inside a Map: the state's own input, as the first one.
fn item_of_iteration(definition: &Definition, state: StateId, input: &Payload) -> Option<Item> {
    let mut next = Some(state);
    while let Some(id) = next {
        let holder = definition.block(definition.state(id).block).parent;
        if let Some(holder) = holder
            && let StateKind::Map(map) = &definition.state(holder).kind
        {
            return Some(Item {
                index: 0,
                key: None,
                value: input.value().clone(),
                source: (map.mode != MapMode::Inline).then(|| Arc::from("STATE_DATA")),
            });
        }
        next = holder;
    }
    None
}

#[cfg(test)]
mod tests;
