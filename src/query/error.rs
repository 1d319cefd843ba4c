//! Why an expression gave no value, in AWS's words.

/// A failed evaluation. Texts are without the prefix that names the state: the kernel puts that before them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// `States.Runtime`: JSONPath, payload templates, intrinsic functions.
    #[error("{0}")]
    Runtime(String),
    /// `States.QueryEvaluationError`: JSONata. `location` is the field, for example `Output/result`.
    #[error("{cause}")]
    Evaluation {
        /// AWS's sentence.
        cause: String,
        /// The field, for the `EvaluationFailed` event; absent for `Map state input must be an array …`.
        location: Option<String>,
    },
    /// `States.ReferencePathConflict`: a reference path cannot be written into its input.
    #[error("{0}")]
    ReferencePathConflict(String),
}

/// Why an expression's text cannot be compiled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CompileError {
    /// AWS's code, for example `SCHEMA_VALIDATION_FAILED` or `INVALID_JSONATA_EXPRESSION`.
    pub code: &'static str,
    /// AWS's sentence, without code and location.
    pub message: String,
    /// Where inside the field, for example `/a/b[0]`; empty for the field itself.
    pub location: String,
    /// The member that is meant, where the location names only the object around it, as AWS does.
    pub key: Option<Box<str>>,
    /// Byte offset of the trouble inside the expression's text, where known.
    pub offset: Option<usize>,
}
