//! `UpdateMapRun`.

use serde_json::Value;
use serde_json::json;

use crate::api::Api;
use crate::api::action::Action;
use crate::api::error::Answer;
use crate::api::error::ApiError;
use crate::api::member::Member;
use crate::api::member::Shape;
use crate::api::request::Request;
use crate::api::shapes;
use crate::engine::map_runs::UpdateError;
use crate::identity::permission::Permission;
use crate::model::map_run_record::MapRunStatus;

pub(super) const ACTION: Action = Action {
    name: "UpdateMapRun",
    permission: Permission::Start,
    input: &[
        Member::required("mapRunArn", shapes::LONG_ARN),
        Member::optional(
            "maxConcurrency",
            Shape::Int {
                min: 0,
                max: i32::MAX as i64,
            },
        ),
        Member::optional("toleratedFailurePercentage", Shape::Float { min: 0.0, max: 100.0 }),
        Member::optional("toleratedFailureCount", Shape::Int { min: 0, max: i64::MAX }),
    ],
    call: |api, request| Box::pin(call(api, request)),
};

async fn call(api: &Api, request: Request) -> Answer {
    let run = api.map_run(request.required("mapRunArn"))?;
    let number = |name: &str| request.int(name).and_then(|number| u64::try_from(number).ok());
    let percentage = request.get("toleratedFailurePercentage").and_then(Value::as_f64);
    if run.record.status != MapRunStatus::Running {
        return Err(completed(&run.record.arn));
    }
    let (concurrency, count) = (number("maxConcurrency"), number("toleratedFailureCount"));
    match api.host.update_map_run(&run, concurrency, count, percentage).await {
        Ok(()) => Ok(json!({})),
        Err(UpdateError::Ended) => Err(completed(&run.record.arn)),
        Err(UpdateError::Store(error)) => Err(error.into()),
    }
}

fn completed(arn: &str) -> ApiError {
    ApiError::validation(format!("Map Run is already completed: '{arn}'"))
        .with("reason", "CANNOT_UPDATE_COMPLETED_MAP_RUN")
}
