//! `PublishStateMachineVersion`.

use std::sync::Arc;

use serde_json::json;

use crate::api::Api;
use crate::api::action::Action;
use crate::api::error::Answer;
use crate::api::error::ApiError;
use crate::api::machine;
use crate::api::member::Member;
use crate::api::member::Shape;
use crate::api::request::Request;
use crate::api::shapes;
use crate::engine::registry::Edit;
use crate::identity::permission::Permission;

pub(super) const ACTION: Action = Action {
    name: "PublishStateMachineVersion",
    permission: Permission::Deploy,
    input: &[
        Member::required("stateMachineArn", shapes::ARN),
        Member::optional(
            "revisionId",
            Shape::Text {
                min: 0,
                max: usize::MAX,
            },
        ),
        Member::optional("description", shapes::DESCRIPTION),
    ],
    call: |api, request| Box::pin(call(api, request)),
};

/// The revision of a machine that was never updated, as `revisionId` names it.
const INITIAL: &str = "INITIAL";

async fn call(api: &Api, request: Request) -> Answer {
    let arn = request.required("stateMachineArn");
    let (machine, number) = api
        .host
        .edit(|registry| {
            let mut machine = (*machine::active(registry, arn)?).clone();
            let current = machine.revision.id.as_deref().unwrap_or(INITIAL);
            if let Some(wanted) = request.text("revisionId")
                && wanted != current
            {
                return Err(ApiError::new(
                    "ConflictException",
                    format!(
                        "Failed to publish the State Machine version for revision {wanted}. The current State Machine revision is {current}."
                    ),
                ));
            }
            let is_new = machine.current_version().is_none();
            let number = machine::publish(&mut machine, request.text("description"), api.host.now())?;
            let machine = Arc::new(machine);
            let edits = is_new.then(|| Edit::PutMachine(Arc::clone(&machine)));
            Ok(((machine, number), edits.into_iter().collect(), Vec::new()))
        })
        .await?;
    let created = machine
        .version(number)
        .map_or(machine.created, |version| version.created);
    Ok(json!({
        "stateMachineVersionArn": machine.version_arn(number),
        "creationDate": shapes::seconds(created),
    }))
}
