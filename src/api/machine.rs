//! Which machine, and which of its revisions, an ARN means.

use std::sync::Arc;

use crate::api::Api;
use crate::api::error::ApiError;
use crate::engine::machine::Revision;
use crate::engine::machine::StateMachine;
use crate::model::arn::Arn;
use crate::model::arn::Resource;

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

impl Api {
    /// Finds a machine by its ARN without qualifier.
    ///
    /// # Errors
    /// `InvalidArn`, `StateMachineDoesNotExist`.
    pub fn machine(&self, arn: &str) -> Result<Arc<StateMachine>, ApiError> {
        let parsed = Arn::parse(arn)?;
        match &parsed.resource {
            Resource::StateMachine { name } if name.contains('/') => Err(no_labels()),
            Resource::StateMachine { .. } => self.host.registry.machine(arn).ok_or_else(|| does_not_exist(arn)),
            Resource::Qualified { .. } => Err(does_not_exist(arn)),
            _ => Err(parsed.unfit().into()),
        }
    }

    /// Finds what an ARN, qualified or not, means for a new execution. An alias draws by its weights.
    ///
    /// # Errors
    /// `InvalidArn`, `StateMachineDoesNotExist`, `StateMachineDeleting`.
    pub fn choose(&self, arn: &str) -> Result<Chosen, ApiError> {
        let parsed = Arn::parse(arn)?;
        let (name, qualifier) = match &parsed.resource {
            Resource::StateMachine { name } => (name, None),
            Resource::Qualified { name, qualifier } => (name, Some(qualifier)),
            _ => return Err(parsed.unfit().into()),
        };
        if name.contains('/') {
            return Err(no_labels());
        }
        let machine_arn = parsed.machine_arn().unwrap_or_default();
        let machine = self
            .host
            .registry
            .machine(&machine_arn)
            .ok_or_else(|| does_not_exist(arn))?;
        if machine.is_deleting {
            return Err(ApiError::new(
                "StateMachineDeleting",
                format!("State Machine is being deleted: '{arn}'"),
            ));
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
