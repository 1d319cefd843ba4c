//! Times as people say them.

use crate::model::timestamp::Timestamp;

/// An instant that somebody named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Since(pub(super) Timestamp);

/// Reads a time: `2026-11-01`, `2026-11-01T12:00:00Z`, `today`, `yesterday`, or an age such as `90m`, `2h`, `3d`.
pub(super) fn parse(text: &str) -> Result<Since, String> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = now.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
    at(text, Timestamp(now)).map(Since)
}

const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;

fn at(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    let today = Timestamp(now.0 - now.0.rem_euclid(DAY_MILLIS));
    match text {
        "now" => return Ok(now),
        "today" => return Ok(today),
        "yesterday" => return Ok(Timestamp(today.0 - DAY_MILLIS)),
        _ => {}
    }
    if let Some((number, unit)) = text.split_at_checked(text.len().saturating_sub(1))
        && let (Ok(number), Some(millis)) = (number.parse::<u32>(), unit_millis(unit))
    {
        return Ok(Timestamp(now.0 - i64::from(number) * millis));
    }
    let whole = format!("{text}T00:00:00Z");
    let found = Timestamp::parse_rfc3339(text).or_else(|| Timestamp::parse_rfc3339(&whole));
    found.ok_or_else(|| "it is a date such as 2026-11-01, a time such as 2026-11-01T12:00:00Z, `today`, `yesterday`, or an age such as 2h or 3d (UTC)".to_owned())
}

fn unit_millis(unit: &str) -> Option<i64> {
    match unit {
        "s" => Some(1000),
        "m" => Some(60 * 1000),
        "h" => Some(60 * 60 * 1000),
        "d" => Some(DAY_MILLIS),
        "w" => Some(7 * DAY_MILLIS),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_as_people_say_it() {
        let now = Timestamp::parse_rfc3339("2026-11-24T18:00:00Z").unwrap();
        for (text, expected) in [
            ("now", "2026-11-24T18:00:00.000Z"),
            ("today", "2026-11-24T00:00:00.000Z"),
            ("yesterday", "2026-11-23T00:00:00.000Z"),
            ("2h", "2026-11-24T16:00:00.000Z"),
            ("90m", "2026-11-24T16:30:00.000Z"),
            ("1w", "2026-11-17T18:00:00.000Z"),
            ("2026-11-01", "2026-11-01T00:00:00.000Z"),
            ("2026-11-01T12:00:00+01:00", "2026-11-01T11:00:00.000Z"),
        ] {
            assert_eq!(at(text, now).unwrap().to_string(), expected, "{text}");
        }
        for text in ["", "h", "2x", "-2h", "2026-13-01", "tomorrow", "é"] {
            assert!(at(text, now).is_err(), "{text}");
        }
    }
}
