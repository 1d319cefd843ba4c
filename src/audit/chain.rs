//! The chain: how a line is hashed, written and taken apart.
//!
//! A line is `{"seq":N, …,"prev":"P","hash":"H"}` without any blanks between members. `P` is the `hash` of the line
//! before, 64 zeros in the first one. `H` is the SHA-256, in lower-case hexadecimal digits, of the line's own bytes with
//! the member `hash` left out: what stands before `,"hash":`, and a closing brace.

use ring::digest::Context;
use ring::digest::SHA256;

/// Digits of a hash.
pub const DIGITS: usize = 64;
/// `prev` of the first record.
pub const GENESIS: Hash = Hash([b'0'; DIGITS]);

const PREV: &[u8] = b",\"prev\":\"";
const HASH: &[u8] = b",\"hash\":\"";
/// `,"hash":"…"}`
const HASH_BYTES: usize = HASH.len() + DIGITS + 2;
/// `,"prev":"…"`
const PREV_BYTES: usize = PREV.len() + DIGITS + 1;

/// A hash, as its digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Hash(pub [u8; DIGITS]);

impl Hash {
    /// Reads 64 lower-case hexadecimal digits.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let digits = <[u8; DIGITS]>::try_from(text).ok()?;
        let is_hex = digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
        is_hex.then_some(Self(digits))
    }

    /// Returns the digits.
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl std::fmt::Debug for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::fmt::Display for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Adds a record to `out` as a line and returns its hash. `members` are the record's own, without braces.
pub(super) fn add(out: &mut Vec<u8>, seq: u64, members: &str, prev: &Hash) -> Hash {
    let begin = out.len();
    out.extend_from_slice(format!("{{\"seq\":{seq},").as_bytes());
    out.extend_from_slice(members.as_bytes());
    out.extend_from_slice(PREV);
    out.extend_from_slice(&prev.0);
    out.push(b'"');
    let hash = hash(&out[begin..]);
    out.extend_from_slice(HASH);
    out.extend_from_slice(&hash.0);
    out.extend_from_slice(b"\"}\n");
    hash
}

/// A line taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its number.
    pub seq: u64,
    /// The hash of the one before.
    pub prev: Hash,
    /// The hash that it says it has.
    pub hash: Hash,
    /// It has that hash.
    pub is_true: bool,
}

impl Link {
    /// Takes a line apart, which stands without its line feed; `None` when it is no record.
    pub fn of(line: &[u8]) -> Option<Self> {
        let body = line.len().checked_sub(HASH_BYTES)?;
        let said = line[body..].strip_prefix(HASH)?.strip_suffix(b"\"}")?;
        let before = body.checked_sub(PREV_BYTES)?;
        let prev = line[before..body].strip_prefix(PREV)?.strip_suffix(b"\"")?;
        let rest = line.strip_prefix(b"{\"seq\":")?;
        let n_digits = rest.iter().position(|byte| !byte.is_ascii_digit())?;
        let seq = str::from_utf8(&rest[..n_digits]).ok()?.parse().ok()?;
        let said = Hash::parse(said)?;
        Some(Self {
            seq,
            prev: Hash::parse(prev)?,
            hash: said,
            is_true: hash(&line[..body]) == said,
        })
    }
}

/// Hashes an open line: `{"seq":…,"prev":"…"` as if it were closed.
fn hash(open: &[u8]) -> Hash {
    digest(&[open, b"}"])
}

/// Returns the SHA-256 of texts that follow each other.
pub fn digest(texts: &[&[u8]]) -> Hash {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut context = Context::new(&SHA256);
    for text in texts {
        context.update(text);
    }
    let mut digits = [0; DIGITS];
    for (pair, byte) in digits.chunks_exact_mut(2).zip(context.finish().as_ref()) {
        pair[0] = HEX[usize::from(byte >> 4)];
        pair[1] = HEX[usize::from(byte & 15)];
    }
    Hash(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_its_hash() {
        let mut out = Vec::new();
        let hash = add(&mut out, 1, "\"say\":\"x\"", &GENESIS);
        // printf '%s' '{"seq":1,"say":"x","prev":"000…0"}' | sha256sum
        let text = String::from_utf8(out).unwrap();
        expect_test::expect![[r#"
            {"seq":1,"say":"x","prev":"0000000000000000000000000000000000000000000000000000000000000000","hash":"HASH"}
        "#]]
        .assert_eq(&text.replace(hash.as_str(), "HASH"));
        let open = format!("{{\"seq\":1,\"say\":\"x\",\"prev\":\"{GENESIS}\"}}");
        let digest = ring::digest::digest(&SHA256, open.as_bytes());
        let digits: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hash.as_str(), digits);
        let link = Link::of(text.trim_end().as_bytes()).unwrap();
        assert!(link.is_true && link.seq == 1 && link.prev == GENESIS && link.hash == hash);
        let edited = text.replace("\"x\"", "\"y\"");
        assert!(!Link::of(edited.trim_end().as_bytes()).unwrap().is_true);
    }

    #[test]
    fn what_is_no_record_is_told() {
        for line in ["", "{}", "{\"seq\":1}", "x".repeat(200).as_str(), "{\"seq\":-1,"] {
            assert_eq!(Link::of(line.as_bytes()), None, "{line}");
        }
    }
}
