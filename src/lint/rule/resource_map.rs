//! Old spellings of Map.

use crate::asl::definition::StateKind;
use crate::lint::finding::Confidence;
use crate::lint::finding::Severity;
use crate::lint::rule::Example;
use crate::lint::rule::Reporter;
use crate::lint::rule::Rule;
use crate::lint::rule::resource_parameters;
use crate::lint::subject::Subject;

pub(super) const ITERATOR: Rule = Rule {
    id: "resource/deprecated-iterator",
    severity: Severity::Information,
    confidence: Confidence::Static,
    summary: "A Map says Iterator in place of ItemProcessor",
    explanation: "Iterator is the old name of ItemProcessor. Both do the same, but new features (Distributed Map, \
        JSONata) come only with the new one.",
    examples: &[Example {
        bad: r#"{"StartAt":"M","States":{"M":{"Type":"Map","Iterator":{"StartAt":"A","States":{"A":{"Type":"Pass","End":true}}},"End":true}}}"#,
        good: r#"{"StartAt":"M","States":{"M":{"Type":"Map","ItemProcessor":{"StartAt":"A","States":{"A":{"Type":"Pass","End":true}}},"End":true}}}"#,
        location: "/States/M/Iterator",
    }],
    check: iterator,
};

pub(super) const PARAMETERS: Rule = Rule {
    id: "resource/deprecated-map-parameters",
    severity: Severity::Information,
    confidence: Confidence::Static,
    summary: "A Map says Parameters in place of ItemSelector",
    explanation: "Parameters is the old name of a Map's ItemSelector. Both do the same; the new name says that it is \
        evaluated once for each item.",
    examples: &[Example {
        bad: r#"{"StartAt":"M","States":{"M":{"Type":"Map","Parameters":{"x.$":"$$.Map.Item.Value"},"ItemProcessor":{"StartAt":"A","States":{"A":{"Type":"Pass","End":true}}},"End":true}}}"#,
        good: r#"{"StartAt":"M","States":{"M":{"Type":"Map","ItemSelector":{"x.$":"$$.Map.Item.Value"},"ItemProcessor":{"StartAt":"A","States":{"A":{"Type":"Pass","End":true}}},"End":true}}}"#,
        location: "/States/M/Parameters",
    }],
    check: parameters,
};

fn iterator(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    look(subject, reporter, "Iterator", "ItemProcessor");
}

fn parameters(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    look(subject, reporter, "Parameters", "ItemSelector");
}

fn look(subject: &Subject<'_>, reporter: &mut Reporter<'_>, old: &str, new: &str) {
    for (_, state, written) in subject.states() {
        let members = written.node.members();
        let Some(member) = members.iter().find(|member| member.key == old) else {
            continue;
        };
        if !matches!(state.kind, StateKind::Map(_)) || written.node.get(new).is_some() {
            continue;
        }
        let message = format!("`{old}` is the old name of a Map's `{new}`");
        let location = format!("{}/{old}", written.location);
        let reported = reporter
            .report_at(member.key_span, location, message)
            .hint(format!("write `{new}`"));
        if let Some(fix) = resource_parameters::rename(member, new) {
            reported.fix(fix);
        }
    }
}
