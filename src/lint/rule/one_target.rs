//! A Choice whose ways all lead to the same state.

use crate::asl::definition::StateKind;
use crate::lint::finding::Confidence;
use crate::lint::finding::Severity;
use crate::lint::rule::Example;
use crate::lint::rule::Reporter;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;

pub(super) const RULE: Rule = Rule {
    id: "choice/one-target",
    severity: Severity::Information,
    confidence: Confidence::Static,
    summary: "All ways of a Choice lead to the same state",
    explanation: "Whatever holds, the same state comes next, and no rule assigns or changes anything. Take the Choice away, or correct \
        a target.",
    examples: &[Example {
        bad: r#"{"StartAt":"C","States":{"C":{"Type":"Choice","Choices":[{"Variable":"$.n","NumericEquals":1,"Next":"S"}],"Default":"S"},"S":{"Type":"Succeed"}}}"#,
        good: r#"{"StartAt":"C","States":{"C":{"Type":"Choice","Choices":[{"Variable":"$.n","NumericEquals":1,"Next":"S"}],"Default":"T"},"S":{"Type":"Succeed"},"T":{"Type":"Succeed"}}}"#,
        location: "/States/C",
    }],
    check,
};

fn check(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    for (id, state, written) in subject.states() {
        let StateKind::Choice(choice) = &state.kind else {
            continue;
        };
        let changes = choice
            .rules
            .iter()
            .any(|rule| rule.assign.is_some() || rule.output.is_some());
        let steps = subject.graph().successors(id);
        let Some(first) = steps.first() else { continue };
        let same = steps.iter().all(|step| step.to == first.to);
        if subject.has_open_target()
            || changes
            || !same
            || steps.len() < 2
            || state.assign.is_some()
            || state.output.is_some()
        {
            continue;
        }
        let name = &subject.definition.state(first.to).name;
        let message = format!("Whatever holds, `{name}` comes next");
        reporter
            .report(written.node, written.location.clone(), message)
            .hint("take the Choice away, or correct a target");
    }
}
