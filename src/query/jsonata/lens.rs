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
use crate::query::jsonata::limits;
use crate::query::jsonata::result::Writer;
use crate::query::jsonata::source;
use crate::query::jsonata::source::Nothing;
use crate::query::jsonata::source::Root;
use crate::query::jsonata::source::Table;
use crate::query::jsonata::survey::Survey;

/// Recognizes, in the order in which a result is written, what was written as `null`.
const RECOGNIZE: &str = r#"
; $kind := function($v) {(
    $type($v) = "number"
        ? ($v > 1.7976931348623157e308 ? "+" : $v < -1.7976931348623157e308 ? "-" : $not($v >= 0) and $not($v < 0) ? "?")
    : $type($v) = "array" ? $join($map($v, function($i) { $type($i) = "function" ? "n" : $kind($i) }))
    : $type($v) = "object" ? $join($each($v, function($i) { $kind($i) }))
    : $v = null ? "n"
)};
$kind($recognized)
"#;

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
    computes: bool,
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
            tells_time: names_any(&["now", "millis"]),
            computes: survey.computes || !is_function.is_empty(),
            behind_prelude: None,
            direct,
            names,
            is_function,
            bindings,
        };
        if lens.reads.input().is_none() {
            lens.behind_prelude = jlens_core::Expression::compile(&lens.with_prelude("", "")).ok();
        }
        lens
    }

    /// Puts the expression, and something around it, behind the prelude.
    fn with_prelude(&self, before: &str, after: &str) -> String {
        let mut text = format!("($states := {};\n", source::STATES_FIELD);
        for (position, name) in self.names.iter().enumerate() {
            if !self.is_function[position] {
                text += &format!("${name} := {};\n", source::variable_field(position));
            }
        }
        text + before + self.direct.source() + "\n" + after + ")"
    }

    /// Evaluates. Chance is drawn from `env` once, however often the engine runs.
    pub(super) fn evaluate(&self, env: &Env<'_>) -> Result<Outcome, Error> {
        let held = self.hold(env);
        let start = env.entropy.borrow().clone();
        let (found, nulls) = self.run(self.behind_prelude.as_ref(), &self.direct, env, &held, true)?;
        match found {
            Some(value) if nulls > 0 && self.computes => Ok(Outcome::Value(self.recognize(env, &held, start, value))),
            Some(value) => Ok(Outcome::Value(value)),
            None => {
                let kind = self.again(env, &held, start, "$type(", ")");
                let is_function = matches!(kind, Some(Value::String(kind)) if kind == "function");
                Ok(if is_function {
                    Outcome::Function
                } else {
                    Outcome::Undefined
                })
            }
        }
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

    /// Runs the engine. The second value is the number of `null`s the engine wrote.
    fn run(
        &self,
        behind_prelude: Option<&jlens_core::Expression>,
        direct: &jlens_core::Expression,
        env: &Env<'_>,
        held: &Held<'_>,
        keep_chance: bool,
    ) -> Result<(Option<Value>, usize), Error> {
        let mut options = limits::options();
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
        if keep_chance && (self.draws || self.shuffles) {
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

    /// Evaluates once more, with the same chance and something around the expression.
    fn again(&self, env: &Env<'_>, held: &Held<'_>, start: Entropy, before: &str, after: &str) -> Option<Value> {
        let (before, after) = (format!("{before}(\n"), format!("){after}"));
        let prelude = match &self.behind_prelude {
            Some(_) => Some(jlens_core::Expression::compile(&self.with_prelude(&before, &after)).ok()?),
            None => None,
        };
        let text = format!("({before}{}\n{after})", self.direct.source());
        let direct = jlens_core::Expression::compile(&text).ok()?;
        let now = env.entropy.replace(start);
        let found = self.run(prelude.as_ref(), &direct, env, held, false);
        env.entropy.replace(now);
        found.ok()?.0
    }

    /// Writes numbers that are not finite as AWS does.
    fn recognize(&self, env: &Env<'_>, held: &Held<'_>, start: Entropy, value: Value) -> Value {
        let mut value = value;
        let kinds = self.again(env, held, start, "$recognized := ", RECOGNIZE);
        if let Some(Value::String(kinds)) = kinds {
            name_infinities(&mut value, &mut kinds.chars());
        }
        value
    }
}

fn name_infinities(value: &mut Value, kinds: &mut std::str::Chars<'_>) {
    match value {
        Value::Null => match kinds.next() {
            Some('+') => *value = Value::from("Infinity"),
            Some('-') => *value = Value::from("-Infinity"),
            Some('?') => *value = Value::from("NaN"),
            _ => {}
        },
        Value::Array(items) => items.iter_mut().for_each(|item| name_infinities(item, kinds)),
        Value::Object(fields) => fields.values_mut().for_each(|field| name_infinities(field, kinds)),
        _ => {}
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
