//! AWS SDK integrations: services, spellings, better ways.

use crate::asl::definition::Pattern;
use crate::asl::definition::StateKind;
use crate::asl::definition::Task;
use crate::asl::node::Node;
use crate::lint::finding::Confidence;
use crate::lint::finding::Fix;
use crate::lint::finding::Severity;
use crate::lint::integration::Call;
use crate::lint::rule::Example;
use crate::lint::rule::Reporter;
use crate::lint::rule::Rule;
use crate::lint::sdk;
use crate::lint::subject::Subject;
use crate::lint::subject::Written;
use crate::lint::walk;
use crate::lint::wording;

pub(super) const SERVICE: Rule = Rule {
    id: "resource/unknown-service",
    severity: Severity::Warning,
    confidence: Confidence::Heuristic,
    summary: "An SDK integration names a service that is not on AWS's list",
    explanation: "AWS refuses a definition whose service it does not know. The word is that of the SDK for Java 2.x in \
        lower case without separators, which is not always the one of the command line: sfn, eventbridge, \
        cloudwatchlogs, cognitoidentityprovider. The list grows; if yours is new, ignore the finding.",
    examples: &[Example {
        bad: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::aws-sdk:stepfunctions:listExecutions","Parameters":{},"End":true}}}"#,
        good: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::aws-sdk:sfn:listExecutions","Parameters":{},"End":true}}}"#,
        location: "/States/A/Resource",
    }],
    check: service,
};

pub(super) const ENDED: Rule = Rule {
    id: "resource/ended-service",
    severity: Severity::Information,
    confidence: Confidence::Static,
    summary: "An SDK integration names a service that has ended",
    explanation: "AWS has ended the service or taken it off the list of SDK integrations. Machines that exist keep the \
        call, but it has nothing to answer it.",
    examples: &[Example {
        bad: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::aws-sdk:qldb:listLedgers","Parameters":{},"End":true}}}"#,
        good: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::aws-sdk:dynamodb:listTables","Parameters":{},"End":true}}}"#,
        location: "/States/A/Resource",
    }],
    check: ended,
};

pub(super) const CASE: Rule = Rule {
    id: "resource/action-case",
    severity: Severity::Error,
    confidence: Confidence::Static,
    summary: "An SDK integration is spelled with the wrong case",
    explanation: "The service stands in lower case and the action begins with a small letter: aws-sdk:s3:getObject. AWS \
        refuses other spellings as a resource that is not recognized.",
    examples: &[
        Example {
            bad: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::aws-sdk:s3:GetObject","Parameters":{"Bucket":"b","Key":"k"},"End":true}}}"#,
            good: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::aws-sdk:s3:getObject","Parameters":{"Bucket":"b","Key":"k"},"End":true}}}"#,
            location: "/States/A/Resource",
        },
        Example {
            bad: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::aws-sdk:dynamoDb:query","Parameters":{},"End":true}}}"#,
            good: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::aws-sdk:dynamodb:query","Parameters":{},"End":true}}}"#,
            location: "/States/A/Resource",
        },
    ],
    check: case,
};

pub(super) const PARAMETER_CASE: Rule = Rule {
    id: "resource/parameter-case",
    severity: Severity::Warning,
    confidence: Confidence::Static,
    summary: "A parameter of an SDK integration begins with a small letter",
    explanation: "SDK integrations take their parameters in PascalCase, also those of services whose own API spells \
        them otherwise. A parameter that begins with a small letter does not exist.",
    examples: &[Example {
        bad: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::aws-sdk:s3:getObject","Parameters":{"Bucket":"b","key":"k"},"End":true}}}"#,
        good: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::aws-sdk:s3:getObject","Parameters":{"Bucket":"b","Key":"k"},"End":true}}}"#,
        location: "/States/A/Parameters/key",
    }],
    check: parameter_case,
};

pub(super) const OPTIMIZED: Rule = Rule {
    id: "resource/optimized-exists",
    severity: Severity::Information,
    confidence: Confidence::Static,
    summary: "An SDK integration is used where an optimized one exists",
    explanation: "The optimized integration does the same with less to write: it parses a function's Payload, takes \
        objects for messages, and can wait for the end of a job with .sync. The two differ in the shape of the result \
        and in the names of the errors (DynamoDB.… and DynamoDb.…), so look at the states that read them.",
    examples: &[Example {
        bad: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::aws-sdk:sqs:sendMessage","Parameters":{"QueueUrl":"q","MessageBody":"m"},"End":true}}}"#,
        good: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::sqs:sendMessage","Parameters":{"QueueUrl":"q","MessageBody":"m"},"End":true}}}"#,
        location: "/States/A/Resource",
    }],
    check: optimized,
};

/// Calls `look` with each SDK integration whose `Resource` has no open placeholder.
fn each<'a>(subject: &Subject<'a>, mut look: impl FnMut(Call<'a>, &'a Task, &Written<'a>, &'a Node, String)) {
    for (_, state, written) in subject.states() {
        let StateKind::Task(task) = &state.kind else { continue };
        let Some(call) = Call::of(task).filter(|call| call.is_sdk) else {
            continue;
        };
        if let Some(node) = written.node.get("Resource").filter(|node| !node.is_open()) {
            look(call, task, written, node, format!("{}/Resource", written.location));
        }
    }
}

fn service(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    each(subject, |call, _, _, node, location| {
        let lower = call.service.to_ascii_lowercase();
        if sdk::error_prefix(&lower).is_some() || sdk::has_ended(&lower) {
            return;
        }
        let message = format!(
            "AWS probably refuses the definition: it has no SDK integration `{}`",
            call.service
        );
        let others = [
            ("stepfunctions", "sfn"),
            ("events", "eventbridge"),
            ("logs", "cloudwatchlogs"),
        ];
        let other = others
            .iter()
            .find(|(wrong, _)| *wrong == lower)
            .map(|(_, right)| (*right).to_owned());
        let hint = match other.or_else(|| wording::nearest(&lower, sdk::services())) {
            Some(meant) => format!("write `{meant}`"),
            None => "use the service's name in the SDK for Java 2.x, in lower case without separators".to_owned(),
        };
        reporter.report(node, location, message).hint(hint);
    });
}

fn ended(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    each(subject, |call, _, _, node, location| {
        if sdk::has_ended(&call.service.to_ascii_lowercase()) {
            let message = format!(
                "AWS no longer offers `{}`, so the call has nothing to answer it",
                call.service
            );
            reporter
                .report(node, location, message)
                .hint("call what has taken its place");
        }
    });
}

fn case(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    each(subject, |call, task, _, node, location| {
        let lower = call.service.to_ascii_lowercase();
        let mut action = call.action.to_owned();
        if let Some(first) = action.get_mut(..1) {
            first.make_ascii_lowercase();
        }
        if (lower == call.service || sdk::error_prefix(&lower).is_none()) && action == call.action {
            return;
        }
        let wrong = format!("aws-sdk:{}:{}", call.service, call.action);
        let right = format!("aws-sdk:{lower}:{action}");
        let arn = &*task.resource.arn;
        let fix = walk::letters(node.span, arn).map(|span| Fix {
            edits: vec![(span, arn.replacen(&wrong, &right, 1))],
        });
        let message = format!("AWS refuses the definition: the resource `{wrong}` is not recognized");
        let reported = reporter
            .report(node, location, message)
            .hint(format!("write `{right}`"));
        if let Some(fix) = fix {
            reported.fix(fix);
        }
    });
}

fn parameter_case(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    each(subject, |call, _, written, _, _| {
        let Some(arguments) = walk::arguments(written) else {
            return;
        };
        for member in arguments.members() {
            let name = walk::bare(&member.key);
            let Some(first) = name.chars().next().filter(char::is_ascii_lowercase) else {
                continue;
            };
            let message = format!(
                "`{}` has no parameter `{name}`: all begin with a capital letter",
                call.name()
            );
            reporter
                .report_at(member.key_span, walk::place(written, &member.value), message)
                .hint(format!("write `{}{}`", first.to_ascii_uppercase(), &name[1..]));
        }
    });
}

fn optimized(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    each(subject, |call, _, _, node, location| {
        let Some(facts) = call.facts.filter(|_| call.pattern == Pattern::RequestResponse) else {
            return;
        };
        let what = if facts.has_sync {
            "can wait for the end of what it starts"
        } else {
            "is shorter to write"
        };
        let message = format!(
            "The optimized integration `{}:{}` does the same and {what}",
            facts.service, facts.action
        );
        reporter
            .report(node, location, message)
            .hint("use it, and look at the states that read the result or catch the errors: both differ");
    });
}
