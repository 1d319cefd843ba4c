//! The door of the room: text in, `Definition` or diagnostics out.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::asl::compile::compile_tree;
use crate::asl::definition::Definition;
use crate::asl::diagnostic::Diagnostic;
use crate::asl::node::Kind;
use crate::asl::node::Node;
use crate::asl::substitute;
use crate::asl::text;
use crate::asl::warning;
use crate::asl::yaml;
use crate::model::quota::DEFINITION_BYTES_MAX;
use crate::model::span::Span;

/// How the text is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// JSON.
    Json,
    /// YAML (SAM's `.asl.yaml`).
    Yaml,
}

/// How to compile.
#[derive(Clone, Debug)]
pub struct Options {
    /// How the text is written.
    pub format: Format,
    /// Values for `${Name}` placeholders.
    pub substitutions: BTreeMap<String, String>,
    /// Accept placeholders without a value and type them by their field (`stepfn validate`). The definition
    /// then must not be run.
    pub open_placeholders: bool,
    /// The machine is EXPRESS: some patterns are refused.
    pub express: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            format: Format::Json,
            substitutions: BTreeMap::new(),
            open_placeholders: false,
            express: false,
        }
    }
}

/// Returns what AWS accepts in a JSON definition but warns of.
pub fn warnings(text: &str) -> Vec<Diagnostic> {
    text::parse(text).map_or_else(|_| Vec::new(), |tree| warning::warnings(&tree))
}

/// Returns what AWS accepts in a definition's tree but warns of.
pub(crate) fn warnings_of(tree: &Node) -> Vec<Diagnostic> {
    warning::warnings(tree)
}

/// Tells why a text is not JSON, in one sentence of the reader that AWS uses.
pub fn complaint(text: &str) -> Option<String> {
    let finding = text::parse(text).err()?;
    // The place is a line of its own.
    let sentence = finding.message.lines().next()?;
    Some(sentence.to_owned())
}

/// Where something within a state stands.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Its place in the text.
    pub span: Span,
    /// It is a text with a placeholder `${Name}`.
    pub has_placeholder: bool,
}

/// Finds something within a state: `state` is the state's own span, `pointer` a JSON pointer from it. A member is also
/// found under its name with `.$`.
pub fn find_within(text: &str, format: Format, state: Span, pointer: &str) -> Option<Place> {
    let tree = parse(text, format).ok()?;
    let mut open = vec![&tree];
    let mut node = loop {
        let node = open.pop()?;
        if (node.span.start, node.span.end) == (state.start, state.end) {
            break node;
        }
        open.extend(node.members().iter().map(|member| &member.value));
        open.extend(node.elements());
    };
    for token in pointer.split('/').skip(1) {
        let key = token.replace("~1", "/").replace("~0", "~");
        let index = key.parse::<usize>().ok();
        let member = node.get(&key).or_else(|| node.get(&format!("{key}.$")));
        node = member.or_else(|| node.elements().get(index?))?;
    }
    Some(Place {
        span: node.span,
        has_placeholder: matches!(node.kind, Kind::Placeholder(_))
            || node.text().is_some_and(|text| text.contains("${")),
    })
}

/// A text read as values that know where they stand.
#[derive(Clone, Debug)]
pub struct Tree(Node);

impl Tree {
    /// Reads JSON or YAML.
    ///
    /// # Errors
    /// It is neither.
    pub fn read(text: &str, format: Format) -> Result<Self, Diagnostic> {
        parse(text, format).map(Self)
    }

    /// Where it stands.
    pub fn span(&self) -> Span {
        self.0.span
    }

    /// Returns the value.
    pub fn value(&self) -> Value {
        self.0.to_value()
    }

    /// Returns the members of an object, in order.
    pub fn members(&self) -> Option<Vec<(&str, Self)>> {
        match &self.0.kind {
            Kind::Object(members) => Some(
                members
                    .iter()
                    .map(|member| (member.key.as_str(), Self(member.value.clone())))
                    .collect(),
            ),
            _ => None,
        }
    }

    /// Returns the members of a list.
    pub fn elements(&self) -> Option<Vec<Self>> {
        match &self.0.kind {
            Kind::Array(elements) => Some(elements.iter().cloned().map(Self).collect()),
            _ => None,
        }
    }
}

fn parse(text: &str, format: Format) -> Result<Node, Diagnostic> {
    match format {
        Format::Json => text::parse(text),
        Format::Yaml => yaml::parse(text),
    }
}

/// Compiles a definition.
///
/// # Errors
/// Everything that AWS would refuse, several findings at once, in AWS's order where it is known.
pub fn compile(text: &str, options: &Options) -> Result<Definition, Vec<Diagnostic>> {
    compile_kept(text, options).map(|(definition, _)| definition)
}

/// Compiles a definition and keeps its tree, placeholders filled.
///
/// # Errors
/// As for [`compile`].
pub(crate) fn compile_kept(text: &str, options: &Options) -> Result<(Definition, Node), Vec<Diagnostic>> {
    if text.trim().is_empty() || DEFINITION_BYTES_MAX < text.len() {
        let message = if text.len() <= DEFINITION_BYTES_MAX {
            "Definition must be a valid JSON object".to_owned()
        } else {
            format!("Definition must not be larger than {DEFINITION_BYTES_MAX} bytes")
        };
        return Err(vec![Diagnostic {
            code: "SCHEMA_VALIDATION_FAILED",
            message,
            location: None,
            span: None,
        }]);
    }
    let mut tree = parse(text, options.format).map_err(|finding| vec![finding])?;
    let mut findings = Vec::new();
    substitute::fill(&mut tree, options, &mut findings);
    if !findings.is_empty() {
        return Err(findings);
    }
    let definition = compile_tree(&tree, options)?;
    Ok((definition, tree))
}

#[cfg(test)]
mod tests;
