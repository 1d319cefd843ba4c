//! `StartExecution`.

use std::sync::Arc;

use serde_json::json;

use crate::api::Api;
use crate::api::action::Action;
use crate::api::error::Answer;
use crate::api::error::ApiError;
use crate::api::machine;
use crate::api::member::Member;
use crate::api::request::Request;
use crate::api::shapes;
use crate::engine::start::Begun;
use crate::identity::permission::Permission;
use crate::model::execution_record::ExecutionStatus;

pub(super) const ACTION: Action = Action {
    name: "StartExecution",
    permission: Permission::Start,
    input: &[
        Member::required("stateMachineArn", shapes::ARN),
        Member::optional("name", shapes::NAME),
        Member::optional("input", shapes::DATA),
        shapes::TRACE_HEADER,
    ],
    call: |api, request| Box::pin(call(api, request)),
};

async fn call(api: &Api, request: Request) -> Answer {
    // Step Functions Local starts mocked executions by `ARN#TestCase`.
    let given = request.required("stateMachineArn");
    let (arn, mock_case) = match given.split_once('#') {
        Some((arn, case)) => (arn, Some(Arc::from(case))),
        None => (given, None),
    };
    machine::parse(arn)?;
    let name = request.text("name").map(shapes::name).transpose()?;
    let chosen = api.choose(arn)?;
    // The header wins over the member.
    let trace = request.trace_header.as_deref().or(request.text("traceHeader"));
    let mut begin = api.begin(&chosen, name, request.text("input"), trace, &request.caller.principal)?;
    begin.decision.clone_from(&request.decision);
    begin.facts.mock_case = mock_case;
    let input: Arc<str> = begin.input.text().into();
    let record = match api.host.begin(begin).await? {
        Begun::Fresh(record) => record,
        // The same name with the same input is the same start, as long as it runs.
        Begun::Known(record) if record.status == ExecutionStatus::Running && record.input == input => record,
        Begun::Known(record) => {
            let text = format!("Execution Already Exists: '{}'", record.facts.arn);
            return Err(ApiError::new("ExecutionAlreadyExists", text));
        }
    };
    Ok(json!({
        "executionArn": &*record.facts.arn,
        "startDate": shapes::seconds(record.facts.started),
    }))
}
