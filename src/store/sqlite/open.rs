//! Opening the file, and the threads that serve it.

use std::fs::File;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::OpenFlags;

use crate::store::StoreError;
use crate::store::sqlite::recent::Recent;
use crate::store::sqlite::schema;
use crate::store::sqlite::write::Batch;
use crate::store::sqlite::write::write_all;

/// The file in the store's directory.
pub(super) const FILE_NAME: &str = "stepfn.db";
/// Reader connections that are kept.
const READERS_MAX: usize = 8;
/// How long the log may grow before it is moved into the file, in bytes.
const LOG_BYTES: u64 = 4 * 1024 * 1024;
/// A log this long makes the writer pause for the rest of it, in bytes.
const LOG_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// How long another process may lock the file.
pub(super) const BUSY_TIME_MAX: Duration = Duration::from_secs(60);

/// One SQLite file and its threads. Dropping it finishes the queue.
pub struct SqliteStore {
    pub(super) path: PathBuf,
    pub(super) queue: Option<mpsc::Sender<Batch>>,
    pub(super) n_queued: Arc<AtomicUsize>,
    pub(super) readers: Mutex<Vec<Connection>>,
    pub(super) recent: Arc<Recent>,
    writer: Option<JoinHandle<()>>,
    checkpointer: Option<(mpsc::Sender<()>, JoinHandle<()>)>,
    // Held as long as the store is open: a second server must not write.
    _lock: File,
}

impl SqliteStore {
    /// Opens or makes the store `stepfn.db` in a directory.
    ///
    /// # Errors
    /// The directory cannot be used, another process has the store open, or the file is no store.
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        let fail = |what: &str, error: &dyn std::fmt::Display| {
            StoreError::Open(format!("{what} `{}`: {error}", directory.display()).into())
        };
        make(directory).map_err(|error| fail("the directory", &error))?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(directory.join("stepfn.lock"))
            .map_err(|error| fail("the lock file in", &error))?;
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive).map_err(
            |error| match error {
                rustix::io::Errno::WOULDBLOCK => fail("another process has opened the store in", &"stop it first"),
                error => fail("the lock file in", &error),
            },
        )?;
        let path = directory.join(FILE_NAME);
        // SQLite would make it readable to all that the umask lets in.
        OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(|error| fail("the database in", &error))?;
        let mut connection = connect(&path).map_err(|error| fail("the database in", &error))?;
        let checkpoints = connect(&path).map_err(|error| fail("the database in", &error))?;
        schema::migrate(&mut connection).map_err(|error| fail("the database in", &error))?;
        let (queue, batches) = mpsc::channel();
        let n_queued = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&n_queued);
        let wants_restart = Arc::new(AtomicBool::new(false));
        let restart = Arc::clone(&wants_restart);
        let recent = Arc::<Recent>::default();
        let shown = Arc::clone(&recent);
        let writer = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || write_all(connection, &batches, &counter, &restart, &shown))
            .map_err(|error| fail("a thread for", &error))?;
        let (stop, stopped) = mpsc::channel();
        let mut log = path.clone().into_os_string();
        log.push("-wal");
        let log = PathBuf::from(log);
        let checkpointer = std::thread::Builder::new()
            .name("store-checkpoint".to_owned())
            .spawn(move || checkpoint(&checkpoints, &log, &stopped, &wants_restart))
            .map_err(|error| fail("a thread for", &error))?;
        Ok(Self {
            path,
            queue: Some(queue),
            n_queued,
            readers: Mutex::new(Vec::new()),
            recent,
            writer: Some(writer),
            checkpointer: Some((stop, checkpointer)),
            _lock: lock,
        })
    }

    /// Reads with a connection of its own.
    pub(super) fn read<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        let kept = self
            .readers
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .pop();
        let failed = |error: rusqlite::Error| StoreError::Read(error.to_string().into());
        let connection = match kept {
            Some(connection) => connection,
            None => connect_to_read(&self.path).map_err(failed)?,
        };
        let result = work(&connection).map_err(failed)?;
        let mut readers = self.readers.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if readers.len() < READERS_MAX {
            readers.push(connection);
        }
        Ok(result)
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        // The writer ends when the queue is closed and empty.
        self.queue.take();
        if let Some(writer) = self.writer.take()
            // The last who needs the store may be told of its commit by the writer itself.
            && writer.thread().id() != std::thread::current().id()
        {
            let _ = writer.join();
        }
        if let Some((stop, checkpointer)) = self.checkpointer.take() {
            drop(stop);
            let _ = checkpointer.join();
        }
    }
}

/// Makes a directory and sees to it that a power loss does not take it back.
pub(super) fn make(directory: &Path) -> std::io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    std::fs::create_dir_all(directory)?;
    for ancestor in directory.ancestors().skip(1).take(2) {
        let ancestor = if ancestor.as_os_str().is_empty() {
            Path::new(".")
        } else {
            ancestor
        };
        File::open(ancestor)?.sync_all()?;
    }
    Ok(())
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    // Whoever holds it up that long is no reader: the store stops.
    connection.busy_timeout(BUSY_TIME_MAX)?;
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if mode != "wal" {
        return Err(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CANTOPEN),
            Some("this file system cannot share memory, which SQLite's log needs".to_owned()),
        ));
    }
    // NORMAL would lose acknowledged commits when the power fails.
    connection.pragma_update(None, "synchronous", "FULL")?;
    // The checkpointer does it: inside a commit it costs tens of milliseconds.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

pub(super) fn connect_to_read(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIME_MAX)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// Moves the log into the file whenever it has grown, until `stopped` hangs up.
fn checkpoint(connection: &Connection, log: &Path, stopped: &mpsc::Receiver<()>, wants_restart: &AtomicBool) {
    while let Err(mpsc::RecvTimeoutError::Timeout) = stopped.recv_timeout(Duration::from_millis(200)) {
        let size = std::fs::metadata(log).map_or(0, |log| log.len());
        if LOG_BYTES < size {
            // A reader may hold it up; the next round goes on from there.
            let moved = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
            // A writer that never rests never finds the log all moved, and would let it grow without end.
            if moved.is_ok() && LOG_BYTES_MAX < size {
                wants_restart.store(true, Ordering::Relaxed);
            }
        }
    }
    let _ = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
}
