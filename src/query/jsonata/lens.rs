//! An expression compiled for the engine.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use jlens_core::Bindings;
use jlens_core::Error;
use jlens_core::Options;
use jlens_core::reads::Read;
use jlens_core::reads::Reads;
use serde_json::Map;
use serde_json::Value;

use crate::model::entropy::Entropy;
use crate::model::payload::Payload;
use crate::model::timestamp::Timestamp;
use crate::query::env::Env;
use crate::query::jsonata::functions;
use crate::query::jsonata::infinity;
use crate::query::jsonata::infinity::OUT_OF_RANGE;
use crate::query::jsonata::infinity::Operator;
use crate::query::jsonata::limits;
use crate::query::jsonata::result::Writer;
use crate::query::jsonata::source;
use crate::query::jsonata::source::Nothing;
use crate::query::jsonata::source::Root;
use crate::query::jsonata::source::Table;
use crate::query::jsonata::survey::Survey;

/// An expression compiled for the engine.
pub(super) struct Lens {
    direct: jlens_core::Expression,
    /// The expression behind a prelude that binds what it reads from a borrowed input. Only an expression that does
    /// not read its context can be run so, as it would see that input there.
    behind_prelude: Option<jlens_core::Expression>,
    reads: Reads,
    names: Vec<String>,
    /// Per name: it is a function, unless a workflow variable hides it.
    is_function: Vec<bool>,
    bindings: Bindings,
    draws: bool,
    shuffles: bool,
    tells_time: bool,
    compares_all: bool,
    divides: bool,
    /// Where a number may come out that is not finite.
    operators: Vec<Operator>,
}

/// What came of an evaluation.
pub(super) enum Outcome {
    Value(Value),
    Undefined,
    Function,
}

/// What an expression reads, held for the time of its evaluation.
struct Held<'e> {
    states: Vec<(&'static str, &'e Value)>,
    variables: Vec<Option<Payload>>,
    /// A workflow variable has the name of a function.
    hides_function: bool,
}

impl Lens {
    pub(super) fn new(direct: jlens_core::Expression, survey: &Survey) -> Self {
        let names = survey.names.clone();
        let is_function: Vec<bool> = names.iter().map(|name| functions::is_function(name)).collect();
        let bindings = functions::pure(names.iter().map(String::as_str));
        let names_any = |wanted: &[&str]| names.iter().any(|name| wanted.contains(&&**name));
        let mut lens = Self {
            reads: direct.reads_with(&bindings),
            draws: names.iter().any(|name| functions::draws(name)),
            shuffles: names_any(&["shuffle"]),
            compares_all: names_any(&["distinct"]),
            tells_time: names_any(&["now", "millis", "toMillis"]),
            divides: survey
                .operators
                .iter()
                .any(|operator| matches!(operator.symbol, '/' | '%')),
            operators: survey.operators.clone(),
            behind_prelude: None,
            direct,
            names,
            is_function,
            bindings,
        };
        let reads_context = match lens.reads.input() {
            None => false,
            // The context is only looped over: once, be it an object or nothing at all.
            Some(Read::Fields(fields)) => !fields.is_empty() || survey.takes_context,
            Some(Read::Whole) => true,
        };
        if !reads_context {
            lens.behind_prelude = jlens_core::Expression::compile(&lens.with_prelude(lens.direct.source())).ok();
        }
        lens
    }

    /// Puts an expression behind the prelude.
    fn with_prelude(&self, source: &str) -> String {
        let mut text = format!("($states := {};\n", source::STATES_FIELD);
        for (position, name) in self.names.iter().enumerate() {
            if !self.is_function[position] {
                text += &format!("${name} := {};\n", source::variable_field(position));
            }
        }
        text + source + "\n)"
    }

    /// Evaluates. Chance is drawn from `env` once, however often the engine runs.
    pub(super) fn evaluate(&self, env: &Env<'_>) -> Result<Outcome, Error> {
        let held = self.hold(env);
        let start = env.entropy.borrow().clone();
        match self.run(self.behind_prelude.as_ref(), &self.direct, env, &held, true) {
            Ok((Some(value), nulls)) if nulls > 0 && self.divides => {
                Ok(Outcome::Value(self.with_infinities(env, &held, start).unwrap_or(value)))
            }
            Ok((Some(value), _)) => Ok(Outcome::Value(value)),
            Ok((None, _)) => {
                let question = format!("$type((\n{}\n))", self.direct.source());
                let kind = self.again(env, &held, start, &question);
                let is_function = matches!(kind, Some(Value::String(kind)) if kind == "function");
                Ok(if is_function {
                    Outcome::Function
                } else {
                    Outcome::Undefined
                })
            }
            Err(error) if error.code() == OUT_OF_RANGE => {
                self.with_infinities(env, &held, start).map(Outcome::Value).ok_or(error)
            }
            Err(error) => Err(error),
        }
    }

    /// Evaluates once more with operators that give infinities, as JSONata's do and the engine's do not.
    fn with_infinities(&self, env: &Env<'_>, held: &Held<'_>, start: Entropy) -> Option<Value> {
        let text = infinity::rewrite(self.direct.source(), &self.operators);
        let mut value = self.again(env, held, start, &text)?;
        infinity::name(&mut value).then_some(value)
    }

    fn hold<'e>(&self, env: &'e Env<'_>) -> Held<'e> {
        let variables: Vec<Option<Payload>> = self.names.iter().map(|name| env.variables.get(name)).collect();
        let hides_function = variables
            .iter()
            .zip(&self.is_function)
            .any(|(value, function)| *function && value.is_some());
        let mut states = vec![("input", env.input.value())];
        if let Some(result) = &env.result {
            states.push(("result", result.value()));
        }
        if let Some(error_output) = &env.error_output {
            states.push(("errorOutput", error_output.value()));
        }
        let reads_context = match self.reads.binding("states") {
            Some(Read::Fields(fields)) => fields.contains_key("context"),
            Some(Read::Whole) => true,
            None => self.reads.every_binding(),
        };
        if reads_context {
            states.push(("context", env.context.get().value()));
        }
        Held {
            states,
            variables,
            hides_function,
        }
    }

    /// Runs the engine, for the first time or again. The second value is the number of `null`s the engine wrote.
    fn run(
        &self,
        behind_prelude: Option<&jlens_core::Expression>,
        direct: &jlens_core::Expression,
        env: &Env<'_>,
        held: &Held<'_>,
        first: bool,
    ) -> Result<(Option<Value>, usize), Error> {
        let mut options = limits::options(self.compares_all);
        if self.tells_time {
            options = options.now(entered(env));
        }
        let mut chance = env.entropy.borrow().clone();
        if self.shuffles {
            options = options.seed(chance.next_u64());
        }
        let chance = Arc::new(Mutex::new(chance));
        let drawing = self
            .draws
            .then(|| functions::with_chance(self.bindings.clone(), &chance));
        let bindings = drawing.as_ref().unwrap_or(&self.bindings);
        let infinite = (!first).then(|| infinity::bind(bindings.clone(), &self.operators));
        let bindings = infinite.as_ref().unwrap_or(bindings);
        let outcome = match behind_prelude {
            Some(expression) if !held.hides_function => {
                let variables = held
                    .variables
                    .iter()
                    .map(|value| value.as_ref().map(Payload::value))
                    .collect();
                run_over(
                    expression,
                    &Table::new(held.states.clone(), variables),
                    bindings,
                    &options,
                )
            }
            _ => self.run_over_copies(direct, held, bindings.clone(), &options),
        };
        if first && (self.draws || self.shuffles) {
            *env.entropy.borrow_mut() = chance.lock().unwrap_or_else(PoisonError::into_inner).clone();
        }
        outcome
    }

    /// Runs an expression that reads its context, of which there is none: what it reads must be bound by value.
    fn run_over_copies(
        &self,
        expression: &jlens_core::Expression,
        held: &Held<'_>,
        bindings: Bindings,
        options: &Options,
    ) -> Result<(Option<Value>, usize), Error> {
        let whole = held.hides_function || self.reads.every_binding();
        let mut states = Map::new();
        let read = self.reads.binding("states");
        for (name, value) in &held.states {
            match read {
                Some(Read::Fields(fields)) if !whole => {
                    if let Some(read) = fields.get(*name) {
                        states.insert((*name).to_owned(), read.cut(value));
                    }
                }
                _ => {
                    states.insert((*name).to_owned(), (*value).clone());
                }
            }
        }
        let mut bindings = bindings.var("states", Value::Object(states));
        for (name, value) in self.names.iter().zip(&held.variables) {
            if let Some(value) = value {
                let value = match self.reads.binding(name) {
                    Some(read) if !whole => read.cut(value.value()),
                    _ => value.value().clone(),
                };
                bindings = bindings.var(name.as_str(), value);
            }
        }
        expression.evaluate_source_to(&Nothing, &bindings, options, |output| {
            let mut writer = Writer::new(None);
            Ok((output.write(&mut writer)?, writer.nulls))
        })
    }

    /// Evaluates another expression with the same names and the same chance.
    fn again(&self, env: &Env<'_>, held: &Held<'_>, start: Entropy, source: &str) -> Option<Value> {
        let prelude = match &self.behind_prelude {
            Some(_) => Some(jlens_core::Expression::compile(&self.with_prelude(source)).ok()?),
            None => None,
        };
        let direct = jlens_core::Expression::compile(source).ok()?;
        let now = env.entropy.replace(start);
        let found = self.run(prelude.as_ref(), &direct, env, held, false);
        env.entropy.replace(now);
        found.ok()?.0
    }
}

fn run_over<'a>(
    expression: &jlens_core::Expression,
    table: &std::rc::Rc<Table<'a>>,
    bindings: &'a Bindings,
    options: &Options,
) -> Result<(Option<Value>, usize), Error> {
    expression.evaluate_source_to(&Root(table.clone()), bindings, options, |output| {
        let mut writer = Writer::new(Some(table));
        Ok((output.write(&mut writer)?, writer.nulls))
    })
}

/// The time of an evaluation: that at which the state was entered, so that a replay repeats it.
fn entered(env: &Env<'_>) -> i64 {
    let context = env.context.get().value();
    ["/State/EnteredTime", "/Execution/StartTime"]
        .iter()
        .find_map(|pointer| Timestamp::parse_rfc3339(context.pointer(pointer)?.as_str()?))
        .map_or(0, |at| at.0)
}
