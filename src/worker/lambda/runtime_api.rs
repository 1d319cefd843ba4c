//! Lambda's Runtime API for one process: it asks for work here, and gives what came of it.
//!
//! Source: AWS Lambda developer guide, "Using the Lambda runtime API", version 2018-06-01.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use http_body_util::BodyExt;
use http_body_util::Full;
use http_body_util::Limited;
use hyper::Method;
use hyper::Request;
use hyper::Response;
use hyper::StatusCode;
use hyper::body::Bytes;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::worker::lambda::answer;
use crate::worker::lambda::request::Invocation;

/// The largest answer of a function, as Lambda has it.
pub const RESPONSE_BYTES_MAX: usize = 6_291_556;

const ROOT: &str = "/2018-06-01/runtime/";

/// What came of an invocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The handler's result.
    Response(Bytes),
    /// The handler's error.
    Error(Bytes),
    /// The process could not begin: its error.
    InitError(Bytes),
    /// The answer was larger than [`RESPONSE_BYTES_MAX`].
    TooLarge,
}

/// An invocation for the process.
pub struct Work {
    /// What is asked.
    pub invocation: Invocation,
    /// How long it may take, from when it is taken.
    pub timeout: Duration,
    /// Hears when it is taken.
    pub taken: oneshot::Sender<Instant>,
    /// Hears what came of it.
    pub outcome: oneshot::Sender<Outcome>,
}

/// Where one process and those who give it work meet.
#[derive(Default)]
pub struct Desk {
    inner: Mutex<Inner>,
    has_work: Notify,
}

#[derive(Default)]
struct Inner {
    /// Not taken yet.
    waiting: Option<Work>,
    /// Taken: its id, and who hears what comes of it.
    taken: Option<(String, oneshot::Sender<Outcome>)>,
    /// The process asked for work at least once.
    has_begun: bool,
    init_error: Option<Bytes>,
}

impl Desk {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the process work. It has none: one invocation at a time.
    pub fn give(&self, work: Work) {
        let mut inner = self.inner();
        match inner.init_error.clone() {
            Some(error) => {
                let _ = work.outcome.send(Outcome::InitError(error));
            }
            None => inner.waiting = Some(work),
        }
        drop(inner);
        self.has_work.notify_one();
    }

    /// Tells whether the process ever asked for work.
    pub fn has_begun(&self) -> bool {
        self.inner().has_begun
    }

    /// Serves the process on a port of its own, until the returned task is aborted.
    ///
    /// # Errors
    /// There is no port.
    pub async fn serve(self: &Arc<Self>) -> io::Result<(SocketAddr, tokio::task::JoinHandle<()>)> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let desk = Arc::clone(self);
        let serving = tokio::spawn(async move {
            // Dropped with this task: a connection never outlives it.
            let mut connections = JoinSet::new();
            loop {
                let Ok((stream, _)) = listener.accept().await else {
                    // Out of descriptors: others will be closed.
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    continue;
                };
                while connections.try_join_next().is_some() {}
                let _ = stream.set_nodelay(true);
                let desk = Arc::clone(&desk);
                connections.spawn(async move {
                    let answer = service_fn(|request| {
                        let desk = Arc::clone(&desk);
                        async move { Ok::<_, Infallible>(desk.answer(request).await) }
                    });
                    let _ = http1::Builder::new()
                        // Errors of functions come with headers of up to a megabyte.
                        .max_buf_size(2 << 20)
                        // As Lambda writes them: shell scripts look for them.
                        .title_case_headers(true)
                        .serve_connection(TokioIo::new(stream), answer)
                        .await;
                });
            }
        });
        Ok((address, serving))
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let path = request.uri().path().to_owned();
        let rest = path.strip_prefix(ROOT).unwrap_or_default();
        let parts: Vec<&str> = rest.split('/').collect();
        match (request.method(), parts.as_slice()) {
            (&Method::GET, ["invocation", "next"]) => self.next().await,
            (&Method::POST, ["invocation", id, "response"]) => match body(request).await {
                Some(body) => self.close(id, Outcome::Response(body)),
                None => {
                    self.close(id, Outcome::TooLarge);
                    refuse(
                        StatusCode::PAYLOAD_TOO_LARGE,
                        "RequestEntityTooLarge",
                        "The answer is too large.",
                    )
                }
            },
            (&Method::POST, ["invocation", id, "error"]) => match body(request).await {
                Some(body) => self.close(id, Outcome::Error(body)),
                None => self.close(id, Outcome::TooLarge),
            },
            (&Method::POST, ["init", "error"]) => {
                let body = body(request).await.unwrap_or_default();
                self.fail_init(body)
            }
            _ => refuse(
                StatusCode::NOT_FOUND,
                "NotFound",
                "The Runtime API has no such resource.",
            ),
        }
    }

    async fn next(&self) -> Response<Full<Bytes>> {
        loop {
            {
                let mut inner = self.inner();
                inner.has_begun = true;
                if inner.taken.is_some() {
                    return refuse(
                        StatusCode::FORBIDDEN,
                        "InvalidStateTransition",
                        "The invocation before has no answer yet.",
                    );
                }
                if let Some(work) = inner.waiting.take() {
                    inner.taken = Some((work.invocation.request_id.clone(), work.outcome));
                    drop(inner);
                    let _ = work.taken.send(Instant::now());
                    return offer(&work.invocation, work.timeout);
                }
            }
            self.has_work.notified().await;
        }
    }

    fn close(&self, id: &str, outcome: Outcome) -> Response<Full<Bytes>> {
        let taken = self.inner().taken.take_if(|(taken, _)| taken == id);
        match taken {
            Some((_, hears)) => {
                let _ = hears.send(outcome);
                accepted()
            }
            None => refuse(
                StatusCode::BAD_REQUEST,
                "InvalidRequestID",
                "No invocation with this id is open.",
            ),
        }
    }

    fn fail_init(&self, error: Bytes) -> Response<Full<Bytes>> {
        let mut inner = self.inner();
        if inner.has_begun {
            return refuse(
                StatusCode::FORBIDDEN,
                "InvalidStateTransition",
                "The runtime has begun already.",
            );
        }
        inner.init_error = Some(error.clone());
        if let Some(work) = inner.waiting.take() {
            let _ = work.outcome.send(Outcome::InitError(error));
        }
        accepted()
    }
}

/// Reads a body; `None` when it is too large.
async fn body(request: Request<Incoming>) -> Option<Bytes> {
    let body = Limited::new(request.into_body(), RESPONSE_BYTES_MAX).collect().await;
    Some(body.ok()?.to_bytes())
}

fn offer(invocation: &Invocation, timeout: Duration) -> Response<Full<Bytes>> {
    let request = &invocation.request;
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let deadline = (since_epoch + timeout).as_millis().to_string();
    let arn = match &request.name.qualifier {
        Some(qualifier) => format!("{}:{qualifier}", request.name.arn),
        None => request.name.arn.clone(),
    };
    let trace_id = answer::trace_id(&invocation.request_id);
    let mut response = Response::builder()
        .header("Content-Type", "application/json")
        .header("Lambda-Runtime-Aws-Request-Id", &invocation.request_id)
        .header("Lambda-Runtime-Deadline-Ms", deadline)
        .header("Lambda-Runtime-Invoked-Function-Arn", arn)
        .header("Lambda-Runtime-Trace-Id", format!("Root={trace_id};Sampled=0"));
    if let Some(context) = &request.client_context {
        response = response.header("Lambda-Runtime-Client-Context", context);
    }
    response.body(Full::new(request.payload.clone())).unwrap_or_else(|_| {
        refuse(
            StatusCode::INTERNAL_SERVER_ERROR,
            "Unusable",
            "A header cannot be sent.",
        )
    })
}

fn accepted() -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(br#"{"status":"OK"}"#)));
    *response.status_mut() = StatusCode::ACCEPTED;
    response
}

fn refuse(status: StatusCode, error_type: &str, message: &str) -> Response<Full<Bytes>> {
    let body = json!({ "errorMessage": message, "errorType": error_type }).to_string();
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response
}
