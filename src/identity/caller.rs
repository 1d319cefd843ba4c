//! Somebody who asks, with what decides about them.

use std::sync::Arc;

use serde_json::Map;
use serde_json::Value;

use crate::identity::account;
use crate::model::principal::Principal;

/// Who asks: the principal that is kept, and what is only looked at while their request is decided.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Who.
    pub principal: Arc<Principal>,
    /// The Debian groups that count.
    pub groups: Vec<Arc<str>>,
    /// The claims of their token.
    pub claims: Map<String, Value>,
}

impl Caller {
    /// Makes one in the groups that the name service gives their user at this moment.
    pub fn of_now(principal: Principal) -> Self {
        let groups = match principal.uid {
            Some(uid) => account::groups_of(uid).unwrap_or_else(|error| {
                tracing::warn!(%error, "The name service does not answer, so no group counts.");
                Vec::new()
            }),
            None => Vec::new(),
        };
        Self {
            groups,
            ..Self::new(principal)
        }
    }

    /// Makes one in no group.
    pub fn new(principal: Principal) -> Self {
        Self {
            principal: Arc::new(principal),
            groups: Vec::new(),
            claims: Map::new(),
        }
    }
}
