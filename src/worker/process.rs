//! Runs one process of a task, with bounded memory and a certain end.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use process_wrap::tokio::CommandWrap;
use process_wrap::tokio::ProcessSession;
use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::sync::oneshot;

use crate::model::quota::CAUSE_CHARS_MAX;
use crate::worker::Cancel;
use crate::worker::Reports;
use crate::worker::nursery::MARK;
use crate::worker::nursery::Nursery;

/// How much of stderr is kept: its end.
const STDERR_BYTES_MAX: usize = 64 * 1024;
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
    /// Variables added to `PATH`, `HOME` and `LANG`.
    pub env: BTreeMap<String, String>,
    /// Where it runs.
    pub cwd: Option<PathBuf>,
    /// How much it may write to stdout.
    pub stdout_bytes_max: usize,
    /// Show its stderr while it runs.
    pub log_stderr: bool,
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
    /// All that it wrote to stdout.
    pub stdout: Vec<u8>,
    /// The end of what it wrote to stderr.
    pub stderr: Vec<u8>,
}

/// Runs a process to its end. When this returns, nothing that the process started is left.
///
/// # Errors
/// It cannot be started; the error says what is missing.
pub async fn run(spec: &Spec, nursery: &Arc<Nursery>, reports: &Reports, cancel: &mut Cancel) -> io::Result<Ended> {
    let mark = nursery.mark();
    let spawned = nursery.start(&mark, || {
        let child = spawn(spec, &mark)?;
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).unwrap_or(0);
        Ok((child, pid))
    });
    let (mut child, leader) = spawned.map_err(|error| name_missing_directory(spec, error))?;
    let (stdin, stdout, stderr) = (child.stdin().take(), child.stdout().take(), child.stderr().take());
    let (too_long, mut stdout_too_long) = oneshot::channel();
    let mut output = Vec::new();
    let mut errors = Tail::default();

    let ended = {
        let streams = async {
            tokio::join!(
                write(stdin, &spec.stdin),
                read_bounded(stdout, spec.stdout_bytes_max, &mut output, too_long),
                read_tail(stderr, &mut errors, reports, spec.log_stderr),
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
                nursery.end_survivors(&leader).await;
                if streams_open {
                    let _ = tokio::time::timeout(DRAIN_TIME_MAX, &mut streams).await;
                }
                match stdout_too_long.try_recv() {
                    Ok(()) => Err(Ended::StdoutTooLong),
                    Err(_) => Ok(status),
                }
            }
            Err(ended) => {
                nursery.end(&leader).await;
                let _ = child.wait().await;
                Err(ended)
            }
        }
    };
    nursery.release(&leader);
    Ok(match ended {
        Ok(status) => Ended::Done(Done {
            status: status?,
            stdout: output,
            stderr: errors.bytes(),
        }),
        Err(ended) => ended,
    })
}

fn spawn(spec: &Spec, mark: &str) -> io::Result<Box<dyn process_wrap::tokio::ChildWrapper>> {
    let program = spec.argv.first().map_or("", String::as_str);
    let program = match &spec.cwd {
        Some(cwd) if program.contains('/') => cwd.join(program).into_os_string(),
        _ => program.into(),
    };
    let mut wrap = CommandWrap::with_new(program, |command| {
        command
            .args(spec.argv.iter().skip(1))
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        for (name, default) in [
            ("PATH", "/usr/local/bin:/usr/bin:/bin"),
            ("HOME", "/"),
            ("LANG", "C.UTF-8"),
        ] {
            command.env(name, std::env::var_os(name).unwrap_or_else(|| default.into()));
        }
        command.envs(&spec.env).env(MARK, mark);
        if let Some(cwd) = &spec.cwd
            && !cwd.as_os_str().is_empty()
        {
            command.current_dir(cwd);
        }
    });
    wrap.wrap(ProcessSession);
    // The session's wrapper would reap the whole process group, which is the nursery's work.
    Ok(wrap.spawn()?.into_inner())
}

/// Tells a missing directory from a missing program, which the system reports alike.
fn name_missing_directory(spec: &Spec, error: io::Error) -> io::Error {
    match &spec.cwd {
        Some(cwd) if !cwd.as_os_str().is_empty() && !cwd.is_dir() => {
            io::Error::new(error.kind(), format!("there is no directory `{}`", cwd.display()))
        }
        _ => error,
    }
}

async fn write(stdin: Option<tokio::process::ChildStdin>, bytes: &[u8]) {
    if let Some(mut stdin) = stdin {
        // A process need not read its input.
        let _ = stdin.write_all(bytes).await;
        let _ = stdin.shutdown().await;
    }
}

async fn read_bounded(
    stdout: Option<impl AsyncRead + Unpin>,
    bytes_max: usize,
    output: &mut Vec<u8>,
    too_long: oneshot::Sender<()>,
) {
    let Some(stdout) = stdout else { return };
    let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    let _ = stdout.take(limit).read_to_end(output).await;
    if output.len() > bytes_max {
        let _ = too_long.send(());
    }
}

async fn read_tail(stderr: Option<impl AsyncRead + Unpin>, tail: &mut Tail, reports: &Reports, log: bool) {
    let Some(mut stderr) = stderr else { return };
    let mut buffer = vec![0; 8192];
    let mut line = Vec::new();
    let mut last_alive: Option<tokio::time::Instant> = None;
    loop {
        let length = match stderr.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(length) => length,
        };
        tail.push(&buffer[..length]);
        if last_alive.is_none_or(|last| last.elapsed() >= ALIVE_PAUSE) {
            last_alive = Some(tokio::time::Instant::now());
            reports.alive();
        }
        if log {
            for &byte in &buffer[..length] {
                if byte == b'\n' || line.len() >= LOG_LINE_BYTES_MAX {
                    reports.log(String::from_utf8_lossy(&line).into_owned());
                    line.clear();
                }
                if byte != b'\n' {
                    line.push(byte);
                }
            }
            // The lines are kept until they are shown: one buffer of them at a time.
            tokio::task::yield_now().await;
        }
    }
    if !line.is_empty() {
        reports.log(String::from_utf8_lossy(&line).into_owned());
    }
}

/// The end of a stream.
#[derive(Debug, Default)]
struct Tail {
    bytes: Vec<u8>,
}

impl Tail {
    fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        if self.bytes.len() > 2 * STDERR_BYTES_MAX {
            self.bytes.drain(..self.bytes.len() - STDERR_BYTES_MAX);
        }
    }

    fn bytes(mut self) -> Vec<u8> {
        if self.bytes.len() > STDERR_BYTES_MAX {
            self.bytes.drain(..self.bytes.len() - STDERR_BYTES_MAX);
        }
        self.bytes
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
    let mut chars_max = 12_000;
    loop {
        let end = |text: &str| {
            let length = text.chars().count();
            text.chars().skip(length.saturating_sub(chars_max)).collect::<String>()
        };
        let cause = serde_json::json!({ "ExitCode": code, "Stdout": end(stdout), "Stderr": end(stderr) }).to_string();
        if chars_max == 0 || cause.chars().count() <= CAUSE_CHARS_MAX {
            return cause;
        }
        chars_max /= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_is_bounded_and_keeps_the_end() {
        let mut tail = Tail::default();
        for n in 0..100_000 {
            tail.push(format!("{n}\n").as_bytes());
            assert!(tail.bytes.len() <= 2 * STDERR_BYTES_MAX);
        }
        let bytes = tail.bytes();
        assert!(bytes.len() <= STDERR_BYTES_MAX);
        assert!(bytes.ends_with(b"99998\n99999\n"));
    }

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
