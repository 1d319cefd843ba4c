//! Somebody who asks, with what decides about them.

use std::sync::Arc;

use serde_json::Map;
use serde_json::Value;

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
    /// The role of the state machine whose task asks in their name.
    pub machine_role: Option<Arc<str>>,
}

impl Caller {
    /// Makes one in no group.
    pub fn new(principal: Principal) -> Self {
        Self {
            principal: Arc::new(principal),
            groups: Vec::new(),
            claims: Map::new(),
            machine_role: None,
        }
    }
}
