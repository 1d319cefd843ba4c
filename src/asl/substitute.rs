//! Fills `${Name}` placeholders.

use std::collections::BTreeMap;

use crate::asl::diagnostic::Diagnostic;
use crate::asl::load::Format;
use crate::asl::load::Options;
use crate::asl::node::Kind;
use crate::asl::node::Node;
use crate::asl::text;
use crate::asl::yaml;
use crate::model::span::Span;
use crate::query::jsonata::expression::Expression;

/// Returns the placeholder that begins at byte `at`: its name and the byte behind it.
pub(crate) fn placeholder_at(text: &str, at: usize) -> Option<(&str, usize)> {
    let rest = text.get(at..)?.strip_prefix("${")?;
    // The search stops at the first character that no name has: a text of a thousand `${` is read once.
    let end = rest.find(|c: char| !is_name_char(c))?;
    let (name, rest) = rest.split_at(end);
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && rest.starts_with('}');
    is_name.then_some((name, at + 2 + end + 1))
}

/// Returns the placeholder that is the whole text.
pub(crate) fn whole_placeholder(text: &str) -> Option<&str> {
    placeholder_at(text, 0)
        .filter(|(_, end)| *end == text.len())
        .map(|(name, _)| name)
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | ':')
}

/// Fills every placeholder of the tree. One that has no value is a finding, unless it may stay open or is
/// only a part of a longer text, which may be meant as it is (a shell's `${HOME}`).
pub(crate) fn fill(root: &mut Node, options: &Options, findings: &mut Vec<Diagnostic>) {
    let mut queue = vec![root];
    while let Some(node) = queue.pop() {
        let filled = match &node.kind {
            Kind::Placeholder(name) => Some(bare(name, node.span, options, findings)),
            Kind::String(text) if text.contains("${") => Some(quoted(text, node.span, options, findings)),
            _ => None,
        };
        if let Some(kind) = filled {
            node.kind = kind;
            continue;
        }
        match &mut node.kind {
            Kind::Array(elements) => queue.extend(elements.iter_mut().rev()),
            Kind::Object(members) => {
                for member in members.iter_mut().rev() {
                    if member.key.contains("${") {
                        member.key = replace(&member.key, &options.substitutions);
                    }
                    queue.push(&mut member.value);
                }
            }
            _ => {}
        }
    }
}

/// A placeholder outside quotes stands for a whole value.
fn bare(name: &str, span: Span, options: &Options, findings: &mut Vec<Diagnostic>) -> Kind {
    let Some(value) = options.substitutions.get(name) else {
        if !options.open_placeholders {
            findings.push(missing(name, span));
        }
        return Kind::Open("x".to_owned());
    };
    if options.format == Format::Yaml {
        return yaml::plain_scalar(value);
    }
    match text::parse(value) {
        Ok(mut node) => {
            set_span(&mut node, span);
            node.kind
        }
        Err(_) => {
            findings.push(Diagnostic {
                code: "INVALID_SUBSTITUTION",
                message: format!("The value of the placeholder '${{{name}}}' stands outside quotes but is not JSON"),
                location: None,
                span: Some(span),
            });
            Kind::Null
        }
    }
}

fn quoted(text: &str, span: Span, options: &Options, findings: &mut Vec<Diagnostic>) -> Kind {
    let filled = replace(text, &options.substitutions);
    let Some(name) = first_open(text, &options.substitutions) else {
        return Kind::String(filled);
    };
    if options.open_placeholders {
        let stand_in = if Expression::is_expression(&filled) { "1" } else { "x" };
        return Kind::Open(stand_ins(&filled, stand_in));
    }
    if whole_placeholder(text).is_some() || text.starts_with("arn:") {
        findings.push(missing(name, span));
    }
    Kind::String(filled)
}

fn missing(name: &str, span: Span) -> Diagnostic {
    Diagnostic {
        code: "MISSING_SUBSTITUTION",
        message: format!("The placeholder '${{{name}}}' has no value"),
        location: None,
        span: Some(span),
    }
}

fn set_span(root: &mut Node, span: Span) {
    let mut queue = vec![root];
    while let Some(node) = queue.pop() {
        node.span = span;
        match &mut node.kind {
            Kind::Array(elements) => queue.extend(elements),
            Kind::Object(members) => {
                for member in members {
                    member.key_span = span;
                    queue.push(&mut member.value);
                }
            }
            _ => {}
        }
    }
}

fn first_open<'t>(text: &'t str, values: &BTreeMap<String, String>) -> Option<&'t str> {
    text.match_indices("${")
        .filter_map(|(at, _)| placeholder_at(text, at))
        .map(|(name, _)| name)
        .find(|name| !values.contains_key(*name))
}

/// Puts values in; what has none stays as it is.
fn replace(text: &str, values: &BTreeMap<String, String>) -> String {
    rewrite(text, |name| values.get(name).map(String::as_str))
}

fn stand_ins(text: &str, stand_in: &str) -> String {
    rewrite(text, |_| Some(stand_in))
}

fn rewrite<'v>(text: &str, value: impl Fn(&str) -> Option<&'v str>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    while let Some(found) = text.get(from..).and_then(|rest| rest.find("${")) {
        let at = from + found;
        let (piece, end) = match placeholder_at(text, at) {
            Some((name, end)) => (value(name).unwrap_or(&text[at..end]), end),
            None => ("${", at + 2),
        };
        out.push_str(&text[from..at]);
        out.push_str(piece);
        from = end;
    }
    out.push_str(text.get(from..).unwrap_or_default());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str, open_placeholders: bool) -> (serde_json::Value, Vec<String>) {
        let options = Options {
            substitutions: BTreeMap::from([("A".to_owned(), "7".to_owned()), ("B.c".to_owned(), "x\"y".to_owned())]),
            open_placeholders,
            ..Options::default()
        };
        let mut node = text::parse(text).unwrap();
        let mut findings = Vec::new();
        fill(&mut node, &options, &mut findings);
        (node.to_value(), findings.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn placeholders_are_filled_in_and_outside_quotes() {
        for (text, expected) in [
            (r#"{"a": ${A}}"#, r#"{"a":7}"#),
            (r#"{"a": "${A}"}"#, r#"{"a":"7"}"#),
            (
                r#"["-${A}-${B.c}-${C}-${", "echo ${HOME}"]"#,
                r#"["-7-x\"y-${C}-${","echo ${HOME}"]"#,
            ),
            (r#"{"${A}.$": 1}"#, r#"{"7.$":1}"#),
            (r#"["${1}${A b}${}${-}"]"#, r#"["${1}${A b}${}${-}"]"#),
            (r#"["{% ${ \"a\": 1 } %}"]"#, r#"["{% ${ \"a\": 1 } %}"]"#),
        ] {
            let expected: serde_json::Value = serde_json::from_str(expected).unwrap();
            assert_eq!(filled(text, false), (expected, Vec::new()), "{text}");
        }
    }

    #[test]
    fn a_text_of_open_braces_is_read_once() {
        let text = format!(r#"["{}"]"#, "${A".repeat(300_000));
        let expected: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(filled(&text, true), (expected, Vec::new()));
    }

    #[test]
    fn a_placeholder_without_a_value_is_a_finding_or_stays_open() {
        for text in [r#"["${X}"]"#, "[${X}]", r#"["arn:aws:sqs:${X}:q"]"#] {
            let expected = vec!["MISSING_SUBSTITUTION: The placeholder '${X}' has no value at null".to_owned()];
            assert_eq!(filled(text, false).1, expected, "{text}");
            assert!(filled(text, true).1.is_empty(), "{text}");
        }
    }
}
