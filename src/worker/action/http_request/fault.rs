//! The error names of requests, and which of them a failed one has.

use std::error::Error;
use std::fmt::Write;

use crate::model::states_error::StatesError;
use crate::worker::action::facts::ErrorName;

pub(super) const CA_FILE: ErrorName = ErrorName::lasting(
    "Http.CaFile",
    "`CaFile` cannot be read, or holds no certificate in PEM.",
);
pub(super) const INVALID_PARAMETERS: ErrorName =
    ErrorName::lasting("Http.InvalidParameters", "The parameters are not as above.");
pub(super) const REDIRECT_REFUSED: ErrorName = ErrorName::lasting(
    "Http.RedirectRefused",
    "The server redirects too often, from https to http, or a request with a body to another server.",
);
pub(super) const SOCKET: ErrorName = ErrorName::passing(
    "Http.Socket",
    "The server cannot be reached, or the connection broke off.",
);
pub(super) const STATUS_CODE: &str = "Http.StatusCode";
pub(super) const TIMED_OUT: ErrorName =
    ErrorName::passing("Http.TimedOut", "The whole answer did not come in `TimeoutSeconds`.");
pub(super) const TLS: ErrorName = ErrorName::lasting(
    "Http.Tls",
    "The server's certificate is not trusted, not for this host or not valid now; or no cipher suits both.",
);

/// Makes the error of a known name.
pub(super) fn fault(name: &ErrorName, cause: impl Into<String>) -> StatesError {
    StatesError::new(name.name, cause.into())
}

/// Makes the error of a request that got no answer: `server` is the URL's scheme, host and path.
pub(super) fn of_request(error: reqwest::Error, server: &str) -> StatesError {
    // The URL may hold secrets in its query.
    let error = error.without_url();
    let mut tls = None;
    let mut why = String::new();
    let mut next: Option<&(dyn Error + 'static)> = Some(&error);
    while let Some(error) = next {
        tls = tls.or_else(|| error.downcast_ref::<rustls::Error>());
        let text = error.to_string();
        if !why.contains(&text) {
            let separator = if why.is_empty() { "" } else { ": " };
            let _ = write!(why, "{separator}{text}");
        }
        // The `source` of an error of the system leaves out the error that it wraps.
        let wrapped = error
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref)
            .map(|wrapped| wrapped as &(dyn Error + 'static));
        next = wrapped.or_else(|| error.source());
    }
    match tls {
        Some(tls) => fault(&TLS, format!("No TLS with {server}: {tls}.")),
        None if error.is_builder() => fault(&INVALID_PARAMETERS, format!("No request can be made: {why}.")),
        None => fault(&SOCKET, format!("No answer from {server}: {why}.")),
    }
}
