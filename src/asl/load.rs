//! The door of the room: text in, `Definition` or diagnostics out.

use std::collections::BTreeMap;

use crate::asl::definition::Definition;
use crate::asl::diagnostic::Diagnostic;

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
pub fn compile(_text: &str, _options: &Options) -> Result<Definition, Vec<Diagnostic>> {
    todo!()
}
