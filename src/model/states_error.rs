//! The error pair of the States Language.

use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;

/// `Error` and `Cause`, as they travel through Retry and Catch and end in history. Both may be absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatesError {
    /// The error name, for example `States.Timeout`.
    pub name: Option<String>,
    /// The text that explains it.
    pub cause: Option<String>,
}

impl StatesError {
    /// Makes a pair with both members.
    pub fn new(name: impl Into<String>, cause: impl Into<String>) -> Self {
        Self {
            name: Some(name.into()),
            cause: Some(cause.into()),
        }
    }

    /// Makes a pair without a cause.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: Some(name.into()),
            cause: None,
        }
    }

    /// Returns the error output that a catcher sees: `{"Error": …, "Cause": …}`.
    ///
    /// A timeout has no cause in its event but an empty one here (recorded); a failure without either
    /// member has `null` for both (recorded).
    pub fn output(&self) -> Value {
        let cause = match (&self.cause, self.name.as_deref()) {
            (Some(cause), _) => Value::from(cause.as_str()),
            (None, Some("States.Timeout" | "States.HeartbeatTimeout")) => Value::from(""),
            (None, _) => Value::Null,
        };
        let mut map = serde_json::Map::with_capacity(2);
        map.insert(
            "Error".to_owned(),
            self.name.as_deref().map_or(Value::Null, Value::from),
        );
        map.insert("Cause".to_owned(), cause);
        Value::Object(map)
    }
}
