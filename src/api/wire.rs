//! From an HTTP request to an operation and back.

use std::sync::Arc;

use serde_json::Map;
use serde_json::Value;

use crate::api::Api;
use crate::api::action;
use crate::api::error::Answer;
use crate::api::error::ApiError;
use crate::api::member;
use crate::api::request::Request;
use crate::identity::caller::Caller;

/// The service's name in `X-Amz-Target`.
const SERVICE: &str = "AWSStepFunctions";

impl Api {
    /// Carries out the operation that `target` (`AWSStepFunctions.StartExecution`) names, for `caller`.
    pub async fn call(
        &self,
        caller: Arc<Caller>,
        target: Option<&str>,
        trace_header: Option<&str>,
        body: &[u8],
    ) -> Answer {
        let unknown = || ApiError {
            status: 404,
            ..ApiError::new("UnknownOperationException", "")
        };
        let target = target.ok_or_else(unknown)?;
        let (service, name) = target.split_once('.').ok_or_else(unknown)?;
        let action = action::find(name).filter(|_| service == SERVICE).ok_or_else(unknown)?;
        let members = read(body)?;
        member::check(action.input, &members)?;
        let mut request = Request::new(members, caller);
        request.trace_header = trace_header.map(Arc::from);
        self.carry_out(action, request).await
    }
}

fn read(body: &[u8]) -> Result<Map<String, Value>, ApiError> {
    let wrong = || ApiError::new("SerializationException", "The request body is not a JSON object.");
    if body.is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(members)) => Ok(members),
        _ => Err(wrong()),
    }
}
