//! What `TestState` answers.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Map;
use serde_json::Value;

use crate::api::shapes::put;
use crate::kernel::isolated::Ending;
use crate::kernel::isolated::ErrorDetails;
use crate::kernel::isolated::Inspection;
use crate::kernel::isolated::Stage;
use crate::model::payload::Payload;
use crate::model::states_error::StatesError;

/// Makes the answer; `inspection` for the levels that show it.
pub fn make(ending: &Ending, input: &Payload, inspection: Option<&Inspection>) -> Value {
    let mut map = Map::new();
    let mut show = |status: &str, error: Option<&StatesError>, output: Option<&Payload>, next: Option<&Arc<str>>| {
        put(&mut map, "output", output.map(Payload::text));
        put(&mut map, "error", error.and_then(|error| error.name.as_deref()));
        put(&mut map, "cause", error.and_then(|error| error.cause.as_deref()));
        put(&mut map, "nextState", next.map(|next| &**next));
        put(&mut map, "status", Some(status));
    };
    match ending {
        Ending::Caught { error, output, next } => show("CAUGHT_ERROR", Some(error), Some(output), Some(next)),
        Ending::Failed(error) => show("FAILED", Some(error), None, None),
        Ending::Retriable(error) => show("RETRIABLE", Some(error), None, None),
        Ending::Succeeded { output, next } => show("SUCCEEDED", None, Some(output), next.as_ref()),
    }
    if let Some(inspection) = inspection {
        map.insert("inspectionData".to_owned(), inspection_data(input, inspection));
    }
    Value::Object(map)
}

fn inspection_data(input: &Payload, inspection: &Inspection) -> Value {
    let mut map = Map::new();
    put(&mut map, "input", Some(input.text()));
    for (stage, value) in &inspection.stages {
        // Counts are numbers, everything else is JSON text.
        let shown = match stage {
            Stage::MaxConcurrency | Stage::ToleratedFailureCount | Stage::ToleratedFailurePercentage => {
                value.value().clone()
            }
            _ => Value::from(value.text()),
        };
        map.insert(name(*stage).to_owned(), shown);
    }
    if !inspection.variables.is_empty() {
        put(&mut map, "variables", Some(variables(&inspection.variables)));
    }
    let details = error_details(inspection.error_details);
    if !details.is_empty() {
        map.insert("errorDetails".to_owned(), Value::Object(details));
    }
    Value::Object(map)
}

fn name(stage: Stage) -> &'static str {
    match stage {
        Stage::AfterArguments => "afterArguments",
        Stage::AfterInputPath => "afterInputPath",
        Stage::AfterItemBatcher => "afterItemBatcher",
        Stage::AfterItemSelector => "afterItemSelector",
        Stage::AfterItemsPath => "afterItemsPath",
        Stage::AfterItemsPointer => "afterItemsPointer",
        Stage::AfterParameters => "afterParameters",
        Stage::AfterResultPath => "afterResultPath",
        Stage::AfterResultSelector => "afterResultSelector",
        Stage::MaxConcurrency => "maxConcurrency",
        Stage::Result => "result",
        Stage::ToleratedFailureCount => "toleratedFailureCount",
        Stage::ToleratedFailurePercentage => "toleratedFailurePercentage",
    }
}

fn variables(variables: &BTreeMap<Arc<str>, Payload>) -> String {
    let variables = variables.iter();
    let variables = variables.map(|(name, value)| (name.to_string(), value.value().clone()));
    Value::Object(variables.collect()).to_string()
}

fn error_details(details: ErrorDetails) -> Map<String, Value> {
    let mut map = Map::new();
    put(&mut map, "catchIndex", details.catcher);
    put(&mut map, "retryIndex", details.retrier);
    let seconds = details.pause_millis.map(|millis| (millis + 500) / 1000);
    put(&mut map, "retryBackoffIntervalSeconds", seconds);
    map
}
