//! A compiled expression.

use std::sync::Arc;

use serde_json::Value;

use crate::model::payload::Payload;
use crate::query::env::Env;
use crate::query::error::CompileError;
use crate::query::error::QueryError;
use crate::query::jsonata::lens::Lens;
use crate::query::jsonata::lens::Outcome;
use crate::query::jsonata::limits;
use crate::query::jsonata::quick::Quick;
use crate::query::jsonata::survey::survey;

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
                code: "INVALID_JSONATA_EXPRESSION",
                message: error.message(),
                location: String::new(),
                offset: error.span().map(|span| start + span.start.min(inner.len())),
            }]
        })?;
        let mut survey = survey(expression.ast(), scope);
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

    /// The names of workflow variables read, without `$`, in order of first appearance; `states` is not one.
    pub fn variables(&self) -> Vec<String> {
        self.0.variables.clone()
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
mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::model::entropy::Entropy;
    use crate::query::env::Context;
    use crate::query::env::Variables;

    struct Some2(BTreeMap<&'static str, Payload>);

    impl Variables for Some2 {
        fn get(&self, name: &str) -> Option<Payload> {
            self.0.get(name).cloned()
        }
    }

    fn evaluate(text: &str) -> Result<Value, String> {
        let expression = Expression::parse(&format!("{{% {text} %}}"), FieldScope::Result).map_err(|errors| {
            errors
                .iter()
                .map(|error| format!("{}: {}", error.code, error.message))
                .collect::<Vec<_>>()
                .join(" | ")
        })?;
        let make = || {
            Payload::new(json!({
                "Execution": {"StartTime": "2026-09-01T00:00:00Z"},
                "State": {"Name": "S", "EnteredTime": "2026-09-01T00:00:01.250Z"}
            }))
        };
        let mut variables = BTreeMap::new();
        variables.insert(
            "x",
            Payload::new(json!({"a": [1, 2, 3], "b": {"c": 12345678901234567890_u64}})),
        );
        variables.insert("count", Payload::new(json!(7)));
        let variables = Some2(variables);
        let entropy = RefCell::new(Entropy::new(1));
        let env = Env {
            input: Payload::parse(
                r#"{"n": 41, "f": 1.5, "s": "text", "t": true, "z": null, "one": [1], "none": [], "big": 9007199254740993,
                    "xs": [{"k": "a", "v": 1}, {"k": "b", "v": 2}], "o": {"p": {"q": "deep"}}, "doc": {"big": 9007199254740993}}"#,
            )
            .expect("JSON"),
            result: Some(Payload::new(json!({"r": 1}))),
            error_output: None,
            variables: &variables,
            context: &Context::new(&make),
            entropy: &entropy,
        };
        match expression.evaluate(&env, "Output/v") {
            Ok(value) => Ok(value),
            Err(QueryError::Evaluation { cause, location }) => {
                assert_eq!(location.as_deref(), Some("Output/v"));
                let prefix = format!(
                    "The JSONata expression '{}' specified for the field 'Output/v' ",
                    expression.text()
                );
                Err(cause.strip_prefix(&prefix).unwrap_or(&cause).to_owned())
            }
            Err(other) => Err(other.to_string()),
        }
    }

    #[test]
    fn probe() {
        for line in std::fs::read_to_string("/tmp/probe.txt").unwrap().lines() {
            let started = std::time::Instant::now();
            let r = evaluate(line);
            let r = match r {
                Ok(v) => format!("OK  {v}"),
                Err(e) => format!("ERR {e}"),
            };
            println!(
                "{:60} {:>6}ms {}",
                line,
                started.elapsed().as_millis(),
                &r.chars().take(200).collect::<String>()
            );
        }
    }
}
