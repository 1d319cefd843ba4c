//! Arguments as a function sees them.

use std::ops::Deref;

use serde_json::Value;

use crate::query::jsonpath::java;
use crate::query::jsonpath::path::Found;

/// The most characters that `States.Base64Encode`, `States.Base64Decode` and `States.Hash` take.
const TEXT_CHARACTERS_MAX: usize = 10_000;

/// The arguments do not fit the function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Invalid;

/// An evaluated argument.
#[derive(Debug)]
pub(super) struct Argument<'e> {
    value: Found<'e>,
    raw: Option<&'e str>,
}

impl<'e> Argument<'e> {
    /// Wraps what a path or a call gave.
    pub(super) fn new(value: Found<'e>) -> Self {
        Self { value, raw: None }
    }

    /// Wraps a constant; `raw` is a text as written between the quotes.
    pub(super) fn constant(value: &'e Value, raw: Option<&'e str>) -> Self {
        Self {
            value: Found::Borrowed(value),
            raw,
        }
    }

    /// The text with its escapes, when it was written in the call.
    pub(super) fn raw(&self) -> Option<&'e str> {
        self.raw
    }
}

impl Deref for Argument<'_> {
    type Target = Value;

    fn deref(&self) -> &Value {
        &self.value
    }
}

/// The array at `index`.
pub(super) fn array<'a>(arguments: &'a [Argument<'_>], index: usize) -> Result<&'a Vec<Value>, Invalid> {
    value(arguments, index)?.as_array().ok_or(Invalid)
}

/// The text at `index`.
pub(super) fn string<'a>(arguments: &'a [Argument<'_>], index: usize) -> Result<&'a str, Invalid> {
    value(arguments, index)?.as_str().ok_or(Invalid)
}

/// The 32 bit number at `index`; fractions are rounded, halves up.
pub(super) fn integer(arguments: &[Argument<'_>], index: usize) -> Result<i32, Invalid> {
    let number = value(arguments, index)?.as_number().ok_or(Invalid)?;
    if let Some(whole) = number.as_i64() {
        return i32::try_from(whole).map_err(|_| Invalid);
    }
    let rounded = java::round(number.as_f64().ok_or(Invalid)?);
    if f64::from(i32::MIN) <= rounded && rounded <= f64::from(i32::MAX) {
        Ok(rounded as i32)
    } else {
        Err(Invalid)
    }
}

/// Any value at `index`.
pub(super) fn value<'a>(arguments: &'a [Argument<'_>], index: usize) -> Result<&'a Value, Invalid> {
    arguments.get(index).map(|argument| &**argument).ok_or(Invalid)
}

/// Refuses texts of more than 10,000 characters, counted as Java counts.
pub(super) fn check_length(text: &str) -> Result<(), Invalid> {
    if text.len() <= TEXT_CHARACTERS_MAX || text.encode_utf16().count() <= TEXT_CHARACTERS_MAX {
        Ok(())
    } else {
        Err(Invalid)
    }
}
