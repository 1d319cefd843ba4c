//! `DeleteStateMachine`.

use serde_json::json;

use crate::api::Api;
use crate::api::action::Action;
use crate::api::error::Answer;
use crate::api::machine;
use crate::api::member::Member;
use crate::api::request::Request;
use crate::api::shapes;
use crate::identity::permission::Permission;

pub(super) const ACTION: Action = Action {
    name: "DeleteStateMachine",
    permission: Permission::Deploy,
    input: &[Member::required("stateMachineArn", shapes::ARN)],
    call: |api, request| Box::pin(call(api, request)),
};

async fn call(api: &Api, request: Request) -> Answer {
    let arn = machine::parse_unqualified(request.required("stateMachineArn"))?;
    api.host.delete_machine(&arn.text).await?;
    Ok(json!({}))
}
