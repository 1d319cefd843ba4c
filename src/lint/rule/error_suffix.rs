//! Error names of services without the ending that all of them have.

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
use crate::lint::rule::error_service;
use crate::lint::subject::Subject;
use crate::lint::walk;

/// Optimized integrations whose errors are all named after classes.
const OPTIMIZED: &[&str] = &["dynamodb", "sns", "sqs"];
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
    error_service::each_task(subject, |state, written, prefix| {
        if all_have_it(&state.kind) {
            entry::retriers(state, written).for_each(|entry| look(&entry, prefix, reporter));
        }
    });
}

fn catch(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    error_service::each_task(subject, |state, written, prefix| {
        if all_have_it(&state.kind) {
            entry::catchers(state, written).for_each(|entry| look(&entry, prefix, reporter));
        }
    });
}

/// Tells whether all errors of a Task have the ending.
fn all_have_it(kind: &StateKind) -> bool {
    let StateKind::Task(task) = kind else { return false };
    Call::of(task).is_some_and(|call| call.is_sdk || OPTIMIZED.contains(&call.service))
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
