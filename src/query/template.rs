//! Payload templates of both languages.

use serde_json::Value;

use crate::query::env::Env;
use crate::query::error::CompileError;
use crate::query::error::QueryError;
use crate::query::jsonata::expression::FieldScope;

/// A compiled payload template.
#[derive(Clone, Debug)]
pub struct Template {}

impl Template {
    /// Compiles a JSONPath payload template: keys ending `.$` hold a path or an intrinsic call.
    pub fn parse_jsonpath(_template: &Value) -> Result<Self, Vec<CompileError>> {
        todo!()
    }
    /// Compiles a JSONata template: any JSON; strings `{% … %}` are expressions.
    pub fn parse_jsonata(_template: &Value, _scope: FieldScope) -> Result<Self, Vec<CompileError>> {
        todo!()
    }
    /// Evaluates; `field` is the state's field (`Parameters`, `Output`, `Choices[1]/Assign`): JSONata
    /// sentences name the leaf as `field/key[0]`.
    pub fn evaluate(&self, _env: &Env<'_>, _field: &str) -> Result<Value, QueryError> {
        todo!()
    }
    /// The names of workflow variables read, without `$`, in order of first appearance.
    pub fn variables(&self) -> Vec<String> {
        todo!()
    }
    /// The single expression, when the template is one `{% … %}` string.
    pub fn as_expression(&self) -> Option<&crate::query::jsonata::expression::Expression> {
        todo!()
    }
}
