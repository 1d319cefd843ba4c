//! Reads what the arguments name: definitions, inputs, values.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use crate::asl::definition::Definition;
use crate::asl::load::Format;
use crate::asl::load::Options;
use crate::cli::advice;
use crate::cli::error::CliError;
use crate::cli::excerpt;
use crate::lint::finding::Finding;
use crate::model::quota::DEFINITION_BYTES_MAX;

/// Longest text that is read, definitions aside: an endless file must not fill the memory.
const TEXT_BYTES_MAX: usize = 256 << 20;

/// A definition's text, and where it is from.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
    pub(crate) format: Format,
    /// The machine is to be EXPRESS.
    pub(crate) express: bool,
}

impl Source {
    /// Reads a definition, but no more of it than shows that it is too large.
    pub(crate) fn read(path: &Path) -> Result<Self, CliError> {
        Ok(Self {
            path: path.display().to_string(),
            text: read_at_most(path, DEFINITION_BYTES_MAX)?,
            format: format_of(path),
            express: false,
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
            express: self.express,
        };
        crate::asl::load::compile(&self.text, &options).map_err(|refused| {
            let findings: Vec<Finding> = refused.into_iter().map(advice::finding).collect();
            (findings.len(), excerpt::render(&self.path, &self.text, &findings))
        })
    }
}

/// Tells how a file is written, by its name.
pub(crate) fn format_of(path: &Path) -> Format {
    let extension = path.extension().and_then(|extension| extension.to_str());
    match extension {
        Some(extension) if extension.eq_ignore_ascii_case("yaml") || extension.eq_ignore_ascii_case("yml") => {
            Format::Yaml
        }
        _ => Format::Json,
    }
}

/// Reads a text file.
pub(crate) fn read_text(path: &Path) -> Result<String, CliError> {
    let text = read_at_most(path, TEXT_BYTES_MAX)?;
    if TEXT_BYTES_MAX < text.len() {
        return Err(too_long(&format!("`{}`", path.display())));
    }
    Ok(text)
}

fn too_long(what: &str) -> CliError {
    CliError::usage(format!("{what} has more than {} MiB", TEXT_BYTES_MAX >> 20))
}

/// Reads a text file; of one that has more than `bytes_max` bytes only a part that is longer than that.
fn read_at_most(path: &Path, bytes_max: usize) -> Result<String, CliError> {
    let shown = path.display();
    let failed = |error| CliError::usage(format!("failed to read `{shown}`: {error}"));
    let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(limit).read_to_end(&mut bytes).map_err(failed)?;
    if bytes_max < bytes.len() {
        // Whoever reads it says that it is too large; the last character may be cut.
        return Ok(String::from_utf8_lossy(&bytes).into_owned());
    }
    String::from_utf8(bytes).map_err(|error| not_utf8(&path.display().to_string(), &error))
}

pub(crate) fn not_utf8(shown: &str, error: &std::string::FromUtf8Error) -> CliError {
    let bytes = error.as_bytes();
    let before = bytes.get(..error.utf8_error().valid_up_to()).unwrap_or_default();
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let column = String::from_utf8_lossy(before.get(line_start..).unwrap_or_default())
        .chars()
        .count()
        + 1;
    let error = CliError::usage(format!(
        "failed to read `{shown}`: it is not UTF-8 at line {line}, column {column}"
    ));
    match bytes {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => error.hint("The file is UTF-16. Save it as UTF-8."),
        _ => error.hint("Save the file as UTF-8."),
    }
}

/// Reads the text of an argument that is a text, `@file` or `-`.
pub(crate) fn read_argument(argument: &str) -> Result<String, CliError> {
    if argument == "-" {
        let mut text = String::new();
        let limit = u64::try_from(TEXT_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
        return match std::io::stdin().lock().take(limit).read_to_string(&mut text) {
            Ok(_) if TEXT_BYTES_MAX < text.len() => Err(too_long("stdin")),
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
