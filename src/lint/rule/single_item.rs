//! Items that are no list when there is just one.

use crate::asl::definition::Items;
use crate::asl::definition::StateKind;
use crate::lint::finding::Confidence;
use crate::lint::finding::Severity;
use crate::lint::rule::Example;
use crate::lint::rule::Reporter;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;
use crate::query::template::Sketch;

pub(super) const RULE: Rule = Rule {
    id: "jsonata/single-item",
    severity: Severity::Warning,
    confidence: Confidence::Heuristic,
    summary: "Items is no list when just one item is selected",
    explanation: "In JSONata a selection of one is that one value, not a list with it, and a selection of none is nothing. So a \
        filter, $filter and $map give a list only for two and more: with one item, unless it is a list itself, the Map fails \
        with States.QueryEvaluationError (expected 'array'), with none (returned nothing). Put [ ] around the expression, which \
        makes a list of whatever is selected.",
    examples: &[
        Example {
            bad: r#"{"StartAt":"M","QueryLanguage":"JSONata","States":{"M":{"Type":"Map","Items":"{% $states.input.orders[open = true] %}","ItemProcessor":{"StartAt":"A","States":{"A":{"Type":"Pass","End":true}}},"End":true}}}"#,
            good: r#"{"StartAt":"M","QueryLanguage":"JSONata","States":{"M":{"Type":"Map","Items":"{% [$states.input.orders[open = true]] %}","ItemProcessor":{"StartAt":"A","States":{"A":{"Type":"Pass","End":true}}},"End":true}}}"#,
            location: "/States/M/Items",
        },
        Example {
            bad: r#"{"StartAt":"M","QueryLanguage":"JSONata","States":{"M":{"Type":"Map","Items":"{% $filter($states.input.orders, function($o) { $o.sum > 10 }) %}","ItemProcessor":{"StartAt":"A","States":{"A":{"Type":"Pass","End":true}}},"End":true}}}"#,
            good: r#"{"StartAt":"M","QueryLanguage":"JSONata","States":{"M":{"Type":"Map","Items":"{% [$filter($states.input.orders, function($o) { $o.sum > 10 })] %}","ItemProcessor":{"StartAt":"A","States":{"A":{"Type":"Pass","End":true}}},"End":true}}}"#,
            location: "/States/M/Items",
        },
    ],
    check,
};

fn check(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    for (_, state, written) in subject.states() {
        let StateKind::Map(map) = &state.kind else { continue };
        let Items::Template(items) = &map.items else { continue };
        let Sketch::Expression(expression) = items.sketch() else {
            continue;
        };
        let Some(node) = written.node.get("Items").filter(|node| !node.is_open()) else {
            continue;
        };
        if expression.may_collapse() {
            reporter
                .report(
                    node,
                    format!("{}/Items", written.location),
                    "When it selects just one item, it probably gives that item in place of a list, and the Map fails with \
                     States.QueryEvaluationError",
                )
                .hint("put `[` and `]` around the expression");
        }
    }
}
