//! Who asks the outside for something.

use crate::asl::definition::Definition;
use crate::asl::definition::StateKind;
use crate::model::id::StateId;
use crate::sim::exchange::Field;

/// A Task, or the `ItemReader` or `ResultWriter` of a Distributed Map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Caller {
    pub(super) state: StateId,
    /// Of a Task: none.
    pub(super) field: Option<Field>,
}

impl Caller {
    pub(super) fn task(state: StateId) -> Self {
        Self { state, field: None }
    }

    pub(super) fn reader(state: StateId) -> Self {
        Self {
            state,
            field: Some(Field::ItemReader),
        }
    }

    fn writer(state: StateId) -> Self {
        Self {
            state,
            field: Some(Field::ResultWriter),
        }
    }

    /// Returns what its mock is named in a test file.
    pub(super) fn mock_name(self, definition: &Definition) -> String {
        let name = &definition.state(self.state).name;
        match self.field {
            None => name.to_string(),
            Some(field) => format!("{name}.{}", field.name()),
        }
    }
}

/// Returns those that are one state.
pub(super) fn of_state(definition: &Definition, id: StateId) -> Vec<Caller> {
    match &definition.state(id).kind {
        StateKind::Task(_) => vec![Caller::task(id)],
        StateKind::Map(map) => {
            let exports = map.result_writer.as_ref().is_some_and(|writer| writer.export.is_some());
            let reader = map.item_reader.is_some().then(|| Caller::reader(id));
            reader.into_iter().chain(exports.then(|| Caller::writer(id))).collect()
        }
        _ => Vec::new(),
    }
}
