//! `ListMapRuns`.

use std::cmp::Reverse;

use serde_json::Map;
use serde_json::Value;

use crate::api::Api;
use crate::api::action::Action;
use crate::api::error::Answer;
use crate::api::member::Member;
use crate::api::request::Request;
use crate::api::shapes;
use crate::api::shapes::put;
use crate::identity::permission::Permission;
use crate::model::map_run_record::MapRunRecord;

const NAME: &str = "ListMapRuns";

pub(super) const ACTION: Action = Action {
    name: NAME,
    permission: Permission::Read,
    input: &[
        Member::required("executionArn", shapes::ARN),
        shapes::PAGE_SIZE,
        shapes::PAGE_TOKEN,
    ],
    call: |api, request| Box::pin(call(api, request)),
};

async fn call(api: &Api, request: Request) -> Answer {
    let execution = api.execution(request.required("executionArn"))?;
    let runs = api.host.map_runs_of(&execution.facts.arn)?;
    let rows = runs.iter().rev().map(|run| (Reverse(run.record.map_run), &run.record));
    api.list(NAME, &request, "mapRuns", rows, |record| item(record))
}

fn item(record: &MapRunRecord) -> Value {
    let mut map = Map::new();
    put(&mut map, "executionArn", Some(&*record.execution_arn));
    put(&mut map, "mapRunArn", Some(&*record.arn));
    put(&mut map, "stateMachineArn", Some(&*record.state_machine_arn));
    put(&mut map, "startDate", Some(shapes::seconds(record.started)));
    put(&mut map, "stopDate", record.stopped.map(shapes::seconds));
    Value::Object(map)
}
