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
use crate::api::member::Member;
use crate::api::member::Shape;
use crate::api::request::Request;
use crate::api::shapes;
use crate::api::shapes::put;
use crate::engine::machine::Revision;
use crate::engine::machine::StateMachine;
use crate::engine::machine::Version;
use crate::engine::registry::Edit;
use crate::model::execution_record::MachineType;

pub(super) const ACTION: Action = Action {
    name: "CreateStateMachine",
    input: &[
        Member::required("name", shapes::NAME),
        Member::required("definition", shapes::DEFINITION),
        Member::required("roleArn", shapes::ARN),
        Member::optional("type", Shape::OneOf(&["STANDARD", "EXPRESS"])),
        configuration::LOGGING,
        configuration::TAGS,
        configuration::TRACING,
        Member::optional("publish", Shape::Bool),
        Member::optional("versionDescription", Shape::Text { min: 0, max: 256 }),
        configuration::ENCRYPTION,
    ],
    call: |api, request| Box::pin(call(api, request)),
};

async fn call(api: &Api, request: Request) -> Answer {
    let name = request.required("name");
    if !crate::model::arn::is_name(name) {
        return Err(ApiError::new("InvalidName", format!("Invalid Name: '{name}'")));
    }
    let machine_type = match request.text("type") {
        Some("EXPRESS") => MachineType::Express,
        _ => MachineType::Standard,
    };
    let publish = request.flag("publish");
    let description = request.text("versionDescription");
    if description.is_some() && !publish {
        return Err(ApiError::validation(
            "Version description can only be set when publish is true",
        ));
    }
    let compiled = configuration::compile(api, request.required("definition"), machine_type)?;
    let now = api.host.now();
    let revision = Revision {
        id: None,
        updated: now,
        definition: compiled.hash.clone(),
        role_arn: request.required("roleArn").into(),
        logging: configuration::logging(&request)?,
        tracing: configuration::tracing(&request),
        encryption: request.get("encryptionConfiguration").cloned(),
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
        machine.last_version = 1;
        machine.versions.push(Version {
            number: 1,
            revision: machine.revision.clone(),
            description: description.map(ToOwned::to_owned),
            created: now,
        });
    }
    let machine = api
        .host
        .edit(|registry| match registry.machine(&arn) {
            None => {
                let machine = Arc::new(machine);
                let definition = configuration::put(&compiled);
                Ok((Arc::clone(&machine), vec![Edit::PutMachine(machine)], vec![definition]))
            }
            Some(known) if known.is_deleting => Err(ApiError::new(
                "StateMachineDeleting",
                format!("State Machine is being deleted: '{arn}'"),
            )),
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
    put(
        &mut answer,
        "stateMachineVersionArn",
        publish.then(|| machine.version_arn(1)),
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
