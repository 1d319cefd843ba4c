//! A heartbeat that is never missed.

use crate::asl::definition::StateKind;
use crate::lint::clock;
use crate::lint::finding::Confidence;
use crate::lint::finding::Severity;
use crate::lint::rule::Example;
use crate::lint::rule::Reporter;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;

pub(super) const RULE: Rule = Rule {
    id: "time/heartbeat-equals-timeout",
    severity: Severity::Warning,
    confidence: Confidence::Static,
    summary: "HeartbeatSeconds is as long as TimeoutSeconds",
    explanation: "A missed heartbeat is noticed no earlier than the end of TimeoutSeconds, so a dead worker is waited \
        for as long as a busy one. HeartbeatSeconds should be a small part of TimeoutSeconds.",
    examples: &[Example {
        bad: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:us-east-1:123456789012:activity:a","TimeoutSeconds":600,"HeartbeatSeconds":600,"End":true}}}"#,
        good: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:us-east-1:123456789012:activity:a","TimeoutSeconds":600,"HeartbeatSeconds":60,"End":true}}}"#,
        location: "/States/A/HeartbeatSeconds",
    }],
    check,
};

fn check(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    for (_, state, written) in subject.states() {
        let StateKind::Task(task) = &state.kind else { continue };
        let timeout = clock::literal_seconds(task.timeout_seconds.as_ref());
        let heartbeat = clock::literal_seconds(task.heartbeat_seconds.as_ref());
        let (Some(timeout), Some(heartbeat)) = (timeout, heartbeat) else {
            continue;
        };
        let nodes = (written.node.get("HeartbeatSeconds"), written.node.get("TimeoutSeconds"));
        let (Some(node), Some(other)) = nodes else { continue };
        if heartbeat < timeout || node.is_open() || other.is_open() {
            continue;
        }
        let message = format!("A missed heartbeat is noticed only when the task's {timeout} seconds are over anyway");
        reporter
            .report(node, format!("{}/HeartbeatSeconds", written.location), message)
            .hint("let `HeartbeatSeconds` be a small part of `TimeoutSeconds`");
    }
}
