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
const OF_LAMBDA: &[&str] = &[
    "Lambda.AWSLambdaException",
    "Lambda.ClientExecutionTimeoutException",
    "Lambda.SdkClientException",
    "Lambda.ServiceException",
    "Lambda.TooManyRequestsException",
];
const HTTP_STATUS: &str = "States.Http.StatusCode.";

const EXPLANATION: &str = "ErrorEquals is compared letter by letter with the error's name, and any text is accepted. \
    A name that no error has never matches, so the entry does nothing and the error goes on as if it were not there. \
    Names that begin with States. are reserved to Step Functions.";

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
        entries.for_each(|entry| look(&entry, state.retriers.len(), &own, reporter));
    }
}

fn catch(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    let own = own_names(subject);
    for (_, state, written) in subject.states() {
        let entries = entry::catchers(state, written);
        entries.for_each(|entry| look(&entry, state.catchers.len(), &own, reporter));
    }
}

fn look<T: Names>(entry: &Entry<'_, T>, n_entries: usize, own: &BTreeSet<&str>, reporter: &mut Reporter<'_>) {
    let n_names = entry.names().count();
    for (index, (name, node)) in entry.names().enumerate() {
        if node.is_open() || is_known(name) {
            continue;
        }
        let meant = meant(name);
        let is_wrong = meant.is_some() || name.starts_with("States.");
        if !is_wrong || own.contains(name) {
            continue;
        }
        let message = format!("No error is named `{name}`, so this name never matches");
        let location = format!("{}/ErrorEquals[{index}]", entry.location);
        let reported = reporter.report(node, location, message);
        let Some(meant) = meant else {
            reported.hint("see the errors of Step Functions in its developer guide");
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
    let known = RESERVED.iter().chain(OF_LAMBDA).copied();
    wording::nearest(name, known)
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
            ("States.OutOfLuck", None),
            ("Lambda.Unknown", None),
            ("Lambda.ResourceNotFoundException", None),
            ("Order.Timeout", None),
            ("Timeout", None),
        ] {
            assert_eq!(meant(name), expected, "{name}");
        }
    }
}
