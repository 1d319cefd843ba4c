//! One difference.

use serde_json::Value;
use serde_json::json;

/// A difference, and where it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The way to the state, outermost first: `["Outer", "Branches[0]", "Inner"]`. Empty for the machine itself; ends
    /// with a block when the change is the block's own.
    pub path: Vec<String>,
    /// What is different.
    pub what: What,
}

/// What is different.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// A field has another value, is new, or is gone.
    Field {
        /// Which: `Retry[0].MaxAttempts`.
        field: String,
        /// The first definition's.
        old: Option<Value>,
        /// The second definition's.
        new: Option<Value>,
    },
    /// A list has the same entries in another order.
    Order {
        /// Which: `Choices`.
        field: String,
        /// The index before, for each entry of the list after.
        before: Vec<usize>,
    },
    /// The second definition has the state, the first has not. Holds its type.
    StateAdded(String),
    /// The first definition has the state, the second has not. Holds its type.
    StateRemoved(String),
    /// The state stood in another block.
    StateMoved {
        /// The way to that block; empty for the machine itself.
        from: Vec<String>,
    },
    /// The state had another name, and says and joins the same.
    StateRenamed {
        /// The name before.
        from: String,
    },
}

impl Change {
    /// Returns what kind of difference it is, in a word for programs.
    pub fn category(&self) -> &'static str {
        let (What::Field { field, .. } | What::Order { field, .. }) = &self.what else {
            return "state";
        };
        let end = field.find(['.', '[']).unwrap_or(field.len());
        match &field[..end] {
            "StartAt" => "start",
            "Next" | "End" | "Default" => "transition",
            "TimeoutSeconds" | "TimeoutSecondsPath" | "HeartbeatSeconds" | "HeartbeatSecondsPath" => "timeout",
            "Resource" => "resource",
            "Retry" => "retry",
            "Catch" => "catch",
            "Choices" => "choice",
            "Comment" => "comment",
            "Arguments" | "Assign" | "InputPath" | "ItemSelector" | "Items" | "ItemsPath" | "Output" | "OutputPath"
            | "Parameters" | "Result" | "ResultPath" | "ResultSelector" => "data-flow",
            _ => "other",
        }
    }

    /// Returns it for programs: `{"path": […], "change": …, "category": …}`, with `field`, `old` and `new`, or `field` and
    /// `before`, or `type`, or `from`.
    pub fn to_json(&self) -> Value {
        let mut value = json!({ "path": self.path, "change": "", "category": self.category() });
        match &self.what {
            What::Field { field, old, new } => {
                value["change"] = match (old, new) {
                    (None, _) => "field-added",
                    (_, None) => "field-removed",
                    _ => "field-changed",
                }
                .into();
                value["field"] = field.as_str().into();
                for (name, side) in [("old", old), ("new", new)] {
                    if let Some(side) = side {
                        value[name] = side.clone();
                    }
                }
            }
            What::Order { field, before } => {
                value["change"] = "order-changed".into();
                value["field"] = field.as_str().into();
                value["before"] = json!(before);
            }
            What::StateAdded(kind) => {
                value["change"] = "state-added".into();
                value["type"] = kind.as_str().into();
            }
            What::StateRemoved(kind) => {
                value["change"] = "state-removed".into();
                value["type"] = kind.as_str().into();
            }
            What::StateMoved { from } => {
                value["change"] = "state-moved".into();
                value["from"] = json!(from);
            }
            What::StateRenamed { from } => {
                value["change"] = "state-renamed".into();
                value["from"] = from.as_str().into();
            }
        }
        value
    }
}

impl std::fmt::Display for Change {
    /// One line, without the path.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.what {
            What::Field {
                field,
                old: Some(old),
                new: Some(new),
            } => write!(f, "~ {field}: {} → {}", short(old), short(new)),
            What::Field { field, old, new } => match old.as_ref().or(new.as_ref()) {
                Some(value) if old.is_none() => write!(f, "+ {field}: {}", short(value)),
                Some(value) => write!(f, "- {field}: {}", short(value)),
                None => write!(f, "~ {field}"),
            },
            What::Order { field, before } => {
                let before: Vec<String> = before.iter().map(|index| format!("[{index}]")).collect();
                write!(
                    f,
                    "~ {field}: the same entries in another order, before: {}",
                    before.join(" ")
                )
            }
            What::StateAdded(kind) => write!(f, "+ state added ({kind})"),
            What::StateRemoved(kind) => write!(f, "- state removed ({kind})"),
            What::StateMoved { from } if from.is_empty() => {
                write!(f, "~ moved here from the state machine's own states")
            }
            What::StateMoved { from } => write!(f, "~ moved here from `{}`", from.join(" / ")),
            What::StateRenamed { from } => write!(f, "~ renamed from `{from}`"),
        }
    }
}

/// Writes a value, cut when it is long.
fn short(value: &Value) -> String {
    const CHARS_MAX: usize = 100;
    let text = value.to_string();
    if text.chars().count() <= CHARS_MAX {
        return text;
    }
    text.chars().take(CHARS_MAX - 1).chain(['…']).collect()
}
