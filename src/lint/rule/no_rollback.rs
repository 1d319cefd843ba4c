//! A task without a Catch behind a step that could be undone.

use crate::lint::finding::Confidence;
use crate::lint::finding::Severity;
use crate::lint::flow::describe;
use crate::lint::rule::Example;
use crate::lint::rule::Reporter;
use crate::lint::rule::Rule;
use crate::lint::rule::compensation;
use crate::lint::subject::Subject;

pub(super) const RULE: Rule = Rule {
    id: "effect/no-rollback",
    severity: Severity::Warning,
    confidence: Confidence::Heuristic,
    summary: "A task may fail behind a step that has a compensation, and nothing catches it",
    explanation: "By the names, a state undoes what an earlier task did (Cancel, Refund, Release, Undo, Rollback …, and the same \
        noun). A task behind that step has no Catch, nor has the block around it: when it fails, the execution ends \
        and the step is not undone. Give the task a Catch that leads to the compensation.",
    examples: &[Example {
        bad: r#"{"StartAt":"BookHotel","States":{"BookHotel":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f","ResultPath":"$.b","Next":"ChargeCard"},"ChargeCard":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f","Catch":[{"ErrorEquals":["States.ALL"],"ResultPath":"$.e","Next":"CancelHotel"}],"ResultPath":"$.c","Next":"SendTickets"},"SendTickets":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f","End":true},"CancelHotel":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f","Retry":[{"ErrorEquals":["States.ALL"]}],"Next":"Failed"},"Failed":{"Type":"Fail"}}}"#,
        good: r#"{"StartAt":"BookHotel","States":{"BookHotel":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f","ResultPath":"$.b","Next":"ChargeCard"},"ChargeCard":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f","Catch":[{"ErrorEquals":["States.ALL"],"ResultPath":"$.e","Next":"CancelHotel"}],"ResultPath":"$.c","Next":"SendTickets"},"SendTickets":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f","Catch":[{"ErrorEquals":["States.ALL"],"ResultPath":"$.e","Next":"CancelHotel"}],"End":true},"CancelHotel":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f","Retry":[{"ErrorEquals":["States.ALL"]}],"Next":"Failed"},"Failed":{"Type":"Fail"}}}"#,
        location: "/States/SendTickets",
    }],
    check,
};

fn check(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    for pair in compensation::pairs(subject) {
        for id in compensation::behind(subject, &pair) {
            let state = subject.definition.state(id);
            if !state.catchers.is_empty() || compensation::is_caught_outside(subject, state.block) {
                continue;
            }
            let written = subject.written(id);
            let message = format!(
                "When it fails, nothing leads to {}, which by its name undoes {}",
                describe::name(subject, pair.undo),
                describe::name(subject, pair.step)
            );
            reporter
                .report(written.node, written.location.clone(), message)
                .hint("add a Catch that leads to the compensation");
        }
    }
}
