//! What both actions on users share.

use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;
use serde_json::json;

use crate::model::states_error::StatesError;
use crate::worker::action::Work;
use crate::worker::action::account::table::Accounts;
use crate::worker::action::account::table::User;
use crate::worker::action::account::tool;
use crate::worker::action::checkpoint::Saved;
use crate::worker::action::facts::ErrorName;
use crate::worker::action::facts::Member;

pub(super) const FAMILY: &str = "User";

pub(super) const CONFLICT: ErrorName = ErrorName::lasting(
    "User.Conflict",
    "The name or number belongs to somebody else, or the user that is there has another number.",
);
pub(super) const FAILED: ErrorName = ErrorName::passing("User.Failed", "The system's tool failed; the cause says why.");
pub(super) const IN_USE: ErrorName = ErrorName::passing("User.InUse", "Processes of the user run.");
pub(super) const INVALID_PARAMETERS: ErrorName =
    ErrorName::lasting("User.InvalidParameters", "The parameters are not as above.");
pub(super) const PERMISSION_DENIED: ErrorName =
    ErrorName::lasting("User.PermissionDenied", "Only the superuser may change accounts.");
pub(super) const PROTECTED: ErrorName =
    ErrorName::lasting("User.Protected", "The user is the superuser, who cannot be removed.");
pub(super) const UNKNOWN_GROUP: ErrorName = ErrorName::lasting("User.UnknownGroup", "There is no group of that name.");

pub(super) const RESULT: &[Member] = &[
    Member {
        name: "Before",
        doc: "`{Name, Uid, Gid, Comment, Home, Shell, Groups}` as it was; null if there was no such user.",
    },
    Member {
        name: "After",
        doc: "The same as it is.",
    },
];

/// What is kept of a user, who may not be there.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Before {
    user: Option<User>,
    /// The number of the group of the same name, if there is one.
    own_group: Option<u32>,
}

pub(super) fn result(before: Option<&User>, after: Option<&User>) -> Value {
    json!({ "Before": before, "After": after })
}

pub(super) fn save(name: &str, work: &Work<'_>) -> Result<Value, StatesError> {
    let accounts = Accounts::read(work, FAMILY)?;
    Ok(json!(Before {
        user: accounts.user(name).cloned(),
        own_group: accounts.group(name).map(|group| group.gid),
    }))
}

/// Restores a user.
pub(super) async fn undo(saved: &Saved, work: &mut Work<'_>) -> Result<Value, StatesError> {
    let name = saved.parameters["Name"].as_str().unwrap_or_default();
    let before = Before::deserialize(&saved.before).map_err(|error| {
        StatesError::new(
            FAILED.name,
            format!("What was kept of `{name}` cannot be read: {error}."),
        )
    })?;
    let accounts = Accounts::read(work, FAMILY)?;
    match (&before.user, accounts.user(name)) {
        (None, None) => {}
        (None, Some(_)) => tool::run(work, FAMILY, "userdel", Vec::new(), name).await?,
        (Some(user), None) => {
            if let (Some(gid), None) = (before.own_group, accounts.group(name)) {
                tool::run(work, FAMILY, "groupadd", options(&[("--gid", &gid.to_string())]), name).await?;
            }
            let (uid, gid) = (user.uid.to_string(), user.gid.to_string());
            let mut all = options(&[
                ("--uid", &uid),
                ("--gid", &gid),
                ("--comment", &user.comment),
                ("--home-dir", &user.home),
                ("--shell", &user.shell),
            ]);
            all.push("--no-create-home".to_owned());
            if !user.groups.is_empty() {
                all.extend(options(&[("--groups", &user.groups.join(","))]));
            }
            tool::run(work, FAMILY, "useradd", all, name).await?;
        }
        (Some(user), Some(now)) => {
            let gid = user.gid.to_string();
            let groups = user.groups.join(",");
            let differing: Vec<(&str, &str)> = [
                (user.gid != now.gid, ("--gid", gid.as_str())),
                (user.comment != now.comment, ("--comment", user.comment.as_str())),
                (user.home != now.home, ("--home", user.home.as_str())),
                (user.shell != now.shell, ("--shell", user.shell.as_str())),
                (user.groups != now.groups, ("--groups", groups.as_str())),
            ]
            .into_iter()
            .filter_map(|(differs, option)| differs.then_some(option))
            .collect();
            if !differing.is_empty() {
                tool::run(work, FAMILY, "usermod", options(&differing), name).await?;
            }
        }
    }
    // The group that came with the user, where the tool leaves it.
    let accounts = Accounts::read(work, FAMILY)?;
    if let (None, Some(_)) = (before.own_group, accounts.group(name)) {
        tool::run(work, FAMILY, "groupdel", Vec::new(), name).await?;
    }
    Ok(json!({ "User": before.user }))
}

/// Makes arguments of options that have values.
pub(super) fn options(options: &[(&str, &str)]) -> Vec<String> {
    options
        .iter()
        .flat_map(|(option, value)| [*option, *value])
        .map(str::to_owned)
        .collect()
}
