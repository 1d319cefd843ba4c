//! `DescribeStateMachine`.

use serde_json::Map;
use serde_json::Value;

use crate::api::Api;
use crate::api::action::Action;
use crate::api::error::Answer;
use crate::api::error::ApiError;
use crate::api::machine;
use crate::api::member::Member;
use crate::api::request::Request;
use crate::api::shapes;
use crate::api::shapes::put;
use crate::engine::machine::Revision;
use crate::model::arn::Arn;
use crate::model::arn::Resource;

pub(super) const ACTION: Action = Action {
    name: "DescribeStateMachine",
    input: &[Member::required("stateMachineArn", shapes::ARN), shapes::INCLUDED_DATA],
    call: |api, request| Box::pin(call(api, request)),
};

async fn call(api: &Api, request: Request) -> Answer {
    let arn = request.required("stateMachineArn");
    let parsed = Arn::parse(arn)?;
    let machine_arn = match &parsed.resource {
        Resource::StateMachine { name } if name.contains('/') => return Err(machine::no_labels()),
        Resource::StateMachine { .. } | Resource::Qualified { .. } => parsed.machine_arn().unwrap_or_default(),
        _ => return Err(parsed.unfit().into()),
    };
    let found = api.host.registry.machine(&machine_arn);
    let found = found.ok_or_else(|| machine::does_not_exist(arn))?;
    let (revision, created, description) = match &parsed.resource {
        Resource::Qualified { qualifier, .. } => {
            let version = qualifier.parse().ok().and_then(|number| found.version(number));
            let version = version.ok_or_else(|| machine::does_not_exist(arn))?;
            (&version.revision, version.created, version.description.as_deref())
        }
        _ => (&found.revision, found.created, None),
    };
    let mut map = Map::new();
    put(&mut map, "stateMachineArn", Some(arn));
    put(&mut map, "name", Some(&*found.name));
    put(
        &mut map,
        "status",
        Some(if found.is_deleting { "DELETING" } else { "ACTIVE" }),
    );
    put(&mut map, "type", Some(found.machine_type.as_str()));
    put(&mut map, "creationDate", Some(shapes::seconds(created)));
    put(&mut map, "description", description);
    let with_data = request.text("includedData") != Some("METADATA_ONLY");
    put_revision(api, &mut map, revision, with_data)?;
    Ok(Value::Object(map))
}

/// Adds what a revision says.
///
/// # Errors
/// The store cannot be read.
pub(super) fn put_revision(
    api: &Api,
    map: &mut Map<String, Value>,
    revision: &Revision,
    with_data: bool,
) -> Result<(), ApiError> {
    let text = match with_data {
        true => api
            .host
            .store()
            .definition(&revision.definition)?
            .ok_or_else(|| ApiError::internal("a definition is missing"))?,
        false => "{}".into(),
    };
    put(map, "definition", Some(&*text));
    put(map, "roleArn", Some(&*revision.role_arn));
    map.insert("loggingConfiguration".to_owned(), revision.logging.clone());
    map.insert("tracingConfiguration".to_owned(), revision.tracing.clone());
    put(map, "encryptionConfiguration", revision.encryption.clone());
    put(map, "revisionId", revision.id.as_deref());
    Ok(())
}
