//! An input and the answers of the tasks: what one run is made of.

use std::collections::BTreeMap;

use serde_json::Map;
use serde_json::Value;

use crate::asl::definition::Definition;
use crate::asl::definition::StateKind;
use crate::explore::caller::Caller;
use crate::explore::demand::Demand;
use crate::explore::rows;
use crate::explore::shape::Shape;
use crate::kernel::event::EventKind;
use crate::kernel::event::ReadItem;
use crate::kernel::event::StartTask;
use crate::model::id::StateId;
use crate::model::payload::Payload;
use crate::model::states_error::StatesError;
use crate::sim::driver::Report;
use crate::sim::driver::Tasks;
use crate::sim::exchange::Exchange;
use crate::sim::exchange::Exchanged;
use crate::sim::mock_config::begin;

/// What the cause of an error says when nobody reads it.
const CAUSE: &str = "made up by stepfn explore";

/// An input, and what the tasks answer.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Scenario {
    pub(super) input: Value,
    /// One call after another; the last one also answers all that follow. A caller without any is answered with what
    /// everybody behind it needs.
    pub(super) answers: BTreeMap<Caller, Vec<Answer>>,
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
    pub(super) fn error(demand: &Demand, caller: Caller, name: &str) -> Self {
        let cause = demand.errors.get(&caller).map(|shape| shape.member("Cause"));
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
    definition: &'s Definition,
    /// What each caller was answered, in order.
    pub(super) given: BTreeMap<Caller, Vec<Answer>>,
    /// The state that gave each error last.
    pub(super) failed_last: Vec<(StateId, String)>,
    n_given: usize,
}

/// Answers of one run that are kept, at most: a loop must not fill the memory.
pub(super) const GIVEN_MAX: usize = 4_000;

impl<'s> Answering<'s> {
    pub(super) fn new(scenario: &'s Scenario, demand: &'s Demand, definition: &'s Definition) -> Self {
        Self {
            scenario,
            demand,
            definition,
            given: BTreeMap::new(),
            failed_last: Vec::new(),
            n_given: 0,
        }
    }

    fn fails(&mut self, state: StateId, name: &str) {
        self.failed_last.retain(|(other, _)| *other != state);
        self.failed_last.push((state, name.to_owned()));
    }

    /// Takes the next answer to a caller.
    fn next(&mut self, caller: Caller) -> Answer {
        let n_calls = self.given.entry(caller).or_default().len();
        let answers = self.scenario.answers.get(&caller);
        match answers.and_then(|answers| answers.get(n_calls).or(answers.last())) {
            Some(answer) => answer.clone(),
            None => Answer::Result(make(self.demand.results.get(&caller))),
        }
    }

    fn note(&mut self, caller: Caller, answer: &Answer) {
        if self.n_given < GIVEN_MAX {
            self.n_given += 1;
            self.given.entry(caller).or_default().push(answer.clone());
        }
        match answer {
            Answer::Error { name, .. } => self.fails(caller.state, name),
            Answer::Never => self.fails(caller.state, "States.Timeout"),
            Answer::Result(_) => {}
        }
    }

    /// Answers a Distributed Map; `result` makes out of what is wanted what can come.
    fn exchanged(&mut self, exchange: &Exchange, result: impl FnOnce(Value) -> Value) -> Exchanged<Payload> {
        let caller = Caller {
            state: exchange.state,
            field: Some(exchange.field),
        };
        let answer = match self.next(caller) {
            Answer::Result(value) => Answer::Result(result(value)),
            other => other,
        };
        self.note(caller, &answer);
        Exchanged {
            delay_millis: 0,
            end: match answer {
                Answer::Error { name, cause } => Some(Err(StatesError::new(name.as_str(), cause))),
                Answer::Never => None,
                Answer::Result(value) => Some(Ok(Payload::new(value))),
            },
        }
    }
}

impl Tasks for Answering<'_> {
    fn answer(&mut self, task: &StartTask) -> Vec<Report> {
        let caller = Caller::task(task.state);
        let answer = self.next(caller);
        self.note(caller, &answer);
        let id = task.task;
        let mut reports = begin(task);
        let kind = match answer {
            Answer::Never => return reports,
            Answer::Result(value) => EventKind::TaskSucceeded {
                task: id,
                output: Payload::new(value),
            },
            Answer::Error { name, cause } => {
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

    fn read(&mut self, exchange: &Exchange) -> Exchanged<Vec<ReadItem>> {
        let reader = match &self.definition.state(exchange.state).kind {
            StateKind::Map(map) => map.item_reader.as_ref(),
            _ => None,
        };
        let read = self.exchanged(exchange, |wanted| match (reader, wanted) {
            (Some(reader), Value::Array(items)) => Value::Array(rows::readable(reader, items)),
            _ => Value::Array(Vec::new()),
        });
        Exchanged {
            delay_millis: read.delay_millis,
            end: read
                .end
                .map(|end| end.map(|items| exchange.items(&items).unwrap_or_default())),
        }
    }

    fn write(&mut self, exchange: &Exchange) -> Exchanged<Payload> {
        self.exchanged(exchange, |_| exchange.written().value().clone())
    }
}
