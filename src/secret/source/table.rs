//! Which source has which secret: the `[secrets]` of the configuration.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;

use crate::model::glob;
use crate::secret::reference::Reference;
use crate::secret::source::KINDS;
use crate::secret::source::Source;
use crate::secret::value::Secret;

/// All sources, in order; the first whose pattern matches counts.
#[derive(Clone, Default)]
pub struct Sources {
    rows: Arc<[Row]>,
}

struct Row {
    pattern: String,
    state_machines: Vec<String>,
    kind: &'static str,
    source: Arc<dyn Source>,
}

/// `[secrets]`, as it is written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretsTable {
    #[serde(default)]
    source: Vec<toml::Table>,
}

/// Why `[secrets]` cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("`[[secrets.source]]` number {number} cannot be used: {why}")]
pub struct SourcesError {
    number: usize,
    why: String,
}

/// Why there is no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// Nobody has it.
    #[error("no `[[secrets.source]]` of the configuration matches it")]
    NoSource,
    /// It is not for this state machine.
    #[error("its source `{pattern}` is not for the state machine `{state_machine}`")]
    NotForStateMachine {
        /// What the source's names match.
        pattern: String,
        /// Who asks.
        state_machine: String,
    },
    /// Its source does not give it.
    #[error("{place} cannot be read: {why}")]
    Unreadable {
        /// Where it should be.
        place: String,
        /// What is wrong there.
        why: String,
    },
}

#[derive(Deserialize)]
struct Common {
    #[serde(rename = "match")]
    pattern: String,
    kind: String,
    #[serde(default)]
    state_machines: Vec<String>,
}

impl Sources {
    /// Makes the sources of a configuration that stands in `directory`.
    ///
    /// # Errors
    /// One of them says something that its kind does not know.
    pub fn new(table: SecretsTable, directory: &Path) -> Result<Self, SourcesError> {
        let rows = table.source.into_iter().enumerate().map(|(n, keys)| {
            let row = Row::read(keys, directory);
            row.map_err(|why| SourcesError { number: n + 1, why })
        });
        Ok(Self {
            rows: rows.collect::<Result<_, _>>()?,
        })
    }

    /// Tells whether no secret can be had.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Says what each source has: pattern and kind, in order.
    pub fn describe(&self) -> impl Iterator<Item = (&str, &'static str)> {
        self.rows.iter().map(|row| (row.pattern.as_str(), row.kind))
    }

    /// Says where a secret would come from: the source's pattern, its kind and the place.
    pub fn route(&self, reference: &Reference) -> Option<(&str, &'static str, String)> {
        let row = self.row(reference)?;
        Some((&row.pattern, row.kind, row.source.place(reference)))
    }

    /// Reads a secret as it is now, for a state machine; without one for who may read all.
    ///
    /// # Errors
    /// There is no such secret for it.
    pub async fn get(&self, reference: &Reference, state_machine: Option<&str>) -> Result<Secret, SecretError> {
        let row = self.row(reference).ok_or(SecretError::NoSource)?;
        if let Some(state_machine) = state_machine
            && !row.state_machines.is_empty()
            && !row
                .state_machines
                .iter()
                .any(|pattern| glob::matches(pattern, state_machine))
        {
            return Err(SecretError::NotForStateMachine {
                pattern: row.pattern.clone(),
                state_machine: state_machine.to_owned(),
            });
        }
        let unreadable = |why| SecretError::Unreadable {
            place: row.source.place(reference),
            why,
        };
        let secret = row.source.get(reference).await.map_err(unreadable)?;
        match secret.expose() {
            [] => Err(unreadable("it is empty".to_owned())),
            _ => Ok(secret),
        }
    }

    fn row(&self, reference: &Reference) -> Option<&Row> {
        self.rows
            .iter()
            .find(|row| glob::matches(&row.pattern, reference.name()))
    }
}

impl Row {
    fn read(mut keys: toml::Table, directory: &Path) -> Result<Self, String> {
        let mut common = toml::Table::new();
        for key in ["match", "kind", "state_machines"] {
            common.extend(keys.remove_entry(key));
        }
        let common: Common = super::own_keys(common)?;
        if common.pattern.is_empty() {
            return Err("`match` is empty".to_owned());
        }
        let kind = KINDS.iter().find(|kind| kind.name == common.kind).ok_or_else(|| {
            let names: Vec<String> = KINDS.iter().map(|kind| format!("`{}`", kind.name)).collect();
            format!("`kind` is `{}`, and none of {}", common.kind, names.join(", "))
        })?;
        Ok(Self {
            source: (kind.read)(keys, directory)?,
            pattern: common.pattern,
            state_machines: common.state_machines,
            kind: kind.name,
        })
    }
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.describe()).finish()
    }
}
