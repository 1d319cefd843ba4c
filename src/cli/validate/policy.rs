//! What is told of findings, and what fails.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::cli::report;
use crate::cli::validate::baseline::Baseline;
use crate::cli::validate::baseline::Key;
use crate::cli::validate::check::Checked;
use crate::cli::validate::region::Region;
use crate::lint::catalog;
use crate::lint::finding::Finding;
use crate::lint::finding::Severity;
use crate::lint::level::Level;
use crate::lint::level::Levels;
use crate::model::glob;

/// Levels by who says them; the later counts more.
#[derive(Debug, Default)]
pub(crate) struct Policy {
    /// Of the configuration.
    pub(crate) configured: Levels,
    /// Of the configuration for some files, each with the pattern of their paths.
    pub(crate) for_files: Vec<(String, Levels)>,
    /// Of the command line.
    pub(crate) asked: Levels,
    /// What is known already.
    pub(crate) baseline: Option<Baseline>,
    /// Whatever is found is to be known.
    pub(crate) updates_baseline: bool,
    /// Information is told, too.
    pub(crate) all: bool,
}

/// A definition with what is told of it.
#[derive(Debug)]
pub(crate) struct Judged {
    pub(crate) path: String,
    pub(crate) name: Option<String>,
    pub(crate) text: Arc<str>,
    pub(crate) told: Vec<Told>,
    pub(crate) suppressed: Vec<(Told, Why)>,
    /// How many findings are information that nobody asked for.
    pub(crate) n_hidden: usize,
    /// How many findings could be mended if they did not stand in another file's text.
    pub(crate) n_out_of_reach: usize,
    /// It is what a template says of its machines, and no definition.
    pub(crate) is_notice: bool,
}

/// A finding with its effective severity.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) finding: Finding,
    /// Its level is `deny`.
    pub(crate) denied: bool,
    /// The same for the same finding, wherever its line goes.
    pub(crate) fingerprint: String,
    pub(crate) region: Option<Region>,
    key: Key,
}

/// Why a finding is suppressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// It is in the baseline.
    Baseline,
    /// A comment says so, for this reason.
    Comment(String),
    /// Its level is `allow`.
    Level,
}

impl Judged {
    /// Spells a finding's place: which definition of the file, where in it.
    pub(crate) fn place(&self, finding: &Finding) -> Option<String> {
        match (&self.name, &finding.location) {
            (Some(name), Some(location)) => Some(format!("{name} {location}")),
            (name, location) => name.clone().or_else(|| location.clone()),
        }
    }

    /// Spells a finding: what it is, and its place.
    pub(crate) fn sentence(&self, finding: &Finding) -> String {
        match self.place(finding) {
            Some(place) => format!("{} at {place}", finding.message),
            None => finding.message.clone(),
        }
    }
}

impl Told {
    /// Returns what a baseline knows it by.
    pub(crate) fn key(&self) -> &Key {
        &self.key
    }

    /// The definition cannot be used.
    pub(crate) fn is_refusal(&self) -> bool {
        is_refusal(&self.finding)
    }
}

fn is_refusal(finding: &Finding) -> bool {
    catalog::named(finding.rule).is_none_or(|entry| entry.is_refusal)
}

impl Policy {
    /// Says what is told of a definition.
    pub(crate) fn judge(&self, checked: Checked) -> Judged {
        let mut seen: BTreeMap<Key, usize> = BTreeMap::new();
        let (path, name) = (checked.path.as_str(), checked.name.as_deref());
        let mut told = |finding: Finding, denied: bool| {
            let key = Key::of(path, name, &finding);
            let n_before = seen.entry(key.clone()).or_default();
            *n_before += 1;
            let told = Told {
                denied,
                fingerprint: fingerprint(&key, *n_before),
                region: finding.span.map(|span| Region::of(&checked.text, span)),
                key,
                finding,
            };
            (told, *n_before)
        };
        let mut judged = Judged {
            is_notice: checked.is_notice,
            path: checked.path.clone(),
            name: checked.name.clone(),
            text: Arc::clone(&checked.text),
            told: Vec::new(),
            suppressed: Vec::new(),
            n_hidden: 0,
            n_out_of_reach: checked.n_out_of_reach,
        };
        for (finding, reason) in checked.ignored {
            judged.suppressed.push((told(finding, false).0, Why::Comment(reason)));
        }
        for mut finding in checked.findings {
            let level = match is_refusal(&finding) {
                true => None,
                false => self.level(path, &finding),
            };
            match level {
                Some(Level::Deny) => finding.severity = Severity::Error,
                Some(Level::Warn) => finding.severity = Severity::Warning,
                Some(Level::Allow) | None => {}
            }
            let is_asked_for = self.all || finding.severity != Severity::Information;
            let (told, nth) = told(finding, level == Some(Level::Deny));
            let known = self.baseline.as_ref().map_or(0, |baseline| baseline.count(&told.key));
            match level {
                Some(Level::Allow) => judged.suppressed.push((told, Why::Level)),
                _ if !is_asked_for => judged.n_hidden += 1,
                _ if (nth <= known || self.updates_baseline) && !told.is_refusal() => {
                    judged.suppressed.push((told, Why::Baseline))
                }
                _ => judged.told.push(told),
            }
        }
        judged
    }

    fn level(&self, path: &str, finding: &Finding) -> Option<Level> {
        let for_file = || {
            let rows = self.for_files.iter().rev();
            let mut rows = rows.filter(|(pattern, _)| glob::matches(pattern, path));
            rows.find_map(|(_, levels)| levels.of(finding))
        };
        let asked = self.asked.of(finding);
        asked.or_else(for_file).or_else(|| self.configured.of(finding))
    }
}

/// Names a finding by all but its line: what is written above it does not change its name.
fn fingerprint(key: &Key, nth: usize) -> String {
    let parts = [&key.path, &key.machine, &key.rule, &key.location, &key.message];
    let nth = nth.to_string();
    let parts: Vec<&str> = parts.into_iter().chain([&nth]).map(String::as_str).collect();
    report::fingerprint::fingerprint(&parts)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::cli::validate::check::Subject;

    /// A machine with a warning (`NO_DOLLAR`) in each of two states, one of which a comment suppresses, and a comment
    /// that suppresses nothing.
    pub(in crate::cli::validate) const DEFINITION: &str = r#"{
  "Comment": "lint-ignore: NO_PATH",
  "StartAt": "A",
  "States": {
    "A": { "Type": "Pass", "Parameters": { "é": "$.a" }, "Next": "B" },
    "B": { "Type": "Pass", "Comment": "lint-ignore: NO_DOLLAR <it> is a text", "Parameters": { "a": "$.a" }, "End": true }
  }
}
"#;

    pub(in crate::cli::validate) fn checked(path: &str, text: &str) -> Checked {
        let subject = Subject {
            path: path.to_owned(),
            text: text.into(),
            options: crate::asl::load::Options::default(),
            outer: None,
        };
        subject.check()
    }

    #[track_caller]
    fn check(policy: &Policy, expected: &[&str]) -> Judged {
        let judged = policy.judge(checked("a.json", DEFINITION));
        let told = judged.told.iter();
        let told = told.map(|told| {
            format!(
                "{:?}{} {}",
                told.finding.severity,
                if told.denied { "!" } else { "" },
                told.finding.rule
            )
        });
        let suppressed = judged
            .suppressed
            .iter()
            .map(|(told, why)| format!("{why:?} {}", told.finding.rule));
        let hidden = (0..judged.n_hidden).map(|_| "hidden".to_owned());
        assert_eq!(told.chain(suppressed).chain(hidden).collect::<Vec<_>>(), expected);
        judged
    }

    fn levels(rows: &[(&str, Level)]) -> Levels {
        let mut levels = Levels::default();
        for (text, level) in rows {
            levels.set(text, *level).unwrap();
        }
        levels
    }

    #[test]
    fn the_later_place_counts_more() {
        let comment = "Comment(\"<it> is a text\") NO_DOLLAR";
        let mut policy = Policy::default();
        check(&policy, &["Warning NO_DOLLAR", comment, "hidden"]);
        policy.configured = levels(&[("NO_DOLLAR", Level::Deny)]);
        check(&policy, &["Error! NO_DOLLAR", comment, "hidden"]);
        policy.for_files = vec![
            ("*.json".to_owned(), levels(&[("NO_*", Level::Allow)])),
            ("b/*".to_owned(), levels(&[("NO_*", Level::Deny)])),
        ];
        check(&policy, &[comment, "Level NO_DOLLAR", "hidden"]);
        policy.asked = levels(&[("all", Level::Warn)]);
        check(&policy, &["Warning lint/unused-ignore", "Warning NO_DOLLAR", comment]);
        policy.asked = Levels::default();
        policy.all = true;
        check(&policy, &["Information lint/unused-ignore", comment, "Level NO_DOLLAR"]);
    }

    #[test]
    fn what_cannot_be_used_is_told_at_any_level() {
        let policy = Policy {
            asked: levels(&[("all", Level::Allow)]),
            ..Policy::default()
        };
        let judged = policy.judge(checked("a.json", "{}"));
        assert_eq!(judged.told.len(), 1);
        assert!(judged.told[0].is_refusal());
    }

    #[test]
    fn a_fingerprint_does_not_know_lines() {
        let of = |text: &str| {
            let policy = Policy::default();
            let judged = policy.judge(checked("a.json", text));
            judged.told[0].fingerprint.clone()
        };
        assert_eq!(of(DEFINITION), of(&DEFINITION.replacen('\n', "\n\n\n", 1)));
        assert_ne!(of(DEFINITION), of(&DEFINITION.replace("\"é\"", "\"e\"")));
    }
}
