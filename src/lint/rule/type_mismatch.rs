//! A comparison with a value of another type.

use crate::asl::definition::Comparison;
use crate::asl::definition::Condition;
use crate::asl::definition::PathField;
use crate::asl::definition::StateKind;
use crate::lint::finding::Confidence;
use crate::lint::finding::Severity;
use crate::lint::flow::Scalar;
use crate::lint::flow::Shape;
use crate::lint::rule::Example;
use crate::lint::rule::Reporter;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;
use crate::query::jsonpath::path::Root;

pub(super) const RULE: Rule = Rule {
    id: "choice/type-mismatch",
    severity: Severity::Warning,
    confidence: Confidence::Path,
    summary: "A comparison is for another type than the value always has",
    explanation: "A comparison of the wrong type is not an error: it is silently false, always. What stands at the Variable is known \
        on all ways and is of another type. Use the operator of that type.",
    examples: &[Example {
        bad: r#"{"StartAt":"A","States":{"A":{"Type":"Pass","Result":{"n":1},"Next":"C"},"C":{"Type":"Choice","Choices":[{"Variable":"$.n","StringEquals":"1","Next":"S"}],"Default":"S"},"S":{"Type":"Succeed"}}}"#,
        good: r#"{"StartAt":"A","States":{"A":{"Type":"Pass","Result":{"n":1},"Next":"C"},"C":{"Type":"Choice","Choices":[{"Variable":"$.n","NumericEquals":1,"Next":"S"}],"Default":"S"},"S":{"Type":"Succeed"}}}"#,
        location: "/States/C/Choices[0]",
    }],
    check,
};

fn check(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    for (id, state, written) in subject.states() {
        let StateKind::Choice(choice) = &state.kind else {
            continue;
        };
        let (Some(facts), PathField::Whole) = (subject.flow().facts(id), &state.input_path) else {
            continue;
        };
        for (index, rule) in choice.rules.iter().enumerate() {
            let Some((text, kind)) = mismatch(&rule.condition, &facts.input) else {
                continue;
            };
            let place = format!("/Choices[{index}]");
            let message = format!("`{text}` is always {kind}, so the comparison is silently false");
            reporter
                .report(
                    written.node.follow(&place),
                    format!("{}{place}", written.location),
                    message,
                )
                .hint("use the comparison of that type");
        }
    }
}

/// Returns the variable of a comparison that is for another type, and the type that it has.
fn mismatch<'c>(condition: &'c Condition, input: &Shape) -> Option<(&'c str, &'static str)> {
    match condition {
        Condition::And(all) | Condition::Or(all) => all.iter().find_map(|condition| mismatch(condition, input)),
        Condition::Not(inner) => mismatch(inner, input),
        Condition::Compare { variable, comparison } if *variable.root() == Root::Input && variable.is_reference() => {
            let Shape::Scalar(scalar) = input.walk(variable.fields(), false).shape else {
                return None;
            };
            let fits = match comparison {
                Comparison::BooleanEquals(_) => matches!(scalar, Scalar::Truth(_)),
                Comparison::Numeric(..) => matches!(scalar, Scalar::Number(_)),
                Comparison::String(..) | Comparison::StringMatches(_) | Comparison::Timestamp(..) => {
                    matches!(scalar, Scalar::Text(_))
                }
                _ => true,
            };
            // Null stands for "not yet" often, and is meant to be false.
            (!fits && scalar != Scalar::Null).then(|| (variable.text(), scalar.kind()))
        }
        Condition::Compare { .. } | Condition::Expression(_) | Condition::Literal(_) => None,
    }
}
