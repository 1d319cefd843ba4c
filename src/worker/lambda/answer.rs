//! What Lambda's `Invoke` operation answers, and what a task makes of it.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hyper::body::Bytes;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::model::entropy::Entropy;
use crate::model::history_event::TaskFamily;
use crate::model::payload::Payload;
use crate::model::quota::CAUSE_CHARS_MAX;
use crate::model::states_error::StatesError;
use crate::worker::Job;

/// How much of an error without a type is shown.
const UNKNOWN_BYTES_MAX: usize = 16 * 1024;

/// An accepted call.
#[derive(Clone, Debug)]
pub struct Answer {
    /// 200, or 202 for `Event` and 204 for `DryRun`.
    pub status: u16,
    /// The function failed: the body is its error.
    pub is_function_error: bool,
    /// The version that ran; without one nothing ran.
    pub executed_version: Option<String>,
    /// The end of the log, when it was wanted.
    pub log: Option<Bytes>,
    /// The request's id.
    pub request_id: String,
    /// What the function gave.
    pub body: Bytes,
}

impl Answer {
    /// Makes the answer to a call that nobody waits for: 202, or 204 when nothing runs.
    pub fn without_result(status: u16) -> Self {
        Self {
            status,
            is_function_error: false,
            executed_version: None,
            log: None,
            request_id: fresh_uuid(),
            body: Bytes::new(),
        }
    }

    /// Makes the task's result: what the function gave, or for `lambda:invoke` the whole answer.
    ///
    /// # Errors
    /// The function failed, gave too much, or gave what is no JSON.
    pub fn into_result(self, job: &Job) -> Result<Payload, StatesError> {
        if self.is_function_error {
            return Err(function_error(&self.body));
        }
        if self.body.len() > job.output_bytes_max() {
            return Err(job.output_too_large());
        }
        let value = if self.body.is_empty() && self.status != 200 {
            // Nothing was waited for.
            json!({})
        } else {
            serde_json::from_slice(&self.body).map_err(|error| not_json(&self.body, &error))?
        };
        Ok(Payload::new(match job.resource.family {
            TaskFamily::Lambda => value,
            TaskFamily::Activity | TaskFamily::Integration { .. } => self.envelope(value),
        }))
    }

    /// Members, headers and their order are those of recorded answers.
    fn envelope(&self, payload: Value) -> Value {
        let log = self.log.as_ref().map(|log| BASE64_STANDARD.encode(log));
        let trace_id = trace_id(&self.request_id);
        let headers = [
            ("X-Amz-Executed-Version", self.executed_version.clone()),
            ("X-Amz-Log-Result", log.clone()),
            ("x-amzn-Remapped-Content-Length", Some("0".to_owned())),
            ("Connection", Some("keep-alive".to_owned())),
            ("x-amzn-RequestId", Some(self.request_id.clone())),
            ("Content-Length", Some(self.body.len().to_string())),
            ("Date", Some(http_date(Timestamp::now()))),
            ("X-Amzn-Trace-Id", Some(format!("root={trace_id};sampled=0"))),
            ("Content-Type", Some("application/json".to_owned())),
        ];
        let mut headers: Vec<(&str, String)> = headers
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
            .collect();
        let all: Map<String, Value> = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), json!([value])))
            .collect();
        headers.sort_by_key(|(name, _)| name.to_ascii_lowercase());
        let sorted: Map<String, Value> = headers
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.into()))
            .collect();
        let mut envelope = Map::new();
        if let Some(version) = &self.executed_version {
            envelope.insert("ExecutedVersion".to_owned(), json!(version));
        }
        if let Some(log) = log {
            envelope.insert("LogResult".to_owned(), json!(log));
        }
        envelope.insert("Payload".to_owned(), payload);
        envelope.insert(
            "SdkHttpMetadata".to_owned(),
            json!({ "AllHttpHeaders": all, "HttpHeaders": sorted, "HttpStatusCode": self.status }),
        );
        envelope.insert(
            "SdkResponseMetadata".to_owned(),
            json!({ "RequestId": self.request_id }),
        );
        envelope.insert("StatusCode".to_owned(), json!(self.status));
        Value::Object(envelope)
    }
}

/// Returns the error of a function that failed: named by its `errorType`, with the payload as the cause.
fn function_error(body: &[u8]) -> StatesError {
    let value = serde_json::from_slice::<Value>(body).ok();
    let name = value.as_ref().and_then(|value| value.get("errorType")?.as_str());
    match (name, &value) {
        // Runtimes write blanks; the recorded causes have none.
        (Some(name), Some(value)) if !name.is_empty() => {
            let cause: String = value.to_string().chars().take(CAUSE_CHARS_MAX).collect();
            StatesError::new(name, cause)
        }
        _ => StatesError::new(
            "Lambda.Unknown",
            format!(
                "The cause could not be determined because Lambda did not return an error type. Returned payload: {}",
                String::from_utf8_lossy(body.get(..UNKNOWN_BYTES_MAX).unwrap_or(body))
            ),
        ),
    }
}

fn not_json(body: &[u8], error: &serde_json::Error) -> StatesError {
    let beginning = String::from_utf8_lossy(body.get(..80).unwrap_or(body)).into_owned();
    StatesError::new(
        "Lambda.Unknown",
        format!("The function's answer is not JSON, so it cannot be a result: {error}. It begins with {beginning:?}."),
    )
}

/// Returns the service's own refusal in the words of the SDK: `class` is the SDK's exception, `code` the service's.
pub fn refusal(class: &str, code: &str, status: u16, message: &str) -> StatesError {
    refusal_of(class, code, status, message, &fresh_uuid())
}

/// As [`refusal`], of a request with a known id.
pub fn refusal_of(class: &str, code: &str, status: u16, message: &str, request_id: &str) -> StatesError {
    StatesError::new(
        format!("Lambda.{class}"),
        format!(
            "{message} (Service: AWSLambda; Status Code: {status}; Error Code: {code}; Request ID: {request_id}; \
             Proxy: null)"
        ),
    )
}

/// Returns a new id of a request.
pub fn fresh_uuid() -> String {
    // Ids need not be secret: without chance the time must do.
    let seed = getrandom::u64().unwrap_or_else(|_| Timestamp::now().as_nanosecond() as u64);
    Entropy::new(seed).uuid()
}

/// Returns the trace id of a request: `1-8 digits-24 digits`.
pub fn trace_id(request_id: &str) -> String {
    let digits: String = request_id.chars().filter(char::is_ascii_hexdigit).take(24).collect();
    format!("1-{:08x}-{digits:0>24}", Timestamp::now().as_second())
}

fn http_date(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC)
        .strftime("%a, %d %b %Y %H:%M:%S GMT")
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(body: &str) -> String {
        let error = function_error(body.as_bytes());
        format!(
            "{} | {}",
            error.name.unwrap_or_default(),
            error.cause.unwrap_or_default()
        )
    }

    #[test]
    fn a_functions_error_names_the_error() {
        for (body, expected) in [
            (
                r#"{"errorMessage": "m", "errorType": "Boom", "stackTrace": []}"#,
                r#"Boom | {"errorMessage":"m","errorType":"Boom","stackTrace":[]}"#,
            ),
            (
                r#"{"errorMessage":"m"}"#,
                "Lambda.Unknown | The cause could not be determined because Lambda did not return an error type. \
                 Returned payload: {\"errorMessage\":\"m\"}",
            ),
            (
                "no JSON",
                "Lambda.Unknown | The cause could not be determined because Lambda did not return an error type. \
                 Returned payload: no JSON",
            ),
        ] {
            assert_eq!(told(body), expected);
        }
    }

    #[test]
    fn the_envelope_is_the_recorded_one() {
        let answer = Answer {
            status: 200,
            is_function_error: false,
            executed_version: Some("$LATEST".to_owned()),
            log: None,
            request_id: "01234567-89ab-4def-8123-456789abcdef".to_owned(),
            body: Bytes::from_static(b"{ }"),
        };
        let envelope = answer.envelope(json!({}));
        let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ");
        assert_eq!(
            names(&envelope),
            "ExecutedVersion Payload SdkHttpMetadata SdkResponseMetadata StatusCode"
        );
        assert_eq!(
            names(&envelope["SdkHttpMetadata"]["AllHttpHeaders"]),
            "X-Amz-Executed-Version x-amzn-Remapped-Content-Length Connection x-amzn-RequestId Content-Length Date \
             X-Amzn-Trace-Id Content-Type"
        );
        assert_eq!(
            names(&envelope["SdkHttpMetadata"]["HttpHeaders"]),
            "Connection Content-Length Content-Type Date X-Amz-Executed-Version x-amzn-Remapped-Content-Length \
             x-amzn-RequestId X-Amzn-Trace-Id"
        );
        assert_eq!(envelope["SdkHttpMetadata"]["HttpHeaders"]["Content-Length"], "3");
        assert_eq!(http_date(Timestamp::UNIX_EPOCH), "Thu, 01 Jan 1970 00:00:00 GMT");
    }
}
