//! `stepfn explain`.

use std::fmt::Write;

use serde_json::Value;

use crate::cli::error::CliError;
use crate::cli::table;
use crate::cli::validate::report;
use crate::lint::catalog;
use crate::lint::catalog::Entry;
use crate::lint::finding::Confidence;

/// Columns of a line for people.
const COLUMNS: usize = 100;

/// Tell what a finding means and what to do, or list all that `stepfn validate` can find
///
/// Also knows the codes of what AWS refuses and warns of.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The rule or code, such as `time/no-timeout` or `MISSING_TRANSITION_TARGET`
    rule: Option<String>,
    /// Print the reference of docs/lints.md
    #[arg(long, conflicts_with = "rule")]
    markdown: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<u8, CliError> {
    let text = match &arguments.rule {
        Some(id) => match catalog::named(id) {
            Some(entry) => explanation(&entry),
            None => {
                let error = CliError::usage(format!("there is no rule or code `{id}`"));
                return Err(match catalog::nearest(id) {
                    Some(nearest) => error.hint(format!("the nearest is `{nearest}`")),
                    None => error.hint("`stepfn explain` lists them"),
                });
            }
        },
        None if arguments.markdown => reference(),
        None => {
            let rows = catalog::entries().map(|entry| {
                let severity = report::severity(entry.severity).to_owned();
                vec![entry.id.to_owned(), severity, entry.summary.to_owned()]
            });
            table::lines(&rows.collect::<Vec<_>>())
        }
    };
    table::print(&text)?;
    Ok(0)
}

fn explanation(entry: &Entry) -> String {
    let mut text = format!("{}: {}\n\n{}\n", entry.id, entry.summary, wrapped(entry.explanation));
    let confidence = match entry.confidence {
        Confidence::Heuristic => "a guess from names and values, which may be wrong",
        Confidence::Path => "found on the ways through the machine",
        Confidence::Static => "decided by the definition alone",
    };
    let _ = writeln!(
        text,
        "Severity:   {}\nConfidence: {confidence}",
        match entry.is_refusal {
            true => "error at any level: the definition cannot be used",
            false => report::severity(entry.severity),
        }
    );
    if !entry.is_refusal {
        let _ = writeln!(
            text,
            "Suppress:   \"Comment\": \"lint-ignore: {0} REASON\" in the state, or --allow {0}",
            entry.id
        );
    }
    for example in entry.examples {
        let location = example.location;
        let _ = write!(
            text,
            "\nThis gives it at {location}:\n\n{}\nThis does not:\n\n{}",
            indented(example.bad),
            indented(example.good)
        );
    }
    text
}

/// Breaks a text into lines.
fn wrapped(text: &str) -> String {
    let mut lines = String::new();
    let mut width = 0;
    for word in text.split_whitespace() {
        let n = word.chars().count();
        if 0 < width && COLUMNS < width + 1 + n {
            lines.push('\n');
            width = 0;
        } else if 0 < width {
            lines.push(' ');
            width += 1;
        }
        lines += word;
        width += n;
    }
    lines + "\n"
}

/// Lays an example out over lines.
fn indented(json: &str) -> String {
    let laid_out = serde_json::from_str::<Value>(json).map(|value| format!("{value:#}"));
    let lines = laid_out.unwrap_or_else(|_| json.to_owned());
    lines.lines().map(|line| format!("    {line}\n")).collect()
}

/// Makes the reference of docs/lints.md.
fn reference() -> String {
    let mut text = "| Rule or code | Severity | Confidence | What it finds |\n|---|---|---|---|\n".to_owned();
    for entry in catalog::entries() {
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} |",
            entry.id,
            report::severity(entry.severity),
            report::confidence(entry.confidence),
            entry.summary
        );
    }
    for entry in catalog::entries() {
        let _ = write!(text, "\n### `{}`\n\n{}", entry.id, wrapped(entry.explanation));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::collections::BTreeSet;

    use expect_test::expect;

    use super::*;
    use crate::lint::own_error;
    use crate::worker::action::ACTIONS;

    #[test]
    fn a_rule_is_explained_with_its_examples() {
        let entry = Entry {
            explanation: "First. Second.",
            ..catalog::named("time/no-timeout").unwrap()
        };
        let text = explanation(&entry);
        let lines = text.lines().take(12).map(|line| format!("{line}\n"));
        expect![[r#"
            time/no-timeout: A task that waits for someone else has no time limit

            First. Second.

            Severity:   warning
            Confidence: decided by the definition alone
            Suppress:   "Comment": "lint-ignore: time/no-timeout REASON" in the state, or --allow time/no-timeout

            This gives it at /States/Ask:

                {
                  "StartAt": "Ask",
        "#]]
        .assert_eq(&lines.collect::<String>());
        assert_eq!(text.matches("\n    {\n").count(), 2 * entry.examples.len());
    }

    #[test]
    fn what_cannot_be_used_cannot_be_suppressed() {
        expect![[r#"
            INVALID_STATE_NAME: A state's name cannot be used

            A state's name has 1 to 80 characters.

            Severity:   error at any level: the definition cannot be used
            Confidence: decided by the definition alone
        "#]]
        .assert_eq(&explanation(&catalog::named("INVALID_STATE_NAME").unwrap()));
    }

    #[test]
    fn the_errors_that_rules_know_are_those_of_the_actions() {
        let mut expected: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for action in ACTIONS {
            let facts = action.facts();
            let family = facts.name.split('.').next().unwrap();
            let names = facts.errors.iter().map(|error| error.name);
            expected.entry(family).or_default().extend(names);
        }
        let known = own_error::BY_FAMILY.iter();
        let known = known.map(|(family, names)| (*family, names.iter().copied().collect::<BTreeSet<_>>()));
        assert_eq!(known.collect::<BTreeMap<_, _>>(), expected);
    }

    #[test]
    fn the_reference_in_the_documentation_is_this_one() {
        const BEGIN: &str =
            "<!-- REFERENCE:BEGIN `stepfn explain --markdown`; UPDATE_EXPECT=1 cargo test rewrites it -->\n\n";
        const END: &str = "\n<!-- REFERENCE:END -->";
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/lints.md");
        let page = std::fs::read_to_string(path).unwrap();
        let (before, rest) = page.split_once(BEGIN).expect("the reference begins");
        let (kept, after) = rest.split_once(END).expect("the reference ends");
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            std::fs::write(path, format!("{before}{BEGIN}{}{END}{after}", reference())).unwrap();
        } else {
            assert_eq!(kept, reference(), "UPDATE_EXPECT=1 cargo test rewrites docs/lints.md");
        }
    }
}
