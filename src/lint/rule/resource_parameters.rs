//! Parameters that a call needs or does not know.

use crate::asl::definition::StateKind;
use crate::asl::node::Member;
use crate::lint::finding::Confidence;
use crate::lint::finding::Fix;
use crate::lint::finding::Severity;
use crate::lint::integration::Call;
use crate::lint::integration::Facts;
use crate::lint::rule::Example;
use crate::lint::rule::Reporter;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;
use crate::lint::walk;
use crate::lint::wording;

pub(super) const MISSING: Rule = Rule {
    id: "resource/missing-parameter",
    severity: Severity::Error,
    confidence: Confidence::Static,
    summary: "A call lacks a parameter that it needs",
    explanation: "The service refuses the call each time, and the task fails. Parameters are looked at where the \
        definition shows them; a Task without Parameters or Arguments sends its input, and an expression for all of \
        them may give anything.",
    examples: &[
        Example {
            bad: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::sqs:sendMessage","Parameters":{"MessageBody":"m"},"End":true}}}"#,
            good: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::sqs:sendMessage","Parameters":{"QueueUrl.$":"$.q","MessageBody":"m"},"End":true}}}"#,
            location: "/States/A/Parameters",
        },
        Example {
            bad: r#"{"StartAt":"A","QueryLanguage":"JSONata","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::sns:publish","Arguments":{"Message":"m"},"End":true}}}"#,
            good: r#"{"StartAt":"A","QueryLanguage":"JSONata","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::sns:publish","Arguments":{"Message":"m","PhoneNumber":"{% $states.input.phone %}"},"End":true}}}"#,
            location: "/States/A/Arguments",
        },
    ],
    check: missing,
};

pub(super) const UNKNOWN: Rule = Rule {
    id: "resource/unknown-parameter",
    severity: Severity::Warning,
    confidence: Confidence::Heuristic,
    summary: "A call has a parameter that its integration does not know",
    explanation: "An optimized integration takes only the parameters that its page of the developer guide lists, with \
        exactly their case; AWS refuses a definition with another one.",
    examples: &[Example {
        bad: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"f","PayLoad.$":"$"},"End":true}}}"#,
        good: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"f","Payload.$":"$"},"End":true}}}"#,
        location: "/States/A/Parameters/PayLoad.$",
    }],
    check: unknown,
};

fn missing(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    for (_, state, written) in subject.states() {
        let StateKind::Task(task) = &state.kind else { continue };
        let Some(call) = Call::of(task) else { continue };
        let (Some(facts), Some(arguments)) = (call.facts, walk::arguments(written)) else {
            continue;
        };
        let lacks = |names: &&&str| !names.split('|').any(|name| walk::member(arguments, name).is_some());
        let lacking: Vec<String> = facts.required.iter().filter(lacks).map(|names| shown(names)).collect();
        if lacking.is_empty() {
            continue;
        }
        let lacking = lacking.join(" and ");
        let message = format!("The call fails each time: `{}` needs {lacking}", call.name());
        reporter
            .report(arguments, walk::place(written, arguments), message)
            .hint(format!("add {lacking}"));
    }
}

/// `A|B` as `A` or `B`, in backticks.
fn shown(names: &str) -> String {
    format!("`{}`", names.replace('|', "` or `"))
}

fn unknown(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    for (_, state, written) in subject.states() {
        let StateKind::Task(task) = &state.kind else { continue };
        let Some(call) = Call::of(task).filter(|call| !call.is_sdk) else {
            continue;
        };
        let Some(facts) = call.facts.filter(|facts| facts.is_complete) else {
            continue;
        };
        let members = walk::arguments(written).map_or(&[][..], |arguments| arguments.members());
        for member in members {
            let name = walk::bare(&member.key);
            if name.contains("${") || names(facts).any(|known| known == name) {
                continue;
            }
            let message = format!(
                "AWS probably refuses the definition: `{}` has no parameter `{name}`",
                call.name()
            );
            let reported = reporter.report_at(member.key_span, walk::place(written, &member.value), message);
            match wording::nearest(name, names(facts)) {
                None => {
                    let known: Vec<&str> = names(facts).collect();
                    reported.hint(format!("it takes `{}`", known.join("`, `")));
                }
                Some(near) => {
                    let reported = reported.hint(format!("write `{near}`"));
                    let is_free = members.iter().all(|member| walk::bare(&member.key) != near);
                    if let Some(fix) = rename(member, near).filter(|_| is_free) {
                        reported.fix(fix);
                    }
                }
            }
        }
    }
}

fn names(facts: &'static Facts) -> impl Iterator<Item = &'static str> {
    let required = facts.required.iter().flat_map(|names| names.split('|'));
    required.chain(facts.optional.iter().copied())
}

/// Another name for a member, `.$` kept.
pub(super) fn rename(member: &Member, name: &str) -> Option<Fix> {
    let span = walk::letters(member.key_span, &member.key)?;
    let end = member.key.strip_prefix(walk::bare(&member.key)).unwrap_or_default();
    Some(Fix {
        edits: vec![(span, format!("{name}{end}"))],
    })
}
