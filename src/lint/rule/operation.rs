//! What makes a machine hard to run.

use crate::asl::definition::Pattern;
use crate::asl::definition::StateKind;
use crate::lint::finding::Confidence;
use crate::lint::finding::Severity;
use crate::lint::integration::Call;
use crate::lint::rule::Example;
use crate::lint::rule::Reporter;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;
use crate::lint::walk;
use crate::model::history_event::TaskFamily;

/// Services whose jobs have a time limit when nobody sets one: queries, builds, crawls, trainings.
const BOUNDED_SERVICES: &[&str] = &["athena", "codebuild", "glue", "sagemaker"];

pub(super) const TIMEOUT: Rule = Rule {
    id: "operation/no-machine-timeout",
    severity: Severity::Information,
    confidence: Confidence::Static,
    summary: "An execution may hang, and the machine has no TimeoutSeconds",
    explanation: "Without TimeoutSeconds an execution that hangs, in a task that waits without a limit, stays RUNNING for \
        up to a year, and no alarm on timed-out executions fires. Loops are no matter of this rule: the history is full \
        long before.",
    examples: &[Example {
        bad: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:us-east-1:123456789012:activity:a","End":true}}}"#,
        good: r#"{"StartAt":"A","TimeoutSeconds":3600,"States":{"A":{"Type":"Task","Resource":"arn:aws:states:us-east-1:123456789012:activity:a","End":true}}}"#,
        location: "/",
    }],
    check: timeout,
};

pub(super) const NAME: Rule = Rule {
    id: "operation/state-name",
    severity: Severity::Information,
    confidence: Confidence::Static,
    summary: "The name of a state has letters beyond ASCII, or spaces at its ends",
    explanation: "CloudWatch metrics, log filters and command lines show state names as they are. Invisible characters, \
        look-alikes and spaces at the ends make a state that cannot be found by the name that one reads.",
    examples: &[Example {
        bad: r#"{"StartAt":"Prüfen","States":{"Prüfen":{"Type":"Pass","End":true}}}"#,
        good: r#"{"StartAt":"Check order","States":{"Check order":{"Type":"Pass","End":true}}}"#,
        location: "/States/Prüfen",
    }],
    check: name,
};

pub(super) const START: Rule = Rule {
    id: "operation/start-without-name",
    severity: Severity::Information,
    confidence: Confidence::Static,
    summary: "A child execution is started without a name",
    explanation: "AWS makes a name up, so that a second start of the same work is a second execution, and the child \
        cannot be found from its parent's name. With a Name made from the parent's, a repeated start is refused, or \
        answered with the first one while it runs.",
    examples: &[Example {
        bad: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::states:startExecution","Parameters":{"StateMachineArn.$":"$.m"},"End":true}}}"#,
        good: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::states:startExecution","Parameters":{"StateMachineArn.$":"$.m","Name.$":"$$.Execution.Name"},"End":true}}}"#,
        location: "/States/A/Parameters",
    }],
    check: start,
};

pub(super) const REDRIVE: Rule = Rule {
    id: "operation/unsafe-redrive",
    severity: Severity::Information,
    confidence: Confidence::Heuristic,
    summary: "A redrive starts a child execution under a name that is taken",
    explanation: "A redrive runs the failed state again within 14 days. This child's name depends only on the \
        execution, so when the child has failed its name is taken for 90 days: the redriven task probably fails with \
        StepFunctions.ExecutionAlreadyExistsException. Put Execution.RedriveCount of the context object into the name.",
    examples: &[Example {
        bad: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::states:startExecution.sync:2","Parameters":{"StateMachineArn.$":"$.m","Name.$":"$$.Execution.Name"},"End":true}}}"#,
        good: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::states:startExecution.sync:2","Parameters":{"StateMachineArn.$":"$.m","Name.$":"States.Format('{}-{}', $$.Execution.Name, $$.Execution.RedriveCount)"},"End":true}}}"#,
        location: "/States/A/Parameters/Name.$",
    }],
    check: redrive,
};

fn timeout(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    let definition = subject.definition;
    let has_limit = definition.timeout_seconds.is_some() || subject.root.get("TimeoutSeconds").is_some();
    if has_limit || subject.express {
        return;
    }
    let endless = definition.states.iter().find(|state| match &state.kind {
        StateKind::Task(task) => {
            let waits = task.resource.pattern != Pattern::RequestResponse;
            let waits = waits || task.resource.family == TaskFamily::Activity;
            let waits = waits && !is_ended_by_its_service(&task.resource.family);
            waits && task.timeout_seconds.is_none() && task.heartbeat_seconds.is_none()
        }
        _ => false,
    });
    let Some(state) = endless else { return };
    let message = format!(
        "If `{}` does not end, the execution stays RUNNING until AWS ends it, a year later",
        state.name
    );
    reporter
        .report(subject.root, "/", message)
        .hint("add `TimeoutSeconds` to the machine");
}

/// Tells whether a service ends its jobs by itself, by limits of its own.
fn is_ended_by_its_service(family: &TaskFamily) -> bool {
    match family {
        TaskFamily::Integration { resource_type, .. } => BOUNDED_SERVICES.contains(&&**resource_type),
        TaskFamily::Lambda | TaskFamily::Activity => false,
    }
}

fn name(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    for (_, state, written) in subject.states() {
        let is_hard = !state.name.is_ascii() || state.name.trim() != &*state.name;
        if is_hard {
            reporter
                .report(
                    written.node,
                    written.location.clone(),
                    "Metrics, logs and command lines show a name that is hard to type and to search for",
                )
                .hint("use letters, digits and single spaces of ASCII");
        }
    }
}

fn start(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    for (_, state, written) in subject.states() {
        let StateKind::Task(task) = &state.kind else { continue };
        let starts = Call::of(task).is_some_and(|call| call.does("states", "startExecution"));
        let Some(arguments) = walk::arguments(written).filter(|_| starts) else {
            continue;
        };
        if walk::member(arguments, "Name").is_none() {
            reporter
                .report(
                    arguments,
                    walk::place(written, arguments),
                    "A second start of the same work, by a retry or a redrive, is a second execution: AWS makes a name up",
                )
                .hint(
                    "add `Name`, made from the execution's own name and what tells its starts apart: the item's index, the \
                     round, the retry",
                );
        }
    }
}

fn redrive(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    for (_, state, written) in subject.states() {
        let StateKind::Task(task) = &state.kind else { continue };
        let starts = Call::of(task).is_some_and(|call| call.is("states", "startExecution"));
        let waits = matches!(task.resource.pattern, Pattern::Sync | Pattern::Sync2);
        if !starts || !waits || !state.retriers.is_empty() {
            continue;
        }
        let name = walk::arguments(written).and_then(|arguments| walk::member(arguments, "Name"));
        let Some(member) = name.filter(|member| !member.value.is_open()) else {
            continue;
        };
        let text = member.value.text().unwrap_or_default();
        let varies = ["RedriveCount", "RetryCount", "UUID", "uuid", "random", "now", "millis"];
        if text.contains(".Execution.") && !varies.iter().any(|part| text.contains(part)) {
            reporter
                .report(
                    &member.value,
                    walk::place(written, &member.value),
                    "When the child has failed, a redrive probably fails with StepFunctions.ExecutionAlreadyExistsException: the \
                     name is taken",
                )
                .hint("put `Execution.RedriveCount` of the context object into `Name`");
        }
    }
}
