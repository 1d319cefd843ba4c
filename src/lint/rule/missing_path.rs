//! A path that nothing on the way to it can produce.

use crate::lint::finding::Confidence;
use crate::lint::finding::Severity;
use crate::lint::flow::From;
use crate::lint::flow::Object;
use crate::lint::flow::Origin;
use crate::lint::flow::Shape;
use crate::lint::flow::Source;
use crate::lint::flow::Verdict;
use crate::lint::flow::describe;
use crate::lint::rule::Example;
use crate::lint::rule::Reporter;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;
use crate::query::jsonata::outline::Need;
use std::collections::BTreeSet;

pub(super) const RULE: Rule = Rule {
    id: "data/missing-path",
    severity: Severity::Warning,
    confidence: Confidence::Path,
    summary: "A path reads what nothing before it produces",
    explanation: "On every way to the state, what stands at the path is known, and the member that is read is never there. A path of \
        JSONPath then fails the execution with `States.Runtime`, which no Retry and no Catch sees; an expression gives \
        nothing. Read what is there, or let an earlier state keep it (ResultPath, Parameters, Output).",
    examples: &[
        Example {
            bad: r#"{"StartAt":"A","States":{"A":{"Type":"Pass","Result":{"total":1},"Next":"B"},"B":{"Type":"Pass","Parameters":{"sum.$":"$.sum"},"End":true}}}"#,
            good: r#"{"StartAt":"A","States":{"A":{"Type":"Pass","Result":{"total":1},"Next":"B"},"B":{"Type":"Pass","Parameters":{"sum.$":"$.total"},"End":true}}}"#,
            location: "/States/B/Parameters/sum.$",
        },
        Example {
            bad: r#"{"QueryLanguage":"JSONata","StartAt":"A","States":{"A":{"Type":"Pass","Output":{"total":1},"Next":"B"},"B":{"Type":"Pass","Output":"{% $states.input.sum %}","End":true}}}"#,
            good: r#"{"QueryLanguage":"JSONata","StartAt":"A","States":{"A":{"Type":"Pass","Output":{"total":1},"Next":"B"},"B":{"Type":"Pass","Output":"{% $exists($states.input.sum) ? $states.input.sum : 0 %}","End":true}}}"#,
            location: "/States/B/Output",
        },
    ],
    check,
};

fn check(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    let mut seen = BTreeSet::new();
    for read in subject.flow().reads() {
        let Verdict::Never(shape, index) = &read.verdict else {
            continue;
        };
        let is_other_rule = match &read.from {
            // The whole variable is missing: `variable/unassigned`.
            From::Variable(_) => matches!(shape, Shape::Unknown),
            From::Source(Source::Result) => true,
            From::Source(_) => is_error_output(shape),
        };
        if is_other_rule || read.need == Need::Guarded || !seen.insert((read.state, &read.text)) {
            continue;
        }
        let message = format!(
            "`{}` finds no `{}`: {}; {}",
            read.text,
            read.steps.get(*index).map_or("", String::as_str),
            describe::instead(subject, shape),
            describe::outcome(subject, read)
        );
        reporter
            .report_read(subject, read, message)
            .hint("read what is there, or keep the value in an earlier state");
    }
}

/// Tells whether it is what a catcher left: `catch/loses-input` speaks of that.
fn is_error_output(shape: &Shape) -> bool {
    let origin = |object: &Object| object.origin;
    matches!(shape, Shape::Object(object) if matches!(origin(object), Origin::Catcher(..)))
}
