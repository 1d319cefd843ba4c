//! A Parallel that has nothing beside itself.

use crate::asl::definition::ResultPath;
use crate::asl::definition::StateKind;
use crate::asl::node::Node;
use crate::lint::finding::Confidence;
use crate::lint::finding::Severity;
use crate::lint::rule::Example;
use crate::lint::rule::Reporter;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;

pub(super) const RULE: Rule = Rule {
    id: "parallel/one-branch",
    severity: Severity::Information,
    confidence: Confidence::Static,
    summary: "A Parallel has a single branch",
    explanation: "Nothing runs beside its only branch. That can be meant, to put one Retry or Catch around several \
        states; without these the states can stand where the Parallel is, and the result is not wrapped in an array.",
    examples: &[Example {
        bad: r#"{"StartAt":"P","States":{"P":{"Type":"Parallel","Branches":[{"StartAt":"A","States":{"A":{"Type":"Pass","End":true}}}],"End":true}}}"#,
        good: r#"{"StartAt":"P","States":{"P":{"Type":"Parallel","Branches":[{"StartAt":"A","States":{"A":{"Type":"Pass","End":true}}}],"Catch":[{"ErrorEquals":["States.ALL"],"Next":"F"}],"End":true},"F":{"Type":"Fail"}}}"#,
        location: "/States/P",
    }],
    check,
};

fn check(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    for (_, state, written) in subject.states() {
        if !matches!(state.kind, StateKind::Parallel(_)) {
            continue;
        }
        let is_caught = ["Retry", "Catch"].iter().any(|field| written.node.get(field).is_some());
        // Its only use then is to keep the data of the branch to itself.
        let is_scope = is_caught || matches!(state.result_path, ResultPath::Discard);
        // A placeholder may stand for any number of branches.
        let branches = written.node.get("Branches").map_or(&[][..], Node::elements);
        if matches!(branches, [branch] if !branch.is_open()) && !is_scope {
            reporter
                .report(
                    written.node,
                    written.location.clone(),
                    "Nothing runs beside the only branch, and the result is an array of one",
                )
                .hint("put the states of the branch in place of the Parallel");
        }
    }
}
