//! Delays between attempts that put the load of a trouble on top of it.

use crate::asl::definition::MapMode;
use crate::asl::definition::StateKind;
use crate::lint::entry;
use crate::lint::finding::Confidence;
use crate::lint::finding::Severity;
use crate::lint::rule::Example;
use crate::lint::rule::Reporter;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;

pub(super) const CONSTANT: Rule = Rule {
    id: "retry/constant-delay",
    severity: Severity::Information,
    confidence: Confidence::Static,
    summary: "A retrier tries many times at short, equal intervals",
    explanation: "With a BackoffRate of 1 a service in trouble is called again and again at the same pace, which keeps it \
        in trouble. Let the delays grow (the default rate is 2), up to MaxDelaySeconds.",
    examples: &[Example {
        bad: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:us-east-1:123456789012:activity:a","Retry":[{"ErrorEquals":["Busy"],"BackoffRate":1,"MaxAttempts":50}],"End":true}}}"#,
        good: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:us-east-1:123456789012:activity:a","Retry":[{"ErrorEquals":["Busy"],"BackoffRate":1.5,"MaxDelaySeconds":60,"MaxAttempts":50}],"End":true}}}"#,
        location: "/States/A/Retry[0]",
    }],
    check: constant,
};

pub(super) const JITTER: Rule = Rule {
    id: "retry/no-jitter",
    severity: Severity::Information,
    confidence: Confidence::Static,
    summary: "Child executions of a Distributed Map retry in step",
    explanation: "Many child executions that fail together, because the same service is in trouble, come back together \
        after the same delay. JitterStrategy FULL spreads their attempts over the delay.",
    examples: &[Example {
        bad: r#"{"StartAt":"M","States":{"M":{"Type":"Map","Label":"m","ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"STANDARD"},"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:us-east-1:123456789012:activity:a","Retry":[{"ErrorEquals":["Busy"]}],"End":true}}},"End":true}}}"#,
        good: r#"{"StartAt":"M","States":{"M":{"Type":"Map","Label":"m","ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"STANDARD"},"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:us-east-1:123456789012:activity:a","Retry":[{"ErrorEquals":["Busy"],"JitterStrategy":"FULL"}],"End":true}}},"End":true}}}"#,
        location: "/States/M/ItemProcessor/States/A/Retry[0]",
    }],
    check: jitter,
};

fn constant(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    /// Attempts and seconds from which on it is a load.
    const ATTEMPTS_MIN: u32 = 10;
    const SECONDS_MAX: u64 = 5;
    for (_, state, written) in subject.states() {
        for entry in entry::retriers(state, written).filter(|entry| !entry.has_open_number()) {
            let retrier = entry.what;
            let delay = retrier.interval_seconds;
            if retrier.backoff_rate <= 1.0 && delay <= SECONDS_MAX && ATTEMPTS_MIN <= retrier.max_attempts {
                let message = format!(
                    "A service in trouble is called {} more times, always IntervalSeconds ({delay}) apart",
                    retrier.max_attempts
                );
                reporter
                    .report(entry.node, entry.location.clone(), message)
                    .hint("let `BackoffRate` be greater than 1, and hold the delays with `MaxDelaySeconds`");
            }
        }
    }
}

fn jitter(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    let definition = subject.definition;
    for (_, state, written) in subject.states() {
        let parent = definition
            .block(state.block)
            .parent
            .map(|parent| &definition.state(parent).kind);
        let Some(StateKind::Map(map)) = parent else { continue };
        if map.mode == MapMode::Inline {
            continue;
        }
        let mut retriers = entry::retriers(state, written).filter(|entry| !entry.has_open_number());
        let in_step = retriers.find(|entry| !entry.what.full_jitter && 0 < entry.what.max_attempts);
        if let Some(entry) = in_step {
            reporter
                .report(
                    entry.node,
                    entry.location.clone(),
                    "Child executions that fail together come back together, after the same delay",
                )
                .hint("add `\"JitterStrategy\": \"FULL\"`");
        }
    }
}
