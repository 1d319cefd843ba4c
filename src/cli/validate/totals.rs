//! What is said of all definitions together.

use std::collections::BTreeMap;

use crate::cli::validate::policy::Judged;
use crate::cli::validate::policy::Told;
use crate::cli::validate::policy::Why;
use crate::lint::finding::Severity;

/// Counts.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) n_definitions: usize,
    /// Templates that have something to say of their machines.
    pub(crate) n_notices: usize,
    /// Definitions that cannot be used.
    pub(crate) n_invalid: usize,
    pub(crate) n_errors: usize,
    pub(crate) n_warnings: usize,
    pub(crate) n_information: usize,
    /// Information that nobody asked for.
    pub(crate) n_hidden: usize,
    /// Suppressed by the baseline.
    pub(crate) n_known: usize,
    /// Suppressed by comments.
    pub(crate) n_ignored: usize,
    /// Suppressed by a level.
    pub(crate) n_allowed: usize,
    /// Could be mended, but stand in another file's text.
    pub(crate) n_out_of_reach: usize,
    /// Files that could not be read, and why.
    pub(crate) unreadable: Vec<(String, String)>,
    /// What is told, by rule.
    pub(crate) by_rule: BTreeMap<&'static str, usize>,
}

impl Totals {
    /// Counts a definition.
    pub(crate) fn add(&mut self, judged: &Judged) {
        if judged.is_notice {
            self.n_notices += 1;
        } else {
            self.n_definitions += 1;
            self.n_invalid += usize::from(judged.told.iter().any(Told::is_refusal));
        }
        self.n_hidden += judged.n_hidden;
        self.n_out_of_reach += judged.n_out_of_reach;
        for told in &judged.told {
            *self.by_rule.entry(told.finding.rule).or_default() += 1;
            match told.finding.severity {
                Severity::Error => self.n_errors += 1,
                Severity::Information => self.n_information += 1,
                Severity::Warning => self.n_warnings += 1,
            }
        }
        for (_, why) in &judged.suppressed {
            match why {
                Why::Baseline => self.n_known += 1,
                Why::Comment(_) => self.n_ignored += 1,
                Why::Level => self.n_allowed += 1,
            }
        }
    }

    /// Says it in one line: what is told, and what is not.
    pub(crate) fn summary(&self) -> String {
        let told = [
            (self.n_errors, "error", "errors"),
            (self.n_warnings, "warning", "warnings"),
            (self.n_information, "of information", "of information"),
        ];
        let told = told.iter().filter(|(n, _, _)| 0 < *n);
        let told: Vec<String> = told.map(|(n, one, more)| counted(*n, one, more)).collect();
        let told = match told.is_empty() {
            true => "no findings".to_owned(),
            false => told.join(", "),
        };
        let mut line = format!("{}: {told}", counted(self.n_definitions, "definition", "definitions"));
        if 0 < self.n_invalid {
            line += &match self.n_invalid {
                1 => "; 1 is invalid".to_owned(),
                n => format!("; {n} are invalid"),
            };
        }
        if !self.unreadable.is_empty() {
            let files = counted(self.unreadable.len(), "file", "files");
            line += &format!("; {files} could not be read");
        }
        let not_told = [
            (self.n_hidden, "of information (--all shows them)"),
            (self.n_ignored, "ignored by comments"),
            (self.n_allowed, "allowed"),
            (self.n_known, "in the baseline"),
        ];
        let not_told = not_told.iter().filter(|(n, _)| 0 < *n);
        let not_told: Vec<String> = not_told.map(|(n, why)| format!("{n} {why}")).collect();
        if !not_told.is_empty() {
            line += &format!("; not shown: {}", not_told.join(", "));
        }
        line + ".\n"
    }
}

fn counted(n: usize, one: &str, more: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { more })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_says_what_is_not_shown() {
        for (totals, expected) in [
            (Totals::default(), "0 definitions: no findings.\n"),
            (
                Totals {
                    n_definitions: 1,
                    n_hidden: 2,
                    ..Totals::default()
                },
                "1 definition: no findings; not shown: 2 of information (--all shows them).\n",
            ),
            (
                Totals {
                    n_definitions: 9,
                    n_invalid: 2,
                    n_errors: 3,
                    n_warnings: 1,
                    n_information: 4,
                    n_known: 5,
                    n_ignored: 6,
                    n_allowed: 7,
                    unreadable: vec![(String::new(), String::new())],
                    ..Totals::default()
                },
                "9 definitions: 3 errors, 1 warning, 4 of information; 2 are invalid; 1 file could not be read; not shown: \
                 6 ignored by comments, 7 allowed, 5 in the baseline.\n",
            ),
        ] {
            assert_eq!(totals.summary(), expected);
        }
    }
}
