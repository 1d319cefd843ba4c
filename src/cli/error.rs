//! What goes wrong at the command line, and how it is told.

use std::io::IsTerminal;
use std::io::Write;

/// The execution failed, or there are findings.
pub(crate) const FAILED: u8 = 1;
/// Wrong use.
pub(crate) const USAGE: u8 = 2;
/// Our fault, or the machine's.
pub(crate) const INTERNAL: u8 = 3;

/// An error that ends a command.
#[derive(Debug)]
pub(crate) struct CliError {
    pub(crate) code: u8,
    message: String,
    hints: Vec<String>,
}

impl CliError {
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self {
            code: USAGE,
            message: message.into(),
            hints: Vec::new(),
        }
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self {
            code: INTERNAL,
            ..Self::usage(message)
        }
    }

    /// The execution failed, or would.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self {
            code: FAILED,
            ..Self::usage(message)
        }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Returns the line without its hints.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// Prints the error: one line, then the hints.
    pub(crate) fn print(&self) {
        tell(&self.render());
    }

    /// Returns what is printed, in the colors of stderr.
    pub(crate) fn render(&self) -> String {
        let mut text = format!("{} {}\n", paint("1;31", "error:"), self.message);
        for hint in &self.hints {
            text += &format!("{} {hint}\n", paint("1;36", "hint:"));
        }
        text
    }
}

/// Writes to stderr. Nobody is left to tell when that fails.
pub(crate) fn tell(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// Tells whether stderr takes colors.
pub(crate) fn colored() -> bool {
    let refuses = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    std::io::stderr().is_terminal() && !refuses && !is_dumb
}

/// Colors a text for stderr.
pub(crate) fn paint(style: &str, text: &str) -> String {
    if colored() {
        format!("\x1b[{style}m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}

/// Replaces control characters, so that data cannot steer the terminal.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_control() && c != '\n' && c != '\t' {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect()
}
