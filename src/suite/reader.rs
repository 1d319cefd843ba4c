//! Reads values that know where they stand, strictly: what is not asked for is an error.

use serde_json::Value;

use crate::asl::load::Format;
use crate::asl::load::Tree;
use crate::model::span::Span;

/// Why a file cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}{}", .place.map_or_else(String::new, |at| format!(" at line {} column {}", at.line, at.column)))]
pub struct Problem {
    /// What is wrong.
    pub message: String,
    /// Where.
    pub place: Option<Span>,
}

/// Reads a text as JSON or YAML.
///
/// # Errors
/// It is neither.
pub fn read(text: &str, format: Format) -> Result<Tree, Problem> {
    Tree::read(text, format).map_err(|finding| Problem {
        message: finding.message.lines().next().unwrap_or_default().to_owned(),
        place: finding.span,
    })
}

/// Makes a problem at a value.
pub fn problem(at: &Tree, message: impl Into<String>) -> Problem {
    Problem {
        message: message.into(),
        place: Some(at.span()),
    }
}

/// An object whose members are taken one by one.
pub struct Members<'a> {
    what: &'a str,
    whole: &'a Tree,
    left: Vec<(&'a str, Tree)>,
}

impl<'a> Members<'a> {
    /// Begins to read an object, which messages call `what`.
    ///
    /// # Errors
    /// It is none.
    pub fn of(whole: &'a Tree, what: &'a str) -> Result<Self, Problem> {
        let left = whole.members();
        match left {
            Some(left) => Ok(Self { what, whole, left }),
            None => Err(problem(whole, format!("{what} must be an object"))),
        }
    }

    /// Takes a member out.
    pub fn take(&mut self, name: &str) -> Option<Tree> {
        let at = self.left.iter().position(|(known, _)| *known == name)?;
        Some(self.left.remove(at).1)
    }

    /// Takes a member that must be there.
    ///
    /// # Errors
    /// It is not.
    pub fn need(&mut self, name: &str) -> Result<Tree, Problem> {
        self.take(name)
            .ok_or_else(|| problem(self.whole, format!("{} needs `{name}`", self.what)))
    }

    /// Takes out all members that are left.
    pub fn rest(&mut self) -> Vec<(&'a str, Tree)> {
        std::mem::take(&mut self.left)
    }

    /// Ends: nothing may be left.
    ///
    /// # Errors
    /// There is a member that nobody asked for.
    pub fn end(self, known: &[&str]) -> Result<(), Problem> {
        match self.left.first() {
            None => Ok(()),
            Some((name, value)) => Err(problem(
                value,
                format!("{} has no member `{name}`; it has {}", self.what, known.join(", ")),
            )),
        }
    }
}

/// Reads a text.
///
/// # Errors
/// It is none.
pub fn text(value: &Tree, what: &str) -> Result<String, Problem> {
    match value.value() {
        Value::String(text) => Ok(text),
        _ => Err(problem(value, format!("{what} must be a text"))),
    }
}

/// Reads a list of texts.
///
/// # Errors
/// It is none.
pub fn texts(value: &Tree, what: &str) -> Result<Vec<String>, Problem> {
    let Some(items) = value.elements() else {
        return Err(problem(value, format!("{what} must be a list of texts")));
    };
    items.iter().map(|item| text(item, what)).collect()
}

/// Reads a number of seconds that is not negative, as milliseconds.
///
/// # Errors
/// It is none, or too large.
pub fn millis(value: &Tree, what: &str) -> Result<u64, Problem> {
    let seconds = value.value().as_f64().filter(|seconds| (0.0..=4e9).contains(seconds));
    match seconds {
        Some(seconds) => Ok((seconds * 1000.0).round() as u64),
        None => Err(problem(value, format!("{what} must be a number of seconds, 0 or more"))),
    }
}

/// Reads a whole number that is not negative.
///
/// # Errors
/// It is none.
pub fn count(value: &Tree, what: &str) -> Result<u64, Problem> {
    value
        .value()
        .as_u64()
        .ok_or_else(|| problem(value, format!("{what} must be a whole number, 0 or more")))
}
