//! Who a task runs as: the table in `identities.d`, read and judged by `spawnd` itself.

use std::ffi::CString;
use std::path::PathBuf;

use serde::Deserialize;

use crate::identity::policy_directory::PolicyDirectory;
use crate::identity::policy_directory::Print;
use crate::model::glob;
use crate::worker::spawn::wire::Claim;
use crate::worker::spawn::wire::Failure;
use crate::worker::spawn::wire::FailureKind;

/// Where the table is when nobody says otherwise.
pub const DIRECTORY: &str = "/etc/stepfn/identities.d";

/// Which table holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Identities {
    /// The machine's, if there is one.
    #[default]
    System,
    /// The one in this directory, which must be there.
    Directory(PathBuf),
    /// None: everything runs as the own user.
    Nobody,
}

/// One row: the first that matches counts, in the order of the files' names.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// A pattern of role ARNs.
    pub role: String,
    /// A pattern of state machines' names.
    #[serde(default = "everything")]
    pub state_machine: String,
    /// A pattern of states' names.
    #[serde(default = "everything")]
    pub state: String,
    /// The Debian account.
    pub user: String,
    /// Its supplementary groups, instead of those that `/etc/group` gives it.
    pub groups: Option<Vec<String>>,
    /// `false` lets programs like `sudo` give it more rights.
    #[serde(default = "yes")]
    pub no_new_privs: bool,
    /// Patterns of the programs that it may start; all when absent, none when empty.
    pub allow: Option<Vec<String>>,
    /// Patterns of the machines' roles that may take this role by `Credentials`.
    #[serde(default)]
    pub assumable_by: Vec<String>,
}

fn everything() -> String {
    "*".to_owned()
}

fn yes() -> bool {
    true
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    identity: Vec<Row>,
}

/// A Debian account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its name.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
    /// All group ids.
    pub groups: Vec<u32>,
    /// Home directory.
    pub home: PathBuf,
}

/// As whom a task runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The account, when it is another one than ours.
    pub account: Option<Account>,
    /// The account's name.
    pub user: String,
    /// Programs may not give it more rights.
    pub no_new_privs: bool,
    /// Patterns of the programs that it may start.
    pub allow: Option<Vec<String>>,
}

impl Grant {
    /// Returns the numbers of the account and of its groups.
    pub(super) fn numbers(&self) -> (u32, Vec<u32>) {
        match &self.account {
            Some(account) => (account.uid, account.groups.clone()),
            None => (rustix::process::geteuid().as_raw(), Vec::new()),
        }
    }
}

/// The table, read again whenever its files change.
#[derive(Debug)]
pub struct Table {
    directory: PathBuf,
    identities: Identities,
    own: u32,
    own_name: String,
    /// The engine's, when it is another one's than ours: as whom everything runs without a table.
    engine: Option<Account>,
    print: Vec<Print>,
    rows: Option<Result<Vec<Row>, String>>,
}

impl Table {
    /// Makes one. Nothing is read yet.
    pub fn new(identities: Identities, engine: Option<Account>) -> Self {
        let own = rustix::process::geteuid().as_raw();
        let user = nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(own));
        Self {
            directory: match &identities {
                Identities::Directory(directory) => directory.clone(),
                Identities::System | Identities::Nobody => PathBuf::from(DIRECTORY),
            },
            identities,
            own,
            engine,
            own_name: user.ok().flatten().map_or_else(|| own.to_string(), |user| user.name),
            print: Vec::new(),
            rows: None,
        }
    }

    /// Returns the engine's user: its name and its id.
    pub fn engine(&self) -> (&str, u32) {
        match &self.engine {
            Some(account) => (&account.name, account.uid),
            None => (&self.own_name, self.own),
        }
    }

    /// Says what the table holds; `None` without one.
    pub fn describe(&mut self) -> Option<Result<Vec<String>, String>> {
        self.refresh();
        let line = |row: &Row| {
            let mut line = format!("{} {} {} -> {}", row.role, row.state_machine, row.state, row.user);
            if let Err(failure) = self.account(row) {
                line += &format!(" (not available: {})", failure.message);
            }
            line
        };
        match &self.rows {
            Some(Ok(rows)) => Some(Ok(rows.iter().map(line).collect())),
            Some(Err(error)) => Some(Err(error.clone())),
            None => None,
        }
    }

    /// Decides as whom a task runs.
    ///
    /// # Errors
    /// It may not run, or not as the account that the table names.
    pub fn grant(&mut self, claim: &Claim) -> Result<Grant, Failure> {
        self.refresh();
        let rows = match &self.rows {
            None => {
                return Ok(Grant {
                    account: self.engine.clone(),
                    user: self.engine().0.to_owned(),
                    no_new_privs: true,
                    allow: None,
                });
            }
            Some(Ok(rows)) => rows,
            Some(Err(error)) => return Err(refused(format!("the identity table cannot be used: {error}"))),
        };
        let role = claim.assumed_role_arn.as_ref().unwrap_or(&claim.role_arn);
        let row = rows.iter().find(|row| {
            glob::matches(&row.role, role)
                && glob::matches(&row.state_machine, &claim.state_machine)
                && glob::matches(&row.state, &claim.state)
        });
        let row = row.ok_or_else(|| {
            refused(format!(
                "no row of `{}` has the role `{role}` with the state machine `{}` and the state `{}`",
                self.directory.display(),
                claim.state_machine,
                claim.state
            ))
        })?;
        let is_assumable = |pattern: &String| glob::matches(pattern, &claim.role_arn);
        if claim
            .assumed_role_arn
            .as_ref()
            .is_some_and(|role| *role != claim.role_arn)
            && !row.assumable_by.iter().any(is_assumable)
        {
            return Err(refused(format!(
                "the role `{}` may not take the role `{role}`: `assumable_by` of its row does not name it",
                claim.role_arn
            )));
        }
        Ok(Grant {
            account: self.account(row)?,
            user: row.user.clone(),
            no_new_privs: row.no_new_privs,
            allow: row.allow.clone(),
        })
    }

    /// Finds a row's account; `None` when it is ours as it is.
    fn account(&self, row: &Row) -> Result<Option<Account>, Failure> {
        let unknown = |what: &str, name: &str| refused(format!("there is no {what} `{name}` on this machine"));
        let user = nix::unistd::User::from_name(&row.user)
            .map_err(|error| refused(format!("the user `{}` cannot be looked up: {error}", row.user)))?
            .ok_or_else(|| unknown("user", &row.user))?;
        if self.own != 0 {
            return match (user.uid.as_raw() == self.own, &row.groups) {
                (true, None) => Ok(None),
                (true, Some(_)) => Err(refused(format!(
                    "only root can choose the groups of `{}`, and tasks are started by `{}`",
                    row.user, self.own_name
                ))),
                (false, _) => Err(refused(format!(
                    "only root can run it as `{}`, and tasks are started by `{}`",
                    row.user, self.own_name
                ))),
            };
        }
        let gid = user.gid.as_raw();
        let mut groups = vec![gid];
        match &row.groups {
            Some(names) => {
                for name in names {
                    let group = nix::unistd::Group::from_name(name).ok().flatten();
                    groups.push(group.ok_or_else(|| unknown("group", name))?.gid.as_raw());
                }
            }
            None => {
                let name = CString::new(row.user.as_str()).map_err(|_| unknown("user", &row.user))?;
                let list = nix::unistd::getgrouplist(&name, user.gid)
                    .map_err(|error| refused(format!("the groups of `{}` cannot be looked up: {error}", row.user)))?;
                groups.extend(list.into_iter().map(nix::unistd::Gid::as_raw));
            }
        }
        groups.sort_unstable();
        groups.dedup();
        Ok(Some(Account {
            name: user.name,
            uid: user.uid.as_raw(),
            gid,
            groups,
            home: user.dir,
        }))
    }

    fn refresh(&mut self) {
        if self.identities == Identities::Nobody {
            return;
        }
        let is_wanted = self.identities != Identities::System;
        let read = PolicyDirectory::open(&self.directory, self.own);
        let (print, files) = match read {
            Ok(Some(directory)) => match directory.files() {
                Ok((print, files)) => (print, Ok((directory, files))),
                Err(error) => (Vec::new(), Err(error)),
            },
            Ok(None) if is_wanted => {
                let missing = format!("there is no directory `{}`", self.directory.display());
                (Vec::new(), Err(missing))
            }
            Ok(None) => {
                (self.print, self.rows) = (Vec::new(), None);
                return;
            }
            Err(error) => (Vec::new(), Err(error)),
        };
        let is_same = matches!(self.rows, Some(Ok(_))) && !print.is_empty() && self.print == print;
        if is_same {
            return;
        }
        self.print = print;
        self.rows = match files {
            Ok((_, files)) if files.is_empty() => is_wanted.then(|| Ok(Vec::new())),
            Ok((directory, files)) => {
                let files = directory.read::<File>(&files);
                Some(files.map(|files| files.into_iter().flat_map(|file| file.table.identity).collect()))
            }
            Err(error) => Some(Err(error)),
        };
    }
}

fn refused(message: String) -> Failure {
    Failure::new(FailureKind::IdentityUnavailable, message)
}
