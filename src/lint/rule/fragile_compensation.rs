//! A compensation that fails at the first fault.

use crate::lint::finding::Confidence;
use crate::lint::finding::Severity;
use crate::lint::flow::describe;
use crate::lint::rule::Example;
use crate::lint::rule::Reporter;
use crate::lint::rule::Rule;
use crate::lint::rule::compensation;
use crate::lint::subject::Subject;
use std::collections::BTreeSet;

pub(super) const RULE: Rule = Rule {
    id: "effect/fragile-compensation",
    severity: Severity::Warning,
    confidence: Confidence::Heuristic,
    summary: "A compensation has neither Retry nor Catch",
    explanation: "By its name, the state undoes an earlier step (Cancel, Refund, Release, Undo, Rollback …). It runs when something \
        already went wrong; when it fails too, the execution ends and the rest is not undone. Give it a Retry, and a \
        Catch that tells a human.",
    examples: &[Example {
        bad: r#"{"StartAt":"BookHotel","States":{"BookHotel":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f","ResultPath":"$.b","Next":"ChargeCard"},"ChargeCard":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f","Catch":[{"ErrorEquals":["States.ALL"],"ResultPath":"$.e","Next":"CancelHotel"}],"End":true},"CancelHotel":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f","Next":"Failed"},"Failed":{"Type":"Fail"}}}"#,
        good: r#"{"StartAt":"BookHotel","States":{"BookHotel":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f","ResultPath":"$.b","Next":"ChargeCard"},"ChargeCard":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f","Catch":[{"ErrorEquals":["States.ALL"],"ResultPath":"$.e","Next":"CancelHotel"}],"End":true},"CancelHotel":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f","Retry":[{"ErrorEquals":["States.ALL"]}],"Next":"Failed"},"Failed":{"Type":"Fail"}}}"#,
        location: "/States/CancelHotel",
    }],
    check,
};

fn check(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    let mut seen = BTreeSet::new();
    for pair in compensation::pairs(subject) {
        let state = subject.definition.state(pair.undo);
        if !state.retriers.is_empty() || !state.catchers.is_empty() || !seen.insert(pair.undo) {
            continue;
        }
        let written = subject.written(pair.undo);
        let message = format!(
            "By its name it undoes {}; when it fails, the execution ends and nothing more is undone",
            describe::name(subject, pair.step)
        );
        reporter
            .report(written.node, written.location.clone(), message)
            .hint("add a Retry, and a Catch that tells a human");
    }
}
