//! Compensations that run in the order of their steps.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::lint::finding::Confidence;
use crate::lint::finding::Severity;
use crate::lint::flow::describe;
use crate::lint::rule::Example;
use crate::lint::rule::Reporter;
use crate::lint::rule::Rule;
use crate::lint::rule::compensation;
use crate::lint::rule::compensation::Pair;
use crate::lint::subject::Subject;
use crate::model::id::StateId;

pub(super) const RULE: Rule = Rule {
    id: "effect/rollback-order",
    severity: Severity::Information,
    confidence: Confidence::Heuristic,
    summary: "Compensations do not run in the reverse order of their steps",
    explanation: "By their names, two states undo two earlier steps, and the one that undoes the earlier step runs first. What a later \
        step did often stands on what an earlier one did (a flight is booked with the money that was reserved), so it is \
        undone before it: last in, first out. It also lets each catcher enter the chain at its own place. If the steps have \
        nothing to do with each other, ignore the finding.",
    examples: &[Example {
        bad: r#"{"StartAt":"BookHotel","States":{"BookHotel":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f:1","ResultPath":"$.h","Next":"BookFlight"},"BookFlight":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f:1","ResultPath":"$.f","Next":"Charge"},"Charge":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f:1","Catch":[{"ErrorEquals":["States.ALL"],"ResultPath":"$.e","Next":"CancelHotel"}],"End":true},"CancelHotel":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f:1","ResultPath":null,"Next":"CancelFlight"},"CancelFlight":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f:1","ResultPath":null,"Next":"F"},"F":{"Type":"Fail"}}}"#,
        good: r#"{"StartAt":"BookHotel","States":{"BookHotel":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f:1","ResultPath":"$.h","Next":"BookFlight"},"BookFlight":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f:1","ResultPath":"$.f","Next":"Charge"},"Charge":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f:1","Catch":[{"ErrorEquals":["States.ALL"],"ResultPath":"$.e","Next":"CancelFlight"}],"End":true},"CancelFlight":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f:1","ResultPath":null,"Next":"CancelHotel"},"CancelHotel":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f:1","ResultPath":null,"Next":"F"},"F":{"Type":"Fail"}}}"#,
        location: "/States/CancelHotel",
    }],
    check,
};

/// The states after a step, and those after what undoes it.
type Behind = (BTreeSet<StateId>, BTreeSet<StateId>);

fn check(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    let pairs = single(compensation::pairs(subject));
    let behind: Vec<Behind> = pairs
        .iter()
        .map(|pair| {
            let after = |id| compensation::on_success(subject, id);
            (after(pair.step), after(pair.undo))
        })
        .collect();
    let is_before = |sets: fn(&Behind) -> &BTreeSet<StateId>, state: fn(&Pair) -> StateId, a: usize, b: usize| {
        sets(&behind[a]).contains(&state(&pairs[b])) && !sets(&behind[b]).contains(&state(&pairs[a]))
    };
    for a in 0..pairs.len() {
        let mut later = (0..pairs.len()).filter(|b| {
            is_before(|sets| &sets.0, |pair| pair.step, a, *b) && is_before(|sets| &sets.1, |pair| pair.undo, a, *b)
        });
        let Some(b) = later.next() else { continue };
        let (first, second) = (&pairs[a], &pairs[b]);
        let written = subject.written(first.undo);
        let message = format!(
            "It runs before {}, but by their names it undoes {}, which came before {}",
            describe::name(subject, second.undo),
            describe::name(subject, first.step),
            describe::name(subject, second.step)
        );
        reporter
            .report(written.node, written.location.clone(), message)
            .hint("undo the last step first");
    }
}

/// Returns the pairs whose names leave no doubt: one step, one compensation.
fn single(pairs: Vec<Pair>) -> Vec<Pair> {
    let (mut steps, mut undos): (BTreeMap<StateId, usize>, BTreeMap<StateId, usize>) = Default::default();
    for pair in &pairs {
        *steps.entry(pair.step).or_default() += 1;
        *undos.entry(pair.undo).or_default() += 1;
    }
    let is_single = |pair: &Pair| steps.get(&pair.step) == Some(&1) && undos.get(&pair.undo) == Some(&1);
    pairs.into_iter().filter(is_single).collect()
}
