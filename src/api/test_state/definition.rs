//! The definition of a state under test: a state by itself, or a whole machine and a state's name.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Map;
use serde_json::Value;

use crate::api::configuration;
use crate::api::error::ApiError;
use crate::asl::definition::Definition;
use crate::kernel::isolated::STATE_NAME;
use crate::model::execution_record::MachineType;
use crate::model::id::StateId;

/// Compiles a definition and finds the state to test.
///
/// # Errors
/// `InvalidDefinition`; `ValidationException` for a name that no state has.
pub fn compile(text: &str, state_name: Option<&str>) -> Result<(Arc<Definition>, StateId), ApiError> {
    let definition = match (state_name, serde_json::from_str(text)) {
        (None, Ok(Value::Object(state))) => configuration::read(&around(text, &state), MachineType::Standard)?,
        // What is not even an object is refused as a machine would be.
        _ => configuration::read(text, MachineType::Standard)?,
    };
    let state = match state_name {
        Some(name) => find(&definition, name).ok_or_else(|| ApiError::validation("State not found in definition"))?,
        None => definition.blocks[0].start_at,
    };
    Ok((Arc::new(definition), state))
}

/// Finds a state of any block.
pub fn find(definition: &Definition, name: &str) -> Option<StateId> {
    let index = definition.states.iter().position(|state| &*state.name == name)?;
    u32::try_from(index).ok().map(StateId)
}

/// Puts a machine around a state, with an end wherever the state leads.
///
/// The state's own text stays as it is, so that what is wrong with it is said in the usual words.
fn around(text: &str, state: &Map<String, Value>) -> String {
    let mut targets = BTreeSet::new();
    collect_targets(state, &mut targets);
    let mut ends = String::new();
    for name in targets.iter().filter(|name| **name != STATE_NAME) {
        // A JSON text as a key, so that any name can stand there.
        ends.push_str(&format!(",{}:{{\"Type\":\"Succeed\"}}", Value::from(name.as_str())));
    }
    format!(r#"{{"StartAt":"{STATE_NAME}","States":{{"{STATE_NAME}":{text}{ends}}}}}"#)
}

fn collect_targets(state: &Map<String, Value>, targets: &mut BTreeSet<String>) {
    let rules = ["Catch", "Choices"]
        .iter()
        .filter_map(|list| state.get(*list)?.as_array());
    let rules = rules.flatten().filter_map(Value::as_object);
    let named = [state].into_iter().chain(rules);
    let named = named.flat_map(|object| ["Next", "Default"].map(|field| object.get(field)));
    targets.extend(named.flatten().filter_map(Value::as_str).map(ToOwned::to_owned));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_state_stands_by_itself() {
        for (text, expected) in [
            (r#"{"Type":"Pass","End":true}"#, Ok("StateName")),
            (r#"{"Type":"Pass","Next":"any \" name"}"#, Ok("StateName")),
            (
                r#"{"Type":"Choice","Default":"A","Choices":[{"Variable":"$.a","IsNull":true,"Next":"B"}]}"#,
                Ok("StateName"),
            ),
            (
                r#"{"Type":"Task","Resource":"arn:aws:states:::sqs:sendMessage","End":true,
                    "Catch":[{"ErrorEquals":["States.ALL"],"Next":"A"}]}"#,
                Ok("StateName"),
            ),
            (
                r#"{"Type":"Pass","Next":"A","Output":1}"#,
                Err(
                    "Invalid State Machine Definition: 'SCHEMA_VALIDATION_FAILED: The QueryLanguage is set to \
                     'JSONPath', but field 'Output' is only supported for the 'JSONata' QueryLanguage at \
                     /States/StateName'",
                ),
            ),
        ] {
            check(text, None, expected);
        }
    }

    #[test]
    fn a_text_cannot_reach_out_of_its_place() {
        let error = compile(r#"{"Type":"Pass","End":true},"More":{"Type":"Succeed"}"#, None).expect_err("no JSON");
        assert!(error.message.contains("INVALID_JSON_DESCRIPTION"), "{}", error.message);
        assert!(!error.message.contains(STATE_NAME), "{}", error.message);
    }

    #[test]
    fn a_state_is_found_at_any_depth() {
        let machine = r#"{"StartAt":"M","States":{"M":{"Type":"Map","End":true,"ItemProcessor":{
            "StartAt":"P","States":{"P":{"Type":"Parallel","End":true,"Branches":[
                {"StartAt":"Deep","States":{"Deep":{"Type":"Succeed"}}}]}}}}}}"#;
        for (name, expected) in [
            ("M", Ok("M")),
            ("P", Ok("P")),
            ("Deep", Ok("Deep")),
            ("Deeper", Err("State not found in definition")),
        ] {
            check(machine, Some(name), expected);
        }
    }

    #[track_caller]
    fn check(text: &str, name: Option<&str>, expected: Result<&str, &str>) {
        let found = compile(text, name).map(|(definition, state)| definition.state(state).name.to_string());
        let found = found.map_err(|error| error.message);
        assert_eq!(found.as_deref().map_err(String::as_str), expected, "{text}");
    }
}
