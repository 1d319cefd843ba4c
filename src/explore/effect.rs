//! Which tasks change something, and which undo it. Guessed from names and from where they stand.

use std::collections::BTreeSet;

use crate::asl::definition::Definition;
use crate::asl::definition::StateKind;
use crate::asl::definition::Transition;
use crate::model::id::BlockId;
use crate::model::id::StateId;

/// What changes nothing, or nothing that could be undone.
const HARMLESS: &[&str] = &[
    "alert",
    "analyze",
    "await",
    "calculate",
    "check",
    "classify",
    "compare",
    "compute",
    "count",
    "describe",
    "detect",
    "determine",
    "email",
    "estimate",
    "evaluate",
    "extract",
    "fetch",
    "find",
    "format",
    "get",
    "has",
    "head",
    "inspect",
    "is",
    "list",
    "load",
    "log",
    "lookup",
    "monitor",
    "notify",
    "notification",
    "parse",
    "poll",
    "publish",
    "query",
    "read",
    "report",
    "scan",
    "search",
    "select",
    "send",
    "start",
    "status",
    "summarize",
    "test",
    "transform",
    "translate",
    "validate",
    "verify",
    "wait",
];

/// What undoes something.
const UNDOING: &[&str] = &[
    "abort",
    "cancel",
    "cleanup",
    "compensate",
    "compensation",
    "delete",
    "deprovision",
    "deregister",
    "detach",
    "refund",
    "release",
    "remove",
    "restore",
    "reverse",
    "revert",
    "rollback",
    "teardown",
    "terminate",
    "undo",
    "unlock",
    "unreserve",
    "void",
];

/// Two words that undo something.
const UNDOING_PAIRS: &[(&str, &str)] = &[("clean", "up"), ("roll", "back"), ("tear", "down")];

/// The tasks of a definition that change something, and those that undo it.
#[derive(Debug, Default)]
pub(super) struct Effects {
    pub(super) changing: BTreeSet<StateId>,
    pub(super) undoing: BTreeSet<StateId>,
}

/// Guesses the effects of a definition's tasks.
pub(super) fn of_definition(definition: &Definition) -> Effects {
    let normal = reached_without_errors(definition);
    let mut effects = Effects::default();
    for (number, state) in definition.states.iter().enumerate() {
        let id = StateId(u32::try_from(number).unwrap_or(u32::MAX));
        let StateKind::Task(task) = &state.kind else { continue };
        let action = task.resource.arn.rsplit([':', '/']).next().unwrap_or_default();
        let named = words(&state.name);
        let does = words(action.split('.').next().unwrap_or_default());
        if !normal.contains(&id) {
            if undoes(&named) || undoes(&does) {
                effects.undoing.insert(id);
            }
            continue;
        }
        let harmless = |words: &[String]| words.first().is_some_and(|word| HARMLESS.contains(&word.as_str()));
        if !harmless(&named) && !harmless(&does) {
            effects.changing.insert(id);
        }
    }
    effects
}

fn undoes(words: &[String]) -> bool {
    let pairs = words.windows(2);
    words.iter().any(|word| UNDOING.contains(&word.as_str()))
        || pairs
            .into_iter()
            .any(|pair| UNDOING_PAIRS.contains(&(pair[0].as_str(), pair[1].as_str())))
}

/// Splits a name into its words, in small letters.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_small = false;
    for c in name.chars() {
        let begins = c.is_uppercase() && was_small;
        if begins || !c.is_alphanumeric() {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| c.is_alphanumeric()) {
            word.extend(c.to_lowercase());
        }
        was_small = c.is_lowercase() || c.is_numeric();
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Returns the states that are reached though no catcher ever takes an error.
fn reached_without_errors(definition: &Definition) -> BTreeSet<StateId> {
    let mut reached = BTreeSet::new();
    let mut open = vec![definition.block(BlockId(0)).start_at];
    while let Some(id) = open.pop() {
        if !reached.insert(id) {
            continue;
        }
        let state = definition.state(id);
        match &state.kind {
            StateKind::Choice(choice) => {
                open.extend(choice.rules.iter().map(|rule| rule.next).chain(choice.default));
                continue;
            }
            StateKind::Map(map) => open.push(definition.block(map.block).start_at),
            StateKind::Parallel(blocks) => open.extend(blocks.iter().map(|block| definition.block(*block).start_at)),
            _ => {}
        }
        if let Transition::Next(next) = state.transition {
            open.push(next);
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_word_by_word() {
        for (name, expected) in [
            ("ReserveStock", "reserve stock"),
            ("Roll back: the order", "roll back the order"),
            ("get-S3Object", "get s3 object"),
            ("URL", "url"),
        ] {
            assert_eq!(words(name).join(" "), expected);
        }
    }
}
