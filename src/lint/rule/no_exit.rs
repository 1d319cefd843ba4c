//! A loop that nothing ends.

use crate::lint::finding::Confidence;
use crate::lint::finding::Severity;
use crate::lint::flow::describe;
use crate::lint::graph::Way;
use crate::lint::rule::Example;
use crate::lint::rule::Reporter;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;

pub(super) const RULE: Rule = Rule {
    id: "loop/no-exit",
    severity: Severity::Warning,
    confidence: Confidence::Static,
    summary: "A loop has no way out",
    explanation: "No Choice, no End and no catcher leads out of the loop, so an execution that enters it runs until it has 25,000 \
        history events or is a year old, and fails then. Add a Choice that leaves the loop.",
    examples: &[Example {
        bad: r#"{"StartAt":"A","States":{"A":{"Type":"Choice","Choices":[{"Variable":"$.go","IsPresent":true,"Next":"B"}],"Default":"S"},"B":{"Type":"Wait","Seconds":1,"Next":"C"},"C":{"Type":"Pass","Next":"B"},"S":{"Type":"Succeed"}}}"#,
        good: r#"{"StartAt":"A","States":{"A":{"Type":"Choice","Choices":[{"Variable":"$.go","IsPresent":true,"Next":"B"}],"Default":"S"},"B":{"Type":"Wait","Seconds":1,"Next":"C"},"C":{"Type":"Pass","Next":"A"},"S":{"Type":"Succeed"}}}"#,
        location: "/States/B",
    }],
    check,
};

fn check(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    if subject.has_open_target() {
        return;
    }
    for found in subject.graph().loops() {
        let Some(first) = found.states.first() else { continue };
        let leaves = found.states.iter().any(|id| {
            let block = subject.definition.state(*id).block;
            let steps = subject.graph().successors(*id);
            subject.graph().ends(block).contains(id)
                || steps.iter().any(|step| !subject.graph().share_loop(*id, step.to))
        });
        // A task in it may fail, and then the execution fails with it: that is an end, too, but not a way out.
        if leaves {
            continue;
        }
        let is_retry = found.states.iter().any(|id| {
            let steps = subject.graph().successors(*id).iter();
            let mut inside = steps.filter(|step| subject.graph().share_loop(*id, step.to));
            inside.any(|step| matches!(step.way, Way::Catch(_)))
        });
        let what = if is_retry {
            "even when its tasks fail"
        } else {
            "whatever happens"
        };
        let written = subject.written(*first);
        let message = format!(
            "The loop of {} has no way out: it goes on {what}, until the history is full",
            describe::name(subject, *first)
        );
        reporter
            .report(written.node, written.location.clone(), message)
            .hint("add a Choice that leaves the loop");
    }
}
