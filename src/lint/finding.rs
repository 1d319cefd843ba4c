//! What a rule found.

use crate::asl::diagnostic::Diagnostic;
use crate::model::span::Span;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Advice.
    Information,
    /// Likely a defect.
    Warning,
    /// It fails on AWS, or certainly loses work.
    Error,
}

/// How sure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Confidence {
    /// It may be wrong; the finding says so.
    Heuristic,
    /// All ways through the machine were followed.
    Path,
    /// The definition alone decides it.
    Static,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The rule's id, `time/no-timeout`, or AWS's code, `NO_DOLLAR`.
    pub rule: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// How sure it is.
    pub confidence: Confidence,
    /// What happens at run time and why: one full sentence, without the stop at its end.
    pub message: String,
    /// What to do, without the stop at its end.
    pub hint: Option<String>,
    /// Its place as AWS spells places: `/States/A/Retry[0]`.
    pub location: Option<String>,
    /// Where in the text.
    pub span: Option<Span>,
    /// A change of the text that mends it and means nothing else.
    pub fix: Option<Fix>,
}

impl Finding {
    /// What AWS says of the definition: an error that it refuses, or a warning.
    pub fn of_aws(diagnostic: Diagnostic, severity: Severity) -> Self {
        Self {
            rule: diagnostic.code,
            severity,
            confidence: Confidence::Static,
            message: diagnostic.message,
            hint: None,
            location: diagnostic.location,
            span: diagnostic.span,
            fix: None,
        }
    }
}

/// Changes of the text, all or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fix {
    /// What is replaced, and by what. They do not overlap.
    pub edits: Vec<(Span, String)>,
}
