//! The HTTP server: loopback and a Unix socket.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use http_body_util::Full;
use http_body_util::Limited;
use hyper::Method;
use hyper::Request;
use hyper::Response;
use hyper::StatusCode;
use hyper::body::Bytes;
use hyper::body::Incoming;
use hyper::header::CACHE_CONTROL;
use hyper::header::HeaderValue;
use hyper::http::request::Parts;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::rt::TokioTimer;
use serde_json::Value;
use serde_json::json;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::sync::Semaphore;
use tokio::sync::watch;

use crate::api::Api;
use crate::api::action;
use crate::api::error::ApiError;
use crate::api::metrics;
use crate::identity::caller::Caller;
use crate::identity::gate::Connection;
use crate::identity::gate::Mode;
use crate::identity::peer::Peer;
use crate::identity::refusal::Refusal;
use crate::identity::token::issuer;

/// Largest request body: AWS takes 1 MB in all.
const BODY_BYTES_MAX: usize = 1_572_864;
/// The answer to who asks whether the server lives.
const HEALTHY: &str = "{\"status\":\"ok\"}";
/// How long a client may take for its headers.
const HEADER_TIME_MAX: Duration = Duration::from_secs(30);
/// How long a client may take for its body.
const BODY_TIME_MAX: Duration = Duration::from_secs(60);
/// As long as `keyring::CACHE_SECONDS` says: a new key signs no earlier.
const CACHED: HeaderValue = HeaderValue::from_static("max-age=300");
/// How long a client may take to agree on TLS.
const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(10);
/// Connections of this machine that are open at the same time.
pub const CONNECTIONS_MAX: usize = 20_000;
/// The same for an address that other machines reach: each may hold a body in memory before anybody knows who sent it.
pub const REMOTE_CONNECTIONS_MAX: usize = 1_000;
/// The pause before a connection is accepted again when none could be.
const STARVED_PAUSE: Duration = Duration::from_millis(50);

/// Serves connections of one listener until `stop` says so, then waits for the requests that run.
///
/// `accept` returns what is known of the other end, and what has to happen before requests can be read: the handshake
/// of TLS, or nothing.
pub async fn serve<S, F, O>(
    api: Arc<Api>,
    n_connections_max: usize,
    accept: impl Fn() -> F,
    mut stop: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Future<Output = std::io::Result<(O, Peer)>>,
    O: Future<Output = std::io::Result<S>> + Send + 'static,
{
    let slots = Arc::new(Semaphore::new(n_connections_max));
    let graceful = hyper_util::server::graceful::GracefulShutdown::new();
    let mut is_starved = false;
    loop {
        let slot = tokio::select! {
            slot = Arc::clone(&slots).acquire_owned() => slot,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let Ok(slot) = slot else {
            break;
        };
        let stream = tokio::select! {
            stream = accept() => stream,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let (opening, peer) = match stream {
            Ok(accepted) => accepted,
            Err(error) if is_of_the_client(&error) => continue,
            Err(error) => {
                if !is_starved {
                    tracing::warn!(%error, "No connection can be accepted at the moment.");
                }
                is_starved = true;
                // Out of file descriptors, most likely: those that are open must end first.
                tokio::time::sleep(STARVED_PAUSE).await;
                continue;
            }
        };
        is_starved = false;
        let (api, watcher) = (Arc::clone(&api), graceful.watcher());
        api.n_connections.inc();
        tokio::spawn(async move {
            match tokio::time::timeout(HANDSHAKE_TIME_MAX, opening).await {
                Ok(Ok(stream)) => {
                    let (for_requests, connection) = (Arc::clone(&api), Arc::new(Connection::new(peer)));
                    let service = service_fn(move |request| {
                        let (api, connection) = (Arc::clone(&for_requests), Arc::clone(&connection));
                        async move { Ok::<_, Infallible>(answer(&api, &connection, request).await) }
                    });
                    let served = http1::Builder::new()
                        .timer(TokioTimer::new())
                        .header_read_timeout(HEADER_TIME_MAX)
                        .serve_connection(TokioIo::new(stream), service);
                    // A client that goes away is no error of ours.
                    let _ = watcher.watch(served).await;
                }
                Ok(Err(error)) => tracing::debug!(%peer, %error, "A connection could not be secured."),
                Err(_) => tracing::debug!(%peer, "A connection was not secured in time."),
            }
            api.n_connections.dec();
            drop(slot);
        });
    }
    graceful.shutdown().await;
}

/// Tells whether a connection was over before it was accepted.
fn is_of_the_client(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::NotConnected
    )
}

async fn answer(api: &Api, connection: &Connection, request: Request<Incoming>) -> Response<Full<Bytes>> {
    if request.headers().contains_key("origin") {
        // Only browsers send it. A page from anywhere can reach the loopback address and, with a name of its own
        // that leads here, pass for the same origin; what it starts would run commands on this machine.
        return plain(
            StatusCode::FORBIDDEN,
            "text/plain",
            "web pages may not call this server\n",
        );
    }
    let is_remote = matches!(connection.peer, Peer::Remote { .. });
    match (request.method(), request.uri().path()) {
        (&Method::POST, "/") => {}
        (&Method::GET, "/health") if is_remote => {}
        (&Method::GET, "/health") => return health(api),
        (&Method::GET, "/metrics") if matches!(api.gate.mode(), Mode::Dev { .. }) => {
            return plain(StatusCode::OK, metrics::CONTENT_TYPE, api.metrics());
        }
        (&Method::GET, "/metrics" | "/whoami") => {}
        (_, "/" | "/health" | "/metrics" | "/whoami") => {
            return plain(StatusCode::METHOD_NOT_ALLOWED, "text/plain", "method not allowed\n");
        }
        (&Method::GET, path @ (issuer::DISCOVERY_PATH | issuer::KEYS_PATH)) => return published(api, path).await,
        _ => return plain(StatusCode::NOT_FOUND, "text/plain", "not found\n"),
    }
    let header = |name: &str| {
        let value = request.headers().get(name)?.to_str().ok()?;
        Some(value.to_owned())
    };
    let (target, trace) = (header("x-amz-target"), header("x-amzn-trace-id"));
    let (head, body) = request.into_parts();
    let admitted = admit(api, connection, &head, body).await;
    let answer = match (admitted, head.uri.path()) {
        (Ok((caller, body)), "/") => api.call(caller, target.as_deref(), trace.as_deref(), &body).await,
        (Ok(_), "/health") => return health(api),
        (Ok(_), "/metrics") => return plain(StatusCode::OK, metrics::CONTENT_TYPE, api.metrics()),
        (Ok((caller, _)), _) => Ok(who(api, &caller)),
        (Err(error), _) => Err(error),
    };
    if let Err(error) = &answer {
        // Neither message nor body: both hold what clients sent.
        let (error, source) = (error, error.source.as_deref());
        let operation = target
            .as_deref()
            .and_then(|target| action::find(target.split_once('.')?.1));
        let operation = operation.map_or("unknown", |action| action.name);
        match error.status {
            500.. => tracing::error!(operation, error = error.name, source, "A request failed."),
            _ => tracing::debug!(operation, error = error.name, source, "A request was refused."),
        }
    }
    let (status, body, error) = match answer {
        Ok(body) => (StatusCode::OK, body, None),
        Err(error) => {
            let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            (status, error.body(), Some(error.name))
        }
    };
    let mut response = Response::builder()
        .status(status)
        .header("content-type", "application/x-amz-json-1.0")
        .header("x-amzn-requestid", api.host.uuid());
    if let Some(error) = error {
        response = response.header("x-amzn-errortype", error);
    }
    response
        .body(Full::new(Bytes::from(body.to_string())))
        .expect("the headers are well-formed")
}

/// Tells everybody how to verify the tokens that states get: nothing of it is secret.
async fn published(api: &Api, path: &str) -> Response<Full<Bytes>> {
    let (host, path) = (Arc::clone(&api.host), path.to_owned());
    let read = tokio::task::spawn_blocking(move || host.published(&path)).await;
    match read {
        Ok(Some(Ok(document))) => {
            let mut response = plain(StatusCode::OK, "application/json", document.to_string());
            response.headers_mut().insert(CACHE_CONTROL, CACHED);
            response
        }
        Ok(None) => plain(StatusCode::NOT_FOUND, "text/plain", "not found\n"),
        Ok(Some(Err(error))) => {
            tracing::error!(error, "The keys of tokens cannot be published.");
            plain(
                StatusCode::INTERNAL_SERVER_ERROR,
                "text/plain",
                "the keys cannot be read\n",
            )
        }
        Err(_) => plain(
            StatusCode::INTERNAL_SERVER_ERROR,
            "text/plain",
            "the keys cannot be read\n",
        ),
    }
}

/// Reads a request's body and finds out who sent it.
async fn admit(
    api: &Api,
    connection: &Connection,
    head: &Parts,
    body: Incoming,
) -> Result<(Arc<Caller>, Bytes), ApiError> {
    let refused = |refusal: Refusal| {
        let uid = connection.peer.uid();
        tracing::warn!(peer = %connection.peer, uid, error = refusal.name, why = refusal.message, "A caller was refused.");
        ApiError::from(refusal)
    };
    api.gate.greet(connection, head).map_err(refused)?;
    let body = Limited::new(body, BODY_BYTES_MAX).collect();
    let body = match tokio::time::timeout(BODY_TIME_MAX, body).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(_)) => {
            return Err(ApiError {
                status: 413,
                ..ApiError::new("RequestEntityTooLargeException", "The request is larger than 1 MB.")
            });
        }
        Err(_) => {
            return Err(ApiError {
                status: 408,
                ..ApiError::new("RequestTimeoutException", "The request did not arrive in time.")
            });
        }
    };
    let caller = api.gate.admit(connection, head, &body).await.map_err(refused)?;
    Ok((caller, body))
}

/// Says as whom a caller is known: `{"principal": {…}, "groups": […], "auth": "dev"}`.
fn who(api: &Api, caller: &Caller) -> Value {
    json!({ "principal": *caller.principal, "groups": caller.groups, "auth": api.gate.mode().name() })
}

/// Tells whether work can be started.
fn health(api: &Api) -> Response<Full<Bytes>> {
    match api.host.audit_trouble() {
        None => plain(StatusCode::OK, "application/json", HEALTHY),
        Some(trouble) => {
            let body = serde_json::json!({ "status": "degraded", "audit": trouble.to_string() });
            plain(StatusCode::SERVICE_UNAVAILABLE, "application/json", body.to_string())
        }
    }
}

fn plain(status: StatusCode, kind: &str, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    Response::builder()
        .status(status)
        .header("content-type", kind)
        .body(Full::new(text.into()))
        .expect("the headers are well-formed")
}
