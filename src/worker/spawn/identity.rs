//! Who a task runs as: the table in `identities.d`, read and judged by `spawnd` itself.

use std::ffi::CString;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::Component;
use std::path::Path;
use std::path::PathBuf;

use rustix::fs::FileType;
use rustix::fs::Mode;
use rustix::fs::OFlags;
use rustix::fs::Stat;
use serde::Deserialize;

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

/// Longest file.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Most files.
const FILES_MAX: usize = 1000;

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

/// What shows that a file has changed.
type Print = (CString, u64, i64, i64, u32, u32, i64);

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
        let read = Directory::open(&self.directory, self.own);
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
            Ok((directory, files)) => Some(directory.rows(&files)),
            Err(error) => Some(Err(error)),
        };
    }
}

fn refused(message: String) -> Failure {
    Failure::new(FailureKind::IdentityUnavailable, message)
}

/// The table's directory, opened step by step so that no link leads elsewhere.
struct Directory {
    path: PathBuf,
    handle: OwnedFd,
    own: u32,
}

impl Directory {
    /// Opens it; `None` if it is not there.
    fn open(path: &Path, own: u32) -> Result<Option<Self>, String> {
        let wrong = |path: &Path, what: &str| format!("`{}` {what}", path.display());
        let absolute = std::path::absolute(path).map_err(|error| wrong(path, &format!("cannot be found: {error}")))?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut so_far = PathBuf::from("/");
        let mut handle = rustix::fs::open("/", flags, Mode::empty())
            .map_err(|error| wrong(&so_far, &format!("cannot be opened: {error}")))?;
        for component in absolute.components() {
            let Component::Normal(name) = component else { continue };
            so_far.push(name);
            handle = match rustix::fs::openat(&handle, name, flags, Mode::empty()) {
                Ok(handle) => handle,
                Err(rustix::io::Errno::NOENT) => return Ok(None),
                Err(rustix::io::Errno::LOOP | rustix::io::Errno::NOTDIR) => {
                    return Err(wrong(&so_far, "is a symbolic link or no directory"));
                }
                Err(error) => return Err(wrong(&so_far, &format!("cannot be opened: {error}"))),
            };
            let stat = rustix::fs::fstat(&handle).map_err(|error| wrong(&so_far, &error.to_string()))?;
            let is_last = so_far == absolute;
            // Without root only the table itself must be safe: who owns the way to it owns us, too.
            if own == 0 || is_last {
                let is_sticky = !is_last && stat.st_mode & 0o1000 != 0;
                judge(&stat, own, is_sticky).map_err(|what| wrong(&so_far, what))?;
            }
        }
        Ok(Some(Self {
            path: absolute,
            handle,
            own,
        }))
    }

    /// Lists the table's files by name, with what shows whether they have changed.
    fn files(&self) -> Result<(Vec<Print>, Vec<CString>), String> {
        let failed = |error: rustix::io::Errno| format!("`{}` cannot be read: {error}", self.path.display());
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.handle).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name().to_owned();
            let text = name.to_bytes();
            if text.ends_with(b".toml") && !text.starts_with(b".") {
                names.push(name);
            }
        }
        if names.len() > FILES_MAX {
            return Err(format!("`{}` has more than {FILES_MAX} files", self.path.display()));
        }
        names.sort();
        let mut print = Vec::with_capacity(names.len());
        for name in &names {
            let stat = rustix::fs::statat(&self.handle, name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?;
            let (seconds, nanos) = (stat.st_ctime, i64::try_from(stat.st_ctime_nsec).unwrap_or(0));
            print.push((
                name.clone(),
                stat.st_ino,
                seconds,
                nanos,
                stat.st_uid,
                stat.st_mode,
                stat.st_size,
            ));
        }
        Ok((print, names))
    }

    fn rows(&self, names: &[CString]) -> Result<Vec<Row>, String> {
        let mut rows = Vec::new();
        for name in names {
            let wrong = |what: String| format!("`{}/{}` {what}", self.path.display(), name.to_string_lossy());
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let file = match rustix::fs::openat(&self.handle, name, flags, Mode::empty()) {
                Ok(file) => file,
                Err(rustix::io::Errno::LOOP) => return Err(wrong("is a symbolic link".to_owned())),
                Err(error) => return Err(wrong(format!("cannot be opened: {error}"))),
            };
            let stat = rustix::fs::fstat(&file).map_err(|error| wrong(error.to_string()))?;
            if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
                return Err(wrong("is not a regular file".to_owned()));
            }
            judge(&stat, self.own, false).map_err(|what| wrong(what.to_owned()))?;
            let mut text = String::new();
            std::fs::File::from(file)
                .take(FILE_BYTES_MAX + 1)
                .read_to_string(&mut text)
                .map_err(|error| wrong(format!("cannot be read: {error}")))?;
            if u64::try_from(text.len()).unwrap_or(u64::MAX) > FILE_BYTES_MAX {
                return Err(wrong(format!("is longer than {FILE_BYTES_MAX} bytes")));
            }
            let file: File = toml::from_str(&text).map_err(|error| wrong(format!("is not a table: {error}")))?;
            rows.extend(file.identity);
        }
        Ok(rows)
    }
}

/// Tells whether only those who may choose identities can have written a file.
fn judge(stat: &Stat, own: u32, is_sticky: bool) -> Result<(), &'static str> {
    if stat.st_uid != 0 && stat.st_uid != own {
        return Err(match own {
            0 => "is not owned by root",
            _ => "is owned neither by root nor by the user who starts tasks",
        });
    }
    if stat.st_mode & 0o022 != 0 && !is_sticky {
        return Err("can be written by others than its owner");
    }
    Ok(())
}
