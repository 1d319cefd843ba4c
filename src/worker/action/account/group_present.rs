//! `group.present`: a group.

use std::path::Path;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::Value;

use crate::model::states_error::StatesError;
use crate::worker::action;
use crate::worker::action::Action;
use crate::worker::action::Plan;
use crate::worker::action::Work;
use crate::worker::action::account::group;
use crate::worker::action::account::group::FAMILY;
use crate::worker::action::account::table::Accounts;
use crate::worker::action::account::tool;
use crate::worker::action::account::user::options;
use crate::worker::action::checkpoint::Saved;
use crate::worker::action::facts::Facts;
use crate::worker::action::facts::Kind;
use crate::worker::action::facts::Parameter;

static FACTS: Facts = Facts {
    name: "group.present",
    summary: "Makes sure that there is a group.",
    details: "Works on the accounts of this machine (`/etc/group`) with `groupadd`. Who is in it is said by `Groups` of \
              `user.present`.",
    parameters: &[
        Parameter::required("Name", tool::NAME, "The group."),
        Parameter::optional("Gid", tool::ID, "Its number; the next free one when it is not said."),
        Parameter::optional(
            "System",
            Kind::Boolean,
            "Give a new group a number of those for services. `false` when it is not said.",
        ),
    ],
    one_of: &[],
    result: group::RESULT,
    errors: &[
        group::CONFLICT,
        group::FAILED,
        group::IN_USE,
        group::INVALID_PARAMETERS,
        group::PERMISSION_DENIED,
    ],
    undo: Some("Removes the new group; not while it is the primary group of a user."),
    example: r#"{ "Name": "app", "System": true }"#,
};

/// The action.
pub struct GroupPresent;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameters {
    name: String,
    gid: Option<f64>,
    #[serde(default)]
    system: bool,
}

#[async_trait]
impl Action for GroupPresent {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    fn locks(&self, _parameters: &Value) -> Vec<String> {
        vec![tool::LOCK.to_owned()]
    }

    async fn plan(&self, parameters: &Value, work: &mut Work<'_>) -> Result<Plan, StatesError> {
        let Parameters { name, gid, .. } = action::read(parameters)?;
        let accounts = Accounts::read(work, FAMILY)?;
        let existing = accounts.group(&name);
        if let (Some(existing), Some(gid)) = (existing, gid)
            && existing.gid != gid as u32
        {
            let sentence = format!("The group `{name}` has the number {}, not {gid}.", existing.gid);
            return Err(StatesError::new(group::CONFLICT.name, sentence));
        }
        Ok(Plan {
            changes: match existing {
                Some(_) => Vec::new(),
                None => vec![format!("create the group {name}")],
            },
            result: group::result(existing, existing),
        })
    }

    async fn save(&self, parameters: &Value, _directory: &Path, work: &mut Work<'_>) -> Result<Value, StatesError> {
        group::save(parameters["Name"].as_str().unwrap_or_default(), work)
    }

    async fn apply(&self, parameters: &Value, work: &mut Work<'_>) -> Result<Value, StatesError> {
        let Parameters { name, gid, system } = action::read(parameters)?;
        let mut all = Vec::new();
        if system {
            all.push("--system".to_owned());
        }
        if let Some(gid) = gid {
            all.extend(options(&[("--gid", &(gid as u32).to_string())]));
        }
        tool::run(work, FAMILY, "groupadd", all, &name).await?;
        Ok(group::result(None, Accounts::read(work, FAMILY)?.group(&name)))
    }

    async fn verify(&self, parameters: &Value, _result: &Value, work: &mut Work<'_>) -> Result<(), StatesError> {
        match self.plan(parameters, work).await?.changes.is_empty() {
            true => Ok(()),
            false => Err(StatesError::new(
                group::FAILED.name,
                "`groupadd` did not fail, and yet the group is not there.",
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

    use super::*;
    use crate::worker::action::account::testing::Machine;

    #[tokio::test]
    async fn a_group_is_made_once_and_undone() {
        let Some(mut machine) = Machine::new() else { return };
        let before = machine.files();
        for parameters in [
            json!({ "Name": "app", "Gid": 1500 }),
            json!({ "Name": "app", "System": true }),
        ] {
            let done = machine.run("group.present", &parameters).await.unwrap();
            assert_eq!((&done["Before"], &done["After"]["Members"]), (&Value::Null, &json!([])));
            let again = machine.run("group.present", &parameters).await.unwrap();
            assert_eq!(again["Changed"], json!(false));
            machine.undo_twice(&done).await;
            assert_eq!(machine.files(), before);
        }
    }

    #[tokio::test]
    async fn what_cannot_be_is_told() {
        let Some(mut machine) = Machine::new() else { return };
        for (parameters, name) in [
            (json!({"Name": "ops", "Gid": 7}), "Group.Conflict"),
            (json!({"Name": "app", "Gid": 50}), "Group.Conflict"),
            (json!({"Name": "--system"}), "Group.InvalidParameters"),
            (json!({"Name": "a,b"}), "Group.InvalidParameters"),
        ] {
            let error = machine.run("group.present", &parameters).await.unwrap_err();
            assert_eq!(error.name.as_deref(), Some(name), "{parameters}: {:?}", error.cause);
        }
    }
}
