//! `DeleteStateMachineAlias`.

use std::sync::Arc;

use serde_json::json;

use crate::api::Api;
use crate::api::action::Action;
use crate::api::alias;
use crate::api::error::Answer;
use crate::api::error::ApiError;
use crate::api::member::Member;
use crate::api::request::Request;
use crate::api::shapes;
use crate::engine::registry::Edit;
use crate::identity::permission::Permission;

pub(super) const ACTION: Action = Action {
    name: "DeleteStateMachineAlias",
    permission: Permission::Deploy,
    input: &[Member::required("stateMachineAliasArn", shapes::ARN)],
    call: |api, request| Box::pin(call(api, request)),
};

async fn call(api: &Api, request: Request) -> Answer {
    let (machine_arn, name) = alias::parse(request.required("stateMachineAliasArn"))?;
    api.host
        .edit::<_, ApiError>(|registry| {
            let known = registry.machine(&machine_arn);
            // One that is not there is as good as deleted (recorded).
            let edits = known.and_then(|known| {
                let mut machine = (*known).clone();
                machine.aliases.remove(&*name)?;
                Some(Edit::PutMachine(Arc::new(machine)))
            });
            Ok(((), edits.into_iter().collect(), Vec::new()))
        })
        .await?;
    Ok(json!({}))
}
