//! A variable of an inner block that is read outside.

use crate::lint::finding::Confidence;
use crate::lint::finding::Severity;
use crate::lint::flow::describe;
use crate::lint::rule::Example;
use crate::lint::rule::Reporter;
use crate::lint::rule::Rule;
use crate::lint::rule::variable_scope;
use crate::lint::rule::variable_scope::Why;
use crate::lint::subject::Subject;

pub(super) const RULE: Rule = Rule {
    id: "variable/out-of-scope",
    severity: Severity::Error,
    confidence: Confidence::Path,
    summary: "A variable of another block is read",
    explanation: "A variable that a branch or an iteration assigns ends with it, and the branches do not see each other's. The children \
        of a Distributed Map do not see the variables of the machine either. Hand the value out in the output, or in \
        through ItemSelector.",
    examples: &[Example {
        bad: r#"{"StartAt":"P","States":{"P":{"Type":"Parallel","Branches":[{"StartAt":"X","States":{"X":{"Type":"Pass","Assign":{"inner":1},"End":true}}}],"Next":"B"},"B":{"Type":"Pass","Parameters":{"i.$":"$inner"},"End":true}}}"#,
        good: r#"{"StartAt":"P","States":{"P":{"Type":"Parallel","Branches":[{"StartAt":"X","States":{"X":{"Type":"Pass","Result":{"inner":1},"End":true}}}],"Next":"B"},"B":{"Type":"Pass","Parameters":{"i.$":"$[0].inner"},"End":true}}}"#,
        location: "/States/B/Parameters/i.$",
    }],
    check,
};

fn check(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    for missing in variable_scope::missing(subject) {
        let Why::OtherBlock { assigner } = missing.why else {
            continue;
        };
        let read = missing.read;
        let message = format!(
            "`${}` belongs to the block of {} and is not seen here; {}",
            missing.name,
            describe::name(subject, assigner),
            describe::outcome(subject, read)
        );
        reporter
            .report_read(subject, read, message)
            .hint("hand the value on in the output, or through ItemSelector");
    }
}
