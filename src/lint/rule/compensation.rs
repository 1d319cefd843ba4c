//! Which state undoes which step, as far as names tell.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::asl::definition::StateKind;
use crate::lint::graph::Way;
use crate::lint::subject::Subject;
use crate::model::id::BlockId;
use crate::model::id::StateId;

/// Words that begin the name of a state that undoes something.
const UNDOING: &[&str] = &[
    "cancel",
    "compensate",
    "refund",
    "release",
    "revert",
    "rollback",
    "undo",
    "unreserve",
    "void",
];

/// Words that say nothing of what is done to what.
const FILLING: &[&str] = &["a", "and", "do", "for", "of", "state", "step", "task", "the", "to"];

/// Most states of a block that are compared by their names.
const STATES_MAX: usize = 500;

/// A task, and the one that undoes it.
pub(super) struct Pair {
    pub(super) step: StateId,
    pub(super) undo: StateId,
}

/// Returns the pairs: the names share a noun, the one that undoes is reached by a catcher, and the step comes before.
pub(super) fn pairs(subject: &Subject<'_>) -> Vec<Pair> {
    let mut undoing = Vec::new();
    let mut steps = Vec::new();
    for (id, state, _) in subject.states().take(STATES_MAX) {
        if !matches!(state.kind, StateKind::Task(_)) {
            continue;
        }
        let words = words(&state.name);
        let Some((first, rest)) = words.split_first() else {
            continue;
        };
        let is_undoing =
            UNDOING.contains(&first.as_str()) || first == "roll" && rest.first().is_some_and(|word| word == "back");
        let nouns: BTreeSet<String> = rest
            .iter()
            .filter(|word| !FILLING.contains(&word.as_str()) && *word != "back")
            .cloned()
            .collect();
        match is_undoing {
            true => undoing.push((id, nouns)),
            false => steps.push((id, nouns)),
        }
    }
    if undoing.is_empty() || subject.has_open_target() {
        return Vec::new();
    }
    let definition = subject.definition;
    // Each walk through the graph is made once, however many names share a noun.
    let mut caught_in: BTreeMap<BlockId, BTreeSet<StateId>> = BTreeMap::new();
    let mut after: BTreeMap<StateId, BTreeSet<StateId>> = BTreeMap::new();
    let mut pairs = Vec::new();
    for (undo, nouns) in undoing {
        let block = definition.state(undo).block;
        let caught = caught_in.entry(block).or_insert_with(|| caught(subject, block));
        if !caught.contains(&undo) {
            continue;
        }
        for (step, others) in &steps {
            if definition.state(*step).block != block || nouns.is_disjoint(others) {
                continue;
            }
            let after = after
                .entry(*step)
                .or_insert_with(|| subject.graph().after(definition, *step, false));
            if after.contains(&undo) {
                pairs.push(Pair { step: *step, undo });
            }
        }
    }
    pairs
}

/// Returns the tasks that come behind a step on the way of success, without those that handle failures.
pub(super) fn behind(subject: &Subject<'_>, pair: &Pair) -> Vec<StateId> {
    let found = reached(subject, pair.step, |id| id != pair.undo && id != pair.step);
    let caught = caught(subject, subject.definition.state(pair.step).block);
    let is_task = |id: &StateId| matches!(subject.definition.state(*id).kind, StateKind::Task(_));
    found
        .into_iter()
        .filter(|id| is_task(id) && !caught.contains(id))
        .collect()
}

/// Returns the states that come behind one when nothing fails.
pub(super) fn on_success(subject: &Subject<'_>, id: StateId) -> BTreeSet<StateId> {
    reached(subject, id, |_| true)
}

fn reached(subject: &Subject<'_>, id: StateId, may_go: impl Fn(StateId) -> bool) -> BTreeSet<StateId> {
    let mut found = BTreeSet::new();
    let mut queue: Vec<StateId> = next(subject, id);
    while let Some(id) = queue.pop() {
        if may_go(id) && found.insert(id) {
            queue.extend(next(subject, id));
        }
    }
    found
}

/// Returns where a state leads when nothing fails.
fn next(subject: &Subject<'_>, id: StateId) -> Vec<StateId> {
    let steps = subject.graph().successors(id).iter();
    steps
        .filter(|step| !matches!(step.way, Way::Catch(_)))
        .map(|step| step.to)
        .collect()
}

/// Returns the states of a block that come behind a catcher.
fn caught(subject: &Subject<'_>, block: BlockId) -> BTreeSet<StateId> {
    let members = subject.graph().members(block).iter();
    let steps = members.flat_map(|id| subject.graph().successors(*id));
    let starts = steps
        .filter(|step| matches!(step.way, Way::Catch(_)))
        .map(|step| step.to);
    subject
        .graph()
        .reached(subject.definition, starts.collect::<Vec<_>>(), false)
}

/// Tells whether a Parallel or Map around a block catches what fails in it.
pub(super) fn is_caught_outside(subject: &Subject<'_>, block: BlockId) -> bool {
    let mut block = block;
    while let Some(holder) = subject.definition.block(block).parent {
        let holder = subject.definition.state(holder);
        if !holder.catchers.is_empty() {
            return true;
        }
        block = holder.block;
    }
    false
}

/// Splits a name at everything that is no letter and before capitals, in lower case.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for c in name.chars() {
        if !c.is_alphanumeric() || c.is_uppercase() && was_lower {
            words.push(String::new());
        }
        if c.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(c.to_lowercase());
        }
        was_lower = c.is_lowercase();
    }
    words.retain(|word| !word.is_empty());
    words
}
