//! Whose a file is to be and who may use it.

use nix::unistd::Group;
use nix::unistd::User;
use serde::Deserialize;

use crate::model::states_error::StatesError;
use crate::worker::action::facts::Kind;
use crate::worker::action::facts::Parameter;
use crate::worker::action::file::existing::Existing;
use crate::worker::action::file::fault::UNKNOWN_OWNER;
use crate::worker::action::file::fault::fault;

/// Longest name of an account.
const NAME_BYTES_MAX: usize = 64;

pub(super) const MODE: Parameter = Parameter::optional(
    "Mode",
    Kind::Named("an octal mode of 3 or 4 digits in a text, such as `\"0644\"`", is_mode),
    "The permission bits. Without it those of the file that is there, or `0644` for a new one.",
);
pub(super) const OWNER: Parameter = Parameter::optional(
    "Owner",
    Kind::Named("the name or number of a user", is_account),
    "Whose the file is to be. Without it, it stays whose it is, and a new one is this process's.",
);
pub(super) const GROUP: Parameter = Parameter::optional(
    "Group",
    Kind::Named("the name or number of a group", is_account),
    "Its group; without it as for `Owner`.",
);

fn is_mode(text: &str) -> bool {
    (3..=4).contains(&text.len()) && text.bytes().all(|byte| matches!(byte, b'0'..=b'7'))
}

fn is_account(text: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
    !text.is_empty()
        && text.len() <= NAME_BYTES_MAX
        && text.starts_with(is_letter)
        && text.chars().all(|c| is_letter(c) || matches!(c, '-' | '@' | '$'))
}

/// The parameters on it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Ownership {
    mode: Option<String>,
    owner: Option<String>,
    group: Option<String>,
}

/// What a file is to be; `None` where a new file is as the system makes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owned {
    pub(super) mode: u32,
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
}

impl Ownership {
    /// Finds out what the file is to be.
    ///
    /// # Errors
    /// `File.UnknownOwner`: a name is not known.
    pub(super) fn wanted(&self, existing: Option<&Existing>, mode_of_new: u32) -> Result<Owned, StatesError> {
        let mode = match &self.mode {
            Some(text) => u32::from_str_radix(text, 8).ok(),
            None => existing.map(|existing| existing.mode),
        };
        Ok(Owned {
            mode: mode.unwrap_or(mode_of_new),
            uid: match &self.owner {
                Some(name) => Some(number(name, "user", |name| {
                    Ok(User::from_name(name)?.map(|user| user.uid.as_raw()))
                })?),
                None => existing.map(|existing| existing.uid),
            },
            gid: match &self.group {
                Some(name) => Some(number(name, "group", |name| {
                    Ok(Group::from_name(name)?.map(|group| group.gid.as_raw()))
                })?),
                None => existing.map(|existing| existing.gid),
            },
        })
    }
}

impl Owned {
    /// Tells what is to change of a file, one line each.
    pub(super) fn changes(&self, existing: &Existing, path: &str) -> Vec<String> {
        let mut changes = Vec::new();
        if self.mode != existing.mode {
            changes.push(format!(
                "set the mode of {path} from {:04o} to {:04o}",
                existing.mode, self.mode
            ));
        }
        for (what, is, wanted) in [("owner", existing.uid, self.uid), ("group", existing.gid, self.gid)] {
            if let Some(wanted) = wanted.filter(|wanted| *wanted != is) {
                changes.push(format!("set the {what} of {path} from {is} to {wanted}"));
            }
        }
        changes
    }
}

fn number(name: &str, what: &str, find: impl Fn(&str) -> nix::Result<Option<u32>>) -> Result<u32, StatesError> {
    if name.bytes().all(|byte| byte.is_ascii_digit()) {
        // The largest number means "leave as it is" to the system.
        return match name.parse() {
            Ok(number) if number < u32::MAX => Ok(number),
            _ => Err(fault(
                &UNKNOWN_OWNER,
                format!("{name} is too large for the number of a {what}."),
            )),
        };
    }
    match find(name) {
        Ok(Some(number)) => Ok(number),
        Ok(None) => Err(fault(&UNKNOWN_OWNER, format!("There is no {what} `{name}`."))),
        Err(error) => Err(fault(
            &UNKNOWN_OWNER,
            format!("The {what} `{name}` cannot be looked up: {error}."),
        )),
    }
}
