//! `SendTaskHeartbeat`.

use serde_json::json;

use crate::api::Api;
use crate::api::action::Action;
use crate::api::error::Answer;
use crate::api::request::Request;
use crate::api::shapes;
use crate::engine::start::Word;
use crate::identity::permission::Permission;

pub(super) const ACTION: Action = Action {
    name: "SendTaskHeartbeat",
    permission: Permission::Approve,
    input: &[shapes::TASK_TOKEN],
    call: |api, request| Box::pin(call(api, request)),
};

async fn call(api: &Api, request: Request) -> Answer {
    api.answer(request.required("taskToken"), Word::Heartbeat).await?;
    Ok(json!({}))
}
