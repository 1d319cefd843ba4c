//! A mocked result or error, and what it may be for which state.

use serde_json::Value;

use crate::api::error::ApiError;
use crate::api::request::Request;
use crate::asl::definition::Pattern;
use crate::asl::definition::State;
use crate::asl::definition::StateKind;
use crate::model::history_event::TaskFamily;
use crate::model::payload::Payload;
use crate::model::states_error::StatesError;
use crate::suite::result_shape;
use crate::suite::result_shape::Strictness;

/// What stands for the work of a state.
#[derive(Clone, Debug)]
pub enum Mock {
    /// It fails.
    Error(StatesError),
    /// It returns a result, of which this much is checked.
    Result(Payload, Option<Strictness>),
}

/// Reads a request's `mock`.
///
/// # Errors
/// `ValidationException`: both or none of its members; a result that is not JSON.
pub fn read(request: &Request) -> Result<Option<Mock>, ApiError> {
    let Some(mock) = request.get("mock") else {
        return Ok(None);
    };
    let member = |name: &str| mock.get(name).filter(|value| !value.is_null());
    let strictness = match member("fieldValidationMode").and_then(Value::as_str) {
        Some("NONE") => None,
        Some("PRESENT") => Some(Strictness::Present),
        _ => Some(Strictness::Strict),
    };
    match (member("result").and_then(Value::as_str), member("errorOutput")) {
        (Some(result), None) => {
            let result =
                Payload::parse(result).map_err(|_| ApiError::validation("Mocked result must be valid JSON"))?;
            Ok(Some(Mock::Result(result, strictness)))
        }
        (None, Some(error)) => {
            let text = |name: &str| error.get(name).and_then(Value::as_str).map(ToOwned::to_owned);
            Ok(Some(Mock::Error(StatesError {
                name: text("error"),
                cause: text("cause"),
            })))
        }
        _ => Err(ApiError::validation(
            "A test mock should have only one of the following fields: [result, errorOutput].",
        )),
    }
}

impl Mock {
    /// Checks the mock for a state.
    ///
    /// # Errors
    /// `ValidationException`: the state takes no mock, or returns something else.
    pub fn check(&self, state: &State) -> Result<(), ApiError> {
        if !matches!(
            state.kind,
            StateKind::Map(_) | StateKind::Parallel(_) | StateKind::Task(_)
        ) {
            return Err(ApiError::validation(format!(
                "State type '{}' is not supported when a mock is specified",
                state.state_type().name()
            )));
        }
        match self {
            Self::Error(_) => Ok(()),
            Self::Result(result, strictness) => match problem(state, result.value(), *strictness) {
                Some(problem) => Err(ApiError::validation(problem)),
                None => Ok(()),
            },
        }
    }

    /// Checks how many iterations of a Map are said to have failed.
    ///
    /// # Errors
    /// `ValidationException`: more than there are.
    pub fn check_iterations(&self, n_failed: Option<u64>, n_items: Option<u64>) -> Result<(), ApiError> {
        let n_results = match self {
            Self::Error(_) => None,
            Self::Result(result, _) => result.value().as_array().map(|results| results.len() as u64),
        };
        let n_iterations = n_results.into_iter().chain(n_items).min();
        match n_iterations.zip(n_failed) {
            Some((n_iterations, n_failed)) if n_iterations < n_failed => Err(ApiError::validation(
                "Map iteration failure count must be less than or equal to the number of Map iterations",
            )),
            _ => Ok(()),
        }
    }
}

/// Refuses a state that cannot be tested as it is.
///
/// # Errors
/// `InvalidDefinition` for a state that only a mock can answer, `ValidationException` for a Task without a role.
pub fn check_without(state: &State, role_arn: Option<&str>) -> Result<(), ApiError> {
    let task = match &state.kind {
        StateKind::Map(_) | StateKind::Parallel(_) => {
            return Err(ApiError::new(
                "InvalidDefinition",
                "TestState API does not support Map or Parallel states. Supported state types include: [Task, Wait, \
                 Pass, Succeed, Fail, Choice]",
            ));
        }
        StateKind::Task(task) => task,
        _ => return Ok(()),
    };
    let unsupported = match (&task.resource.family, task.resource.pattern) {
        (TaskFamily::Activity, _) => Some("Activity tasks"),
        (_, Pattern::Sync | Pattern::Sync2) => Some("the '.sync' service integration pattern"),
        (_, Pattern::WaitForTaskToken) => Some("the '.waitForTaskToken' service integration pattern"),
        (_, Pattern::RequestResponse) => None,
    };
    match (unsupported, role_arn) {
        (Some(what), _) => Err(ApiError::new(
            "InvalidDefinition",
            format!("TestState API does not support {what} when a mock is not specified."),
        )),
        (None, None) => Err(ApiError::validation(
            "RoleArn must be specified when testing a Task state",
        )),
        (None, Some(_)) => Ok(()),
    }
}

fn problem(state: &State, result: &Value, strictness: Option<Strictness>) -> Option<String> {
    match &state.kind {
        StateKind::Map(map) => {
            let exports = map.result_writer.as_ref().is_some_and(|writer| writer.export.is_some());
            match (exports, result) {
                (true, Value::Object(_)) | (false, Value::Array(_)) => None,
                (true, _) => Some("Mocked result must be a JSON object.".to_owned()),
                (false, _) => Some("Mocked result must be an array.".to_owned()),
            }
        }
        StateKind::Parallel(branches) => match result.as_array() {
            None => Some("Mocked result must be an array.".to_owned()),
            Some(results) if results.len() != branches.len() => {
                Some("Mocked result must contain the same number of items as number of Parallel branches.".to_owned())
            }
            Some(_) => None,
        },
        StateKind::Task(task) => result_shape::problem(&task.resource, result, strictness?),
        _ => None,
    }
}
