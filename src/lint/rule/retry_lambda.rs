//! Lambda calls that a passing trouble of the service ends.

use crate::asl::definition::Retrier;
use crate::asl::definition::State;
use crate::asl::definition::StateKind;
use crate::lint::entry;
use crate::lint::entry::Entry;
use crate::lint::finding::Confidence;
use crate::lint::finding::Severity;
use crate::lint::integration;
use crate::lint::rule::Example;
use crate::lint::rule::Reporter;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;

/// What AWS recommends to retry.
const TRANSIENT: &[&str] = &[
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.TooManyRequestsException",
];

pub(super) const RULE: Rule = Rule {
    id: "retry/lambda-transient",
    severity: Severity::Information,
    confidence: Confidence::Static,
    summary: "A Lambda call does not retry the service's own passing errors",
    explanation: "Lambda answers some calls with an error although the function is fine: Lambda.ServiceException, \
        Lambda.AWSLambdaException, Lambda.SdkClientException, and Lambda.TooManyRequestsException when too many run. \
        AWS recommends to retry these in every Task that calls a function.",
    examples: &[Example {
        bad: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"f"},"Retry":[{"ErrorEquals":["Busy"]}],"End":true}}}"#,
        good: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"f"},"Retry":[{"ErrorEquals":["Lambda.ServiceException","Lambda.AWSLambdaException","Lambda.SdkClientException","Lambda.TooManyRequestsException"],"IntervalSeconds":1,"MaxAttempts":3,"BackoffRate":2}],"End":true}}}"#,
        location: "/States/A",
    }],
    check,
};

fn check(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    for (_, state, written) in subject.states() {
        let StateKind::Task(task) = &state.kind else { continue };
        let is_open = written.node.get("Retry").is_some_and(|retry| retry.is_open());
        if !integration::is_lambda(task) || is_open {
            continue;
        }
        let mut retriers = entry::retriers(state, written);
        let is_retried = retriers.any(|entry| entry.has_open_name() || retries_transient(&entry));
        if is_retried || is_retried_outside(subject, state) {
            continue;
        }
        reporter
            .report(
                written.node,
                written.location.clone(),
                "A passing trouble of the Lambda service, such as Lambda.TooManyRequestsException, fails the task at once",
            )
            .hint(format!("add a retrier for `{}`", TRANSIENT.join("`, `")));
    }
}

fn retries_transient(entry: &Entry<'_, Retrier>) -> bool {
    TRANSIENT.iter().any(|error| entry.matches(error))
}

/// Tells whether a Map or Parallel around a state is retried for such an error.
fn is_retried_outside(subject: &Subject<'_>, state: &State) -> bool {
    let definition = subject.definition;
    let mut parent = definition.block(state.block).parent;
    while let Some(id) = parent {
        let group = definition.state(id);
        if entry::retriers(group, subject.written(id)).any(|entry| retries_transient(&entry)) {
            return true;
        }
        parent = definition.block(group.block).parent;
    }
    false
}
