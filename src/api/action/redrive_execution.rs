//! `RedriveExecution`.

use std::sync::Arc;

use serde_json::json;

use crate::api::Api;
use crate::api::action::Action;
use crate::api::error::Answer;
use crate::api::error::ApiError;
use crate::api::member::Member;
use crate::api::member::Shape;
use crate::api::request::Request;
use crate::api::shapes;
use crate::engine::redrive::RedriveError;
use crate::identity::permission::Permission;
use crate::model::arn::Arn;
use crate::model::arn::Resource;

pub(super) const ACTION: Action = Action {
    name: "RedriveExecution",
    permission: Permission::Start,
    input: &[
        Member::required("executionArn", shapes::ARN),
        Member::optional("clientToken", CLIENT_TOKEN),
    ],
    call: |api, request| Box::pin(call(api, request)),
};

const CLIENT_TOKEN: Shape = Shape::Word {
    min: 1,
    max: 64,
    pattern: "[!-~]+",
    fits: |token| token.bytes().all(|byte| byte.is_ascii_graphic()),
};

async fn call(api: &Api, request: Request) -> Answer {
    let arn = request.required("executionArn");
    let parsed = Arn::parse(arn)?;
    match &parsed.resource {
        Resource::Execution { machine, .. } if machine.contains('/') => {
            return Err(ApiError::validation(
                "Labeled Execution ARNs are not supported for this API",
            ));
        }
        Resource::Execution { .. } => {}
        _ => return Err(parsed.unfit().into()),
    }
    let record = api.execution(arn)?;
    let redriven = api.host.redrive(&record, request.text("clientToken").map(Arc::from));
    match redriven.await {
        Ok(at) => Ok(json!({ "redriveDate": shapes::seconds(at) })),
        Err(RedriveError::NotRedrivable(reason)) => Err(ApiError::new("ExecutionNotRedrivable", reason)),
        Err(RedriveError::Store(error)) => Err(error.into()),
    }
}
