//! `ListStateMachineAliases`.

use serde_json::json;

use crate::api::Api;
use crate::api::action::Action;
use crate::api::error::Answer;
use crate::api::machine;
use crate::api::member::Member;
use crate::api::request::Request;
use crate::api::shapes;
use crate::identity::permission::Permission;
use crate::model::arn::Resource;

const NAME: &str = "ListStateMachineAliases";

pub(super) const ACTION: Action = Action {
    name: NAME,
    permission: Permission::Read,
    input: &[
        Member::required("stateMachineArn", shapes::ARN),
        shapes::PAGE_TOKEN,
        shapes::PAGE_SIZE,
    ],
    call: |api, request| Box::pin(call(api, request)),
};

async fn call(api: &Api, request: Request) -> Answer {
    let arn = request.required("stateMachineArn");
    let parsed = machine::parse(arn)?;
    let found = api.host.registry.machine(&parsed.machine_arn().unwrap_or_default());
    let found = found.ok_or_else(|| machine::does_not_exist(arn))?;
    if found.is_deleting {
        return Err(machine::deleting(arn));
    }
    // A version's ARN asks for the aliases that lead to it.
    let version = matches!(parsed.resource, Resource::Qualified { .. }).then_some(&*parsed.text);
    let mut rows: Vec<_> = found
        .aliases
        .iter()
        .filter(|(_, alias)| {
            version.is_none_or(|version| alias.routes.iter().any(|route| &*route.version_arn == version))
        })
        .map(|(name, alias)| ((alias.created, name.clone()), name))
        .collect();
    // Oldest first (recorded).
    rows.sort();
    api.list(NAME, &request, "stateMachineAliases", rows.into_iter(), |name| {
        let created = found.aliases.get(*name).map(|alias| shapes::seconds(alias.created));
        json!({ "stateMachineAliasArn": found.alias_arn(name), "creationDate": created })
    })
}
