//! Retries that keep an execution waiting for long.

use crate::asl::definition::Retrier;
use crate::asl::definition::StateKind;
use crate::lint::clock;
use crate::lint::entry;
use crate::lint::finding::Confidence;
use crate::lint::finding::Severity;
use crate::lint::rule::Example;
use crate::lint::rule::Reporter;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;
use crate::lint::wording;

/// Shorter delays surprise nobody.
const SECONDS_MIN: u64 = 60 * 60;

pub(super) const RULE: Rule = Rule {
    id: "retry/long-delays",
    severity: Severity::Information,
    confidence: Confidence::Static,
    summary: "The delays between the attempts of a retrier come to more than an hour",
    explanation: "Each delay is BackoffRate times the one before, up to MaxDelaySeconds, so a few more attempts make the whole much \
        longer. Until the last attempt has failed nobody hears of the failure: Catch is not asked, and no alarm on \
        failed executions rings. If that is meant, ignore the finding; else allow fewer attempts, or hold the delays \
        with MaxDelaySeconds.",
    examples: &[Example {
        bad: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::sqs:sendMessage","Parameters":{"QueueUrl":"q.fifo","MessageBody":"m"},"Retry":[{"ErrorEquals":["SQS.AmazonSQSException"],"IntervalSeconds":10,"MaxAttempts":10}],"End":true}}}"#,
        good: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::sqs:sendMessage","Parameters":{"QueueUrl":"q.fifo","MessageBody":"m"},"Retry":[{"ErrorEquals":["SQS.AmazonSQSException"],"IntervalSeconds":10,"MaxAttempts":10,"MaxDelaySeconds":120}],"End":true}}}"#,
        location: "/States/A/Retry[0]",
    }],
    check,
};

fn check(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    for (_, state, written) in subject.states() {
        let limit = subject.clock().limit(state).seconds();
        for entry in entry::retriers(state, written).filter(|entry| !entry.has_open_number()) {
            // What the execution does not live to see, `time/retries-outlive-machine` tells.
            let is_cut = clock::first_retry_beyond(entry.what, 0, limit).is_some();
            let delays = delays(entry.what);
            if is_cut || delays < SECONDS_MIN || limit <= delays {
                continue;
            }
            let timeout = match &state.kind {
                StateKind::Task(task) if entry.matches("States.Timeout") => {
                    clock::literal_seconds(task.timeout_seconds.as_ref())
                }
                _ => None,
            };
            let n_attempts = u64::from(entry.what.max_attempts) + 1;
            let with_attempts = timeout.map(|timeout| delays.saturating_add(timeout.saturating_mul(n_attempts)));
            let with_attempts = with_attempts.map_or_else(String::new, |seconds| {
                format!(
                    ", and with attempts that run into TimeoutSeconds to {}",
                    wording::duration(seconds)
                )
            });
            let least = if entry.what.full_jitter { "up to " } else { "" };
            let message = format!(
                "The delays before its {} retries come to {least}{}{with_attempts}",
                entry.what.max_attempts,
                wording::duration(delays)
            );
            reporter
                .report(entry.node, entry.location.clone(), message)
                .hint("if that is too long, allow fewer attempts or hold the delays with `MaxDelaySeconds`");
        }
    }
}

/// Returns the sum of all delays, in seconds.
fn delays(retrier: &Retrier) -> u64 {
    let max = retrier.max_delay_seconds.unwrap_or(u64::MAX);
    let mut sum = 0_u64;
    let mut delay = f64::from(u32::try_from(retrier.interval_seconds).unwrap_or(u32::MAX));
    for retry in 0..u64::from(retrier.max_attempts) {
        let seconds = clock::whole_seconds(delay).min(max);
        if seconds == max || retrier.backoff_rate <= 1.0 {
            // From here on all delays are equal.
            return sum.saturating_add(seconds.saturating_mul(u64::from(retrier.max_attempts) - retry));
        }
        sum = sum.saturating_add(seconds);
        if clock::YEAR_SECONDS < sum {
            return sum;
        }
        delay *= retrier.backoff_rate;
    }
    sum
}
