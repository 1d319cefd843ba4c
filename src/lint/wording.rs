//! Words that are almost the same.

/// Most letters that a misspelt word differs in.
const EDITS_MAX: usize = 2;

/// Returns the known word that another one most probably should be.
pub(crate) fn nearest<T: AsRef<str>>(word: &str, known: impl Iterator<Item = T>) -> Option<T> {
    // The lengths alone tell of most words that they are too far.
    let near = known.filter(|known| known.as_ref().len().abs_diff(word.len()) <= EDITS_MAX);
    let near = near.map(|known| (edits(word, known.as_ref()), known));
    let near = near.filter(|(edits, _)| *edits <= EDITS_MAX);
    near.min_by_key(|(edits, _)| *edits).map(|(_, known)| known)
}

/// Returns how many letters must be put in, left out or exchanged to make one text of the other. Upper and lower case
/// count as half a difference, rounded down, so that `states.all` is close to `States.ALL`.
fn edits(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    // In halves; the first row makes a prefix of `to` out of nothing.
    let mut row: Vec<usize> = (0..=to.len()).map(|index| 2 * index).collect();
    for (y, a) in from.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = 2 * (y + 1);
        for (x, b) in to.iter().enumerate() {
            let exchange = match (a == b, a.eq_ignore_ascii_case(b)) {
                (true, _) => 0,
                (false, true) => 1,
                (false, false) => 2,
            };
            let best = (diagonal + exchange).min(row[x] + 2).min(row[x + 1] + 2);
            diagonal = std::mem::replace(&mut row[x + 1], best);
        }
    }
    row[to.len()] / 2
}

/// Spells a number of seconds for people: `3 hours 51 minutes`.
pub(crate) fn duration(seconds: u64) -> String {
    const UNITS: &[(u64, &str)] = &[(86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")];
    let mut left = seconds;
    let mut parts = Vec::new();
    for (length, unit) in UNITS {
        let count = left / length;
        left %= length;
        if 0 < count {
            let plural = if count == 1 { "" } else { "s" };
            parts.push(format!("{count} {unit}{plural}"));
        }
    }
    // Two units say enough.
    parts.truncate(2);
    if parts.is_empty() {
        return "0 seconds".to_owned();
    }
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_counted() {
        for (from, to, expected) in [
            ("", "", 0),
            ("a", "", 1),
            ("State.ALL", "States.ALL", 1),
            ("States.all", "States.ALL", 1),
            ("QueueURL", "QueueUrl", 1),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(edits(from, to), expected, "{from} {to}");
            assert_eq!(edits(to, from), expected, "{to} {from}");
        }
    }

    #[test]
    fn durations_are_spelled() {
        for (seconds, expected) in [
            (0, "0 seconds"),
            (1, "1 second"),
            (60, "1 minute"),
            (13_885, "3 hours 51 minutes"),
            (86_400 + 5, "1 day 5 seconds"),
            (200_000, "2 days 7 hours"),
        ] {
            assert_eq!(duration(seconds), expected);
        }
    }
}
