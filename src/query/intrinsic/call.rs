//! A compiled call.

use serde_json::Value;

use crate::query::env::Env;
use crate::query::error::CompileError;
use crate::query::error::QueryError;

/// A compiled intrinsic call, for example `States.Format('{}', $.a)`.
#[derive(Clone, Debug)]
pub struct Call {
    text: std::sync::Arc<str>,
}

impl Call {
    /// Compiles a call.
    pub fn parse(_text: &str) -> Result<Self, CompileError> {
        todo!()
    }
    /// The expression as written.
    pub fn text(&self) -> &str {
        &self.text
    }
    /// The function's name.
    pub fn function(&self) -> &str {
        todo!()
    }
    /// Calls.
    pub fn evaluate(&self, _env: &Env<'_>) -> Result<Value, QueryError> {
        todo!()
    }
}
