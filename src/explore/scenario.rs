//! An input and the answers of the tasks: what one run is made of.

use std::collections::BTreeMap;

use serde_json::Map;
use serde_json::Value;

use crate::explore::demand::Demand;
use crate::explore::shape::Shape;
use crate::kernel::event::EventKind;
use crate::kernel::event::StartTask;
use crate::model::id::StateId;
use crate::model::payload::Payload;
use crate::model::states_error::StatesError;
use crate::sim::driver::Report;
use crate::sim::driver::Tasks;
use crate::sim::mock_config::begin;

/// What the cause of an error says when nobody reads it.
const CAUSE: &str = "made up by stepfn explore";

/// An input, and what the tasks answer.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Scenario {
    pub(super) input: Value,
    /// By state, one call after another; the last one also answers all that follow. A state without any answers with
    /// what everybody behind it needs.
    pub(super) answers: BTreeMap<StateId, Vec<Answer>>,
    pub(super) seed: u64,
    /// Something in it is not as the definition itself takes it to be.
    pub(super) is_wild: bool,
}

/// What a task answers.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Answer {
    Error { name: String, cause: String },
    Never,
    Result(Value),
}

impl Answer {
    /// Makes an error whose cause says what its readers need.
    pub(super) fn error(demand: &Demand, state: StateId, name: &str) -> Self {
        let cause = demand.errors.get(&state).map(|shape| shape.member("Cause"));
        let cause = cause.filter(|cause| !cause.is_empty()).map(|cause| cause.make());
        Self::Error {
            name: name.to_owned(),
            cause: match cause {
                Some(Value::String(text)) if text != "text" => text,
                _ => CAUSE.to_owned(),
            },
        }
    }
}

/// Makes a value of a shape; of one of which nothing is known, an empty object.
pub(super) fn make(shape: Option<&Shape>) -> Value {
    match shape {
        Some(shape) if !shape.is_empty() => shape.make(),
        _ => Value::Object(Map::new()),
    }
}

/// A scenario at work.
pub(super) struct Answering<'s> {
    scenario: &'s Scenario,
    demand: &'s Demand,
    /// What each state's tasks were answered, in order.
    pub(super) given: BTreeMap<StateId, Vec<Answer>>,
    /// The state that gave each error last.
    pub(super) failed_last: Vec<(StateId, String)>,
    n_given: usize,
}

/// Answers of one run that are kept, at most: a loop must not fill the memory.
pub(super) const GIVEN_MAX: usize = 4_000;

impl<'s> Answering<'s> {
    pub(super) fn new(scenario: &'s Scenario, demand: &'s Demand) -> Self {
        Self {
            scenario,
            demand,
            given: BTreeMap::new(),
            failed_last: Vec::new(),
            n_given: 0,
        }
    }

    fn fails(&mut self, state: StateId, name: &str) {
        self.failed_last.retain(|(other, _)| *other != state);
        self.failed_last.push((state, name.to_owned()));
    }

    fn next(&self, state: StateId, n_calls: usize) -> Answer {
        let answers = self.scenario.answers.get(&state);
        match answers.and_then(|answers| answers.get(n_calls).or(answers.last())) {
            Some(answer) => answer.clone(),
            None => Answer::Result(make(self.demand.results.get(&state))),
        }
    }
}

impl Tasks for Answering<'_> {
    fn answer(&mut self, task: &StartTask) -> Vec<Report> {
        let given = self.given.entry(task.state).or_default();
        let n_calls = given.len();
        let answer = self.next(task.state, n_calls);
        if self.n_given < GIVEN_MAX {
            self.n_given += 1;
            self.given.entry(task.state).or_default().push(answer.clone());
        }
        let id = task.task;
        let mut reports = begin(task);
        let kind = match answer {
            Answer::Never => {
                self.fails(task.state, "States.Timeout");
                return reports;
            }
            Answer::Result(value) => EventKind::TaskSucceeded {
                task: id,
                output: Payload::new(value),
            },
            Answer::Error { name, cause } => {
                self.fails(task.state, &name);
                let error = StatesError::new(name.as_str(), cause);
                match name.as_str() {
                    "States.Timeout" => EventKind::TaskTimedOut { task: id, error },
                    _ => EventKind::TaskFailed { task: id, error },
                }
            }
        };
        reports.push(Report { delay_millis: 0, kind });
        reports
    }
}
