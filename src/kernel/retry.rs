//! Retry and Catch: which entry answers an error.

use std::sync::Arc;

use crate::asl::definition::Catcher;
use crate::asl::definition::Retrier;
use crate::model::entropy::Entropy;

/// What becomes of an error.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// Try again after a pause.
    Retry { retrier: usize, pause_millis: u64 },
    /// Go on with this catcher.
    Catch { catcher: usize },
    /// The state fails.
    Fail,
}

/// Finds what answers an error named `name`.
///
/// The first retrier that matches is used; when its attempts are used up, later ones are not asked (recorded).
/// `heartbeat` tells a missed heartbeat, which AWS reports as `States.Timeout` but lets
/// `States.HeartbeatTimeout` catch, too (recorded).
pub(super) fn decide(
    retriers: &[Retrier],
    catchers: &[Catcher],
    attempts: &[u32],
    name: Option<&str>,
    heartbeat: bool,
    entropy: &mut Entropy,
) -> Decision {
    if let Some(index) = matching(retriers, name, heartbeat) {
        let retrier = &retriers[index];
        let used = attempts.get(index).copied().unwrap_or(0);
        if used < retrier.max_attempts {
            return Decision::Retry {
                retrier: index,
                pause_millis: pause_millis(retrier, used, entropy),
            };
        }
    }
    match catchers
        .iter()
        .position(|catcher| covers_any(&catcher.error_equals, name, heartbeat))
    {
        Some(catcher) => Decision::Catch { catcher },
        None => Decision::Fail,
    }
}

/// Finds the one retrier that answers for an error, whether or not it has attempts left.
pub(super) fn matching(retriers: &[Retrier], name: Option<&str>, heartbeat: bool) -> Option<usize> {
    retriers
        .iter()
        .position(|retrier| covers_any(&retrier.error_equals, name, heartbeat))
}

fn covers_any(error_equals: &[Arc<str>], name: Option<&str>, heartbeat: bool) -> bool {
    error_equals.iter().any(|want| covers(want, name, heartbeat))
}

/// Returns the pause before the retry after `used` earlier ones, in milliseconds.
///
/// `IntervalSeconds × BackoffRate^used`, held at `MaxDelaySeconds`; with `JitterStrategy: FULL` a number drawn
/// from `0..=pause`, so a replay draws the same.
fn pause_millis(retrier: &Retrier, used: u32, entropy: &mut Entropy) -> u64 {
    /// The longest pause AWS can hold: a year.
    const PAUSE_SECONDS_MAX: f64 = 31_622_400.0;
    let exponent = i32::try_from(used).unwrap_or(i32::MAX);
    let mut seconds = retrier.interval_seconds as f64 * retrier.backoff_rate.powi(exponent);
    if let Some(max) = retrier.max_delay_seconds {
        seconds = seconds.min(max as f64);
    }
    seconds = if seconds.is_finite() {
        seconds.min(PAUSE_SECONDS_MAX)
    } else {
        PAUSE_SECONDS_MAX
    };
    if retrier.full_jitter {
        seconds *= entropy.next_f64();
    }
    (seconds * 1000.0).round() as u64
}

fn covers(want: &str, name: Option<&str>, heartbeat: bool) -> bool {
    match (want, name) {
        // States.Runtime never gets here: it ends the execution.
        (_, Some("States.Runtime")) => false,
        // The guide says that States.ALL leaves out States.DataLimitExceeded; recordings of 2024-03 show it caught.
        ("States.ALL", _) => true,
        ("States.TaskFailed", name) => name != Some("States.Timeout"),
        ("States.HeartbeatTimeout", Some("States.Timeout")) => heartbeat,
        (want, name) => name == Some(want),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retrier(rate: f64, max: Option<u64>) -> Retrier {
        Retrier {
            error_equals: vec!["A".into()],
            interval_seconds: 2,
            max_attempts: 3,
            backoff_rate: rate,
            max_delay_seconds: max,
            full_jitter: false,
        }
    }

    #[test]
    fn pauses_grow_by_the_rate_and_are_held_at_the_maximum() {
        let mut entropy = Entropy::new(1);
        let pauses: Vec<_> = (0..4)
            .map(|used| pause_millis(&retrier(2.0, Some(7)), used, &mut entropy))
            .collect();
        assert_eq!(pauses, [2000, 4000, 7000, 7000]);
        assert_eq!(
            pause_millis(&retrier(10.0, None), 4_000_000, &mut entropy),
            31_622_400_000
        );
    }

    #[test]
    fn names_cover_as_recorded() {
        for (want, name, heartbeat, expected) in [
            ("States.ALL", Some("X"), false, true),
            ("States.ALL", None, false, true),
            ("States.ALL", Some("States.Runtime"), false, false),
            ("States.Runtime", Some("States.Runtime"), false, false),
            ("States.ALL", Some("States.DataLimitExceeded"), false, true),
            ("States.TaskFailed", Some("States.Timeout"), false, false),
            ("States.TaskFailed", Some("X"), false, true),
            ("States.HeartbeatTimeout", Some("States.Timeout"), true, true),
            ("States.HeartbeatTimeout", Some("States.Timeout"), false, false),
            ("States.Timeout", Some("States.Timeout"), true, true),
            ("State.ALL", Some("X"), false, false),
        ] {
            assert_eq!(covers(want, name, heartbeat), expected, "{want} {name:?}");
        }
    }

    #[test]
    fn an_exhausted_retrier_hides_the_later_ones() {
        let retriers = [
            retrier(1.0, None),
            Retrier {
                max_attempts: 9,
                ..retrier(1.0, None)
            },
        ];
        let decision = decide(&retriers, &[], &[3, 0], Some("A"), false, &mut Entropy::new(1));
        assert_eq!(decision, Decision::Fail);
    }
}
