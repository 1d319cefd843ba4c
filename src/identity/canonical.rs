//! The text whose hash is signed.

use std::borrow::Cow;
use std::fmt::Write;

use crate::identity::refusal::Refusal;
use crate::identity::sigv4::INCOMPLETE;
use crate::identity::sigv4::INVALID;
use crate::identity::sigv4::Signed;
use crate::identity::sigv4::refused;

/// All names and values that are signed.
pub(super) const HEADER_BYTES_MAX: usize = 65_536;
pub(super) const QUERY_BYTES_MAX: usize = 8_192;

/// Returns the canonical request.
pub(super) fn canonical(request: &Signed<'_>, signed: &[&str], body_hash: &str) -> Result<Vec<u8>, Refusal> {
    for name in request.headers.keys().map(hyper::header::HeaderName::as_str) {
        let must = name == "content-type" || name.starts_with("x-amz-");
        if must && signed.binary_search(&name).is_err() {
            let message = format!("'{name}' must be a 'SignedHeader' in the AWS Authorization.");
            return Err(refused(INVALID, message));
        }
    }
    if signed.binary_search(&"host").is_err() {
        let message = "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.";
        return Err(refused(INVALID, message));
    }
    let mut text = Vec::with_capacity(512);
    text.extend_from_slice(request.method.as_bytes());
    text.push(b'\n');
    text.extend_from_slice(path(request.path).as_bytes());
    text.push(b'\n');
    text.extend_from_slice(query(request.query)?.as_bytes());
    text.push(b'\n');
    let headers_begin = text.len();
    for name in signed {
        let mut values = request.headers.get_all(*name).iter().peekable();
        if values.peek().is_none() {
            return Err(refused(
                INVALID,
                format!("The request was signed with a header `{name}`, which it has not."),
            ));
        }
        text.extend_from_slice(name.as_bytes());
        text.push(b':');
        while let Some(value) = values.next() {
            fold(value.as_bytes(), &mut text);
            if values.peek().is_some() {
                text.push(b',');
            }
        }
        text.push(b'\n');
        if HEADER_BYTES_MAX < text.len() - headers_begin {
            let message = format!("The signed headers have more than {HEADER_BYTES_MAX} bytes.");
            return Err(refused(INCOMPLETE, message));
        }
    }
    text.push(b'\n');
    text.extend_from_slice(signed.join(";").as_bytes());
    text.push(b'\n');
    text.extend_from_slice(body_hash.as_bytes());
    Ok(text)
}

/// Returns the path without `.`, `..` and empty segments, encoded once more than it arrived.
fn path(path: &str) -> Cow<'_, str> {
    if path == "/" || path.is_empty() {
        return Cow::Borrowed("/");
    }
    let mut segments = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            segment => segments.push(segment),
        }
    }
    let mut text = String::from("/");
    for (index, segment) in segments.iter().enumerate() {
        if 0 < index {
            text.push('/');
        }
        encode(segment.as_bytes(), &mut text);
    }
    let is_open = path.ends_with('/') || path.ends_with("/.") || path.ends_with("/..");
    if is_open && !segments.is_empty() {
        text.push('/');
    }
    Cow::Owned(text)
}

/// Returns the query's pairs, encoded and sorted.
fn query(query: &str) -> Result<String, Refusal> {
    if QUERY_BYTES_MAX < query.len() {
        let message = format!("The query of the URL has more than {QUERY_BYTES_MAX} bytes.");
        return Err(refused(INCOMPLETE, message));
    }
    let again = |text: &str| {
        let mut encoded = String::new();
        encode(&decode(text), &mut encoded);
        encoded
    };
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let mut pairs: Vec<(String, String)> = pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (again(name), again(value))
        })
        .collect();
    pairs.sort();
    let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    Ok(pairs.join("&"))
}

/// Percent-encodes all but what RFC 3986 calls unreserved.
fn encode(bytes: &[u8], text: &mut String) {
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
}

fn decode(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match (byte, digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                decoded.push(u8::try_from(high * 16 + low).expect("two digits make a byte"));
                at += 3;
            }
            _ => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    decoded
}

/// Appends a header's value without the blanks around it, and with one for each run of them inside.
fn fold(value: &[u8], text: &mut Vec<u8>) {
    let mut is_blank = false;
    for &byte in value.trim_ascii() {
        let was_blank = is_blank;
        is_blank = byte == b' ';
        if !(is_blank && was_blank) {
            text.push(byte);
        }
    }
}
