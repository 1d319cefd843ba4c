//! What both actions on groups share.

use serde::Deserialize;
use serde_json::Value;
use serde_json::json;

use crate::model::states_error::StatesError;
use crate::worker::action::Work;
use crate::worker::action::account::table::Accounts;
use crate::worker::action::account::table::Group;
use crate::worker::action::account::tool;
use crate::worker::action::account::user::options;
use crate::worker::action::checkpoint::Saved;
use crate::worker::action::facts::ErrorName;
use crate::worker::action::facts::Member;

pub(super) const FAMILY: &str = "Group";

pub(super) const CONFLICT: ErrorName = ErrorName::lasting(
    "Group.Conflict",
    "The name or number belongs to another group, or the group that is there has another number.",
);
pub(super) const FAILED: ErrorName =
    ErrorName::passing("Group.Failed", "The system's tool failed; the cause says why.");
pub(super) const IN_USE: ErrorName = ErrorName::lasting("Group.InUse", "It is the primary group of a user.");
pub(super) const INVALID_PARAMETERS: ErrorName =
    ErrorName::lasting("Group.InvalidParameters", "The parameters are not as above.");
pub(super) const PERMISSION_DENIED: ErrorName =
    ErrorName::lasting("Group.PermissionDenied", "Only the superuser may change accounts.");
pub(super) const PROTECTED: ErrorName = ErrorName::lasting(
    "Group.Protected",
    "It is the superuser's group, which cannot be removed.",
);

pub(super) const RESULT: &[Member] = &[
    Member {
        name: "Before",
        doc: "`{Name, Gid, Members}` as it was; null if there was no such group.",
    },
    Member {
        name: "After",
        doc: "The same as it is.",
    },
];

pub(super) fn result(before: Option<&Group>, after: Option<&Group>) -> Value {
    json!({ "Before": before, "After": after })
}

pub(super) fn save(name: &str, work: &Work<'_>) -> Result<Value, StatesError> {
    Ok(json!(Accounts::read(work, FAMILY)?.group(name)))
}

/// Restores a group.
pub(super) async fn undo(saved: &Saved, work: &mut Work<'_>) -> Result<Value, StatesError> {
    let name = saved.parameters["Name"].as_str().unwrap_or_default();
    let before: Option<Group> = Deserialize::deserialize(&saved.before).map_err(|error| {
        StatesError::new(
            FAILED.name,
            format!("What was kept of `{name}` cannot be read: {error}."),
        )
    })?;
    let accounts = Accounts::read(work, FAMILY)?;
    match (&before, accounts.group(name)) {
        (None, None) => {}
        (None, Some(_)) => tool::run(work, FAMILY, "groupdel", Vec::new(), name).await?,
        (Some(group), now) => {
            if now.is_none() {
                tool::run(
                    work,
                    FAMILY,
                    "groupadd",
                    options(&[("--gid", &group.gid.to_string())]),
                    name,
                )
                .await?;
            }
            for member in &group.members {
                let is_member = now.is_some_and(|now| now.members.contains(member));
                // A member that is gone since cannot come back by this.
                if !is_member && accounts.user(member).is_some() {
                    let mut all = vec!["--append".to_owned()];
                    all.extend(options(&[("--groups", name)]));
                    tool::run(work, FAMILY, "usermod", all, member).await?;
                }
            }
        }
    }
    Ok(json!({ "Group": before }))
}
