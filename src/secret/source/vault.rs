//! `kind = "vault"`: the key-value store, version 2, of HashiCorp Vault or OpenBao.

use std::net::IpAddr;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::StatusCode;
use reqwest::Url;
use reqwest::header::HeaderValue;
use reqwest::redirect::Policy;
use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::Deserialize;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::secret::reference::Reference;
use crate::secret::source::Source;
use crate::secret::source::file;
use crate::secret::source::file::Rule;
use crate::secret::source::own_keys;
use crate::secret::value::BYTES_MAX;
use crate::secret::value::Secret;
use crate::secret::value::Wiped;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Longest answer: all fields of one secret, escaped.
const ANSWER_BYTES_MAX: usize = 1 << 20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    address: String,
    token_file: PathBuf,
    #[serde(default = "mount")]
    mount: String,
    #[serde(default = "field")]
    field: String,
    namespace: Option<String>,
    ca_file: Option<PathBuf>,
}

fn mount() -> String {
    "secret".to_owned()
}

fn field() -> String {
    "value".to_owned()
}

struct Vault {
    address: Url,
    token_file: PathBuf,
    mount: String,
    field: String,
    namespace: Option<HeaderValue>,
    ca_file: Option<PathBuf>,
}

pub(super) fn read(keys: toml::Table, directory: &Path) -> Result<Arc<dyn Source>, String> {
    let keys: Keys = own_keys(keys)?;
    let namespace = keys.namespace.map(|text| HeaderValue::from_str(&text));
    Ok(Arc::new(Vault {
        address: address(&keys.address)?,
        token_file: directory.join(keys.token_file),
        mount: keys.mount,
        field: keys.field,
        namespace: namespace
            .transpose()
            .map_err(|_| "`namespace` cannot stand in a header")?,
        ca_file: keys.ca_file.map(|path| directory.join(path)),
    }))
}

/// Reads the server's address. Without TLS the token would be shown to everybody on the way.
fn address(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("`address` is no URL: {error}"))?;
    let host = url.host_str().unwrap_or_default();
    let is_loopback = host == "localhost"
        || host
            .trim_matches(['[', ']'])
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback());
    if !url.username().is_empty() || url.password().is_some() {
        return Err("`address` must not hold a user or a password".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("`address` must end with the host, the port or a path".to_owned());
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback => Ok(url),
        "http" => {
            Err("`address` must begin with `https://`: only this machine itself may be asked without TLS".to_owned())
        }
        _ => Err("`address` must begin with `https://`".to_owned()),
    }
}

fn client(ca_file: Option<&Path>) -> Result<reqwest::Client, String> {
    let mut roots = RootCertStore::empty();
    match ca_file {
        Some(path) => {
            let cannot = |error: &dyn std::fmt::Display| format!("`{}` cannot be read: {error}", path.display());
            for certificate in CertificateDer::pem_file_iter(path).map_err(|error| cannot(&error))? {
                let certificate = certificate.map_err(|error| cannot(&error))?;
                roots.add(certificate).map_err(|error| cannot(&error))?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let broken = |error: &dyn std::fmt::Display| format!("no TLS can be set up: {error}");
    let tls = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| broken(&error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .timeout(TIMEOUT)
        .build()
        .map_err(|error| broken(&error))
}

impl Vault {
    fn url(&self, reference: &Reference) -> Url {
        let mut url = self.address.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push("v1");
            segments.extend(self.mount.split('/').filter(|part| !part.is_empty()));
            segments.push("data").extend(reference.name().split('/'));
        }
        url
    }

    fn field<'a>(&'a self, reference: &'a Reference) -> &'a str {
        reference.field().unwrap_or(&self.field)
    }

    /// Reads the token and what the client trusts, as they are now.
    async fn prepare(&self) -> Result<(reqwest::Client, HeaderValue), String> {
        let (token_file, ca_file) = (self.token_file.clone(), self.ca_file.clone());
        let read = tokio::task::spawn_blocking(move || {
            let (Some(directory), Some(name)) =
                (token_file.parent(), token_file.file_name().and_then(|it| it.to_str()))
            else {
                return Err(format!("`{}` names no file", token_file.display()));
            };
            let token = file::read_file(directory, name, Rule::OwnerOnly, true)?;
            Ok((client(ca_file.as_deref())?, token))
        });
        let (client, token) = read
            .await
            .map_err(|error| error.to_string())?
            .map_err(|why: String| format!("its token or its certificates cannot be had: {why}"))?;
        let mut token =
            HeaderValue::from_bytes(token.expose()).map_err(|_| "its token cannot stand in a header".to_owned())?;
        token.set_sensitive(true);
        Ok((client, token))
    }

    /// Asks the server, and returns its whole answer.
    async fn ask(&self, reference: &Reference) -> Result<Wiped, String> {
        let (client, token) = self.prepare().await?;
        let mut request = client.get(self.url(reference)).header("X-Vault-Token", token);
        if let Some(namespace) = &self.namespace {
            request = request.header("X-Vault-Namespace", namespace.clone());
        }
        let failed = |error: reqwest::Error| match error.is_timeout() {
            true => format!("the server does not answer in {} seconds", TIMEOUT.as_secs()),
            false => format!("the server cannot be asked: {}", root_of(&error)),
        };
        let mut response = request.send().await.map_err(failed)?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Err("there is no such secret, or its last version is deleted".to_owned()),
            StatusCode::FORBIDDEN => return Err("the token may not read it, or is not valid any more".to_owned()),
            status => return Err(format!("the server answers with status code {}", status.as_u16())),
        }
        let mut body = Zeroizing::new(Vec::with_capacity(ANSWER_BYTES_MAX));
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if ANSWER_BYTES_MAX < body.len() + chunk.len() {
                return Err(format!("the answer has more than {ANSWER_BYTES_MAX} bytes"));
            }
            body.extend_from_slice(&chunk);
        }
        // The parser's error would show a piece of the answer.
        let value = serde_json::from_slice(&body).map_err(|_| "the answer is not JSON".to_owned())?;
        Ok(Wiped(value))
    }
}

/// The innermost reason of a failed request; the outer ones hold the address.
fn root_of(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

#[async_trait]
impl Source for Vault {
    async fn get(&self, reference: &Reference) -> Result<Secret, String> {
        let answer = self.ask(reference).await?;
        let field = self.field(reference);
        match answer.0.pointer("/data/data").and_then(|data| data.get(field)) {
            Some(Value::String(text)) if BYTES_MAX < text.len() => Err(format!("it has more than {BYTES_MAX} bytes")),
            Some(Value::String(text)) => {
                let version = answer.0.pointer("/data/metadata/version").map(Value::to_string);
                Ok(Secret::new(text.clone().into_bytes(), version))
            }
            Some(_) => Err(format!("its field `{field}` is no text")),
            None => Err(format!("it has no field `{field}`")),
        }
    }

    fn place(&self, reference: &Reference) -> String {
        format!("`{}` at {}", self.field(reference), self.url(reference))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_asked_without_tls() {
        for (text, expected) in [
            ("https://vault.example:8200", true),
            ("http://127.0.0.1:8200", true),
            ("http://[::1]:8200/base/", true),
            ("http://localhost", true),
            ("http://vault.example", false),
            ("http://localhost.example", false),
            ("https://user:password@vault.example", false),
            ("https://vault.example?x", false),
            ("ftp://vault.example", false),
            ("vault", false),
        ] {
            assert_eq!(address(text).is_ok(), expected, "{text}");
        }
    }
}
