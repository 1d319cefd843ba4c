//! A result that is shaped and then dropped.

use crate::asl::definition::ResultPath;
use crate::lint::finding::Confidence;
use crate::lint::finding::Severity;
use crate::lint::rule::Example;
use crate::lint::rule::Reporter;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;

pub(super) const RULE: Rule = Rule {
    id: "data/selected-and-dropped",
    severity: Severity::Warning,
    confidence: Confidence::Static,
    summary: "ResultSelector shapes a result that ResultPath drops",
    explanation: "With `\"ResultPath\": null` the result is dropped and the input goes on. A ResultSelector beside it has no effect, so \
        one of the two is not meant. Give ResultPath a place, or take ResultSelector away.",
    examples: &[Example {
        bad: r#"{"StartAt":"F","States":{"F":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f","ResultSelector":{"a.$":"$.a"},"ResultPath":null,"End":true}}}"#,
        good: r#"{"StartAt":"F","States":{"F":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f","ResultSelector":{"a.$":"$.a"},"ResultPath":"$.r","End":true}}}"#,
        location: "/States/F/ResultSelector",
    }],
    check,
};

fn check(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    for (_, state, written) in subject.states() {
        if state.result_selector.is_none() || !matches!(state.result_path, ResultPath::Discard) {
            continue;
        }
        reporter
            .report(
                written.node.follow("/ResultSelector"),
                format!("{}/ResultSelector", written.location),
                "ResultSelector shapes a result that `\"ResultPath\": null` drops",
            )
            .hint("give ResultPath a place, or take ResultSelector away");
    }
}
