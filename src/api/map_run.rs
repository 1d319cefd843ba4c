//! Map Runs by ARN.

use crate::api::Api;
use crate::api::error::ApiError;
use crate::engine::map_runs::StoredMapRun;
use crate::model::arn::Arn;
use crate::model::arn::Resource;

impl Api {
    /// Finds a Map Run.
    ///
    /// # Errors
    /// `InvalidArn`, `ResourceNotFound`.
    pub fn map_run(&self, arn: &str) -> Result<StoredMapRun, ApiError> {
        let parsed = Arn::parse(arn)?;
        if !matches!(parsed.resource, Resource::MapRun { .. }) {
            return Err(parsed.unfit().into());
        }
        let not_found = || ApiError::new("ResourceNotFound", format!("Resource not found: '{arn}'"));
        self.host.map_run(arn)?.ok_or_else(not_found)
    }
}
