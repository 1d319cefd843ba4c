//! `DeleteStateMachineVersion`.

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
use crate::engine::registry::Edit;
use crate::identity::permission::Permission;

pub(super) const ACTION: Action = Action {
    name: "DeleteStateMachineVersion",
    permission: Permission::Deploy,
    input: &[Member::required("stateMachineVersionArn", shapes::LONG_ARN)],
    call: |api, request| Box::pin(call(api, request)),
};

async fn call(api: &Api, request: Request) -> Answer {
    let (machine_arn, number) = machine::parse_version(request.required("stateMachineVersionArn"))?;
    api.host
        .edit(|registry| {
            let known = registry.machine(&machine_arn);
            let Some(known) = known.filter(|known| known.version(number).is_some()) else {
                return Ok(((), Vec::new(), Vec::new()));
            };
            let aliases = known.aliases_of(number);
            if !aliases.is_empty() {
                return Err(ApiError::new(
                    "ConflictException",
                    format!(
                        "Version to be deleted must not be referenced by an alias. Current list of aliases referencing this version: [{}]",
                        aliases.join(", ")
                    ),
                ));
            }
            let mut machine = (*known).clone();
            machine.versions.retain(|version| version.number != number);
            Ok(((), vec![Edit::PutMachine(Arc::new(machine))], Vec::new()))
        })
        .await?;
    Ok(json!({}))
}
