//! A compiled expression.

use std::sync::Arc;

use serde_json::Value;

use crate::model::payload::Payload;
use crate::query::env::Env;
use crate::query::error::CompileError;
use crate::query::error::QueryError;
use crate::query::jsonata::habits;
use crate::query::jsonata::habits::Growth;
use crate::query::jsonata::lens::Lens;
use crate::query::jsonata::lens::Outcome;
use crate::query::jsonata::limits;
use crate::query::jsonata::message;
use crate::query::jsonata::outline;
use crate::query::jsonata::outline::Outline;
use crate::query::jsonata::outline::Read;
use crate::query::jsonata::quick::Quick;
use crate::query::jsonata::survey;

/// A compiled JSONata expression.
#[derive(Clone)]
pub struct Expression(Arc<Compiled>);

struct Compiled {
    text: Box<str>,
    quick: Option<Quick>,
    lens: Lens,
    variables: Vec<String>,
    too_deep: bool,
}

impl std::fmt::Debug for Expression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.text())
    }
}

/// Which members of `$states` a field may read: `$states.errorOutput` elsewhere is a compile error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldScope {
    /// `Arguments`, `Items`, `Condition`, …, and everything of Pass, Choice, Wait, Succeed, Fail.
    Input,
    /// `Output`/`Assign` of Task, Map, Parallel.
    Result,
    /// `Output`/`Assign` of a catcher.
    ErrorOutput,
}

impl Expression {
    /// True when `text` is `{% … %}`.
    pub fn is_expression(text: &str) -> bool {
        text.starts_with("{%") && text.ends_with("%}") && text.len() >= 4
    }

    /// Compiles `{% … %}` (delimiters included). Several errors can be found at once.
    ///
    /// # Errors
    /// The text does not parse, or reads what Step Functions does not offer.
    pub fn parse(text: &str, scope: FieldScope) -> Result<Self, Vec<CompileError>> {
        let inner = text.strip_prefix("{%").unwrap_or(text);
        let start = text.len() - inner.len();
        let inner = inner.strip_suffix("%}").unwrap_or(inner);
        let start = start + inner.len() - inner.trim_start().len();
        let inner = inner.trim();
        let expression = jlens_core::Expression::compile(inner).map_err(|error| {
            vec![CompileError {
                key: None,
                code: "INVALID_JSONATA_EXPRESSION",
                message: message::as_reference(&error, 0, &[]).message(),
                location: String::new(),
                offset: error.span().map(|span| start + span.start.min(inner.len())),
            }]
        })?;
        if let Some((message, offset)) = survey::later_operator(&expression.ast().root) {
            return Err(vec![CompileError {
                key: None,
                code: "INVALID_JSONATA_EXPRESSION",
                message,
                location: String::new(),
                offset: Some(start + offset),
            }]);
        }
        let mut survey = survey::survey(expression.ast(), scope);
        if !survey.refused.is_empty() {
            for refused in &mut survey.refused {
                refused.offset = refused.offset.map(|offset| start + offset);
            }
            return Err(survey.refused);
        }
        Ok(Self(Arc::new(Compiled {
            text: Box::from(inner),
            quick: Quick::compile(&expression.ast().root),
            lens: Lens::new(expression, &survey),
            variables: survey.variables,
            too_deep: survey.nesting > limits::NESTING,
        })))
    }

    /// The text between the delimiters, trimmed.
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// The tree of the text between the delimiters.
    pub fn tree(&self) -> &jlens_core::Node {
        &self.0.lens.ast().root
    }

    /// The names of workflow variables read, without `$`, in order of first appearance; `states` is not one.
    pub fn variables(&self) -> Vec<String> {
        self.0.variables.clone()
    }

    /// What the expression reads, in the order of the text.
    pub fn reads(&self) -> Vec<Read<'_>> {
        outline::reads(self.0.lens.root())
    }

    /// What is known of the value before it is evaluated.
    pub fn outline(&self) -> Outline<'_> {
        outline::outline(self.0.lens.root())
    }

    /// What the expression gives longer than it was.
    pub fn growths(&self) -> Vec<Growth<'_>> {
        habits::growths(self.0.lens.root())
    }

    /// Tells whether it selects from a list, so that it gives a single value when just one is selected.
    pub fn may_collapse(&self) -> bool {
        habits::may_collapse(self.0.lens.root())
    }

    /// Tells whether it calls a built-in function of that name, given without `$`.
    pub fn calls(&self, function: &str) -> bool {
        habits::calls(self.0.lens.root(), function)
    }

    /// Returns how many numbers a list like `[1..500]` has.
    pub fn length(&self) -> Option<u64> {
        habits::length(self.0.lens.root())
    }

    /// Evaluates; `location` is the FIELD of AWS's sentences, for example `Output/result`.
    ///
    /// # Errors
    /// The evaluation fails, or gives no JSON value.
    pub fn evaluate(&self, env: &Env<'_>, location: &str) -> Result<Value, QueryError> {
        let compiled = &*self.0;
        if compiled.too_deep {
            return Err(limits::too_deep(&compiled.text, location));
        }
        if let Some(value) = compiled.quick.as_ref().and_then(|quick| quick.evaluate(env)) {
            return Ok(value);
        }
        match compiled.lens.evaluate(env) {
            Ok(Outcome::Value(value)) => Ok(value),
            Ok(Outcome::Undefined) => Err(limits::undefined(&compiled.text, location)),
            Ok(Outcome::Function) => Err(limits::unsupported(&compiled.text, location)),
            Err(error) => Err(limits::thrown(&compiled.text, location, &error, env.entropy)),
        }
    }

    /// Evaluates like [`Self::evaluate`]; a result that is a whole payload is shared, not copied.
    ///
    /// # Errors
    /// As [`Self::evaluate`].
    pub fn evaluate_payload(&self, env: &Env<'_>, location: &str) -> Result<Payload, QueryError> {
        match self.0.quick.as_ref().and_then(|quick| quick.payload(env)) {
            Some(payload) => Ok(payload),
            None => self.evaluate(env, location).map(Payload::new),
        }
    }
}

/// The sentence `… returned an unexpected result type. Expected 'array', but was 'string' for value: "x"`.
pub fn unexpected_type(expression: &Expression, location: &str, expected: &str, value: &Value) -> QueryError {
    let actual = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    limits::unexpected(expression.text(), location, expected, actual, &value.to_string())
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
