//! The engine's errors, told as jsonata-js 2.0.6 tells them.

use jlens_core::Error;
use serde_json::Value;

use crate::query::jsonata::result;
use crate::query::jsonata::survey::Operand;

/// Returns the error as the reference implementation words it.
///
/// `origin` is where the expression's own text starts in the text that the engine ran.
pub(super) fn as_reference(error: &Error, origin: usize, operands: &[Operand]) -> Error {
    let Ok(Value::Object(details)) = serde_json::to_value(error) else {
        return error.clone();
    };
    let mut told = Error::new(error.code());
    for (name, value) in details {
        match (name.as_str(), value) {
            ("code" | "position" | "span", _) => {}
            // A function behind a guard of ours.
            ("token", Value::String(token)) => told = told.with("token", token.trim_start_matches("__")),
            (_, value) => told = told.with(&name, plain(value)),
        }
    }
    // jsonata-js evaluates the right side of `and` and `or` late, and there names the operator in every error.
    let span = error.span();
    let outermost = operands.iter().find(|operand| {
        span.is_some_and(|span| operand.start + origin <= span.start && span.end <= operand.end + origin)
    });
    match outermost {
        Some(operand) => told.with("token", operand.operator),
        None => told,
    }
}

/// Returns the sentence of an error that [`as_reference`] gave.
pub(super) fn sentence(error: &Error) -> String {
    match error.code() {
        // The bound is the same, but 2.0.6 misnames it.
        "D2014" => error.message().replace("exceed 1e7.", "exceed 1e6."),
        _ => error.message(),
    }
}

/// Writes whole numbers without a fraction, as JavaScript does.
fn plain(value: Value) -> Value {
    match value {
        Value::Number(number) => number.as_f64().map_or(Value::Number(number), result::number),
        Value::Array(items) => items.into_iter().map(plain).collect(),
        Value::Object(fields) => fields.into_iter().map(|(name, value)| (name, plain(value))).collect(),
        other => other,
    }
}
