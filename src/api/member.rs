//! What a request may hold, and AWS's words for what it must not.

use serde_json::Map;
use serde_json::Value;

use crate::api::error::ApiError;

/// One member of a request.
#[derive(Clone, Copy, Debug)]
pub struct Member {
    /// Its name.
    pub name: &'static str,
    /// It must be there.
    pub is_required: bool,
    /// What it is.
    pub shape: Shape,
}

/// What a member is.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// `true` or `false`.
    Bool,
    /// A number with bounds.
    Float {
        /// Smallest.
        min: f64,
        /// Largest.
        max: f64,
    },
    /// A whole number with bounds.
    Int {
        /// Smallest.
        min: i64,
        /// Largest.
        max: i64,
    },
    /// A list.
    List {
        /// Fewest.
        min: usize,
        /// Most.
        max: usize,
        /// What each is.
        item: &'static Self,
    },
    /// A structure, by its name in the service's model.
    Object {
        /// Its name.
        name: &'static str,
        /// Its members.
        members: &'static [Member],
    },
    /// One of a few words.
    OneOf(&'static [&'static str]),
    /// A text with bounds in characters.
    Text {
        /// Shortest.
        min: usize,
        /// Longest.
        max: usize,
    },
    /// A text with bounds whose characters are checked, too.
    Word {
        /// Shortest.
        min: usize,
        /// Longest.
        max: usize,
        /// The pattern, as AWS shows it.
        pattern: &'static str,
        /// Tells whether a text fits.
        fits: fn(&str) -> bool,
    },
}

impl Member {
    /// A member that must be there.
    pub const fn required(name: &'static str, shape: Shape) -> Self {
        Self {
            name,
            is_required: true,
            shape,
        }
    }

    /// A member that may be there.
    pub const fn optional(name: &'static str, shape: Shape) -> Self {
        Self {
            name,
            is_required: false,
            shape,
        }
    }
}

/// Checks a request against its members. Members that are not known are ignored, as AWS does.
///
/// # Errors
/// `SerializationException` for a value of another kind; `ValidationException` that counts every broken bound.
pub fn check(members: &[Member], given: &Map<String, Value>) -> Result<(), ApiError> {
    let mut findings = Vec::new();
    check_members(members, given, "", &mut findings)?;
    if findings.is_empty() {
        return Ok(());
    }
    let n = findings.len();
    let errors = if n == 1 { "error" } else { "errors" };
    Err(ApiError::validation(format!(
        "{n} validation {errors} detected: {}",
        findings.join("; ")
    )))
}

fn check_members(
    members: &[Member],
    given: &Map<String, Value>,
    prefix: &str,
    findings: &mut Vec<String>,
) -> Result<(), ApiError> {
    for member in members {
        let path = format!("{prefix}{}", member.name);
        match given.get(member.name) {
            None | Some(Value::Null) if member.is_required => {
                findings.push(finding("null", &path, "Member must not be null"));
            }
            None | Some(Value::Null) => {}
            Some(value) => check_value(&member.shape, value, &path, findings)?,
        }
    }
    Ok(())
}

fn check_value(shape: &Shape, value: &Value, path: &str, findings: &mut Vec<String>) -> Result<(), ApiError> {
    let wrong_kind = |kind: &str| {
        ApiError::new(
            "SerializationException",
            format!("{} can not be converted to {kind}", kind_of(value)),
        )
    };
    match shape {
        Shape::Bool => value.as_bool().map(|_| ()).ok_or_else(|| wrong_kind("a Boolean")),
        Shape::Float { min, max } => {
            let number = value.as_f64().ok_or_else(|| wrong_kind("a Float"))?;
            bound(number < *min, value, path, "greater", min, findings);
            bound(*max < number, value, path, "less", max, findings);
            Ok(())
        }
        Shape::Int { min, max } => {
            let number = value.as_i64().ok_or_else(|| wrong_kind("an Integer"))?;
            bound(number < *min, value, path, "greater", min, findings);
            bound(*max < number, value, path, "less", max, findings);
            Ok(())
        }
        Shape::List { min, max, item } => {
            let items = value.as_array().ok_or_else(|| wrong_kind("a List"))?;
            let shown = show(shape, value);
            length(items.len(), *min, *max, &shown, path, findings);
            for (index, value) in items.iter().enumerate() {
                check_value(item, value, &format!("{path}.{}.member", index + 1), findings)?;
            }
            Ok(())
        }
        Shape::Object { members, .. } => {
            let object = value.as_object().ok_or_else(|| wrong_kind("a Structure"))?;
            check_members(members, object, &format!("{path}."), findings)
        }
        Shape::OneOf(words) => {
            let word = value.as_str().ok_or_else(|| wrong_kind("a String"))?;
            if !words.contains(&word) {
                let constraint = format!("Member must satisfy enum value set: [{}]", words.join(", "));
                findings.push(finding(&quoted(word), path, &constraint));
            }
            Ok(())
        }
        Shape::Text { min, max } => {
            let text = value.as_str().ok_or_else(|| wrong_kind("a String"))?;
            length(text.chars().count(), *min, *max, text, path, findings);
            Ok(())
        }
        Shape::Word {
            min,
            max,
            pattern,
            fits,
        } => {
            let text = value.as_str().ok_or_else(|| wrong_kind("a String"))?;
            length(text.chars().count(), *min, *max, text, path, findings);
            if !fits(text) {
                let constraint = format!("Member must satisfy regular expression pattern: {pattern}");
                findings.push(finding(&quoted(text), path, &constraint));
            }
            Ok(())
        }
    }
}

fn bound(
    is_broken: bool,
    value: &Value,
    path: &str,
    side: &str,
    limit: &dyn std::fmt::Display,
    findings: &mut Vec<String>,
) {
    if is_broken {
        let constraint = format!("Member must have value {side} than or equal to {limit}");
        findings.push(finding(&quoted(&value.to_string()), path, &constraint));
    }
}

fn length(n: usize, min: usize, max: usize, shown: &str, path: &str, findings: &mut Vec<String>) {
    if n < min {
        let constraint = format!("Member must have length greater than or equal to {min}");
        findings.push(finding(&quoted(shown), path, &constraint));
    }
    if max < n {
        let constraint = format!("Member must have length less than or equal to {max}");
        findings.push(finding(&quoted(shown), path, &constraint));
    }
}

fn finding(value: &str, path: &str, constraint: &str) -> String {
    let value = if value == "null" {
        "null".to_owned()
    } else {
        value.to_owned()
    };
    format!("Value {value} at '{path}' failed to satisfy constraint: {constraint}")
}

fn quoted(text: &str) -> String {
    format!("'{text}'")
}

/// A value as Java prints it: `[RoutingConfigurationListItem(stateMachineVersionArn=…, weight=50)]`.
fn show(shape: &Shape, value: &Value) -> String {
    match (shape, value) {
        (_, Value::Null) => "null".to_owned(),
        (Shape::List { item, .. }, Value::Array(items)) => {
            let items: Vec<String> = items.iter().map(|value| show(item, value)).collect();
            format!("[{}]", items.join(", "))
        }
        (Shape::Object { name, members }, Value::Object(object)) => {
            let members: Vec<String> = members
                .iter()
                .map(|member| {
                    let value = object.get(member.name).unwrap_or(&Value::Null);
                    format!("{}={}", member.name, show(&member.shape, value))
                })
                .collect();
            format!("{name}({})", members.join(", "))
        }
        (_, Value::String(text)) => text.clone(),
        (_, other) => other.to_string(),
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "NULL_VALUE",
        Value::Bool(true) => "TRUE_VALUE",
        Value::Bool(false) => "FALSE_VALUE",
        Value::Number(_) => "NUMBER_VALUE",
        Value::String(_) => "STRING_VALUE",
        Value::Array(_) => "START_ARRAY",
        Value::Object(_) => "START_OBJECT",
    }
}
