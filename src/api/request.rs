//! A request whose members were checked.

use std::sync::Arc;

use serde_json::Map;
use serde_json::Value;

use crate::identity::caller::Caller;
use crate::model::decision::Decision;
use crate::model::states_error::StatesError;

/// The members of a request. Kinds and bounds were checked, so that a getter only has to look.
#[derive(Clone, Debug)]
pub struct Request {
    members: Map<String, Value>,
    /// The `X-Amzn-Trace-Id` header.
    pub trace_header: Option<Arc<str>>,
    /// Who asks.
    pub caller: Arc<Caller>,
    /// What allowed it.
    pub decision: Option<Decision>,
}

impl Request {
    /// Wraps checked members.
    pub fn new(members: Map<String, Value>, caller: Arc<Caller>) -> Self {
        Self {
            members,
            trace_header: None,
            caller,
            decision: None,
        }
    }

    /// Returns a member; `null` is as good as absent.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.members.get(name).filter(|value| !value.is_null())
    }

    /// Returns a text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_str()
    }

    /// Returns a text that the check requires.
    pub fn required(&self, name: &str) -> &str {
        self.text(name).unwrap_or_default()
    }

    /// Returns `error` and `cause`.
    pub fn error(&self) -> StatesError {
        StatesError {
            name: self.text("error").map(ToOwned::to_owned),
            cause: self.text("cause").map(ToOwned::to_owned),
        }
    }

    /// Returns a whole number.
    pub fn int(&self, name: &str) -> Option<i64> {
        self.get(name)?.as_i64()
    }

    /// Returns a switch; off when absent.
    pub fn flag(&self, name: &str) -> bool {
        self.get(name).and_then(Value::as_bool).unwrap_or(false)
    }

    /// Returns how many rows a page has: `maxResults`, where 0 and nothing mean 100.
    pub fn page_size(&self) -> usize {
        match self.int("maxResults") {
            None | Some(0) => 100,
            Some(n) => usize::try_from(n).unwrap_or(100),
        }
    }

    /// Returns the members without those that only page through a list: what a page token is bound to.
    pub fn query(&self) -> String {
        let mut members: Vec<(&String, &Value)> = self
            .members
            .iter()
            .filter(|(name, value)| *name != "nextToken" && *name != "maxResults" && !value.is_null())
            .collect();
        members.sort_by_key(|(name, _)| *name);
        members.iter().map(|(name, value)| format!("{name}={value};")).collect()
    }
}
