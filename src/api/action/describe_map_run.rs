//! `DescribeMapRun`.

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::api::Api;
use crate::api::action::Action;
use crate::api::error::Answer;
use crate::api::member::Member;
use crate::api::request::Request;
use crate::api::shapes;
use crate::api::shapes::put;
use crate::identity::permission::Permission;
use crate::model::map_run_record::Counts;

/// What AWS shows for "no limit" (recorded).
const UNLIMITED: u64 = 2_147_483_647;

pub(super) const ACTION: Action = Action {
    name: "DescribeMapRun",
    permission: Permission::Read,
    input: &[Member::required("mapRunArn", shapes::LONG_ARN)],
    call: |api, request| Box::pin(call(api, request)),
};

async fn call(api: &Api, request: Request) -> Answer {
    let record = api.map_run(request.required("mapRunArn"))?.record;
    let max_concurrency = match record.max_concurrency {
        0 => UNLIMITED,
        limit => limit,
    };
    let mut map = Map::new();
    put(&mut map, "mapRunArn", Some(&*record.arn));
    put(&mut map, "executionArn", Some(&*record.execution_arn));
    put(&mut map, "status", Some(record.status.as_str()));
    put(&mut map, "startDate", Some(shapes::seconds(record.started)));
    put(&mut map, "stopDate", record.stopped.map(shapes::seconds));
    put(&mut map, "maxConcurrency", Some(max_concurrency));
    put(
        &mut map,
        "toleratedFailurePercentage",
        Some(record.tolerated_failure_percentage),
    );
    put(&mut map, "toleratedFailureCount", Some(record.tolerated_failure_count));
    put(&mut map, "itemCounts", Some(counts(&record.items)));
    put(&mut map, "executionCounts", Some(counts(&record.executions)));
    put(&mut map, "redriveCount", Some(record.redrive_count));
    put(&mut map, "redriveDate", record.redriven.map(shapes::seconds));
    Ok(Value::Object(map))
}

/// All ten members, always (recorded).
fn counts(counts: &Counts) -> Value {
    json!({
        "pending": counts.pending,
        "running": counts.running,
        "succeeded": counts.succeeded,
        "failed": counts.failed,
        "timedOut": counts.timed_out,
        "aborted": counts.aborted,
        "total": counts.total(),
        "resultsWritten": counts.results_written,
        "failuresNotRedrivable": 0,
        "pendingRedrive": counts.pending_redrive,
    })
}
