//! A loop through a catcher without a pause.

use crate::asl::definition::StateKind;
use crate::lint::finding::Confidence;
use crate::lint::finding::Severity;
use crate::lint::flow::describe;
use crate::lint::graph::Way;
use crate::lint::rule::Example;
use crate::lint::rule::Reporter;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;

pub(super) const RULE: Rule = Rule {
    id: "loop/hot-retry",
    severity: Severity::Information,
    confidence: Confidence::Static,
    summary: "A catcher leads back to its own task without a pause",
    explanation: "The catcher goes round to the task that failed, and no Wait stands in the loop: while the fault lasts, the task is \
        called again at once, without a bound, and fills the history. Use Retry, which knows pauses and an end, or add \
        a Wait and a counter.",
    examples: &[Example {
        bad: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f","Catch":[{"ErrorEquals":["States.ALL"],"ResultPath":"$.error","Next":"A"}],"End":true}}}"#,
        good: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f","Catch":[{"ErrorEquals":["States.ALL"],"ResultPath":"$.error","Next":"W"}],"End":true},"W":{"Type":"Wait","Seconds":60,"Next":"A"}}}"#,
        location: "/States/A/Catch[0]",
    }],
    check,
};

fn check(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    if subject.has_open_target() {
        return;
    }
    for found in subject.graph().loops() {
        // A Choice may count, and another task may wait for somebody.
        let is_bare = |kind: &StateKind| matches!(kind, StateKind::Pass(_) | StateKind::Task(_));
        let kinds = found.states.iter().map(|id| &subject.definition.state(*id).kind);
        let n_tasks = kinds.clone().filter(|kind| matches!(kind, StateKind::Task(_))).count();
        if !kinds.clone().all(is_bare) || n_tasks != 1 {
            continue;
        }
        for id in &found.states {
            for step in subject.graph().successors(*id) {
                let Way::Catch(index) = step.way else { continue };
                if !subject.graph().share_loop(*id, step.to) {
                    continue;
                }
                let (written, place) = (subject.written(*id), format!("/Catch[{index}]"));
                let message = format!(
                    "The catcher leads back to {} without a pause and without an end",
                    describe::name(subject, *id)
                );
                reporter
                    .report(
                        written.node.follow(&place),
                        format!("{}{place}", written.location),
                        message,
                    )
                    .hint("use `Retry`, or add a Wait and a counter");
            }
        }
    }
}
