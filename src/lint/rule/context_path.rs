//! Paths into the input that mean the context object.

use std::collections::BTreeSet;

use crate::asl::definition::QueryLanguage;
use crate::lint::finding::Confidence;
use crate::lint::finding::Severity;
use crate::lint::flow::From;
use crate::lint::flow::Source;
use crate::lint::flow::Verdict;
use crate::lint::rule::Example;
use crate::lint::rule::Reporter;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;
use crate::lint::walk;

/// What the context object has, without `State.Name`: an EC2 instance has that, too.
const MEMBERS: &[&[&str]] = &[
    &["Execution", "Id"],
    &["Execution", "Input"],
    &["Execution", "Name"],
    &["Execution", "RedriveCount"],
    &["Execution", "RoleArn"],
    &["Execution", "StartTime"],
    &["Map", "Item", "Index"],
    &["Map", "Item", "Key"],
    &["Map", "Item", "Value"],
    &["State", "EnteredTime"],
    &["State", "RetryCount"],
    &["StateMachine", "Id"],
    &["StateMachine", "Name"],
    &["Task", "Token"],
];

pub(super) const RULE: Rule = Rule {
    id: "data/context-path",
    severity: Severity::Warning,
    confidence: Confidence::Heuristic,
    summary: "A path looks in the input for what the context object has",
    explanation: "$$ is the context object, $ the input. $.Execution.Id finds nothing unless the input has such a member, and the \
        state fails with States.Runtime, which nothing can catch. Nothing in this definition makes a member of that name, so \
        one dollar sign is probably missing.",
    examples: &[Example {
        bad: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::sqs:sendMessage","Parameters":{"QueueUrl":"q","MessageBody":{"id.$":"$.Execution.Id"}},"End":true}}}"#,
        good: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::sqs:sendMessage","Parameters":{"QueueUrl":"q","MessageBody":{"id.$":"$$.Execution.Id"}},"End":true}}}"#,
        location: "/States/A/Parameters/MessageBody/id.$",
    }],
    check,
};

fn check(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    let mut written = None;
    for read in subject.flow().reads() {
        let is_input = read.from == From::Source(Source::Input) && matches!(read.verdict, Verdict::Possible);
        let is_path = subject.definition.state(read.state).language == QueryLanguage::JsonPath;
        let begins = |names: &&&[&str]| {
            names.len() <= read.steps.len() && names.iter().zip(&read.steps).all(|(name, step)| name == step)
        };
        let Some(names) = MEMBERS.iter().find(begins).filter(|_| is_input && is_path) else {
            continue;
        };
        if written.get_or_insert_with(|| written_names(subject)).contains(names[0]) {
            continue;
        }
        let message = format!(
            "`{}` looks in the input; the `{}` that Step Functions gives is in the context object",
            read.text,
            names.join(".")
        );
        reporter
            .report_read(subject, read, message)
            .hint(format!("write `${}`", read.text));
    }
}

/// Returns the names of members that the definition itself may make.
fn written_names<'a>(subject: &Subject<'a>) -> BTreeSet<&'a str> {
    let mut names = BTreeSet::new();
    for value in walk::values(subject.root) {
        names.insert(walk::bare(value.key));
        if value.key == "ResultPath" {
            names.extend(value.node.text().unwrap_or_default().split(['.', '$', '[', ']']));
        }
    }
    names
}
