//! A variable that nobody reads.

use crate::lint::finding::Confidence;
use crate::lint::finding::Severity;
use crate::lint::rule::Example;
use crate::lint::rule::Reporter;
use crate::lint::rule::Rule;
use crate::lint::rule::variable_scope;
use crate::lint::subject::Subject;
use std::collections::BTreeSet;

pub(super) const RULE: Rule = Rule {
    id: "variable/unused",
    severity: Severity::Information,
    confidence: Confidence::Static,
    summary: "A variable is assigned and never read",
    explanation: "No state reads the variable, so the Assign costs room (10 MiB for all variables of an execution) and says something \
        that is not so. Take it away, or read it where it was meant.",
    examples: &[Example {
        bad: r#"{"StartAt":"A","States":{"A":{"Type":"Pass","Assign":{"total":1},"End":true}}}"#,
        good: r#"{"StartAt":"A","States":{"A":{"Type":"Pass","Assign":{"total":1},"Next":"B"},"B":{"Type":"Pass","Parameters":{"t.$":"$total"},"End":true}}}"#,
        location: "/States/A/Assign",
    }],
    check,
};

fn check(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    let read: BTreeSet<&str> = subject
        .definition
        .variable_reads
        .values()
        .flatten()
        .map(String::as_str)
        .collect();
    let mut seen = BTreeSet::new();
    for (id, place, name) in variable_scope::assignments(subject) {
        if read.contains(&*name) || !seen.insert(name.clone()) {
            continue;
        }
        let written = subject.written(id);
        let message = format!("`${name}` is assigned, but no state reads it");
        reporter
            .report(
                written.node.follow(&place),
                format!("{}{place}", written.location),
                message,
            )
            .hint("take it away, or read it where it was meant");
    }
}
