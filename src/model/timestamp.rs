//! Instants in milliseconds since 1970.

use serde::Deserialize;
use serde::Serialize;

/// An instant, in milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Returns the instant `millis` later, held at the end of time.
    pub fn plus_millis(self, millis: u64) -> Self {
        Self(self.0.saturating_add(i64::try_from(millis).unwrap_or(i64::MAX)))
    }

    /// Reads an RFC 3339 text as the States Language wants it: upper-case `T`, `Z` or a numeric offset.
    ///
    /// Returns `None` for anything else.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let digits = |range: std::ops::Range<usize>| -> bool {
            bytes.get(range).is_some_and(|part| part.iter().all(u8::is_ascii_digit))
        };
        let shape = digits(0..4)
            && bytes.get(4) == Some(&b'-')
            && digits(5..7)
            && bytes.get(7) == Some(&b'-')
            && digits(8..10)
            && bytes.get(10) == Some(&b'T')
            && digits(11..13)
            && bytes.get(13) == Some(&b':')
            && digits(14..16)
            && bytes.get(16) == Some(&b':')
            && digits(17..19);
        if !shape {
            return None;
        }
        let mut at = 19;
        if bytes.get(at) == Some(&b'.') {
            let start = at + 1;
            at = start;
            while bytes.get(at).is_some_and(u8::is_ascii_digit) {
                at += 1;
            }
            if at == start || at - start > 9 {
                return None;
            }
        }
        let offset = match bytes.get(at) {
            Some(b'Z') => at + 1 == bytes.len(),
            Some(b'+' | b'-') => {
                digits(at + 1..at + 3)
                    && bytes.get(at + 3) == Some(&b':')
                    && digits(at + 4..at + 6)
                    && at + 6 == bytes.len()
            }
            _ => false,
        };
        if !offset {
            return None;
        }
        text.parse::<jiff::Timestamp>()
            .ok()
            .map(|instant| Self(instant.as_millisecond()))
    }
}

impl std::fmt::Display for Timestamp {
    /// `2026-11-23T21:11:00.123Z`: always three fractional digits.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(instant) => write!(f, "{instant:.3}"),
            Err(_) => write!(f, "{}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_needs_an_upper_case_t_and_an_offset() {
        for good in [
            "2016-12-05T21:29:29Z",
            "2016-12-05T21:29:29.5Z",
            "2016-12-05T21:29:29+01:00",
        ] {
            assert!(Timestamp::parse_rfc3339(good).is_some(), "{good}");
        }
        for bad in [
            "2016-12-05T21:29:29",
            "2016-12-05",
            "2016-13-05T21:29:29Z",
            "2016-12-05t21:29:29Z",
            "2016-12-05T25:29:29Z",
        ] {
            assert!(Timestamp::parse_rfc3339(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn display_has_milliseconds() {
        assert_eq!(Timestamp(0).to_string(), "1970-01-01T00:00:00.000Z");
    }
}
