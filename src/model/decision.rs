//! What was decided about a request.

use std::sync::Arc;

use serde::Deserialize;
use serde::Serialize;

/// Whether somebody may do what they asked for, and what says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Whether they may.
    #[serde(rename = "allowed")]
    pub is_allowed: bool,
    /// The rule that decided, as a sentence's subject: a file with its line, or a rule that is built in.
    pub rule: Arc<str>,
}

impl Decision {
    /// Says that `rule` allows it.
    pub fn allowed(rule: impl Into<Arc<str>>) -> Self {
        Self {
            is_allowed: true,
            rule: rule.into(),
        }
    }

    /// Says that `rule` refuses it.
    pub fn refused(rule: impl Into<Arc<str>>) -> Self {
        Self {
            is_allowed: false,
            rule: rule.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_is_kept_with_its_rule() {
        let decision = Decision::refused("roles.d/ops.toml:4");
        let text = serde_json::to_string(&decision).unwrap();
        expect_test::expect![[r#"{"allowed":false,"rule":"roles.d/ops.toml:4"}"#]].assert_eq(&text);
        assert_eq!(serde_json::from_str::<Decision>(&text).unwrap(), decision);
    }
}
