//! Runs one process of a task, with bounded memory and a certain end.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe;
use tokio::sync::oneshot;

use crate::model::quota::CAUSE_CHARS_MAX;
use crate::secret::scrub::Stream;
use crate::worker::Cancel;
use crate::worker::Reports;
use crate::worker::credential::Credentials;
use crate::worker::nursery::Asked;
use crate::worker::nursery::Ender;
use crate::worker::nursery::Nursery;
use crate::worker::nursery::Rest;
use crate::worker::output::Keep;
use crate::worker::output::Kept;
use crate::worker::output::mark;
use crate::worker::secrets;
use crate::worker::spawn::vault;
use crate::worker::spawn::wire::AtLoss;
use crate::worker::spawn::wire::Claim;
use crate::worker::spawn::wire::Failure;
use crate::worker::spawn::wire::FailureKind;
use crate::worker::spawn::wire::Ran;

/// How much of stderr is usually kept.
pub const STDERR_BYTES_MAX: usize = 64 * 1024;
/// Longest line that is shown while a task runs.
const LOG_LINE_BYTES_MAX: usize = 4096;
/// How long to wait for the last output when every process has ended.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(2);
/// Least time between two signs of life.
const ALIVE_PAUSE: Duration = Duration::from_millis(50);

/// What to run.
#[derive(Clone, Debug)]
pub struct Spec {
    /// The program and its arguments; never empty.
    pub argv: Vec<String>,
    /// What it reads.
    pub stdin: Vec<u8>,
    /// Variables added to `PATH`, `HOME`, `USER` and `LANG`.
    pub env: BTreeMap<String, String>,
    /// Where it runs.
    pub cwd: Option<PathBuf>,
    /// How much of its stdout is kept, and what happens when it writes more.
    pub stdout: Keep,
    /// How much of its stderr is kept: its end.
    pub stderr_bytes_max: usize,
    /// Show its stderr while it runs.
    pub log_stderr: bool,
    /// What becomes of it when nobody waits for it any more.
    pub at_loss: AtLoss,
    /// What only it gets to know: files in `$CREDENTIALS_DIRECTORY`.
    pub credentials: Credentials,
}

/// How the process ended.
#[derive(Debug)]
pub enum Ended {
    /// By itself.
    Done(Done),
    /// It wrote too much to stdout and was killed.
    StdoutTooLong,
    /// It was cancelled and killed.
    Cancelled,
}

/// What a process left.
#[derive(Debug)]
pub struct Done {
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote to stdout; with a mark where something is left out.
    pub stdout: Vec<u8>,
    /// How many bytes are left out of `stdout`.
    pub stdout_left_out: u64,
    /// The end of what it wrote to stderr; with a mark before it when that is not all.
    pub stderr: Vec<u8>,
    /// How many bytes are left out of `stderr`.
    pub stderr_left_out: u64,
}

/// A process that runs. When it is dropped it is ended.
#[derive(Debug)]
pub struct Child {
    /// What it reads.
    pub stdin: Option<pipe::Sender>,
    /// What it writes.
    pub stdout: Option<pipe::Receiver>,
    /// What it writes for people.
    pub stderr: Option<pipe::Receiver>,
    asked: Asked,
    ended: Option<Result<i32, Failure>>,
    at_loss: AtLoss,
}

impl Child {
    /// Waits until it runs its program; returns how it runs. Only the first call waits.
    ///
    /// # Errors
    /// It cannot be started.
    pub async fn started(&mut self) -> io::Result<Ran> {
        match (&mut self.asked.news.started).await {
            Ok(ran) => ran.map_err(into_error),
            Err(_) => Err(io::Error::other("its start was told already")),
        }
    }

    /// Waits until it has ended and nothing that it started is left. May be called again.
    ///
    /// # Errors
    /// It could not be started, or the process that starts tasks has ended.
    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        if self.ended.is_none() {
            let news = (&mut self.asked.news.over).await;
            self.ended = Some(news.unwrap_or_else(|_| Err(crate::worker::spawn::link::ended())));
        }
        match &self.ended {
            Some(Ok(status)) => Ok(ExitStatus::from_raw(*status)),
            Some(Err(failure)) => Err(into_error(failure.clone())),
            None => Err(io::Error::other("it has not ended")),
        }
    }

    /// Returns what ends it from elsewhere while somebody waits here.
    pub fn ender(&self) -> Ender {
        self.asked.ender.clone()
    }

    /// Ends it and all that it started: SIGTERM, a second of grace, SIGKILL. Returns when nothing is left.
    pub async fn end(&mut self) {
        if self.ended.is_none() {
            self.asked.ender.end();
            let _ = self.wait().await;
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.ended.is_none() {
            match self.at_loss {
                AtLoss::End => self.asked.ender.end(),
                AtLoss::Interrupt => self.asked.ender.interrupt(),
                AtLoss::Wait => {}
            }
        }
    }
}

/// Starts a process that goes on; `stdin` and the limits of the specification do not count. It runs as the account
/// that the identity table gives to `claim`.
///
/// # Errors
/// It cannot be started; the error says what is missing.
pub async fn start(spec: &Spec, nursery: &Nursery, claim: &Claim) -> io::Result<(Child, Ran)> {
    confirmed(ask(spec, nursery, claim)?).await
}

/// As `start`, but its stdin, stdout and stderr are the given ones, and so are all its variables.
///
/// # Errors
/// It cannot be started; the error says what is missing.
pub async fn start_with(
    spec: &Spec,
    stdio: [OwnedFd; 3],
    nursery: &Nursery,
    claim: &Claim,
) -> io::Result<(Child, Ran)> {
    confirmed(Child {
        stdin: None,
        stdout: None,
        stderr: None,
        asked: nursery.ask(
            &spec.argv,
            stdio,
            Rest {
                is_bare: true,
                ..rest(spec, claim)?
            },
        )?,
        ended: None,
        at_loss: spec.at_loss,
    })
    .await
}

async fn confirmed(mut child: Child) -> io::Result<(Child, Ran)> {
    match child.started().await {
        Ok(ran) => Ok((child, ran)),
        Err(error) => {
            let _ = child.wait().await;
            Err(error)
        }
    }
}

/// Runs a process to its end. When this returns, nothing that the process started is left.
///
/// # Errors
/// It cannot be started; the error says what is missing.
pub async fn run(spec: &Spec, nursery: &Arc<Nursery>, reports: &Reports, cancel: &mut Cancel) -> io::Result<Ended> {
    let _place = tokio::select! {
        biased;
        () = cancel.cancelled() => return Ok(Ended::Cancelled),
        place = nursery.place() => place,
    };
    run_child(ask(spec, nursery, reports.claim())?, spec, reports, cancel).await
}

/// Runs a process that was asked for to its end.
///
/// # Errors
/// It cannot be started; the error says what is missing.
pub async fn run_child(mut child: Child, spec: &Spec, reports: &Reports, cancel: &mut Cancel) -> io::Result<Ended> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (too_long, mut stdout_too_long) = oneshot::channel();
    let mut output = match spec.stdout {
        Keep::All(bytes_max) => Kept::end(bytes_max),
        Keep::Ends(bytes_max) => Kept::ends(bytes_max),
    };
    let mut errors = Kept::end(spec.stderr_bytes_max);
    if let Err(error) = secrets::hide_credentials(&spec.credentials, reports) {
        child.end().await;
        return Err(io::Error::other(error.cause.unwrap_or_default()));
    }
    let hidden = || Stream::new(reports.scrubber());

    let ended = {
        let streams = async {
            tokio::join!(
                write(stdin, &spec.stdin),
                read_stdout(stdout, spec.stdout, &mut output, hidden(), too_long),
                read_tail(stderr, &mut errors, hidden(), reports, spec.log_stderr),
            );
        };
        tokio::pin!(streams);
        let mut streams_open = true;
        let status = loop {
            tokio::select! {
                biased;
                () = cancel.cancelled() => break Err(Ended::Cancelled),
                Ok(()) = &mut stdout_too_long, if !stdout_too_long.is_terminated() => break Err(Ended::StdoutTooLong),
                status = child.wait() => break Ok(status),
                () = &mut streams, if streams_open => streams_open = false,
            }
        };
        match status {
            Ok(status) => {
                if streams_open {
                    let _ = tokio::time::timeout(DRAIN_TIME_MAX, &mut streams).await;
                }
                match stdout_too_long.try_recv() {
                    Ok(()) => Err(Ended::StdoutTooLong),
                    Err(_) => Ok(status),
                }
            }
            Err(ended) => {
                child.end().await;
                Err(ended)
            }
        }
    };
    if let Ok(Ok(ran)) = child.asked.news.started.try_recv() {
        reports.ran(ran);
    }
    if let Some(Err(failure)) = &child.ended
        && failure.kind == FailureKind::IdentityUnavailable
    {
        reports.refused(&failure.message);
    }
    Ok(match ended {
        Ok(status) => {
            let (stdout, stdout_left_out) = output.finish();
            let (stderr, stderr_left_out) = errors.finish();
            Ended::Done(Done {
                status: status?,
                stdout,
                stdout_left_out,
                stderr,
                stderr_left_out,
            })
        }
        Err(ended) => ended,
    })
}

/// Asks for a process. What is wrong with it is told to whoever waits.
///
/// # Errors
/// It cannot be asked for.
pub fn ask(spec: &Spec, nursery: &Nursery, claim: &Claim) -> io::Result<Child> {
    let (stdin, stdin_end) = io::pipe()?;
    let (stdout_end, stdout) = io::pipe()?;
    let (stderr_end, stderr) = io::pipe()?;
    let stdio = [OwnedFd::from(stdin), OwnedFd::from(stdout), OwnedFd::from(stderr)];
    Ok(Child {
        stdin: Some(pipe::Sender::from_owned_fd(stdin_end.into())?),
        stdout: Some(pipe::Receiver::from_owned_fd(stdout_end.into())?),
        stderr: Some(pipe::Receiver::from_owned_fd(stderr_end.into())?),
        asked: nursery.ask(&spec.argv, stdio, rest(spec, claim)?)?,
        ended: None,
        at_loss: spec.at_loss,
    })
}

fn rest(spec: &Spec, claim: &Claim) -> io::Result<Rest> {
    let cwd = match &spec.cwd {
        Some(cwd) => Some(cwd.to_str().ok_or(io::ErrorKind::InvalidFilename)?.to_owned()),
        None => None,
    };
    Ok(Rest {
        is_bare: false,
        env: spec.env.clone(),
        cwd: cwd.filter(|cwd| !cwd.is_empty()),
        claim: claim.clone(),
        at_loss: spec.at_loss,
        credentials: match spec.credentials.is_empty() {
            true => None,
            false => Some(vault::pack(&spec.credentials)?),
        },
    })
}

fn into_error(failure: Failure) -> io::Error {
    let kind = match failure.kind {
        FailureKind::ArgumentsTooLong => io::ErrorKind::ArgumentListTooLong,
        FailureKind::IdentityUnavailable | FailureKind::NotExecutable => io::ErrorKind::PermissionDenied,
        FailureKind::NoDirectory | FailureKind::NotFound => io::ErrorKind::NotFound,
        FailureKind::Other => io::ErrorKind::Other,
        FailureKind::Resources => io::ErrorKind::ResourceBusy,
    };
    io::Error::new(kind, failure.message)
}

async fn write(stdin: Option<pipe::Sender>, bytes: &[u8]) {
    if let Some(mut stdin) = stdin {
        // A process need not read its input.
        let _ = stdin.write_all(bytes).await;
    }
}

async fn read_stdout(
    stdout: Option<impl AsyncRead + Unpin>,
    keep: Keep,
    output: &mut Kept,
    mut hidden: Stream,
    too_long: oneshot::Sender<()>,
) {
    let Some(mut stdout) = stdout else { return };
    let mut buffer = vec![0; 64 * 1024];
    let mut n_bytes = 0;
    loop {
        let length = match stdout.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(length) => length,
        };
        output.push(&hidden.push(&buffer[..length]));
        n_bytes += length;
        if let Keep::All(bytes_max) = keep
            && bytes_max < n_bytes
        {
            let _ = too_long.send(());
            return;
        }
    }
    output.push(&hidden.finish());
}

async fn read_tail(
    stderr: Option<impl AsyncRead + Unpin>,
    tail: &mut Kept,
    mut hidden: Stream,
    reports: &Reports,
    log: bool,
) {
    let Some(mut stderr) = stderr else { return };
    let mut buffer = vec![0; 8192];
    let mut lines = Lines::default();
    let mut last_alive: Option<tokio::time::Instant> = None;
    loop {
        let length = match stderr.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(length) => length,
        };
        let bytes = hidden.push(&buffer[..length]);
        tail.push(&bytes);
        if last_alive.is_none_or(|last| last.elapsed() >= ALIVE_PAUSE) {
            last_alive = Some(tokio::time::Instant::now());
            reports.alive();
        }
        if log {
            lines.push(&bytes, reports);
            // The lines are kept until they are shown: one buffer of them at a time.
            tokio::task::yield_now().await;
        }
    }
    let rest = hidden.finish();
    tail.push(&rest);
    if log {
        lines.push(&rest, reports);
        lines.finish(reports);
    }
}

/// Shows what a process writes line by line.
#[derive(Default)]
struct Lines(Vec<u8>);

impl Lines {
    fn push(&mut self, bytes: &[u8], reports: &Reports) {
        for &byte in bytes {
            if byte == b'\n' || self.0.len() >= LOG_LINE_BYTES_MAX {
                self.show(reports);
            }
            if byte != b'\n' {
                self.0.push(byte);
            }
        }
    }

    fn finish(mut self, reports: &Reports) {
        if !self.0.is_empty() {
            self.show(reports);
        }
    }

    fn show(&mut self, reports: &Reports) {
        reports.log(String::from_utf8_lossy(&self.0).into_owned());
        self.0.clear();
    }
}

/// Says how a process ended, to follow "The command `x` …".
pub fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, Some(signal)) => format!("was killed by signal {signal}"),
        (None, None) => "ended without a status".to_owned(),
    }
}

/// Keeps the end of a text that is too long for a `Cause`.
pub fn shorten(text: &str) -> String {
    let length = text.chars().count();
    text.chars().skip(length.saturating_sub(CAUSE_CHARS_MAX)).collect()
}

/// Returns the result as a JSON text that fits into a `Cause`: the ends of both streams.
pub fn cause(code: i32, stdout: &str, stderr: &str) -> String {
    let mut chars_max: usize = 12_000;
    loop {
        let end = |text: &str| match text.char_indices().rev().nth(chars_max.saturating_sub(1)) {
            Some((at, _)) if 0 < at => mark(u64::try_from(at).unwrap_or(u64::MAX)) + &text[at..],
            _ => text.to_owned(),
        };
        let cause = serde_json::json!({ "ExitCode": code, "Stdout": end(stdout), "Stderr": end(stderr) }).to_string();
        if chars_max <= 1 || cause.chars().count() <= CAUSE_CHARS_MAX {
            return cause;
        }
        chars_max /= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_cause_keeps_its_end() {
        let cause = shorten(&format!("{}end", "é".repeat(CAUSE_CHARS_MAX)));
        assert_eq!(cause.chars().count(), CAUSE_CHARS_MAX);
        assert!(cause.ends_with("éend"));
        assert_eq!(shorten("short"), "short");
    }

    #[test]
    fn a_cause_fits_and_stays_json() {
        let cause = cause(1, &"\u{1}".repeat(100_000), &"é".repeat(100_000));
        assert!(cause.chars().count() <= CAUSE_CHARS_MAX);
        assert!(serde_json::from_str::<serde_json::Value>(&cause).is_ok());
    }
}
