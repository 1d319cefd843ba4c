//! The functions of CloudFormation, in their long form: `{"Fn::Sub": …}`.

use crate::asl::node::Kind;
use crate::asl::node::Member;
use crate::asl::node::Node;
use crate::asl::substitution_file::shown;

/// Longest name of a placeholder that is made here.
const NAME_BYTES_MAX: usize = 80;

/// What a value of a template computes.
pub(super) enum Function<'n> {
    /// `Fn::If`: the condition and both values.
    If(&'n Node, &'n Node, &'n Node),
    /// `Fn::Join` with a list that is written out.
    Join(&'n Node, &'n [Node]),
    /// The same wherever the template is deployed, for all that a definition is checked for.
    Literal(&'static str),
    /// `Ref: AWS::NoValue`: the field is not there.
    Nothing,
    /// Known at deployment only; the name is fit for a placeholder.
    Open(String),
    /// `Fn::Sub`: the text, and the values of its own.
    Sub(&'n Node, Option<&'n Node>),
    /// `Fn::ToJsonString`.
    ToJsonString(&'n Node),
}

/// Reads a value as a function. An object with a single member `Ref` that is no text is a state's, not a function.
pub(super) fn function(node: &Node) -> Option<Function<'_>> {
    let [Member { key, value, .. }] = node.members() else {
        return None;
    };
    if key == "Ref" {
        let (Kind::String(name) | Kind::Placeholder(name)) = &value.kind else {
            return None;
        };
        return Some(match name.as_str() {
            "AWS::NoValue" => Function::Nothing,
            name => literal(name).map_or_else(|| Function::Open(placeholder_name(name)), Function::Literal),
        });
    }
    let name = key.strip_prefix("Fn::")?;
    Some(match (name, value.elements()) {
        ("If", [condition, then, otherwise]) => Function::If(condition, then, otherwise),
        ("Join", [separator, list]) if separator.text().is_some() && matches!(list.kind, Kind::Array(_)) => {
            Function::Join(separator, list.elements())
        }
        ("Sub", [text, own]) if is_text(text) => Function::Sub(text, Some(own)),
        ("Sub", [text]) if is_text(text) => Function::Sub(text, None),
        ("Sub", _) if is_text(value) => Function::Sub(value, None),
        ("ToJsonString", _) => Function::ToJsonString(value),
        ("GetAtt", []) => Function::Open(placeholder_name(&shown(value))),
        ("GetAtt", path) => {
            let path: Vec<String> = path.iter().map(shown).collect();
            Function::Open(placeholder_name(&path.join(".")))
        }
        (name, _) => Function::Open(placeholder_name(name)),
    })
}

fn is_text(node: &Node) -> bool {
    matches!(node.kind, Kind::String(_) | Kind::Placeholder(_))
}

/// What a pseudo parameter is, when nothing that is checked depends on it.
pub(super) fn literal(name: &str) -> Option<&'static str> {
    match name {
        "AWS::Partition" => Some("aws"),
        "AWS::URLSuffix" => Some("amazonaws.com"),
        _ => None,
    }
}

/// Makes a name that a placeholder `${Name}` may have, out of what the template computes.
pub(super) fn placeholder_name(expression: &str) -> String {
    let start = expression.find(|c: char| c.is_ascii_alphabetic() || c == '_');
    let name: String = expression
        .get(start.unwrap_or(expression.len())..)
        .unwrap_or_default()
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | ':'))
        .take(NAME_BYTES_MAX)
        .collect();
    if name.is_empty() { "value".to_owned() } else { name }
}
