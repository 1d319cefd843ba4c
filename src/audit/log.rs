//! The log as those see it who write to it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::sync::mpsc;

use tokio::sync::oneshot;

use crate::audit::anchor::AnchorTargets;
use crate::audit::append::Appender;
use crate::audit::append::Entry;
use crate::audit::append::Keeping;
use crate::audit::journal;
use crate::audit::journal::Journal;
use crate::audit::record::Record;
use crate::audit::writer;
use crate::audit::writer::Item;

/// Told when a record is safe, or cannot be made safe.
pub(super) type Done = Box<dyn FnOnce(Result<(), AuditError>) + Send>;

/// Why a record is not safe.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuditError {
    /// The log cannot be opened.
    #[error("the audit log in `{directory}` cannot be opened: {why}")]
    Open {
        /// Where.
        directory: Arc<str>,
        /// Why.
        why: Arc<str>,
    },
    /// The log cannot be written.
    #[error("the audit log cannot be written: {0}")]
    Write(Arc<str>),
    /// The log is closed.
    #[error("the audit log is closed")]
    Closed,
}

/// Which copies the journal gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum JournalCopies {
    /// None.
    None,
    /// The anchors.
    #[default]
    Anchors,
    /// The records, too.
    All,
}

/// How a log is kept.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where.
    pub directory: PathBuf,
    /// A file is not made longer than about this.
    pub file_bytes_max: u64,
    /// Files are deleted so many days after their month; `None` keeps all.
    pub keep_days: Option<u32>,
    /// Where anchors go.
    pub anchors: AnchorTargets,
    /// What the journal gets.
    pub journal: JournalCopies,
    /// Reads are recorded, too.
    pub reads: bool,
    /// Several processes take turns, each is short: nobody waits for the disk to have room again, and the log is opened
    /// with the first record.
    pub is_shared: bool,
    /// When the log cannot be opened, it is told once and nothing is recorded.
    pub is_optional: bool,
    /// Asked before each write and each sync: tests let a disk be full.
    pub fault: Option<fn() -> std::io::Result<()>>,
}

impl Options {
    /// The log of a server.
    pub fn new(directory: PathBuf) -> Self {
        Self {
            directory,
            file_bytes_max: 256 * 1024 * 1024,
            keep_days: None,
            anchors: AnchorTargets::default(),
            journal: JournalCopies::default(),
            reads: false,
            is_shared: false,
            is_optional: false,
            fault: None,
        }
    }

    pub(super) fn keeping(&self) -> Keeping {
        Keeping {
            directory: self.directory.clone(),
            file_bytes_max: self.file_bytes_max,
            keep_days: self.keep_days,
            is_shared: self.is_shared,
            fault: self.fault,
            now: None,
        }
    }
}

/// A log that can be written to.
pub struct Audit {
    queue: mpsc::Sender<Item>,
    copies: bool,
    reads: bool,
    state: Arc<State>,
}

/// What writers know of the log.
#[derive(Default)]
pub(super) struct State {
    /// Why nothing can be written at the moment.
    pub(super) trouble: Mutex<Option<AuditError>>,
    /// Nobody waits any longer for a disk that takes nothing.
    pub(super) is_closing: AtomicBool,
}

impl State {
    pub(super) fn lock(&self) -> MutexGuard<'_, Option<AuditError>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was given is safe, however its writers end.
impl Drop for Audit {
    fn drop(&mut self) {
        self.close();
    }
}

impl Audit {
    /// Opens a log, or makes it.
    ///
    /// # Errors
    /// It cannot be opened: another process writes it, or the directory is not this user's alone.
    pub fn open(options: Options) -> Result<Self, AuditError> {
        let appender = match options.is_shared {
            true => None,
            false => Some(Appender::open(options.keeping()).map_err(|error| writer::unopened(&options, &error))?),
        };
        let (queue, items) = mpsc::channel();
        let state = Arc::new(State::default());
        let journal = match options.journal {
            JournalCopies::None => None,
            _ => Journal::of_this_machine(),
        };
        let audit = Self {
            queue,
            copies: options.journal == JournalCopies::All && journal.is_some(),
            reads: options.reads,
            state: Arc::clone(&state),
        };
        let thread = std::thread::Builder::new().name("audit".to_owned());
        let failed = writer::unopened(&options, &"no thread");
        thread
            .spawn(move || writer::Writer::new(options, appender, state, journal).run(&items))
            .map_err(|_| failed)?;
        Ok(audit)
    }

    /// Writes a record, soon.
    pub fn note(&self, record: &Record) {
        self.give(record, None);
    }

    /// Writes a record; `done` is told once it is safe.
    pub fn submit(&self, record: &Record, done: impl FnOnce(Result<(), AuditError>) + Send + 'static) {
        self.give(record, Some(Box::new(done)));
    }

    /// Writes a record; what is returned is told once it is safe.
    pub fn write(&self, record: &Record) -> oneshot::Receiver<Result<(), AuditError>> {
        let (sender, receiver) = oneshot::channel();
        self.submit(record, move |result| {
            let _ = sender.send(result);
        });
        receiver
    }

    fn give(&self, record: &Record, done: Option<Done>) {
        let item = Item::Record {
            entry: Entry::new(record),
            copy: self.copies.then(|| journal::entry(record)),
            done,
        };
        if let Err(mpsc::SendError(Item::Record { done: Some(done), .. })) = self.queue.send(item) {
            done(Err(AuditError::Closed));
        }
    }

    /// Tells why nothing can be written at the moment, if that is so.
    pub fn trouble(&self) -> Option<AuditError> {
        self.state.lock().clone()
    }

    /// Tells whether reads are recorded.
    pub fn records_reads(&self) -> bool {
        self.reads
    }

    /// Makes safe all that was given, and ends.
    pub fn close(&self) {
        let (sender, receiver) = mpsc::channel();
        self.state.is_closing.store(true, Ordering::Relaxed);
        if self.queue.send(Item::Close(sender)).is_ok() {
            // The writer ends either way.
            let _ = receiver.recv();
        }
    }
}
