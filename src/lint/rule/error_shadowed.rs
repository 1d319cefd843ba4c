//! Names in `ErrorEquals` that an earlier entry takes.

use crate::asl::definition::StateKind;
use crate::lint::entry;
use crate::lint::entry::Entry;
use crate::lint::entry::Names;
use crate::lint::finding::Confidence;
use crate::lint::finding::Severity;
use crate::lint::rule::Example;
use crate::lint::rule::Reporter;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;

const EXPLANATION: &str = "The first entry that matches is taken, and when a retrier has used up its attempts, no \
    later one is asked. A name that an earlier entry matches already never counts: in a Task States.TaskFailed matches \
    every error except States.Timeout. Put the special names first.";

pub(super) const RETRY: Rule = Rule {
    id: "retry/shadowed",
    severity: Severity::Warning,
    confidence: Confidence::Static,
    summary: "An earlier retrier takes an error of this one",
    explanation: EXPLANATION,
    examples: &[Example {
        bad: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:us-east-1:123456789012:activity:a","Retry":[{"ErrorEquals":["States.TaskFailed"]},{"ErrorEquals":["Busy"],"MaxAttempts":9}],"End":true}}}"#,
        good: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:us-east-1:123456789012:activity:a","Retry":[{"ErrorEquals":["Busy"],"MaxAttempts":9},{"ErrorEquals":["States.TaskFailed"]},{"ErrorEquals":["States.ALL"]}],"End":true}}}"#,
        location: "/States/A/Retry[1]/ErrorEquals[0]",
    }],
    check: retry,
};

pub(super) const CATCH: Rule = Rule {
    id: "catch/shadowed",
    severity: Severity::Warning,
    confidence: Confidence::Static,
    summary: "An earlier catcher takes an error of this one",
    explanation: EXPLANATION,
    examples: &[Example {
        bad: r#"{"StartAt":"A","States":{"A":{"Type":"Parallel","Branches":[{"StartAt":"B","States":{"B":{"Type":"Fail","Error":"E"}}},{"StartAt":"C","States":{"C":{"Type":"Pass","End":true}}}],"Catch":[{"ErrorEquals":["E","D"],"Next":"F"},{"ErrorEquals":["E"],"Next":"G"}],"End":true},"F":{"Type":"Fail"},"G":{"Type":"Fail"}}}"#,
        good: r#"{"StartAt":"A","States":{"A":{"Type":"Parallel","Branches":[{"StartAt":"B","States":{"B":{"Type":"Fail","Error":"E"}}},{"StartAt":"C","States":{"C":{"Type":"Pass","End":true}}}],"Catch":[{"ErrorEquals":["E"],"Next":"F"},{"ErrorEquals":["D"],"Next":"G"}],"End":true},"F":{"Type":"Fail"},"G":{"Type":"Fail"}}}"#,
        location: "/States/A/Catch[1]/ErrorEquals[0]",
    }],
    check: catch,
};

fn retry(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    for (_, state, written) in subject.states() {
        look(entry::retriers(state, written), &state.kind, reporter);
    }
}

fn catch(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    for (_, state, written) in subject.states() {
        look(entry::catchers(state, written), &state.kind, reporter);
    }
}

fn look<'a, T: Names + 'a>(entries: impl Iterator<Item = Entry<'a, T>>, kind: &StateKind, reporter: &mut Reporter<'_>) {
    let is_task = matches!(kind, StateKind::Task(_));
    let mut wide: Option<(&str, usize)> = None;
    let mut taken = std::collections::BTreeMap::new();
    for (number, entry) in entries.enumerate() {
        for (index, (name, node)) in entry.names().enumerate() {
            let by_wide = wide.filter(|(wide, _)| *wide != name && entry::covers(wide, name));
            let by_same = taken.get(name).map(|number| (name, *number));
            if let Some((by, earlier)) = by_same.or(by_wide).filter(|(_, earlier)| *earlier != number) {
                let message = format!("`{name}` never gets here: the `{by}` of entry {earlier} takes it before");
                let location = format!("{}/ErrorEquals[{index}]", entry.location);
                reporter
                    .report(node, location, message)
                    .hint("put the entry with the special name first, or leave the name out here");
            }
        }
        for (name, node) in entry.names().filter(|(_, node)| !node.is_open()) {
            taken.entry(name).or_insert(number);
            // What else than errors of tasks it matches elsewhere is not certain.
            if name == "States.TaskFailed" && is_task && !node.is_open() {
                wide = wide.or(Some((name, number)));
            }
        }
    }
}
