//! The door of the room: text in, `Definition` or diagnostics out.

use std::collections::BTreeMap;

use crate::asl::compile::compile_tree;
use crate::asl::definition::Definition;
use crate::asl::diagnostic::Diagnostic;
use crate::asl::substitute;
use crate::asl::text;
use crate::asl::yaml;
use crate::model::quota::DEFINITION_BYTES_MAX;

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

/// Compiles a definition.
///
/// # Errors
/// Everything that AWS would refuse, several findings at once, in AWS's order where it is known.
pub fn compile(text: &str, options: &Options) -> Result<Definition, Vec<Diagnostic>> {
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
    let tree = match options.format {
        Format::Json => text::parse(text),
        Format::Yaml => yaml::parse(text),
    };
    let mut tree = tree.map_err(|finding| vec![finding])?;
    let mut findings = Vec::new();
    substitute::fill(&mut tree, options, &mut findings);
    if !findings.is_empty() {
        return Err(findings);
    }
    compile_tree(&tree, options)
}
