//! A mocked context object.

use serde_json::Value;

use crate::api::error::ApiError;
use crate::asl::definition::State;
use crate::kernel::isolated::context::problem;

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
