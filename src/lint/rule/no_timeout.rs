//! A task that may wait for a year.

use crate::asl::definition::Pattern;
use crate::asl::definition::StateKind;
use crate::lint::finding::Confidence;
use crate::lint::finding::Severity;
use crate::lint::rule::Example;
use crate::lint::rule::Reporter;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;
use crate::model::history_event::TaskFamily;

pub(super) const RULE: Rule = Rule {
    id: "time/no-timeout",
    severity: Severity::Warning,
    confidence: Confidence::Static,
    summary: "A task that waits for someone else has no time limit",
    explanation: "A task that waits for a task token or an activity worker, and has neither TimeoutSeconds nor \
        HeartbeatSeconds, waits 99,999,999 seconds (three years) when the answer is lost; the execution ends after a \
        year at the latest. Give it TimeoutSeconds, and HeartbeatSeconds when the worker reports that it is alive.",
    examples: &[Example {
        bad: r#"{"StartAt":"Ask","States":{"Ask":{"Type":"Task","Resource":"arn:aws:states:::sqs:sendMessage.waitForTaskToken","Parameters":{"QueueUrl":"q","MessageBody":{"Token.$":"$$.Task.Token"}},"End":true}}}"#,
        good: r#"{"StartAt":"Ask","States":{"Ask":{"Type":"Task","Resource":"arn:aws:states:::sqs:sendMessage.waitForTaskToken","Parameters":{"QueueUrl":"q","MessageBody":{"Token.$":"$$.Task.Token"}},"TimeoutSeconds":3600,"End":true}}}"#,
        location: "/States/Ask",
    }],
    check,
};

fn check(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    if subject.definition.timeout_seconds.is_some() {
        return;
    }
    for (_, state, written) in subject.states() {
        let StateKind::Task(task) = &state.kind else { continue };
        if task.timeout_seconds.is_some() || task.heartbeat_seconds.is_some() {
            continue;
        }
        let waits_for = match (&task.resource.family, task.resource.pattern) {
            (_, Pattern::WaitForTaskToken) => "its task token",
            (TaskFamily::Activity, _) => "an activity worker",
            _ => continue,
        };
        let message =
            format!("The task waits up to a year for {waits_for}, and nothing ends it when the answer is lost");
        reporter
            .report(written.node, written.location.clone(), message)
            .hint("add `TimeoutSeconds`, and `HeartbeatSeconds` when the worker sends heartbeats");
    }
}
