//! Runs a case.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;

use crate::asl::definition::Definition;
use crate::kernel::event::Start;
use crate::kernel::event::Status;
use crate::kernel::event::Way;
use crate::model::history_event::HistoryEvent;
use crate::model::history_event::HistoryEventKind;
use crate::model::id::BlockId;
use crate::model::id::StateId;
use crate::model::payload::Payload;
use crate::model::quota::Quotas;
use crate::model::states_error::StatesError;
use crate::model::timestamp::Timestamp;
use crate::model::token::TokenKey;
use crate::sim::driver;
use crate::sim::driver::Observer;
use crate::sim::driver::Tasks;
use crate::sim::mock_config::MockTasks;
use crate::suite::coverage::Taken;
use crate::suite::file::Case;
use crate::suite::mock::Answering;
use crate::suite::single;

/// The virtual time at which every case starts: 2026-01-01T00:00:00Z.
pub const START: Timestamp = Timestamp(1_767_225_600_000);
/// Events of one case, at most: a loop that does not end must not hang the test.
const STEPS_MAX: u64 = 1_000_000;
/// The seed of cases that name none.
const SEED: u64 = 1;

/// The machine of a test file.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Its name.
    pub name: String,
    /// Where its definition is.
    pub path: PathBuf,
    /// Its definition.
    pub definition: Arc<Definition>,
    /// It is EXPRESS.
    pub express: bool,
}

/// What a case gave.
#[derive(Debug)]
pub struct Ran {
    /// How it ended.
    pub status: Status,
    /// Its history.
    pub history: Vec<HistoryEvent>,
    /// The names of the states that were entered, children's included, in order.
    pub visited: Vec<Arc<str>>,
    /// How often each state's task was tried.
    pub attempts: BTreeMap<Arc<str>, u64>,
    /// What was assigned last to each variable.
    pub variables: BTreeMap<Arc<str>, Value>,
    /// Virtual time, in milliseconds.
    pub elapsed_millis: u64,
    /// Which ways were taken.
    pub taken: Taken,
    /// What went wrong with the mocks.
    pub mock_failures: Vec<String>,
    /// The state in which it ended when it did not succeed, or in which it hangs.
    pub failed_state: Option<Arc<str>>,
    /// How a single state ended.
    pub single: Option<SingleEnd>,
}

/// How a single state ended, beside its error.
#[derive(Debug)]
pub struct SingleEnd {
    /// The status as `TestState` writes it.
    pub status: &'static str,
    /// Where it leads.
    pub next_state: Option<Arc<str>>,
    /// Its output, of a caught error, too.
    pub output: Option<Value>,
}

impl Ran {
    /// Returns the status as the API writes it.
    pub fn status_name(&self) -> &'static str {
        if let Some(single) = &self.single {
            return single.status;
        }
        match self.status {
            Status::New | Status::Running => "RUNNING",
            Status::Succeeded(_) => "SUCCEEDED",
            Status::Failed(_) => "FAILED",
            Status::TimedOut(_) => "TIMED_OUT",
            Status::Aborted(_) => "ABORTED",
        }
    }

    /// Returns the output of an execution that succeeded, or of a single state.
    pub fn output(&self) -> Option<&Value> {
        if let Some(single) = &self.single {
            return single.output.as_ref();
        }
        match &self.status {
            Status::Succeeded(output) => Some(output.value()),
            _ => None,
        }
    }

    /// Returns the error of one that did not.
    pub fn error(&self) -> Option<&StatesError> {
        match &self.status {
            Status::Failed(error) | Status::TimedOut(error) | Status::Aborted(error) => Some(error),
            _ => None,
        }
    }
}

/// Runs a case; `seed` is for one that names none.
pub fn run(machine: &Machine, case: &Case, config: Option<MockTasks>, seed: Option<u64>) -> Ran {
    let seed = case.seed.or(seed).unwrap_or(SEED);
    if let Some(single) = &case.single {
        return single::run(machine, case, single, seed);
    }
    let mut own = Answering::new(&case.mocks, seed);
    let mut record = Record::default();
    let start = start(machine, case.input.clone(), seed);
    let (status, ended) = match config {
        Some(mut config) => drive(machine, start, &mut config, &mut record),
        None => drive(machine, start, &mut own, &mut record),
    };
    let mut mock_failures = own.never_came();
    mock_failures.splice(0..0, std::mem::take(&mut own.failures));
    let elapsed = ended.0.saturating_sub(START.0);
    let failed_state = match status {
        Status::New | Status::Succeeded(_) => None,
        Status::Running | Status::TimedOut(_) => record.hanging_state(),
        Status::Aborted(_) | Status::Failed(_) => record.last_state(),
    };
    Ran {
        status,
        history: record.history,
        visited: record.visited,
        attempts: record.attempts,
        variables: record.variables,
        elapsed_millis: u64::try_from(elapsed).unwrap_or(0),
        taken: record.taken,
        mock_failures,
        failed_state,
        single: None,
    }
}

fn drive(machine: &Machine, start: Start, tasks: &mut dyn Tasks, record: &mut Record) -> (Status, Timestamp) {
    driver::run_observed(&machine.definition, start, START, tasks, STEPS_MAX, record)
}

/// Returns the facts that a case starts with.
pub fn start(machine: &Machine, input: Payload, seed: u64) -> Start {
    let (name, region) = (&machine.name, "us-east-1:123456789012");
    Start {
        execution_arn: Arc::from(format!("arn:aws:states:{region}:execution:{name}:test")),
        name: Arc::from("test"),
        state_machine_arn: Arc::from(format!("arn:aws:states:{region}:stateMachine:{name}")),
        state_machine_name: Arc::from(&**name),
        role_arn: Arc::from("arn:aws:iam::123456789012:role/test"),
        input,
        seed,
        quotas: Quotas::Aws,
        token_key: TokenKey::from_seed(seed),
        wait_scale: 1.0,
        version_arn: None,
        alias_arn: None,
        express: machine.express,
        synchronous: false,
        block: BlockId(0),
    }
}

#[derive(Default)]
struct Record {
    history: Vec<HistoryEvent>,
    visited: Vec<Arc<str>>,
    attempts: BTreeMap<Arc<str>, u64>,
    variables: BTreeMap<Arc<str>, Value>,
    taken: Taken,
    /// The state in which each task was scheduled, by the event before it.
    state_of: BTreeMap<u64, Arc<str>>,
}

impl Record {
    /// Returns the state on whose thread of control the last event is.
    fn last_state(&self) -> Option<Arc<str>> {
        self.state_of.get(&self.history.last()?.id.0).cloned()
    }

    /// Returns the state that was entered last, unless it was left.
    fn hanging_state(&self) -> Option<Arc<str>> {
        let mut last = None;
        for event in &self.history {
            match &event.kind {
                HistoryEventKind::StateEntered { name, .. } => last = Some(name),
                HistoryEventKind::StateExited { name, .. } if last == Some(name) => last = None,
                _ => {}
            }
        }
        last.cloned()
    }

    fn see(&mut self, event: &HistoryEvent) {
        match &event.kind {
            HistoryEventKind::StateEntered { name, .. } => {
                self.visited.push(Arc::clone(name));
                self.taken.enter(name);
                self.state_of.insert(event.id.0, Arc::clone(name));
            }
            HistoryEventKind::StateExited { assigned, .. } => {
                for (name, value) in assigned {
                    self.variables.insert(Arc::clone(name), value.value().clone());
                }
            }
            HistoryEventKind::TaskScheduled { .. } => {
                if let Some(state) = self.state_of.get(&event.previous.0) {
                    *self.attempts.entry(Arc::clone(state)).or_default() += 1;
                }
            }
            _ => {}
        }
        if !self.state_of.contains_key(&event.id.0)
            && let Some(state) = self.state_of.get(&event.previous.0)
        {
            // Everything on a thread of control belongs to the state that was entered last on it.
            let state = Arc::clone(state);
            self.state_of.insert(event.id.0, state);
        }
    }
}

impl Observer for Record {
    fn history(&mut self, event: HistoryEvent) {
        self.see(&event);
        self.history.push(event);
    }

    fn took(&mut self, state: StateId, way: Way) {
        self.taken.take(state, way);
    }

    fn child_history(&mut self, _execution_arn: &Arc<str>, event: HistoryEvent) {
        if let HistoryEventKind::StateEntered { name, .. } = &event.kind {
            self.visited.push(Arc::clone(name));
            self.taken.enter(name);
        }
    }
}
