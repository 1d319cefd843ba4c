//! A Choice rule that can never hold.

use crate::asl::definition::StateKind;
use crate::lint::finding::Confidence;
use crate::lint::finding::Severity;
use crate::lint::rule::Example;
use crate::lint::rule::Reporter;
use crate::lint::rule::Rule;
use crate::lint::rule::conditions;
use crate::lint::subject::Subject;

pub(super) const RULE: Rule = Rule {
    id: "choice/contradiction",
    severity: Severity::Warning,
    confidence: Confidence::Static,
    summary: "The conditions of an And exclude each other",
    explanation: "Two conditions of the same And ask for different things of the same variable, so the rule never holds. Often an Or \
        is meant, or one bound is turned around.",
    examples: &[Example {
        bad: r#"{"StartAt":"C","States":{"C":{"Type":"Choice","Choices":[{"And":[{"Variable":"$.n","NumericLessThan":1},{"Variable":"$.n","NumericGreaterThan":10}],"Next":"S"}],"Default":"S"},"S":{"Type":"Succeed"}}}"#,
        good: r#"{"StartAt":"C","States":{"C":{"Type":"Choice","Choices":[{"Or":[{"Variable":"$.n","NumericLessThan":1},{"Variable":"$.n","NumericGreaterThan":10}],"Next":"S"}],"Default":"S"},"S":{"Type":"Succeed"}}}"#,
        location: "/States/C/Choices[0]",
    }],
    check,
};

fn check(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    for (_, state, written) in subject.states() {
        let StateKind::Choice(choice) = &state.kind else {
            continue;
        };
        for (index, rule) in choice.rules.iter().enumerate() {
            let place = format!("/Choices[{index}]");
            let node = written.node.follow(&place);
            if !conditions::never_holds(&rule.condition) || conditions::is_open(node) {
                continue;
            }
            let message = "The rule never holds: two conditions of its And exclude each other";
            reporter
                .report(node, format!("{}{place}", written.location), message)
                .hint("if one of them is enough, write `Or`");
        }
    }
}
