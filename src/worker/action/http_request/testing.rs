//! For tests: a server on this machine.

use std::convert::Infallible;
use std::sync::Arc;

use http_body_util::BodyExt;
use http_body_util::Full;
use hyper::Request;
use hyper::Response;
use hyper::body::Bytes;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// What a server got: method, path with query, headers, body.
pub(in crate::worker::action) struct Got {
    pub(in crate::worker::action) method: String,
    pub(in crate::worker::action) path: String,
    pub(in crate::worker::action) headers: hyper::HeaderMap,
    pub(in crate::worker::action) body: String,
}

pub(in crate::worker::action) type Answering = fn(&Got) -> Response<Full<Bytes>>;

/// A server that answers until the runtime ends.
pub(in crate::worker::action) struct Server {
    pub(in crate::worker::action) port: u16,
    /// The certificate of a server with TLS, as PEM.
    pub(in crate::worker::action) certificate: String,
}

impl Server {
    pub(in crate::worker::action) async fn plain(answer: Answering) -> Self {
        Self::start(answer, None, String::new()).await
    }

    /// Makes a server whose certificate is for a name.
    pub(in crate::worker::action) async fn with_tls(answer: Answering, name: &str) -> Self {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        let key = rustls::pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key.into())
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Self::start(answer, Some(acceptor), made.cert.pem()).await
    }

    async fn start(answer: Answering, acceptor: Option<TlsAcceptor>, certificate: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let service = service_fn(move |request| serve(request, answer));
                    match acceptor {
                        None => {
                            let _ = http1::Builder::new()
                                .serve_connection(TokioIo::new(stream), service)
                                .await;
                        }
                        Some(acceptor) => {
                            if let Ok(stream) = acceptor.accept(stream).await {
                                let _ = http1::Builder::new()
                                    .serve_connection(TokioIo::new(stream), service)
                                    .await;
                            }
                        }
                    }
                });
            }
        });
        Self { port, certificate }
    }
}

async fn serve(request: Request<Incoming>, answer: Answering) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    Ok(answer(&Got {
        method: head.method.to_string(),
        path: head.uri.to_string(),
        headers: head.headers,
        body: String::from_utf8_lossy(&body).into_owned(),
    }))
}

pub(in crate::worker::action) fn response(
    status: u16,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(Full::new(body.into())).unwrap()
}
