//! Annotations, as GitHub Actions reads them from the log.
//!
//! Source: GitHub's documentation, "Workflow commands for GitHub Actions"; the escapes are those of its toolkit's
//! `command.ts`.

use std::fmt::Write;

use crate::cli::error::printable;

/// Writes a line like `::warning file=a.json,line=3,title=NO_DOLLAR::The field`.
///
/// `command` is `error`, `warning` or `notice`; `place` has numbers by name, such as `line`.
pub(crate) fn annotation(
    command: &str,
    path: &str,
    place: &[(&str, u32)],
    title: Option<&str>,
    message: &str,
) -> String {
    let mut line = format!("::{command} file={}", property(path));
    for (name, number) in place {
        let _ = write!(line, ",{name}={number}");
    }
    if let Some(title) = title {
        let _ = write!(line, ",title={}", property(title));
    }
    format!("{line}::{}\n", data(message))
}

fn data(text: &str) -> String {
    printable(text).replace('%', "%25").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_a_property_or_a_line_is_escaped() {
        assert_eq!(
            annotation(
                "error",
                "a,b:c%.json",
                &[("line", 3), ("col", 4)],
                Some("d:\ne"),
                "f, g: %\nh\u{1b}"
            ),
            "::error file=a%2Cb%3Ac%25.json,line=3,col=4,title=d%3A%0Ae::f, g: %25%0Ah\u{fffd}\n"
        );
        assert_eq!(annotation("error", "a", &[], None, "b"), "::error file=a::b\n");
    }
}
