//! `undo`: restores what other actions changed.

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::Value;
use serde_json::json;

use crate::model::states_error::StatesError;
use crate::worker::action;
use crate::worker::action::Action;
use crate::worker::action::Plan;
use crate::worker::action::Work;
use crate::worker::action::checkpoint::Saved;
use crate::worker::action::checkpoint::Status;
use crate::worker::action::facts::ErrorName;
use crate::worker::action::facts::Facts;
use crate::worker::action::facts::Kind;
use crate::worker::action::facts::Member;
use crate::worker::action::facts::Parameter;
use crate::worker::action::rollback;

/// There is no such checkpoint.
const NOT_FOUND: &str = "Undo.CheckpointNotFound";
/// At least one checkpoint could not be undone.
const FAILED: &str = "Undo.Failed";

static FACTS: Facts = Facts {
    name: "undo",
    summary: "Restores what other actions changed, from their checkpoints.",
    details: "With `Execution` every checkpoint of that execution is undone, the latest first: in a compensation path \
              give it `$$.Execution.Id`. What is undone already stays so, and is no error.",
    parameters: &[
        Parameter::optional("Checkpoint", Kind::Text, "The `Checkpoint` of an action's result."),
        Parameter::optional("Execution", Kind::Text, "The ARN of an execution."),
    ],
    one_of: &[&["Checkpoint", "Execution"]],
    result: &[Member {
        name: "Undone",
        doc: "A list of `{Checkpoint, Action, State, Result}`, in the order of undoing.",
    }],
    errors: &[
        ErrorName::lasting(NOT_FOUND, "`Checkpoint` names none that is kept."),
        ErrorName::passing(
            FAILED,
            "At least one could not be undone; the others were. The cause names each that was not.",
        ),
        ErrorName::lasting("Undo.InvalidParameters", "The parameters are not as above."),
    ],
    undo: None,
    example: r#"{ "Execution.$": "$$.Execution.Id" }"#,
};

/// The action.
pub struct Undo;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameters {
    checkpoint: Option<String>,
    execution: Option<String>,
}

impl Undo {
    async fn found(parameters: &Value, work: &Work<'_>) -> Result<Vec<Saved>, StatesError> {
        let parameters: Parameters = action::read(parameters)?;
        let Some(checkpoints) = &work.site.checkpoints else {
            return Ok(Vec::new());
        };
        let id = parameters.checkpoint.as_deref();
        let found = rollback::find(checkpoints, id, parameters.execution.as_deref()).await?;
        if let (Some(id), true) = (id, found.is_empty()) {
            return Err(StatesError::new(
                NOT_FOUND,
                format!(
                    "There is no checkpoint `{id}` in `{}`.",
                    checkpoints.directory().display()
                ),
            ));
        }
        Ok(found)
    }
}

#[async_trait]
impl Action for Undo {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    fn is_done_by_processes(&self) -> bool {
        true
    }

    async fn plan(&self, parameters: &Value, work: &mut Work<'_>) -> Result<Plan, StatesError> {
        let found = Self::found(parameters, work).await?;
        let open = found.iter().rev().filter(|saved| saved.status != Status::Undone);
        Ok(Plan {
            changes: open
                .map(|saved| format!("undo {} of state {}", saved.action, saved.state_name))
                .collect(),
            result: json!({ "Undone": [] }),
        })
    }

    async fn apply(&self, parameters: &Value, work: &mut Work<'_>) -> Result<Value, StatesError> {
        let found = Self::found(parameters, work).await?;
        let undone = rollback::undo_all(found, work).await;
        let failures: Vec<String> = undone.iter().filter_map(rollback::Undone::failure).collect();
        if !failures.is_empty() {
            return Err(StatesError::new(FAILED, failures.join(" ")));
        }
        let undone: Vec<Value> = undone
            .into_iter()
            .map(|rollback::Undone { saved, .. }| {
                json!({ "Checkpoint": saved.id, "Action": saved.action, "State": saved.state_name,
                    "Result": saved.undone })
            })
            .collect();
        Ok(json!({ "Undone": undone }))
    }

    async fn undo(&self, _saved: &Saved, _work: &mut Work<'_>) -> Result<Value, StatesError> {
        Ok(Value::Null)
    }
}
