//! Names in `ErrorEquals` that no error has.

use std::collections::BTreeSet;

use crate::asl::definition::Fail;
use crate::asl::definition::StateKind;
use crate::asl::definition::TextField;
use crate::lint::entry;
use crate::lint::entry::Entry;
use crate::lint::entry::Names;
use crate::lint::finding::Confidence;
use crate::lint::finding::Fix;
use crate::lint::finding::Severity;
use crate::lint::integration;
use crate::lint::own_error;
use crate::lint::rule::Example;
use crate::lint::rule::Reporter;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;
use crate::lint::walk;
use crate::lint::wording;

/// Names that Step Functions gives errors itself, or reads in `ErrorEquals`.
const RESERVED: &[&str] = &[
    "States.ALL",
    "States.BranchFailed",
    "States.DataLimitExceeded",
    "States.ExceedToleratedFailureThreshold",
    "States.HeartbeatTimeout",
    "States.Http.AccessDenied",
    "States.Http.Socket",
    "States.IntrinsicFailure",
    "States.ItemReaderFailed",
    "States.NoChoiceMatched",
    "States.ParameterPathFailure",
    "States.Permissions",
    "States.QueryEvaluationError",
    "States.ReferencePathConflict",
    "States.ResultPathMatchFailure",
    "States.ResultWriterFailed",
    "States.Runtime",
    "States.TaskFailed",
    "States.Timeout",
];
/// Names that the Lambda service gives its own errors, as far as they are long enough to be misspelt.
///
/// Source: AWS's API reference of Lambda, "Invoke", errors, read 2026-11, with the prefix of Step Functions.
const OF_LAMBDA: &[&str] = &[
    "Lambda.AWSLambdaException",
    "Lambda.ClientExecutionTimeoutException",
    "Lambda.EC2AccessDeniedException",
    "Lambda.EC2ThrottledException",
    "Lambda.EC2UnexpectedException",
    "Lambda.EFSIOException",
    "Lambda.EFSMountConnectivityException",
    "Lambda.EFSMountFailureException",
    "Lambda.EFSMountTimeoutException",
    "Lambda.ENILimitReachedException",
    "Lambda.InvalidParameterValueException",
    "Lambda.InvalidRequestContentException",
    "Lambda.InvalidRuntimeException",
    "Lambda.InvalidSecurityGroupIDException",
    "Lambda.InvalidSubnetIDException",
    "Lambda.InvalidZipFileException",
    "Lambda.KMSAccessDeniedException",
    "Lambda.KMSDisabledException",
    "Lambda.KMSInvalidStateException",
    "Lambda.KMSNotFoundException",
    "Lambda.RecursiveInvocationException",
    "Lambda.RequestTooLargeException",
    "Lambda.ResourceConflictException",
    "Lambda.ResourceNotFoundException",
    "Lambda.ResourceNotReadyException",
    "Lambda.SdkClientException",
    "Lambda.ServiceException",
    "Lambda.SnapStartException",
    "Lambda.SnapStartNotReadyException",
    "Lambda.SnapStartTimeoutException",
    "Lambda.SubnetIPAddressLimitReachedException",
    "Lambda.TooManyRequestsException",
    "Lambda.UnsupportedMediaTypeException",
];
const HTTP_STATUS: &str = "States.Http.StatusCode.";

const EXPLANATION: &str = "ErrorEquals is compared letter by letter with the error's name, and any text is accepted. \
    A name that no error has never matches, so the entry does nothing and the error goes on as if it were not there. \
    Names that begin with States. are reserved to Step Functions. An action of this machine fails with the names that its \
    documentation lists (`stepfn actions NAME`).";

pub(super) const RETRY: Rule = Rule {
    id: "retry/unknown-error",
    severity: Severity::Warning,
    confidence: Confidence::Static,
    summary: "A retrier names an error that does not exist",
    explanation: EXPLANATION,
    examples: &[
        Example {
            bad: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:us-east-1:123456789012:activity:a","TimeoutSeconds":60,"Retry":[{"ErrorEquals":["States.Timedout"]}],"End":true}}}"#,
            good: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:us-east-1:123456789012:activity:a","TimeoutSeconds":60,"Retry":[{"ErrorEquals":["States.Timeout","Timedout","States.Http.StatusCode.503"]}],"End":true}}}"#,
            location: "/States/A/Retry[0]/ErrorEquals[0]",
        },
        Example {
            bad: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"f"},"Retry":[{"ErrorEquals":["Lambda.ServiceException","Lambda.ToManyRequestsException"]}],"End":true}}}"#,
            good: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"f"},"Retry":[{"ErrorEquals":["Lambda.ServiceException","Lambda.TooManyRequestsException","Lambda.Unknown"]}],"End":true}}}"#,
            location: "/States/A/Retry[0]/ErrorEquals[1]",
        },
        Example {
            bad: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::debian:apt.install","Parameters":{"Packages":["nginx"]},"Retry":[{"ErrorEquals":["Apt.LockTimout"]}],"End":true}}}"#,
            good: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::debian:apt.install","Parameters":{"Packages":["nginx"]},"Retry":[{"ErrorEquals":["Apt.LockTimeout","Debian.LockFailed"]}],"End":true}}}"#,
            location: "/States/A/Retry[0]/ErrorEquals[0]",
        },
    ],
    check: retry,
};

pub(super) const CATCH: Rule = Rule {
    id: "catch/unknown-error",
    severity: Severity::Warning,
    confidence: Confidence::Static,
    summary: "A catcher names an error that does not exist",
    explanation: EXPLANATION,
    examples: &[Example {
        bad: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:us-east-1:123456789012:activity:a","Catch":[{"ErrorEquals":["State.ALL"],"Next":"F"}],"End":true},"F":{"Type":"Fail"}}}"#,
        good: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:us-east-1:123456789012:activity:a","Catch":[{"ErrorEquals":["States.ALL"],"Next":"F"}],"End":true},"F":{"Type":"Fail"}}}"#,
        location: "/States/A/Catch[0]/ErrorEquals[0]",
    }],
    check: catch,
};

fn retry(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    let own = own_names(subject);
    for (_, state, written) in subject.states() {
        let entries = entry::retriers(state, written);
        let action = action_of(&state.kind);
        entries.for_each(|entry| look(&entry, state.retriers.len(), action.as_deref(), &own, reporter));
    }
}

fn catch(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    let own = own_names(subject);
    for (_, state, written) in subject.states() {
        let entries = entry::catchers(state, written);
        let action = action_of(&state.kind);
        entries.for_each(|entry| look(&entry, state.catchers.len(), action.as_deref(), &own, reporter));
    }
}

/// Returns the action of this machine that a state calls.
fn action_of(kind: &StateKind) -> Option<String> {
    match kind {
        StateKind::Task(task) => integration::debian_action(task),
        _ => None,
    }
}

fn look<T: Names>(
    entry: &Entry<'_, T>,
    n_entries: usize,
    action: Option<&str>,
    own: &BTreeSet<&str>,
    reporter: &mut Reporter<'_>,
) {
    let n_names = entry.names().count();
    for (index, (name, node)) in entry.names().enumerate() {
        if node.is_open() || is_known(name) || own.contains(name) {
            continue;
        }
        let (message, meant, hint) = match action.map(|action| (action, own_error::wrong(action, name))) {
            Some((action, Some(meant))) => {
                let action = action.replacen('-', ".", 1);
                let message = format!("`{action}` fails with no error named `{name}`, so this name never matches");
                (message, meant, format!("`stepfn actions {action}` lists its errors"))
            }
            _ => {
                let meant = meant(name);
                if meant.is_none() && !name.starts_with("States.") {
                    continue;
                }
                let message = format!("No error is named `{name}`, so this name never matches");
                (
                    message,
                    meant,
                    "see the errors of Step Functions in its developer guide".to_owned(),
                )
            }
        };
        let location = format!("{}/ErrorEquals[{index}]", entry.location);
        let reported = reporter.report(node, location, message);
        let Some(meant) = meant else {
            reported.hint(hint);
            continue;
        };
        let reported = reported.hint(format!("write `{meant}`"));
        // AWS wants the wildcard alone and last.
        let fits = meant != "States.ALL" || (n_names == 1 && entry.location.ends_with(&format!("[{}]", n_entries - 1)));
        if let Some(span) = walk::letters(node.span, name).filter(|_| fits) {
            reported.fix(Fix {
                edits: vec![(span, meant.to_owned())],
            });
        }
    }
}

fn is_known(name: &str) -> bool {
    let status = name.strip_prefix(HTTP_STATUS);
    let is_status = status.is_some_and(|code| code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_digit()));
    is_status || RESERVED.contains(&name) || OF_LAMBDA.contains(&name)
}

/// Returns the names of the definition's own errors: a Fail state may end with any.
fn own_names<'a>(subject: &Subject<'a>) -> BTreeSet<&'a str> {
    let errors = subject.definition.states.iter().filter_map(|state| match &state.kind {
        StateKind::Fail(Fail {
            error: Some(TextField::Literal(error)),
            ..
        }) => Some(&**error),
        _ => None,
    });
    errors.collect()
}

/// Returns the existing name that a misspelt one is close to.
fn meant(name: &str) -> Option<&'static str> {
    if !name.contains('.') {
        return None;
    }
    let mut known = RESERVED.iter().chain(OF_LAMBDA).copied();
    // Of long names the ending is what people leave out.
    let whole = known
        .clone()
        .find(|known| known.strip_suffix("Exception") == Some(name));
    whole.or_else(|| wording::nearest(name, &mut known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_is_close_to_one_that_exists() {
        for (name, expected) in [
            ("States.All", Some("States.ALL")),
            ("states.all", Some("States.ALL")),
            ("State.ALL", Some("States.ALL")),
            ("States.Timedout", Some("States.Timeout")),
            ("States.TimeOut", Some("States.Timeout")),
            ("States.TaskFail", Some("States.TaskFailed")),
            ("Lambda.AwsLambdaException", Some("Lambda.AWSLambdaException")),
            ("Lambda.TooManyRequests", Some("Lambda.TooManyRequestsException")),
            ("States.OutOfLuck", None),
            ("Lambda.Unknown", None),
            ("Lambda.ResourceNotFound", Some("Lambda.ResourceNotFoundException")),
            ("Order.Timeout", None),
            ("Timeout", None),
        ] {
            assert_eq!(meant(name), expected, "{name}");
        }
    }
}
