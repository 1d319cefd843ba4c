//! `CreateStateMachineAlias`.

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
use crate::engine::machine::Alias;
use crate::engine::registry::Edit;
use crate::identity::permission::Permission;

pub(super) const ACTION: Action = Action {
    name: "CreateStateMachineAlias",
    permission: Permission::Deploy,
    input: &[
        Member::optional("description", shapes::DESCRIPTION),
        Member::required("name", alias::NAME),
        Member::required("routingConfiguration", alias::ROUTES),
    ],
    call: |api, request| Box::pin(call(api, request)),
};

async fn call(api: &Api, request: Request) -> Answer {
    let name = request.required("name");
    let routes = alias::routes(&request)?.unwrap_or_default();
    let now = api.host.now();
    let alias = Alias {
        description: request.text("description").map(ToOwned::to_owned),
        routes,
        created: now,
        updated: now,
    };
    let (arn, created) = api
        .host
        .edit(|registry| {
            let mut machine = (*alias::machine_of(registry, &alias.routes)?).clone();
            let arn = machine.alias_arn(name);
            match machine.aliases.get(name) {
                // The same creation again changes nothing.
                Some(known) if known.description == alias.description && known.routes == alias.routes => {
                    Ok(((arn, known.created), Vec::new(), Vec::new()))
                }
                Some(_) => Err(ApiError::new(
                    "ConflictException",
                    "Failed to create alias because an alias with the same name and a different routing configuration already exists.",
                )),
                None if alias::ALIASES_MAX <= machine.aliases.len() => Err(ApiError::new(
                    "ServiceQuotaExceededException",
                    format!("The state machine has {} aliases, as many as it may have", alias::ALIASES_MAX),
                )),
                None => {
                    machine.aliases.insert(name.to_owned(), alias);
                    Ok(((arn, now), vec![Edit::PutMachine(Arc::new(machine))], Vec::new()))
                }
            }
        })
        .await?;
    Ok(json!({ "stateMachineAliasArn": arn, "creationDate": shapes::seconds(created) }))
}
