//! One request and its answer, with redirects followed as far as it is safe.

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use reqwest::Method;
use reqwest::Url;
use reqwest::header::CONTENT_TYPE;
use reqwest::header::HeaderMap;
use reqwest::header::LOCATION;
use reqwest::redirect::Policy;
use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::model::states_error::StatesError;
use crate::worker::action::http_request::fault::CA_FILE;
use crate::worker::action::http_request::fault::INVALID_PARAMETERS;
use crate::worker::action::http_request::fault::REDIRECT_REFUSED;
use crate::worker::action::http_request::fault::SOCKET;
use crate::worker::action::http_request::fault::fault;
use crate::worker::action::http_request::fault::of_request;

/// Sends requests. Trusts the system's certificates, as they are when it is made.
#[derive(Clone, Debug)]
pub struct Client(reqwest::Client);

/// A request.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Such as `GET`.
    pub method: Method,
    /// Where to.
    pub url: Url,
    /// Sent with it.
    pub headers: HeaderMap,
    /// What it carries.
    pub body: Option<Vec<u8>>,
    /// How many redirects are followed; a further one is an answer when this is 0, else an error.
    pub redirects_max: usize,
    /// How much is read of the answer's body, in bytes.
    pub body_bytes_max: usize,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: reqwest::StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Vec<u8>,
}

impl Client {
    /// Makes a client that also trusts the certificates in a file.
    ///
    /// # Errors
    /// The file holds none, or there is no certificate at all.
    pub async fn new(ca_file: Option<PathBuf>) -> Result<Self, StatesError> {
        let roots = tokio::task::spawn_blocking(move || roots(ca_file.as_deref())).await;
        let roots = roots.map_err(|error| fault(&SOCKET, format!("No certificates: {error}.")))??;
        let broken = |error: &dyn std::fmt::Display| fault(&SOCKET, format!("No TLS can be set up: {error}."));
        let tls = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| broken(&error))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .referer(false)
            .user_agent(concat!("stepfn/", env!("CARGO_PKG_VERSION")))
            .build();
        client.map(Self).map_err(|error| broken(&error))
    }

    /// Sends a request, and reads the whole answer.
    ///
    /// # Errors
    /// There is no answer, or it is too large, or redirects lead where the request must not go.
    pub async fn send(&self, mut ask: Ask) -> Result<Answer, StatesError> {
        let mut n_redirects = 0;
        loop {
            let server = shown(&ask.url);
            let mut request = self
                .0
                .request(ask.method.clone(), ask.url.clone())
                .headers(ask.headers.clone());
            if let Some(body) = &ask.body {
                request = request.body(body.clone());
            }
            let failed = |error| of_request(error, &server);
            let mut response = request.send().await.map_err(failed)?;
            if let Some(target) = target(&ask.url, &response).filter(|_| 0 < ask.redirects_max) {
                n_redirects += 1;
                if ask.redirects_max < n_redirects {
                    let sentence = format!("{server} redirects once more after {} redirects.", ask.redirects_max);
                    return Err(fault(&REDIRECT_REFUSED, sentence));
                }
                redirect(&mut ask, response.status().as_u16(), target?)?;
                continue;
            }
            let mut body = Vec::new();
            while let Some(chunk) = response.chunk().await.map_err(failed)? {
                if ask.body_bytes_max < body.len() + chunk.len() {
                    return Err(StatesError::new(
                        "States.DataLimitExceeded",
                        format!("The answer of {server} has more than {} bytes.", ask.body_bytes_max),
                    ));
                }
                body.extend_from_slice(&chunk);
            }
            return Ok(Answer {
                status: response.status(),
                headers: response.headers().clone(),
                body,
            });
        }
    }
}

/// Reads a URL.
///
/// # Errors
/// It is none that can be asked.
pub fn url(text: &str, who: &str) -> Result<Url, StatesError> {
    // What stands in the URL may be secret, so it is not shown.
    let invalid = |why: &str| fault(&INVALID_PARAMETERS, format!("`Url` of {who} {why}."));
    let url = Url::parse(text).map_err(|error| invalid(&format!("is not a URL: {error}")))?;
    match url.scheme() {
        "http" | "https" if !url.username().is_empty() || url.password().is_some() => Err(invalid(
            "must not hold a user or a password: use the header `Authorization`",
        )),
        "http" | "https" => Ok(url),
        _ => Err(invalid("must begin with `http://` or `https://`")),
    }
}

/// A URL without what may be secret.
pub fn shown(url: &Url) -> String {
    format!("{}{}", url.origin().ascii_serialization(), url.path())
}

fn roots(ca_file: Option<&Path>) -> Result<RootCertStore, StatesError> {
    let mut roots = RootCertStore::empty();
    // A machine may have no certificates at all: then only `CaFile` counts, and plain HTTP still works.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = ca_file {
        let wrong = |why: String| fault(&CA_FILE, format!("`CaFile` `{}` {why}.", path.display()));
        let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let certificates = read.map_err(|error| wrong(format!("cannot be read: {error}")))?;
        if certificates.is_empty() {
            return Err(wrong("holds no certificate".to_owned()));
        }
        for certificate in certificates {
            roots
                .add(certificate)
                .map_err(|error| wrong(format!("holds a certificate that cannot be used: {error}")))?;
        }
    }
    Ok(roots)
}

/// Where an answer redirects to, if it does.
fn target(from: &Url, response: &reqwest::Response) -> Option<Result<Url, StatesError>> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = response.headers().get(LOCATION)?;
    let target = location.to_str().ok().and_then(|location| from.join(location).ok());
    Some(target.ok_or_else(|| {
        let sentence = format!("{} redirects to what is no URL.", shown(from));
        fault(&REDIRECT_REFUSED, sentence)
    }))
}

/// Turns a request to where it is redirected.
fn redirect(ask: &mut Ask, status: u16, target: Url) -> Result<(), StatesError> {
    let refused = |why: &str| {
        let sentence = format!("{} redirects to {}: {why}.", shown(&ask.url), shown(&target));
        Err(fault(&REDIRECT_REFUSED, sentence))
    };
    let becomes_get = match status {
        303 => ask.method != Method::HEAD,
        301 | 302 => ask.method == Method::POST,
        _ => false,
    };
    let is_elsewhere = target.origin() != ask.url.origin();
    match target.scheme() {
        "https" => {}
        "http" if ask.url.scheme() == "http" => {}
        "http" => return refused("nothing that was asked over TLS goes on without it"),
        _ => return refused("that is neither http nor https"),
    }
    if is_elsewhere && ask.body.is_some() && !becomes_get {
        return refused("the body is not sent to another server");
    }
    if becomes_get {
        ask.method = Method::GET;
        ask.body = None;
        ask.headers.remove(CONTENT_TYPE);
    }
    if is_elsewhere {
        // Any of them may be a secret of the first server.
        ask.headers.clear();
    }
    ask.url = target;
    Ok(())
}
