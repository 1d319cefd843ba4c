//! State machines, their revisions, versions and aliases, as they are stored.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;

use crate::asl::definition::Definition;
use crate::model::execution_record::MachineType;
use crate::model::timestamp::Timestamp;

/// A state machine with all that belongs to it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StateMachine {
    /// Its ARN, without qualifier.
    pub arn: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
    /// STANDARD or EXPRESS.
    pub machine_type: MachineType,
    /// When it was made.
    pub created: Timestamp,
    /// What executions that are started now run.
    pub revision: Revision,
    /// Published versions, oldest first.
    pub versions: Vec<Version>,
    /// The last version number that was given: numbers are never used again.
    pub last_version: u64,
    /// Aliases by name.
    pub aliases: BTreeMap<String, Alias>,
    /// Tags by key.
    pub tags: BTreeMap<String, String>,
    /// It is being deleted.
    #[serde(default)]
    pub is_deleting: bool,
}

/// What a state machine says at one time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Revision {
    /// Its id; `None` until the first update.
    pub id: Option<Arc<str>>,
    /// When it was made.
    pub updated: Timestamp,
    /// The hash of the definition's text.
    pub definition: Arc<str>,
    /// Role ARN.
    pub role_arn: Arc<str>,
    /// `loggingConfiguration`, complete.
    pub logging: Value,
    /// `tracingConfiguration`, complete.
    pub tracing: Value,
    /// `encryptionConfiguration`, when it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<Value>,
    /// `description` and whether a version was published when it was made: two creations are the same only with
    /// the same wish.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published_as: Option<String>,
}

/// A published version.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Version {
    /// 1, 2, 3, …
    pub number: u64,
    /// What it says.
    pub revision: Revision,
    /// `description`.
    pub description: Option<String>,
    /// When it was published.
    pub created: Timestamp,
}

/// An alias.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Alias {
    /// Its description.
    pub description: Option<String>,
    /// Where it leads, in the order given.
    pub routes: Vec<Route>,
    /// When it was made.
    pub created: Timestamp,
    /// When it was changed last.
    pub updated: Timestamp,
}

/// One way of an alias.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The version's ARN.
    pub version_arn: Arc<str>,
    /// Of 100.
    pub weight: u32,
}

/// An activity.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Activity {
    /// Its ARN.
    pub arn: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
    /// When it was made.
    pub created: Timestamp,
    /// Tags by key.
    pub tags: BTreeMap<String, String>,
    /// `encryptionConfiguration`, when it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<Value>,
}

/// A definition with its text.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// The hash of the text.
    pub hash: Arc<str>,
    /// The text.
    pub text: Arc<str>,
    /// What it says.
    pub definition: Arc<Definition>,
}

impl StateMachine {
    /// Publishes the current revision; returns the number of the version that stands for it, new or not.
    pub fn publish(&mut self, description: Option<&str>, now: Timestamp) -> u64 {
        if let Some(version) = self.current_version() {
            return version.number;
        }
        self.last_version += 1;
        self.versions.push(Version {
            number: self.last_version,
            revision: self.revision.clone(),
            description: description.map(ToOwned::to_owned),
            created: now,
        });
        self.last_version
    }

    /// Returns the version that stands for the current revision.
    pub fn current_version(&self) -> Option<&Version> {
        self.versions
            .iter()
            .rfind(|version| version.revision.id == self.revision.id)
    }

    /// Returns the names of the aliases that lead to a version.
    pub fn aliases_of(&self, number: u64) -> Vec<&str> {
        let arn = self.version_arn(number);
        let leads = |alias: &Alias| alias.routes.iter().any(|route| *route.version_arn == *arn);
        let found = self.aliases.iter().filter(|(_, alias)| leads(alias));
        found.map(|(name, _)| name.as_str()).collect()
    }

    /// Returns a version's ARN.
    pub fn version_arn(&self, number: u64) -> String {
        format!("{}:{number}", self.arn)
    }

    /// Returns an alias's ARN.
    pub fn alias_arn(&self, name: &str) -> String {
        format!("{}:{name}", self.arn)
    }

    /// Returns a version.
    pub fn version(&self, number: u64) -> Option<&Version> {
        self.versions.iter().find(|version| version.number == number)
    }
}
