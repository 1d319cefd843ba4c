//! Buckets that are local directories.
//!
//! A key is a relative path. Every step is opened below the one before and no symbolic link is followed, so a
//! key cannot lead out, whoever else writes into the directory. Only the configured directory itself may be
//! reached through links. Names that begin with `RESERVED` are files being written: they are no objects.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::io::BufWriter;
use std::io::Read;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use md5::Digest;
use md5::Md5;
use rustix::fs::AtFlags;
use rustix::fs::Mode;
use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::items::bucket::BucketError;
use crate::items::bucket::Buckets;
use crate::items::bucket::KEY_BYTES_MAX;
use crate::items::bucket::Listing;
use crate::items::bucket::NewObject;
use crate::items::bucket::Object;
use crate::items::bucket::ObjectInfo;
use crate::items::listing::Walk;

/// How the names of files being written begin.
pub(super) const RESERVED: &str = ".stepfn-part-";

/// How a directory is opened that must not be a link.
const STEP: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// Up to this size an object's entity tag is the MD5 of its bytes. The AWS CLI uploads larger ones in parts,
/// whose tag says nothing about the bytes.
const WHOLE_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Directories by bucket name.
#[derive(Clone, Debug, Default)]
pub struct DirectoryBuckets {
    directories: BTreeMap<String, PathBuf>,
}

impl DirectoryBuckets {
    /// Makes buckets of directories.
    pub fn new(directories: BTreeMap<String, PathBuf>) -> Self {
        Self { directories }
    }

    /// Opens a bucket's own directory.
    fn root(&self, bucket: &str) -> Result<OwnedFd, BucketError> {
        let path = self.directories.get(bucket).ok_or_else(BucketError::no_such_bucket)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| match errno {
            Errno::NOENT | Errno::NOTDIR => BucketError::no_such_bucket(),
            errno => at(bucket, "", errno),
        })
    }

    /// Opens the file of an object.
    fn file(&self, bucket: &str, key: &str) -> Result<File, BucketError> {
        let root = self.root(bucket)?;
        let (parents, name) = steps(key).ok_or_else(BucketError::no_such_key)?;
        let directory = descend(root, &parents).map_err(|errno| at(bucket, key, errno))?;
        // NONBLOCK: opening a named pipe must not wait for its writer.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&directory, name, flags, Mode::empty()).map_err(|e| at(bucket, key, e))?;
        let file = File::from(file);
        let is_file = file.metadata().map_err(|e| io_at(bucket, key, e))?.is_file();
        if is_file {
            Ok(file)
        } else {
            Err(BucketError::no_such_key())
        }
    }
}

impl Buckets for DirectoryBuckets {
    fn open(&self, bucket: &str, key: &str) -> Result<Box<dyn Object>, BucketError> {
        let file = self.file(bucket, key)?;
        let bytes = file.metadata().map_err(|error| io_at(bucket, key, error))?.len();
        Ok(Box::new(FileObject {
            file: Arc::new(file),
            bytes,
        }))
    }

    fn list(&self, bucket: &str, prefix: &str) -> Result<Listing, BucketError> {
        let root = self.root(bucket)?;
        // The last step of a prefix is the beginning of a name; the steps before it are directories.
        let (parents, rest) = match prefix.rsplit_once('/') {
            Some((parents, rest)) => (parents, rest),
            None => ("", prefix),
        };
        let parents: Vec<&str> = match parents {
            "" if prefix.starts_with('/') => return Ok(Box::new(std::iter::empty())),
            "" => Vec::new(),
            parents => parents.split('/').collect(),
        };
        if prefix.len() > KEY_BYTES_MAX || !parents.iter().all(|step| is_name(step)) {
            return Ok(Box::new(std::iter::empty()));
        }
        let directory = match descend(root, &parents) {
            Ok(directory) => directory,
            Err(errno) if is_missing(errno) => return Ok(Box::new(std::iter::empty())),
            Err(errno) => return Err(at(bucket, prefix, errno)),
        };
        let above = &prefix[..prefix.len() - rest.len()];
        Ok(Box::new(Walk::new(bucket, directory, above, rest)))
    }

    fn etag(&self, bucket: &str, object: &ObjectInfo) -> Result<String, BucketError> {
        let mut hash = Md5::new();
        if object.bytes > WHOLE_BYTES_MAX {
            hash.update(format!("{}\0{}\0{}", object.key, object.bytes, object.modified.0));
            let parts = object.bytes.div_ceil(WHOLE_BYTES_MAX);
            return Ok(format!("\"{}-{parts}\"", hex(&hash.finalize())));
        }
        let mut file = self.file(bucket, &object.key)?;
        let mut piece = [0_u8; 64 * 1024];
        loop {
            match file.read(&mut piece) {
                Ok(0) => return Ok(format!("\"{}\"", hex(&hash.finalize()))),
                Ok(n) => hash.update(&piece[..n]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(io_at(bucket, &object.key, error)),
            }
        }
    }

    fn create(&self, bucket: &str, key: &str) -> Result<Box<dyn NewObject>, BucketError> {
        let mut directory = self.root(bucket)?;
        let (parents, name) = steps(key).ok_or_else(|| BucketError::Key(key.to_owned()))?;
        for step in parents {
            directory = match rustix::fs::openat(&directory, step, STEP, Mode::empty()) {
                Err(Errno::NOENT) => make_directory(&directory, step),
                opened => opened,
            }
            .map_err(|errno| match errno {
                Errno::NOTDIR | Errno::LOOP => BucketError::Key(key.to_owned()),
                errno => at(bucket, key, errno),
            })?;
        }
        let mut random = [0_u8; 8];
        getrandom::fill(&mut random).map_err(|error| io_at(bucket, key, io::Error::other(error)))?;
        let part = format!("{RESERVED}{:016x}", u64::from_ne_bytes(random));
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&directory, &part, flags, Mode::from_raw_mode(0o666))
            .map_err(|errno| at(bucket, key, errno))?;
        Ok(Box::new(NewFile {
            writer: Some(BufWriter::with_capacity(64 * 1024, File::from(file))),
            directory,
            part,
            name: name.to_owned(),
            bucket: bucket.to_owned(),
            key: key.to_owned(),
        }))
    }
}

struct FileObject {
    file: Arc<File>,
    bytes: u64,
}

impl Object for FileObject {
    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn read_from(&self, offset: u64) -> Box<dyn Read + Send> {
        Box::new(ReadFrom {
            file: Arc::clone(&self.file),
            offset,
        })
    }
}

struct ReadFrom {
    file: Arc<File>,
    offset: u64,
}

impl Read for ReadFrom {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read_at(buffer, self.offset)?;
        self.offset += n as u64;
        Ok(n)
    }
}

struct NewFile {
    /// Taken when the object is finished.
    writer: Option<BufWriter<File>>,
    directory: OwnedFd,
    part: String,
    name: String,
    bucket: String,
    key: String,
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.as_mut().expect("not finished").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.as_mut().expect("not finished").flush()
    }
}

impl NewObject for NewFile {
    fn finish(mut self: Box<Self>) -> Result<(), BucketError> {
        let mut writer = self.writer.take().expect("finished once");
        let renamed = writer
            .flush()
            .and_then(|()| writer.get_ref().sync_all())
            .and_then(|()| {
                rustix::fs::renameat(&self.directory, &self.part, &self.directory, &self.name)?;
                Ok(rustix::fs::fsync(&self.directory)?)
            });
        renamed.map_err(|error| {
            let _ = rustix::fs::unlinkat(&self.directory, &self.part, AtFlags::empty());
            io_at(&self.bucket, &self.key, error)
        })
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if self.writer.is_some() {
            let _ = rustix::fs::unlinkat(&self.directory, &self.part, AtFlags::empty());
        }
    }
}

/// Splits a key into directories and a name, or tells that no file can have it.
fn steps(key: &str) -> Option<(Vec<&str>, &str)> {
    let mut steps: Vec<&str> = key.split('/').collect();
    let good = key.len() <= KEY_BYTES_MAX && steps.iter().all(|step| is_name(step));
    let name = steps.pop()?;
    good.then_some((steps, name))
}

/// Tells whether a part of a key can be the name of a file or directory here.
fn is_name(step: &str) -> bool {
    !matches!(step, "" | "." | "..") && !step.contains('\0') && !step.starts_with(RESERVED)
}

fn descend(mut directory: OwnedFd, parents: &[&str]) -> Result<OwnedFd, Errno> {
    for step in parents {
        directory = rustix::fs::openat(&directory, *step, STEP, Mode::empty())?;
    }
    Ok(directory)
}

fn make_directory(above: &OwnedFd, name: &str) -> Result<OwnedFd, Errno> {
    match rustix::fs::mkdirat(above, name, Mode::from_raw_mode(0o777)) {
        // Another writer was faster.
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(errno),
    }
    rustix::fs::fsync(above)?;
    rustix::fs::openat(above, name, STEP, Mode::empty())
}

fn is_missing(errno: Errno) -> bool {
    matches!(errno, Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG)
}

/// Says what the file system said in S3's words where it has some.
pub(super) fn at(bucket: &str, key: &str, errno: Errno) -> BucketError {
    match errno {
        errno if is_missing(errno) => BucketError::no_such_key(),
        Errno::ACCESS | Errno::PERM => BucketError::access_denied(),
        errno => io_at(bucket, key, errno.into()),
    }
}

fn io_at(bucket: &str, key: &str, source: io::Error) -> BucketError {
    BucketError::Io {
        bucket: bucket.to_owned(),
        key: key.to_owned(),
        source,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
