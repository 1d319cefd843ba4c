//! `DescribeExecution`.

use crate::api::Api;
use crate::api::action::Action;
use crate::api::error::Answer;
use crate::api::execution;
use crate::api::member::Member;
use crate::api::request::Request;
use crate::api::shapes;
use crate::identity::permission::Permission;

pub(super) const ACTION: Action = Action {
    name: "DescribeExecution",
    permission: Permission::Read,
    input: &[Member::required("executionArn", shapes::ARN), shapes::INCLUDED_DATA],
    call: |api, request| Box::pin(call(api, request)),
};

async fn call(api: &Api, request: Request) -> Answer {
    let record = api.execution(request.required("executionArn"))?;
    let with_data = request.text("includedData") != Some("METADATA_ONLY");
    Ok(execution::describe(&api.host, &record, with_data))
}
