//! Finds states that only have another name.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use serde_json::Value;

use crate::diff::normal::State;

/// Most states of one and the same content that are told apart by what they join; more are too alike.
const ALIKE_MAX: usize = 40;

/// A block's states by name.
pub(super) type States = BTreeMap<String, State>;

/// One side of the comparison.
pub(super) struct Side<'a> {
    pub(super) start_at: &'a str,
    pub(super) states: &'a States,
}

/// Finds the states of `old` that `new` has under another name: same content, and joined to the same states, renamed ones
/// included. Returns name before to name after.
pub(super) fn renames(old: &Side<'_>, new: &Side<'_>) -> BTreeMap<String, String> {
    let (gone, come) = (only(old, new), only(new, old));
    let (from_old, from_new) = (Joints::of(old), Joints::of(new));
    let mut alike: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for name in &come {
        alike.entry(content(&new.states[*name])).or_default().push(name);
    }
    let mut left: Vec<(&str, Vec<&str>)> = gone
        .iter()
        .filter_map(|name| Some((*name, alike.get(&content(&old.states[*name]))?.clone())))
        .filter(|(_, candidates)| candidates.len() <= ALIKE_MAX)
        .collect();
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    let mut taken: BTreeSet<&str> = BTreeSet::new();
    loop {
        let n_before = found.len();
        left.retain_mut(|(name, candidates)| {
            candidates.retain(|candidate| {
                !taken.contains(candidate)
                    && from_old.fit(name, &from_new, candidate, |target| match found.get(target) {
                        Some(renamed) => Known::As(renamed.clone()),
                        None if new.states.contains_key(target) => Known::As(target.to_owned()),
                        None if gone.contains(&target) => Known::Open,
                        None => Known::Gone,
                    })
            });
            if let [only] = candidates.as_slice() {
                taken.insert(only);
                found.insert((*name).to_owned(), (*only).to_owned());
                return false;
            }
            !candidates.is_empty()
        });
        if found.len() == n_before {
            break;
        }
    }
    found
}

fn only<'a>(side: &Side<'a>, other: &Side<'_>) -> BTreeSet<&'a str> {
    let names = side.states.keys().filter(|name| !other.states.contains_key(*name));
    names.map(String::as_str).collect()
}

/// What a name is in the other definition.
enum Known {
    As(String),
    /// It may have been renamed.
    Open,
    Gone,
}

/// What a block's states join.
struct Joints {
    targets: BTreeMap<String, Vec<String>>,
    /// From which states, and at which of their ways.
    sources: BTreeMap<String, BTreeSet<(String, usize)>>,
    start_at: String,
}

impl Joints {
    fn of(side: &Side<'_>) -> Self {
        let mut targets = BTreeMap::new();
        let mut sources: BTreeMap<String, BTreeSet<(String, usize)>> = BTreeMap::new();
        for (name, state) in side.states {
            let own = targets_of(state);
            for (way, target) in own.iter().enumerate() {
                sources.entry(target.clone()).or_default().insert((name.clone(), way));
            }
            targets.insert(name.clone(), own);
        }
        Self {
            targets,
            sources,
            start_at: side.start_at.to_owned(),
        }
    }

    /// Tells whether `name` here and `candidate` there join the same, as far as is known.
    fn fit(&self, name: &str, other: &Self, candidate: &str, known: impl Fn(&str) -> Known) -> bool {
        let none = Vec::new();
        let nobody = BTreeSet::new();
        let targets = self.targets.get(name).unwrap_or(&none);
        let their_targets = other.targets.get(candidate).unwrap_or(&none);
        let sources = self.sources.get(name).unwrap_or(&nobody);
        let their_sources = other.sources.get(candidate).unwrap_or(&nobody);
        let same = |mine: &String, theirs: &String| match known(mine) {
            Known::As(renamed) => renamed == *theirs || (mine == name && theirs == candidate),
            Known::Open => true,
            Known::Gone => false,
        };
        let lead_on = targets.len() == their_targets.len()
            && targets
                .iter()
                .zip(their_targets)
                .all(|(mine, theirs)| same(mine, theirs));
        let lead_here = sources.len() == their_sources.len()
            && sources.iter().all(|(source, way)| match known(source) {
                Known::As(renamed) => their_sources.contains(&(renamed, *way)),
                Known::Open => true,
                Known::Gone => false,
            });
        lead_on && lead_here && (self.start_at == name) == (other.start_at == candidate)
    }
}

fn targets_of(state: &State) -> Vec<String> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let own = ["Next", "Default"].iter().filter_map(|name| state.fields.get(*name));
    let lists = ["Choices", "Catch"]
        .iter()
        .filter_map(|name| state.fields.get(*name)?.as_array());
    let listed = lists.flatten().filter_map(|entry| entry.get("Next"));
    own.chain(listed).filter_map(text).collect()
}

/// Gives every target of a state its name in the other definition.
pub(super) fn retarget(state: &mut State, name_of: impl Fn(&str) -> Option<String>) {
    let change = |value: &mut Value| {
        if let Some(name) = value.as_str().and_then(&name_of) {
            *value = name.into();
        }
    };
    for name in ["Next", "Default"] {
        state.fields.get_mut(name).into_iter().for_each(change);
    }
    for name in ["Choices", "Catch"] {
        let list = state.fields.get_mut(name).and_then(Value::as_array_mut);
        let entries = list.into_iter().flatten();
        entries.filter_map(|entry| entry.get_mut("Next")).for_each(change);
    }
}

/// Returns a state's content without where it leads: equal texts, equal content.
fn content(state: &State) -> String {
    let mut state = state.clone();
    retarget(&mut state, |_| Some(String::new()));
    let mut fields = Value::Object(state.fields);
    fields.sort_all_objects();
    let mut text = fields.to_string();
    for (field, block) in state.blocks {
        let mut block = block;
        block.sort_all_objects();
        text += &format!("{field}{block}");
    }
    text
}
