//! One process of a function, from its start to the end of everything it started.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::worker::Reports;
use crate::worker::lambda::function::FunctionName;
use crate::worker::lambda::function::ProcessFunction;
use crate::worker::lambda::logs::Logs;
use crate::worker::lambda::request::Invocation;
use crate::worker::lambda::runtime_api::Desk;
use crate::worker::lambda::runtime_api::Outcome;
use crate::worker::lambda::runtime_api::Work;
use crate::worker::nursery::Ender;
use crate::worker::nursery::Nursery;
use crate::worker::output::Keep;
use crate::worker::process;
use crate::worker::process::Spec;
use crate::worker::spawn::wire::AtLoss;
use crate::worker::spawn::wire::Claim;

/// How long to wait for the last words of a process that has ended.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(2);

/// A process that does one invocation at a time.
pub struct Instance {
    desk: Arc<Desk>,
    logs: Arc<Logs>,
    pid: i32,
    ender: Ender,
    /// How it ended, once it has.
    exit: watch::Receiver<Option<Exit>>,
    /// Waits for its end, and cleans up after it.
    keeper: JoinHandle<()>,
    serving: JoinHandle<()>,
    reading: JoinHandle<()>,
}

/// How a process ended; `None` if that cannot be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit(Option<ExitStatus>);

/// What came of an invocation.
#[derive(Debug, PartialEq, Eq)]
pub enum Ran {
    /// The process told.
    Told(Outcome),
    /// It ended instead. It may not have taken the invocation.
    Exited {
        /// How it ended.
        exit: Exit,
        /// It had taken the invocation.
        is_taken: bool,
    },
    /// It took too long.
    TimedOut,
    /// Nobody wants to know any more.
    Cancelled,
}

impl Instance {
    /// Starts a process.
    ///
    /// # Errors
    /// It cannot be started; the error says what is missing.
    pub async fn start(
        function: &ProcessFunction,
        name: &FunctionName,
        nursery: &Nursery,
        claim: &Claim,
    ) -> io::Result<Self> {
        if !function.code.is_dir() {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                format!("there is no directory `{}`", function.code.display()),
            ));
        }
        let desk = Arc::new(Desk::default());
        let (address, serving) = desk.serve().await?;
        let (reader, writer) = io::pipe()?;
        let stdio = [
            File::open("/dev/null")?.into(),
            writer.try_clone()?.into(),
            writer.into(),
        ];
        let started = match spec(function, name, &address.to_string()) {
            Ok(spec) => process::start_with(&spec, stdio, nursery, claim).await,
            Err(error) => Err(error),
        };
        let (mut child, ran) = match started {
            Ok(started) => started,
            Err(error) => {
                serving.abort();
                return Err(error);
            }
        };
        let logs = Arc::new(Logs::new(OwnedFd::from(reader))?);
        let (ended, exit) = watch::channel(None);
        let ender = child.ender();
        let keeper = tokio::spawn(async move {
            let status = child.wait().await.ok();
            ended.send_replace(Some(Exit(status)));
        });
        let reading = tokio::spawn({
            let logs = Arc::clone(&logs);
            async move { logs.read().await }
        });
        Ok(Self {
            desk,
            logs,
            pid: ran.pid,
            ender,
            exit,
            keeper,
            serving,
            reading,
        })
    }

    /// Tells whether the process lives.
    pub fn is_alive(&self) -> bool {
        self.exit.borrow().is_none()
    }

    /// Tells whether the process ever asked for work.
    pub fn has_begun(&self) -> bool {
        self.desk.has_begun()
    }

    /// Returns the process id.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Lets the process do an invocation, and shows its log to a task meanwhile.
    pub async fn run(
        &mut self,
        invocation: Invocation,
        function: &ProcessFunction,
        reports: Option<Reports>,
        cancelled: impl Future<Output = ()>,
    ) -> Ran {
        self.logs.begin(reports);
        let (taken, mut is_taken) = oneshot::channel();
        let (outcome, mut told) = oneshot::channel();
        self.desk.give(Work {
            invocation,
            timeout: function.timeout,
            taken,
            outcome,
        });
        let mut deadline = Instant::now() + function.begin_time_max + function.timeout;
        let mut waits = true;
        let mut exit = self.exit.clone();
        tokio::pin!(cancelled);
        loop {
            tokio::select! {
                biased;
                Ok(outcome) = &mut told => return Ran::Told(outcome),
                taken = &mut is_taken, if waits => {
                    waits = false;
                    if let Ok(taken) = taken {
                        deadline = taken + function.timeout;
                    }
                }
                () = &mut cancelled => return Ran::Cancelled,
                ended = exit.wait_for(Option::is_some) => {
                    let exit = ended.ok().and_then(|exit| *exit).unwrap_or(Exit(None));
                    return Ran::Exited { exit, is_taken: !waits };
                }
                () = tokio::time::sleep_until(deadline) => return Ran::TimedOut,
            }
        }
    }

    /// Stops showing the log. Returns its end.
    pub fn finish_log(&self) -> Vec<u8> {
        self.logs.finish()
    }

    /// Returns the last words of a process that has ended.
    pub async fn last_words(&mut self) -> String {
        let _ = tokio::time::timeout(DRAIN_TIME_MAX, &mut self.reading).await;
        String::from_utf8_lossy(&self.logs.tail()).into_owned()
    }

    /// Kills the process and everything it started. Returns when nothing of it is left.
    pub async fn end(self) {
        if self.is_alive() {
            self.ender.kill();
        }
        let _ = self.keeper.await;
        for task in [self.serving, self.reading] {
            if !task.is_finished() {
                task.abort();
                // Its descriptors are closed then.
                let _ = task.await;
            }
        }
    }
}

fn spec(function: &ProcessFunction, name: &FunctionName, api: &str) -> io::Result<Spec> {
    let text = |argument: OsString| argument.into_string().map_err(|_| io::ErrorKind::InvalidInput.into());
    let argv = function.runtime.argv(function).into_iter().map(text);
    Ok(Spec {
        argv: argv.collect::<io::Result<_>>()?,
        stdin: Vec::new(),
        env: environment(function, name, api).into_iter().collect(),
        cwd: Some(function.code.clone()),
        stdout: Keep::All(0),
        stderr_bytes_max: process::STDERR_BYTES_MAX,
        log_stderr: false,
        at_loss: AtLoss::End,
        credentials: Vec::new(),
    })
}

/// What Lambda tells a function, without credentials, and what the mapping adds.
fn environment(function: &ProcessFunction, name: &FunctionName, api: &str) -> Vec<(String, String)> {
    let region = name.arn.split(':').nth(3).unwrap_or_default();
    let path = std::env::var("PATH").unwrap_or_else(|_| "/usr/local/bin:/usr/bin:/bin".to_owned());
    let version = name.executed_version();
    let mut variables = vec![
        ("PATH".to_owned(), path),
        ("LANG".to_owned(), "C.UTF-8".to_owned()),
        ("TZ".to_owned(), ":UTC".to_owned()),
    ];
    variables.extend(
        function
            .environment
            .iter()
            .map(|(name, value)| (name.clone(), value.clone())),
    );
    let mut tell = |name: &str, value: &str| variables.push((name.to_owned(), value.to_owned()));
    tell("_HANDLER", &function.handler);
    tell("AWS_DEFAULT_REGION", region);
    tell("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", &function.memory.to_string());
    tell("AWS_LAMBDA_FUNCTION_NAME", &name.name);
    tell("AWS_LAMBDA_FUNCTION_VERSION", version);
    tell("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand");
    tell("AWS_LAMBDA_LOG_GROUP_NAME", &format!("/aws/lambda/{}", name.name));
    tell("AWS_LAMBDA_LOG_STREAM_NAME", &format!("local/[{version}]"));
    tell("AWS_LAMBDA_RUNTIME_API", api);
    tell("AWS_REGION", region);
    tell("LAMBDA_TASK_ROOT", &function.code.to_string_lossy());
    if let Some(runtime) = function.runtime.execution_environment() {
        tell("AWS_EXECUTION_ENV", &runtime);
    }
    variables
}

impl Exit {
    /// Says how the process ended, in Lambda's words.
    pub fn describe(self) -> String {
        const SIGNALS: &[(i32, &str)] = &[
            (1, "hangup"),
            (2, "interrupt"),
            (3, "quit"),
            (4, "illegal instruction"),
            (5, "trace/breakpoint trap"),
            (6, "aborted"),
            (7, "bus error"),
            (8, "floating point exception"),
            (9, "killed"),
            (11, "segmentation fault"),
            (13, "broken pipe"),
            (14, "alarm clock"),
            (15, "terminated"),
        ];
        let Some(status) = self.0 else {
            return "Runtime exited without providing a reason".to_owned();
        };
        let reason = match (status.code(), status.signal()) {
            (Some(0), _) | (None, None) => return "Runtime exited without providing a reason".to_owned(),
            (Some(code), _) => format!("exit status {code}"),
            (None, Some(signal)) => {
                let core = if status.core_dumped() { " (core dumped)" } else { "" };
                match SIGNALS.iter().find(|(number, _)| *number == signal) {
                    Some((_, name)) => format!("signal: {name}{core}"),
                    None => format!("signal: signal {signal}{core}"),
                }
            }
        };
        format!("Runtime exited with error: {reason}")
    }
}
