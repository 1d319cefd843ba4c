//! `DescribeStateMachine`.

use serde_json::Map;
use serde_json::Value;

use crate::api::Api;
use crate::api::action::Action;
use crate::api::configuration;
use crate::api::error::Answer;
use crate::api::error::ApiError;
use crate::api::machine;
use crate::api::member::Member;
use crate::api::request::Request;
use crate::api::shapes;
use crate::api::shapes::put;
use crate::asl::definition::Definition;
use crate::engine::machine::Revision;
use crate::identity::permission::Permission;
use crate::model::arn::Resource;
use crate::model::execution_record::MachineType;
use crate::model::id::BlockId;
use crate::model::id::StateId;

pub(super) const ACTION: Action = Action {
    name: "DescribeStateMachine",
    permission: Permission::Read,
    input: &[Member::required("stateMachineArn", shapes::ARN), shapes::INCLUDED_DATA],
    call: |api, request| Box::pin(call(api, request)),
};

async fn call(api: &Api, request: Request) -> Answer {
    let arn = request.required("stateMachineArn");
    let parsed = machine::parse(arn)?;
    let found = api.host.registry.machine(&parsed.machine_arn().unwrap_or_default());
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
    put_revision(api, &mut map, revision, found.machine_type, None, with_data)?;
    Ok(Value::Object(map))
}

/// Adds what a revision says; with a block, what the executions of that block see.
///
/// # Errors
/// The store cannot be read.
pub(super) fn put_revision(
    api: &Api,
    map: &mut Map<String, Value>,
    revision: &Revision,
    machine_type: MachineType,
    block: Option<BlockId>,
    with_data: bool,
) -> Result<(), ApiError> {
    if with_data {
        // Distributed Maps are in STANDARD machines only, whatever their children are.
        let express = machine_type == MachineType::Express && block.is_none();
        let definition = api.host.definition(&revision.definition, express)?;
        let text = api
            .host
            .store()
            .definition(&revision.definition)?
            .ok_or_else(|| ApiError::internal("a definition is missing"))?;
        let part = block.and_then(|block| part(&definition, block, &text));
        put(map, "definition", Some(part.as_deref().unwrap_or(&text)));
        let references = variable_references(&definition, block.unwrap_or_default());
        put(
            map,
            "variableReferences",
            Some(references).filter(|map| !map.is_empty()),
        );
    } else {
        put(map, "definition", Some("{}"));
    }
    put(map, "roleArn", Some(&*revision.role_arn));
    map.insert("loggingConfiguration".to_owned(), revision.logging.clone());
    map.insert("tracingConfiguration".to_owned(), revision.tracing.clone());
    let encryption = configuration::shown_encryption(revision.encryption.as_ref());
    map.insert("encryptionConfiguration".to_owned(), encryption);
    put(map, "revisionId", revision.id.as_deref());
    Ok(())
}

/// Returns the text of a Map's block.
fn part(definition: &Definition, block: BlockId, text: &str) -> Option<String> {
    let map = definition.state(definition.block(block).parent?);
    let (start, end) = (map.span.start as usize, map.span.end as usize);
    let map: Value = serde_json::from_str(text.get(start..end)?).ok()?;
    let part = map.get("ItemProcessor").or_else(|| map.get("Iterator"))?;
    Some(part.to_string())
}

/// Returns the variables that the states inside a block read, by the states' names.
fn variable_references(definition: &Definition, block: BlockId) -> Map<String, Value> {
    let is_inside = |state: StateId| {
        let mut at = definition.state(state).block;
        while at != block {
            match definition.block(at).parent {
                Some(parent) => at = definition.state(parent).block,
                None => return false,
            }
        }
        true
    };
    definition
        .variable_reads
        .iter()
        .filter(|(state, _)| is_inside(**state))
        .map(|(state, names)| {
            let names = names.iter().map(|name| Value::from(name.as_str())).collect();
            (definition.state(*state).name.to_string(), Value::Array(names))
        })
        .collect()
}
