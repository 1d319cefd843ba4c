//! The warm processes of one function.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use hyper::body::Bytes;
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::model::states_error::StatesError;
use crate::worker::Reports;
use crate::worker::lambda::answer;
use crate::worker::lambda::answer::Answer;
use crate::worker::lambda::function::ProcessFunction;
use crate::worker::lambda::instance::Instance;
use crate::worker::lambda::instance::Ran;
use crate::worker::lambda::request::Invocation;
use crate::worker::lambda::request::Request;
use crate::worker::lambda::runtime_api::Outcome;
use crate::worker::lambda::runtime_api::RESPONSE_BYTES_MAX;
use crate::worker::nursery::Nursery;
use crate::worker::process;

/// The error of a process that cannot be started for a reason of this machine.
const START_FAILED: &str = "Debian.LambdaStartFailed";

/// The processes of a function: started on demand, as many as are needed at the same time, stopped when idle.
pub struct Pool {
    function: ProcessFunction,
    nursery: Arc<Nursery>,
    permits: Semaphore,
    shelf: Mutex<Shelf>,
}

/// The processes that wait for work, the last used one at the end.
#[derive(Default)]
struct Shelf {
    idle: Vec<(Instant, Instance)>,
    /// Somebody stops those that wait too long.
    is_watched: bool,
}

impl Pool {
    /// Makes a pool without processes.
    pub fn new(function: ProcessFunction, nursery: Arc<Nursery>) -> Self {
        Self {
            permits: Semaphore::new(function.concurrency),
            function,
            nursery,
            shelf: Mutex::default(),
        }
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Invokes the function and waits for what it gives.
    ///
    /// # Errors
    /// No process can be started; the pair is empty when it was cancelled.
    pub async fn invoke(
        self: &Arc<Self>,
        request: Arc<Request>,
        reports: Option<Reports>,
        cancelled: impl Future<Output = ()>,
    ) -> Result<Answer, StatesError> {
        tokio::pin!(cancelled);
        let _permit = tokio::select! {
            permit = self.permits.acquire() => permit,
            () = &mut cancelled => return Err(StatesError::default()),
        };
        let invocation = Invocation {
            request_id: answer::fresh_uuid(),
            request,
        };
        loop {
            let (mut instance, is_warm) = match self.take_idle() {
                Some(instance) => (instance, true),
                None => (self.start(&invocation.request, reports.as_ref()).await?, false),
            };
            let begin = Instant::now();
            let ran = instance
                .run(invocation.clone(), &self.function, reports.clone(), &mut cancelled)
                .await;
            let tail = instance.finish_log();
            let is_told = matches!(ran, Ran::Told(Outcome::Response(_) | Outcome::Error(_)));
            let id = &invocation.request_id;
            let (is_function_error, body) = match ran {
                Ran::Told(Outcome::Response(body)) => (false, body),
                Ran::Told(Outcome::Error(body) | Outcome::InitError(body)) => (true, body),
                Ran::Told(Outcome::TooLarge) => (
                    true,
                    error_body(
                        "Function.ResponseSizeTooLarge",
                        &format!(
                            "Response payload size exceeded maximum allowed payload size ({RESPONSE_BYTES_MAX} bytes)."
                        ),
                    ),
                ),
                Ran::Exited { is_taken: false, .. } if is_warm => {
                    // It ended while it was idle: the invocation goes to another one.
                    instance.end().await;
                    continue;
                }
                Ran::Exited { exit, .. } => {
                    if !instance.has_begun() {
                        let last_words = instance.last_words().await;
                        self.check_missing(&last_words)?;
                    }
                    let message = format!("RequestId: {id} Error: {}", exit.describe());
                    (true, error_body("Runtime.ExitError", &message))
                }
                Ran::TimedOut => {
                    let seconds = self.function.timeout.as_secs_f64();
                    let message = format!("RequestId: {id} Error: Task timed out after {seconds:.2} seconds");
                    (true, error_body("Sandbox.Timedout", &message))
                }
                Ran::Cancelled => {
                    instance.end().await;
                    return Err(StatesError::default());
                }
            };
            let log = invocation
                .request
                .wants_log
                .then(|| self.log(&invocation, &instance, &tail, begin));
            match is_told && instance.is_alive() {
                true => self.put_back(instance),
                false => instance.end().await,
            }
            return Ok(Answer {
                status: 200,
                is_function_error,
                executed_version: Some(invocation.request.name.executed_version().to_owned()),
                log,
                request_id: invocation.request_id.clone(),
                body,
            });
        }
    }

    fn take_idle(&self) -> Option<Instance> {
        let (_, instance) = self.shelf().idle.pop()?;
        Some(instance)
    }

    async fn start(&self, request: &Request, reports: Option<&Reports>) -> Result<Instance, StatesError> {
        let claim = reports.map(|reports| reports.claim().clone()).unwrap_or_default();
        let started = Instance::start(&self.function, &request.name, &self.nursery, &claim).await;
        started.map_err(|error| {
            StatesError::new(
                START_FAILED,
                format!(
                    "The function `{}` cannot be started with `{}`: {error}.",
                    request.name.name,
                    self.program()
                ),
            )
        })
    }

    fn program(&self) -> String {
        let argv = self.function.runtime.argv(&self.function);
        argv[0].to_string_lossy().into_owned()
    }

    fn check_missing(&self, last_words: &str) -> Result<(), StatesError> {
        match self.function.runtime.what_is_missing(&self.program(), last_words) {
            Some(cause) => Err(StatesError::new(START_FAILED, process::shorten(&cause))),
            None => Ok(()),
        }
    }

    fn put_back(self: &Arc<Self>, instance: Instance) {
        let mut shelf = self.shelf();
        shelf.idle.push((Instant::now(), instance));
        if !shelf.is_watched {
            shelf.is_watched = true;
            tokio::spawn(Arc::clone(self).stop_idle_ones());
        }
    }

    /// Stops processes that wait too long, until none waits.
    async fn stop_idle_ones(self: Arc<Self>) {
        loop {
            let (expired, next) = {
                let mut shelf = self.shelf();
                let now = Instant::now();
                let n_expired = shelf
                    .idle
                    .iter()
                    .take_while(|(since, _)| *since + self.function.idle <= now)
                    .count();
                let expired: Vec<_> = shelf.idle.drain(..n_expired).collect();
                let next = shelf.idle.first().map(|(since, _)| *since + self.function.idle);
                shelf.is_watched = next.is_some();
                (expired, next)
            };
            for (_, instance) in expired {
                instance.end().await;
            }
            match next {
                Some(next) => tokio::time::sleep_until(next).await,
                None => return,
            }
        }
    }

    /// Stops all processes that wait for work.
    pub async fn close(&self) {
        let idle = std::mem::take(&mut self.shelf().idle);
        for (_, instance) in idle {
            instance.end().await;
        }
    }

    /// Returns the log as `LogType: Tail` shows it.
    fn log(&self, invocation: &Invocation, instance: &Instance, tail: &[u8], begin: Instant) -> Bytes {
        let id = &invocation.request_id;
        let millis = begin.elapsed().as_secs_f64() * 1000.0;
        let version = invocation.request.name.executed_version();
        let mut log = format!("START RequestId: {id} Version: {version}\n").into_bytes();
        log.extend_from_slice(tail);
        if log.last() != Some(&b'\n') {
            log.push(b'\n');
        }
        let used = memory_used(instance.pid()).map_or(String::new(), |used| format!("Max Memory Used: {used} MB\t"));
        log.extend_from_slice(
            format!(
                "END RequestId: {id}\nREPORT RequestId: {id}\tDuration: {millis:.2} ms\tBilled Duration: {:.0} \
                 ms\tMemory Size: {} MB\t{used}\n",
                millis.ceil(),
                self.function.memory
            )
            .as_bytes(),
        );
        let extra = log.len().saturating_sub(4096);
        log.drain(..extra);
        Bytes::from(log)
    }
}

/// Returns the most memory that the process had, in MB.
fn memory_used(pid: i32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kilobytes.div_ceil(1024))
}

fn error_body(error_type: &str, message: &str) -> Bytes {
    Bytes::from(json!({ "errorType": error_type, "errorMessage": message }).to_string())
}
