//! Lambda functions behind an HTTP endpoint: `sam local start-lambda`, the Runtime Interface Emulator and their like.
//!
//! The `Invoke` operation of Lambda's API: the payload goes by POST to `/2015-03-31/functions/NAME/invocations`.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
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
use tokio::net::TcpStream;

use crate::model::states_error::StatesError;
use crate::worker::Cancel;
use crate::worker::Job;
use crate::worker::lambda::answer;
use crate::worker::lambda::answer::Answer;
use crate::worker::lambda::request::InvocationType;
use crate::worker::lambda::request::Request as Call;

/// Where the functions are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LambdaEndpoint {
    /// `host:port`, as the `Host` header and the connection have it.
    authority: String,
    path: String,
}

impl std::str::FromStr for LambdaEndpoint {
    type Err = String;

    /// Reads `http://host[:port][/path]`; no TLS here. A path that ends in `/invocations` is the function's own.
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

impl std::fmt::Display for LambdaEndpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "http://{}{}", self.authority, self.path)
    }
}

/// What the endpoint answered.
struct Response {
    status: u16,
    headers: HeaderMap,
    body: Bytes,
}

/// Invokes the function.
pub async fn invoke(
    job: &Job,
    endpoint: &LambdaEndpoint,
    call: &Call,
    cancel: &mut Cancel,
) -> Result<Answer, StatesError> {
    let request = request(endpoint, call)?;
    let response = tokio::select! {
        response = send(endpoint, request, job.output_bytes_max()) => response,
        () = cancel.cancelled() => return Err(StatesError::default()),
    };
    let response = response.map_err(|error| match error.is::<http_body_util::LengthLimitError>() {
        true => job.output_too_large(),
        false => StatesError::new(
            "Lambda.SdkClientException",
            format!("Unable to execute HTTP request to the Lambda endpoint {endpoint}: {error}"),
        ),
    })?;
    response.into_answer()
}

fn request(endpoint: &LambdaEndpoint, call: &Call) -> Result<Request<Full<Bytes>>, StatesError> {
    let mut uri = match endpoint.path.ends_with("/invocations") {
        true => endpoint.path.clone(),
        false => format!(
            "{}/2015-03-31/functions/{}/invocations",
            endpoint.path,
            escape(&call.name.name)
        ),
    };
    if let Some(qualifier) = &call.name.qualifier {
        uri += &format!("?Qualifier={}", escape(qualifier));
    }
    let mut request = Request::post(uri)
        .header("host", &endpoint.authority)
        .header("content-type", "application/json");
    if call.invocation_type != InvocationType::RequestResponse {
        request = request.header("x-amz-invocation-type", call.invocation_type.name());
    }
    if call.wants_log {
        request = request.header("x-amz-log-type", "Tail");
    }
    if let Some(context) = &call.client_context {
        request = request.header("x-amz-client-context", BASE64_STANDARD.encode(context));
    }
    request.body(Full::new(call.payload.clone())).map_err(|error| {
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
) -> Result<Response, Box<dyn std::error::Error + Send + Sync>> {
    let stream = TcpStream::connect(&endpoint.authority).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let response = async {
        let response = sender.send_request(request).await?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, bytes_max).collect().await?.to_bytes();
        Ok(Response {
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

impl Response {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    fn into_answer(self) -> Result<Answer, StatesError> {
        let body: Option<Value> = serde_json::from_slice(&self.body).ok();
        if 300 <= self.status {
            return Err(self.refusal(body.as_ref()));
        }
        let version = self.header("x-amz-executed-version").map(str::to_owned);
        let log = self.header("x-amz-log-result");
        Ok(Answer {
            status: self.status,
            is_function_error: self.header("x-amz-function-error").is_some()
                || (version.is_none() && body.as_ref().is_some_and(is_emulators_error)),
            log: log.and_then(|log| BASE64_STANDARD.decode(log).ok()).map(Bytes::from),
            executed_version: Some(version.unwrap_or_else(|| "$LATEST".to_owned())),
            request_id: self
                .header("x-amzn-requestid")
                .map_or_else(answer::fresh_uuid, str::to_owned),
            body: self.body,
        })
    }

    /// The service's own refusal, in the words of the SDK.
    fn refusal(&self, body: Option<&Value>) -> StatesError {
        let member = |name: &str| body.and_then(|body| body.get(name)?.as_str());
        let code = self
            .header("x-amzn-errortype")
            .or_else(|| member("__type"))
            .or_else(|| member("Code"))
            .and_then(|code| code.split(':').next())
            .and_then(|code| code.rsplit('#').next());
        let code = code.unwrap_or(match self.status {
            404 => "ResourceNotFoundException",
            429 => "TooManyRequestsException",
            _ => "ServiceException",
        });
        let message = member("Message").or_else(|| member("message")).unwrap_or_default();
        let request_id = self.header("x-amzn-requestid").unwrap_or("null");
        answer::refusal_of(code, code, self.status, message, request_id)
    }
}

/// The Runtime Interface Emulator answers a function's error as it does a result: only the body tells.
fn is_emulators_error(body: &Value) -> bool {
    let is_text = |name: &str| body.get(name).is_some_and(Value::is_string);
    is_text("errorType") && is_text("errorMessage")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::lambda::function::FunctionName;

    fn told(status: u16, headers: &[(&'static str, &'static str)], body: &'static str) -> String {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        let response = Response {
            status,
            headers: map,
            body: Bytes::from_static(body.as_bytes()),
        };
        match response.into_answer() {
            Ok(answer) => {
                let failed = if answer.is_function_error { " failed" } else { "" };
                format!("{}{failed} {}", answer.status, String::from_utf8_lossy(&answer.body))
            }
            Err(error) => format!(
                "{} | {}",
                error.name.unwrap_or_default(),
                error.cause.unwrap_or_default()
            ),
        }
    }

    #[test]
    fn responses_become_answers_and_refusals_of_lambda() {
        let failed = ("x-amz-function-error", "Unhandled");
        let version = ("x-amz-executed-version", "$LATEST");
        let error = r#"{"errorMessage":"m","errorType":"Boom"}"#;
        for (answer, expected) in [
            (told(200, &[], "[1]"), "200 [1]"),
            (told(202, &[], ""), "202 "),
            (
                told(200, &[failed], r#"{"errorMessage":"m"}"#),
                r#"200 failed {"errorMessage":"m"}"#,
            ),
            (told(200, &[], error), &format!("200 failed {error}")),
            // A result that only looks like an error.
            (told(200, &[version], error), &format!("200 {error}")),
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
    fn a_path_that_ends_in_invocations_is_the_functions_own() {
        let call = |endpoint: &str, name: &str| {
            let call = Call {
                name: FunctionName::parse(name, "us-east-1", "123456789012"),
                payload: Bytes::from_static(b"{}"),
                invocation_type: InvocationType::Event,
                wants_log: true,
                client_context: Some("{}".to_owned()),
            };
            let request = request(&endpoint.parse().unwrap(), &call).unwrap();
            assert_eq!(request.headers()["x-amz-invocation-type"], "Event");
            assert_eq!(request.headers()["x-amz-log-type"], "Tail");
            assert_eq!(request.headers()["x-amz-client-context"], "e30=");
            request.uri().to_string()
        };
        assert_eq!(
            call("http://h:1/", "a b:live"),
            "/2015-03-31/functions/a%20b/invocations?Qualifier=live"
        );
        assert_eq!(
            call("http://h:1/2015-03-31/functions/function/invocations", "F"),
            "/2015-03-31/functions/function/invocations"
        );
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
