//! The accounts as the files have them.

use std::io;
use std::path::Path;

use serde::Deserialize;
use serde::Serialize;

use crate::model::states_error::StatesError;
use crate::worker::action::Work;

/// A user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct User {
    pub(super) name: String,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) comment: String,
    pub(super) home: String,
    pub(super) shell: String,
    /// The names of the groups that list it, sorted.
    pub(super) groups: Vec<String>,
}

/// A group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) gid: u32,
    pub(super) members: Vec<String>,
}

/// All of them.
#[derive(Clone, Debug)]
pub(super) struct Accounts {
    users: Vec<User>,
    groups: Vec<Group>,
}

impl Accounts {
    /// Reads the accounts of the machine. `family` is that of the action's errors.
    ///
    /// # Errors
    /// `Failed`: the files cannot be read.
    pub(super) fn read(work: &Work<'_>, family: &str) -> Result<Self, StatesError> {
        let etc = work.site.host.accounts_root.join("etc");
        Self::of_files(&etc).map_err(|error| {
            let sentence = format!("The accounts in `{}` cannot be read: {error}.", etc.display());
            StatesError::new(format!("{family}.Failed"), sentence)
        })
    }

    fn of_files(etc: &Path) -> io::Result<Self> {
        let read =
            |name: &str| Ok::<_, io::Error>(String::from_utf8_lossy(&std::fs::read(etc.join(name))?).into_owned());
        let mut groups = Vec::new();
        for line in read("group")?.lines() {
            let fields: Vec<&str> = line.split(':').collect();
            if let [name, _, gid, members] = fields.as_slice()
                && let Ok(gid) = gid.parse()
            {
                let members = members.split(',').filter(|member| !member.is_empty());
                groups.push(Group {
                    name: (*name).to_owned(),
                    gid,
                    members: members.map(str::to_owned).collect(),
                });
            }
        }
        let mut users = Vec::new();
        for line in read("passwd")?.lines() {
            let fields: Vec<&str> = line.split(':').collect();
            if let [name, _, uid, gid, comment, home, shell] = fields.as_slice()
                && let (Ok(uid), Ok(gid)) = (uid.parse(), gid.parse())
            {
                let mut listed: Vec<String> = groups
                    .iter()
                    .filter(|group| group.members.iter().any(|member| member == name))
                    .map(|group| group.name.clone())
                    .collect();
                listed.sort();
                users.push(User {
                    name: (*name).to_owned(),
                    uid,
                    gid,
                    comment: (*comment).to_owned(),
                    home: (*home).to_owned(),
                    shell: (*shell).to_owned(),
                    groups: listed,
                });
            }
        }
        Ok(Self { users, groups })
    }

    pub(super) fn user(&self, name: &str) -> Option<&User> {
        self.users.iter().find(|user| user.name == name)
    }

    /// Tells whether the group of that number is some user's primary one.
    pub(super) fn is_primary(&self, gid: u32) -> bool {
        self.users.iter().any(|user| user.gid == gid)
    }

    pub(super) fn group(&self, name: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.name == name)
    }
}
