//! A member that the result of an integration does not have.

use crate::lint::finding::Confidence;
use crate::lint::finding::Severity;
use crate::lint::flow::From;
use crate::lint::flow::Scalar;
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
    id: "data/unknown-result-member",
    severity: Severity::Warning,
    confidence: Confidence::Static,
    summary: "A field reads a member that the result never has",
    explanation: "The members of this result are known: of an integration from its documentation, of a Parallel or a Map from what its \
        branches give. The one that is read is not among them. Often the form of the integration was changed: \
        `lambda:invoke` wraps the function's answer into `Payload`, the bare function ARN does not; `.sync` gives the \
        child's `Output` as a text, `.sync:2` as JSON.",
    examples: &[Example {
        bad: r#"{"StartAt":"F","States":{"F":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"f"},"ResultSelector":{"answer.$":"$.body"},"End":true}}}"#,
        good: r#"{"StartAt":"F","States":{"F":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"f"},"ResultSelector":{"answer.$":"$.Payload.body"},"End":true}}}"#,
        location: "/States/F/ResultSelector/answer.$",
    }],
    check,
};

fn check(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    let mut seen = BTreeSet::new();
    for read in subject.flow().reads() {
        let (Verdict::Never(shape, index), From::Source(Source::Result)) = (&read.verdict, &read.from) else {
            continue;
        };
        // That its Output is a text, `resource/sync-text` tells.
        let is_text = matches!(shape, Shape::Scalar(Scalar::Text(_)));
        if is_text && *index == 1 && read.steps.first().is_some_and(|step| step == "Output") {
            continue;
        }
        if read.need == Need::Guarded || !seen.insert((read.state, &read.text)) {
            continue;
        }
        let message = format!(
            "`{}` finds no `{}` in the result: {}; {}",
            read.text,
            read.steps.get(*index).map_or("", String::as_str),
            describe::instead(subject, shape),
            describe::outcome(subject, read)
        );
        reporter
            .report_read(subject, read, message)
            .hint("look up the members of this result");
    }
}
