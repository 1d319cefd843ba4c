//! Runs a scenario and notes what it shows.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::hash::Hash;
use std::hash::Hasher;
use std::sync::Arc;

use crate::asl::definition::State;
use crate::asl::definition::StateKind;
use crate::explore::caller::Caller;
use crate::explore::demand::Demand;
use crate::explore::scenario::Answer;
use crate::explore::scenario::Answering;
use crate::explore::scenario::Scenario;
use crate::kernel::event::Status;
use crate::kernel::event::Way;
use crate::model::history_event::HistoryEvent;
use crate::model::history_event::HistoryEventKind;
use crate::model::id::StateId;
use crate::model::payload::Payload;
use crate::model::states_error::StatesError;
use crate::sim::driver;
use crate::sim::driver::Observer;
use crate::suite::coverage::Taken;
use crate::suite::run;
use crate::suite::run::Machine;

/// Events of one run that are given to the kernel, at most, while the definition is explored.
const STEPS_MAX: u64 = 600;
/// Events of a run that is to show how a loop ends: as many as a test has.
pub(super) const STEPS_OF_A_LOOP: u64 = 1_000_000;
/// States of one run that are noted, at most.
const VISITS_MAX: usize = 3_000;

/// The errors that a definition's own fields raise.
pub(super) const OWN_ERRORS: &[&str] = &[
    "States.DataLimitExceeded",
    "States.IntrinsicFailure",
    "States.NoChoiceMatched",
    "States.ParameterPathFailure",
    "States.QueryEvaluationError",
    "States.ReferencePathConflict",
    "States.ResultPathMatchFailure",
    "States.Runtime",
];

/// A definition with all that runs need of it.
pub(super) struct Subject<'m> {
    pub(super) machine: &'m Machine,
    pub(super) demand: Demand,
    ids: BTreeMap<Arc<str>, StateId>,
}

impl<'m> Subject<'m> {
    pub(super) fn new(machine: &'m Machine, demand: Demand) -> Self {
        let states = machine.definition.states.iter().enumerate();
        let ids = states
            .map(|(number, state)| {
                (
                    Arc::clone(&state.name),
                    StateId(u32::try_from(number).unwrap_or(u32::MAX)),
                )
            })
            .collect();
        Self { machine, demand, ids }
    }

    pub(super) fn id(&self, name: &str) -> Option<StateId> {
        self.ids.get(name).copied()
    }

    pub(super) fn state(&self, id: StateId) -> &'m State {
        self.machine.definition.state(id)
    }

    pub(super) fn name(&self, id: StateId) -> &'m str {
        &self.state(id).name
    }
}

/// What one run shows.
#[derive(Debug)]
pub(super) struct Trace {
    pub(super) status: Status,
    pub(super) elapsed_millis: u64,
    pub(super) taken: Taken,
    /// What guides the search: a number for each thing that happened.
    pub(super) features: BTreeSet<u64>,
    pub(super) visits: Vec<Visit>,
    pub(super) faults: Vec<Fault>,
    /// What each caller was answered, in order.
    pub(super) given: BTreeMap<Caller, Vec<Answer>>,
    /// The tasks that failed, each with its last error, the last one last.
    pub(super) failed_last: Vec<(StateId, String)>,
    /// The states that were left by a way, and the tasks that were begun.
    pub(super) passed: BTreeSet<StateId>,
}

/// A state that was entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Visit {
    pub(super) state: StateId,
    /// A number for its input and the variables.
    pub(super) data: u64,
}

/// An error that the definition itself raised.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fault {
    pub(super) state: StateId,
    pub(super) error: String,
    pub(super) cause: String,
    /// How many states had been entered.
    pub(super) n_visits: usize,
    /// What the state was entered with.
    pub(super) input: Option<Payload>,
}

impl Trace {
    /// Tells whether the run was cut off.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.status, Status::New | Status::Running)
    }

    pub(super) fn error(&self) -> Option<&StatesError> {
        match &self.status {
            Status::Failed(error) | Status::TimedOut(error) | Status::Aborted(error) => Some(error),
            _ => None,
        }
    }
}

/// Runs a scenario.
pub(super) fn run(subject: &Subject<'_>, scenario: &Scenario) -> Trace {
    run_for(subject, scenario, STEPS_MAX)
}

/// Runs a scenario for at most so many events.
pub(super) fn run_for(subject: &Subject<'_>, scenario: &Scenario, steps_max: u64) -> Trace {
    let mut tasks = Answering::new(scenario, &subject.demand, &subject.machine.definition);
    let mut record = Record::new(subject);
    let start = run::start(subject.machine, Payload::new(scenario.input.clone()), scenario.seed);
    let (status, ended) = driver::run_observed(
        &subject.machine.definition,
        start,
        run::START,
        &mut tasks,
        steps_max,
        &mut record,
    );
    let mut record = record;
    if let Some(last) = record.visits.last()
        && is_fail(subject.state(last.state))
        && record.faults.is_empty()
    {
        // A Fail state is never left.
        record.passed.insert(last.state);
    }
    let mut features = record.features;
    for (state, error) in &tasks.failed_last {
        features.insert(number(&("error", state, error)));
    }
    features.insert(number(&match &status {
        Status::Failed(error) | Status::TimedOut(error) | Status::Aborted(error) => ("end", error.name.clone()),
        Status::Succeeded(_) => ("succeeded", None),
        Status::New | Status::Running => ("running", None),
    }));
    Trace {
        status,
        elapsed_millis: u64::try_from(ended.0.saturating_sub(run::START.0)).unwrap_or(0),
        taken: record.taken,
        features,
        visits: record.visits,
        faults: record.faults,
        given: tasks.given,
        failed_last: tasks.failed_last,
        passed: record.passed,
    }
}

/// Returns a number for something: the same in every run of the program.
pub(super) fn number(thing: &impl Hash) -> u64 {
    let mut hasher = Fnv(0xcbf2_9ce4_8422_2325);
    thing.hash(&mut hasher);
    hasher.finish()
}

/// FNV-1a. The standard hasher does not promise to stay the same.
struct Fnv(u64);

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

struct Record<'s> {
    subject: &'s Subject<'s>,
    taken: Taken,
    features: BTreeSet<u64>,
    visits: Vec<Visit>,
    faults: Vec<Fault>,
    passed: BTreeSet<StateId>,
    /// A number for all variables.
    variables: u64,
    /// What each state was entered with last.
    inputs: BTreeMap<StateId, Payload>,
}

impl<'s> Record<'s> {
    fn new(subject: &'s Subject<'s>) -> Self {
        Self {
            subject,
            taken: Taken::default(),
            features: BTreeSet::new(),
            visits: Vec::new(),
            faults: Vec::new(),
            passed: BTreeSet::new(),
            variables: 0,
            inputs: BTreeMap::new(),
        }
    }

    fn see(&mut self, event: &HistoryEvent) {
        match &event.kind {
            HistoryEventKind::StateEntered { name, input, .. } => {
                self.taken.enter(name);
                let Some(state) = self.subject.id(name) else { return };
                self.inputs.insert(state, input.clone());
                if self.visits.len() < VISITS_MAX {
                    self.features.insert(number(&("entered", state)));
                    if let Some(last) = self.visits.last() {
                        self.features.insert(number(&("edge", last.state, state)));
                    }
                    let data = number(&(input.text(), self.variables));
                    self.visits.push(Visit { state, data });
                }
            }
            HistoryEventKind::StateExited { name, assigned, .. } => {
                for (name, value) in assigned {
                    self.variables = number(&(self.variables, name, value.text()));
                }
                if let Some(state) = self.subject.id(name) {
                    self.passed.insert(state);
                }
            }
            HistoryEventKind::EvaluationFailed { error, state, .. } => {
                let state = self.subject.id(state);
                self.fault(state, error);
            }
            HistoryEventKind::ExecutionFailed(error) => {
                let is_own = error.name.as_deref().is_some_and(|name| OWN_ERRORS.contains(&name));
                let is_noted = self
                    .faults
                    .iter()
                    .any(|fault| error.cause.as_deref() == Some(&fault.cause));
                if is_own && !is_noted {
                    let cause = error.cause.as_deref().unwrap_or_default();
                    self.fault(self.named_in(cause), error);
                }
            }
            _ => {}
        }
    }

    /// Returns the state that a cause names.
    fn named_in(&self, cause: &str) -> Option<StateId> {
        let begin = ["executing the state '", "The state/task '"];
        let rest = begin.iter().find_map(|begin| Some(cause.split_once(begin)?.1))?;
        let end = rest.find("' (entered at").or_else(|| rest.find("' returned"))?;
        self.subject.id(&rest[..end])
    }

    fn fault(&mut self, state: Option<StateId>, error: &StatesError) {
        let last = self.visits.last().map(|visit| visit.state);
        let Some(state) = state.or(last) else { return };
        let name = error.name.as_deref().unwrap_or_default();
        self.features.insert(number(&("fault", state, name)));
        self.faults.push(Fault {
            state,
            error: name.to_owned(),
            cause: error.cause.as_deref().unwrap_or_default().to_owned(),
            n_visits: self.visits.len(),
            input: self.inputs.get(&state).cloned(),
        });
    }
}

impl Observer for Record<'_> {
    fn history(&mut self, event: HistoryEvent) {
        self.see(&event);
    }

    fn took(&mut self, state: StateId, way: Way) {
        self.taken.take(state, way);
        self.features.insert(number(&("way", state, way)));
    }

    fn child_history(&mut self, _execution_arn: &Arc<str>, event: HistoryEvent) {
        self.see(&event);
    }
}

/// Tells whether a state is a Fail state.
pub(super) fn is_fail(state: &State) -> bool {
    matches!(state.kind, StateKind::Fail(_))
}
