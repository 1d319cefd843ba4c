//! Bearer tokens of OIDC issuers: JWTs that a trusted issuer made for this server.
//!
//! Nothing in a token chooses how it is checked: issuer, audience and algorithms are configured, and a key says by its
//! kind what it can verify. Source: RFC 7519, RFC 8725 (best practices), RFC 9068 (access tokens), read 2026-11.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::Map;
use serde_json::Value;

use crate::identity::jwks::Algorithm;
use crate::identity::jwks::Client;
use crate::identity::jwks::Jwks;
use crate::identity::jwks::NoKey;
use crate::identity::jwks::safe_url;
use crate::identity::refusal::Refusal;
use crate::model::principal::Principal;
use crate::model::principal::PrincipalKind;
use crate::model::timestamp::Timestamp;

const TOKEN_BYTES_MAX: usize = 16_384;
/// How far the issuer's clock may be off, in seconds.
const SKEW_SECONDS: f64 = 60.0;
/// Longest name or id, in bytes. OpenID Connect Core, section 2: a `sub` has at most 255.
const NAME_BYTES_MAX: usize = 255;
const KEY_ID_BYTES_MAX: usize = 256;

/// `[[auth.issuer]]`: an issuer that is trusted, and what of its tokens counts.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Issuer {
    /// What its tokens say in `iss`; its discovery document is below it.
    pub issuer: String,
    /// What its tokens for this server say in `aud`.
    pub audience: String,
    /// How it may sign.
    #[serde(default = "algorithms")]
    pub algorithms: Vec<Algorithm>,
    /// The claim that says who it is.
    #[serde(default = "name_claim")]
    pub name_claim: String,
    /// The Debian users that such names stand for. Others are nobody on this machine.
    #[serde(default)]
    pub users: BTreeMap<String, String>,
}

fn algorithms() -> Vec<Algorithm> {
    vec![Algorithm::RS256, Algorithm::ES256]
}

fn name_claim() -> String {
    "sub".to_owned()
}

/// Verifies bearer tokens.
#[derive(Debug)]
pub struct Verifier {
    issuers: Vec<(Issuer, Jwks)>,
}

impl Issuer {
    /// Says what is wrong with it: a sentence without its end.
    ///
    /// # Errors
    /// Nobody can be known by its tokens.
    pub fn check(&self) -> Result<(), String> {
        let url = safe_url(&self.issuer)?;
        let wrong = if url.query().is_some() || url.fragment().is_some() {
            "has a query or a fragment"
        } else if self.audience.is_empty() {
            "has an empty `audience`"
        } else if self.algorithms.is_empty() {
            "has no `algorithms`"
        } else if self.name_claim.is_empty() {
            "has an empty `name_claim`"
        } else if self.users.iter().any(|(name, user)| name.is_empty() || user.is_empty()) {
            "has an empty name in `users`"
        } else {
            return Ok(());
        };
        Err(format!("the issuer `{}` {wrong}", self.issuer))
    }
}

impl Verifier {
    /// Makes one that trusts these issuers. They are asked for their keys when the first token of theirs comes.
    ///
    /// # Errors
    /// An issuer cannot be trusted as it is configured: a sentence without its end.
    pub fn new(issuers: Vec<Issuer>) -> Result<Self, String> {
        let client = Client::new()?;
        for (index, issuer) in issuers.iter().enumerate() {
            issuer.check()?;
            if issuers[..index].iter().any(|other| other.issuer == issuer.issuer) {
                return Err(format!("the issuer `{}` is configured twice", issuer.issuer));
            }
        }
        let with_keys = |issuer: Issuer| {
            let keys = Jwks::new(issuer.issuer.clone(), client.clone());
            (issuer, keys)
        };
        Ok(Self {
            issuers: issuers.into_iter().map(with_keys).collect(),
        })
    }

    /// Says whose token it is, and what it claims.
    ///
    /// # Errors
    /// No trusted issuer made it for this server, or it is not of this time, or its issuer does not answer.
    pub async fn verify(&self, token: &str, now: Timestamp) -> Result<(Principal, Map<String, Value>), Refusal> {
        let token = Token::read(token)?;
        let issuer = token.claims.get("iss").and_then(Value::as_str);
        let known = self
            .issuers
            .iter()
            .find(|(known, _)| Some(known.issuer.as_str()) == issuer);
        let (issuer, keys) = known.ok_or_else(|| refused("The token is of an issuer that is not trusted here."))?;
        let algorithm = Algorithm::find(&issuer.algorithms, &token.header.alg)
            .ok_or_else(|| refused("The token is signed in a way that is not allowed for its issuer."))?;
        let id = token.header.kid.as_deref();
        let keys = keys.find(id, algorithm, now).await.map_err(|error| match error {
            NoKey::Unknown => refused("The token is signed with a key that its issuer does not show."),
            NoKey::Unreachable(_) => Refusal {
                name: "ServiceUnavailableException",
                message: "The keys of the token's issuer cannot be had at the moment: try again later.".to_owned(),
                status: 503,
            },
        })?;
        if !keys.verify(algorithm, token.message, &token.signature) {
            return Err(refused("The token's signature is wrong."));
        }
        let claims = token.claims;
        check(&claims, issuer, now)?;
        let principal = principal(&claims, issuer)?;
        Ok((principal, claims))
    }
}

fn refused(message: &str) -> Refusal {
    Refusal {
        name: "UnrecognizedClientException",
        message: message.to_owned(),
        status: 401,
    }
}

/// A token as it is read, before anything in it is believed.
struct Token<'a> {
    header: Header,
    claims: Map<String, Value>,
    message: &'a [u8],
    signature: Vec<u8>,
}

/// What counts in a token's header. Keys and addresses of keys in it do not.
#[derive(Deserialize)]
struct Header {
    alg: String,
    typ: Option<String>,
    kid: Option<String>,
    crit: Option<Value>,
}

/// Reads a token as `Verifier::verify` does before it asks for keys, and forgets what it says.
///
/// # Errors
/// It is no token.
pub fn check_token(token: &str) -> Result<(), Refusal> {
    Token::read(token).map(drop)
}

impl<'a> Token<'a> {
    fn read(token: &'a str) -> Result<Self, Refusal> {
        if TOKEN_BYTES_MAX < token.len() {
            return Err(refused("The token has more than 16 KiB."));
        }
        let wrong = || refused("The bearer token is not a signed JSON Web Token.");
        let (message, signature) = token.rsplit_once('.').ok_or_else(wrong)?;
        let (header, claims) = message.split_once('.').ok_or_else(wrong)?;
        let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| wrong());
        let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| wrong())?;
        let claims = serde_json::from_slice(&decode(claims)?).map_err(|_| wrong())?;
        if header.crit.is_some() {
            return Err(refused(
                "The token has critical extensions (`crit`), and none is known here.",
            ));
        }
        let kind = header.typ.as_deref().unwrap_or_default().to_ascii_lowercase();
        let kind = kind.strip_prefix("application/").unwrap_or(&kind);
        if !matches!(kind, "at+jwt" | "jwt") {
            return Err(refused("The token must say in `typ` that it is a `JWT` or `at+jwt`."));
        }
        if header.kid.as_ref().is_some_and(|id| KEY_ID_BYTES_MAX < id.len()) {
            return Err(refused("The token's `kid` is too long."));
        }
        Ok(Self {
            header,
            claims,
            message: message.as_bytes(),
            signature: decode(signature)?,
        })
    }
}

fn check(claims: &Map<String, Value>, issuer: &Issuer, now: Timestamp) -> Result<(), Refusal> {
    let is_for_us = match claims.get("aud") {
        Some(Value::String(audience)) => *audience == issuer.audience,
        Some(Value::Array(audiences)) => audiences.iter().any(|audience| *audience == *issuer.audience),
        _ => false,
    };
    if !is_for_us {
        return Err(refused("The token is not for this server: its `aud` is another one."));
    }
    let now = now.0 as f64 / 1000.0;
    let time = |name: &str| match claims.get(name) {
        None => Ok(None),
        Some(value) => match value.as_f64() {
            Some(seconds) => Ok(Some(seconds)),
            None => Err(refused(&format!("The token's `{name}` is not a number."))),
        },
    };
    let expires = time("exp")?.ok_or_else(|| refused("The token has no `exp`."))?;
    if expires + SKEW_SECONDS <= now {
        return Err(Refusal {
            name: "ExpiredTokenException",
            ..refused("The token has expired: get a new one.")
        });
    }
    for name in ["nbf", "iat"] {
        if time(name)?.is_some_and(|begins| now + SKEW_SECONDS < begins) {
            return Err(refused(&format!(
                "The token is of the future: look at its `{name}` and at the clocks."
            )));
        }
    }
    if time("iat")?.is_some_and(|issued| expires < issued) {
        return Err(refused("The token ended before it was issued."));
    }
    Ok(())
}

fn principal(claims: &Map<String, Value>, issuer: &Issuer) -> Result<Principal, Refusal> {
    let text = |name: &str| {
        let is_name = |text: &&str| (1..=NAME_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control);
        let text = claims.get(name).and_then(Value::as_str).filter(is_name);
        text.ok_or_else(|| {
            let message = format!("The token's `{name}` must be a text of 1 to {NAME_BYTES_MAX} bytes.");
            refused(&message)
        })
    };
    let subject = text("sub")?;
    let name = text(&issuer.name_claim)?;
    let mut principal = Principal::new(PrincipalKind::Oidc, name);
    principal.issuer = Some(Arc::from(issuer.issuer.as_str()));
    principal.subject = Some(Arc::from(subject));
    let Some(user) = issuer.users.get(name) else {
        return Ok(principal);
    };
    match nix::unistd::User::from_name(user) {
        Ok(Some(user)) => {
            principal.uid = Some(user.uid.as_raw());
            principal.name = Arc::from(user.name);
            Ok(principal)
        }
        Ok(None) => Err(Refusal::denied(format!(
            "The token stands for the user `{user}`, who is not there."
        ))),
        Err(error) => {
            tracing::error!(%error, user, "The user of a token cannot be looked up.");
            Err(Refusal {
                name: "ServiceUnavailableException",
                message: "The user of the token cannot be looked up.".to_owned(),
                status: 503,
            })
        }
    }
}

#[cfg(test)]
mod tests;
