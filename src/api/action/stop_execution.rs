//! `StopExecution`.

use serde_json::json;

use crate::api::Api;
use crate::api::action::Action;
use crate::api::error::Answer;
use crate::api::execution;
use crate::api::member::Member;
use crate::api::request::Request;
use crate::api::shapes;
use crate::identity::permission::Permission;

pub(super) const ACTION: Action = Action {
    name: "StopExecution",
    permission: Permission::Stop,
    input: &[
        Member::required("executionArn", shapes::ARN),
        shapes::ERROR,
        shapes::CAUSE,
    ],
    call: |api, request| Box::pin(call(api, request)),
};

async fn call(api: &Api, request: Request) -> Answer {
    let arn = request.required("executionArn");
    let record = api.standard_execution(arn)?;
    let record = api
        .host
        .stop(record.id, request.error())
        .await?
        .ok_or_else(|| execution::does_not_exist(arn))?;
    let stopped = record.stopped.unwrap_or_else(|| api.host.now());
    Ok(json!({ "stopDate": shapes::seconds(stopped) }))
}
