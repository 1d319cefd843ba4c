//! Compares an expected value, which may hold wildcards, with an actual one.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use regex::Regex;
use serde_json::Number;
use serde_json::Value;

use crate::case::Placeholder;

/// Compares values of one case.
#[derive(Clone, Debug)]
pub struct Matcher<'a> {
    placeholders: &'a BTreeMap<String, Placeholder>,
    /// Tokens that may stand inside a longer text, longest first.
    tokens: Vec<&'a str>,
    /// Members that are not compared.
    ignored: BTreeSet<String>,
    /// Members that may be there without being expected.
    allowed: &'static [&'static str],
    bound: BTreeMap<String, String>,
    loose_ids: bool,
    exact: bool,
}

/// The first difference, or none.
pub type Difference = Option<String>;

impl<'a> Matcher<'a> {
    /// Makes a matcher that has not bound a token yet.
    pub fn new(placeholders: &'a BTreeMap<String, Placeholder>) -> Self {
        let inside = placeholders.iter().filter(|(_, placeholder)| !placeholder.whole);
        let mut tokens: Vec<&str> = inside.map(|(token, _)| token.as_str()).collect();
        tokens.sort_by_key(|token| std::cmp::Reverse(token.chars().count()));
        Self {
            placeholders,
            tokens,
            ignored: BTreeSet::new(),
            allowed: &[],
            bound: BTreeMap::new(),
            loose_ids: false,
            exact: false,
        }
    }

    /// Leaves members of these names out of the comparison, wherever they are.
    pub fn ignoring(mut self, names: &BTreeSet<String>) -> Self {
        self.ignored.clone_from(names);
        self
    }

    /// Lets members of these names be there without being expected, wherever they are.
    pub fn allowing(mut self, names: &'static [&'static str]) -> Self {
        self.allowed = names;
        self
    }

    /// Holds JSON text to its white space, the order of its members and the form of its numbers: a recording has lost
    /// these, our own cases have not.
    pub fn exact(mut self, exact: bool) -> Self {
        self.exact = exact;
        self
    }

    /// Tells whether JSON text is held to every byte.
    pub fn is_exact(&self) -> bool {
        self.exact
    }

    /// Takes `#2` and `#7` in a text for the same.
    pub fn with_loose_ids(mut self) -> Self {
        self.loose_ids = true;
        self
    }

    /// Returns the first difference. An expected object or array also matches JSON text in a string.
    pub fn diff(&mut self, expected: &Value, actual: &Value, path: &str) -> Difference {
        let unequal = || Some(format!("{path}: expected {}, got {}", short(expected), short(actual)));
        if let Value::String(text) = expected
            && let Some(placeholder) = self.placeholders.get(text)
            && placeholder.whole
        {
            return match (&placeholder.pattern, actual) {
                (Some(pattern), Value::String(actual)) if !is_match(pattern, actual) => unequal(),
                _ => None,
            };
        }
        match (expected, actual) {
            (Value::Object(_) | Value::Array(_), Value::String(text)) => match serde_json::from_str::<Value>(text) {
                Ok(parsed) if self.exact && !is_compact(text, &parsed) => {
                    Some(format!("{path}: not compact: {}", short(actual)))
                }
                Ok(parsed @ (Value::Object(_) | Value::Array(_))) => self.diff(expected, &parsed, path),
                Ok(_) => unequal(),
                Err(_) => Some(format!(
                    "{path}: expected {}, got the string {}",
                    short(expected),
                    short(actual)
                )),
            },
            (Value::Object(wanted), Value::Object(got)) => {
                let seen = |key: &String| !self.ignored.contains(key);
                if let Some((key, value)) = wanted.iter().find(|(key, _)| seen(key) && !got.contains_key(*key)) {
                    return Some(format!("{path}.{key}: missing, expected {}", short(value)));
                }
                if let Some((key, value)) = got
                    .iter()
                    .find(|(key, _)| seen(key) && !self.allowed.contains(&key.as_str()) && !wanted.contains_key(*key))
                {
                    return Some(format!("{path}.{key}: unexpected {}", short(value)));
                }
                let keys: Vec<&String> = wanted.keys().filter(|key| seen(key)).collect();
                if self.exact && !got.keys().filter(|key| seen(key)).eq(keys.iter().copied()) {
                    return Some(format!("{path}: the members are in another order: {}", short(actual)));
                }
                for key in keys {
                    let difference = match (wanted.get(key), got.get(key)) {
                        (Some(wanted), Some(got)) => self.diff(wanted, got, &format!("{path}.{key}")),
                        _ => None,
                    };
                    if difference.is_some() {
                        return difference;
                    }
                }
                None
            }
            (Value::Array(wanted), Value::Array(got)) => {
                for (index, (wanted, got)) in wanted.iter().zip(got).enumerate() {
                    let difference = self.diff(wanted, got, &format!("{path}[{index}]"));
                    if difference.is_some() {
                        return difference;
                    }
                }
                if wanted.len() == got.len() {
                    None
                } else {
                    Some(format!("{path}: expected {} items, got {}", wanted.len(), got.len()))
                }
            }
            (Value::Number(wanted), Value::Number(got)) if self.numbers(wanted, got) => None,
            (Value::String(wanted), Value::String(got)) if self.text(wanted, got) => None,
            (Value::Bool(_) | Value::Null, _) if expected == actual => None,
            _ => unequal(),
        }
    }

    fn numbers(&self, wanted: &Number, got: &Number) -> bool {
        match self.exact {
            true => wanted.to_string() == got.to_string(),
            false => equal_numbers(wanted, got),
        }
    }

    fn text(&mut self, expected: &str, actual: &str) -> bool {
        if expected == actual {
            return true;
        }
        let loosened = self.loose_ids.then(|| (without_ids(expected), without_ids(actual)));
        let (expected, actual) = match &loosened {
            Some((expected, actual)) => (expected.as_str(), actual.as_str()),
            None => (expected, actual),
        };
        if expected == actual {
            return true;
        }
        if !self.exact
            && let (Ok(wanted @ (Value::Object(_) | Value::Array(_))), Ok(got)) = (
                serde_json::from_str::<Value>(expected),
                serde_json::from_str::<Value>(actual),
            )
            && self.diff(&wanted, &got, "$").is_none()
        {
            return true;
        }
        self.wildcards(expected, actual)
    }

    fn wildcards(&mut self, expected: &str, actual: &str) -> bool {
        let mut pattern = String::from("(?s)^");
        let mut groups: Vec<&str> = Vec::new();
        let mut rest = expected;
        let mut literal = String::new();
        let mut any = false;
        while let Some(first) = rest.chars().next() {
            let Some(token) = self.tokens.iter().copied().find(|token| rest.starts_with(token)) else {
                literal.push(first);
                rest = rest.get(first.len_utf8()..).unwrap_or_default();
                continue;
            };
            any = true;
            rest = rest.get(token.len()..).unwrap_or_default();
            pattern.push_str(&regex::escape(&literal));
            literal.clear();
            let Some(placeholder) = self.placeholders.get(token) else {
                continue;
            };
            let inner = placeholder.pattern.as_deref().unwrap_or(".+?");
            let escaped = regex::escape(token);
            if let Some(value) = &placeholder.value {
                pattern.push_str(&format!("(?:{}|{escaped})", regex::escape(value)));
            } else if let Some(bound) = self.bound.get(token) {
                pattern.push_str(&regex::escape(bound));
            } else if placeholder.bind {
                pattern.push_str(&format!("(?P<g{}>{inner})", groups.len()));
                groups.push(token);
            } else {
                pattern.push_str(&format!("(?:{inner}|{escaped})"));
            }
        }
        if !any {
            return false;
        }
        pattern.push_str(&regex::escape(&literal));
        pattern.push('$');
        let Some(found) = Regex::new(&pattern).ok().and_then(|regex| regex.captures(actual)) else {
            return false;
        };
        // The same token twice must be the same text: this engine has no back references.
        let mut fresh: BTreeMap<&str, &str> = BTreeMap::new();
        for (index, token) in groups.iter().enumerate() {
            let text = found.name(&format!("g{index}")).map_or("", |group| group.as_str());
            if *fresh.entry(token).or_insert(text) != text {
                return false;
            }
        }
        for (token, text) in fresh {
            self.bound.insert(token.to_owned(), text.to_owned());
        }
        true
    }
}

fn is_compact(text: &str, parsed: &Value) -> bool {
    let compact = parsed.to_string();
    compact == text
}

fn is_match(pattern: &str, text: &str) -> bool {
    Regex::new(&format!("(?s)^(?:{pattern})$")).is_ok_and(|regex| regex.is_match(text))
}

/// Prints a value, cut after 160 characters.
pub fn short(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    };
    match text.char_indices().nth(160) {
        None => text,
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
    }
}

fn equal_numbers(left: &Number, right: &Number) -> bool {
    match (left.as_i64(), right.as_i64()) {
        (Some(left), Some(right)) => left == right,
        _ => left.as_f64() == right.as_f64(),
    }
}

fn without_ids(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        out.push(char);
        if char == '#' && chars.peek().is_some_and(char::is_ascii_digit) {
            while chars.peek().is_some_and(char::is_ascii_digit) {
                chars.next();
            }
            out.push('N');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn table() -> BTreeMap<String, Placeholder> {
        let bind = |pattern: &str| Placeholder {
            pattern: Some(pattern.to_owned()),
            bind: true,
            ..Placeholder::default()
        };
        let whole = Placeholder {
            whole: true,
            ..Placeholder::default()
        };
        let value = Placeholder {
            value: Some("queue".to_owned()),
            ..Placeholder::default()
        };
        BTreeMap::from([
            ("<a>".to_owned(), bind("[a-z]+")),
            ("timestamp".to_owned(), whole),
            ("<q>".to_owned(), value),
        ])
    }

    #[test]
    fn values_match_with_wildcards() {
        let table = table();
        let same = [
            (json!({"a": 1}), json!({"a": 1.0})),
            (json!({"a": 1}), json!("{ \"a\": 1 }")),
            (json!("[1, 2]"), json!("[1,2]")),
            (json!("x-<a>-<a>"), json!("x-bc-bc")),
            (json!("timestamp"), json!({"any": "thing"})),
            (json!("to <q>!"), json!("to queue!")),
            (json!(null), json!(null)),
        ];
        for (expected, actual) in same {
            assert_eq!(Matcher::new(&table).diff(&expected, &actual, "$"), None, "{expected}");
        }
        let other = [
            (json!({"a": 1}), json!({"a": 1, "b": 2})),
            (json!({"a": 1}), json!({})),
            (json!("1"), json!("1.0")),
            (json!(true), json!(1)),
            (json!([1]), json!([1, 2])),
            (json!("x-<a>-<a>"), json!("x-bc-bd")),
            (json!("a timestamp"), json!("a date")),
        ];
        for (expected, actual) in other {
            assert!(
                Matcher::new(&table).diff(&expected, &actual, "$").is_some(),
                "{expected}"
            );
        }
    }

    #[test]
    fn exact_texts_keep_order_spaces_and_numbers() {
        let table = table();
        let mut matcher = Matcher::new(&table).exact(true);
        for (expected, actual) in [
            (json!({"a": 1, "b": 2}), json!(r#"{"b":2,"a":1}"#)),
            (json!({"a": 1}), json!(r#"{"a":1.0}"#)),
            (json!({"a": 1}), json!(r#"{"a": 1}"#)),
            (json!(r#"{"a":1}"#), json!(r#"{"a": 1}"#)),
        ] {
            assert!(matcher.diff(&expected, &actual, "$").is_some(), "{expected}");
        }
        let same = (json!({"a": 1, "b": 2}), json!(r#"{"a":1,"b":2}"#));
        assert_eq!(matcher.diff(&same.0, &same.1, "$"), None);
    }

    #[test]
    fn a_bound_token_stays_the_same_text() {
        let table = table();
        let mut matcher = Matcher::new(&table);
        assert_eq!(matcher.diff(&json!("<a>"), &json!("x"), "$"), None);
        assert!(matcher.diff(&json!("<a>"), &json!("y"), "$").is_some());
    }

    #[test]
    fn loose_ids_ignore_event_numbers() {
        let table = table();
        let (expected, actual) = (json!("event id #12)."), json!("event id #3)."));
        assert!(Matcher::new(&table).diff(&expected, &actual, "$").is_some());
        assert_eq!(
            Matcher::new(&table).with_loose_ids().diff(&expected, &actual, "$"),
            None
        );
    }
}
