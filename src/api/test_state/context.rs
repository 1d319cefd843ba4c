//! A mocked context object.

use serde_json::Map;
use serde_json::Value;

use crate::api::error::ApiError;
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

/// Reads a context object for a state. What it leaves out stays out (recorded).
///
/// # Errors
/// `ValidationException`: the first thing that AWS does not accept in it.
pub fn read(text: &str, state: &State) -> Result<Value, ApiError> {
    match serde_json::from_str(text) {
        Ok(Value::Object(context)) => match problem(&context, state) {
            None => Ok(Value::Object(context)),
            Some(problem) => Err(invalid(&problem)),
        },
        _ => Err(invalid("Context object must be a valid JSON object")),
    }
}

fn invalid(problem: &str) -> ApiError {
    ApiError::validation(format!("Invalid Context object provided: {problem}"))
}

fn problem(context: &Map<String, Value>, state: &State) -> Option<String> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::test_state::definition;

    #[test]
    fn a_context_object_holds_what_it_may() {
        let plain = "arn:aws:states:::sqs:sendMessage";
        let with_token = "arn:aws:states:::sqs:sendMessage.waitForTaskToken";
        for (resource, context, expected) in [
            (plain, "{}", ""),
            (
                plain,
                r#"{"Execution":{},"State":{"RetryCount":1},"StateMachine":{"Id":"i"}}"#,
                "",
            ),
            (plain, r#"{"Execution":{"Input":[1]}}"#, ""),
            (with_token, r#"{"Task":{"Token":"t"}}"#, ""),
            (
                plain,
                r#"{"Map":{}}"#,
                "'Map' field is not supported when mocking a Context object",
            ),
            (plain, r#"{"Pokedex":{}}"#, "Field 'Pokedex' is not allowed"),
            (plain, r#"{"State":{"Mood":1}}"#, "Field 'State.Mood' is not allowed"),
            (plain, r#"{"Execution":{"Id":1}}"#, "Execution.Id must be a string"),
            (
                plain,
                r#"{"State":{"RetryCount":"1"}}"#,
                "State.RetryCount must be a number",
            ),
            (plain, r#"{"Execution":1}"#, "Execution must be an object"),
            (
                plain,
                r#"{"Task":{"Token":"t"}}"#,
                "Context object contains 'Task' when state is not a Task state with a '.sync' or '.waitForTaskToken' \
                 service integration pattern",
            ),
            (plain, "[]", "Context object must be a valid JSON object"),
        ] {
            let state = format!(
                r#"{{"Type":"Task","Resource":"{resource}","Parameters":{{"QueueUrl":"q","MessageBody.$":"$$.Task.Token"}},"End":true}}"#
            );
            let (definition, id) = definition::compile(&state, None).expect("it compiles");
            let found = read(context, definition.state(id)).err().map(|error| error.message);
            let found = found.unwrap_or_default();
            let found = found.trim_start_matches("Invalid Context object provided: ");
            assert_eq!(found, expected, "{context}");
        }
    }
}
