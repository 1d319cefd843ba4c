//! The shape that all actions have that change packages by a transaction of apt.

use std::path::Path;

use async_trait::async_trait;
use serde_json::Value;

use crate::model::states_error::StatesError;
use crate::worker::action;
use crate::worker::action::Action;
use crate::worker::action::Plan;
use crate::worker::action::Work;
use crate::worker::action::apt::checkpoint;
use crate::worker::action::apt::command;
use crate::worker::action::apt::command::System;
use crate::worker::action::apt::parameters::Parameters;
use crate::worker::action::apt::transaction::Transaction;
use crate::worker::action::apt::transaction::Wish;
use crate::worker::action::checkpoint::Saved;
use crate::worker::action::facts::Facts;

/// An action that is one transaction of apt.
pub struct PackageAction {
    /// What it is called, takes, gives and how it fails.
    pub facts: &'static Facts,
    /// Chooses apt-get's verb and the options that belong to it.
    pub verb: fn(&Parameters) -> (&'static str, Vec<&'static str>),
    /// Makes the wishes, when the machine's architecture is known.
    pub wishes: fn(&Parameters, native: &str) -> Vec<Wish>,
    /// Packages may get an older version, whatever the parameters say.
    pub downgrades: bool,
}

impl PackageAction {
    fn transaction(&self, parameters: &Value) -> Result<Transaction, StatesError> {
        let mut parameters: Parameters = action::read(parameters)?;
        parameters.allow_downgrade |= self.downgrades;
        let (verb, options) = (self.verb)(&parameters);
        Ok(Transaction {
            system: System {
                root: parameters.root.clone(),
            },
            parameters,
            verb,
            options,
            wishes: self.wishes,
        })
    }
}

#[async_trait]
impl Action for PackageAction {
    fn facts(&self) -> &'static Facts {
        self.facts
    }

    fn locks(&self, parameters: &Value) -> Vec<String> {
        command::locks(parameters)
    }

    async fn plan(&self, parameters: &Value, work: &mut Work<'_>) -> Result<Plan, StatesError> {
        self.transaction(parameters)?.plan(work).await
    }

    async fn save(&self, parameters: &Value, directory: &Path, work: &mut Work<'_>) -> Result<Value, StatesError> {
        self.transaction(parameters)?.save(directory, work).await
    }

    async fn apply(&self, parameters: &Value, work: &mut Work<'_>) -> Result<Value, StatesError> {
        self.transaction(parameters)?.apply(work).await
    }

    async fn undo(&self, saved: &Saved, work: &mut Work<'_>) -> Result<Value, StatesError> {
        checkpoint::undo(saved, work).await
    }
}
