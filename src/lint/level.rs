//! How findings are taken: not at all, as warnings, as errors.

use crate::lint::catalog;
use crate::lint::finding::Finding;
use crate::lint::finding::Severity;
use crate::model::glob;

/// How a finding is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// It is not told.
    Allow,
    /// It is told, and nothing fails.
    Warn,
    /// It fails.
    Deny,
}

impl std::fmt::Display for Level {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Allow => "allow",
            Self::Warn => "warn",
            Self::Deny => "deny",
        })
    }
}

/// Which findings are meant: a name, a pattern of names, or a whole kind. The narrower comes later in the order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Which {
    All,
    Warnings,
    Pattern(String),
    Name(&'static str),
}

/// Why a level cannot be set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LevelError {
    /// A misspelled name.
    #[error("there is no rule or code `{0}`{hint}", hint = hint(.0))]
    Unknown(String),
    /// AWS refuses it at any level.
    #[error("`{0}` is refused at any level: the definition cannot be used")]
    Refusal(String),
}

fn hint(text: &str) -> String {
    match catalog::nearest(text) {
        Some(id) => format!("; the nearest is `{id}`"),
        None => "; `stepfn explain` lists them".to_owned(),
    }
}

/// What one place says of levels: the command line, a configuration, a row of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Levels(Vec<(Which, Level)>);

impl Levels {
    /// Adds a level for a name, a pattern like `time/*`, `warnings` or `all`.
    ///
    /// # Errors
    /// Nothing has such a name, or all that has is refused at any level.
    pub fn set(&mut self, text: &str, level: Level) -> Result<(), LevelError> {
        let which = match (text, catalog::named(text)) {
            ("all", _) => Which::All,
            ("warnings", _) => Which::Warnings,
            (_, Some(entry)) => Which::Name(entry.id),
            (_, None) => Which::Pattern(text.to_owned()),
        };
        if matches!(which, Which::Name(_) | Which::Pattern(_)) {
            let mut meant = catalog::entries()
                .filter(|entry| glob::matches(text, entry.id))
                .peekable();
            if meant.peek().is_none() {
                return Err(LevelError::Unknown(text.to_owned()));
            }
            if level != Level::Deny && meant.all(|entry| entry.is_refusal) {
                return Err(LevelError::Refusal(text.to_owned()));
            }
        }
        self.0.push((which, level));
        Ok(())
    }

    /// Returns all that is said, in the order in which it was: which findings, and how they are taken.
    pub fn rows(&self) -> impl Iterator<Item = (&str, Level)> {
        self.0.iter().map(|(which, level)| {
            let which = match which {
                Which::All => "all",
                Which::Warnings => "warnings",
                Which::Pattern(pattern) => pattern,
                Which::Name(name) => name,
            };
            (which, *level)
        })
    }

    /// Returns what is said of a finding. A name counts more than a pattern, a longer pattern more than a shorter one, a
    /// pattern more than `warnings`, and that more than `all`; among equals the stricter level counts.
    pub fn of(&self, finding: &Finding) -> Option<Level> {
        let meant = self.0.iter().filter(|(which, _)| match which {
            Which::All => true,
            Which::Warnings => finding.severity == Severity::Warning,
            Which::Pattern(pattern) => glob::matches(pattern, finding.rule),
            Which::Name(name) => *name == finding.rule,
        });
        let best = meant.max_by_key(|(which, level)| match which {
            Which::All => (0, 0, *level),
            Which::Warnings => (1, 0, *level),
            Which::Pattern(pattern) => (2, pattern.len(), *level),
            Which::Name(_) => (3, 0, *level),
        });
        best.map(|(_, level)| *level)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asl::diagnostic::Diagnostic;

    fn finding(code: &'static str, severity: Severity) -> Finding {
        let diagnostic = Diagnostic {
            code,
            message: String::new(),
            location: None,
            span: None,
        };
        Finding::of_aws(diagnostic, severity)
    }

    #[test]
    fn the_narrower_counts_more() {
        use Level::Allow;
        use Level::Deny;
        use Level::Warn;

        type Said<'a> = &'a [(&'a str, Level)];
        let rows: &[(Said<'_>, Option<Level>)] = &[
            (&[], None),
            (&[("warnings", Deny)], Some(Deny)),
            (&[("all", Deny), ("warnings", Allow)], Some(Allow)),
            (&[("time/*", Allow), ("all", Deny)], Some(Allow)),
            (&[("time/no-*", Deny), ("time/*", Allow)], Some(Deny)),
            (&[("time/no-timeout", Warn), ("time/no-*", Deny)], Some(Warn)),
            (&[("time/no-timeout", Allow), ("time/no-timeout", Deny)], Some(Deny)),
            (&[("NO_*", Deny)], None),
        ];
        for (rows, expected) in rows {
            let mut levels = Levels::default();
            for (text, level) in *rows {
                levels.set(text, *level).unwrap();
            }
            let found = levels.of(&finding("time/no-timeout", Severity::Warning));
            assert_eq!(found, *expected, "{rows:?}");
        }
    }

    #[test]
    fn a_kind_is_told_by_the_findings_own_severity() {
        let mut levels = Levels::default();
        levels.set("warnings", Level::Deny).unwrap();
        assert_eq!(levels.of(&finding("NO_DOLLAR", Severity::Information)), None);
        assert_eq!(levels.of(&finding("NO_DOLLAR", Severity::Warning)), Some(Level::Deny));
    }

    #[test]
    fn a_level_that_does_nothing_is_an_error() {
        for (text, level, expected) in [
            (
                "time/no-timeot",
                Level::Deny,
                "there is no rule or code `time/no-timeot`; the nearest is `time/no-timeout`",
            ),
            (
                "#",
                Level::Allow,
                "there is no rule or code `#`; `stepfn explain` lists them",
            ),
            (
                "zzz/*",
                Level::Allow,
                "there is no rule or code `zzz/*`; `stepfn explain` lists them",
            ),
            (
                "SCHEMA_*",
                Level::Warn,
                "`SCHEMA_*` is refused at any level: the definition cannot be used",
            ),
        ] {
            let error = Levels::default().set(text, level).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
        assert_eq!(Levels::default().set("SCHEMA_*", Level::Deny), Ok(()));
    }
}
