//! Errors that end as success.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::asl::definition::ResultPath;
use crate::asl::definition::State;
use crate::asl::definition::StateKind;
use crate::lint::clock;
use crate::lint::entry;
use crate::lint::finding::Confidence;
use crate::lint::finding::Severity;
use crate::lint::rule::Example;
use crate::lint::rule::Reporter;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;
use crate::model::id::StateId;

pub(super) const RULE: Rule = Rule {
    id: "catch/success-end",
    severity: Severity::Information,
    confidence: Confidence::Heuristic,
    summary: "Any error is caught and then forgotten: nothing handles it and the end is success",
    explanation: "From where the catcher leads, there is no Task that could tell somebody or undo something, and no \
        Fail: the block ends as if nothing had happened. The execution is SUCCEEDED, its alarms stay silent and it \
        cannot be redriven; in a Map, the iteration does not count as failed. If that is meant, name the errors that \
        may happen in place of States.ALL; else end with Fail.",
    examples: &[
        Example {
            bad: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:us-east-1:123456789012:activity:a","Catch":[{"ErrorEquals":["States.ALL"],"Next":"Failed"}],"End":true},"Failed":{"Type":"Pass","Next":"Done"},"Done":{"Type":"Succeed"}}}"#,
            good: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:us-east-1:123456789012:activity:a","Catch":[{"ErrorEquals":["NotThere"],"Next":"Done"},{"ErrorEquals":["States.ALL"],"Next":"Failed"}],"Next":"Done"},"Failed":{"Type":"Fail"},"Done":{"Type":"Succeed"}}}"#,
            location: "/States/A/Catch[0]",
        },
        Example {
            bad: r#"{"StartAt":"P","States":{"P":{"Type":"Parallel","Branches":[{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:us-east-1:123456789012:activity:a","TimeoutSeconds":60,"Catch":[{"ErrorEquals":["States.ALL"],"ResultPath":"$.error","Next":"Failed"}],"End":true},"Failed":{"Type":"Pass","End":true}}},{"StartAt":"B","States":{"B":{"Type":"Pass","End":true}}}],"Next":"Done"},"Done":{"Type":"Succeed"}}}"#,
            good: r#"{"StartAt":"P","States":{"P":{"Type":"Parallel","Branches":[{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:us-east-1:123456789012:activity:a","TimeoutSeconds":60,"Catch":[{"ErrorEquals":["States.ALL"],"ResultPath":"$.error","Next":"Failed"}],"End":true},"Failed":{"Type":"Pass","End":true}}},{"StartAt":"B","States":{"B":{"Type":"Pass","End":true}}}],"Next":"C"},"C":{"Type":"Choice","Choices":[{"Variable":"$[0].error","IsPresent":true,"Next":"F"}],"Default":"Done"},"F":{"Type":"Fail"},"Done":{"Type":"Succeed"}}}"#,
            location: "/States/P/Branches[0]/States/A/Catch[0]",
        },
    ],
    check,
};

fn check(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    if subject.definition.states.iter().all(|state| state.catchers.is_empty()) {
        return;
    }
    let handling = handling(&subject.definition.states);
    let mut asked: BTreeMap<StateId, bool> = BTreeMap::new();
    for (_, state, written) in subject.states() {
        let holder = subject.definition.block(state.block).parent;
        let is_asked = holder.is_some_and(|holder| {
            let known = asked.entry(holder);
            *known.or_insert_with(|| is_asked_behind(subject, holder))
        });
        for entry in entry::catchers(state, written) {
            // What the branch keeps of the error, a state behind all branches may look at.
            if is_asked && !matches!(entry.what.result_path, ResultPath::Discard) {
                continue;
            }
            let mut names = entry.names();
            let is_wide = names.any(|(name, _)| matches!(name, "States.ALL" | "States.TaskFailed"));
            if is_wide && !handling.contains(&entry.what.next) {
                let next = &subject.definition.state(entry.what.next).name;
                let message = format!(
                    "After any error the way from `{next}` ends in success, and no state on it handles the error: it is \
                     probably lost"
                );
                reporter
                    .report(entry.node, entry.location.clone(), message)
                    .hint("end with a Fail state, or name the errors that may happen in place of the wildcard");
            }
        }
    }
}

/// Tells whether something behind a Parallel or Map decides, or fails.
fn is_asked_behind(subject: &Subject<'_>, holder: StateId) -> bool {
    let behind = subject.graph().after(subject.definition, holder, false);
    behind.iter().any(|id| {
        matches!(
            subject.definition.state(*id).kind,
            StateKind::Choice(_) | StateKind::Fail(_)
        )
    })
}

/// Returns the states from which one is reached that does something about an error, or fails.
fn handling(states: &[State]) -> BTreeSet<StateId> {
    let mut sources: Vec<Vec<StateId>> = vec![Vec::new(); states.len()];
    let mut queue = Vec::new();
    for (number, state) in states.iter().enumerate() {
        let id = StateId(u32::try_from(number).unwrap_or(u32::MAX));
        for target in clock::targets(state) {
            sources[target.index()].push(id);
        }
        let is_quiet = matches!(
            state.kind,
            StateKind::Choice(_) | StateKind::Pass(_) | StateKind::Succeed | StateKind::Wait(_)
        );
        if !is_quiet {
            queue.push(id);
        }
    }
    let mut handling = BTreeSet::new();
    while let Some(id) = queue.pop() {
        if handling.insert(id) {
            queue.append(&mut sources[id.index()]);
        }
    }
    handling
}
