//! The bounds of an evaluation, and AWS's sentences for what goes wrong in one.

use std::cell::RefCell;
use std::time::Duration;

use jlens_core::Error;
use jlens_core::Options;

use crate::model::entropy::Entropy;
use crate::query::error::QueryError;
use crate::query::jsonata::message;

/// The most levels that the text of an expression may nest where it is evaluated; measured between 99 and 101.
pub(super) const NESTING: usize = 100;
/// The most items of an array: `[1..873782]` is the largest that AWS was seen to hold.
pub(super) const ITEMS: usize = 873_782;
/// The most items of `$range`, between 200,000 (accepted) and 500,000 (refused).
pub(super) const RANGE_ITEMS: usize = 436_891;
/// The most bytes of a text: 2^22 characters are accepted, 2^23 refused.
pub(super) const TEXT: usize = (1 << 23) - 1;
/// The most values that functions of ours make in one evaluation: ten times the largest array.
pub(super) const VALUES: usize = 10 * RANGE_ITEMS;
/// The most bytes of a result, or of the arguments of a function of ours.
const RESULT: usize = 1 << 24;
/// Levels of evaluation, of which a call of a function takes about five.
const DEPTH: usize = 500;
/// Steps of evaluation: about half a second of work.
const STEPS: u64 = 5_000_000;
/// Stops what takes long in few steps, such as making long texts over and over.
const TIME: Duration = Duration::from_secs(1);

/// The code of errors that AWS reports without one.
pub(super) const NO_CODE: &str = "none";
/// The code of errors that AWS calls internal.
const INTERNAL: &str = "internal";
/// The code by which the engine, and functions of ours, report too much memory.
const SIZE: &str = "U1001";

/// The code by which the engine, and functions of ours, report too much time.
const LONG: &str = "D1012";

/// Returns the engine's options, without clock and seed.
pub(super) fn options() -> Options {
    Options::new()
        .max_depth(DEPTH)
        .max_steps(STEPS)
        .timeout(TIME)
        .max_string_length(TEXT)
        .max_array_length(ITEMS)
        .max_result_size(RESULT)
}

/// The error of a function of ours that would hold too much.
pub(super) fn too_much() -> Error {
    Error::new(SIZE).with("message", "too much memory")
}

/// The error of a call that would take too long.
pub(super) fn too_long() -> Error {
    Error::new(LONG)
}

/// The error of a function of ours that AWS would report without a code.
pub(super) fn refused(message: impl Into<String>) -> Error {
    Error::new(NO_CODE).with("message", message.into())
}

/// The error of a function of ours in which AWS's own would break.
pub(super) fn internal() -> Error {
    Error::new(INTERNAL)
}

fn about(text: &str, location: &str, rest: &str) -> QueryError {
    QueryError::Evaluation {
        cause: format!("The JSONata expression '{text}' specified for the field '{location}' {rest}"),
        location: Some(location.to_owned()),
    }
}

/// The expression gave no value.
pub(super) fn undefined(text: &str, location: &str) -> QueryError {
    about(text, location, "returned nothing (undefined).")
}

/// The expression gave a function.
pub(super) fn unsupported(text: &str, location: &str) -> QueryError {
    about(text, location, "returned an unsupported result type.")
}

/// The expression gave a value of another type than the field wants.
pub(super) fn unexpected(text: &str, location: &str, expected: &str, actual: &str, value: &str) -> QueryError {
    let rest =
        format!("returned an unexpected result type. Expected '{expected}', but was '{actual}' for value: {value}");
    about(text, location, &rest)
}

/// The expression nests too deeply, in its text or while it runs.
pub(super) fn too_deep(text: &str, location: &str) -> QueryError {
    about(
        text,
        location,
        "threw an error during evaluation: Stack overflow error: Check for non-terminating recursive function.  \
         Consider rewriting as tail-recursive.",
    )
}

/// The evaluation failed.
pub(super) fn thrown(text: &str, location: &str, error: &Error, chance: &RefCell<Entropy>) -> QueryError {
    let rest = match error.code() {
        "D1011" => return too_deep(text, location),
        SIZE if error.message().contains("nested") => return too_deep(text, location),
        SIZE => ": Expression evaluation memory limit exceeded: Check for excessive memory usage".to_owned(),
        LONG | "U1003" | "U1006" => ": Expression evaluation timeout: Check for infinite loop".to_owned(),
        INTERNAL => {
            let id = chance.borrow_mut().uuid();
            return about(
                text,
                location,
                &format!("threw an internal error during evaluation. {id}"),
            );
        }
        NO_CODE => format!(": {}", error.message()),
        code => format!(". {code}: {}", message::sentence(error)),
    };
    about(text, location, &format!("threw an error during evaluation{rest}"))
}
