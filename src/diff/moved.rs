//! Finds states that stand in another block.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::diff::change::Change;
use crate::diff::change::What;
use crate::diff::compare::Options;
use crate::diff::normal;
use crate::diff::normal::State;
use crate::diff::values;

/// A state, and the way to the block that it stands in.
struct Placed {
    block: Vec<String>,
    state: State,
}

/// Tells of states that came and went, or went within one that did, where they are now, and what else is new about them.
pub(super) fn tell(old: &Value, new: &Value, options: Options, changes: Vec<Change>) -> Vec<Change> {
    let [olds, news] = [old, new].map(|machine| all(machine, options));
    let mut told = Vec::with_capacity(changes.len());
    for change in changes {
        let is_listed = matches!(change.what, What::StateAdded(_) | What::StateRemoved(_));
        let name = change.path.last().filter(|_| is_listed);
        let both = name.and_then(|name| Some((olds.get(name)?, news.get(name)?)));
        let Some((before, after)) = both.filter(|(before, after)| before.block != after.block) else {
            told.push(change);
            continue;
        };
        let mut path = after.block.clone();
        path.extend(change.path.last().cloned());
        // It may be listed where it was and where it is.
        if told.iter().any(|other: &Change| other.path == path) {
            continue;
        }
        let mut found = vec![What::StateMoved {
            from: before.block.clone(),
        }];
        let [before, after] = [before, after].map(|placed| Value::Object(placed.state.fields.clone()));
        values::compare("", Some(&before), Some(&after), &mut found);
        told.extend(found.into_iter().map(|what| Change {
            path: path.clone(),
            what,
        }));
    }
    told
}

/// All states of a machine by name, which no two have.
fn all(machine: &Value, options: Options) -> BTreeMap<String, Placed> {
    let language = machine.get("QueryLanguage").and_then(Value::as_str);
    let language = language.unwrap_or("JSONPath");
    let mut found = BTreeMap::new();
    let mut open = vec![(Vec::new(), machine.clone())];
    while let Some((block, written)) = open.pop() {
        let states = written.get("States").and_then(Value::as_object).into_iter().flatten();
        for (name, state) in states {
            let state = normal::state(state, language, options.comments);
            for (field, inner) in &state.blocks {
                let mut path: Vec<String> = block.clone();
                path.extend([name.clone(), field.clone()]);
                open.push((path, inner.clone()));
            }
            let block = block.clone();
            found.insert(name.clone(), Placed { block, state });
        }
    }
    found
}
