//! Error names of services without the ending that all of them have.

use crate::asl::definition::Pattern;
use crate::asl::definition::StateKind;
use crate::lint::entry;
use crate::lint::entry::Entry;
use crate::lint::entry::Names;
use crate::lint::finding::Confidence;
use crate::lint::finding::Fix;
use crate::lint::finding::Severity;
use crate::lint::integration::Call;
use crate::lint::rule::Example;
use crate::lint::rule::Reporter;
use crate::lint::rule::Rule;
use crate::lint::sdk;
use crate::lint::subject::Subject;
use crate::lint::walk;

/// Optimized integrations whose errors are all named after classes.
const OPTIMIZED: &[(&str, &str)] = &[("dynamodb", "DynamoDB"), ("sns", "SNS"), ("sqs", "SQS")];
const ENDING: &str = "Exception";

const EXPLANATION: &str = "Step Functions names the error of an AWS SDK integration after the class of the SDK for Java, which \
    ends in Exception, even where the service's own code does not: S3 says NoSuchKey, and the name here is \
    S3.NoSuchKeyException. ErrorEquals is compared letter by letter, so a name without the ending never matches. The \
    errors of dynamodb, sns and sqs end that way, too.";

pub(super) const RETRY: Rule = Rule {
    id: "retry/no-exception-ending",
    severity: Severity::Warning,
    confidence: Confidence::Static,
    summary: "A retrier names a service's error without its ending Exception",
    explanation: EXPLANATION,
    examples: &[Example {
        bad: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::aws-sdk:dynamodb:query","Parameters":{"TableName":"t"},"Retry":[{"ErrorEquals":["DynamoDb.ProvisionedThroughputExceeded"]}],"End":true}}}"#,
        good: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::aws-sdk:dynamodb:query","Parameters":{"TableName":"t"},"Retry":[{"ErrorEquals":["DynamoDb.ProvisionedThroughputExceededException"]}],"End":true}}}"#,
        location: "/States/A/Retry[0]/ErrorEquals[0]",
    }],
    check: retry,
};

pub(super) const CATCH: Rule = Rule {
    id: "catch/no-exception-ending",
    severity: Severity::Warning,
    confidence: Confidence::Static,
    summary: "A catcher names a service's error without its ending Exception",
    explanation: EXPLANATION,
    examples: &[
        Example {
            bad: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::aws-sdk:s3:getObject","Parameters":{"Bucket":"b","Key":"k"},"Catch":[{"ErrorEquals":["S3.NoSuchKey"],"Next":"F"}],"End":true},"F":{"Type":"Fail"}}}"#,
            good: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::aws-sdk:s3:getObject","Parameters":{"Bucket":"b","Key":"k"},"Catch":[{"ErrorEquals":["S3.NoSuchKeyException"],"Next":"F"}],"End":true},"F":{"Type":"Fail"}}}"#,
            location: "/States/A/Catch[0]/ErrorEquals[0]",
        },
        Example {
            bad: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::dynamodb:putItem","Parameters":{"TableName":"t","Item":{"k":{"S":"x"}},"ConditionExpression":"attribute_not_exists(k)"},"Catch":[{"ErrorEquals":["DynamoDB.ConditionalCheckFailed"],"Next":"F"}],"End":true},"F":{"Type":"Fail"}}}"#,
            good: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::dynamodb:putItem","Parameters":{"TableName":"t","Item":{"k":{"S":"x"}},"ConditionExpression":"attribute_not_exists(k)"},"Catch":[{"ErrorEquals":["DynamoDB.ConditionalCheckFailedException"],"Next":"F"}],"End":true},"F":{"Type":"Fail"}}}"#,
            location: "/States/A/Catch[0]/ErrorEquals[0]",
        },
    ],
    check: catch,
};

fn retry(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    for (_, state, written) in subject.states() {
        let Some(prefix) = prefix_of(&state.kind) else { continue };
        entry::retriers(state, written).for_each(|entry| look(&entry, prefix, reporter));
    }
}

fn catch(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    for (_, state, written) in subject.states() {
        let Some(prefix) = prefix_of(&state.kind) else { continue };
        entry::catchers(state, written).for_each(|entry| look(&entry, prefix, reporter));
    }
}

/// Returns what the errors of a Task begin with, when all of them have the ending.
fn prefix_of(kind: &StateKind) -> Option<&'static str> {
    let StateKind::Task(task) = kind else { return None };
    // Whoever holds a task token may fail with any name, and so may a function.
    let call = Call::of(task).filter(|call| call.pattern != Pattern::WaitForTaskToken)?;
    if call.does("lambda", "invoke") {
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
        let is_own = name.split_once('.').is_some_and(|(begin, _)| begin == prefix);
        if !is_own || name.ends_with(ENDING) || node.is_open() {
            continue;
        }
        let message = format!("The errors of this task end in `{ENDING}`, so `{name}` never matches");
        let location = format!("{}/ErrorEquals[{index}]", entry.location);
        let reported = reporter.report(node, location, message);
        let reported = reported.hint(format!("write `{name}{ENDING}`"));
        if let Some(span) = walk::letters(node.span, name) {
            reported.fix(Fix {
                edits: vec![(span, format!("{name}{ENDING}"))],
            });
        }
    }
}
