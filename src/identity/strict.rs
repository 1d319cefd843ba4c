//! A directory whose files only its owner reads and writes.

use std::fs::File;
use std::io::Read;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::path::PathBuf;

use rustix::fs::AtFlags;
use rustix::fs::FileType;
use rustix::fs::FlockOperation;
use rustix::fs::Gid;
use rustix::fs::Mode;
use rustix::fs::OFlags;
use rustix::fs::Stat;
use rustix::fs::Uid;
use rustix::io::Errno;

/// What is wrong with the directory or one of its files: a sentence's end that begins with the path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Loose(pub String);

/// An open directory. Its files belong to the directory's owner, who is this process's user if that is not root.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    handle: OwnedFd,
    owner: u32,
    group: u32,
}

/// What changes when a file is written or replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Print {
    device: u64,
    inode: u64,
    changed: (i64, i64),
    size: i64,
}

/// The right to write, until it is dropped.
pub(super) struct Lock {
    _file: OwnedFd,
}

const LOCK: &str = ".lock";

impl Directory {
    /// Opens it; `None` if it is not there.
    pub(super) fn open(path: &Path) -> Result<Option<Self>, Loose> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let handle = match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(handle) => handle,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP | Errno::NOTDIR) => return Err(loose(path, "is a symbolic link or no directory")),
            Err(error) => return Err(loose(path, format!("cannot be opened: {error}"))),
        };
        let stat = rustix::fs::fstat(&handle).map_err(|error| loose(path, error.to_string()))?;
        let own = rustix::process::geteuid();
        if !own.is_root() && stat.st_uid != own.as_raw() {
            return Err(loose(path, "belongs to another user"));
        }
        if stat.st_mode & 0o077 != 0 {
            return Err(loose(
                path,
                "is open to others than its owner; take their rights away with `chmod 0700`",
            ));
        }
        Ok(Some(Self {
            path: path.to_path_buf(),
            handle,
            owner: stat.st_uid,
            group: stat.st_gid,
        }))
    }

    /// Opens it, and makes it first if it is not there: for the owner of the directory that it is in.
    pub(super) fn make(path: &Path) -> Result<Self, Loose> {
        if let Some(directory) = Self::open(path)? {
            return Ok(directory);
        }
        let failed = |error: std::io::Error| loose(path, format!("cannot be made: {error}"));
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new("."));
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(parent).map_err(failed)?;
        match rustix::fs::mkdir(path, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(failed(error.into())),
        }
        let missing = || loose(path, "was removed while it was made");
        let mut directory = Self::open(path)?.ok_or_else(missing)?;
        // The service's own directory belongs to its account: what root makes in it, the service must read.
        let above = rustix::fs::stat(parent).map_err(|error| failed(error.into()))?;
        if directory.owner != above.st_uid && rustix::process::geteuid().is_root() {
            let (owner, group) = (Uid::from_raw(above.st_uid), Gid::from_raw(above.st_gid));
            rustix::fs::fchown(&directory.handle, Some(owner), Some(group)).map_err(|error| failed(error.into()))?;
            (directory.owner, directory.group) = (above.st_uid, above.st_gid);
        }
        Ok(directory)
    }

    /// Waits until nobody else writes.
    pub(super) fn lock(&self) -> Result<Lock, Loose> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let failed = |error: Errno| self.wrong(LOCK, format!("cannot be locked: {error}"));
        let file = rustix::fs::openat(&self.handle, LOCK, flags, Mode::RUSR | Mode::WUSR).map_err(failed)?;
        self.give(&file, LOCK)?;
        rustix::fs::flock(&file, FlockOperation::LockExclusive).map_err(failed)?;
        Ok(Lock { _file: file })
    }

    /// Lists the files whose names end in `suffix`, sorted; at most `n_max`.
    pub(super) fn names(&self, suffix: &str, n_max: usize) -> Result<Vec<String>, Loose> {
        let failed = |error: Errno| loose(&self.path, format!("cannot be read: {error}"));
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.handle).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_str().unwrap_or_default();
            if name.ends_with(suffix) && !name.starts_with('.') {
                names.push(name.to_owned());
            }
            if n_max < names.len() {
                return Err(loose(&self.path, format!("holds more than {n_max} files")));
            }
        }
        names.sort();
        Ok(names)
    }

    /// Looks at a file without opening it; `None` if it is not there.
    pub(super) fn print(&self, name: &str) -> Result<Option<Print>, Loose> {
        match rustix::fs::statat(&self.handle, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(Print::of(&stat))),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(self.wrong(name, error.to_string())),
        }
    }

    /// Reads a file of at most `bytes_max`; `None` if it is not there.
    pub(super) fn read(&self, name: &str, bytes_max: usize) -> Result<Option<(Print, Vec<u8>)>, Loose> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(&self.handle, name, flags, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP) => return Err(self.wrong(name, "is a symbolic link")),
            Err(error) => return Err(self.wrong(name, format!("cannot be opened: {error}"))),
        };
        let stat = rustix::fs::fstat(&file).map_err(|error| self.wrong(name, error.to_string()))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(self.wrong(name, "is not a regular file"));
        }
        if stat.st_uid != self.owner && stat.st_uid != 0 {
            return Err(self.wrong(name, "does not belong to the owner of its directory"));
        }
        if stat.st_mode & 0o077 != 0 {
            return Err(self.wrong(name, "is open to others than its owner"));
        }
        let mut bytes = Vec::new();
        let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX);
        let read = File::from(file).take(limit.saturating_add(1)).read_to_end(&mut bytes);
        read.map_err(|error| self.wrong(name, format!("cannot be read: {error}")))?;
        if bytes_max < bytes.len() {
            return Err(self.wrong(name, format!("is longer than {bytes_max} bytes")));
        }
        Ok(Some((Print::of(&stat), bytes)))
    }

    /// Writes a file so that whoever reads sees the old one or the new one, also after a power cut.
    pub(super) fn write(&self, _lock: &Lock, name: &str, bytes: &[u8]) -> Result<(), Loose> {
        // Only who holds the lock writes, so the name is free or left by one who died.
        let temporary = format!(".{name}.new");
        let failed = |error: std::io::Error| self.wrong(name, format!("cannot be written: {error}"));
        match rustix::fs::unlinkat(&self.handle, &temporary, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(failed(error.into())),
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.handle, &temporary, flags, Mode::RUSR | Mode::WUSR);
        let file = file.map_err(|error| failed(error.into()))?;
        self.give(&file, name)?;
        let mut file = File::from(file);
        let written = file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| {
            rustix::fs::renameat(&self.handle, &temporary, &self.handle, name)?;
            Ok(rustix::fs::fsync(&self.handle)?)
        });
        written.map_err(failed)
    }

    /// Marks a file as touched at this moment, and makes it if it is not there.
    pub(super) fn touch(&self, name: &str) -> Result<(), Loose> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let failed = |error: Errno| self.wrong(name, format!("cannot be touched: {error}"));
        let file = rustix::fs::openat(&self.handle, name, flags, Mode::RUSR | Mode::WUSR).map_err(failed)?;
        self.give(&file, name)?;
        let now = rustix::fs::Timespec {
            tv_sec: 0,
            tv_nsec: rustix::fs::UTIME_NOW,
        };
        let times = rustix::fs::Timestamps {
            last_access: now,
            last_modification: now,
        };
        rustix::fs::futimens(&file, &times).map_err(failed)
    }

    /// Returns when a file was touched last, in milliseconds since 1970.
    pub(super) fn touched(&self, name: &str) -> Option<i64> {
        let stat = rustix::fs::statat(&self.handle, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        let nanos = i64::try_from(stat.st_mtime_nsec).unwrap_or(0);
        Some(stat.st_mtime.saturating_mul(1000).saturating_add(nanos / 1_000_000))
    }

    fn give(&self, file: &OwnedFd, name: &str) -> Result<(), Loose> {
        if self.owner == rustix::process::geteuid().as_raw() {
            return Ok(());
        }
        let (owner, group) = (Uid::from_raw(self.owner), Gid::from_raw(self.group));
        rustix::fs::fchown(file, Some(owner), Some(group))
            .map_err(|error| self.wrong(name, format!("cannot be given to its owner: {error}")))
    }

    fn wrong(&self, name: &str, what: impl AsRef<str>) -> Loose {
        loose(&self.path.join(name), what)
    }
}

impl Print {
    fn of(stat: &Stat) -> Self {
        Self {
            device: stat.st_dev,
            inode: stat.st_ino,
            changed: (stat.st_ctime, i64::try_from(stat.st_ctime_nsec).unwrap_or(0)),
            size: stat.st_size,
        }
    }
}

fn loose(path: &Path, what: impl AsRef<str>) -> Loose {
    Loose(format!("`{}` {}", path.display(), what.as_ref()))
}
