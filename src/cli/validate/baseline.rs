//! A baseline: findings of an old code base that are known and not told again.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::Path;
use std::path::PathBuf;

use serde::Deserialize;
use serde::Serialize;

use crate::cli::error::CliError;
use crate::cli::replace::Replacement;
use crate::cli::source;
use crate::lint::finding::Finding;

/// The version of the file.
const VERSION: u32 = 1;

/// What a finding is known by: all but its line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Key {
    pub(crate) path: String,
    /// Which definition of the file; empty when the file is one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) machine: String,
    pub(crate) rule: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) location: String,
    pub(crate) message: String,
}

impl Key {
    pub(crate) fn of(path: &str, machine: Option<&str>, finding: &Finding) -> Self {
        Self {
            path: path.to_owned(),
            machine: machine.unwrap_or_default().to_owned(),
            rule: finding.rule.to_owned(),
            location: finding.location.clone().unwrap_or_default(),
            message: finding.message.clone(),
        }
    }
}

/// What is known.
#[derive(Debug, Default)]
pub(crate) struct Baseline {
    file: PathBuf,
    known: BTreeMap<Key, usize>,
}

/// `{"version": 1, "findings": [{"path", "machine", "rule", "location", "message", "count"}]}`
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    findings: Vec<Row>,
}

#[derive(Deserialize, Serialize)]
struct Row {
    #[serde(flatten)]
    key: Key,
    /// How often it is found; 1 when absent.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    count: usize,
}

fn one() -> usize {
    1
}

fn is_one(count: &usize) -> bool {
    *count == 1
}

impl Baseline {
    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read, or is no baseline.
    pub(crate) fn read(path: &Path) -> Result<Self, CliError> {
        let text = source::read_text(path)?;
        let wrong = |what: String| {
            CliError::usage(format!("failed to read the baseline `{}`: {what}", path.display()))
                .hint("`stepfn validate … --baseline FILE --update-baseline` writes one")
        };
        let file: File = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        if file.version != VERSION {
            return Err(wrong(format!("its version is {}, not {VERSION}", file.version)));
        }
        let mut known = BTreeMap::new();
        for row in file.findings {
            *known.entry(row.key).or_default() += row.count;
        }
        Ok(Self {
            file: path.to_owned(),
            known,
        })
    }

    /// Begins one that is not written yet.
    pub(crate) fn empty(path: &Path) -> Self {
        Self {
            file: path.to_owned(),
            known: BTreeMap::new(),
        }
    }

    /// Returns how many findings of that key are known.
    pub(crate) fn count(&self, key: &Key) -> usize {
        self.known.get(key).copied().unwrap_or(0)
    }

    /// Returns what is known of the files that were looked at, but not found any more, and how often.
    pub(crate) fn gone<'a>(
        &'a self,
        looked_at: &'a BTreeSet<String>,
        found: &'a BTreeMap<Key, usize>,
    ) -> impl Iterator<Item = (&'a Key, usize)> {
        let known = self.known.iter().filter(|(key, _)| looked_at.contains(&key.path));
        known.filter_map(|(key, count)| {
            let n_gone = count.saturating_sub(found.get(key).copied().unwrap_or(0));
            (n_gone > 0).then_some((key, n_gone))
        })
    }

    /// Writes what was found. What is known of files that were not looked at stays, unless they are gone.
    pub(crate) fn update(&self, looked_at: &BTreeSet<String>, found: BTreeMap<Key, usize>) -> Result<(), CliError> {
        let mut known = found;
        for (key, count) in &self.known {
            if !looked_at.contains(&key.path) && Path::new(&key.path).exists() {
                known.insert(key.clone(), *count);
            }
        }
        let findings = known.into_iter().map(|(key, count)| Row { key, count }).collect();
        let file = File {
            version: VERSION,
            findings,
        };
        let text = serde_json::to_string_pretty(&file)
            .map_err(|error| CliError::internal(format!("failed to make a baseline: {error}")))?;
        Replacement::write(&self.file, &(text + "\n"))
    }
}
