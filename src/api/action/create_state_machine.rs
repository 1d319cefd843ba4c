//! `CreateStateMachine`.

use std::collections::BTreeMap;
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
use crate::model::execution_record::MachineType;

pub(super) const ACTION: Action = Action {
    name: "CreateStateMachine",
    permission: Permission::Deploy,
    input: &[
        Member::required("name", shapes::NAME),
        Member::required("definition", shapes::DEFINITION),
        Member::required("roleArn", shapes::ARN),
        configuration::TYPE,
        configuration::LOGGING,
        configuration::TAGS,
        configuration::TRACING,
        Member::optional("publish", Shape::Bool),
        Member::optional("versionDescription", shapes::DESCRIPTION),
        configuration::ENCRYPTION,
    ],
    call: |api, request| Box::pin(call(api, request)),
};

async fn call(api: &Api, request: Request) -> Answer {
    let name = shapes::name(request.required("name"))?;
    let machine_type = match request.text("type") {
        Some("EXPRESS") => MachineType::Express,
        _ => MachineType::Standard,
    };
    let publish = machine::publishes(&request)?;
    let description = request.text("versionDescription");
    let role_arn = configuration::role(request.required("roleArn"))?;
    let compiled = configuration::compile(api, request.required("definition"), machine_type)?;
    let now = api.host.now();
    let revision = Revision {
        id: None,
        updated: now,
        definition: compiled.hash.clone(),
        role_arn,
        logging: configuration::logging(&request)?,
        tracing: configuration::tracing(&request),
        encryption: configuration::encryption(&request)?,
        published_as: publish.then(|| description.unwrap_or_default().to_owned()),
    };
    let (region, account) = api.host.place();
    let arn: Arc<str> = format!("arn:aws:states:{region}:{account}:stateMachine:{name}").into();
    let mut machine = StateMachine {
        arn: arn.clone(),
        name: name.into(),
        machine_type,
        created: now,
        revision,
        versions: Vec::new(),
        last_version: 0,
        aliases: BTreeMap::new(),
        tags: configuration::tags(&request)?,
        is_deleting: false,
    };
    if publish {
        machine.publish(description, now);
    }
    let machine = api
        .host
        .edit(|registry| match registry.machine(&arn) {
            None => {
                let machine = Arc::new(machine);
                let definition = configuration::put(&compiled);
                Ok((Arc::clone(&machine), vec![Edit::PutMachine(machine)], vec![definition]))
            }
            Some(known) if known.is_deleting => Err(machine::deleting(&arn)),
            // The same creation again changes nothing; roles and tags are not compared.
            Some(known) if known.machine_type == machine_type && is_same(&known.revision, &machine.revision) => {
                Ok((known, Vec::new(), Vec::new()))
            }
            Some(_) => Err(ApiError::new(
                "StateMachineAlreadyExists",
                format!("State Machine Already Exists: '{arn}'"),
            )),
        })
        .await?;
    let mut answer = Map::new();
    put(&mut answer, "stateMachineArn", Some(&*machine.arn));
    put(&mut answer, "creationDate", Some(shapes::seconds(machine.created)));
    let version = machine.current_version().filter(|_| publish);
    put(
        &mut answer,
        "stateMachineVersionArn",
        version.map(|version| machine.version_arn(version.number)),
    );
    Ok(Value::Object(answer))
}

fn is_same(one: &Revision, other: &Revision) -> bool {
    one.definition == other.definition
        && one.logging == other.logging
        && one.tracing == other.tracing
        && one.encryption == other.encryption
        && one.published_as == other.published_as
}
