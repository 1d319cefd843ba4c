//! What a task asks of a function.

use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hyper::body::Bytes;
use serde_json::Value;

use crate::model::history_event::TaskFamily;
use crate::model::payload::Payload;
use crate::model::states_error::StatesError;
use crate::worker::Job;
use crate::worker::lambda::answer;
use crate::worker::lambda::function::FunctionName;

/// What `lambda:invoke` takes.
const PARAMETERS: &[&str] = &[
    "ClientContext",
    "FunctionName",
    "InvocationType",
    "LogType",
    "Payload",
    "Qualifier",
];

/// One call of a function.
#[derive(Clone, Debug)]
pub struct Request {
    /// The function.
    pub name: FunctionName,
    /// What the handler gets, as JSON.
    pub payload: Bytes,
    /// How it is called.
    pub invocation_type: InvocationType,
    /// The end of the log is wanted.
    pub wants_log: bool,
    /// What the caller tells of itself, as JSON.
    pub client_context: Option<String>,
}

/// How a function is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvocationType {
    /// Only whether it could be.
    DryRun,
    /// Without waiting for what it gives.
    Event,
    /// Until it answers.
    RequestResponse,
}

impl InvocationType {
    /// Returns the name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::DryRun => "DryRun",
            Self::Event => "Event",
            Self::RequestResponse => "RequestResponse",
        }
    }
}

/// Tells whether a task calls a function.
pub fn is_call(job: &Job) -> bool {
    match &job.resource.family {
        TaskFamily::Lambda => true,
        TaskFamily::Activity => false,
        TaskFamily::Integration {
            resource_type,
            resource,
        } => &**resource_type == "lambda" && resource.split('.').next() == Some("invoke"),
    }
}

/// Returns the function's name without reading the rest.
pub fn function_name(job: &Job) -> Option<FunctionName> {
    let (region, account) = (&job.site.region, &job.site.account);
    match job.resource.family {
        TaskFamily::Lambda => Some(FunctionName::parse(&job.resource.arn, region, account)),
        TaskFamily::Activity | TaskFamily::Integration { .. } => {
            let name = job.task.input.value().get("FunctionName")?.as_str()?;
            Some(FunctionName::parse(name, region, account))
        }
    }
}

impl Request {
    /// Reads the task's effective input: it is the payload of a function's ARN, and parameters of `lambda:invoke`.
    ///
    /// # Errors
    /// A parameter that `Invoke` does not take, or of the wrong kind.
    pub fn read(job: &Job) -> Result<Self, StatesError> {
        let name = function_name(job)
            .ok_or_else(|| StatesError::new("States.Runtime", "`lambda:invoke` needs the text `FunctionName`."))?;
        match job.resource.family {
            TaskFamily::Lambda => Ok(Self {
                name,
                payload: text_of(&job.task.input),
                invocation_type: InvocationType::RequestResponse,
                wants_log: false,
                client_context: None,
            }),
            TaskFamily::Activity | TaskFamily::Integration { .. } => Self::of_parameters(name, job.task.input.value()),
        }
    }

    fn of_parameters(mut name: FunctionName, parameters: &Value) -> Result<Self, StatesError> {
        let unknown = parameters
            .as_object()
            .and_then(|map| map.keys().find(|key| !PARAMETERS.contains(&key.as_str())));
        if let Some(unknown) = unknown {
            return Err(StatesError::new(
                "States.Runtime",
                format!("The field \"{unknown}\" is not supported by Step Functions"),
            ));
        }
        let text = |member: &str| match parameters.get(member) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err(StatesError::new(
                "States.Runtime",
                format!("`{member}` of `lambda:invoke` must be a text."),
            )),
        };
        if let Some(qualifier) = text("Qualifier")? {
            name.qualifier = Some(qualifier.to_owned());
        }
        let invocation_type = match text("InvocationType")? {
            None | Some("RequestResponse") => InvocationType::RequestResponse,
            Some("Event") => InvocationType::Event,
            Some("DryRun") => InvocationType::DryRun,
            Some(other) => return Err(not_in_enum(other, "invocationType", "[Event, RequestResponse, DryRun]")),
        };
        let wants_log = match text("LogType")? {
            None | Some("None") => false,
            Some("Tail") => true,
            Some(other) => return Err(not_in_enum(other, "logType", "[None, Tail]")),
        };
        let client_context = match text("ClientContext")? {
            None => None,
            Some(encoded) => Some(client_context(encoded)?),
        };
        Ok(Self {
            name,
            payload: Bytes::from(payload(parameters)?),
            invocation_type,
            wants_log,
            client_context,
        })
    }
}

/// Returns what a function gets that `lambda:invoke` calls: JSON text.
///
/// A text counts as the JSON text itself, as recorded. Without `Payload`, or with `null`, AWS sends nothing, and the
/// function sees an empty object.
///
/// # Errors
/// A text that is no JSON: Lambda refuses it.
fn payload(parameters: &Value) -> Result<String, StatesError> {
    match parameters.get("Payload") {
        None | Some(Value::Null) => Ok("{}".to_owned()),
        Some(Value::String(text)) => match serde_json::from_str::<serde::de::IgnoredAny>(text) {
            Ok(_) => Ok(text.clone()),
            Err(error) => Err(answer::refusal(
                "InvalidRequestContentException",
                "InvalidRequestContentException",
                400,
                &format!("Could not parse request body into json: {error}"),
            )),
        },
        Some(payload) => Ok(payload.to_string()),
    }
}

fn text_of(input: &Payload) -> Bytes {
    Bytes::copy_from_slice(input.text().as_bytes())
}

fn not_in_enum(value: &str, member: &str, values: &str) -> StatesError {
    answer::refusal(
        "AWSLambdaException",
        "ValidationException",
        400,
        &format!(
            "1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: Member must \
             satisfy enum value set: {values}"
        ),
    )
}

fn client_context(encoded: &str) -> Result<String, StatesError> {
    let decoded = BASE64_STANDARD.decode(encoded).ok();
    let text = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
    // On one line: it goes in a header.
    let json = text.and_then(|text| serde_json::from_str::<Value>(&text).ok());
    json.map(|json| json.to_string()).ok_or_else(|| {
        answer::refusal(
            "InvalidRequestContentException",
            "InvalidRequestContentException",
            400,
            "Client context must be a valid Base64-encoded JSON object.",
        )
    })
}

/// A request as the processes of a function get it.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// A fresh UUID.
    pub request_id: String,
    /// The request.
    pub request: Arc<Request>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(parameters: Value) -> Result<Request, String> {
        let name = FunctionName::parse("F", "us-east-1", "123456789012");
        Request::of_parameters(name, &parameters)
            .map_err(|error| format!("{} {}", error.name.unwrap_or_default(), error.cause.unwrap_or_default()))
    }

    #[test]
    fn parameters_are_those_of_invoke() {
        let request = read(json!({
            "FunctionName": "F", "Payload": {"a": [1.5]}, "Qualifier": "live", "InvocationType": "Event",
            "LogType": "Tail", "ClientContext": "eyJhIjogMX0=",
        }))
        .unwrap();
        assert_eq!(&request.payload[..], br#"{"a":[1.5]}"#);
        assert_eq!(request.name.qualifier.as_deref(), Some("live"));
        assert_eq!(request.invocation_type, InvocationType::Event);
        assert!(request.wants_log);
        assert_eq!(request.client_context.as_deref(), Some(r#"{"a":1}"#));
        for (parameters, expected) in [
            (json!({}), "{}"),
            (json!({"Payload": null}), "{}"),
            (json!({"Payload": "\"text\""}), "\"text\""),
            (json!({"Payload": " {\"a\": 1}"}), " {\"a\": 1}"),
            (json!({"Payload": false}), "false"),
        ] {
            assert_eq!(payload(&parameters).as_deref(), Ok(expected));
        }
        for (parameters, expected) in [
            (json!({"Timeout": 1}), "States.Runtime The field \"Timeout\""),
            (json!({"Qualifier": 1}), "States.Runtime `Qualifier`"),
            (
                json!({"InvocationType": "Sync"}),
                "Lambda.AWSLambdaException 1 validation error",
            ),
            (
                json!({"LogType": "tail"}),
                "Lambda.AWSLambdaException 1 validation error",
            ),
            (
                json!({"Payload": "text"}),
                "Lambda.InvalidRequestContentException Could not parse",
            ),
            (json!({"ClientContext": "{}"}), "Lambda.InvalidRequestContentException"),
        ] {
            let message = read(parameters).unwrap_err();
            assert!(message.starts_with(expected), "{message}");
        }
    }
}
