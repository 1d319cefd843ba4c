//! `SendTaskSuccess`.

use serde_json::json;

use crate::api::Api;
use crate::api::action::Action;
use crate::api::error::Answer;
use crate::api::error::ApiError;
use crate::api::execution;
use crate::api::member::Member;
use crate::api::request::Request;
use crate::api::shapes;
use crate::engine::start::Word;
use crate::identity::permission::Permission;

pub(super) const ACTION: Action = Action {
    name: "SendTaskSuccess",
    permission: Permission::Approve,
    input: &[shapes::TASK_TOKEN, Member::required("output", shapes::DATA)],
    call: |api, request| Box::pin(call(api, request)),
};

async fn call(api: &Api, request: Request) -> Answer {
    let output = execution::read_json(request.required("output"))
        .map_err(|sentence| ApiError::new("InvalidOutput", format!("Invalid Output: '{sentence}'")))?;
    api.answer(request.required("taskToken"), Word::Success(output)).await?;
    Ok(json!({}))
}
