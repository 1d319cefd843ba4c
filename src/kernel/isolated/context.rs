//! What a mocked context object may hold.

use serde_json::Map;
use serde_json::Value;

use crate::asl::definition::Pattern;
use crate::asl::definition::State;
use crate::asl::definition::StateKind;

/// What a member of the context object must be.
#[derive(Clone, Copy)]
enum Kind {
    Anything,
    Number,
    Text,
}

/// The context object's objects and their members.
const MEMBERS: &[(&str, &[(&str, Kind)])] = &[
    (
        "Execution",
        &[
            ("Id", Kind::Text),
            ("Input", Kind::Anything),
            ("Name", Kind::Text),
            ("RedriveCount", Kind::Number),
            ("RedriveTime", Kind::Text),
            ("RoleArn", Kind::Text),
            ("StartTime", Kind::Text),
        ],
    ),
    (
        "State",
        &[
            ("EnteredTime", Kind::Text),
            ("Name", Kind::Text),
            ("RetryCount", Kind::Number),
        ],
    ),
    ("StateMachine", &[("Id", Kind::Text), ("Name", Kind::Text)]),
    ("Task", &[("Token", Kind::Text)]),
];

/// Says what AWS does not accept first in a context object for a state.
pub fn problem(context: &Map<String, Value>, state: &State) -> Option<String> {
    for (name, value) in context {
        if name == "Map" {
            return Some("'Map' field is not supported when mocking a Context object".to_owned());
        }
        let Some((_, members)) = MEMBERS.iter().find(|(known, _)| known == name) else {
            return Some(format!("Field '{name}' is not allowed"));
        };
        if name == "Task" && !has_task(state) {
            return Some(
                "Context object contains 'Task' when state is not a Task state with a '.sync' or '.waitForTaskToken' \
                 service integration pattern"
                    .to_owned(),
            );
        }
        let Some(object) = value.as_object() else {
            return Some(format!("{name} must be an object"));
        };
        for (member, value) in object {
            let path = format!("{name}.{member}");
            match members.iter().find(|(known, _)| known == member) {
                None => return Some(format!("Field '{path}' is not allowed")),
                Some((_, Kind::Text)) if !value.is_string() => return Some(format!("{path} must be a string")),
                Some((_, Kind::Number)) if !value.is_number() => return Some(format!("{path} must be a number")),
                Some(_) => {}
            }
        }
    }
    None
}

fn has_task(state: &State) -> bool {
    match &state.kind {
        StateKind::Task(task) => task.resource.pattern != Pattern::RequestResponse,
        _ => false,
    }
}
