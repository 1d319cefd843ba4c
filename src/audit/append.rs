//! Appends groups of records to the files, by one process at a time.

use std::fs::DirBuilder;
use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use rustix::fs::FlockOperation;
use rustix::fs::flock;
use serde_json::Map;
use serde_json::Value;

use crate::audit::chain;
use crate::audit::chain::Hash;
use crate::audit::files;
use crate::audit::files::LogFile;
use crate::audit::record::Event;
use crate::audit::record::Record;
use crate::model::timestamp::Timestamp;

/// Reports whether writing may go on: tests make it fail.
pub(super) type Fault = fn() -> io::Result<()>;
/// How often a lock that others hold for a moment is tried.
const LOCK_TRIES: u32 = 500;
const LOCK_PAUSE: Duration = Duration::from_millis(10);
const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;

/// A record on its way: its members as text.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) at: Timestamp,
    pub(super) members: String,
}

impl Entry {
    pub(super) fn new(record: &Record) -> Self {
        let text = serde_json::to_string(record).expect("a record is made of plain members");
        let members = text.strip_prefix('{').and_then(|text| text.strip_suffix('}'));
        Self {
            at: record.ts,
            members: members.unwrap_or_default().to_owned(),
        }
    }
}

/// How the files are kept.
#[derive(Clone, Debug)]
pub(super) struct Keeping {
    pub(super) directory: PathBuf,
    /// A file is not made longer than about this.
    pub(super) file_bytes_max: u64,
    /// Files are deleted so many days after their month.
    pub(super) keep_days: Option<u32>,
    /// Other processes may append in between.
    pub(super) is_shared: bool,
    pub(super) fault: Option<Fault>,
    /// The time by which files are old, when it is not the clock's.
    pub(super) now: Option<Timestamp>,
}

/// The end of a log, to which this process appends.
pub(super) struct Appender {
    keeping: Keeping,
    lock: File,
    file: Option<Current>,
    /// What is safe.
    pub(super) synced: Place,
    /// What is written.
    pub(super) written: Place,
    buffer: Vec<u8>,
}

struct Current {
    log_file: LogFile,
    file: File,
    /// How much of it is written, and how much of that is safe.
    length: u64,
    synced: u64,
}

/// A record by its number and its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) seq: u64,
    pub(super) hash: Hash,
}

impl Appender {
    /// Opens a log, or makes it.
    pub(super) fn open(keeping: Keeping) -> io::Result<Self> {
        let directory = &keeping.directory;
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        check_directory(directory)?;
        let mut options = OpenOptions::new();
        let lock = options.create(true).truncate(false).write(true).mode(0o600);
        let lock = lock.open(directory.join("lock"))?;
        take(&lock, directory, keeping.is_shared)?;
        let nowhere = Place {
            seq: 0,
            hash: chain::GENESIS,
        };
        let mut appender = Self {
            keeping,
            lock,
            file: None,
            synced: nowhere,
            written: nowhere,
            buffer: Vec::new(),
        };
        appender.find_end()?;
        appender.delete_old()?;
        if appender.keeping.is_shared {
            flock(&appender.lock, FlockOperation::Unlock)?;
        }
        Ok(appender)
    }

    /// Writes a group; with `sync` it is safe afterwards.
    pub(super) fn append(&mut self, group: &[Entry], sync: bool) -> io::Result<()> {
        if !self.keeping.is_shared {
            self.write(group)?;
            return if sync { self.sync() } else { Ok(()) };
        }
        take(&self.lock, &self.keeping.directory, true)?;
        let result = self
            .refresh()
            .and_then(|()| self.write(group))
            .and_then(|()| self.sync());
        if result.is_err() {
            self.back();
        }
        flock(&self.lock, FlockOperation::Unlock)?;
        result
    }

    /// Makes safe what is written.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        if let Some(fault) = self.keeping.fault {
            fault()?;
        }
        if let Some(current) = &mut self.file {
            rustix::fs::fdatasync(&current.file)?;
            current.synced = current.length;
        }
        self.synced = self.written;
        Ok(())
    }

    /// Takes back what is not safe.
    pub(super) fn back(&mut self) {
        self.written = self.synced;
        if let Some(current) = &mut self.file {
            // What cannot be cut off now is cut off as torn when the log is opened again.
            if current.file.set_len(current.synced).is_ok() {
                current.length = current.synced;
            }
        }
    }

    fn write(&mut self, group: &[Entry]) -> io::Result<()> {
        let Some(first) = group.first() else {
            return Ok(());
        };
        let month = files::month(first.at);
        let is_full =
            |current: &Current| current.log_file.month != month || self.keeping.file_bytes_max <= current.length;
        if self.file.as_ref().is_none_or(is_full) {
            self.sync()?;
            self.begin_file(&month)?;
            self.delete_old()?;
        }
        self.put(group)
    }

    fn put(&mut self, group: &[Entry]) -> io::Result<()> {
        self.buffer.clear();
        let mut place = self.written;
        for entry in group {
            place.seq += 1;
            place.hash = chain::add(&mut self.buffer, place.seq, &entry.members, &place.hash);
        }
        if let Some(fault) = self.keeping.fault {
            fault()?;
        }
        let current = self.file.as_mut().expect("a file was begun");
        current.file.write_all(&self.buffer)?;
        current.length += self.buffer.len() as u64;
        self.written = place;
        if self.buffer.capacity() > 8 * 1024 * 1024 {
            self.buffer = Vec::new();
        }
        Ok(())
    }

    fn begin_file(&mut self, month: &str) -> io::Result<()> {
        let log_file = LogFile::new(&self.keeping.directory, self.written.seq + 1, month);
        let file = open_for_appending(&log_file.path)?;
        // Of a group that could not be written.
        file.set_len(0)?;
        sync_directory(&self.keeping.directory)?;
        self.file = Some(Current {
            log_file,
            file,
            length: 0,
            synced: 0,
        });
        Ok(())
    }

    /// Looks whether another process has appended.
    fn refresh(&mut self) -> io::Result<()> {
        let last = files::list(&self.keeping.directory)?.pop();
        let is_same = match (&self.file, &last) {
            (None, None) => true,
            (Some(current), Some(last)) => {
                current.log_file == *last && std::fs::metadata(&last.path)?.len() == current.length
            }
            _ => false,
        };
        if is_same { Ok(()) } else { self.find_end() }
    }

    fn find_end(&mut self) -> io::Result<()> {
        let tail = files::tail(&self.keeping.directory)?;
        self.written = Place {
            seq: tail.seq,
            hash: tail.hash,
        };
        self.synced = self.written;
        self.file = None;
        let Some((log_file, length)) = tail.file else {
            return Ok(());
        };
        let file = open_for_appending(&log_file.path)?;
        let torn = tail.torn;
        let kept = self.keeping.directory.join(format!("torn-after-{}", tail.seq));
        if !torn.is_empty() {
            // It may be what somebody forged: nothing is thrown away.
            let mut options = OpenOptions::new();
            let copy = options.create(true).truncate(true).write(true).mode(0o600);
            let mut copy = copy.open(&kept)?;
            copy.write_all(&torn)?;
            copy.sync_all()?;
            file.set_len(length)?;
            file.sync_all()?;
            sync_directory(&self.keeping.directory)?;
        }
        self.file = Some(Current {
            log_file,
            file,
            length,
            synced: length,
        });
        if !torn.is_empty() {
            let name = kept.file_name().unwrap_or_default().to_string_lossy();
            let say = format!(
                "A crash had left {} bytes after record {} that are no whole record; they were moved to `{name}`.",
                torn.len(),
                tail.seq
            );
            let mut record = Record::new(Event::LogRecovered, say);
            record.facts.insert("bytes".to_owned(), torn.len().into());
            record.facts.insert("kept".to_owned(), Value::from(name));
            self.put(&[Entry::new(&record)])?;
            self.sync()?;
        }
        Ok(())
    }

    /// Deletes files that are old enough, after it is written where the log begins from then on.
    fn delete_old(&mut self) -> io::Result<()> {
        let Some(days) = self.keeping.keep_days else {
            return Ok(());
        };
        let before = Timestamp(self.keeping.now.unwrap_or_else(super::record::now).0 - i64::from(days) * DAY_MILLIS);
        let all = files::list(&self.keeping.directory)?;
        let is_old = |file: &LogFile| file.end().is_some_and(|end| end < before);
        let n_old = all
            .iter()
            .take(all.len().saturating_sub(1))
            .take_while(|file| is_old(file))
            .count();
        if n_old == 0 {
            return Ok(());
        }
        // The last one may have been begun for the record that is about to be written.
        let last = match first_link(&all[n_old].path)? {
            Some(first) => Place {
                seq: first.seq - 1,
                hash: first.prev,
            },
            None => self.written,
        };
        let names: Vec<Value> = all[..n_old].iter().map(|file| Value::from(file.name())).collect();
        let (n, seq) = (names.len(), last.seq);
        let say = format!("{n} files up to record {seq} were deleted: they are older than {days} days.");
        let mut record = Record::new(Event::LogRetained, say);
        record.facts = Map::from_iter([
            ("deleted".to_owned(), Value::from(names)),
            ("last_seq".to_owned(), Value::from(seq)),
            ("last_hash".to_owned(), Value::from(last.hash.as_str())),
        ]);
        if self.file.is_none() {
            self.begin_file(&files::month(record.ts))?;
        }
        self.put(&[Entry::new(&record)])?;
        self.sync()?;
        for file in &all[..n_old] {
            std::fs::remove_file(&file.path)?;
        }
        sync_directory(&self.keeping.directory)
    }
}

/// Reads the first record of a file; `None` when it is empty.
pub(super) fn first_link(path: &Path) -> io::Result<Option<chain::Link>> {
    let mut line = Vec::new();
    io::BufRead::read_until(&mut io::BufReader::new(File::open(path)?), b'\n', &mut line)?;
    if line.pop().is_none() {
        return Ok(None);
    }
    let invalid = || {
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("`{}` begins with no record", path.display()),
        )
    };
    chain::Link::of(&line).map(Some).ok_or_else(invalid)
}

fn open_for_appending(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let nofollow = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
    options.create(true).append(true).mode(0o600).custom_flags(nofollow);
    options.open(path)
}

/// Refuses a directory that others can change.
fn check_directory(directory: &Path) -> io::Result<()> {
    let metadata = std::fs::metadata(directory)?;
    let is_ours = metadata.uid() == rustix::process::geteuid().as_raw();
    if is_ours && metadata.mode() & 0o022 == 0 {
        return Ok(());
    }
    let message = "the directory must belong to this user, and nobody else may write into it";
    Err(io::Error::new(io::ErrorKind::PermissionDenied, message))
}

fn take(lock: &File, directory: &Path, is_shared: bool) -> io::Result<()> {
    for _ in 0..if is_shared { LOCK_TRIES } else { 1 } {
        match flock(lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(()),
            Err(rustix::io::Errno::WOULDBLOCK) if is_shared => std::thread::sleep(LOCK_PAUSE),
            Err(rustix::io::Errno::WOULDBLOCK) => break,
            Err(error) => return Err(error.into()),
        }
    }
    let message = format!("another process writes the audit log in `{}`", directory.display());
    Err(io::Error::new(io::ErrorKind::ResourceBusy, message))
}

fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}
