//! `MaxDelaySeconds` that holds nothing.

use crate::lint::entry;
use crate::lint::finding::Confidence;
use crate::lint::finding::Severity;
use crate::lint::rule::Example;
use crate::lint::rule::Reporter;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;

pub(super) const RULE: Rule = Rule {
    id: "time/max-delay-pointless",
    severity: Severity::Warning,
    confidence: Confidence::Static,
    summary: "MaxDelaySeconds has no use beside IntervalSeconds and BackoffRate",
    explanation: "MaxDelaySeconds holds delays that grow. With a BackoffRate of 1 they do not grow, and when it is not \
        greater than IntervalSeconds already the first delay is cut to it, so that BackoffRate has no effect.",
    examples: &[
        Example {
            bad: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:us-east-1:123456789012:activity:a","Retry":[{"ErrorEquals":["States.ALL"],"IntervalSeconds":30,"MaxDelaySeconds":10}],"End":true}}}"#,
            good: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:us-east-1:123456789012:activity:a","Retry":[{"ErrorEquals":["States.ALL"],"IntervalSeconds":10,"MaxDelaySeconds":30}],"End":true}}}"#,
            location: "/States/A/Retry[0]/MaxDelaySeconds",
        },
        Example {
            bad: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:us-east-1:123456789012:activity:a","Retry":[{"ErrorEquals":["States.ALL"],"BackoffRate":1.0,"MaxDelaySeconds":10}],"End":true}}}"#,
            good: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:us-east-1:123456789012:activity:a","Retry":[{"ErrorEquals":["States.ALL"],"BackoffRate":1.5,"MaxDelaySeconds":10}],"End":true}}}"#,
            location: "/States/A/Retry[0]/MaxDelaySeconds",
        },
    ],
    check,
};

fn check(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    for (_, state, written) in subject.states() {
        for entry in entry::retriers(state, written) {
            let (Some(max), Some(node)) = (entry.what.max_delay_seconds, entry.node.get("MaxDelaySeconds")) else {
                continue;
            };
            let interval = entry.what.interval_seconds;
            let message = if entry.has_open_number() {
                continue;
            } else if entry.what.backoff_rate <= 1.0 && interval <= max {
                "No delay is longer than IntervalSeconds, because BackoffRate is 1: MaxDelaySeconds has no effect"
                    .to_owned()
            } else if max <= interval {
                format!("MaxDelaySeconds cuts already the first delay to {max} seconds, so that none grows")
            } else {
                continue;
            };
            reporter
                .report(node, format!("{}/MaxDelaySeconds", entry.location), message)
                .hint("let `BackoffRate` be greater than 1 and `MaxDelaySeconds` greater than `IntervalSeconds`, or leave it out");
        }
    }
}
