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
    Tree::read(text, format).map_err(|finding| {
        // That is meant for definitions.
        let message = match finding.message.lines().next().unwrap_or_default() {
            "The text is empty" => "the file is empty; a test file has `tests`, a list of cases",
            line => line,
        };
        Problem {
            message: message.to_owned(),
            place: finding.span,
        }
    })
}

/// Returns a question after the name that is spelled most like a text, nothing if none is near.
pub fn did_you_mean<'a>(text: &str, names: impl Iterator<Item = &'a str>) -> String {
    let likeness = |name: &str| strsim::jaro_winkler(&name.to_lowercase(), &text.to_lowercase());
    let near = names
        .map(|name| (likeness(name), name))
        .filter(|(likeness, _)| 0.8 <= *likeness);
    let nearest = near.max_by(|(one, _), (other, _)| one.total_cmp(other));
    nearest.map_or_else(String::new, |(_, name)| format!("; did you mean `{name}`?"))
}

/// Puts together what is wrong with an expression.
pub fn in_jsonata(what: &str, messages: impl Iterator<Item = String>) -> String {
    let messages: Vec<String> = messages.collect();
    format!("the JSONata of {what} cannot be read: {}", messages.join(" "))
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
            Some((name, value)) => {
                let names = known.iter().map(|name| name.trim_matches('`'));
                let told = match did_you_mean(name, names) {
                    told if told.is_empty() => format!("; it has {}", known.join(", ")),
                    told => told,
                };
                Err(problem(value, format!("{} has no member `{name}`{told}", self.what)))
            }
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
        plain @ (Value::Bool(_) | Value::Number(_)) => {
            Err(problem(value, format!("{what} must be a text: write \"{plain}\"")))
        }
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
