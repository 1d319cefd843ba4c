//! Lambda functions behind an HTTP endpoint (`LAMBDA_ENDPOINT`): `sam local start-lambda` and its like.
//!
//! The `Invoke` operation of Lambda's API: the payload goes by POST to `/2015-03-31/functions/NAME/invocations`.

use http_body_util::BodyExt;
use http_body_util::Full;
use http_body_util::Limited;
use hyper::Request;
use hyper::Uri;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::HeaderMap;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use serde_json::json;
use tokio::net::TcpStream;

use crate::model::history_event::TaskFamily;
use crate::model::payload::Payload;
use crate::model::states_error::StatesError;
use crate::worker::Cancel;
use crate::worker::Job;
use crate::worker::command::invoked_function;

/// Where the functions are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LambdaEndpoint {
    /// `host:port`, as the `Host` header and the connection have it.
    authority: String,
    path: String,
}

impl std::str::FromStr for LambdaEndpoint {
    type Err = String;

    /// Reads `http://host[:port][/path]`; no TLS here.
    fn from_str(text: &str) -> Result<Self, String> {
        let uri: Uri = text.parse().map_err(|error| format!("{error}"))?;
        if uri.scheme_str() != Some("http") {
            return Err("only http:// endpoints can be called".to_owned());
        }
        let host = uri.host().ok_or("it names no host")?;
        Ok(Self {
            authority: format!("{host}:{}", uri.port_u16().unwrap_or(80)),
            path: uri.path().trim_end_matches('/').to_owned(),
        })
    }
}

/// What the endpoint answered.
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Bytes,
}

/// Tells whether the task is a function's, and there is an endpoint.
pub fn matches(job: &Job) -> bool {
    job.site.lambda_endpoint.is_some() && function(job).is_some()
}

/// Invokes the function.
pub async fn carry_out(job: &Job, cancel: &mut Cancel) -> Result<Payload, StatesError> {
    let (Some(endpoint), Some(function)) = (&job.site.lambda_endpoint, function(job)) else {
        return Err(StatesError::default());
    };
    let request = request(job, endpoint, function)?;
    let answer = tokio::select! {
        answer = send(endpoint, request, job.output_bytes_max()) => answer,
        () = cancel.cancelled() => return Err(StatesError::default()),
    };
    let answer = answer.map_err(|error| match error.is::<http_body_util::LengthLimitError>() {
        true => job.output_too_large(),
        false => StatesError::new(
            "Lambda.SdkClientException",
            format!(
                "Unable to execute HTTP request to the Lambda endpoint http://{}: {error}",
                endpoint.authority
            ),
        ),
    })?;
    let output = output(&answer)?;
    Ok(Payload::new(match job.resource.family {
        TaskFamily::Lambda => output,
        TaskFamily::Activity | TaskFamily::Integration { .. } => json!({
            "ExecutedVersion": answer.header("x-amz-executed-version").unwrap_or("$LATEST"),
            "Payload": output,
            "StatusCode": answer.status,
        }),
    }))
}

/// Returns the function that the task names: an ARN, a part of one, or a name, with or without a qualifier.
fn function(job: &Job) -> Option<&str> {
    match job.resource.family {
        TaskFamily::Lambda => Some(&job.resource.arn),
        TaskFamily::Activity | TaskFamily::Integration { .. } => invoked_function(job),
    }
}

/// Splits a function's ARN, partial ARN or name into its name and qualifier.
fn name_and_qualifier(function: &str) -> (&str, Option<&str>) {
    let rest = match function.rsplit_once(":function:") {
        Some((_, rest)) => rest,
        None => function,
    };
    match rest.split_once(':') {
        Some((name, qualifier)) => (name, Some(qualifier)),
        None => (rest, None),
    }
}

fn request(job: &Job, endpoint: &LambdaEndpoint, function: &str) -> Result<Request<Full<Bytes>>, StatesError> {
    let input = job.task.input.value();
    let is_invoke = job.resource.family != TaskFamily::Lambda;
    let parameter = |name: &str| input.get(name).filter(|_| is_invoke);
    let (name, qualifier) = name_and_qualifier(function);
    let qualifier = parameter("Qualifier").and_then(Value::as_str).or(qualifier);
    let mut uri = format!("{}/2015-03-31/functions/{}/invocations", endpoint.path, escape(name));
    if let Some(qualifier) = qualifier {
        uri += &format!("?Qualifier={}", escape(qualifier));
    }
    let body = match (is_invoke, parameter("Payload")) {
        (false, _) => job.task.input.text().to_owned(),
        (true, Some(payload)) => payload.to_string(),
        (true, None) => "{}".to_owned(),
    };
    let mut request = Request::post(uri)
        .header("host", &endpoint.authority)
        .header("content-type", "application/json");
    for (parameter_name, header) in [
        ("InvocationType", "x-amz-invocation-type"),
        ("LogType", "x-amz-log-type"),
        ("ClientContext", "x-amz-client-context"),
    ] {
        if let Some(value) = parameter(parameter_name).and_then(Value::as_str) {
            request = request.header(header, value);
        }
    }
    request.body(Full::new(Bytes::from(body))).map_err(|error| {
        StatesError::new(
            "Lambda.SdkClientException",
            format!("The request cannot be sent: {error}"),
        )
    })
}

/// Escapes what may not stand in a segment of a path.
fn escape(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}

async fn send(
    endpoint: &LambdaEndpoint,
    request: Request<Full<Bytes>>,
    bytes_max: usize,
) -> Result<Answer, Box<dyn std::error::Error + Send + Sync>> {
    let stream = TcpStream::connect(&endpoint.authority).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let response = async {
        let response = sender.send_request(request).await?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, bytes_max).collect().await?.to_bytes();
        Ok(Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body,
        })
    };
    tokio::pin!(response);
    tokio::select! {
        response = &mut response => response,
        // The connection may end with the last byte of the answer.
        ended = connection => {
            ended?;
            response.await
        }
    }
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// Returns what the function returned, or its error.
fn output(answer: &Answer) -> Result<Value, StatesError> {
    let text = String::from_utf8_lossy(&answer.body);
    let body: Option<Value> = serde_json::from_slice(&answer.body).ok();
    if 300 <= answer.status {
        return Err(service_error(answer, body.as_ref()));
    }
    if answer.header("x-amz-function-error").is_some() {
        let error_type = body.as_ref().and_then(|body| body.get("errorType")?.as_str());
        return Err(match error_type {
            Some(name) => StatesError::new(name, &*text),
            None => StatesError::new(
                "Lambda.Unknown",
                format!(
                    "The cause could not be determined because Lambda did not return an error type. Returned \
                     payload: {text}"
                ),
            ),
        });
    }
    match body {
        Some(body) => Ok(body),
        // An `Event` invocation answers nothing.
        None if answer.body.is_empty() => Ok(json!({})),
        None => Err(StatesError::new(
            "Lambda.Unknown",
            "The function's answer is not JSON, so it cannot be a result.",
        )),
    }
}

/// The service's own refusal, in the words of the SDK.
fn service_error(answer: &Answer, body: Option<&Value>) -> StatesError {
    let member = |name: &str| body.and_then(|body| body.get(name)?.as_str());
    let code = answer
        .header("x-amzn-errortype")
        .or_else(|| member("__type"))
        .or_else(|| member("Code"))
        .and_then(|code| code.split(':').next())
        .and_then(|code| code.rsplit('#').next());
    let code = code.unwrap_or(match answer.status {
        404 => "ResourceNotFoundException",
        429 => "TooManyRequestsException",
        _ => "ServiceException",
    });
    let message = member("Message").or_else(|| member("message")).unwrap_or_default();
    StatesError::new(
        format!("Lambda.{code}"),
        format!(
            "{message} (Service: AWSLambda; Status Code: {}; Error Code: {code}; Request ID: {}; Proxy: null)",
            answer.status,
            answer.header("x-amzn-requestid").unwrap_or("null"),
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(status: u16, headers: &[(&'static str, &'static str)], body: &'static str) -> String {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        let answer = Answer {
            status,
            headers: map,
            body: Bytes::from_static(body.as_bytes()),
        };
        match output(&answer) {
            Ok(value) => value.to_string(),
            Err(error) => format!(
                "{} | {}",
                error.name.unwrap_or_default(),
                error.cause.unwrap_or_default()
            ),
        }
    }

    #[test]
    fn answers_become_results_and_errors_of_lambda() {
        let failed = ("x-amz-function-error", "Unhandled");
        for (answer, expected) in [
            (told(200, &[], "[1]"), "[1]"),
            (told(202, &[], ""), "{}"),
            (
                told(200, &[failed], r#"{"errorMessage":"m","errorType":"Boom"}"#),
                r#"Boom | {"errorMessage":"m","errorType":"Boom"}"#,
            ),
            (
                told(200, &[failed], r#"{"errorMessage":"m"}"#),
                "Lambda.Unknown | The cause could not be determined because Lambda did not return an error type. \
                 Returned payload: {\"errorMessage\":\"m\"}",
            ),
            (
                told(
                    404,
                    &[
                        ("x-amzn-errortype", "ResourceNotFoundException"),
                        ("x-amzn-requestid", "r"),
                    ],
                    r#"{"Type":"User","Message":"Function not found: arn:f:$LATEST"}"#,
                ),
                "Lambda.ResourceNotFoundException | Function not found: arn:f:$LATEST (Service: AWSLambda; Status \
                 Code: 404; Error Code: ResourceNotFoundException; Request ID: r; Proxy: null)",
            ),
            (
                told(429, &[], "{}"),
                "Lambda.TooManyRequestsException |  (Service: AWSLambda; Status Code: 429; Error Code: \
                 TooManyRequestsException; Request ID: null; Proxy: null)",
            ),
        ] {
            assert_eq!(answer, expected);
        }
    }

    #[test]
    fn functions_have_many_names() {
        for (function, expected) in [
            ("F", ("F", None)),
            ("F:1", ("F", Some("1"))),
            ("123456789012:function:F", ("F", None)),
            (
                "arn:aws:lambda:us-east-1:123456789012:function:F:live",
                ("F", Some("live")),
            ),
        ] {
            assert_eq!(name_and_qualifier(function), expected);
        }
        assert_eq!(escape("a b/ü"), "a%20b%2F%C3%BC");
    }

    #[test]
    fn endpoints_are_plain_http() {
        let read = |text: &str| text.parse::<LambdaEndpoint>();
        let endpoint = |authority: &str, path: &str| {
            Ok(LambdaEndpoint {
                authority: authority.to_owned(),
                path: path.to_owned(),
            })
        };
        assert_eq!(read("http://localhost:3001"), endpoint("localhost:3001", ""));
        assert_eq!(read("http://h/a/"), endpoint("h:80", "/a"));
        assert_eq!(
            read("https://h"),
            Err("only http:// endpoints can be called".to_owned())
        );
        assert!(read("h:1").is_err());
    }
}
