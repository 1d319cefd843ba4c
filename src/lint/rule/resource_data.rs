//! Values that a service takes otherwise than they are written.

use crate::asl::definition::StateKind;
use crate::asl::node::Kind;
use crate::asl::node::Member;
use crate::lint::finding::Confidence;
use crate::lint::finding::Severity;
use crate::lint::integration::Call;
use crate::lint::rule::Example;
use crate::lint::rule::Reporter;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;
use crate::lint::walk;

/// The types of DynamoDB's attribute values.
const TYPES: &[&str] = &["B", "BOOL", "BS", "L", "M", "N", "NS", "NULL", "S", "SS"];

pub(super) const ATTRIBUTE: Rule = Rule {
    id: "resource/attribute-value",
    severity: Severity::Warning,
    confidence: Confidence::Heuristic,
    summary: "A DynamoDB attribute has no type",
    explanation: "DynamoDB takes each attribute as an object with its type as the only key: {\"S\": \"text\"}, \
        {\"N\": \"12\"}, {\"BOOL\": true}. A plain text is taken as one of type S; a plain number, true or false, or an \
        object without types is not taken, and the task fails.",
    examples: &[Example {
        bad: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::dynamodb:getItem","Parameters":{"TableName":"t","Key":{"id":12}},"End":true}}}"#,
        good: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::dynamodb:getItem","Parameters":{"TableName":"t","Key":{"id":{"S":"x"},"plain":"x","sort":{"N.$":"States.Format('{}', $.n)"},"more.$":"$.typed"}},"End":true}}}"#,
        location: "/States/A/Parameters/Key/id",
    }],
    check: attribute,
};

pub(super) const S3_BODY: Rule = Rule {
    id: "resource/s3-body-quoted",
    severity: Severity::Information,
    confidence: Confidence::Static,
    summary: "aws-sdk:s3:putObject stores a text with its quotes",
    explanation: "The SDK integration stores Body as JSON: the text hello becomes an object of seven bytes, \"hello\" \
        with its quotes. For a text file let a function write it; JSON objects are stored as expected.",
    examples: &[Example {
        bad: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::aws-sdk:s3:putObject","Parameters":{"Bucket":"b","Key":"k","Body":"hello"},"End":true}}}"#,
        good: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::aws-sdk:s3:putObject","Parameters":{"Bucket":"b","Key":"k","Body":{"greeting":"hello"}},"End":true}}}"#,
        location: "/States/A/Parameters/Body",
    }],
    check: s3_body,
};

fn attribute(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    for (_, state, written) in subject.states() {
        let StateKind::Task(task) = &state.kind else { continue };
        let is_dynamo = Call::of(task).is_some_and(|call| call.service == "dynamodb");
        let Some(arguments) = walk::arguments(written).filter(|_| is_dynamo) else {
            continue;
        };
        for field in ["Item", "Key", "ExpressionAttributeValues"] {
            let members = arguments.get(field).map_or(&[][..], |object| object.members());
            for member in members.iter().filter(|member| !is_attribute(member)) {
                let message = format!(
                    "DynamoDB probably refuses the call each time: the attribute `{}` has no type",
                    member.key
                );
                reporter
                    .report(&member.value, walk::place(written, &member.value), message)
                    .hint("write it as an object with its type, such as `{\"S\": …}`");
            }
        }
    }
}

/// Tells whether an attribute has a type, or may have one.
fn is_attribute(member: &Member) -> bool {
    match &member.value.kind {
        Kind::Bool(_) | Kind::Number(_) => false,
        Kind::Object(members) => match members.as_slice() {
            [member] => TYPES.contains(&walk::bare(&member.key)),
            _ => false,
        },
        // A plain text works, as published definitions show.
        Kind::Array(_) | Kind::Null | Kind::Open(_) | Kind::Placeholder(_) | Kind::String(_) => true,
    }
}

fn s3_body(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    for (_, state, written) in subject.states() {
        let StateKind::Task(task) = &state.kind else { continue };
        let puts = Call::of(task).is_some_and(|call| call.is_sdk && (call.service, call.action) == ("s3", "putObject"));
        let Some(arguments) = walk::arguments(written).filter(|_| puts) else {
            continue;
        };
        let Some(member) = walk::member(arguments, "Body") else {
            continue;
        };
        let text = member.value.text().unwrap_or_default();
        let formats = member.key.ends_with(".$") && text.starts_with("States.Format(");
        if formats || walk::literal(&member.key, &member.value).is_some() {
            reporter
                .report(
                    &member.value,
                    walk::place(written, &member.value),
                    "The object holds the text as JSON, with quotes around it",
                )
                .hint("let a function write the file, if the quotes are not meant");
        }
    }
}
