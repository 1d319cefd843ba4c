//! The API for the tasks of our own executions.

use std::sync::Arc;
use std::sync::Weak;

use serde_json::Map;
use serde_json::Value;

use crate::api::Api;
use crate::api::action;
use crate::api::error::ApiError;
use crate::api::execution;
use crate::api::member;
use crate::api::request::Request;
use crate::identity::caller::Caller;
use crate::worker::sfn::Calling;
use crate::worker::sfn::ServiceError;
use crate::worker::sfn::StepFunctions;

/// The service without HTTP. Weak: the tasks belong to the host, which the service holds.
struct Local(Weak<Api>);

impl Api {
    /// Lets tasks call this service.
    pub fn serve_tasks(self: &Arc<Self>) {
        let service = Local(Arc::downgrade(self));
        self.host.set_step_functions(Arc::new(service));
    }

    fn service_error(&self, error: ApiError) -> ServiceError {
        ServiceError {
            name: error.name.to_owned(),
            message: error.message,
            status: error.status,
            request_id: self.host.uuid(),
        }
    }
}

impl Local {
    fn api(&self) -> Result<Arc<Api>, ServiceError> {
        self.0.upgrade().ok_or_else(|| ServiceError {
            name: "ServiceUnavailable".to_owned(),
            message: "The server is stopping.".to_owned(),
            status: 503,
            request_id: String::new(),
        })
    }
}

impl StepFunctions for Local {
    fn call(&self, asking: Caller, operation: &str, request: Map<String, Value>) -> Calling<'_> {
        let operation = operation.to_owned();
        Box::pin(async move {
            let api = self.api()?;
            let unknown = || {
                ApiError::new(
                    "UnknownOperationException",
                    format!("There is no operation {operation}."),
                )
            };
            let answer = match action::find(&operation) {
                Some(action) => match member::check(action.input, &request) {
                    Ok(()) => match api.gate.with_groups(asking).await {
                        Ok(caller) => api.carry_out(action, Request::new(request, Arc::new(caller))).await,
                        Err(refusal) => Err(refusal.into()),
                    },
                    Err(error) => Err(error),
                },
                None => Err(unknown()),
            };
            answer.map_err(|error| api.service_error(error))
        })
    }

    fn ended(&self, execution_arn: &str) -> Calling<'_> {
        let arn = execution_arn.to_owned();
        Box::pin(async move {
            let api = self.api()?;
            let record = match api.execution(&arn) {
                Ok(record) => api.host.ended(record.id).await.map_err(ApiError::from),
                Err(error) => Err(error),
            };
            record
                .map(|record| execution::describe(&api.host, &record, true))
                .map_err(|error| api.service_error(error))
        })
    }
}
