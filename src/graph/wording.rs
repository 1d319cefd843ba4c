//! Says in a few words what a state does and when an edge is taken.

use std::sync::Arc;

use serde_json::Value;

use crate::asl::definition::State;
use crate::asl::definition::StateKind;
use crate::model::history_event::StateType;

/// Longest line before it is cut, in characters.
const LINE_CHARS_MAX: usize = 120;

/// Deepest nesting of `And`, `Or` and `Not` that a label shows.
const DEPTH_MAX: usize = 4;

/// Cuts a text that is too long for a picture, and makes one line of it.
fn short(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    if line.chars().count() <= LINE_CHARS_MAX {
        return line;
    }
    let mut cut: String = line.chars().take(LINE_CHARS_MAX - 1).collect();
    cut.push('…');
    cut
}

/// Says when a Choice rule matches: `$.count > 3 and $.name is present`.
pub(super) fn condition(rule: &Value) -> String {
    short(&part(rule, 0))
}

fn part(rule: &Value, depth: usize) -> String {
    if DEPTH_MAX < depth {
        return "…".to_owned();
    }
    if let Some(condition) = rule.get("Condition") {
        return match condition {
            Value::String(text) => expression(text).to_owned(),
            other => other.to_string(),
        };
    }
    for (key, word) in [("And", " and "), ("Or", " or ")] {
        if let Some(rules) = rule.get(key).and_then(Value::as_array) {
            let parts = rules.iter().map(|rule| {
                let text = part(rule, depth + 1);
                let is_list = ["And", "Or"].iter().any(|key| rule.get(*key).is_some());
                if is_list { format!("({text})") } else { text }
            });
            return parts.collect::<Vec<_>>().join(word);
        }
    }
    if let Some(inner) = rule.get("Not") {
        return format!("not ({})", part(inner, depth + 1));
    }
    let variable = rule.get("Variable").and_then(Value::as_str).unwrap_or_default();
    let members = rule.as_object().into_iter().flatten();
    let mut comparisons = members.filter_map(|(key, value)| comparison(key, value));
    format!("{variable} {}", comparisons.next().unwrap_or_default())
}

fn comparison(key: &str, value: &Value) -> Option<String> {
    if let Some(what) = key.strip_prefix("Is") {
        let not = if value == &Value::Bool(false) { "not " } else { "" };
        let what = match what {
            "Boolean" => "a boolean",
            "Null" => "null",
            "Numeric" => "a number",
            "Present" => "present",
            "String" => "a string",
            "Timestamp" => "a timestamp",
            _ => return None,
        };
        return Some(format!("is {not}{what}"));
    }
    if key == "StringMatches" {
        return Some(format!("matches {value}"));
    }
    let (operator, is_path) = match key.strip_suffix("Path") {
        Some(operator) => (operator, true),
        None => (key, false),
    };
    let operator = ["Boolean", "Numeric", "String", "Timestamp"]
        .iter()
        .find_map(|kind| operator.strip_prefix(kind))?;
    let sign = match operator {
        "Equals" => "==",
        "GreaterThan" => ">",
        "GreaterThanEquals" => ">=",
        "LessThan" => "<",
        "LessThanEquals" => "<=",
        _ => return None,
    };
    Some(match value {
        Value::String(path) if is_path => format!("{sign} {path}"),
        value => format!("{sign} {value}"),
    })
}

/// Returns a JSONata expression without its marks.
fn expression(text: &str) -> &str {
    let inner = text.trim().strip_prefix("{%").and_then(|rest| rest.strip_suffix("%}"));
    inner.unwrap_or(text).trim()
}

/// Says which errors a catcher takes.
pub(super) fn errors(catcher: &Value, compiled: &[Arc<str>]) -> String {
    let written = catcher.get("ErrorEquals").and_then(Value::as_array);
    let names: Vec<&str> = match written {
        Some(names) => names.iter().filter_map(Value::as_str).collect(),
        None => compiled.iter().map(|name| &**name).collect(),
    };
    short(&names.join(", "))
}

/// Says what a state does, one line for each thing.
pub(super) fn details(state: &State, source: &Value) -> Vec<String> {
    let mut lines = vec![short(&what(state, source))];
    for (what, name) in [("timeout", "TimeoutSeconds"), ("heartbeat", "HeartbeatSeconds")] {
        let value = source.get(name).or_else(|| source.get(format!("{name}Path")));
        if let Some(value) = value {
            lines.push(short(&format!("{what} {}", seconds(value))));
        }
    }
    match state.retriers.as_slice() {
        [] => {}
        [retrier] => lines.push(format!("↻ retries {}×", retrier.max_attempts)),
        retriers => lines.push(format!("↻ {} retriers", retriers.len())),
    }
    lines
}

fn seconds(value: &Value) -> String {
    match value {
        Value::String(text) => expression(text).to_owned(),
        number => format!("{number} s"),
    }
}

fn what(state: &State, source: &Value) -> String {
    let kind = state.state_type().name();
    let text = |name: &str| source.get(name).and_then(Value::as_str);
    match &state.kind {
        StateKind::Task(task) => resource(text("Resource").unwrap_or(&task.resource.arn)),
        StateKind::Wait(_) => {
            let member = |name: &str| source.get(name).or_else(|| source.get(format!("{name}Path")));
            match (member("Seconds"), member("Timestamp")) {
                (Some(value), _) => format!("{kind} {}", seconds(value)),
                (_, Some(Value::String(instant))) => format!("{kind} until {}", expression(instant)),
                _ => kind.to_owned(),
            }
        }
        StateKind::Fail(_) => match text("Error").or_else(|| text("ErrorPath")) {
            Some(error) => format!("{kind}: {}", expression(error)),
            None => kind.to_owned(),
        },
        StateKind::Map(map) => {
            let mode = match map.mode {
                crate::asl::definition::MapMode::Distributed { .. } => "Distributed ",
                crate::asl::definition::MapMode::Inline => "",
            };
            match source
                .get("MaxConcurrency")
                .or_else(|| source.get("MaxConcurrencyPath"))
            {
                Some(Value::String(path)) => format!("{mode}{kind}, at once: {}", expression(path)),
                Some(number) if number.as_f64() != Some(0.0) => format!("{mode}{kind}, {number} at once"),
                _ => format!("{mode}{kind}"),
            }
        }
        _ => kind.to_owned(),
    }
}

/// Shortens a resource to what tells it from others.
fn resource(arn: &str) -> String {
    let pieces: Vec<&str> = arn.splitn(6, ':').collect();
    let ["arn", _, service, _, _, rest] = pieces.as_slice() else {
        return format!("{} {arn}", StateType::Task.name());
    };
    match (*service, rest.split_once(':')) {
        ("states", Some(("activity", name))) => format!("Activity {name}"),
        ("states", _) => (*rest).to_owned(),
        ("lambda", Some(("function", name))) => format!("Lambda {name}"),
        _ => format!("{service} {rest}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn conditions_read_like_sentences() {
        for (rule, said) in [
            (json!({"Variable": "$.a", "NumericGreaterThanEquals": 3}), "$.a >= 3"),
            (json!({"Variable": "$.a", "StringEquals": "x"}), "$.a == \"x\""),
            (json!({"Variable": "$.a", "StringLessThanPath": "$.b"}), "$.a < $.b"),
            (
                json!({"Variable": "$.a", "StringMatches": "log-*"}),
                "$.a matches \"log-*\"",
            ),
            (json!({"Variable": "$.a", "IsPresent": false}), "$.a is not present"),
            (json!({"Variable": "$.a", "BooleanEquals": true}), "$.a == true"),
            (json!({"Not": {"Variable": "$.a", "IsNull": true}}), "not ($.a is null)"),
            (
                json!({"And": [
                    {"Variable": "$.a", "IsString": true},
                    {"Or": [{"Variable": "$.b", "IsNumeric": true}, {"Variable": "$.c", "IsBoolean": true}]},
                ]}),
                "$.a is a string and ($.b is a number or $.c is a boolean)",
            ),
            (json!({"Condition": "{% $n\n  > 3 %}"}), "$n > 3"),
            (json!({"Condition": true}), "true"),
        ] {
            assert_eq!(condition(&rule), said, "{rule}");
        }
    }

    #[test]
    fn endless_conditions_are_cut() {
        let mut rule = json!({"Variable": "$.a", "IsNull": true});
        for _ in 0..100 {
            rule = json!({"Not": rule});
        }
        assert_eq!(condition(&rule), "not (not (not (not (not (…)))))");
        let long = json!({"Variable": "$.a", "StringEquals": "x".repeat(1000)});
        assert_eq!(condition(&long).chars().count(), LINE_CHARS_MAX);
    }

    #[test]
    fn resources_are_shortened() {
        for (arn, said) in [
            (
                "arn:aws:states:::lambda:invoke.waitForTaskToken",
                "lambda:invoke.waitForTaskToken",
            ),
            ("arn:aws:lambda:us-east-1:123456789012:function:Pay:3", "Lambda Pay:3"),
            ("arn:aws:states:us-east-1:123456789012:activity:ask", "Activity ask"),
            ("${PayFunction}", "Task ${PayFunction}"),
        ] {
            assert_eq!(resource(arn), said);
        }
    }
}
