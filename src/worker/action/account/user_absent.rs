//! `user.absent`: no user.

use std::path::Path;

use async_trait::async_trait;
use serde_json::Value;

use crate::model::states_error::StatesError;
use crate::worker::action::Action;
use crate::worker::action::Plan;
use crate::worker::action::Work;
use crate::worker::action::account::table::Accounts;
use crate::worker::action::account::tool;
use crate::worker::action::account::user;
use crate::worker::action::account::user::FAMILY;
use crate::worker::action::checkpoint::Saved;
use crate::worker::action::facts::Facts;
use crate::worker::action::facts::Parameter;

static FACTS: Facts = Facts {
    name: "user.absent",
    summary: "Makes sure that there is no such user.",
    details: "Its files stay, the home directory too. A group of its own name that nobody else is in goes with it.",
    parameters: &[Parameter::required("Name", tool::NAME, "The user.")],
    one_of: &[],
    result: user::RESULT,
    errors: &[
        user::FAILED,
        user::IN_USE,
        user::INVALID_PARAMETERS,
        user::PERMISSION_DENIED,
        user::PROTECTED,
    ],
    undo: Some(
        "Makes the user again with its number, groups, comment, home and shell, and its own group. Its password and the \
         password's age are not kept: the account comes back locked.",
    ),
    example: r#"{ "Name": "app" }"#,
};

/// The action.
pub struct UserAbsent;

fn name(parameters: &Value) -> &str {
    parameters["Name"].as_str().unwrap_or_default()
}

#[async_trait]
impl Action for UserAbsent {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    fn locks(&self, _parameters: &Value) -> Vec<String> {
        vec![tool::LOCK.to_owned()]
    }

    async fn plan(&self, parameters: &Value, work: &mut Work<'_>) -> Result<Plan, StatesError> {
        let name = name(parameters);
        let accounts = Accounts::read(work, FAMILY)?;
        let existing = accounts.user(name);
        if existing.is_some_and(|user| user.uid == 0) {
            let sentence = format!("`{name}` is the superuser, who cannot be removed.");
            return Err(StatesError::new(user::PROTECTED.name, sentence));
        }
        Ok(Plan {
            changes: existing
                .map(|_| format!("remove the user {name}"))
                .into_iter()
                .collect(),
            result: user::result(existing, None),
        })
    }

    async fn save(&self, parameters: &Value, _directory: &Path, work: &mut Work<'_>) -> Result<Value, StatesError> {
        user::save(name(parameters), work)
    }

    async fn apply(&self, parameters: &Value, work: &mut Work<'_>) -> Result<Value, StatesError> {
        let name = name(parameters);
        let before = Accounts::read(work, FAMILY)?;
        tool::run(work, FAMILY, "userdel", Vec::new(), name).await?;
        // Whether the tool does this itself depends on /etc/login.defs.
        let is_own = |gid: u32| before.user(name).is_some_and(|user| user.gid == gid);
        let after = Accounts::read(work, FAMILY)?;
        if let Some(group) = after.group(name)
            && is_own(group.gid)
            && group.members.is_empty()
            && !after.is_primary(group.gid)
        {
            tool::run(work, FAMILY, "groupdel", Vec::new(), name).await?;
        }
        Ok(user::result(before.user(name), None))
    }

    async fn verify(&self, parameters: &Value, _result: &Value, work: &mut Work<'_>) -> Result<(), StatesError> {
        let name = name(parameters);
        match Accounts::read(work, FAMILY)?.user(name) {
            None => Ok(()),
            Some(_) => Err(StatesError::new(
                user::FAILED.name,
                format!("`userdel` did not fail, and yet the user `{name}` is there."),
            )),
        }
    }

    async fn undo(&self, saved: &Saved, work: &mut Work<'_>) -> Result<Value, StatesError> {
        user::undo(saved, work).await
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::worker::action::account::testing::Machine;

    #[tokio::test]
    async fn a_user_is_removed_once_and_restored() {
        let Some(mut machine) = Machine::new() else { return };
        let before = machine.files();
        let done = machine.run("user.absent", &json!({ "Name": "olga" })).await.unwrap();
        assert_eq!((&done["Before"]["Uid"], &done["After"]), (&json!(1000), &Value::Null));
        assert!(!machine.files().contains("olga"));
        let again = machine.run("user.absent", &json!({ "Name": "olga" })).await.unwrap();
        assert_eq!(again["Changed"], json!(false));
        machine.undo_twice(&done).await;
        assert_eq!(machine.files(), before);
    }

    #[tokio::test]
    async fn the_superuser_stays() {
        let Some(mut machine) = Machine::new() else { return };
        let error = machine
            .run("user.absent", &json!({ "Name": "root" }))
            .await
            .unwrap_err();
        assert_eq!(error.name.as_deref(), Some("User.Protected"));
    }
}
