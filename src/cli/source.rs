//! Reads what the arguments name: definitions, inputs, values.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use crate::asl::definition::Definition;
use crate::asl::load::Format;
use crate::asl::load::Options;
use crate::cli::error::CliError;
use crate::cli::excerpt;

/// A definition's text, and where it is from.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
    pub(crate) format: Format,
}

impl Source {
    pub(crate) fn read(path: &Path) -> Result<Self, CliError> {
        let extension = path.extension().and_then(|extension| extension.to_str());
        let is_yaml = extension
            .is_some_and(|extension| extension.eq_ignore_ascii_case("yaml") || extension.eq_ignore_ascii_case("yml"));
        Ok(Self {
            path: path.display().to_string(),
            text: read_text(path)?,
            format: if is_yaml { Format::Yaml } else { Format::Json },
        })
    }

    /// Compiles the definition, or renders what is wrong with it.
    pub(crate) fn compile(
        &self,
        substitutions: BTreeMap<String, String>,
        open_placeholders: bool,
    ) -> Result<Definition, (usize, String)> {
        let options = Options {
            format: self.format,
            substitutions,
            open_placeholders,
            express: false,
        };
        crate::asl::load::compile(&self.text, &options)
            .map_err(|findings| (findings.len(), excerpt::render(&self.path, &self.text, &findings)))
    }
}

/// Reads a text file.
pub(crate) fn read_text(path: &Path) -> Result<String, CliError> {
    let shown = path.display();
    let bytes = std::fs::read(path).map_err(|error| CliError::usage(format!("failed to read `{shown}`: {error}")))?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        CliError::usage(format!("failed to read `{shown}`: byte {at} is not UTF-8"))
    })
}

/// Reads the text of an argument that is a text, `@file` or `-`.
pub(crate) fn read_argument(argument: &str) -> Result<String, CliError> {
    if argument == "-" {
        let mut text = String::new();
        return match std::io::stdin().lock().read_to_string(&mut text) {
            Ok(_) => Ok(text),
            Err(error) => Err(CliError::usage(format!("failed to read stdin: {error}"))),
        };
    }
    match argument.strip_prefix('@') {
        Some(path) => read_text(Path::new(path)),
        None => Ok(argument.to_owned()),
    }
}

/// Returns the machine's name: the file's, without `.asl` and the format.
pub(crate) fn machine_name(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    match stem.strip_suffix(".asl").unwrap_or(&stem) {
        "" => "machine".to_owned(),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_named_after_its_file() {
        for (path, name) in [
            ("a/order.asl.json", "order"),
            ("order.yaml", "order"),
            ("order", "order"),
            (".asl.json", "machine"),
            ("..", "machine"),
        ] {
            assert_eq!(machine_name(Path::new(path)), name, "{path}");
        }
    }
}
