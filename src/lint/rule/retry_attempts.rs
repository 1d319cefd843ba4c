//! How often a retrier tries.

use std::collections::BTreeSet;

use crate::asl::definition::Pattern;
use crate::asl::definition::StateKind;
use crate::lint::clock::Limit;
use crate::lint::entry;
use crate::lint::finding::Confidence;
use crate::lint::finding::Severity;
use crate::lint::integration::Call;
use crate::lint::rule::Example;
use crate::lint::rule::Reporter;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;

/// Most events of a STANDARD execution's history.
const EVENTS_MAX: u64 = 25_000;

pub(super) const NONE: Rule = Rule {
    id: "retry/never",
    severity: Severity::Information,
    confidence: Confidence::Static,
    summary: "A retrier with MaxAttempts 0 does nothing",
    explanation: "MaxAttempts 0 means: never retry. That keeps an error from a later retrier that would match it too, \
        for example one with States.ALL; without such a later one the retrier has no effect. It does not mean: retry \
        without end.",
    examples: &[Example {
        bad: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:us-east-1:123456789012:activity:a","Retry":[{"ErrorEquals":["States.ALL"],"MaxAttempts":0}],"End":true}}}"#,
        good: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:us-east-1:123456789012:activity:a","Retry":[{"ErrorEquals":["OutOfStock"],"MaxAttempts":0},{"ErrorEquals":["States.ALL"]}],"End":true}}}"#,
        location: "/States/A/Retry[0]/MaxAttempts",
    }],
    check: none,
};

pub(super) const MANY: Rule = Rule {
    id: "retry/many-attempts",
    severity: Severity::Warning,
    confidence: Confidence::Static,
    summary: "The history is full before the last retry",
    explanation: "Each attempt writes at least three events (TaskScheduled, TaskStarted, TaskFailed), and a STANDARD \
        execution fails with States.Runtime, which nothing catches, when its history reaches 25,000 events. Allow \
        fewer attempts with longer delays.",
    examples: &[Example {
        bad: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:us-east-1:123456789012:activity:a","Retry":[{"ErrorEquals":["States.ALL"],"BackoffRate":1,"MaxAttempts":9999}],"End":true}}}"#,
        good: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:us-east-1:123456789012:activity:a","Retry":[{"ErrorEquals":["States.ALL"],"BackoffRate":1,"MaxAttempts":99}],"End":true}}}"#,
        location: "/States/A/Retry[0]/MaxAttempts",
    }],
    check: many,
};

pub(super) const DATA_LIMIT: Rule = Rule {
    id: "retry/data-limit",
    severity: Severity::Information,
    confidence: Confidence::Heuristic,
    summary: "A result that was too large is asked for again",
    explanation: "States.DataLimitExceeded says that the result was larger than 256 KiB. The next attempt most \
        probably gives the same result. Return less, or write it to a file and return its place.",
    examples: &[Example {
        bad: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:us-east-1:123456789012:activity:a","Retry":[{"ErrorEquals":["States.DataLimitExceeded"]}],"End":true}}}"#,
        good: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:us-east-1:123456789012:activity:a","Retry":[{"ErrorEquals":["States.DataLimitExceeded"],"MaxAttempts":0},{"ErrorEquals":["States.ALL"]}],"End":true}}}"#,
        location: "/States/A/Retry[0]/ErrorEquals[0]",
    }],
    check: data_limit,
};

fn none(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    for (_, state, written) in subject.states() {
        let entries: Vec<_> = entry::retriers(state, written).collect();
        let mut later = BTreeSet::new();
        for entry in entries.iter().rev() {
            let node = entry.node.get("MaxAttempts").filter(|node| !node.is_open());
            let keeps = entry.names().any(|(error, _)| is_taken(error, &later));
            if let Some(node) = node.filter(|_| entry.what.max_attempts == 0 && !keeps) {
                reporter
                    .report(
                        node,
                        format!("{}/MaxAttempts", entry.location),
                        "The retrier never retries, and no later one is kept from doing so: it has no effect",
                    )
                    .hint("leave the retrier out, or let `MaxAttempts` be greater than 0");
            }
            later.extend(entry.names().map(|(name, _)| name));
        }
    }
}

/// Tells whether one of the names matches an error.
fn is_taken(error: &str, names: &BTreeSet<&str>) -> bool {
    const WIDE: &[&str] = &["States.ALL", "States.TaskFailed", "States.Timeout"];
    let is_wide = WIDE.contains(&error) && !names.is_empty();
    let by_wide = WIDE
        .iter()
        .any(|name| names.contains(name) && entry::covers(name, error));
    is_wide || by_wide || names.contains(error)
}

fn many(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    let clock = subject.clock();
    for (_, state, written) in subject.states() {
        let StateKind::Task(task) = &state.kind else { continue };
        if clock.limit(state) == Limit::Express {
            continue;
        }
        let waits = Call::of(task).is_some_and(|call| call.pattern != Pattern::RequestResponse);
        let n_events = if waits { 4 } else { 3 };
        for entry in entry::retriers(state, written) {
            let n_attempts = u64::from(entry.what.max_attempts) + 1;
            let Some(node) = entry.node.get("MaxAttempts") else {
                continue;
            };
            if n_attempts * n_events < EVENTS_MAX {
                continue;
            }
            let fitting = EVENTS_MAX / n_events;
            let message = format!(
                "The execution fails with States.Runtime after about {fitting} attempts, because its history is full at \
                 {EVENTS_MAX} events"
            );
            reporter
                .report(node, format!("{}/MaxAttempts", entry.location), message)
                .hint("allow fewer attempts, with longer delays");
        }
    }
}

fn data_limit(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    for (_, state, written) in subject.states() {
        for entry in entry::retriers(state, written).filter(|entry| 0 < entry.what.max_attempts) {
            for (index, (name, node)) in entry.names().enumerate() {
                if name == "States.DataLimitExceeded" {
                    reporter
                        .report(
                            node,
                            format!("{}/ErrorEquals[{index}]", entry.location),
                            "The next attempt probably gives a result that is too large as well",
                        )
                        .hint("let the task return less, or write its result to a file and return the place");
                }
            }
        }
    }
}
