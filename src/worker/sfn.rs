//! Step Functions itself: nested executions, and any operation by `aws-sdk:sfn`.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use serde_json::Map;
use serde_json::Value;
use serde_json::json;
use sha2::Digest;
use sha2::Sha256;

use crate::asl::definition::Pattern;
use crate::identity::caller::Caller;
use crate::kernel::event::TaskProgress;
use crate::model::history_event::TaskFamily;
use crate::model::payload::Payload;
use crate::model::states_error::StatesError;
use crate::model::timestamp::Timestamp;
use crate::worker::Cancel;
use crate::worker::Job;
use crate::worker::Reports;

/// The service as a task sees it: requests and responses as the API has them.
pub trait StepFunctions: Send + Sync {
    /// Carries out an operation for somebody.
    fn call(&self, asking: Caller, operation: &str, request: Map<String, Value>) -> Calling<'_>;
    /// Waits until an execution has ended, and describes it.
    fn ended(&self, execution_arn: &str) -> Calling<'_>;
}

/// An operation being carried out.
pub type Calling<'a> = Pin<Box<dyn Future<Output = Result<Value, ServiceError>> + Send + 'a>>;

/// What a service answers when it refuses.
#[derive(Clone, Debug)]
pub struct ServiceError {
    /// Its name, for example `StateMachineDoesNotExist`.
    pub name: String,
    /// Its message.
    pub message: String,
    /// HTTP status.
    pub status: u16,
    /// The request's id.
    pub request_id: String,
}

/// Tells whether the task is one of this service's, and the service is here.
pub fn matches(job: &Job) -> bool {
    let is_ours = match &job.resource.family {
        TaskFamily::Integration {
            resource_type,
            resource,
        } => {
            &**resource_type == "aws-sdk:sfn"
                || (&**resource_type == "states" && resource.split('.').next() == Some("startExecution"))
        }
        TaskFamily::Lambda | TaskFamily::Activity => false,
    };
    is_ours && job.site.sfn.get().is_some()
}

/// Calls the service.
pub async fn carry_out(job: &Job, reports: &Reports, cancel: &mut Cancel) -> Result<Payload, StatesError> {
    let (
        Some(service),
        TaskFamily::Integration {
            resource_type,
            resource,
        },
    ) = (job.site.sfn.get(), &job.resource.family)
    else {
        return Err(StatesError::default());
    };
    let service = Arc::clone(service);
    let operation = resource.split('.').next().unwrap_or_default();
    if &**resource_type == "aws-sdk:sfn" {
        let request = request(job.task.input.value());
        let response = service.call(job.asking(), &pascal(operation), request).await;
        return response
            .map(|response| Payload::new(sdk_response(response)))
            .map_err(sdk_error);
    }
    let mut request = request(job.task.input.value());
    if job.resource.pattern != Pattern::RequestResponse && !request.contains_key("name") {
        // A task that is issued again after a restart must find the execution that it started.
        request.insert("name".to_owned(), Value::from(stable_name(job)));
    }
    let name = request.get("name").and_then(Value::as_str).map(ToOwned::to_owned);
    let machine_arn = request
        .get("stateMachineArn")
        .and_then(Value::as_str)
        .map(ToOwned::to_owned);
    let (arn, accepted) = match service.call(job.asking(), "StartExecution", request).await {
        Ok(response) => {
            let arn = response
                .get("executionArn")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned();
            (arn, accepted(&response, &service_request_id(job)))
        }
        Err(error) if error.name == "ExecutionAlreadyExists" && TaskProgress::Scheduled < job.task.progress => {
            let (machine, name) = (machine_arn.unwrap_or_default(), name.unwrap_or_default());
            let arn = format!("{}:{name}", machine.replacen(":stateMachine:", ":execution:", 1));
            (arn, json!({}))
        }
        Err(error) => return Err(optimized_error(error)),
    };
    if job.resource.pattern == Pattern::RequestResponse || job.resource.pattern == Pattern::WaitForTaskToken {
        return Ok(Payload::new(accepted));
    }
    reports.submitted(Payload::new(accepted));
    let described = tokio::select! {
        described = service.ended(&arn) => described.map_err(optimized_error)?,
        () = cancel.cancelled() => {
            let mut stop = Map::new();
            stop.insert("executionArn".to_owned(), Value::from(arn));
            let cause = format!(
                "The Task state in AWS Step Functions execution [{}] which was managing this resource was aborted",
                job.execution_arn
            );
            stop.insert("cause".to_owned(), Value::from(cause));
            let _ = service.call(job.asking(), "StopExecution", stop).await;
            return Err(StatesError::default());
        }
    };
    let parse_data = job.resource.pattern == Pattern::Sync2;
    let status = described.get("status").and_then(Value::as_str).unwrap_or_default();
    if status == "SUCCEEDED" {
        return Ok(Payload::new(job_response(&described, parse_data)));
    }
    // The child's own error is not visible by name: only this one is (recorded).
    Err(StatesError::new(
        "States.TaskFailed",
        job_response(&described, false).to_string(),
    ))
}

/// Makes a request of a task's input: names begin in lower case, `null` is absent.
fn request(input: &Value) -> Map<String, Value> {
    let Value::Object(members) = input else {
        return Map::new();
    };
    members
        .iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| {
            // Members that are texts of JSON may be given as JSON (recorded).
            let value = match (name.as_str(), value) {
                ("Input" | "Output" | "Definition" | "Context" | "Variables", Value::String(_)) => value.clone(),
                ("Input" | "Output" | "Definition" | "Context" | "Variables", other) => Value::from(other.to_string()),
                (_, other) => rename(other, camel),
            };
            (camel(name), value)
        })
        .collect()
}

/// The response of `StartExecution` as the optimized integration shows it, members sorted (recorded).
fn accepted(response: &Value, request_id: &str) -> Value {
    let millis = |name: &str| {
        let seconds = response.get(name).and_then(Value::as_f64).unwrap_or(0.0);
        (seconds * 1000.0).round() as i64
    };
    let length = response.to_string().len().to_string();
    let date = http_date(Timestamp(millis("startDate")));
    json!({
        "ExecutionArn": response.get("executionArn"),
        "SdkHttpMetadata": {
            "AllHttpHeaders": {
                "x-amzn-RequestId": [request_id],
                "connection": ["keep-alive"],
                "Content-Length": [length],
                "Date": [date],
                "Content-Type": ["application/x-amz-json-1.0"],
            },
            "HttpHeaders": {
                "connection": "keep-alive",
                "Content-Length": length,
                "Content-Type": "application/x-amz-json-1.0",
                "Date": date,
                "x-amzn-RequestId": request_id,
            },
            "HttpStatusCode": 200,
        },
        "SdkResponseMetadata": { "RequestId": request_id },
        "StartDate": millis("startDate"),
    })
}

/// `DescribeExecution` as a `.sync` task shows it: sorted, dates in milliseconds.
fn job_response(described: &Value, parse_data: bool) -> Value {
    const MEMBERS: &[&str] = &[
        "cause",
        "error",
        "executionArn",
        "input",
        "inputDetails",
        "name",
        "output",
        "outputDetails",
        "redriveCount",
        "redriveStatus",
        "redriveStatusReason",
        "startDate",
        "stateMachineArn",
        "status",
        "stopDate",
    ];
    let mut response = Map::new();
    for name in MEMBERS {
        let Some(value) = described.get(*name) else {
            continue;
        };
        let value = match (*name, value) {
            ("startDate" | "stopDate", value) => Value::from((value.as_f64().unwrap_or(0.0) * 1000.0).round() as i64),
            ("input" | "output", Value::String(text)) if parse_data => {
                serde_json::from_str(text).unwrap_or_else(|_| value.clone())
            }
            (_, value) => rename(value, pascal),
        };
        response.insert(pascal(name), value);
    }
    Value::Object(response)
}

/// A response as the SDK integration shows it: names begin in upper case, dates are ISO texts.
fn sdk_response(response: Value) -> Value {
    match response {
        Value::Object(members) => {
            let members = members.into_iter().map(|(name, value)| {
                let is_date = name.ends_with("Date") || name == "timestamp";
                let value = match value.as_f64().filter(|_| is_date) {
                    Some(seconds) => Value::from(Timestamp((seconds * 1000.0).round() as i64).to_string()),
                    None => sdk_response(value),
                };
                (pascal(&name), value)
            });
            Value::Object(members.collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sdk_response).collect()),
        other => other,
    }
}

fn sdk_error(error: ServiceError) -> StatesError {
    let ServiceError {
        message,
        status,
        request_id,
        ..
    } = &error;
    StatesError::new(
        format!("Sfn.{}", exception(&error.name)),
        format!("{message} (Service: Sfn, Status Code: {status}, Request ID: {request_id}) (SDK Attempt Count: 1)"),
    )
}

fn optimized_error(error: ServiceError) -> StatesError {
    let ServiceError {
        name,
        message,
        status,
        request_id,
    } = &error;
    StatesError::new(
        format!("StepFunctions.{}", exception(name)),
        format!(
            "{message} (Service: AWSStepFunctions; Status Code: {status}; Error Code: {name}; \
             Request ID: {request_id}; Proxy: null)"
        ),
    )
}

fn exception(name: &str) -> String {
    match name.ends_with("Exception") {
        true => name.to_owned(),
        false => format!("{name}Exception"),
    }
}

/// A name that is the same whenever this task is issued.
fn stable_name(job: &Job) -> String {
    let digest = Sha256::new()
        .chain_update(job.execution_arn.as_bytes())
        .chain_update(job.task.task.0.to_be_bytes())
        .finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_random_bytes(bytes)
        .into_uuid()
        .hyphenated()
        .to_string()
}

fn service_request_id(job: &Job) -> String {
    stable_name(job)
}

/// `Tue, 24 Nov 2026 06:05:38 GMT`.
fn http_date(at: Timestamp) -> String {
    match jiff::Timestamp::from_millisecond(at.0) {
        Ok(at) => at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string(),
        Err(_) => String::new(),
    }
}

fn rename(value: &Value, name: fn(&str) -> String) -> Value {
    match value {
        Value::Object(members) => {
            let members = members.iter().map(|(key, value)| (name(key), rename(value, name)));
            Value::Object(members.collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(|item| rename(item, name)).collect()),
        other => other.clone(),
    }
}

fn pascal(name: &str) -> String {
    let mut chars = name.chars();
    chars
        .next()
        .map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
}

fn camel(name: &str) -> String {
    let mut chars = name.chars();
    chars
        .next()
        .map_or(String::new(), |first| first.to_lowercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_responses_change_the_case_of_names() {
        let made = request(&json!({"StateMachineArn": "a", "Input": {"K": 1}, "Name": null, "Tags": [{"Key": "k"}]}));
        assert_eq!(
            Value::Object(made),
            json!({"stateMachineArn": "a", "input": "{\"K\":1}", "tags": [{"key": "k"}]})
        );
        let shown = sdk_response(json!({"executionArn": "a", "startDate": 1.5, "items": [{"maxResults": 1}]}));
        assert_eq!(
            shown,
            json!({"ExecutionArn": "a", "StartDate": "1970-01-01T00:00:01.500Z", "Items": [{"MaxResults": 1}]})
        );
    }

    #[test]
    fn a_finished_job_shows_its_data_as_text_or_as_json() {
        let described = json!({"executionArn": "a", "input": "{\"a\":1}", "startDate": 2.0, "status": "SUCCEEDED",
            "inputDetails": {"included": true}});
        assert_eq!(
            job_response(&described, false).to_string(),
            r#"{"ExecutionArn":"a","Input":"{\"a\":1}","InputDetails":{"Included":true},"StartDate":2000,"Status":"SUCCEEDED"}"#
        );
        assert_eq!(job_response(&described, true)["Input"], json!({"a": 1}));
    }
}
