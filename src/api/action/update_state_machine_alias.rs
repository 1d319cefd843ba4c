//! `UpdateStateMachineAlias`.

use std::sync::Arc;

use serde_json::json;

use crate::api::Api;
use crate::api::action::Action;
use crate::api::alias;
use crate::api::error::Answer;
use crate::api::error::ApiError;
use crate::api::machine;
use crate::api::member::Member;
use crate::api::request::Request;
use crate::api::shapes;
use crate::engine::registry::Edit;
use crate::identity::permission::Permission;

pub(super) const ACTION: Action = Action {
    name: "UpdateStateMachineAlias",
    permission: Permission::Deploy,
    input: &[
        Member::required("stateMachineAliasArn", shapes::ARN),
        Member::optional("description", shapes::DESCRIPTION),
        Member::optional("routingConfiguration", alias::ROUTES),
    ],
    call: |api, request| Box::pin(call(api, request)),
};

async fn call(api: &Api, request: Request) -> Answer {
    let arn = request.required("stateMachineAliasArn");
    alias::parse(arn)?;
    let description = request.text("description");
    let routes = alias::routes(&request)?;
    if description.is_none() && routes.is_none() {
        return Err(
            ApiError::validation("Either the description or the routing configuration must be specified")
                .with("reason", "MISSING_REQUIRED_PARAMETER"),
        );
    }
    let now = api.host.now();
    api.host
        .edit(|registry| {
            let (machine, name, mut alias) = alias::find(registry, arn)?;
            if machine.is_deleting {
                return Err(machine::deleting(&machine.arn));
            }
            if let Some(description) = description {
                alias.description = Some(description.to_owned());
            }
            if let Some(routes) = routes {
                if alias::machine_of(registry, &routes)?.arn != machine.arn {
                    return Err(alias::not_found());
                }
                alias.routes = routes;
            }
            alias.updated = now;
            let mut machine = (*machine).clone();
            machine.aliases.insert(name.to_string(), alias);
            Ok(((), vec![Edit::PutMachine(Arc::new(machine))], Vec::new()))
        })
        .await?;
    Ok(json!({ "updateDate": shapes::seconds(now) }))
}
