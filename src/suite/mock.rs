//! Answers in the place of tasks.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

use serde_json::Map;
use serde_json::Value;

use crate::asl::load::Tree;
use crate::kernel::event::EventKind;
use crate::kernel::event::ReadItem;
use crate::kernel::event::StartTask;
use crate::model::entropy::Entropy;
use crate::model::glob;
use crate::model::payload::Payload;
use crate::model::states_error::StatesError;
use crate::query::env::Context;
use crate::query::env::Env;
use crate::query::env::NoVariables;
use crate::query::error::QueryError;
use crate::query::jsonata::expression::Expression;
use crate::query::jsonata::expression::FieldScope;
use crate::query::template::Template;
use crate::sim::driver::Report;
use crate::sim::driver::Tasks;
use crate::sim::exchange::Exchange;
use crate::sim::exchange::Exchanged;
use crate::sim::mock_config::begin;
use crate::suite::reader::Members;
use crate::suite::reader::Problem;
use crate::suite::reader::count;
use crate::suite::reader::in_jsonata;
use crate::suite::reader::millis;
use crate::suite::reader::problem;
use crate::suite::reader::text;

/// The answers of one state or resource.
#[derive(Clone, Debug)]
pub struct Mock {
    answers: Vec<Answer>,
    /// One answer for every call, instead of a sequence.
    is_same: bool,
}

#[derive(Clone, Debug)]
struct Answer {
    /// It is for this item of an inline Map, counted from 0.
    item: Option<u64>,
    /// It is for tasks whose input fulfils this, as often as they come.
    when: Option<Expression>,
    after_millis: u64,
    n_heartbeats: u64,
    end: End,
}

#[derive(Clone, Debug)]
enum End {
    Error(StatesError),
    /// It never answers.
    Nothing,
    Result(Template),
}

/// Heartbeats of one answer, at most.
const HEARTBEATS_MAX: u64 = 10_000;

pub(super) const MEMBERS: &[&str] = &[
    "`result`",
    "`error`",
    "`cause`",
    "`never`",
    "`after`",
    "`heartbeats`",
    "`when`",
    "`item`",
];

impl Mock {
    /// Reads the answers: an object for every call, or a list for one call after another.
    ///
    /// # Errors
    /// What is not understood.
    pub fn read(tree: &Tree) -> Result<Self, Problem> {
        match tree.elements() {
            None => Ok(Self {
                answers: vec![answer(tree)?],
                is_same: true,
            }),
            Some(elements) if elements.is_empty() => Err(problem(
                tree,
                "a mock needs at least one answer, such as `{ result: 1 }`",
            )),
            Some(elements) => Ok(Self {
                answers: elements.iter().map(answer).collect::<Result<_, _>>()?,
                is_same: false,
            }),
        }
    }
}

fn answer(tree: &Tree) -> Result<Answer, Problem> {
    if tree.members().is_none() {
        return Err(problem(
            tree,
            "an answer must be an object, such as `{ result: 1 }` or `{ error: Failed }`",
        ));
    }
    let mut members = Members::of(tree, "an answer")?;
    let result = members.take("result");
    let error = members.take("error");
    let cause = members.take("cause");
    let never = members.take("never");
    if let Some(never) = never.as_ref().filter(|never| never.value() != Value::Bool(true)) {
        return Err(problem(never, "`never` can only be `true`"));
    }
    let n_ends = usize::from(result.is_some()) + usize::from(error.is_some()) + usize::from(never.is_some());
    if n_ends != 1 {
        let verb = if n_ends == 0 { "needs" } else { "takes only" };
        return Err(problem(
            tree,
            format!("an answer {verb} one of `result`, `error` and `never: true`"),
        ));
    }
    let end = match (result, error) {
        (Some(result), _) => {
            let template = Template::parse_jsonata(&result.value(), FieldScope::Input);
            End::Result(template.map_err(|errors| {
                let messages = errors.into_iter().map(|error| error.message);
                problem(&result, in_jsonata("`result`", messages))
            })?)
        }
        (None, Some(error)) => End::Error(StatesError {
            name: Some(text(&error, "`error`")?),
            cause: cause.as_ref().map(|cause| text(cause, "`cause`")).transpose()?,
        }),
        (None, None) => End::Nothing,
    };
    if let (Some(cause), false) = (&cause, matches!(end, End::Error(_))) {
        return Err(problem(cause, "`cause` needs `error`"));
    }
    let when = match members.take("when") {
        None => None,
        Some(value) => {
            let source = text(&value, "`when`")?;
            if !Expression::is_expression(&source) {
                return Err(problem(&value, "`when` must be a JSONata expression `{% … %}`"));
            }
            Some(Expression::parse(&source, FieldScope::Input).map_err(|errors| {
                let messages = errors.into_iter().map(|error| error.message);
                problem(&value, in_jsonata("`when`", messages))
            })?)
        }
    };
    let after = members
        .take("after")
        .map(|value| millis(&value, "`after`"))
        .transpose()?;
    let n_heartbeats = match members.take("heartbeats") {
        None => 0,
        Some(value) => match count(&value, "`heartbeats`")? {
            n if n <= HEARTBEATS_MAX => n,
            _ => {
                return Err(problem(
                    &value,
                    format!("`heartbeats` must be at most {HEARTBEATS_MAX}"),
                ));
            }
        },
    };
    let item = members.take("item").map(|value| count(&value, "`item`")).transpose()?;
    members.end(MEMBERS)?;
    Ok(Answer {
        item,
        when,
        after_millis: after.unwrap_or(0),
        n_heartbeats,
        end,
    })
}

/// The mocks of a case, by state name or resource.
#[derive(Clone, Debug, Default)]
pub struct Mocks {
    list: Vec<(String, Mock)>,
    /// Those of the case come first: so many.
    n_own: usize,
}

/// Whose mock it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The case's: what it says of items must come.
    Case,
    /// The file's, for every case.
    File,
}

impl Mocks {
    /// Adds a mock behind those that are there, a case's before its file's: the first that fits counts.
    pub fn add(&mut self, name: &str, mock: Mock, owner: Owner) {
        self.n_own += usize::from(owner == Owner::Case);
        self.list.push((name.to_owned(), mock));
    }

    /// Tells whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Returns the names of states and resources.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.list.iter().map(|(name, _)| name.as_str())
    }
}

/// Who asks for an answer, and for what.
struct Call<'c> {
    /// What its mock is named.
    name: &'c str,
    resource: &'c str,
    /// For messages: the beginning of a sentence.
    who: String,
    item: Option<u64>,
    input: &'c Payload,
}

/// A case's mocks at work.
#[derive(Debug)]
pub struct Answering<'a> {
    mocks: &'a Mocks,
    /// Calls of each mock in turn, by the item that has answers of its own.
    n_calls: BTreeMap<(usize, Option<u64>), usize>,
    /// The items that came, by mock.
    came: BTreeSet<(usize, u64)>,
    entropy: RefCell<Entropy>,
    /// What went wrong with the mocks themselves, in order.
    pub failures: Vec<String>,
}

impl<'a> Answering<'a> {
    /// Puts mocks to work.
    pub fn new(mocks: &'a Mocks, seed: u64) -> Self {
        Self {
            mocks,
            n_calls: BTreeMap::new(),
            came: BTreeSet::new(),
            entropy: RefCell::new(Entropy::new(seed)),
            failures: Vec::new(),
        }
    }

    /// Finds the answer to a task.
    fn find(&mut self, task: &StartTask) -> Result<&'a Answer, String> {
        self.find_for(&Call {
            name: &task.state_name,
            resource: &task.resource_arn,
            who: format!("The state '{}'", task.state_name),
            item: task.item,
            input: &task.input,
        })
    }

    fn find_for(&mut self, call: &Call<'_>) -> Result<&'a Answer, String> {
        let is_for = |(name, _): &(String, Mock)| name == call.name || glob::matches(name, call.resource);
        let Some(at) = self.mocks.list.iter().position(is_for) else {
            let named = match call.who.ends_with(&format!("'{}'", call.name)) {
                true => String::new(),
                false => format!(" named '{}'", call.name),
            };
            return Err(format!(
                "{} has no mock{named}, and neither has its resource '{}': write one of them in `mocks`.",
                call.who, call.resource
            ));
        };
        let (name, mock) = &self.mocks.list[at];
        self.came.extend(call.item.map(|item| (at, item)));
        let is_for_item = |answer: &Answer| answer.item.is_none_or(|item| Some(item) == call.item);
        for answer in mock.answers.iter().filter(|answer| is_for_item(answer)) {
            if let Some(when) = &answer.when
                && self.holds(when, call.input)?
            {
                return Ok(answer);
            }
        }
        // An item that has answers of its own takes no others.
        let in_turn = || mock.answers.iter().filter(|answer| answer.when.is_none());
        let own = call
            .item
            .filter(|item| in_turn().any(|answer| answer.item == Some(*item)));
        let mut in_turn = in_turn().filter(|answer| answer.item == own);
        if mock.is_same
            && let Some(answer) = in_turn.next()
        {
            return Ok(answer);
        }
        let n_calls = self.n_calls.entry((at, own)).or_default();
        let answer = in_turn.nth(*n_calls);
        *n_calls += 1;
        answer.ok_or_else(|| {
            let of_item = own.map(|item| format!(" of item {item}")).unwrap_or_default();
            let who = call.who.replacen("The", "the", 1);
            format!("The mock '{name}' has no answer left for call {n_calls}{of_item} by {who}.")
        })
    }

    /// Returns the case's answers for items that never came, a sentence each.
    pub fn never_came(&self) -> Vec<String> {
        let mut told = Vec::new();
        for (at, (name, mock)) in self.mocks.list.iter().take(self.mocks.n_own).enumerate() {
            let items: BTreeSet<u64> = mock.answers.iter().filter_map(|answer| answer.item).collect();
            let missing = items.into_iter().filter(|item| !self.came.contains(&(at, *item)));
            told.extend(missing.map(|item| {
                format!("The mock '{name}' has an answer for item {item} of an inline Map, which never came to it.")
            }));
        }
        told
    }

    /// Answers a state that is tested by itself, where no time passes.
    ///
    /// # Errors
    /// No mock fits, or its answer takes time: a sentence.
    pub fn at_once(&mut self, task: &StartTask) -> Result<Result<Payload, StatesError>, String> {
        let answer = self.find(task)?;
        if answer.after_millis != 0 || answer.n_heartbeats != 0 || matches!(answer.end, End::Nothing) {
            return Err(format!(
                "The mock of '{}' has `after`, `heartbeats` or `never`, but no time passes when a state is tested by itself.",
                task.state_name
            ));
        }
        match &answer.end {
            End::Nothing => Err("A mock gives nothing.".to_owned()),
            End::Error(error) => Ok(Err(error.clone())),
            End::Result(template) => {
                let result = self.with_env(&task.input, |env| template.evaluate(env, "result"))?;
                Ok(Ok(Payload::new(result)))
            }
        }
    }

    fn holds(&self, condition: &Expression, input: &Payload) -> Result<bool, String> {
        let value = self.with_env(input, |env| condition.evaluate(env, "when"));
        Ok(value? == Value::Bool(true))
    }

    fn with_env(
        &self,
        input: &Payload,
        evaluate: impl FnOnce(&Env<'_>) -> Result<Value, QueryError>,
    ) -> Result<Value, String> {
        let make = |_| Payload::new(Value::Object(Map::new()));
        let context = Context::new(&make);
        evaluate(&Env {
            input: input.clone(),
            result: None,
            error_output: None,
            variables: &NoVariables,
            context: &context,
            entropy: &self.entropy,
        })
        .map_err(|error| match error {
            QueryError::Runtime(text) | QueryError::ReferencePathConflict(text) => text,
            QueryError::Evaluation { cause, .. } => cause,
        })
    }

    /// Notes a hole in the mocks. No Catch takes its error: it cannot pass for a tested path.
    fn hole(&mut self, failure: String) -> StatesError {
        self.failures.push(failure.clone());
        StatesError::new("States.Runtime", failure)
    }

    fn reports(&mut self, task: &StartTask) -> Result<Vec<Report>, String> {
        let answer = self.find(task)?;
        let id = task.task;
        let mut reports = begin(task);
        // The heartbeats come evenly before the end.
        let n_spans = answer.n_heartbeats + 1;
        let span = answer.after_millis / n_spans;
        for _ in 0..answer.n_heartbeats {
            reports.push(Report {
                delay_millis: span,
                kind: EventKind::TaskHeartbeat { task: id },
            });
        }
        let kind = match &answer.end {
            End::Nothing => return Ok(reports),
            End::Error(error) if error.name.as_deref() == Some("States.Timeout") => EventKind::TaskTimedOut {
                task: id,
                error: error.clone(),
            },
            End::Error(error) => EventKind::TaskFailed {
                task: id,
                error: error.clone(),
            },
            End::Result(template) => EventKind::TaskSucceeded {
                task: id,
                output: Payload::new(self.with_env(&task.input, |env| template.evaluate(env, "result"))?),
            },
        };
        reports.push(Report {
            delay_millis: answer.after_millis - span * answer.n_heartbeats,
            kind,
        });
        Ok(reports)
    }
}

/// What a mock gives a Distributed Map, and when.
fn exchanged(
    answering: &mut Answering<'_>,
    exchange: &Exchange,
    unmocked: impl FnOnce() -> Option<Payload>,
) -> Exchanged<Payload> {
    let name = format!("{}.{}", exchange.state_name, exchange.field.name());
    let request = exchange.request.value();
    let call = Call {
        name: &name,
        resource: request["Resource"].as_str().unwrap_or_default(),
        who: format!("The {} of the state '{}'", exchange.field.name(), exchange.state_name),
        item: None,
        input: &exchange.request,
    };
    let has_mock = answering
        .mocks
        .names()
        .any(|mock| mock == call.name || glob::matches(mock, call.resource));
    if !has_mock && let Some(result) = unmocked() {
        return Exchanged::now(Ok(result));
    }
    let answer = match answering.find_for(&call) {
        Ok(answer) if answer.n_heartbeats == 0 => answer,
        Ok(_) => return Exchanged::now(Err(answering.hole(format!("{} has no heartbeats.", call.who)))),
        Err(failure) => return Exchanged::now(Err(answering.hole(failure))),
    };
    let end = match &answer.end {
        End::Nothing => None,
        End::Error(error) => Some(Err(error.clone())),
        End::Result(template) => {
            let result = answering.with_env(&exchange.request, |env| template.evaluate(env, "result"));
            Some(match result {
                Ok(result) => Ok(Payload::new(result)),
                Err(failure) => Err(answering.hole(failure)),
            })
        }
    };
    Exchanged {
        delay_millis: answer.after_millis,
        end,
    }
}

impl Tasks for Answering<'_> {
    fn answer(&mut self, task: &StartTask) -> Vec<Report> {
        match self.reports(task) {
            Ok(reports) => reports,
            Err(failure) => vec![Report {
                delay_millis: 0,
                kind: EventKind::TaskFailed {
                    task: task.task,
                    error: self.hole(failure),
                },
            }],
        }
    }

    fn read(&mut self, exchange: &Exchange) -> Exchanged<Vec<ReadItem>> {
        let read = exchanged(self, exchange, || None);
        Exchanged {
            delay_millis: read.delay_millis,
            end: read.end.map(|end| {
                end.and_then(|items| {
                    exchange.items(&items).ok_or_else(|| {
                        let name = &exchange.state_name;
                        self.hole(format!(
                            "The `result` of the mock '{name}.ItemReader' must be the items that are read: a list, or an object whose pairs they are."
                        ))
                    })
                })
            }),
        }
    }

    fn write(&mut self, exchange: &Exchange) -> Exchanged<Payload> {
        exchanged(self, exchange, || Some(exchange.written()))
    }
}
