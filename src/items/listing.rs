//! Walks a directory in the order in which S3 lists keys.
//!
//! S3 orders whole keys by their bytes, so a directory `a` stands where `a/` does: behind `a-b`, before `a0`.
//! Memory holds at most a page of names for each level of directories, however many files there are: a page is
//! the smallest names behind the last one, found by reading the directory again.

use std::collections::BinaryHeap;
use std::collections::VecDeque;
use std::os::fd::OwnedFd;

use rustix::fs::AtFlags;
use rustix::fs::Dir;
use rustix::fs::FileType;
use rustix::fs::Mode;
use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::items::bucket::BucketError;
use crate::items::bucket::KEY_BYTES_MAX;
use crate::items::bucket::ObjectInfo;
use crate::items::directory;
use crate::model::timestamp::Timestamp;

/// Names of one directory that are held at once.
const PAGE: usize = 32 * 1024;

/// The files below a directory, in the byte order of their keys.
pub(super) struct Walk {
    bucket: String,
    page: usize,
    levels: Vec<Level>,
    failed: bool,
}

struct Level {
    directory: OwnedFd,
    /// The key of the directory: empty, or with a `/` at its end.
    key: String,
    /// How names must begin.
    prefix: String,
    /// Names in order; those of directories end with `/`.
    names: VecDeque<String>,
    /// The last name of the page, while there may be names behind it.
    more: Option<String>,
}

impl Walk {
    /// Walks the names in `directory` that begin with `prefix`, and all below them.
    pub(super) fn new(bucket: &str, directory: OwnedFd, key: &str, prefix: &str) -> Self {
        Self {
            bucket: bucket.to_owned(),
            page: PAGE,
            levels: vec![Level::new(directory, key.to_owned(), prefix.to_owned())],
            failed: false,
        }
    }

    /// Holds fewer names at once.
    #[cfg(test)]
    pub(super) fn with_page(mut self, page: usize) -> Self {
        self.page = page;
        self
    }

    fn step(&mut self) -> Result<Option<ObjectInfo>, (String, Errno)> {
        while let Some(level) = self.levels.last_mut() {
            let Some(name) = level.next(self.page).map_err(|errno| (level.key.clone(), errno))? else {
                self.levels.pop();
                continue;
            };
            let key = format!("{}{name}", level.key);
            if key.len() > KEY_BYTES_MAX {
                continue;
            }
            if let Some(name) = name.strip_suffix('/') {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                match rustix::fs::openat(&level.directory, name, flags, Mode::empty()) {
                    Ok(directory) => self.levels.push(Level::new(directory, key, String::new())),
                    // Gone, or something else by now.
                    Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
                    Err(errno) => return Err((key, errno)),
                }
                continue;
            }
            match rustix::fs::statat(&level.directory, name.as_str(), AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile => {
                    return Ok(Some(ObjectInfo {
                        key,
                        bytes: u64::try_from(stat.st_size).unwrap_or(0),
                        modified: Timestamp(stat.st_mtime.saturating_mul(1000)),
                    }));
                }
                Ok(_) | Err(Errno::NOENT) => {}
                Err(errno) => return Err((key, errno)),
            }
        }
        Ok(None)
    }
}

impl Iterator for Walk {
    type Item = Result<ObjectInfo, BucketError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        match self.step() {
            Ok(object) => object.map(Ok),
            Err((key, errno)) => {
                self.failed = true;
                Some(Err(directory::at(&self.bucket, &key, errno)))
            }
        }
    }
}

impl Level {
    fn new(directory: OwnedFd, key: String, prefix: String) -> Self {
        Self {
            directory,
            key,
            prefix,
            names: VecDeque::new(),
            more: Some(String::new()),
        }
    }

    fn next(&mut self, page: usize) -> Result<Option<String>, Errno> {
        if self.names.is_empty()
            && let Some(last) = self.more.take()
        {
            self.names = self.read(&last, page)?;
            if self.names.len() == page {
                self.more = self.names.back().cloned();
            }
        }
        Ok(self.names.pop_front())
    }

    /// Returns the smallest names behind `last`.
    fn read(&self, last: &str, page: usize) -> Result<VecDeque<String>, Errno> {
        let mut smallest = BinaryHeap::new();
        for entry in Dir::read_from(&self.directory)? {
            let entry = entry?;
            // A name that is not UTF-8 cannot be a key.
            let Ok(name) = entry.file_name().to_str() else {
                continue;
            };
            if matches!(name, "." | "..") || name.starts_with(directory::RESERVED) {
                continue;
            }
            let kind = match entry.file_type() {
                FileType::Unknown => self.kind(name)?,
                kind => kind,
            };
            let name = match kind {
                FileType::RegularFile => name.to_owned(),
                FileType::Directory => format!("{name}/"),
                _ => continue,
            };
            if name.as_str() <= last || !name.starts_with(&self.prefix) {
                continue;
            }
            smallest.push(name);
            if smallest.len() > page {
                smallest.pop();
            }
        }
        Ok(smallest.into_sorted_vec().into())
    }

    /// Asks for the kind of a name, where the file system does not tell it with the name.
    fn kind(&self, name: &str) -> Result<FileType, Errno> {
        match rustix::fs::statat(&self.directory, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(FileType::from_raw_mode(stat.st_mode)),
            Err(Errno::NOENT) => Ok(FileType::Unknown),
            Err(errno) => Err(errno),
        }
    }
}
