//! A Choice rule behind one that already takes everything.

use crate::asl::definition::StateKind;
use crate::lint::finding::Confidence;
use crate::lint::finding::Severity;
use crate::lint::rule::Example;
use crate::lint::rule::Reporter;
use crate::lint::rule::Rule;
use crate::lint::rule::conditions;
use crate::lint::subject::Subject;

pub(super) const RULE: Rule = Rule {
    id: "choice/unreachable-rule",
    severity: Severity::Warning,
    confidence: Confidence::Static,
    summary: "A Choice rule can never be the first that holds",
    explanation: "Rules are tried in order. Whenever this one holds, an earlier one holds too and is taken, so its Next is never \
        reached by it. Put the narrower rule first, or correct the one that is too wide.",
    examples: &[Example {
        bad: r#"{"StartAt":"C","States":{"C":{"Type":"Choice","Choices":[{"Variable":"$.n","NumericGreaterThan":1,"Next":"S"},{"Variable":"$.n","NumericGreaterThan":10,"Next":"T"}],"Default":"S"},"S":{"Type":"Succeed"},"T":{"Type":"Succeed"}}}"#,
        good: r#"{"StartAt":"C","States":{"C":{"Type":"Choice","Choices":[{"Variable":"$.n","NumericGreaterThan":10,"Next":"T"},{"Variable":"$.n","NumericGreaterThan":1,"Next":"S"}],"Default":"S"},"S":{"Type":"Succeed"},"T":{"Type":"Succeed"}}}"#,
        location: "/States/C/Choices[1]",
    }],
    check,
};

/// As many rules before one are looked at, so that the time stays linear.
const EARLIER_MAX: usize = 50;

fn check(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    for (_, state, written) in subject.states() {
        let StateKind::Choice(choice) = &state.kind else {
            continue;
        };
        for (index, rule) in choice.rules.iter().enumerate() {
            let place = format!("/Choices[{index}]");
            let node = written.node.follow(&place);
            let earlier = choice.rules.iter().enumerate().take(index).rev().take(EARLIER_MAX);
            let mut earlier = earlier.filter(|(_, earlier)| conditions::implies(&rule.condition, &earlier.condition));
            let Some((earlier, _)) = earlier.next() else { continue };
            if conditions::is_open(node) || conditions::is_open(written.node.follow(&format!("/Choices[{earlier}]"))) {
                continue;
            }
            let message =
                format!("The rule is never taken: whenever it holds, `Choices[{earlier}]` holds and comes first");
            reporter
                .report(node, format!("{}{place}", written.location), message)
                .hint("put the narrower rule first, or correct the wider one");
        }
    }
}
