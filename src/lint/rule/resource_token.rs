//! Task tokens that do not arrive, or for which nobody waits.

use crate::asl::definition::Pattern;
use crate::asl::definition::StateKind;
use crate::lint::finding::Confidence;
use crate::lint::finding::Severity;
use crate::lint::rule::Example;
use crate::lint::rule::Reporter;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;
use crate::lint::walk;
use crate::model::history_event::TaskFamily;

pub(super) const NONE: Rule = Rule {
    id: "resource/no-task-token",
    severity: Severity::Error,
    confidence: Confidence::Static,
    summary: "A task waits for its token to come back but does not send it",
    explanation: "A task with .waitForTaskToken ends when somebody calls SendTaskSuccess or SendTaskFailure with its \
        token. Nothing in its parameters reads Task.Token of the context object, so nobody can know it: the task can \
        only run into its time limit (TaskTimedOut).",
    examples: &[
        Example {
            bad: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::sqs:sendMessage.waitForTaskToken","Parameters":{"QueueUrl":"q","MessageBody.$":"$"},"TimeoutSeconds":60,"End":true}}}"#,
            good: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::sqs:sendMessage.waitForTaskToken","Parameters":{"QueueUrl":"q","MessageBody.$":"States.Format('{}', $$.Task.Token)"},"TimeoutSeconds":60,"End":true}}}"#,
            location: "/States/A",
        },
        Example {
            bad: r#"{"StartAt":"A","QueryLanguage":"JSONata","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::sqs:sendMessage.waitForTaskToken","Arguments":{"QueueUrl":"q","MessageBody":"{% $states.context.Execution.Id %}"},"TimeoutSeconds":60,"End":true}}}"#,
            good: r#"{"StartAt":"A","QueryLanguage":"JSONata","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::sqs:sendMessage.waitForTaskToken","Arguments":{"QueueUrl":"q","MessageBody":"{% $states.context %}"},"TimeoutSeconds":60,"End":true}}}"#,
            location: "/States/A",
        },
    ],
    check: none,
};

pub(super) const UNUSED: Rule = Rule {
    id: "resource/token-unused",
    severity: Severity::Warning,
    confidence: Confidence::Heuristic,
    summary: "A task reads Task.Token but does not wait for it",
    explanation: "The context object has a Task.Token only in a task that waits: one with .waitForTaskToken or .sync, or \
        an activity. Elsewhere the path leads nowhere: a JSONPath state fails with States.Runtime, which nothing \
        catches, a JSONata state with States.QueryEvaluationError.",
    examples: &[Example {
        bad: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::sqs:sendMessage","Parameters":{"QueueUrl":"q","MessageBody":{"Token.$":"$$.Task.Token"}},"End":true}}}"#,
        good: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::sqs:sendMessage.waitForTaskToken","Parameters":{"QueueUrl":"q","MessageBody":{"Token.$":"$$.Task.Token"}},"TimeoutSeconds":60,"End":true}}}"#,
        location: "/States/A/Parameters/MessageBody/Token.$",
    }],
    check: unused,
};

fn none(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    for (_, state, written) in subject.states() {
        let StateKind::Task(task) = &state.kind else { continue };
        if task.resource.pattern != Pattern::WaitForTaskToken {
            continue;
        }
        let mut values = walk::own_values(written);
        if values.any(|value| value.node.is_open() && value.key != "Resource" || may_read(value.node.text())) {
            continue;
        }
        reporter
            .report(
                written.node,
                written.location.clone(),
                "Nobody can end the task: its parameters do not contain the task token, so it only times out",
            )
            .hint("send `$$.Task.Token` (JSONata: `$states.context.Task.Token`) in its parameters");
    }
}

/// Tells whether an expression may read the token, be it with all of the context object.
fn may_read(text: Option<&str>) -> bool {
    let Some(text) = text else { return false };
    let whole = |name: &str| {
        text.match_indices(name)
            .any(|(at, _)| !text[at + name.len()..].trim_start().starts_with('.'))
    };
    text.contains("Task") && (text.contains("$$") || text.contains("context"))
        || text == "$$"
        || text.contains("$$)")
        || text.contains("$$,")
        || whole("$states.context")
        || whole("$states")
}

fn unused(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    for (_, state, written) in subject.states() {
        let StateKind::Task(task) = &state.kind else { continue };
        let is_integration = matches!(task.resource.family, TaskFamily::Integration { .. });
        if task.resource.pattern != Pattern::RequestResponse || !is_integration {
            continue;
        }
        let reads = |text: &str| text.contains("$$.Task.Token") || text.contains("$states.context.Task.Token");
        let mut values = walk::own_values(written).filter(|value| value.key != "Comment");
        if let Some(value) = values.find(|value| value.node.text().is_some_and(reads)) {
            reporter
                .report(
                    value.node,
                    walk::place(written, value.node),
                    "The context object probably has no task token here, so the state fails: the task does not wait for one",
                )
                .hint("add `.waitForTaskToken` to `Resource`, or leave the token out");
        }
    }
}
