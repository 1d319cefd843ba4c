//! `stateConfiguration`, `variables` and `context`.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::api::error::ApiError;
use crate::api::request::Request;
use crate::api::test_state::context;
use crate::api::test_state::definition;
use crate::asl::definition::Definition;
use crate::asl::definition::State;
use crate::kernel::isolated::Setting;
use crate::model::payload::Payload;

/// Members of `stateConfiguration`, and as AWS calls them in its refusals.
const NEED_A_MOCK: &[(&str, &str)] = &[
    ("mapIterationFailureCount", "MapIterationFailureCount"),
    ("retrierRetryCount", "RetrierRetryCount"),
    ("errorCausedByState", "ErrorCausedByState"),
    ("mapItemReaderData", "MapItemReaderData"),
];

/// Refuses members that do not go together, whatever the state is.
///
/// # Errors
/// `ValidationException`.
pub fn check_request(request: &Request, has_mock: bool) -> Result<(), ApiError> {
    if has_mock {
        return match request.flag("revealSecrets") {
            true => Err(ApiError::validation(
                "TestState does not support RevealSecrets when a mock is specified.",
            )),
            false => Ok(()),
        };
    }
    let configured = NEED_A_MOCK
        .iter()
        .filter(|(member, _)| configured(request, member).is_some());
    let mocked = request.get("context").map(|_| "Context");
    match configured.map(|(_, name)| *name).chain(mocked).next() {
        // The sentence is recorded for the first of them alone.
        Some(name) => Err(ApiError::validation(format!(
            "TestState does not support {name} when a mock is not specified."
        ))),
        None => Ok(()),
    }
}

/// Reads what the state is given beside its input.
///
/// # Errors
/// `ValidationException`.
pub fn read(request: &Request, machine: &Definition, state: &State) -> Result<Setting, ApiError> {
    if let Some(name) = configured(request, "errorCausedByState").and_then(Value::as_str) {
        definition::find(machine, name).ok_or_else(|| ApiError::validation("State not found in definition"))?;
    }
    let count = |member: &str| configured(request, member).and_then(Value::as_u64);
    let reader_items = configured(request, "mapItemReaderData").and_then(Value::as_str);
    Ok(Setting {
        context: match request.text("context") {
            Some(text) => Some(context::read(text, state)?),
            None => None,
        },
        variables: match request.text("variables") {
            Some(text) => variables(text)?,
            None => BTreeMap::new(),
        },
        retry_count: count("retrierRetryCount").map_or(0, |count| u32::try_from(count).unwrap_or(u32::MAX)),
        reader_items: reader_items.and_then(|text| Payload::parse(text).ok()),
        n_failed_iterations: count("mapIterationFailureCount"),
    })
}

fn configured<'r>(request: &'r Request, member: &str) -> Option<&'r Value> {
    let value = request.get("stateConfiguration")?.get(member)?;
    Some(value).filter(|value| !value.is_null())
}

fn variables(text: &str) -> Result<BTreeMap<Arc<str>, Payload>, ApiError> {
    match serde_json::from_str(text) {
        Ok(Value::Object(variables)) => Ok(variables
            .into_iter()
            .map(|(name, value)| (Arc::from(name), Payload::new(value)))
            .collect()),
        _ => Err(ApiError::validation("Variables must be a valid JSON object")),
    }
}
