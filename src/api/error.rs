//! AWS's exceptions.

use serde_json::Map;
use serde_json::Value;

use crate::identity::refusal::Refusal;
use crate::model::arn::ArnError;
use crate::store::StoreError;

/// What goes back to the client, and what stays here for the log.
#[derive(Clone, Debug)]
pub struct ApiError {
    /// AWS's exception name.
    pub name: &'static str,
    /// HTTP status.
    pub status: u16,
    /// The outward message.
    pub message: String,
    /// More members, for example `reason`.
    pub members: Box<Map<String, Value>>,
    /// What happened here; never sent.
    pub source: Option<String>,
}

/// The answer of an operation.
pub type Answer = Result<Value, ApiError>;

impl ApiError {
    /// Makes an error of the client.
    pub fn new(name: &'static str, message: impl Into<String>) -> Self {
        Self {
            name,
            status: 400,
            message: message.into(),
            members: Box::default(),
            source: None,
        }
    }

    /// `ValidationException`.
    pub fn validation(message: impl Into<String>) -> Self {
        Self::new("ValidationException", message)
    }

    /// An error of the server; the client learns no more than that.
    pub fn internal(source: impl Into<String>) -> Self {
        Self {
            status: 500,
            source: Some(source.into()),
            ..Self::new(
                "InternalFailure",
                "The request processing has failed because of an unknown error.",
            )
        }
    }

    /// Adds a member.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.members.insert(name.to_owned(), value.into());
        self
    }

    /// Returns the body.
    pub fn body(&self) -> Value {
        let mut body = Map::new();
        body.insert(
            "__type".to_owned(),
            Value::from(format!("com.amazonaws.swf.service.v2.model#{}", self.name)),
        );
        body.insert("message".to_owned(), Value::from(self.message.as_str()));
        body.extend((*self.members).clone());
        Value::Object(body)
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Stopped(_) => Self {
                status: 503,
                source: Some(error.to_string()),
                ..Self::new("ServiceUnavailable", "The service is temporarily unavailable.")
            },
            _ => Self::internal(error.to_string()),
        }
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        Self {
            status: refusal.status,
            ..Self::new(refusal.name, refusal.message)
        }
    }
}

impl From<ArnError> for ApiError {
    fn from(error: ArnError) -> Self {
        Self::new("InvalidArn", format!("Invalid Arn: '{error}'"))
    }
}
