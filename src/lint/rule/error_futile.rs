//! Names in `ErrorEquals` that exist but never arrive there.

use crate::asl::definition::Pattern;
use crate::asl::definition::StateKind;
use crate::asl::definition::Task;
use crate::lint::entry;
use crate::lint::entry::Entry;
use crate::lint::entry::Names;
use crate::lint::finding::Confidence;
use crate::lint::finding::Severity;
use crate::lint::integration::Call;
use crate::lint::rule::Example;
use crate::lint::rule::Reporter;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;
use crate::lint::walk;

/// Errors of a Map's or Parallel's own work.
const OF_GROUPS: &[&str] = &[
    "States.BranchFailed",
    "States.ExceedToleratedFailureThreshold",
    "States.ItemReaderFailed",
    "States.ResultWriterFailed",
];

const EXPLANATION: &str = "States.Runtime ends the execution past every Retry and Catch, States.ALL included, and so \
    does States.NoChoiceMatched, which AWS reports as States.Runtime. Errors of Map and Parallel do not come from a \
    Task, errors of HTTP Tasks only from those.";

pub(super) const RETRY: Rule = Rule {
    id: "retry/futile-error",
    severity: Severity::Warning,
    confidence: Confidence::Static,
    summary: "A retrier names an error that never arrives at it",
    explanation: EXPLANATION,
    examples: &[Example {
        bad: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:us-east-1:123456789012:activity:a","Retry":[{"ErrorEquals":["States.TaskFailed","States.Http.Socket"]}],"End":true}}}"#,
        good: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:us-east-1:123456789012:activity:a","Retry":[{"ErrorEquals":["States.TaskFailed"]}],"End":true}}}"#,
        location: "/States/A/Retry[0]/ErrorEquals[1]",
    }],
    check: retry,
};

pub(super) const CATCH: Rule = Rule {
    id: "catch/futile-error",
    severity: Severity::Warning,
    confidence: Confidence::Static,
    summary: "A catcher names an error that never arrives at it",
    explanation: EXPLANATION,
    examples: &[Example {
        bad: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:us-east-1:123456789012:activity:a","Catch":[{"ErrorEquals":["States.Runtime"],"Next":"F"},{"ErrorEquals":["States.ALL"],"Next":"F"}],"End":true},"F":{"Type":"Fail"}}}"#,
        good: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:us-east-1:123456789012:activity:a","Catch":[{"ErrorEquals":["States.ALL"],"Next":"F"}],"End":true},"F":{"Type":"Fail"}}}"#,
        location: "/States/A/Catch[0]/ErrorEquals[0]",
    }],
    check: catch,
};

const TIMEOUT_EXPLANATION: &str = "A Task without TimeoutSeconds and HeartbeatSeconds does not fail with \
    States.Timeout before the year is over that an execution may last, and then the execution ends as a whole. A \
    Lambda function that runs into its own time limit fails with another name. Give the task TimeoutSeconds.";

pub(super) const RETRY_TIMEOUT: Rule = Rule {
    id: "retry/no-timeout",
    severity: Severity::Information,
    confidence: Confidence::Static,
    summary: "A retrier waits for a timeout of a task that has no time limit",
    explanation: TIMEOUT_EXPLANATION,
    examples: &[Example {
        bad: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"f"},"Retry":[{"ErrorEquals":["States.Timeout"]}],"End":true}}}"#,
        good: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"f"},"TimeoutSeconds":30,"Retry":[{"ErrorEquals":["States.Timeout"]}],"End":true}}}"#,
        location: "/States/A/Retry[0]/ErrorEquals[0]",
    }],
    check: retry_timeout,
};

pub(super) const CATCH_TIMEOUT: Rule = Rule {
    id: "catch/no-timeout",
    severity: Severity::Information,
    confidence: Confidence::Static,
    summary: "A catcher waits for a timeout of a task that has no time limit",
    explanation: TIMEOUT_EXPLANATION,
    examples: &[Example {
        bad: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:us-east-1:123456789012:activity:a","Catch":[{"ErrorEquals":["States.Timeout"],"Next":"F"}],"End":true},"F":{"Type":"Fail"}}}"#,
        good: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:us-east-1:123456789012:activity:a","HeartbeatSeconds":30,"Catch":[{"ErrorEquals":["States.Timeout"],"Next":"F"}],"End":true},"F":{"Type":"Fail"}}}"#,
        location: "/States/A/Catch[0]/ErrorEquals[0]",
    }],
    check: catch_timeout,
};

const NESTED_EXPLANATION: &str = "When a child execution fails, the Task that waits for it fails with \
    States.TaskFailed, whatever the child's own error was; that stands in the cause, as JSON text. Match \
    States.TaskFailed, and look at the cause with a Choice.";

pub(super) const RETRY_NESTED: Rule = Rule {
    id: "retry/nested-error",
    severity: Severity::Warning,
    confidence: Confidence::Static,
    summary: "A retrier names an error of a child execution",
    explanation: NESTED_EXPLANATION,
    examples: &[Example {
        bad: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::states:startExecution.sync:2","Parameters":{"StateMachineArn.$":"$.m","Name.$":"$.n"},"Retry":[{"ErrorEquals":["StockTooLow"]}],"End":true}}}"#,
        good: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::states:startExecution.sync:2","Parameters":{"StateMachineArn.$":"$.m","Name.$":"$.n"},"Retry":[{"ErrorEquals":["StepFunctions.ExecutionLimitExceededException"]}],"End":true}}}"#,
        location: "/States/A/Retry[0]/ErrorEquals[0]",
    }],
    check: retry_nested,
};

pub(super) const CATCH_NESTED: Rule = Rule {
    id: "catch/nested-error",
    severity: Severity::Warning,
    confidence: Confidence::Static,
    summary: "A catcher names an error of a child execution",
    explanation: NESTED_EXPLANATION,
    examples: &[Example {
        bad: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::states:startExecution.sync","Parameters":{"StateMachineArn.$":"$.m","Name.$":"$.n"},"Catch":[{"ErrorEquals":["StockTooLow"],"Next":"F"}],"End":true},"F":{"Type":"Fail"}}}"#,
        good: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::states:startExecution.sync","Parameters":{"StateMachineArn.$":"$.m","Name.$":"$.n"},"Catch":[{"ErrorEquals":["States.TaskFailed"],"Next":"F"}],"End":true},"F":{"Type":"Fail"}}}"#,
        location: "/States/A/Catch[0]/ErrorEquals[0]",
    }],
    check: catch_nested,
};

/// Says why a name never arrives, and what to do; `None` when it may.
type Reason = fn(&str, &StateKind) -> Option<(String, &'static str)>;

fn retry(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    retriers(subject, reporter, futile);
}

fn catch(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    catchers(subject, reporter, futile);
}

fn retry_timeout(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    retriers(subject, reporter, timeout);
}

fn catch_timeout(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    catchers(subject, reporter, timeout);
}

fn retry_nested(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    retriers(subject, reporter, nested);
}

fn catch_nested(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    catchers(subject, reporter, nested);
}

fn retriers(subject: &Subject<'_>, reporter: &mut Reporter<'_>, reason: Reason) {
    for (_, state, written) in subject.states() {
        entry::retriers(state, written).for_each(|entry| look(&entry, &state.kind, reporter, reason));
    }
}

fn catchers(subject: &Subject<'_>, reporter: &mut Reporter<'_>, reason: Reason) {
    for (_, state, written) in subject.states() {
        entry::catchers(state, written).for_each(|entry| look(&entry, &state.kind, reporter, reason));
    }
}

fn look<T: Names>(entry: &Entry<'_, T>, kind: &StateKind, reporter: &mut Reporter<'_>, reason: Reason) {
    for (index, (name, node)) in entry.names().enumerate() {
        if let Some((message, hint)) = reason(name, kind).filter(|_| !node.is_open()) {
            let location = format!("{}/ErrorEquals[{index}]", entry.location);
            reporter.report(node, location, message).hint(hint);
        }
    }
}

fn futile(name: &str, kind: &StateKind) -> Option<(String, &'static str)> {
    if name == "States.Runtime" || name == "States.NoChoiceMatched" {
        let message = format!("`{name}` ends the execution without asking Retry or Catch, so this name never matches");
        return Some((
            message,
            "leave it out, and prevent the error: check the data with a Choice beforehand",
        ));
    }
    let StateKind::Task(task) = kind else { return None };
    let is_http = |task: &Task| {
        let is_open = !walk::has_known_resource(task);
        is_open || Call::of(task).is_some_and(|call| call.is("http", "invoke"))
    };
    let from = if OF_GROUPS.contains(&name) {
        "a Map or Parallel"
    } else if name.starts_with("States.Http.") && !is_http(task) {
        "an HTTP Task"
    } else {
        return None;
    };
    let message = format!("`{name}` comes only from {from}, so this name never matches here");
    Some((message, "leave it out"))
}

fn timeout(name: &str, kind: &StateKind) -> Option<(String, &'static str)> {
    let StateKind::Task(task) = kind else { return None };
    let has_limit = match name {
        "States.HeartbeatTimeout" => task.heartbeat_seconds.is_some(),
        "States.Timeout" => task.timeout_seconds.is_some() || task.heartbeat_seconds.is_some(),
        _ => return None,
    };
    if has_limit {
        return None;
    }
    let (field, hint) = if name == "States.Timeout" {
        ("TimeoutSeconds", "give the task `TimeoutSeconds`")
    } else {
        ("HeartbeatSeconds", "give the task `HeartbeatSeconds`")
    };
    let message = format!("`{name}` does not happen: the task has no {field}");
    Some((message, hint))
}

fn nested(name: &str, kind: &StateKind) -> Option<(String, &'static str)> {
    let StateKind::Task(task) = kind else { return None };
    let call = Call::of(task)?;
    let waits = matches!(call.pattern, Pattern::Sync | Pattern::Sync2);
    let is_own = ["States.", "StepFunctions."]
        .iter()
        .any(|prefix| name.starts_with(prefix));
    if !waits || !call.is("states", "startExecution") || is_own {
        return None;
    }
    let message = format!(
        "A child execution that fails with `{name}` reaches this task as States.TaskFailed, so this name never matches"
    );
    Some((
        message,
        "match `States.TaskFailed`; the child's error stands in the cause, as JSON text",
    ))
}
