//! Tags of whatever has them: machines and activities.

use std::sync::Arc;

use crate::api::Api;
use crate::api::configuration::Tags;
use crate::api::error::ApiError;
use crate::engine::machine::Activity;
use crate::engine::machine::StateMachine;
use crate::engine::registry::Edit;
use crate::engine::registry::Registry;
use crate::model::arn::Arn;

/// What has tags.
enum Tagged {
    Activity(Arc<Activity>),
    Machine(Arc<StateMachine>),
}

/// Versions, aliases and executions have no tags of their own (recorded).
fn find(registry: &Registry, arn: &str) -> Result<Tagged, ApiError> {
    Arn::parse(arn)?;
    let machine = registry.machine(arn).map(Tagged::Machine);
    machine
        .or_else(|| registry.activity(arn).map(Tagged::Activity))
        .ok_or_else(|| {
            ApiError::new("ResourceNotFound", format!("Resource not found: '{arn}'")).with("resourceName", arn)
        })
}

impl Api {
    /// Returns the tags of a resource.
    ///
    /// # Errors
    /// `InvalidArn`, `ResourceNotFound`.
    pub fn tags(&self, arn: &str) -> Result<Tags, ApiError> {
        Ok(match find(&self.host.registry, arn)? {
            Tagged::Activity(activity) => activity.tags.clone(),
            Tagged::Machine(machine) => machine.tags.clone(),
        })
    }

    /// Changes the tags of a resource.
    ///
    /// # Errors
    /// `InvalidArn`, `ResourceNotFound`, and what `change` refuses.
    pub async fn change_tags(
        &self,
        arn: &str,
        change: impl FnOnce(&mut Tags) -> Result<(), ApiError>,
    ) -> Result<(), ApiError> {
        self.host
            .edit(|registry| {
                let edit = match find(registry, arn)? {
                    Tagged::Activity(activity) => {
                        let mut activity = (*activity).clone();
                        change(&mut activity.tags)?;
                        Edit::PutActivity(Arc::new(activity))
                    }
                    Tagged::Machine(machine) => {
                        let mut machine = (*machine).clone();
                        change(&mut machine.tags)?;
                        Edit::PutMachine(Arc::new(machine))
                    }
                };
                Ok(((), vec![edit], Vec::new()))
            })
            .await
    }
}
