//! Directories of policy below `/etc/stepfn`: only their owners can have written them.

use std::ffi::CString;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Component;
use std::path::Path;
use std::path::PathBuf;

use rustix::fs::FileType;
use rustix::fs::Mode;
use rustix::fs::OFlags;
use rustix::fs::Stat;
use serde::de::DeserializeOwned;

/// Longest file.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Most files.
const FILES_MAX: usize = 1000;

/// What shows that a file has changed.
pub type Print = (CString, u64, i64, i64, u32, u32, i64);

/// One file of policy.
#[derive(Debug)]
pub struct PolicyFile<T> {
    /// Where it is.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
    /// What it says.
    pub table: T,
}

/// A directory of policy, opened step by step so that no link leads elsewhere.
#[derive(Debug)]
pub struct PolicyDirectory {
    path: PathBuf,
    handle: OwnedFd,
    own: u32,
}

impl PolicyDirectory {
    /// Opens it for a process of the user `own`; `None` if it is not there.
    ///
    /// # Errors
    /// Others than root and `own` could have changed it, or put another one in its place: a sentence without its end.
    pub fn open(path: &Path, own: u32) -> Result<Option<Self>, String> {
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

    /// Lists its `.toml` files by name, with what shows whether they have changed.
    ///
    /// # Errors
    /// It cannot be read, or holds too many.
    pub fn files(&self) -> Result<(Vec<Print>, Vec<CString>), String> {
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

    /// Reads files that it listed.
    ///
    /// # Errors
    /// One is no regular file, could have been changed by others, or is not what it should be: a sentence without its
    /// end, with the file's name and the place.
    pub fn read<T: DeserializeOwned>(&self, names: &[CString]) -> Result<Vec<PolicyFile<T>>, String> {
        let mut found = Vec::new();
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
            let table = toml::from_str(&text).map_err(|error| wrong(format!("is not a table: {error}")))?;
            found.push(PolicyFile {
                path: self.path.join(std::ffi::OsStr::from_bytes(name.to_bytes())),
                text,
                table,
            });
        }
        Ok(found)
    }
}

/// Tells whether only those who may make policy can have written a file.
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
