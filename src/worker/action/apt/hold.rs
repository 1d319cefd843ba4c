//! `apt.hold`: packages that stay as they are, or may change again.

use std::path::Path;

use async_trait::async_trait;
use serde_json::Value;
use serde_json::json;

use crate::model::states_error::StatesError;
use crate::worker::action;
use crate::worker::action::Action;
use crate::worker::action::Plan;
use crate::worker::action::Work;
use crate::worker::action::apt::checkpoint;
use crate::worker::action::apt::checkpoint::Before;
use crate::worker::action::apt::command;
use crate::worker::action::apt::command::System;
use crate::worker::action::apt::package;
use crate::worker::action::apt::parameters;
use crate::worker::action::apt::parameters::FAILED;
use crate::worker::action::apt::parameters::PACKAGE_NOT_FOUND;
use crate::worker::action::apt::parameters::Parameters;
use crate::worker::action::apt::perform;
use crate::worker::action::apt::state::State;
use crate::worker::action::apt::transaction::must;
use crate::worker::action::checkpoint::Saved;
use crate::worker::action::facts::Facts;
use crate::worker::action::facts::Kind;
use crate::worker::action::facts::Member;
use crate::worker::action::facts::Parameter;

static FACTS: Facts = Facts {
    name: "apt.hold",
    summary: "Puts installed packages on hold, so that they stay as they are, or ends that.",
    details: "",
    parameters: &[
        Parameter::required(
            "Packages",
            Kind::List(&package::PACKAGE),
            "Their names, or objects of `Name` and `Architecture`.",
        ),
        Parameter::optional(
            "Hold",
            Kind::Boolean,
            "`true`, the default, puts them on hold; `false` lets them change again.",
        ),
        parameters::LOCK_TIMEOUT,
        parameters::ROOT,
    ],
    one_of: &[],
    result: &[
        Member {
            name: "Held",
            doc: "The names of packages that are on hold now and were not.",
        },
        Member {
            name: "Released",
            doc: "The names of packages that were on hold and are not now.",
        },
    ],
    errors: parameters::ERRORS,
    undo: Some("Restores which packages are on hold."),
    example: r#"{ "Packages": ["linux-image-amd64"] }"#,
};

/// The action.
pub struct AptHold;

/// What is to be done.
struct Outlook {
    system: System,
    parameters: Parameters,
    state: State,
    /// The packages that are not as asked.
    open: Vec<String>,
}

impl Outlook {
    async fn look(parameters: &Value, work: &mut Work<'_>) -> Result<Self, StatesError> {
        let parameters: Parameters = action::read(parameters)?;
        let system = System {
            root: parameters.root.clone(),
        };
        let state = State::read(&system, work).await?;
        let mut open = Vec::new();
        for package in &parameters.packages {
            let name = package.key(&state.native);
            let Some(present) = state.packages.get(&name).filter(|present| !present.is_configuration()) else {
                let sentence = format!("`{name}` is not installed: only installed packages can be on hold.");
                return Err(StatesError::new(PACKAGE_NOT_FOUND, sentence));
            };
            if present.is_held() != parameters.hold {
                open.push(name);
            }
        }
        Ok(Self {
            system,
            parameters,
            state,
            open,
        })
    }

    fn result(&self) -> Value {
        match self.parameters.hold {
            true => json!({ "Held": self.open, "Released": [] }),
            false => json!({ "Held": [], "Released": self.open }),
        }
    }
}

fn verb(hold: bool) -> &'static str {
    match hold {
        true => "hold",
        false => "unhold",
    }
}

#[async_trait]
impl Action for AptHold {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    fn locks(&self, parameters: &Value) -> Vec<String> {
        command::locks(parameters)
    }

    async fn plan(&self, parameters: &Value, work: &mut Work<'_>) -> Result<Plan, StatesError> {
        let outlook = Outlook::look(parameters, work).await?;
        let verb = verb(outlook.parameters.hold);
        Ok(Plan {
            changes: outlook.open.iter().map(|name| format!("{verb} {name}")).collect(),
            result: outlook.result(),
        })
    }

    async fn save(&self, parameters: &Value, _directory: &Path, work: &mut Work<'_>) -> Result<Value, StatesError> {
        let outlook = Outlook::look(parameters, work).await?;
        Before {
            state: outlook.state,
            affected: outlook.open.into_iter().collect(),
            only_holds: true,
            kept: [].into(),
        }
        .to_value()
    }

    async fn apply(&self, parameters: &Value, work: &mut Work<'_>) -> Result<Value, StatesError> {
        let outlook = Outlook::look(parameters, work).await?;
        let mut arguments = vec!["apt-mark", verb(outlook.parameters.hold)];
        arguments.extend(outlook.open.iter().map(String::as_str));
        let lock_timeout = outlook.parameters.lock_timeout();
        if 2 < arguments.len() {
            let answer = perform::dpkg(&outlook.system, &arguments, lock_timeout, work).await?;
            must("apt-mark", answer)?;
        }
        Ok(outlook.result())
    }

    async fn verify(&self, parameters: &Value, _result: &Value, work: &mut Work<'_>) -> Result<(), StatesError> {
        let outlook = Outlook::look(parameters, work).await?;
        match outlook.open.as_slice() {
            [] => Ok(()),
            open => Err(StatesError::new(
                FAILED,
                format!("apt-mark ended well, but {} is not as asked.", open.join(", ")),
            )),
        }
    }

    async fn undo(&self, saved: &Saved, work: &mut Work<'_>) -> Result<Value, StatesError> {
        checkpoint::undo(saved, work).await
    }
}
