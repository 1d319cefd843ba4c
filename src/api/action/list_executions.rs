//! `ListExecutions`.

use std::sync::Arc;

use serde_json::Map;
use serde_json::Value;

use crate::api::Api;
use crate::api::action::Action;
use crate::api::error::Answer;
use crate::api::error::ApiError;
use crate::api::machine;
use crate::api::member::Member;
use crate::api::member::Shape;
use crate::api::request::Request;
use crate::api::shapes;
use crate::api::shapes::put;
use crate::identity::permission::Permission;
use crate::model::arn::Arn;
use crate::model::arn::Resource;
use crate::model::execution_record::ExecutionId;
use crate::model::execution_record::ExecutionRecord;
use crate::model::execution_record::ExecutionStatus;
use crate::model::execution_record::MachineType;
use crate::model::timestamp::Timestamp;
use crate::store::change::ListOf;
use crate::store::change::ListQuery;

const NAME: &str = "ListExecutions";

pub(super) const ACTION: Action = Action {
    name: NAME,
    permission: Permission::Read,
    input: &[
        Member::optional("stateMachineArn", shapes::ARN),
        // In the order that AWS's message shows (recorded).
        Member::optional(
            "statusFilter",
            Shape::OneOf(&[
                "SUCCEEDED",
                "TIMED_OUT",
                "PENDING_REDRIVE",
                "ABORTED",
                "FAILED",
                "RUNNING",
            ]),
        ),
        shapes::PAGE_SIZE,
        Member::optional("nextToken", Shape::Text { min: 1, max: 3096 }),
        Member::optional("mapRunArn", shapes::LONG_ARN),
        Member::optional("redriveFilter", Shape::OneOf(&["REDRIVEN", "NOT_REDRIVEN"])),
    ],
    call: |api, request| Box::pin(call(api, request)),
};

async fn call(api: &Api, request: Request) -> Answer {
    let limit = request.page_size();
    let mut query = ListQuery {
        status: request.text("statusFilter").and_then(ExecutionStatus::parse),
        redriven: request.text("redriveFilter").map(|filter| filter == "REDRIVEN"),
        after: api.cursor::<(Timestamp, ExecutionId)>(NAME, &request)?,
        limit: limit + 1,
        ..of(api, &request)?
    };
    let mut records = api.host.store().list(&query)?;
    let mut answer = Map::new();
    if limit < records.len() {
        records.truncate(limit);
        query.after = records.last().map(|last| (last.facts.started, last.id));
        answer.insert(
            "nextToken".to_owned(),
            Value::from(api.page_token(NAME, &request, &query.after)),
        );
    }
    let items = records.iter().map(|record| item(record)).collect();
    answer.insert("executions".to_owned(), Value::Array(items));
    Ok(Value::Object(answer))
}

/// Whose executions are asked for.
fn of(api: &Api, request: &Request) -> Result<ListQuery, ApiError> {
    let mut query = ListQuery {
        of: ListOf::Machine(Arc::from("")),
        status: None,
        version_arn: None,
        alias_arn: None,
        redriven: None,
        after: None,
        limit: 0,
    };
    match (request.text("stateMachineArn"), request.text("mapRunArn")) {
        (Some(arn), None) => {
            let parsed = Arn::parse(arn)?;
            let machine_arn = match &parsed.resource {
                Resource::StateMachine { .. } => arn.to_owned(),
                Resource::Qualified { qualifier, .. } => {
                    match qualifier.parse::<u64>() {
                        Ok(_) => query.version_arn = Some(Arc::from(arn)),
                        Err(_) => query.alias_arn = Some(Arc::from(arn)),
                    }
                    parsed.machine_arn().unwrap_or_default()
                }
                _ => return Err(parsed.unfit().into()),
            };
            let found = api.host.registry.machine(&machine_arn);
            let found = found.ok_or_else(|| machine::does_not_exist(arn))?;
            if found.machine_type == MachineType::Express {
                return Err(ApiError::new(
                    "StateMachineTypeNotSupported",
                    "This operation is not supported by this type of state machine",
                ));
            }
            query.of = ListOf::Machine(machine_arn.into());
        }
        (None, Some(arn)) => {
            api.map_run(arn)?;
            query.of = ListOf::MapRun(Arc::from(arn));
        }
        _ => {
            return Err(ApiError::validation(
                "Exactly one of the state machine ARN and the Map Run ARN must be specified",
            )
            .with("reason", "MISSING_REQUIRED_PARAMETER"));
        }
    }
    Ok(query)
}

fn item(record: &ExecutionRecord) -> Value {
    let facts = &record.facts;
    let mut map = Map::new();
    put(&mut map, "executionArn", Some(&*facts.arn));
    put(&mut map, "stateMachineArn", Some(&*facts.machine_arn));
    put(&mut map, "name", Some(&*facts.name));
    put(&mut map, "status", Some(record.status.as_str()));
    put(&mut map, "startDate", Some(shapes::seconds(facts.started)));
    put(&mut map, "stopDate", record.stopped.map(shapes::seconds));
    if let Some(child) = &facts.child_of {
        put(&mut map, "mapRunArn", Some(&*child.map_run_arn));
        put(&mut map, "itemCount", Some(child.n_items));
    }
    put(&mut map, "stateMachineVersionArn", facts.version_arn.as_deref());
    put(&mut map, "stateMachineAliasArn", facts.alias_arn.as_deref());
    put(&mut map, "redriveCount", Some(record.redrive_count));
    put(&mut map, "redriveDate", record.redriven.map(shapes::seconds));
    Value::Object(map)
}
