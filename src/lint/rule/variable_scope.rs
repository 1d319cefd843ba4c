//! Who assigns which variable, and why one that is read has no value.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::asl::definition::MapMode;
use crate::asl::definition::StateKind;
use crate::lint::flow::From;
use crate::lint::flow::Read;
use crate::lint::flow::Shape;
use crate::lint::flow::Verdict;
use crate::lint::flow::assigned;
use crate::lint::subject::Subject;
use crate::model::id::BlockId;
use crate::model::id::StateId;
use crate::query::jsonata::outline::Need;

/// A variable that has no value where it is read.
pub(super) struct Missing<'f> {
    pub(super) read: &'f Read,
    pub(super) name: &'f str,
    pub(super) why: Why,
}

/// Why a variable has no value.
#[derive(Clone, Copy)]
pub(super) enum Why {
    /// Nobody on a way to here assigns it; `elsewhere` tells that another state does.
    Never { elsewhere: bool },
    /// This state of a block that is not seen from here assigns it.
    OtherBlock { assigner: StateId },
    /// The Assign that reads it assigns it itself.
    SameAssign,
}

/// Returns all assignments: the state, the place of the Assign within it, the name.
pub(super) fn assignments(subject: &Subject<'_>) -> Vec<(StateId, String, Arc<str>)> {
    let mut found = Vec::new();
    for (id, state, _) in subject.states() {
        let mut templates = vec![("/Assign".to_owned(), state.assign.as_ref())];
        for (index, catcher) in state.catchers.iter().enumerate() {
            templates.push((format!("/Catch[{index}]/Assign"), catcher.assign.as_ref()));
        }
        if let StateKind::Choice(choice) = &state.kind {
            for (index, rule) in choice.rules.iter().enumerate() {
                templates.push((format!("/Choices[{index}]/Assign"), rule.assign.as_ref()));
            }
        }
        for (place, template) in templates {
            let names = template.map(assigned).unwrap_or_default();
            found.extend(names.into_iter().map(|name| (id, place.clone(), name)));
        }
    }
    found
}

/// Returns the variables that are read and have no value on any way, one for each state and name.
pub(super) fn missing<'f>(subject: &'f Subject<'_>) -> Vec<Missing<'f>> {
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    let mut assigners: BTreeMap<Arc<str>, Vec<(StateId, String)>> = BTreeMap::new();
    let mut is_collected = false;
    for read in subject.flow().reads() {
        let (Verdict::Never(Shape::Unknown, 0), From::Variable(name)) = (&read.verdict, &read.from) else {
            continue;
        };
        if read.need == Need::Guarded || !seen.insert((read.state, name)) {
            continue;
        }
        if !std::mem::replace(&mut is_collected, true) {
            for (id, place, name) in assignments(subject) {
                assigners.entry(name).or_default().push((id, place));
            }
        }
        let assigners = assigners.get(name).map_or(&[][..], Vec::as_slice);
        let is_same = |(id, place): &(StateId, String)| *id == read.state && read.place.starts_with(&**place);
        let scopes = scopes(subject, subject.definition.state(read.state).block);
        let in_reach = |id: StateId| scopes.contains(&subject.definition.state(id).block);
        let why = match assigners.first() {
            Some(_) if assigners.iter().any(is_same) => Why::SameAssign,
            Some((assigner, _)) if !assigners.iter().any(|(id, _)| in_reach(*id)) => {
                Why::OtherBlock { assigner: *assigner }
            }
            first => Why::Never {
                elsewhere: first.is_some(),
            },
        };
        found.push(Missing { read, name, why });
    }
    found
}

/// Returns the block and those around it whose variables it sees.
fn scopes(subject: &Subject<'_>, block: BlockId) -> Vec<BlockId> {
    let mut scopes = vec![block];
    let mut block = block;
    while let Some(holder) = subject.definition.block(block).parent {
        let holder = subject.definition.state(holder);
        let is_isolated = matches!(&holder.kind, StateKind::Map(map) if map.mode != MapMode::Inline);
        if is_isolated {
            break;
        }
        block = holder.block;
        scopes.push(block);
    }
    scopes
}
