//! `group.absent`: no group.

use std::path::Path;

use async_trait::async_trait;
use serde_json::Value;

use crate::model::states_error::StatesError;
use crate::worker::action::Action;
use crate::worker::action::Plan;
use crate::worker::action::Work;
use crate::worker::action::account::group;
use crate::worker::action::account::group::FAMILY;
use crate::worker::action::account::table::Accounts;
use crate::worker::action::account::tool;
use crate::worker::action::checkpoint::Saved;
use crate::worker::action::facts::Facts;
use crate::worker::action::facts::Parameter;

static FACTS: Facts = Facts {
    name: "group.absent",
    summary: "Makes sure that there is no such group.",
    details: "A group that is somebody's primary one is refused. Files keep its number.",
    parameters: &[Parameter::required("Name", tool::NAME, "The group.")],
    one_of: &[],
    result: group::RESULT,
    errors: &[
        group::FAILED,
        group::IN_USE,
        group::INVALID_PARAMETERS,
        group::PERMISSION_DENIED,
        group::PROTECTED,
    ],
    undo: Some("Makes the group again with its number and those of its members that are still there."),
    example: r#"{ "Name": "app" }"#,
};

/// The action.
pub struct GroupAbsent;

fn name(parameters: &Value) -> &str {
    parameters["Name"].as_str().unwrap_or_default()
}

#[async_trait]
impl Action for GroupAbsent {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    fn locks(&self, _parameters: &Value) -> Vec<String> {
        vec![tool::LOCK.to_owned()]
    }

    async fn plan(&self, parameters: &Value, work: &mut Work<'_>) -> Result<Plan, StatesError> {
        let name = name(parameters);
        let accounts = Accounts::read(work, FAMILY)?;
        let existing = accounts.group(name);
        if existing.is_some_and(|group| group.gid == 0) {
            let sentence = format!("`{name}` is the superuser's group, which cannot be removed.");
            return Err(StatesError::new(group::PROTECTED.name, sentence));
        }
        Ok(Plan {
            changes: existing
                .map(|_| format!("remove the group {name}"))
                .into_iter()
                .collect(),
            result: group::result(existing, None),
        })
    }

    async fn save(&self, parameters: &Value, _directory: &Path, work: &mut Work<'_>) -> Result<Value, StatesError> {
        group::save(name(parameters), work)
    }

    async fn apply(&self, parameters: &Value, work: &mut Work<'_>) -> Result<Value, StatesError> {
        let name = name(parameters);
        let before = Accounts::read(work, FAMILY)?;
        tool::run(work, FAMILY, "groupdel", Vec::new(), name).await?;
        Ok(group::result(before.group(name), None))
    }

    async fn verify(&self, parameters: &Value, _result: &Value, work: &mut Work<'_>) -> Result<(), StatesError> {
        match Accounts::read(work, FAMILY)?.group(name(parameters)) {
            None => Ok(()),
            Some(_) => Err(StatesError::new(
                group::FAILED.name,
                "`groupdel` did not fail, and yet the group is there.",
            )),
        }
    }

    async fn undo(&self, saved: &Saved, work: &mut Work<'_>) -> Result<Value, StatesError> {
        group::undo(saved, work).await
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::worker::action::account::testing::Machine;

    #[tokio::test]
    async fn a_group_is_removed_once_and_restored_with_its_members() {
        let Some(mut machine) = Machine::new() else { return };
        let before = machine.files();
        let done = machine.run("group.absent", &json!({ "Name": "users" })).await.unwrap();
        assert_eq!(done["Before"]["Members"], json!(["olga"]));
        let again = machine.run("group.absent", &json!({ "Name": "users" })).await.unwrap();
        assert_eq!(again["Changed"], json!(false));
        machine.undo_twice(&done).await;
        assert_eq!(machine.files(), before);
    }

    #[tokio::test]
    async fn what_must_stay_stays() {
        let Some(mut machine) = Machine::new() else { return };
        let before = machine.files();
        for (name, expected) in [("root", "Group.Protected"), ("olga", "Group.InUse")] {
            let error = machine.run("group.absent", &json!({ "Name": name })).await.unwrap_err();
            assert_eq!(error.name.as_deref(), Some(expected), "{:?}", error.cause);
            assert_eq!(machine.files(), before);
        }
    }
}
