//! `kind = "file"`: a directory whose files only their owner can read.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use rustix::fs::FileType;
use rustix::fs::Mode;
use rustix::fs::OFlags;
use rustix::fs::Stat;
use rustix::io::Errno;
use serde::Deserialize;
use zeroize::Zeroize;

use crate::secret::reference::Reference;
use crate::secret::source::Source;
use crate::secret::source::own_keys;
use crate::secret::source::without_field;
use crate::secret::value::BYTES_MAX;
use crate::secret::value::Secret;
use crate::secret::value::without_line_end;

/// Where secrets are when nobody says otherwise.
const DIRECTORY: &str = "/etc/stepfn/secrets.d";

/// Who may have what rights on a file.
#[derive(Clone, Copy)]
pub(super) enum Rule {
    /// Nobody but its owner has any.
    OwnerOnly,
    /// Nobody but its owner may write: systemd lets the unit's user in by an entry that shows as the group's.
    OwnerWrites,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    #[serde(default = "standard")]
    directory: PathBuf,
    #[serde(default = "yes")]
    trim: bool,
}

fn standard() -> PathBuf {
    DIRECTORY.into()
}

pub(super) fn yes() -> bool {
    true
}

struct Files {
    directory: PathBuf,
    trim: bool,
}

pub(super) fn read(keys: toml::Table, directory: &Path) -> Result<Arc<dyn Source>, String> {
    let keys: Keys = own_keys(keys)?;
    Ok(Arc::new(Files {
        directory: directory.join(keys.directory),
        trim: keys.trim,
    }))
}

#[async_trait]
impl Source for Files {
    async fn get(&self, reference: &Reference) -> Result<Secret, String> {
        let name = without_field(reference)?.to_owned();
        let (directory, trim) = (self.directory.clone(), self.trim);
        let read = tokio::task::spawn_blocking(move || read_file(&directory, &name, Rule::OwnerOnly, trim));
        read.await.map_err(|error| error.to_string())?
    }

    fn place(&self, reference: &Reference) -> String {
        format!("the file `{}`", self.directory.join(reference.name()).display())
    }
}

/// Reads a file below a directory, with every door on the way checked while it is open.
///
/// # Errors
/// A fragment of a sentence: it is not there, or somebody else could read or replace it.
pub(super) fn read_file(directory: &Path, name: &str, rule: Rule, trim: bool) -> Result<Secret, String> {
    let way = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut shown = directory.to_owned();
    let mut open = rustix::fs::open(directory, way, Mode::empty()).map_err(|error| told(error, &shown))?;
    let mut parts = name.split('/').peekable();
    while let Some(part) = parts.next() {
        let stat = rustix::fs::fstat(&open).map_err(|error| told(error, &shown))?;
        judge(&stat, 0o022, &shown)?;
        shown.push(part);
        let flags = match parts.peek() {
            Some(_) => way,
            // A pipe or a device must not keep us waiting.
            None => OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY,
        };
        open = rustix::fs::openat(&open, part, flags, Mode::empty()).map_err(|error| told(error, &shown))?;
    }
    let stat = rustix::fs::fstat(&open).map_err(|error| told(error, &shown))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(format!("`{}` is no regular file", shown.display()));
    }
    let forbidden = match rule {
        Rule::OwnerOnly => 0o7177,
        Rule::OwnerWrites => 0o7137,
    };
    judge(&stat, forbidden, &shown)?;
    // One piece from the beginning: what grows leaves copies of itself behind.
    let mut bytes = Vec::with_capacity(BYTES_MAX + 1);
    let limit = u64::try_from(BYTES_MAX + 1).unwrap_or(u64::MAX);
    let read = File::from(open).take(limit).read_to_end(&mut bytes);
    if let Err(error) = read {
        bytes.zeroize();
        return Err(error.to_string());
    }
    if BYTES_MAX < bytes.len() {
        bytes.zeroize();
        return Err(format!("`{}` has more than {BYTES_MAX} bytes", shown.display()));
    }
    if trim {
        without_line_end(&mut bytes);
    }
    Ok(Secret::new(bytes, None))
}

/// Refuses what others than root and our own user could have made, or could read.
fn judge(stat: &Stat, forbidden: u32, path: &Path) -> Result<(), String> {
    let shown = path.display();
    let own = rustix::process::geteuid().as_raw();
    if stat.st_uid != 0 && stat.st_uid != own {
        return Err(format!(
            "`{shown}` is owned by the user {}, and neither by root nor by the user {own}, who reads it",
            stat.st_uid
        ));
    }
    let mode = stat.st_mode & 0o7777;
    if mode & forbidden != 0 {
        let fix = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => "`chmod go-w` mends it",
            _ => "`chmod 0400` mends it",
        };
        return Err(format!(
            "`{shown}` has the mode {mode:04o}, which lets others in; {fix}"
        ));
    }
    Ok(())
}

fn told(error: Errno, path: &Path) -> String {
    let shown = path.display();
    match error {
        Errno::NOENT => format!("`{shown}` is not there"),
        Errno::LOOP => format!("`{shown}` is a symbolic link"),
        Errno::NOTDIR => format!("`{shown}` is no directory, or a symbolic link"),
        Errno::ACCESS => format!("this user may not open `{shown}`"),
        error => format!("`{shown}`: {error}"),
    }
}
