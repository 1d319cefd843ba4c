//! `$eval`, which AWS accepts and then does not know.

use crate::lint::finding::Confidence;
use crate::lint::finding::Severity;
use crate::lint::flow::describe;
use crate::lint::rule::Example;
use crate::lint::rule::Reporter;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;
use crate::lint::walk;
use crate::query::jsonata::expression::Expression;
use crate::query::jsonata::expression::FieldScope;

pub(super) const RULE: Rule = Rule {
    id: "jsonata/eval",
    severity: Severity::Error,
    confidence: Confidence::Static,
    summary: "An expression calls $eval, which Step Functions does not have",
    explanation: "AWS accepts a definition with $eval, but its JSONata does not have the function: the state fails with \
        States.QueryEvaluationError (T1006: Attempted to invoke a non-function). Use $parse for a text of JSON, and write \
        expressions into the definition.",
    examples: &[Example {
        bad: r#"{"StartAt":"A","QueryLanguage":"JSONata","States":{"A":{"Type":"Pass","Output":{"sum":"{% $eval($states.input.formula) %}"},"End":true}}}"#,
        good: r#"{"StartAt":"A","QueryLanguage":"JSONata","States":{"A":{"Type":"Pass","Output":{"sum":"{% $parse($states.input.text) %}"},"End":true}}}"#,
        location: "/States/A/Output/sum",
    }],
    check,
};

fn check(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    for (id, _, written) in subject.states() {
        for value in walk::own_values(written) {
            let Some(text) = value.node.text().filter(|text| text.contains("$eval")) else {
                continue;
            };
            // Only where it stands does an expression count; what is refused there, is refused elsewhere.
            let is_code = Expression::is_expression(text) && value.key != "Comment" && !value.node.is_open();
            let expression = is_code
                .then(|| Expression::parse(text, FieldScope::Result).ok())
                .flatten();
            if expression.is_some_and(|expression| expression.calls("eval")) {
                let message = format!(
                    "{} fails here with States.QueryEvaluationError: Step Functions has no `$eval`",
                    describe::name(subject, id)
                );
                reporter
                    .report(value.node, walk::place(written, value.node), message)
                    .hint("use `$parse` for a text of JSON, or write the expression into the definition");
            }
        }
    }
}
