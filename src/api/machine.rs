//! Which machine, and which of its revisions, an ARN means.

use std::sync::Arc;

use crate::api::Api;
use crate::api::error::ApiError;
use crate::api::request::Request;
use crate::engine::machine::Revision;
use crate::engine::machine::StateMachine;
use crate::engine::registry::Registry;
use crate::model::arn::Arn;
use crate::model::arn::Resource;
use crate::model::timestamp::Timestamp;

/// Versions of one machine, at most.
const VERSIONS_MAX: usize = 1_000;

/// What an execution of an ARN runs.
pub struct Chosen {
    /// The machine.
    pub machine: Arc<StateMachine>,
    /// The revision.
    pub revision: Revision,
    /// The version that was asked for, or that the alias chose.
    pub version_arn: Option<Arc<str>>,
    /// The alias that was asked for.
    pub alias_arn: Option<Arc<str>>,
}

/// `StateMachineDoesNotExist`.
pub fn does_not_exist(arn: &str) -> ApiError {
    ApiError::new(
        "StateMachineDoesNotExist",
        format!("State Machine Does Not Exist: '{arn}'"),
    )
}

/// `ValidationException` of a labelled ARN where only a whole machine fits.
pub fn no_labels() -> ApiError {
    ApiError::validation("Labeled Execution ARNs are not supported for this API")
        .with("reason", "API_DOES_NOT_SUPPORT_LABELED_ARNS")
}

/// `StateMachineDeleting`.
pub fn deleting(arn: &str) -> ApiError {
    ApiError::new(
        "StateMachineDeleting",
        format!("State Machine is being deleted: '{arn}'"),
    )
}

/// Reads the ARN of a machine, a version or an alias.
///
/// # Errors
/// `InvalidArn`; `ValidationException` for a labelled ARN.
pub fn parse(arn: &str) -> Result<Arn, ApiError> {
    let parsed = Arn::parse(arn)?;
    match &parsed.resource {
        Resource::StateMachine { name } | Resource::Qualified { name, .. } if name.contains('/') => Err(no_labels()),
        Resource::StateMachine { .. } | Resource::Qualified { .. } => Ok(parsed),
        _ => Err(parsed.unfit().into()),
    }
}

/// Reads the ARN of a machine; one with a qualifier names none.
///
/// # Errors
/// `InvalidArn`, `StateMachineDoesNotExist`; `ValidationException` for a labelled ARN.
pub fn parse_unqualified(arn: &str) -> Result<Arn, ApiError> {
    let parsed = parse(arn)?;
    match &parsed.resource {
        Resource::Qualified { .. } => Err(does_not_exist(arn)),
        _ => Ok(parsed),
    }
}

/// Reads a version's ARN: the machine's and the number.
///
/// # Errors
/// `InvalidArn`; `ValidationException` for a labelled ARN.
pub fn parse_version(arn: &str) -> Result<(String, u64), ApiError> {
    let parsed = parse(arn)?;
    let number = match &parsed.resource {
        Resource::Qualified { qualifier, .. } => qualifier.parse().ok(),
        _ => None,
    };
    match (parsed.machine_arn(), number) {
        (Some(machine_arn), Some(number)) => Ok((machine_arn, number)),
        _ => Err(parsed.unfit().into()),
    }
}

/// Finds a machine that is not being deleted.
///
/// # Errors
/// `InvalidArn`, `StateMachineDoesNotExist`, `StateMachineDeleting`.
pub fn active(registry: &Registry, arn: &str) -> Result<Arc<StateMachine>, ApiError> {
    let parsed = parse_unqualified(arn)?;
    match registry.machine(&parsed.text) {
        Some(machine) if machine.is_deleting => Err(deleting(arn)),
        Some(machine) => Ok(machine),
        None => Err(does_not_exist(arn)),
    }
}

/// Tells whether a request publishes a version.
///
/// # Errors
/// `ValidationException`: a description of a version that is not published.
pub fn publishes(request: &Request) -> Result<bool, ApiError> {
    let publishes = request.flag("publish");
    if request.text("versionDescription").is_some() && !publishes {
        return Err(ApiError::validation(
            "Version description can only be set when publish is true",
        ));
    }
    Ok(publishes)
}

/// Publishes a machine's revision.
///
/// # Errors
/// `ServiceQuotaExceededException`.
pub fn publish(machine: &mut StateMachine, description: Option<&str>, now: Timestamp) -> Result<u64, ApiError> {
    if VERSIONS_MAX <= machine.versions.len() && machine.current_version().is_none() {
        return Err(ApiError::new(
            "ServiceQuotaExceededException",
            format!("The state machine has {VERSIONS_MAX} versions, as many as it may have"),
        ));
    }
    Ok(machine.publish(description, now))
}

impl Api {
    /// Finds what an ARN, qualified or not, means for a new execution. An alias draws by its weights.
    ///
    /// # Errors
    /// `InvalidArn`, `StateMachineDoesNotExist`, `StateMachineDeleting`.
    pub fn choose(&self, arn: &str) -> Result<Chosen, ApiError> {
        let parsed = parse(arn)?;
        let qualifier = match &parsed.resource {
            Resource::Qualified { qualifier, .. } => Some(qualifier),
            _ => None,
        };
        let machine_arn = parsed.machine_arn().unwrap_or_default();
        let machine = self
            .host
            .registry
            .machine(&machine_arn)
            .ok_or_else(|| does_not_exist(arn))?;
        if machine.is_deleting {
            return Err(deleting(arn));
        }
        let Some(qualifier) = qualifier else {
            let revision = machine.revision.clone();
            return Ok(Chosen {
                machine,
                revision,
                version_arn: None,
                alias_arn: None,
            });
        };
        let (number, alias_arn) = match qualifier.parse::<u64>() {
            Ok(number) => (number, None),
            Err(_) => {
                let alias = machine.aliases.get(&**qualifier).ok_or_else(|| does_not_exist(arn))?;
                let mut draw = self.host.draw() % 100;
                let route = alias.routes.iter().find(|route| {
                    let hit = draw < u64::from(route.weight);
                    draw = draw.saturating_sub(u64::from(route.weight));
                    hit
                });
                let version_arn = route.map(|route| &*route.version_arn).unwrap_or_default();
                let number = version_arn.rsplit(':').next().and_then(|number| number.parse().ok());
                (number.unwrap_or(0), Some(Arc::from(arn)))
            }
        };
        let version = machine.version(number).ok_or_else(|| does_not_exist(arn))?;
        let revision = version.revision.clone();
        let version_arn = Some(Arc::from(machine.version_arn(number)));
        Ok(Chosen {
            machine,
            revision,
            version_arn,
            alias_arn,
        })
    }
}
