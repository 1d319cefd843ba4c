//! An expression compiled for the engine.

use std::borrow::Cow;
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
use crate::query::env::ContextForm;
use crate::query::env::Env;
use crate::query::jsonata::functions;
use crate::query::jsonata::functions::Budget;
use crate::query::jsonata::infinity;
use crate::query::jsonata::infinity::OUT_OF_RANGE;
use crate::query::jsonata::infinity::Operator;
use crate::query::jsonata::limits;
use crate::query::jsonata::message;
use crate::query::jsonata::result::Writer;
use crate::query::jsonata::source;
use crate::query::jsonata::source::Nothing;
use crate::query::jsonata::source::Root;
use crate::query::jsonata::source::Table;
use crate::query::jsonata::survey::Operand;
use crate::query::jsonata::survey::Survey;

/// Ends what begins with a prelude or guards.
const END: &str = "\n)";

/// An expression compiled for the engine.
pub(super) struct Lens {
    direct: jlens_core::Expression,
    /// The expression behind a prelude that binds what it reads from a borrowed input. Only an expression that does
    /// not read its context can be run so, as it would see that input there.
    behind_prelude: Option<jlens_core::Expression>,
    /// As `direct`, with guards before functions that need one.
    guarded: Option<jlens_core::Expression>,
    reads: Reads,
    names: Vec<String>,
    /// Per name: it is a function, unless a workflow variable hides it.
    is_function: Vec<bool>,
    bindings: Bindings,
    draws: bool,
    shuffles: bool,
    tells_time: bool,
    makes_values: bool,
    divides: bool,
    /// Where a number may come out that is not finite.
    operators: Vec<Operator>,
    operands: Vec<Operand>,
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
    /// The expression's tree, as written.
    pub(super) fn root(&self) -> &jlens_core::Node {
        &self.direct.ast().root
    }

    pub(super) fn new(direct: jlens_core::Expression, survey: &Survey) -> Self {
        let names = survey.names.clone();
        let is_function: Vec<bool> = names.iter().map(|name| functions::is_function(name)).collect();
        let bindings = functions::pure(names.iter().map(String::as_str));
        let names_any = |wanted: &[&str]| names.iter().any(|name| wanted.contains(&&**name));
        let mut lens = Self {
            reads: direct.reads_with(&bindings),
            draws: names.iter().any(|name| functions::draws(name)),
            shuffles: names_any(&["shuffle"]),
            makes_values: names.iter().any(|name| functions::makes_values(name)),
            tells_time: names_any(&["now", "millis", "toMillis"]),
            divides: survey
                .operators
                .iter()
                .any(|operator| matches!(operator.symbol, '/' | '%'))
                || names_any(&["parseInteger"]),
            operators: survey.operators.clone(),
            operands: survey.operands.clone(),
            behind_prelude: None,
            guarded: None,
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
        lens.guarded = lens.behind_guards(lens.direct.source(), &lens.names);
        lens
    }

    /// The expression as it was written.
    pub(super) fn ast(&self) -> &jlens_core::Ast {
        self.direct.ast()
    }

    /// Compiles an expression with guards before those functions among `names` that need one.
    fn behind_guards(&self, source: &str, names: &[String]) -> Option<jlens_core::Expression> {
        let guards = functions::guards(names);
        if guards.is_empty() {
            return None;
        }
        jlens_core::Expression::compile(&format!("({guards}{source}{END}")).ok()
    }

    /// Puts an expression behind the prelude.
    fn with_prelude(&self, source: &str) -> String {
        let mut text = format!("($states := {};\n", source::STATES_FIELD);
        for (position, name) in self.names.iter().enumerate() {
            if !self.is_function[position] {
                text += &format!("${name} := {};\n", source::variable_field(position));
            }
        }
        text + &functions::guards(&self.names) + source + END
    }

    /// Evaluates. Chance is drawn from `env` once, however often the engine runs.
    pub(super) fn evaluate(&self, env: &Env<'_>) -> Result<Outcome, Error> {
        let held = self.hold(env);
        let start = env.entropy.borrow().clone();
        let (prelude, direct) = self.forms(&held);
        let mut outcome = self.run(prelude, &direct, env, &held, true);
        let mut ran = prelude.unwrap_or(&direct);
        // A call whose arguments do not fit takes its context instead. At the top there is none, behind the prelude
        // there is one.
        if prelude.is_some() && matches!(&outcome, Err(error) if error.code() == "T0411") {
            env.entropy.replace(start.clone());
            outcome = self.run(None, &direct, env, &held, true);
            ran = &direct;
        }
        let origin = match ran.source().len() - self.direct.source().len() {
            0 => 0,
            around => around - END.len(),
        };
        match outcome {
            Ok((Some(value), nulls)) if nulls > 0 && self.divides => {
                let named = self.with_infinities(env, &held, start).ok().flatten();
                Ok(Outcome::Value(named.unwrap_or(value)))
            }
            Ok((Some(value), _)) => Ok(Outcome::Value(value)),
            Ok((None, _)) => {
                let question = format!("$type((\n{}\n))", self.direct.source());
                let kind = self.again(env, &held, start, &question).ok().flatten();
                let is_function = matches!(kind, Some(Value::String(kind)) if kind == "function");
                Ok(if is_function {
                    Outcome::Function
                } else {
                    Outcome::Undefined
                })
            }
            Err(error) if error.code() == OUT_OF_RANGE => match self.with_infinities(env, &held, start) {
                Ok(Some(value)) => Ok(Outcome::Value(value)),
                Err(error) if error.code() == infinity::NO_TEXT => Err(error),
                _ => Err(message::as_reference(&error, origin, &self.operands)),
            },
            Err(error) => Err(message::as_reference(&error, origin, &self.operands)),
        }
    }

    /// Returns the forms of the expression that fit what is held: behind the prelude, if that can be, and direct.
    fn forms(&self, held: &Held<'_>) -> (Option<&jlens_core::Expression>, Cow<'_, jlens_core::Expression>) {
        let compiled = Cow::Borrowed(self.guarded.as_ref().unwrap_or(&self.direct));
        if !held.hides_function {
            return (self.behind_prelude.as_ref(), compiled);
        }
        // A guard would hide the variable in its turn.
        let visible = self
            .names
            .iter()
            .zip(&held.variables)
            .filter(|(_, value)| value.is_none());
        let visible: Vec<String> = visible.map(|(name, _)| name.clone()).collect();
        let guarded = self.behind_guards(self.direct.source(), &visible);
        (None, guarded.map_or(Cow::Borrowed(&self.direct), Cow::Owned))
    }

    /// Evaluates once more with operators that give infinities, as JSONata's do and the engine's do not.
    fn with_infinities(&self, env: &Env<'_>, held: &Held<'_>, start: Entropy) -> Result<Option<Value>, Error> {
        let text = infinity::rewrite(self.direct.source(), &self.operators);
        let text = format!("({}{text}{END}", infinity::PRELUDE);
        let found = self.again(env, held, start, &text)?;
        Ok(found.and_then(|mut value| infinity::name(&mut value).then_some(value)))
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
        if let Some(form) = self.context_form() {
            states.push(("context", env.context.get_as(form).value()));
        }
        Held {
            states,
            variables,
            hides_function,
        }
    }

    /// Returns how much of the context object the expression reads, if any.
    fn context_form(&self) -> Option<ContextForm> {
        let fields = match self.reads.binding("states") {
            Some(Read::Fields(fields)) => fields,
            Some(Read::Whole) => return Some(ContextForm::Whole),
            None => return self.reads.every_binding().then_some(ContextForm::Whole),
        };
        let Read::Fields(members) = fields.get("context")? else {
            return Some(ContextForm::Whole);
        };
        Some(match members.get("Execution") {
            None => ContextForm::WithoutInput,
            Some(Read::Fields(facts)) if !facts.contains_key("Input") => ContextForm::WithoutInput,
            Some(_) => ContextForm::Whole,
        })
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
        let spending = self
            .makes_values
            .then(|| functions::with_budget(bindings.clone(), &self.names, &Budget::new()));
        let bindings = spending.as_ref().unwrap_or(bindings);
        let infinite = (!first).then(|| infinity::bind(bindings.clone(), &self.operators));
        let bindings = infinite.as_ref().unwrap_or(bindings);
        let outcome = match behind_prelude {
            Some(expression) => {
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
    fn again(&self, env: &Env<'_>, held: &Held<'_>, start: Entropy, source: &str) -> Result<Option<Value>, Error> {
        let prelude = match &self.behind_prelude {
            Some(_) if !held.hides_function => Some(jlens_core::Expression::compile(&self.with_prelude(source))?),
            _ => None,
        };
        let direct = match self.behind_guards(source, &self.names) {
            Some(guarded) if !held.hides_function => guarded,
            _ => jlens_core::Expression::compile(source)?,
        };
        let now = env.entropy.replace(start);
        let found = self.run(prelude.as_ref(), &direct, env, held, false);
        env.entropy.replace(now);
        Ok(found?.0)
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
    let context = env.context.get_as(ContextForm::WithoutInput).value();
    ["/State/EnteredTime", "/Execution/StartTime"]
        .iter()
        .find_map(|pointer| Timestamp::parse_rfc3339(context.pointer(pointer)?.as_str()?))
        .map_or(0, |at| at.0)
}
