//! `user.present`: a user.

use std::path::Path;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::Value;

use crate::model::states_error::StatesError;
use crate::worker::action;
use crate::worker::action::Action;
use crate::worker::action::Plan;
use crate::worker::action::Work;
use crate::worker::action::account::table::Accounts;
use crate::worker::action::account::table::User;
use crate::worker::action::account::tool;
use crate::worker::action::account::user;
use crate::worker::action::account::user::FAMILY;
use crate::worker::action::account::user::options;
use crate::worker::action::checkpoint::Saved;
use crate::worker::action::facts::Facts;
use crate::worker::action::facts::Kind;
use crate::worker::action::facts::Parameter;
use crate::worker::action::facts::is_path;

static FACTS: Facts = Facts {
    name: "user.present",
    summary: "Makes sure that there is a user.",
    details: "A user that is there already is changed where a parameter says otherwise; its number is never changed. \
              Works on the accounts of this machine (`/etc/passwd`) with `useradd` and `usermod`. A new user has no \
              password and cannot log in with one.",
    parameters: &[
        Parameter::required("Name", tool::NAME, "The user."),
        Parameter::optional("Uid", tool::ID, "Its number; the next free one when it is not said."),
        Parameter::optional(
            "Group",
            tool::NAME,
            "Its primary group, which must be there; for a new user one of its own name, made if need be.",
        ),
        Parameter::optional(
            "Groups",
            Kind::List(&tool::NAME),
            "Groups that it is to be in as well, which must be there. It stays in others.",
        ),
        Parameter::optional("Comment", FIELD, "Its full name or purpose."),
        Parameter::optional("Home", PATH, "Its home directory. One that is there is not moved."),
        Parameter::optional(
            "CreateHome",
            Kind::Boolean,
            "Make the home directory of a new user. `false` when it is not said.",
        ),
        Parameter::optional("Shell", PATH, "Its shell."),
        Parameter::optional(
            "System",
            Kind::Boolean,
            "Give a new user a number of those for services. `false` when it is not said.",
        ),
    ],
    one_of: &[],
    result: user::RESULT,
    errors: &[
        user::CONFLICT,
        user::FAILED,
        user::IN_USE,
        user::INVALID_PARAMETERS,
        user::PERMISSION_DENIED,
        user::UNKNOWN_GROUP,
    ],
    undo: Some(
        "Removes the new user and its own group, or restores group, groups, comment, home and shell. A home directory \
         that was made stays.",
    ),
    example: r#"{ "Name": "app", "System": true, "Home": "/var/lib/app", "Shell": "/usr/sbin/nologin" }"#,
};

/// What fits between colons.
const FIELD: Kind = Kind::Named("a text without `:` and line ends", is_field);
const PATH: Kind = Kind::Named("an absolute path without `.`, `..`, `:` and line ends", |text| {
    is_path(text) && is_field(text)
});

fn is_field(text: &str) -> bool {
    !text.contains([':', '\n', '\r'])
}

/// The action.
pub struct UserPresent;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameters {
    name: String,
    uid: Option<f64>,
    group: Option<String>,
    #[serde(default)]
    groups: Vec<String>,
    comment: Option<String>,
    home: Option<String>,
    #[serde(default)]
    create_home: bool,
    shell: Option<String>,
    #[serde(default)]
    system: bool,
}

/// What is to be run.
struct Step {
    tool: &'static str,
    options: Vec<String>,
    changes: Vec<String>,
}

impl Parameters {
    /// Finds out what is left to do.
    fn step(&self, accounts: &Accounts) -> Result<Option<Step>, StatesError> {
        for group in self.groups.iter().chain(&self.group) {
            if accounts.group(group).is_none()
                && !(self.group.as_ref() == Some(group) && *group == self.name && accounts.user(&self.name).is_none())
            {
                return Err(StatesError::new(
                    user::UNKNOWN_GROUP.name,
                    format!("There is no group `{group}` for the user `{}`.", self.name),
                ));
            }
        }
        match accounts.user(&self.name) {
            None => Ok(Some(self.creation(accounts))),
            Some(existing) => self.change(accounts, existing),
        }
    }

    fn creation(&self, accounts: &Accounts) -> Step {
        let mut all = Vec::new();
        if self.system {
            all.push("--system".to_owned());
        }
        if let Some(uid) = self.uid {
            all.extend(options(&[("--uid", &(uid as u32).to_string())]));
        }
        let group = self.group.as_ref().unwrap_or(&self.name);
        match accounts.group(group) {
            Some(_) => all.extend(options(&[("--gid", group)])),
            None => all.push("--user-group".to_owned()),
        }
        if !self.groups.is_empty() {
            all.extend(options(&[("--groups", &self.groups.join(","))]));
        }
        for (option, value) in [
            ("--comment", &self.comment),
            ("--home-dir", &self.home),
            ("--shell", &self.shell),
        ] {
            if let Some(value) = value {
                all.extend(options(&[(option, value)]));
            }
        }
        all.push(match self.create_home {
            true => "--create-home".to_owned(),
            false => "--no-create-home".to_owned(),
        });
        Step {
            tool: "useradd",
            options: all,
            changes: vec![format!("create the user {}", self.name)],
        }
    }

    fn change(&self, accounts: &Accounts, existing: &User) -> Result<Option<Step>, StatesError> {
        let name = &self.name;
        if let Some(uid) = self.uid.map(|uid| uid as u32).filter(|uid| *uid != existing.uid) {
            let sentence = format!("The user `{name}` has the number {}, not {uid}.", existing.uid);
            return Err(StatesError::new(user::CONFLICT.name, sentence));
        }
        let mut all = Vec::new();
        let mut changes = Vec::new();
        if let Some(group) = &self.group
            && accounts.group(group).is_some_and(|group| group.gid != existing.gid)
        {
            changes.push(format!("set the group of {name} from {} to {group}", existing.gid));
            all.extend(options(&[("--gid", group)]));
        }
        for (what, option, wanted, is) in [
            ("comment", "--comment", &self.comment, &existing.comment),
            ("home", "--home", &self.home, &existing.home),
            ("shell", "--shell", &self.shell, &existing.shell),
        ] {
            if let Some(wanted) = wanted.as_ref().filter(|wanted| *wanted != is) {
                changes.push(format!("set the {what} of {name} from {is:?} to {wanted:?}"));
                all.extend(options(&[(option, wanted)]));
            }
        }
        // Those who are in a group as their primary one need not be listed.
        let is_in = |group: &str| {
            existing.groups.iter().any(|listed| listed == group)
                || accounts.group(group).is_some_and(|group| group.gid == existing.gid)
        };
        let missing: Vec<&str> = self
            .groups
            .iter()
            .map(String::as_str)
            .filter(|group| !is_in(group))
            .collect();
        if !missing.is_empty() {
            changes.push(format!("add {name} to {}", missing.join(", ")));
            all.push("--append".to_owned());
            all.extend(options(&[("--groups", &missing.join(","))]));
        }
        Ok((!changes.is_empty()).then_some(Step {
            tool: "usermod",
            options: all,
            changes,
        }))
    }
}

#[async_trait]
impl Action for UserPresent {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    fn locks(&self, _parameters: &Value) -> Vec<String> {
        vec![tool::LOCK.to_owned()]
    }

    async fn plan(&self, parameters: &Value, work: &mut Work<'_>) -> Result<Plan, StatesError> {
        let parameters: Parameters = action::read(parameters)?;
        let accounts = Accounts::read(work, FAMILY)?;
        let step = parameters.step(&accounts)?;
        let existing = accounts.user(&parameters.name);
        Ok(Plan {
            changes: step.map(|step| step.changes).unwrap_or_default(),
            result: user::result(existing, existing),
        })
    }

    async fn save(&self, parameters: &Value, _directory: &Path, work: &mut Work<'_>) -> Result<Value, StatesError> {
        user::save(parameters["Name"].as_str().unwrap_or_default(), work)
    }

    async fn apply(&self, parameters: &Value, work: &mut Work<'_>) -> Result<Value, StatesError> {
        let parameters: Parameters = action::read(parameters)?;
        let before = Accounts::read(work, FAMILY)?;
        if let Some(step) = parameters.step(&before)? {
            tool::run(work, FAMILY, step.tool, step.options, &parameters.name).await?;
        }
        let after = Accounts::read(work, FAMILY)?;
        Ok(user::result(
            before.user(&parameters.name),
            after.user(&parameters.name),
        ))
    }

    async fn verify(&self, parameters: &Value, _result: &Value, work: &mut Work<'_>) -> Result<(), StatesError> {
        let parameters: Parameters = action::read(parameters)?;
        match parameters.step(&Accounts::read(work, FAMILY)?)? {
            None => Ok(()),
            Some(step) => Err(StatesError::new(
                user::FAILED.name,
                format!(
                    "The tool did not fail, and yet there is left to do: {}.",
                    step.changes.join(", ")
                ),
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

    use crate::worker::action::account::testing::Machine;

    #[tokio::test]
    async fn a_user_is_made_once_and_undone() {
        let Some(mut machine) = Machine::new() else { return };
        let before = machine.files();
        let parameters = json!({ "Name": "app", "Uid": 1500, "Comment": "An app", "Home": "/srv/app",
            "Shell": "/bin/false", "Groups": ["ops"] });
        let done = machine.run("user.present", &parameters).await.unwrap();
        assert_eq!(
            done["After"],
            json!({ "Name": "app", "Uid": 1500, "Gid": 1500, "Comment": "An app", "Home": "/srv/app",
                "Shell": "/bin/false", "Groups": ["ops"] })
        );
        let again = machine.run("user.present", &parameters).await.unwrap();
        assert_eq!((&again["Changed"], &again["After"]), (&json!(false), &done["After"]));
        let again = machine.bench.run_again("user.present", &parameters).await.unwrap();
        assert_eq!(again["Changed"], json!(false));
        machine.undo_twice(&done).await;
        assert_eq!(machine.files(), before);
    }

    #[tokio::test]
    async fn a_user_that_is_there_is_changed_and_restored() {
        let Some(mut machine) = Machine::new() else { return };
        let before = machine.files();
        let parameters = json!({ "Name": "olga", "Comment": "O", "Shell": "/bin/false", "Groups": ["users", "ops"],
            "Group": "staff" });
        let done = machine.run("user.present", &parameters).await.unwrap();
        assert_eq!(
            (&done["After"]["Groups"], &done["After"]["Gid"], &done["After"]["Uid"]),
            (&json!(["ops", "users"]), &json!(50), &json!(1000))
        );
        machine.undo_twice(&done).await;
        assert_eq!(machine.files(), before);
    }

    #[tokio::test]
    async fn what_cannot_be_is_told_and_nothing_is_changed() {
        let Some(mut machine) = Machine::new() else { return };
        let before = machine.files();
        for (parameters, name) in [
            (json!({"Name": "olga", "Uid": 1001}), "User.Conflict"),
            (json!({"Name": "app", "Uid": 1000}), "User.Conflict"),
            (json!({"Name": "app", "Group": "absent"}), "User.UnknownGroup"),
            (json!({"Name": "app", "Groups": ["absent"]}), "User.UnknownGroup"),
            (json!({"Name": "--help"}), "User.InvalidParameters"),
            (json!({"Name": "-app"}), "User.InvalidParameters"),
            (json!({"Name": "App"}), "User.InvalidParameters"),
            (json!({"Name": "a b"}), "User.InvalidParameters"),
            (json!({"Name": "a:b"}), "User.InvalidParameters"),
            (json!({"Name": "a\n"}), "User.InvalidParameters"),
            (json!({"Name": "app", "Groups": ["ops,root"]}), "User.InvalidParameters"),
            (json!({"Name": "app", "Groups": ["-G"]}), "User.InvalidParameters"),
            (json!({"Name": "app", "Comment": "a:b"}), "User.InvalidParameters"),
            (
                json!({"Name": "app", "Comment": "a\nroot::0:0"}),
                "User.InvalidParameters",
            ),
            (json!({"Name": "app", "Home": "/a:b"}), "User.InvalidParameters"),
            (json!({"Name": "app", "Shell": "sh"}), "User.InvalidParameters"),
            (json!({"Name": "app", "Uid": 0}), "User.InvalidParameters"),
        ] {
            let error = machine.run("user.present", &parameters).await.unwrap_err();
            assert_eq!(error.name.as_deref(), Some(name), "{parameters}: {:?}", error.cause);
            assert_eq!(machine.files(), before, "{parameters}");
        }
    }

    #[tokio::test]
    async fn a_comment_is_no_option() {
        let Some(mut machine) = Machine::new() else { return };
        let parameters = json!({ "Name": "app", "Comment": "--badname" });
        let done = machine.run("user.present", &parameters).await.unwrap();
        assert_eq!(done["After"]["Comment"], json!("--badname"));
    }

    #[tokio::test]
    async fn a_plan_says_what_would_change() {
        let Some(mut machine) = Machine::planning() else { return };
        for parameters in [
            json!({"Name": "app"}),
            json!({"Name": "olga", "Shell": "/bin/false", "Groups": ["ops"]}),
            json!({"Name": "olga"}),
        ] {
            machine.run("user.present", &parameters).await.unwrap();
        }
        assert_eq!(
            machine.plans(),
            [
                vec!["create the user app"],
                vec![
                    r#"set the shell of olga from "/bin/bash" to "/bin/false""#,
                    "add olga to ops"
                ],
                vec![],
            ]
        );
    }
}
