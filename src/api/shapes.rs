//! Members that several operations share, and values as the API writes them.

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::api::error::ApiError;
use crate::api::member::Member;
use crate::api::member::Shape;
use crate::model::timestamp::Timestamp;

/// An ARN of a machine, an execution, an activity or an alias.
pub const ARN: Shape = Shape::Text { min: 1, max: 256 };
/// An ARN that may be longer.
pub const LONG_ARN: Shape = Shape::Text { min: 1, max: 2000 };
/// A name.
pub const NAME: Shape = Shape::Text { min: 1, max: 80 };
/// A definition.
pub const DEFINITION: Shape = Shape::Text { min: 1, max: 1_048_576 };
/// A payload.
pub const DATA: Shape = Shape::Text { min: 0, max: 262_144 };
/// `maxResults`.
pub const PAGE_SIZE: Member = Member::optional("maxResults", Shape::Int { min: 0, max: 1000 });
/// `nextToken`.
pub const PAGE_TOKEN: Member = Member::optional("nextToken", Shape::Text { min: 1, max: 1024 });
/// `includedData`.
pub const INCLUDED_DATA: Member = Member::optional("includedData", Shape::OneOf(&["ALL_DATA", "METADATA_ONLY"]));
/// `traceHeader`.
pub const TRACE_HEADER: Member = Member::optional("traceHeader", Shape::Text { min: 0, max: 256 });
/// `taskToken`.
pub const TASK_TOKEN: Member = Member::required("taskToken", Shape::Text { min: 1, max: 2048 });
/// `description` of a version or an alias.
pub const DESCRIPTION: Shape = Shape::Text { min: 0, max: 256 };
/// `error`.
pub const ERROR: Member = Member::optional("error", Shape::Text { min: 0, max: 256 });
/// `cause`.
pub const CAUSE: Member = Member::optional("cause", Shape::Text { min: 0, max: 32_768 });

/// Takes the name of a machine, an execution or an activity.
///
/// # Errors
/// `InvalidName`.
pub fn name(name: &str) -> Result<&str, ApiError> {
    match crate::model::arn::is_name(name) {
        true => Ok(name),
        false => Err(ApiError::new("InvalidName", format!("Invalid Name: '{name}'"))),
    }
}

/// Seconds since 1970 with milliseconds.
pub fn seconds(at: Timestamp) -> Value {
    json!(at.0 as f64 / 1000.0)
}

/// Inserts what is there.
pub fn put(map: &mut Map<String, Value>, name: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        map.insert(name.to_owned(), value.into());
    }
}
