//! Lets apt or dpkg change packages, and never kills them while dpkg works.
//!
//! apt tells how far it is (`APT::Status-Fd`): downloads, then, from the first `pmstatus` on, the work of dpkg. The
//! lines come through a FIFO in a private directory, which needs no more of whoever starts processes than an argument
//! list. A task that is cancelled while apt downloads ends at once. Once dpkg works, apt gets SIGINT and is waited for:
//! it lets dpkg finish, and begins nothing more. The same holds when the engine ends or dies.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Once;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustix::fs::CWD;
use rustix::fs::FileType;
use rustix::fs::FlockOperation;
use rustix::fs::Mode;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::time::Instant;

use crate::model::states_error::StatesError;
use crate::worker::Cancel;
use crate::worker::Reports;
use crate::worker::action::Work;
use crate::worker::action::apt::classify;
use crate::worker::action::apt::command;
use crate::worker::action::apt::command::Answer;
use crate::worker::action::apt::command::System;
use crate::worker::action::apt::parameters::LOCK_TIMEOUT_ERROR;
use crate::worker::action::apt::parameters::START_FAILED;
use crate::worker::output::Keep;
use crate::worker::process;
use crate::worker::process::Ended;
use crate::worker::process::Spec;
use crate::worker::spawn::wire::AtLoss;

/// How long a download may take to end after SIGINT, before it is killed.
const GRACE: Duration = Duration::from_secs(3);
/// How long to wait before another look at locks that apt itself does not wait for.
const PAUSE: Duration = Duration::from_millis(500);
/// Longest status line.
const LINE_BYTES_MAX: usize = 4096;
/// The descriptor of the status lines; `SCRIPT` opens it.
const STATUS_FD: &str = "3";
/// Opens the FIFO, becomes the program. All output goes to stderr, of which the end is kept: a
/// package that writes without end must not get apt killed.
const SCRIPT: &str = r#"exec 3>"$0"; exec "$@" >&2"#;

/// What changes packages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// `apt-get`: it may be killed while it downloads.
    AptGet,
    /// dpkg and what calls it directly: it is always waited for.
    Dpkg,
}

/// Runs `apt-get` with its usual options, again and again while another process holds a lock.
///
/// # Errors
/// It cannot be started, was cancelled, or the lock was not free in time.
pub async fn apt_get(
    system: &System,
    arguments: &[String],
    lock_timeout: Duration,
    work: &mut Work<'_>,
) -> Result<Answer, StatesError> {
    let all = |left: Duration| {
        // apt waits for one of its locks only, and counts whole seconds.
        let timeout = format!("DPkg::Lock::Timeout={}", left.as_secs());
        let status = format!("APT::Status-Fd={STATUS_FD}");
        let mut all = ["apt-get", "-o", &timeout, "-o", &status, "-o", "Acquire::Retries=3"]
            .map(str::to_owned)
            .to_vec();
        all.extend_from_slice(arguments);
        all
    };
    with_lock(system, Program::AptGet, all, lock_timeout, work).await
}

/// Runs dpkg, or what calls it directly, again and again while another process holds a lock.
///
/// # Errors
/// It cannot be started, was cancelled, or the lock was not free in time.
pub async fn dpkg(
    system: &System,
    arguments: &[&str],
    lock_timeout: Duration,
    work: &mut Work<'_>,
) -> Result<Answer, StatesError> {
    let all = |_| arguments.iter().map(|&argument| argument.to_owned()).collect();
    with_lock(system, Program::Dpkg, all, lock_timeout, work).await
}

async fn with_lock(
    system: &System,
    program: Program,
    arguments: impl Fn(Duration) -> Vec<String> + Send + Sync,
    timeout: Duration,
    work: &mut Work<'_>,
) -> Result<Answer, StatesError> {
    let deadline = Instant::now() + timeout;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let answer = perform(system, program, &arguments(left), work).await?;
        let is_locked = answer.code != Some(0) && classify::name(&answer.stderr) == LOCK_TIMEOUT_ERROR;
        if !is_locked || deadline <= Instant::now() {
            return Ok(answer);
        }
        work.reports.alive();
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = work.cancel.cancelled() => return Err(StatesError::default()),
        }
    }
}

/// Runs a program that changes packages to its end.
async fn perform(
    system: &System,
    program: Program,
    arguments: &[String],
    work: &mut Work<'_>,
) -> Result<Answer, StatesError> {
    let failed =
        |error: io::Error| StatesError::new(START_FAILED, format!("`{}` cannot be started: {error}.", arguments[0]));
    let fifo = Fifo::make().map_err(failed)?;
    let mut receiver = fifo.open().map_err(failed)?;
    let path = fifo.path.to_string_lossy().into_owned();
    let mut argv: Vec<String> = ["/bin/sh", "-c", SCRIPT, &path].map(str::to_owned).to_vec();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    argv.extend(system.argv(&arguments));
    let spec = Spec {
        argv,
        stdin: Vec::new(),
        env: command::environment(),
        cwd: None,
        stdout: Keep::All(0),
        stderr_bytes_max: process::STDERR_BYTES_MAX,
        log_stderr: true,
        at_loss: match program {
            Program::AptGet => AtLoss::Interrupt,
            Program::Dpkg => AtLoss::Wait,
        },
        credentials: Vec::new(),
    };
    let child = process::ask(&spec, work.nursery, work.reports.claim()).map_err(failed)?;
    let ender = child.ender();
    let (stop, mut stopped) = Cancel::pair();
    let mut stop = Some(stop);
    let mut status = Status::default();
    let mut cancelled = false;
    let mut deadline = Instant::now();
    let ended = {
        let running = process::run_child(child, &spec, work.reports, &mut stopped);
        tokio::pin!(running);
        let mut buffer = vec![0; LINE_BYTES_MAX];
        loop {
            tokio::select! {
                biased;
                ended = &mut running => break ended,
                length = receiver.read(&mut buffer) => {
                    status.take(&buffer[..length.unwrap_or(0)], work.reports);
                }
                () = work.cancel.cancelled(), if !cancelled => {
                    cancelled = true;
                    deadline = Instant::now() + GRACE;
                    if program == Program::AptGet {
                        ender.interrupt();
                    }
                }
                () = tokio::time::sleep_until(deadline),
                    if cancelled && stop.is_some() && !status.dpkg_works && program == Program::AptGet =>
                {
                    stop = None;
                }
            }
        }
    };
    let done = match ended.map_err(failed)? {
        Ended::Done(done) if !cancelled => done,
        Ended::Done(_) | Ended::StdoutTooLong | Ended::Cancelled => return Err(StatesError::default()),
    };
    let mut stderr = String::from_utf8_lossy(&done.stderr).into_owned();
    if stderr.starts_with("chroot: ") {
        return Err(classify::chroot(&stderr));
    }
    for line in status.errors {
        stderr.push_str(&line);
        stderr.push('\n');
    }
    Ok(Answer {
        code: done.status.code(),
        stdout: String::new(),
        stderr,
    })
}

/// What the status lines have told so far.
#[derive(Debug, Default)]
struct Status {
    line: Vec<u8>,
    /// dpkg has begun.
    dpkg_works: bool,
    /// `pmerror` and `pmconffile` lines: they tell what a long output pushed out of what is kept of it.
    errors: Vec<String>,
    last: String,
}

impl Status {
    fn take(&mut self, bytes: &[u8], reports: &Reports) {
        for &byte in bytes {
            if byte == b'\n' {
                let line = std::mem::take(&mut self.line);
                self.line(&String::from_utf8_lossy(&line), reports);
            } else if self.line.len() < LINE_BYTES_MAX {
                self.line.push(byte);
            }
        }
    }

    /// Reads `dlstatus:1:20.5:Retrieving file 1 of 2`, `pmstatus:hello:40:Unpacking hello`, and dpkg's own lines.
    fn line(&mut self, line: &str, reports: &Reports) {
        const ERRORS_MAX: usize = 100;
        reports.alive();
        let mut parts = line.splitn(4, ':');
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some("dlstatus"), _, _, Some(text)) => self.tell(text, reports),
            (Some(kind), Some(package), Some(_), Some(text)) if kind.starts_with("pm") => {
                self.dpkg_works = true;
                if kind != "pmstatus" && self.errors.len() < ERRORS_MAX {
                    self.errors.push(format!("{kind}: {package}: {text}"));
                }
                self.tell(text, reports);
            }
            _ => {}
        }
    }

    fn tell(&mut self, text: &str, reports: &Reports) {
        if self.last != text {
            text.clone_into(&mut self.last);
            reports.log(text.to_owned());
        }
    }
}

/// How the names of the private directories begin.
const DIRECTORY_PREFIX: &str = "stepfn-apt-";

/// A FIFO that only this account can open.
struct Fifo {
    directory: PathBuf,
    path: PathBuf,
    /// The directory, locked: one that nobody has locked is left over from a process that died.
    _lock: File,
}

impl Fifo {
    fn make() -> io::Result<Self> {
        static SWEPT: Once = Once::new();
        let parent = std::env::temp_dir().canonicalize()?;
        SWEPT.call_once(|| sweep(&parent));
        match Self::make_in(&parent) {
            // Another process swept between the making and the locking; it does so once.
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::WouldBlock) => {
                Self::make_in(&parent)
            }
            made => made,
        }
    }

    fn make_in(parent: &Path) -> io::Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let directory = parent.join(format!("{DIRECTORY_PREFIX}{}-{number}", std::process::id()));
        rustix::fs::mkdir(&directory, Mode::RWXU)?;
        let lock = File::open(&directory)?;
        rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
        let fifo = Self {
            path: directory.join("status"),
            directory,
            _lock: lock,
        };
        rustix::fs::mknodat(CWD, &fifo.path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)?;
        Ok(fifo)
    }

    fn open(&self) -> io::Result<pipe::Receiver> {
        // For writing, too: else it would be at its end before the program opens it.
        pipe::OpenOptions::new().read_write(true).open_receiver(&self.path)
    }
}

/// Removes what processes of this account left that died. What cannot be removed stays: it is in nobody's way.
fn sweep(parent: &Path) {
    let own = rustix::process::geteuid().as_raw();
    for entry in std::fs::read_dir(parent).into_iter().flatten().flatten() {
        let is_ours = entry.file_name().to_string_lossy().starts_with(DIRECTORY_PREFIX)
            && entry
                .metadata()
                .is_ok_and(|metadata| metadata.is_dir() && metadata.uid() == own);
        if is_ours
            && let Ok(directory) = File::open(entry.path())
            && rustix::fs::flock(&directory, FlockOperation::NonBlockingLockExclusive).is_ok()
        {
            let _ = std::fs::remove_file(entry.path().join("status"));
            let _ = std::fs::remove_dir(entry.path());
        }
    }
}

impl Drop for Fifo {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::action::testing::Scratch;

    #[test]
    fn only_what_nobody_uses_is_swept() {
        let scratch = Scratch::new();
        let make = |name: &str| {
            let path = scratch.path().join(name);
            std::fs::create_dir_all(&path).unwrap();
            std::fs::write(path.join("status"), "").unwrap();
            path
        };
        let (left, used, other) = (make("stepfn-apt-1-0"), make("stepfn-apt-1-1"), make("stepfn-else"));
        let lock = File::open(&used).unwrap();
        rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive).unwrap();
        sweep(scratch.path());
        assert_eq!([left, used, other].map(|path| path.exists()), [false, true, true]);
    }
}
