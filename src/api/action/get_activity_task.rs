//! `GetActivityTask`.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::api::Api;
use crate::api::action::Action;
use crate::api::error::Answer;
use crate::api::error::ApiError;
use crate::api::member::Member;
use crate::api::request::Request;
use crate::api::shapes;
use crate::identity::permission::Permission;

/// How long a worker is kept waiting.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) const ACTION: Action = Action {
    name: "GetActivityTask",
    permission: Permission::Approve,
    input: &[
        Member::required("activityArn", shapes::ARN),
        Member::optional("workerName", shapes::NAME),
    ],
    call: |api, request| Box::pin(call(api, request)),
};

async fn call(api: &Api, request: Request) -> Answer {
    let activity = api.activity(request.required("activityArn"))?;
    let worker = request.text("workerName").map(Arc::from);
    let assignment = api.host.take_activity_task(&activity.arn, worker, PATIENCE).await;
    match assignment {
        Ok(Some(assignment)) => Ok(json!({
            "taskToken": &*assignment.token,
            "input": assignment.input.text(),
        })),
        Ok(None) => Ok(json!({ "taskToken": null })),
        Err(_) => Err(ApiError::new(
            "ActivityWorkerLimitExceeded",
            "The maximum number of workers concurrently polling for activity tasks has been reached.",
        )),
    }
}
