//! `UpdateStateMachine`.

use std::sync::Arc;

use serde_json::Map;
use serde_json::Value;

use crate::api::Api;
use crate::api::action::Action;
use crate::api::configuration;
use crate::api::error::Answer;
use crate::api::error::ApiError;
use crate::api::machine;
use crate::api::member::Member;
use crate::api::member::Shape;
use crate::api::request::Request;
use crate::api::shapes;
use crate::api::shapes::put;
use crate::engine::machine::Revision;
use crate::engine::machine::StateMachine;
use crate::engine::registry::Edit;
use crate::identity::permission::Permission;
use crate::store::change::Change;

pub(super) const ACTION: Action = Action {
    name: "UpdateStateMachine",
    permission: Permission::Deploy,
    input: &[
        Member::required("stateMachineArn", shapes::ARN),
        Member::optional("definition", shapes::DEFINITION),
        Member::optional("roleArn", shapes::ARN),
        configuration::LOGGING,
        configuration::TRACING,
        Member::optional("publish", Shape::Bool),
        Member::optional("versionDescription", shapes::DESCRIPTION),
        configuration::ENCRYPTION,
    ],
    call: |api, request| Box::pin(call(api, request)),
};

/// What an update may change.
const CHANGEABLE: &[&str] = &[
    "definition",
    "roleArn",
    "loggingConfiguration",
    "tracingConfiguration",
    "encryptionConfiguration",
];

async fn call(api: &Api, request: Request) -> Answer {
    let arn = request.required("stateMachineArn");
    machine::parse(arn)?;
    if CHANGEABLE.iter().all(|name| request.get(name).is_none()) {
        return Err(ApiError::new(
            "MissingRequiredParameter",
            "Either the definition, the role ARN, the LoggingConfiguration, or the TracingConfiguration must be specified",
        ));
    }
    let publishes = machine::publishes(&request)?;
    let (machine, version) = api
        .host
        .edit(|registry| {
            let mut machine = (*machine::active(registry, arn)?).clone();
            let (revision, changes) = revise(api, &request, &machine)?;
            let is_other = revision != machine.revision;
            if is_other {
                machine.revision = Revision {
                    id: Some(api.host.uuid().into()),
                    updated: api.host.now(),
                    ..revision
                };
            }
            let is_new = publishes && machine.current_version().is_none();
            let version = match publishes {
                true => Some(machine::publish(
                    &mut machine,
                    request.text("versionDescription"),
                    api.host.now(),
                )?),
                false => None,
            };
            let machine = Arc::new(machine);
            let edits = (is_other || is_new).then(|| Edit::PutMachine(Arc::clone(&machine)));
            Ok::<_, ApiError>(((machine, version), edits.into_iter().collect(), changes))
        })
        .await?;
    let mut answer = Map::new();
    let updated = machine.revision.updated;
    put(&mut answer, "updateDate", Some(shapes::seconds(updated)));
    put(&mut answer, "revisionId", machine.revision.id.as_deref());
    let version = version.map(|number| machine.version_arn(number));
    put(&mut answer, "stateMachineVersionArn", version);
    Ok(Value::Object(answer))
}

/// Returns what the machine says after the update, under its old id, and what that needs in the store.
fn revise(api: &Api, request: &Request, machine: &StateMachine) -> Result<(Revision, Vec<Change>), ApiError> {
    let mut revision = machine.revision.clone();
    let mut changes = Vec::new();
    if let Some(text) = request.text("definition") {
        let compiled = configuration::compile(api, text, machine.machine_type)?;
        if compiled.hash != revision.definition {
            changes.push(configuration::put(&compiled));
            revision.definition = compiled.hash;
        }
    }
    if let Some(role) = request.text("roleArn") {
        revision.role_arn = configuration::role(role)?;
    }
    if request.get("loggingConfiguration").is_some() {
        revision.logging = configuration::logging(request)?;
    }
    if request.get("tracingConfiguration").is_some() {
        revision.tracing = configuration::tracing(request);
    }
    if request.get("encryptionConfiguration").is_some() {
        revision.encryption = configuration::encryption(request)?;
    }
    Ok((revision, changes))
}
