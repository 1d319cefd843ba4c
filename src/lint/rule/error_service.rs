//! Error names of another service than the one that is called.

use crate::asl::definition::Pattern;
use crate::asl::definition::State;
use crate::asl::definition::StateKind;
use crate::lint::entry;
use crate::lint::entry::Entry;
use crate::lint::entry::Names;
use crate::lint::finding::Confidence;
use crate::lint::finding::Severity;
use crate::lint::integration::Call;
use crate::lint::rule::Example;
use crate::lint::rule::Reporter;
use crate::lint::rule::Rule;
use crate::lint::sdk;
use crate::lint::subject::Subject;
use crate::lint::subject::Written;

/// What the errors of optimized integrations begin with, where that is known for certain.
const OPTIMIZED: &[(&str, &str)] = &[
    ("apigateway", "ApiGateway"),
    ("dynamodb", "DynamoDB"),
    ("events", "EventBridge"),
    ("lambda", "Lambda"),
    ("sns", "SNS"),
    ("sqs", "SQS"),
    ("states", "StepFunctions"),
];

const EXPLANATION: &str = "The name of a service's error begins with the service, and an AWS SDK integration spells \
    that differently from an optimized one: DynamoDB.ConditionalCheckFailedException comes from dynamodb:putItem, \
    DynamoDb.ConditionalCheckFailedException from aws-sdk:dynamodb:putItem. A name with another beginning never \
    matches.";

pub(super) const RETRY: Rule = Rule {
    id: "retry/other-service",
    severity: Severity::Warning,
    confidence: Confidence::Static,
    summary: "A retrier names an error of another service than the one that is called",
    explanation: EXPLANATION,
    examples: &[Example {
        bad: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::aws-sdk:dynamodb:query","Parameters":{"TableName":"t"},"Retry":[{"ErrorEquals":["DynamoDB.ThrottlingException"]}],"End":true}}}"#,
        good: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::aws-sdk:dynamodb:query","Parameters":{"TableName":"t"},"Retry":[{"ErrorEquals":["DynamoDb.ThrottlingException"]}],"End":true}}}"#,
        location: "/States/A/Retry[0]/ErrorEquals[0]",
    }],
    check: retry,
};

pub(super) const CATCH: Rule = Rule {
    id: "catch/other-service",
    severity: Severity::Warning,
    confidence: Confidence::Static,
    summary: "A catcher names an error of another service than the one that is called",
    explanation: EXPLANATION,
    examples: &[Example {
        bad: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::dynamodb:deleteItem","Parameters":{"TableName":"t","Key":{"k":{"S":"x"}}},"Catch":[{"ErrorEquals":["Lambda.ServiceException"],"Next":"F"}],"End":true},"F":{"Type":"Fail"}}}"#,
        good: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::dynamodb:deleteItem","Parameters":{"TableName":"t","Key":{"k":{"S":"x"}}},"Catch":[{"ErrorEquals":["DynamoDB.ConditionalCheckFailedException"],"Next":"F"}],"End":true},"F":{"Type":"Fail"}}}"#,
        location: "/States/A/Catch[0]/ErrorEquals[0]",
    }],
    check: catch,
};

fn retry(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    each_task(subject, |state, written, prefix| {
        entry::retriers(state, written).for_each(|entry| look(&entry, prefix, reporter));
    });
}

fn catch(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    each_task(subject, |state, written, prefix| {
        entry::catchers(state, written).for_each(|entry| look(&entry, prefix, reporter));
    });
}

/// Visits the Tasks whose errors begin in a known way, with that beginning.
pub(super) fn each_task(subject: &Subject<'_>, mut visit: impl FnMut(&State, &Written<'_>, &'static str)) {
    for (_, state, written) in subject.states() {
        if let Some(prefix) = prefix_of(&state.kind) {
            visit(state, written, prefix);
        }
    }
}

/// Returns what the errors of a Task begin with. A function, and whoever holds a task token, may fail with any name.
fn prefix_of(kind: &StateKind) -> Option<&'static str> {
    let StateKind::Task(task) = kind else { return None };
    let call = Call::of(task)?;
    // What a child execution fails with is another rule's.
    let is_child = call.is("states", "startExecution") && call.pattern != Pattern::RequestResponse;
    if call.pattern == Pattern::WaitForTaskToken || is_child || call.does("lambda", "invoke") {
        return None;
    }
    if call.is_sdk {
        return sdk::error_prefix(call.service);
    }
    let found = OPTIMIZED.iter().find(|(service, _)| *service == call.service);
    found.map(|(_, prefix)| *prefix)
}

fn look<T: Names>(entry: &Entry<'_, T>, prefix: &str, reporter: &mut Reporter<'_>) {
    for (index, (name, node)) in entry.names().enumerate() {
        let Some((begin, rest)) = name.split_once('.') else {
            continue;
        };
        let is_service = OPTIMIZED.iter().any(|(_, other)| *other == begin) || is_sdk(begin);
        if begin == prefix || !is_service || node.is_open() {
            continue;
        }
        let message = format!("The errors of this task begin with `{prefix}.`, so `{name}` never matches");
        let is_same = begin.eq_ignore_ascii_case(prefix);
        let hint = if is_same {
            format!("write `{prefix}.{rest}`")
        } else {
            "leave it out, or name the error of the service that is called".to_owned()
        };
        let location = format!("{}/ErrorEquals[{index}]", entry.location);
        reporter.report(node, location, message).hint(hint);
    }
}

fn is_sdk(begin: &str) -> bool {
    sdk::error_prefix(&begin.to_ascii_lowercase()) == Some(begin)
}
