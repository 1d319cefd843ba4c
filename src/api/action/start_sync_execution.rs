//! `StartSyncExecution`.

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::api::Api;
use crate::api::action::Action;
use crate::api::error::Answer;
use crate::api::error::ApiError;
use crate::api::machine;
use crate::api::member::Member;
use crate::api::request::Request;
use crate::api::shapes;
use crate::api::shapes::put;
use crate::engine::start::Begun;
use crate::identity::permission::Permission;
use crate::model::execution_record::MachineType;

pub(super) const ACTION: Action = Action {
    name: "StartSyncExecution",
    permission: Permission::Start,
    input: &[
        Member::required("stateMachineArn", shapes::ARN),
        Member::optional("name", shapes::NAME),
        Member::optional("input", shapes::DATA),
        shapes::TRACE_HEADER,
        shapes::INCLUDED_DATA,
    ],
    call: |api, request| Box::pin(call(api, request)),
};

async fn call(api: &Api, request: Request) -> Answer {
    let arn = request.required("stateMachineArn");
    machine::parse(arn)?;
    let name = request.text("name").map(shapes::name).transpose()?;
    let chosen = api.choose(arn)?;
    if chosen.machine.machine_type != MachineType::Express {
        return Err(ApiError::new(
            "StateMachineTypeNotSupported",
            "This operation is not supported by this type of state machine",
        ));
    }
    let trace = request.trace_header.as_deref().or(request.text("traceHeader"));
    let mut begin = api.begin(&chosen, name, request.text("input"), trace, &request.caller.principal)?;
    begin.decision.clone_from(&request.decision);
    begin.is_synchronous = true;
    let (Begun::Fresh(record) | Begun::Known(record)) = api.host.begin(begin).await?;
    let facts = &record.facts;
    let stopped = record.stopped.unwrap_or(facts.started);
    let with_data = request.text("includedData") != Some("METADATA_ONLY");
    let mut map = Map::new();
    put(&mut map, "executionArn", Some(&*facts.arn));
    put(&mut map, "stateMachineArn", Some(&*facts.machine_arn));
    put(&mut map, "name", Some(&*facts.name));
    put(&mut map, "startDate", Some(shapes::seconds(facts.started)));
    put(&mut map, "stopDate", Some(shapes::seconds(stopped)));
    put(&mut map, "status", Some(record.status.as_str()));
    put(&mut map, "error", record.error.as_deref());
    put(&mut map, "cause", record.cause.as_deref());
    if with_data {
        put(&mut map, "input", Some(&*record.input));
        put(&mut map, "output", record.output.as_deref());
    }
    map.insert("inputDetails".to_owned(), json!({ "included": with_data }));
    map.insert("outputDetails".to_owned(), json!({ "included": with_data }));
    put(&mut map, "traceHeader", facts.trace_header.as_deref());
    // Billed by hundreds of milliseconds, with the smallest memory.
    let millis = u64::try_from(stopped.0 - facts.started.0).unwrap_or(0);
    map.insert(
        "billingDetails".to_owned(),
        json!({
            "billedDurationInMilliseconds": millis.div_ceil(100).max(1) * 100,
            "billedMemoryUsedInMB": 64,
        }),
    );
    Ok(Value::Object(map))
}
