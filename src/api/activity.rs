//! Activities by ARN, and what workers say.

use std::sync::Arc;

use crate::api::Api;
use crate::api::error::ApiError;
use crate::engine::machine::Activity;
use crate::engine::start::TokenError;
use crate::engine::start::Word;
use crate::model::arn::Arn;
use crate::model::arn::Resource;

/// Reads an activity's ARN.
///
/// # Errors
/// `InvalidArn`.
pub fn parse(arn: &str) -> Result<Arn, ApiError> {
    let parsed = Arn::parse(arn)?;
    match &parsed.resource {
        Resource::Activity { .. } => Ok(parsed),
        _ => Err(parsed.unfit().into()),
    }
}

impl Api {
    /// Finds an activity.
    ///
    /// # Errors
    /// `InvalidArn`, `ActivityDoesNotExist`.
    pub fn activity(&self, arn: &str) -> Result<Arc<Activity>, ApiError> {
        let parsed = parse(arn)?;
        self.host
            .registry
            .activity(&parsed.text)
            .ok_or_else(|| ApiError::new("ActivityDoesNotExist", format!("Activity Does Not Exist: '{arn}'")))
    }

    /// Gives a worker's word to its task.
    ///
    /// # Errors
    /// `InvalidToken`, `TaskTimedOut`.
    pub async fn answer(&self, token: &str, word: Word) -> Result<(), ApiError> {
        self.host.answer(token, word).await.map_err(|error| match error {
            TokenError::Invalid => ApiError::new("InvalidToken", "Invalid Token: 'Invalid token'"),
            TokenError::Over(activity) => {
                let what = activity.as_deref().unwrap_or("Provided task does not exist anymore");
                ApiError::new("TaskTimedOut", format!("Task Timed Out: '{what}'"))
            }
            TokenError::Store(error) => error.into(),
        })
    }
}
