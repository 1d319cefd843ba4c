//! A catcher that does not lead to the compensation of an earlier step.

use crate::lint::finding::Confidence;
use crate::lint::finding::Severity;
use crate::lint::flow::describe;
use crate::lint::rule::Example;
use crate::lint::rule::Reporter;
use crate::lint::rule::Rule;
use crate::lint::rule::compensation;
use crate::lint::subject::Subject;

pub(super) const RULE: Rule = Rule {
    id: "effect/unreachable-compensation",
    severity: Severity::Warning,
    confidence: Confidence::Heuristic,
    summary: "A catcher behind a step does not lead to its compensation",
    explanation: "By the names, a state undoes what an earlier task did (Cancel, Refund, Release, Undo, Rollback …, and the same \
        noun). A catcher behind that step leads elsewhere, and from there the compensation is not reached: the step \
        is not undone after this failure. Let the catcher lead to the compensation first.",
    examples: &[Example {
        bad: r#"{"StartAt":"BookHotel","States":{"BookHotel":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f","ResultPath":"$.b","Next":"ChargeCard"},"ChargeCard":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f","Catch":[{"ErrorEquals":["States.ALL"],"ResultPath":"$.e","Next":"CancelHotel"}],"ResultPath":"$.c","Next":"SendTickets"},"SendTickets":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f","Catch":[{"ErrorEquals":["States.ALL"],"ResultPath":"$.e","Next":"Failed"}],"End":true},"CancelHotel":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f","Retry":[{"ErrorEquals":["States.ALL"]}],"Next":"Failed"},"Failed":{"Type":"Fail"}}}"#,
        good: r#"{"StartAt":"BookHotel","States":{"BookHotel":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f","ResultPath":"$.b","Next":"ChargeCard"},"ChargeCard":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f","Catch":[{"ErrorEquals":["States.ALL"],"ResultPath":"$.e","Next":"CancelHotel"}],"ResultPath":"$.c","Next":"SendTickets"},"SendTickets":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f","Catch":[{"ErrorEquals":["States.ALL"],"ResultPath":"$.e","Next":"CancelHotel"}],"End":true},"CancelHotel":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f","Retry":[{"ErrorEquals":["States.ALL"]}],"Next":"Failed"},"Failed":{"Type":"Fail"}}}"#,
        location: "/States/SendTickets/Catch[0]",
    }],
    check,
};

fn check(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    let definition = subject.definition;
    for pair in compensation::pairs(subject) {
        let leading = subject.graph().leading_to([pair.undo, pair.step]);
        for id in compensation::behind(subject, &pair) {
            for (index, catcher) in definition.state(id).catchers.iter().enumerate() {
                // Back to the normal way is no failure.
                let is_retried = catcher.next == id || subject.graph().share_loop(id, catcher.next);
                if leading.contains(&catcher.next) || is_retried {
                    continue;
                }
                let (written, place) = (subject.written(id), format!("/Catch[{index}]"));
                let message = format!(
                    "From here nothing leads to {}, which by its name undoes {}",
                    describe::name(subject, pair.undo),
                    describe::name(subject, pair.step)
                );
                reporter
                    .report(
                        written.node.follow(&place),
                        format!("{}{place}", written.location),
                        message,
                    )
                    .hint("let the catcher lead to the compensation first");
            }
        }
    }
}
