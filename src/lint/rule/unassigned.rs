//! A variable that nobody has assigned.

use crate::asl::definition::QueryLanguage;
use crate::lint::finding::Confidence;
use crate::lint::finding::Severity;
use crate::lint::flow::describe;
use crate::lint::rule::Example;
use crate::lint::rule::Reporter;
use crate::lint::rule::Rule;
use crate::lint::rule::variable_scope;
use crate::lint::rule::variable_scope::Why;
use crate::lint::subject::Subject;
use crate::query::jsonata::outline::Need;

pub(super) const RULE: Rule = Rule {
    id: "variable/unassigned",
    severity: Severity::Error,
    confidence: Confidence::Path,
    summary: "A variable is read that no way before it assigns",
    explanation: "No state on any way to the reading state assigns the variable. AWS accepts such a definition; at run time a path \
        fails with `States.Runtime` and an expression gives nothing. Assign it before, or correct the name.",
    examples: &[Example {
        bad: r#"{"StartAt":"A","States":{"A":{"Type":"Pass","Assign":{"total":1},"Next":"B"},"B":{"Type":"Pass","Parameters":{"sum.$":"$totl","t.$":"$total"},"End":true}}}"#,
        good: r#"{"StartAt":"A","States":{"A":{"Type":"Pass","Assign":{"total":1},"Next":"B"},"B":{"Type":"Pass","Parameters":{"sum.$":"$total"},"End":true}}}"#,
        location: "/States/B/Parameters/sum.$",
    }],
    check,
};

fn check(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    for missing in variable_scope::missing(subject) {
        let Why::Never { elsewhere } = missing.why else {
            continue;
        };
        let read = missing.read;
        let assigned = match elsewhere {
            true => "no state on a way to here assigns it",
            false => "no state assigns it",
        };
        let message = format!(
            "`${}` is read, but {assigned}; {}",
            missing.name,
            describe::outcome(subject, read)
        );
        let is_sure =
            read.need == Need::Required || subject.definition.state(read.state).language == QueryLanguage::JsonPath;
        reporter
            .report_read(subject, read, message)
            .hint("assign it in a state before, or correct the name")
            .severity(if is_sure { Severity::Error } else { Severity::Warning });
    }
}
