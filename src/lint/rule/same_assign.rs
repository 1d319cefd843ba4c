//! An Assign that reads what it assigns itself.

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
    id: "variable/same-assign",
    severity: Severity::Error,
    confidence: Confidence::Path,
    summary: "An Assign reads a variable that it assigns itself, and that has no value before",
    explanation: "All values of an Assign are computed with the variables as they were when the state was entered, and are stored \
        together afterwards. A variable that gets its first value in the same Assign cannot be read there. Assign it \
        in a state before, or repeat its value.",
    examples: &[Example {
        bad: r#"{"QueryLanguage":"JSONata","StartAt":"A","States":{"A":{"Type":"Pass","Assign":{"net":100,"gross":"{% $net * 1.2 %}"},"Next":"B"},"B":{"Type":"Pass","Output":"{% $net + $gross %}","End":true}}}"#,
        good: r#"{"QueryLanguage":"JSONata","StartAt":"A","States":{"A":{"Type":"Pass","Assign":{"net":100,"gross":"{% 100 * 1.2 %}"},"Next":"B"},"B":{"Type":"Pass","Output":"{% $net + $gross %}","End":true}}}"#,
        location: "/States/A/Assign/gross",
    }],
    check,
};

fn check(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    for missing in variable_scope::missing(subject) {
        let Why::SameAssign = missing.why else { continue };
        let read = missing.read;
        let message = format!(
            "`${}` gets its first value in this same Assign, which reads the values from before it; {}",
            missing.name,
            describe::outcome(subject, read)
        );
        reporter
            .report_read(subject, read, message)
            .hint("assign it in a state before");
    }
}
