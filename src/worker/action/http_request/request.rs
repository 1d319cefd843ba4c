//! The action `http.request`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use reqwest::header::HeaderMap;
use reqwest::header::HeaderName;
use reqwest::header::HeaderValue;
use serde::Deserialize;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::model::states_error::StatesError;
use crate::worker::action;
use crate::worker::action::Action;
use crate::worker::action::Plan;
use crate::worker::action::Work;
use crate::worker::action::alive::alive;
use crate::worker::action::checkpoint::Saved;
use crate::worker::action::facts::ErrorName;
use crate::worker::action::facts::Facts;
use crate::worker::action::facts::Kind;
use crate::worker::action::facts::Member;
use crate::worker::action::facts::Parameter;
use crate::worker::action::facts::Secrets;
use crate::worker::action::http_request::exchange;
use crate::worker::action::http_request::exchange::Answer;
use crate::worker::action::http_request::exchange::Ask;
use crate::worker::action::http_request::exchange::Client;
use crate::worker::action::http_request::fault;
use crate::worker::action::http_request::fault::INVALID_PARAMETERS;
use crate::worker::action::http_request::fault::STATUS_CODE;
use crate::worker::action::http_request::fault::TIMED_OUT;
use crate::worker::action::http_request::fault::fault;
use crate::worker::action::reference;
use crate::worker::process;

/// As long as AWS's HTTP Task waits.
const TIMEOUT_SECONDS: f64 = 60.0;
const REDIRECTS_MAX: usize = 5;

static FACTS: Facts = Facts {
    name: "http.request",
    summary: "Sends an HTTP request.",
    details: "HTTP/1.1, over TLS 1.2 or 1.3 with the certificates that this system trusts; no proxy is used. `GET`, \
              `HEAD` and `OPTIONS` count as changing nothing, and are sent by `stepfn plan` too. After a crash a request \
              may be sent again: give the server a key to tell by. A redirect to another server carries no `Headers`.",
    parameters: &[
        Parameter::required(
            "Url",
            Kind::Text,
            "Where to: `http://…` or `https://…`, without user and password.",
        ),
        Parameter::optional(
            "Method",
            Kind::OneOf(&["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"]),
            "`GET` when it is not said.",
        ),
        Parameter::optional(
            "Headers",
            Kind::Variables,
            "Headers by name. A reference to a secret may stand behind a word: `Bearer secret://api/token`.",
        )
        .with(Secrets::Header),
        Parameter::optional("Query", Kind::Variables, "Added to the URL's query, escaped."),
        Parameter::optional(
            "Body",
            Kind::Json,
            "What it carries: a text as it is, anything else as JSON with the fitting `Content-Type`.",
        )
        .with(Secrets::Texts),
        Parameter::optional(
            "SuccessStatusCodes",
            Kind::List(&Kind::Integer(100, 599)),
            "Which status codes are no error; 200 to 299 when it is not said.",
        ),
        Parameter::optional(
            "Redirects",
            Kind::Integer(0, 20),
            "How many redirects are followed; 5 when it is not said. With 0 a redirect is an answer like others.",
        ),
        Parameter::optional(
            "TimeoutSeconds",
            Kind::Integer(1, 86_400),
            "How long all of it may take; 60 when it is not said.",
        ),
        Parameter::optional(
            "CaFile",
            Kind::Path,
            "Certificates (PEM) that are trusted besides the system's.",
        ),
    ],
    one_of: &[],
    result: &[
        Member {
            name: "StatusCode",
            doc: "A number, such as 200.",
        },
        Member {
            name: "StatusText",
            doc: "What the status code means, such as `OK`.",
        },
        Member {
            name: "Headers",
            doc: "A list of values by name in lower case.",
        },
        Member {
            name: "Body",
            doc: "Parsed when the server says it is JSON, else a text; null if there is none.",
        },
        Member {
            name: "BodyBase64",
            doc: "The body, in place of `Body`, when it is not UTF-8.",
        },
    ],
    errors: &[
        fault::CA_FILE,
        fault::INVALID_PARAMETERS,
        fault::REDIRECT_REFUSED,
        fault::SOCKET,
        ErrorName::passing(
            "Http.StatusCode.NNN",
            "The status code `NNN` is none of success, such as `Http.StatusCode.404`. The cause is the result, as JSON.",
        ),
        fault::TIMED_OUT,
        fault::TLS,
        ErrorName::lasting("States.DataLimitExceeded", "The body is larger than the payload quota."),
    ],
    undo: None,
    example: r#"{ "Method": "POST", "Url": "https://api.example.com/v1/hosts", "Body": { "Name.$": "$.Host" } }"#,
};

/// The action.
pub struct HttpRequest;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameters {
    url: String,
    method: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    query: BTreeMap<String, String>,
    body: Option<Value>,
    success_status_codes: Option<Vec<f64>>,
    redirects: Option<f64>,
    timeout_seconds: Option<f64>,
    ca_file: Option<PathBuf>,
}

impl Parameters {
    fn ask(&self, body_bytes_max: usize) -> Result<Ask, StatesError> {
        let invalid = |sentence: String| fault(&INVALID_PARAMETERS, sentence);
        let mut url = exchange::url(&self.url, FACTS.name)?;
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            // The value may be secret, so it is not shown.
            let key = HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| invalid(format!("{name:?} in `Headers` of http.request cannot name a header.")))?;
            let value = HeaderValue::from_str(value).map_err(|_| {
                invalid(format!(
                    "The value of `{name}` in `Headers` of http.request cannot stand in a header."
                ))
            })?;
            headers.insert(key, value);
        }
        let body = match &self.body {
            None => None,
            Some(Value::String(text)) => Some(text.clone().into_bytes()),
            Some(value) => {
                headers
                    .entry(CONTENT_TYPE)
                    .or_insert(HeaderValue::from_static("application/json"));
                Some(value.to_string().into_bytes())
            }
        };
        let method = self.method.as_deref().unwrap_or("GET");
        Ok(Ask {
            method: Method::from_bytes(method.as_bytes())
                .map_err(|_| invalid(format!("`{method}` is no method of http.request.")))?,
            url,
            headers,
            body,
            redirects_max: self.redirects.map_or(REDIRECTS_MAX, |redirects| redirects as usize),
            body_bytes_max,
        })
    }

    fn is_success(&self, status: u16) -> bool {
        match &self.success_status_codes {
            Some(codes) => codes.contains(&f64::from(status)),
            None => (200..300).contains(&status),
        }
    }

    async fn send(&self, work: &mut Work<'_>) -> Result<Value, StatesError> {
        let ask = self.ask(work.output_bytes_max)?;
        let server = exchange::shown(&ask.url);
        let seconds = self.timeout_seconds.unwrap_or(TIMEOUT_SECONDS);
        let sent = async {
            let client = Client::new(self.ca_file.clone()).await?;
            let sent = tokio::time::timeout(Duration::from_secs_f64(seconds), client.send(ask)).await;
            sent.unwrap_or_else(|_| {
                let sentence = format!("No whole answer from {server} in {seconds} seconds.");
                Err(fault(&TIMED_OUT, sentence))
            })
        };
        let answer = alive(work, sent).await?;
        let mut result = result(&answer);
        // Before anything is cut off: half a secret is not found.
        work.reports.scrubber().value(&mut result);
        match self.is_success(answer.status.as_u16()) {
            true => Ok(result),
            false => Err(StatesError::new(
                format!("{STATUS_CODE}.{}", answer.status.as_u16()),
                process::shorten(&result.to_string()),
            )),
        }
    }
}

fn changes_nothing(method: &Method) -> bool {
    [Method::GET, Method::HEAD, Method::OPTIONS].contains(method)
}

fn result(answer: &Answer) -> Value {
    let mut headers = Map::new();
    for (name, value) in &answer.headers {
        let value = Value::from(String::from_utf8_lossy(value.as_bytes()));
        match headers.entry(name.as_str()).or_insert_with(|| json!([])) {
            Value::Array(values) => values.push(value),
            _ => unreachable!("every entry is a list"),
        }
    }
    let is_json = answer.headers.get(CONTENT_TYPE).is_some_and(|content_type| {
        let content_type = String::from_utf8_lossy(content_type.as_bytes()).to_ascii_lowercase();
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        // The last is how AWS's own services call it.
        essence == "application/json" || essence.ends_with("+json") || essence.starts_with("application/x-amz-json")
    });
    let (name, body) = match std::str::from_utf8(&answer.body) {
        Ok("") => ("Body", Value::Null),
        Ok(text) if is_json => ("Body", serde_json::from_str(text).unwrap_or_else(|_| Value::from(text))),
        Ok(text) => ("Body", Value::from(text)),
        Err(_) => ("BodyBase64", Value::from(STANDARD.encode(&answer.body))),
    };
    let mut result = json!({ "StatusCode": answer.status.as_u16(),
        "StatusText": answer.status.canonical_reason().unwrap_or_default(), "Headers": headers });
    result[name] = body;
    result
}

#[async_trait]
impl Action for HttpRequest {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    async fn plan(&self, checked: &Value, work: &mut Work<'_>) -> Result<Plan, StatesError> {
        let parameters: Parameters = action::read(checked)?;
        let ask = parameters.ask(work.output_bytes_max)?;
        // A plan reads no secrets, so it cannot ask with them.
        let is_asked = work.site.planned.is_none() || reference::all(&FACTS, checked).is_empty();
        if changes_nothing(&ask.method) && is_asked {
            return Ok(Plan {
                changes: Vec::new(),
                result: parameters.send(work).await?,
            });
        }
        Ok(Plan {
            changes: vec![format!("{} {}", ask.method, exchange::shown(&ask.url))],
            result: json!({ "StatusCode": 200, "StatusText": "OK", "Headers": {}, "Body": null }),
        })
    }

    async fn apply(&self, parameters: &Value, work: &mut Work<'_>) -> Result<Value, StatesError> {
        let parameters: Parameters = action::read(parameters)?;
        parameters.send(work).await
    }

    async fn undo(&self, _saved: &Saved, _work: &mut Work<'_>) -> Result<Value, StatesError> {
        Ok(Value::Null)
    }
}
