//! `DescribeStateMachineForExecution`.

use serde_json::Map;
use serde_json::Value;

use crate::api::Api;
use crate::api::action::Action;
use crate::api::action::describe_state_machine::put_revision;
use crate::api::configuration;
use crate::api::error::Answer;
use crate::api::member::Member;
use crate::api::request::Request;
use crate::api::shapes;
use crate::api::shapes::put;
use crate::engine::machine::Revision;
use crate::engine::machine::StateMachine;
use crate::identity::permission::Permission;
use crate::model::execution_record::ExecutionFacts;
use crate::model::execution_record::MachineType;
use crate::model::id::BlockId;

pub(super) const ACTION: Action = Action {
    name: "DescribeStateMachineForExecution",
    permission: Permission::Read,
    input: &[Member::required("executionArn", shapes::ARN), shapes::INCLUDED_DATA],
    call: |api, request| Box::pin(call(api, request)),
};

async fn call(api: &Api, request: Request) -> Answer {
    let record = api.execution(request.required("executionArn"))?;
    let facts = &record.facts;
    let name = facts.machine_arn.rsplit(':').next().unwrap_or_default();
    let mut map = Map::new();
    put(&mut map, "stateMachineArn", Some(&*facts.machine_arn));
    put(&mut map, "name", Some(name));
    put(&mut map, "updateDate", Some(shapes::seconds(facts.revision_date)));
    let block = facts.child_of.as_ref().map(|child| BlockId(child.block));
    if let Some(child) = &facts.child_of {
        put(&mut map, "mapRunArn", Some(&*child.map_run_arn));
        put(&mut map, "label", name.split_once('/').map(|(_, label)| label));
    }
    let with_data = request.text("includedData") != Some("METADATA_ONLY");
    let machine_arn = facts.machine_arn.split('/').next().unwrap_or_default();
    let machine = api.host.registry.machine(machine_arn);
    let revision = revision(facts, machine.as_deref());
    // What holds a Distributed Map is STANDARD, whatever the children are.
    let machine_type = match facts.child_of {
        Some(_) => MachineType::Standard,
        None => facts.machine_type,
    };
    put_revision(api, &mut map, &revision, machine_type, block, with_data)?;
    Ok(Value::Object(map))
}

/// Returns what the machine said when the execution was started.
///
/// The execution itself knows what it runs and as whom. The rest is the machine's, if it still has that revision.
fn revision(facts: &ExecutionFacts, machine: Option<&StateMachine>) -> Revision {
    let published = machine.into_iter().flat_map(|machine| &machine.versions);
    let current = machine.map(|machine| &machine.revision);
    let known = current
        .into_iter()
        .chain(published.map(|version| &version.revision))
        .find(|revision| revision.id == facts.revision_id && revision.updated == facts.revision_date)
        .or(current);
    Revision {
        id: facts.revision_id.clone(),
        updated: facts.revision_date,
        definition: facts.definition.clone(),
        role_arn: facts.role_arn.clone(),
        logging: known.map_or_else(configuration::no_logging, |known| known.logging.clone()),
        tracing: known.map_or_else(configuration::no_tracing, |known| known.tracing.clone()),
        encryption: known.and_then(|known| known.encryption.clone()),
        published_as: None,
    }
}
