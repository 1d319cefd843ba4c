//! A compiled expression.

use serde_json::Value;

use crate::query::env::Env;
use crate::query::error::CompileError;
use crate::query::error::QueryError;

/// A compiled JSONata expression.
#[derive(Clone)]
pub struct Expression {
    text: std::sync::Arc<str>,
}

impl std::fmt::Debug for Expression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
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
    pub fn parse(_text: &str, _scope: FieldScope) -> Result<Self, Vec<CompileError>> {
        todo!()
    }
    /// The text between the delimiters, trimmed.
    pub fn text(&self) -> &str {
        &self.text
    }
    /// The names of workflow variables read, without `$`, in order of first appearance; `states` is not one.
    pub fn variables(&self) -> Vec<String> {
        todo!()
    }
    /// Evaluates; `location` is the FIELD of AWS's sentences, for example `Output/result`.
    pub fn evaluate(&self, _env: &Env<'_>, _location: &str) -> Result<Value, QueryError> {
        todo!()
    }
}

/// The sentence `… returned an unexpected result type. Expected 'array', but was 'string' for value: "x"`.
pub fn unexpected_type(_expression: &Expression, _location: &str, _expected: &str, _value: &Value) -> QueryError {
    todo!()
}

impl Expression {
    /// As `evaluate`; a result that is a whole payload is shared, not copied.
    pub fn evaluate_payload(
        &self,
        env: &Env<'_>,
        location: &str,
    ) -> Result<crate::model::payload::Payload, QueryError> {
        self.evaluate(env, location).map(crate::model::payload::Payload::new)
    }
}
