//! The keys of an OIDC issuer: fetched, kept, and fetched again when one is missing.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Url;
use ring::signature;
use ring::signature::RsaPublicKeyComponents;
use ring::signature::UnparsedPublicKey;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::model::timestamp::Timestamp;

/// How long keys are good without another look.
const FRESH_MILLIS: i64 = 600_000;
/// How long keys are good while the issuer does not answer.
const STALE_MILLIS: i64 = 86_400_000;
/// The pause after a look that failed.
const PAUSE_MILLIS: i64 = 10_000;
/// In this time each unknown key is looked for once, and so many in all.
const UNKNOWN_MILLIS: i64 = 60_000;
const UNKNOWN_MAX: usize = 5;
const KEYS_MAX: usize = 64;
const ANSWER_BYTES_MAX: usize = 262_144;
const CONNECT_TIME_MAX: Duration = Duration::from_secs(3);
const ANSWER_TIME_MAX: Duration = Duration::from_secs(5);

/// How a token may be signed. There is none with a shared secret, and none without a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[expect(missing_docs, reason = "the names are those of RFC 7518")]
pub enum Algorithm {
    ES256,
    ES384,
    EdDSA,
    PS256,
    PS384,
    PS512,
    RS256,
    RS384,
    RS512,
}

/// Where issuers are asked for their keys.
#[derive(Clone, Debug)]
pub(super) struct Client(reqwest::Client);

/// One issuer's keys.
#[derive(Debug)]
pub(super) struct Jwks {
    issuer: String,
    client: Client,
    kept: Mutex<Kept>,
    /// Whoever holds it asks the issuer.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Kept {
    keys: Arc<Vec<Key>>,
    fetched: Option<Timestamp>,
    failed: Option<Timestamp>,
    unknown: VecDeque<(Timestamp, Option<String>)>,
}

/// A public key.
#[derive(Debug)]
pub(super) struct Key {
    id: Option<String>,
    algorithm: Option<String>,
    public: Public,
}

#[derive(Debug)]
enum Public {
    Ed25519(Vec<u8>),
    P256(Vec<u8>),
    P384(Vec<u8>),
    Rsa { n: Vec<u8>, e: Vec<u8> },
}

/// Why there is no key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NoKey {
    /// The issuer has no such key.
    Unknown,
    /// The issuer does not answer as it must, and what is known is too old or nothing.
    Unreachable(String),
}

impl Algorithm {
    fn name(self) -> String {
        format!("{self:?}")
    }

    /// Finds the one that a token names.
    pub(super) fn find(allowed: &[Self], name: &str) -> Option<Self> {
        allowed.iter().copied().find(|algorithm| algorithm.name() == name)
    }
}

impl Key {
    fn suits(&self, algorithm: Algorithm) -> bool {
        let is_of_kind = match algorithm {
            Algorithm::ES256 => matches!(self.public, Public::P256(_)),
            Algorithm::ES384 => matches!(self.public, Public::P384(_)),
            Algorithm::EdDSA => matches!(self.public, Public::Ed25519(_)),
            _ => matches!(self.public, Public::Rsa { .. }),
        };
        is_of_kind && self.algorithm.as_ref().is_none_or(|own| *own == algorithm.name())
    }

    /// Tells whether a signature is this key's.
    pub(super) fn verify(&self, algorithm: Algorithm, message: &[u8], sign: &[u8]) -> bool {
        if !self.suits(algorithm) {
            return false;
        }
        let verified = match &self.public {
            Public::Ed25519(key) => UnparsedPublicKey::new(&signature::ED25519, key).verify(message, sign),
            Public::P256(key) => UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, key).verify(message, sign),
            Public::P384(key) => UnparsedPublicKey::new(&signature::ECDSA_P384_SHA384_FIXED, key).verify(message, sign),
            Public::Rsa { n, e } => {
                let how = match algorithm {
                    Algorithm::PS256 => &signature::RSA_PSS_2048_8192_SHA256,
                    Algorithm::PS384 => &signature::RSA_PSS_2048_8192_SHA384,
                    Algorithm::PS512 => &signature::RSA_PSS_2048_8192_SHA512,
                    Algorithm::RS256 => &signature::RSA_PKCS1_2048_8192_SHA256,
                    Algorithm::RS384 => &signature::RSA_PKCS1_2048_8192_SHA384,
                    Algorithm::RS512 => &signature::RSA_PKCS1_2048_8192_SHA512,
                    Algorithm::ES256 | Algorithm::ES384 | Algorithm::EdDSA => return false,
                };
                RsaPublicKeyComponents { n, e }.verify(how, message, sign)
            }
        };
        verified.is_ok()
    }
}

impl Jwks {
    pub(super) fn new(issuer: String, client: Client) -> Self {
        Self {
            issuer,
            client,
            kept: Mutex::default(),
            asking: tokio::sync::Mutex::default(),
        }
    }

    /// Returns the keys that may have signed what names `id` and `algorithm`: more than one only if none is named.
    pub(super) async fn find(&self, id: Option<&str>, algorithm: Algorithm, now: Timestamp) -> Result<Found, NoKey> {
        let (keys, age) = self.kept(now);
        let found = Found::new(keys, id, algorithm);
        if found.is_some() && age.is_some_and(|age| (0..FRESH_MILLIS).contains(&age)) {
            return found.ok_or(NoKey::Unknown);
        }
        let is_usable = found.is_some() && age.is_some_and(|age| (0..STALE_MILLIS).contains(&age));
        let _asking = if is_usable {
            // Somebody asks already: what is known will do.
            match self.asking.try_lock() {
                Ok(asking) => asking,
                Err(_) => return found.ok_or(NoKey::Unknown),
            }
        } else {
            self.asking.lock().await
        };
        // It may be there by now.
        let (keys, age) = self.kept(now);
        let is_fresh = age.is_some_and(|age| (0..FRESH_MILLIS).contains(&age));
        let found = Found::new(keys, id, algorithm);
        if is_fresh && found.is_some() {
            return found.ok_or(NoKey::Unknown);
        }
        if is_fresh && !self.may_look_for(id, now) {
            return Err(NoKey::Unknown);
        }
        if let Err(why) = self.fetch(now).await {
            tracing::warn!(issuer = self.issuer, why, "An OIDC issuer's keys cannot be fetched.");
            return match age {
                Some(age) if (0..STALE_MILLIS).contains(&age) => found.ok_or(NoKey::Unknown),
                _ => Err(NoKey::Unreachable(why)),
            };
        }
        let (keys, _) = self.kept(now);
        Found::new(keys, id, algorithm).ok_or(NoKey::Unknown)
    }

    fn kept(&self, now: Timestamp) -> (Arc<Vec<Key>>, Option<i64>) {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let age = kept.fetched.map(|fetched| now.0.saturating_sub(fetched.0));
        (Arc::clone(&kept.keys), age)
    }

    fn may_look_for(&self, id: Option<&str>, now: Timestamp) -> bool {
        let unknown = &mut self.kept.lock().unwrap_or_else(PoisonError::into_inner).unknown;
        unknown.retain(|(at, _)| (0..UNKNOWN_MILLIS).contains(&now.0.saturating_sub(at.0)));
        if UNKNOWN_MAX <= unknown.len() || unknown.iter().any(|(_, known)| known.as_deref() == id) {
            return false;
        }
        unknown.push_back((now, id.map(str::to_owned)));
        true
    }

    async fn fetch(&self, now: Timestamp) -> Result<(), String> {
        {
            let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            let pause = |failed: Timestamp| (0..PAUSE_MILLIS).contains(&now.0.saturating_sub(failed.0));
            if kept.failed.is_some_and(pause) {
                return Err("it did not answer a moment ago".to_owned());
            }
        }
        let keys = self.client.keys(&self.issuer).await;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        match keys {
            Ok(keys) => {
                (kept.keys, kept.fetched, kept.failed) = (Arc::new(keys), Some(now), None);
                Ok(())
            }
            Err(error) => {
                kept.failed = Some(now);
                Err(error)
            }
        }
    }
}

/// Keys that may have signed something.
pub(super) struct Found {
    keys: Arc<Vec<Key>>,
    places: Vec<usize>,
}

impl Found {
    fn new(keys: Arc<Vec<Key>>, id: Option<&str>, algorithm: Algorithm) -> Option<Self> {
        let suits = |key: &Key| key.suits(algorithm) && (id.is_none() || key.id.as_deref() == id);
        let places = keys.iter().enumerate().filter(|(_, key)| suits(key));
        let places: Vec<usize> = places.map(|(place, _)| place).collect();
        (!places.is_empty()).then_some(Self { keys, places })
    }

    /// Tells whether one of them has signed it.
    pub(super) fn verify(&self, algorithm: Algorithm, message: &[u8], sign: &[u8]) -> bool {
        let mut keys = self.places.iter().filter_map(|place| self.keys.get(*place));
        keys.any(|key| key.verify(algorithm, message, sign))
    }
}

impl Client {
    /// Makes one that trusts the system's certificates, as they are now.
    pub(super) fn new() -> Result<Self, String> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("no TLS can be set up: {error}"))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT_TIME_MAX)
            .timeout(ANSWER_TIME_MAX)
            .build();
        client
            .map(Self)
            .map_err(|error| format!("no HTTP client can be set up: {error}"))
    }

    async fn keys(&self, issuer: &str) -> Result<Vec<Key>, String> {
        let place = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let found: Discovery = self.get(&safe_url(&place)?).await?;
        if found.issuer != issuer {
            return Err(format!("`{place}` speaks for another issuer"));
        }
        let place = safe_url(&found.jwks_uri)?;
        let set: Set = self.get(&place).await?;
        if KEYS_MAX < set.keys.len() {
            return Err(format!("`{place}` has more than {KEYS_MAX} keys"));
        }
        Ok(set.keys.into_iter().filter_map(read).collect())
    }

    async fn get<T: DeserializeOwned>(&self, url: &Url) -> Result<T, String> {
        let failed = |error: reqwest::Error| format!("`{url}` does not answer: {}", innermost(&error));
        let mut response = self.0.get(url.clone()).send().await.map_err(failed)?;
        if response.status() != reqwest::StatusCode::OK {
            return Err(format!("`{url}` answers {}", response.status()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if ANSWER_BYTES_MAX < body.len() + chunk.len() {
                return Err(format!("`{url}` answers more than {ANSWER_BYTES_MAX} bytes"));
            }
            body.extend_from_slice(&chunk);
        }
        serde_json::from_slice(&body).map_err(|error| format!("`{url}` answers what is not expected: {error}"))
    }
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// Reads a URL whose answers nobody on the way can change.
pub(super) fn safe_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("`{text}` is not a URL: {error}"))?;
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let is_here = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a URL of an issuer must not hold a user or a password".to_owned());
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_here => Ok(url),
        _ => Err(format!(
            "`{text}` must begin with `https:`; `http:` is for this machine's own addresses"
        )),
    }
}

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Written {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
}

/// Reads a key; `None` if it is of a kind that is not used here, which a set may hold (RFC 7517, section 5).
fn read(value: serde_json::Value) -> Option<Key> {
    let written: Written = serde_json::from_value(value).ok()?;
    if written.purpose.is_some_and(|purpose| purpose != "sig") {
        return None;
    }
    let bytes = |text: Option<&String>| URL_SAFE_NO_PAD.decode(text?).ok();
    let point = |length: usize| {
        let (x, y) = (bytes(written.x.as_ref())?, bytes(written.y.as_ref())?);
        // 4: both coordinates follow.
        (x.len() == length && y.len() == length).then(|| [&[4], x.as_slice(), y.as_slice()].concat())
    };
    let public = match (written.kty.as_str(), written.crv.as_deref()) {
        ("EC", Some("P-256")) => Public::P256(point(32)?),
        ("EC", Some("P-384")) => Public::P384(point(48)?),
        ("OKP", Some("Ed25519")) => Public::Ed25519(bytes(written.x.as_ref()).filter(|x| x.len() == 32)?),
        ("RSA", None) => Public::Rsa {
            n: bytes(written.n.as_ref())?,
            e: bytes(written.e.as_ref())?,
        },
        _ => return None,
    };
    Some(Key {
        id: written.kid,
        algorithm: written.alg,
        public,
    })
}
