//! Requests signed with an access key: AWS's Signature Version 4 in the header `Authorization`.
//!
//! Source: "Create a signed AWS API request", AWS IAM user guide, read 2026-11. Stricter than AWS in that each header
//! `x-amz-*` and `content-type` must be signed, and that a signature is taken once (see `replay`).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use hyper::HeaderMap;
use ring::digest;
use ring::hmac;
use secrecy::ExposeSecret;
use zeroize::Zeroizing;

use crate::identity::canonical::canonical;
use crate::identity::keys::Found;
use crate::identity::keys::Keys;
use crate::identity::refusal::Refusal;
use crate::identity::replay::Replay;
use crate::identity::replay::Replays;
use crate::identity::replay::SKEW_MILLIS;
use crate::identity::strict::Print;
use crate::model::principal::Principal;
use crate::model::principal::PrincipalKind;
use crate::model::timestamp::Timestamp;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const SERVICE: &str = "states";
const TERMINATOR: &str = "aws4_request";
const AUTHORIZATION_BYTES_MAX: usize = 4_096;
const SIGNED_HEADERS_MAX: usize = 64;
const REGION_BYTES_MAX: usize = 64;
const SIGNING_KEYS_MAX: usize = 1_024;

/// A request as it arrived.
#[derive(Clone, Copy, Debug)]
pub struct Signed<'a> {
    /// Such as `POST`.
    pub method: &'a str,
    /// What stands before the `?`, still percent-encoded.
    pub path: &'a str,
    /// What stands behind it.
    pub query: &'a str,
    /// All of them.
    pub headers: &'a HeaderMap,
    /// All of it.
    pub body: &'a [u8],
}

/// The key's id, the day and the region that a signing key is for.
type Place = (String, String, String);

/// What verifying keeps between requests.
#[derive(Debug, Default)]
pub(super) struct Signatures {
    signing: Mutex<BTreeMap<Place, (Print, hmac::Key)>>,
    replays: Mutex<Replays>,
}

/// Says for whom a request was signed.
///
/// `now` is this machine's time; the signature's may differ by five minutes.
///
/// # Errors
/// The request is not signed, or not by a key of `keys`, or was taken before. The names are AWS's, except that a
/// request which was taken before is told as throttling: of what clients sign anew by themselves, all know this one.
pub fn verify(keys: &Keys, request: &Signed<'_>, now: Timestamp) -> Result<Principal, Refusal> {
    let header = authorization(request)?;
    let claim = Claim::parse(header)?;
    if request.headers.contains_key("x-amz-security-token") {
        return Err(refused(
            UNRECOGNIZED,
            "The request carries a session token. Access keys of this server have none: unset AWS_SESSION_TOKEN, or \
             use a profile without `aws_session_token`.",
        ));
    }
    let (date, signed_at) = time(request.headers)?;
    claim.scope.check(date)?;
    in_time(date, signed_at, now)?;
    let body_hash = payload(request)?;
    let canonical = canonical(request, &claim.signed_headers, &body_hash)?;
    let found = keys.find(claim.scope.id).map_err(|error| {
        tracing::error!(%error, "An access key cannot be used.");
        refused(
            UNRECOGNIZED,
            "The access key cannot be used; the server's log says why.",
        )
    })?;
    let hash = digest::digest(&digest::SHA256, &canonical);
    let Scope { day, region, .. } = claim.scope;
    let text = format!(
        "{ALGORITHM}\n{date}\n{day}/{region}/{SERVICE}/{TERMINATOR}\n{}",
        hex(hash.as_ref())
    );
    let signing = signing_key(keys, found.as_ref(), &claim.scope);
    let is_right = hmac::verify(&signing, text.as_bytes(), &claim.signature).is_ok();
    // An unknown key costs as much as a wrong signature.
    let found = found.ok_or_else(|| refused(UNRECOGNIZED, "The security token included in the request is invalid."))?;
    if !is_right {
        return Err(refused(
            INVALID,
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret \
             Access Key and signing method. Consult the service documentation for details.",
        ));
    }
    remember(keys, &found, &claim.scope, signing);
    let key = found.key;
    // What follows is told only to whom knows the secret.
    if key.expires <= now {
        let message = format!(
            "The access key `{}` expired on {}. Make a new one.",
            key.id, key.expires
        );
        return Err(refused("ExpiredTokenException", message));
    }
    match keys.has_user(&key, now) {
        Ok(true) => {}
        Ok(false) => {
            let message = format!(
                "`{}`, whom the access key `{}` was made for, is gone.",
                key.user, key.id
            );
            return Err(refused("AccessDeniedException", message));
        }
        Err(error) => {
            tracing::error!(%error, "The user of an access key cannot be looked up.");
            return Err(unavailable("The user of the access key cannot be looked up."));
        }
    }
    if !is_repeatable(request) {
        once(keys, request, &claim, signed_at, now)?;
    }
    keys.used(&key.id, now);
    Ok(Principal {
        uid: Some(key.uid),
        key_id: Some(Arc::from(key.id)),
        ..Principal::new(PrincipalKind::AccessKey, key.user)
    })
}

/// Reads an `Authorization` header as `verify` does, and forgets what it says.
///
/// # Errors
/// It is none of a signature.
pub fn check_header(header: &str) -> Result<(), Refusal> {
    Claim::parse(header).map(drop)
}

pub(super) const INVALID: &str = "InvalidSignatureException";
pub(super) const INCOMPLETE: &str = "IncompleteSignatureException";
const MISSING: &str = "MissingAuthenticationTokenException";
const UNRECOGNIZED: &str = "UnrecognizedClientException";
const THROTTLED: &str = "ThrottlingException";

pub(super) fn refused(name: &'static str, message: impl Into<String>) -> Refusal {
    Refusal {
        name,
        message: message.into(),
        status: 400,
    }
}

fn unavailable(message: &str) -> Refusal {
    Refusal {
        status: 503,
        ..refused("ServiceUnavailableException", message)
    }
}

fn authorization<'a>(request: &Signed<'a>) -> Result<&'a str, Refusal> {
    let mut values = request.headers.get_all("authorization").iter();
    let Some(value) = values.next() else {
        let is_presigned = request.query.split('&').any(|pair| pair.starts_with("X-Amz-"));
        return Err(refused(
            MISSING,
            match is_presigned {
                true => "A signature in the query of the URL is not taken: sign with the header `Authorization`.",
                false => "Missing Authentication Token",
            },
        ));
    };
    if values.next().is_some() {
        return Err(refused(
            INCOMPLETE,
            "The request has more than one header `Authorization`.",
        ));
    }
    let text = value.to_str().unwrap_or_default();
    if text.is_empty() || AUTHORIZATION_BYTES_MAX < text.len() {
        let message = format!(
            "The header `Authorization` must have 1 to {AUTHORIZATION_BYTES_MAX} characters, all of them of ASCII."
        );
        return Err(refused(INCOMPLETE, message));
    }
    Ok(text)
}

/// What `Authorization` says.
struct Claim<'a> {
    scope: Scope<'a>,
    signed_headers: Vec<&'a str>,
    signature: [u8; 32],
}

/// `ID/20261124/us-east-1/states/aws4_request`.
struct Scope<'a> {
    id: &'a str,
    day: &'a str,
    region: &'a str,
    service: &'a str,
    terminator: &'a str,
}

impl<'a> Claim<'a> {
    fn parse(header: &'a str) -> Result<Self, Refusal> {
        let (algorithm, rest) = header.trim().split_once(' ').unwrap_or((header, ""));
        if algorithm != ALGORITHM {
            let message = format!("The header `Authorization` must begin with `{ALGORITHM}`.");
            return Err(refused(INCOMPLETE, message));
        }
        let (mut credential, mut signed_headers, mut signature) = (None, None, None);
        for part in rest.split(',') {
            let part = part.trim();
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let place = match name {
                "Credential" => &mut credential,
                "SignedHeaders" => &mut signed_headers,
                "Signature" => &mut signature,
                _ => {
                    let message = "The header `Authorization` holds `Credential`, `SignedHeaders` and `Signature`, \
                                   with commas between them, and nothing else.";
                    return Err(refused(INCOMPLETE, message));
                }
            };
            if place.replace(value).is_some() {
                let message = format!("The header `Authorization` has `{name}` twice.");
                return Err(refused(INCOMPLETE, message));
            }
        }
        let wanted = |name: &str| {
            let message = format!("Authorization header requires '{name}' parameter.");
            move || refused(INCOMPLETE, message)
        };
        Ok(Self {
            scope: Scope::parse(credential.ok_or_else(wanted("Credential"))?)?,
            signed_headers: names(signed_headers.ok_or_else(wanted("SignedHeaders"))?)?,
            signature: unhex(signature.ok_or_else(wanted("Signature"))?)
                .ok_or_else(|| refused(INCOMPLETE, "The signature must be 64 hexadecimal digits in lower case."))?,
        })
    }
}

impl<'a> Scope<'a> {
    fn parse(text: &'a str) -> Result<Self, Refusal> {
        let mut parts = text.split('/');
        let mut next = || parts.next().unwrap_or_default();
        let scope = Scope {
            id: next(),
            day: next(),
            region: next(),
            service: next(),
            terminator: next(),
        };
        if scope.terminator.is_empty() || parts.next().is_some() {
            let message =
                "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term.";
            return Err(refused(INCOMPLETE, message));
        }
        Ok(scope)
    }

    fn check(&self, date: &str) -> Result<(), Refusal> {
        let is_region = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let has_region = (1..=REGION_BYTES_MAX).contains(&self.region.len()) && self.region.bytes().all(is_region);
        let message = if self.day.as_bytes() != &date.as_bytes()[..8] {
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP."
        } else if !has_region {
            "Credential should be scoped to a valid region."
        } else if self.service != SERVICE {
            "Credential should be scoped to correct service: 'states'."
        } else if self.terminator != TERMINATOR {
            "Credential should be scoped with a valid terminator: 'aws4_request'."
        } else {
            return Ok(());
        };
        Err(refused(INVALID, message))
    }
}

fn names(list: &str) -> Result<Vec<&str>, Refusal> {
    let names: Vec<&str> = list.split(';').take(SIGNED_HEADERS_MAX + 1).collect();
    let is_name = |name: &str| {
        let is_part = |byte: u8| byte.is_ascii_graphic() && !byte.is_ascii_uppercase() && byte != b':';
        !name.is_empty() && name.bytes().all(is_part)
    };
    let is_sorted = names.is_sorted_by(|one, other| one < other);
    if SIGNED_HEADERS_MAX < names.len() || !is_sorted || !names.iter().all(|name| is_name(name)) {
        let message = format!(
            "`SignedHeaders` must name 1 to {SIGNED_HEADERS_MAX} headers in lower case, sorted, each of them once, with \
             semicolons between them."
        );
        return Err(refused(INCOMPLETE, message));
    }
    Ok(names)
}

/// Reads `x-amz-date`: as it is written, and as an instant.
fn time(headers: &HeaderMap) -> Result<(&str, Timestamp), Refusal> {
    let mut values = headers.get_all("x-amz-date").iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        let message = "The request needs one header `X-Amz-Date`.";
        return Err(refused(INCOMPLETE, message));
    };
    let text = value.to_str().unwrap_or_default();
    let wrong = || refused(INCOMPLETE, "`X-Amz-Date` must be of the form `20261124T175900Z`.");
    if text.len() != 16 || !text.is_ascii() {
        return Err(wrong());
    }
    let (date, clock) = text.split_at(8);
    let rfc = format!(
        "{}-{}-{}{}:{}:{}",
        &date[..4],
        &date[4..6],
        &date[6..],
        &clock[..3],
        &clock[3..5],
        &clock[5..]
    );
    let at = Timestamp::parse_rfc3339(&rfc).filter(|_| clock.starts_with('T') && clock.ends_with('Z'));
    Ok((text, at.ok_or_else(wrong)?))
}

fn in_time(date: &str, signed_at: Timestamp, now: Timestamp) -> Result<(), Refusal> {
    let late = now.0.saturating_sub(signed_at.0);
    let message = if SKEW_MILLIS < late {
        format!("Signature expired: {date} is more than 5 minutes earlier than this server's {now}.")
    } else if late < -SKEW_MILLIS {
        format!("Signature not yet current: {date} is more than 5 minutes later than this server's {now}.")
    } else {
        return Ok(());
    };
    Err(refused(INVALID, message))
}

/// Returns the hash of the body, which must be the one that is told, if one is.
fn payload(request: &Signed<'_>) -> Result<String, Refusal> {
    let hash = hex(digest::digest(&digest::SHA256, request.body).as_ref());
    for told in request.headers.get_all("x-amz-content-sha256") {
        if told.as_bytes() == hash.as_bytes() {
            continue;
        }
        let is_none = told.as_bytes().starts_with(b"UNSIGNED") || told.as_bytes().starts_with(b"STREAMING");
        return Err(refused(
            INVALID,
            match is_none {
                true => "The body must be signed: `x-amz-content-sha256` must be its SHA-256.",
                false => "The value passed in x-amz-content-sha256 does not match the SHA-256 of the body.",
            },
        ));
    }
    Ok(hash)
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; 32];
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
        return None;
    };
    if pairs.len() != bytes.len() {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(pairs) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

fn signing_key(keys: &Keys, found: Option<&Found>, scope: &Scope<'_>) -> hmac::Key {
    let of = |key: &[u8], text: &str| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes());
    let derive = |secret: &str| {
        let start = Zeroizing::new(format!("AWS4{secret}"));
        let mut key = of(start.as_bytes(), scope.day);
        for text in [scope.region, SERVICE, TERMINATOR] {
            key = of(key.as_ref(), text);
        }
        hmac::Key::new(hmac::HMAC_SHA256, key.as_ref())
    };
    let Some(found) = found else {
        return derive("0123456789012345678901234567890123456789");
    };
    let known = keys.signatures.signing.lock().unwrap_or_else(PoisonError::into_inner);
    match known.get(&place(scope)) {
        Some((print, key)) if *print == found.print => key.clone(),
        _ => derive(found.secret.expose_secret()),
    }
}

/// Keeps the key of a signature that was right: what callers make up takes no room.
fn remember(keys: &Keys, found: &Found, scope: &Scope<'_>, signing: hmac::Key) {
    let mut known = keys.signatures.signing.lock().unwrap_or_else(PoisonError::into_inner);
    let place = place(scope);
    if known.get(&place).is_some_and(|(print, _)| *print == found.print) {
        return;
    }
    if SIGNING_KEYS_MAX <= known.len() {
        known.clear();
    }
    known.insert(place, (found.print, signing));
}

fn place(scope: &Scope<'_>) -> Place {
    (scope.id.to_owned(), scope.day.to_owned(), scope.region.to_owned())
}

/// Tells whether the operation changes nothing, so that it may be asked for again.
fn is_repeatable(request: &Signed<'_>) -> bool {
    let mut targets = request.headers.get_all("x-amz-target").iter();
    let (Some(target), None) = (targets.next(), targets.next()) else {
        return false;
    };
    let operation = target.to_str().ok().and_then(|target| target.split_once('.'));
    // `GetActivityTask` gives a task away.
    operation.is_some_and(|(_, name)| {
        let reads = ["Describe", "List", "Get", "Validate"]
            .iter()
            .any(|verb| name.starts_with(verb));
        (reads && name != "GetActivityTask") || name == "TestState"
    })
}

fn once(keys: &Keys, request: &Signed<'_>, claim: &Claim<'_>, at: Timestamp, now: Timestamp) -> Result<(), Refusal> {
    let mut told_apart = Vec::new();
    for name in ["amz-sdk-invocation-id", "amz-sdk-request"] {
        for value in request.headers.get_all(name) {
            told_apart.extend_from_slice(value.as_bytes());
            told_apart.push(b'\n');
        }
    }
    let mut replays = keys.signatures.replays.lock().unwrap_or_else(PoisonError::into_inner);
    let taken = replays.take(claim.signature, &told_apart, at, now);
    taken.map_err(|replay| {
        let message = match replay {
            Replay::Again => "This very request was taken before: sign it anew to ask for the same again.",
            Replay::Forgotten => "The signature is too old while so many are made: sign the request anew.",
            Replay::Full => "Too many signed requests arrive to remember them all: try again later.",
        };
        refused(THROTTLED, message)
    })
}

#[cfg(test)]
mod tests;
