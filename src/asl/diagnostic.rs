//! What AWS refuses, in AWS's words, with a position.

use crate::model::span::Span;

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// AWS's code, for example `SCHEMA_VALIDATION_FAILED`.
    pub code: &'static str,
    /// AWS's sentence.
    pub message: String,
    /// AWS's location, for example `/States/X/Next`; absent for `MISSING_END_STATE` and unreadable text.
    pub location: Option<String>,
    /// Where in the text.
    pub span: Option<Span>,
}

impl std::fmt::Display for Diagnostic {
    /// `CODE: message at /location`, or ` at null`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}: {} at {}",
            self.code,
            self.message,
            self.location.as_deref().unwrap_or("null")
        )
    }
}
