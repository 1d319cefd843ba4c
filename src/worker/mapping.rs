//! Which resources local commands stand for, and which Lambda functions are here: the file of `--map`.

use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;

use serde::Deserialize;

use crate::model::glob;
use crate::worker::lambda::function::Functions;
use crate::worker::secrets;

/// All mappings, in order; the first that matches counts.
#[derive(Clone, Debug, Default)]
pub struct Mappings {
    list: Vec<Mapping>,
    functions: Functions,
}

/// One mapping.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    /// The ARN, or a pattern with `*` and `?`. For `lambda:invoke` also the function's name.
    pub resource: String,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Where it runs; relative to the file's directory, which is the default.
    pub cwd: Option<PathBuf>,
    /// Variables added to the clean environment.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// The error name of a failure that names none itself.
    pub error: Option<String>,
    /// Secrets that it gets as files, by the files' names: references such as `secret://db/password`.
    #[serde(default)]
    pub credentials: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    mapping: Vec<Mapping>,
    #[serde(default)]
    lambda: Functions,
}

/// Why mappings cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum MappingError {
    /// Not TOML, or an unknown or missing key.
    #[error("{0}")]
    Toml(#[from] toml::de::Error),
    /// A command without a program.
    #[error("`command` of the mapping of `{0}` is empty")]
    EmptyCommand(String),
    /// A variable name or text that no process can have.
    #[error("the mapping of `{0}` holds a variable or an argument that no process can take")]
    Unusable(String),
    /// A credential that no file can be, or no secret.
    #[error("in `credentials` of the mapping of `{0}`, {1}")]
    Credential(String, String),
}

impl Mappings {
    /// Reads a file's text; `directory` is where the file stands.
    ///
    /// # Errors
    /// The text is not a mapping file.
    pub fn parse(text: &str, directory: &Path) -> Result<Self, MappingError> {
        let file = toml::from_str::<File>(text)?;
        Self::new(file.mapping, file.lambda, directory)
    }

    /// Makes mappings of a file in `directory`.
    ///
    /// # Errors
    /// A mapping cannot be used.
    pub fn new(mut list: Vec<Mapping>, functions: Functions, directory: &Path) -> Result<Self, MappingError> {
        for mapping in &mut list {
            if mapping.command.first().is_none_or(String::is_empty) {
                return Err(MappingError::EmptyCommand(mapping.resource.clone()));
            }
            let unusable_name = |name: &String| name.is_empty() || name.contains(['=', '\0']);
            if mapping.env.keys().any(unusable_name)
                || mapping
                    .env
                    .values()
                    .chain(&mapping.command)
                    .any(|text| text.contains('\0'))
            {
                return Err(MappingError::Unusable(mapping.resource.clone()));
            }
            secrets::wanted(&mapping.credentials)
                .map_err(|why| MappingError::Credential(mapping.resource.clone(), why))?;
            mapping.cwd = Some(match &mapping.cwd {
                Some(cwd) => directory.join(cwd),
                None => directory.to_owned(),
            });
        }
        Ok(Self {
            list,
            functions: functions.in_directory(directory),
        })
    }

    /// Returns the Lambda functions.
    pub fn functions(&self) -> &Functions {
        &self.functions
    }

    /// Tells whether one of them stands for a Lambda function.
    pub fn have_functions(&self) -> bool {
        self.list.iter().any(|mapping| mapping.resource.contains(":function:"))
    }

    /// Returns all, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Mapping> {
        self.list.iter()
    }

    /// Adds others behind these.
    pub fn extend(&mut self, others: Self) {
        self.list.extend(others.list);
        self.functions.extend(others.functions);
    }

    /// Returns the first mapping that matches one of the names.
    pub fn find(&self, names: &[String]) -> Option<&Mapping> {
        self.list
            .iter()
            .find(|mapping| names.iter().any(|name| glob::matches(&mapping.resource, name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_matching_mapping_counts() {
        let mappings = Mappings::parse(
            "[[mapping]]\nresource = 'a:*'\ncommand = ['one']\n[[mapping]]\nresource = '*'\ncommand = ['two']\ncwd = 'x'\n",
            Path::new("/d"),
        )
        .unwrap();
        assert_eq!(mappings.find(&["a:b".to_owned()]).unwrap().command, ["one"]);
        let two = mappings.find(&["b".to_owned()]).unwrap();
        assert_eq!(two.command, ["two"]);
        assert_eq!(two.cwd.as_deref(), Some(Path::new("/d/x")));
    }

    #[test]
    fn a_wrong_file_is_refused() {
        for text in [
            "[[mapping]]\nresource = 'a'\ncommand = []",
            "[[mapping]]\nresource = 'a'\ncommand = ['a\\u0000']\n[mapping.env]\n'a=b' = 'c'",
            "[[mapping]]\nresource = 'a'\ncommand = ['a']\ncomand = 1",
            "[[mapping]]\nresource = 'a'\ncommand = ['a']\ncredentials = { db = 'password' }",
            "[[mapping]]\nresource = 'a'\ncommand = ['a']\ncredentials = { 'a/b' = 'secret://a' }",
            "[[mapping]]\ncommand = ['a']",
            "nonsense",
        ] {
            assert!(Mappings::parse(text, Path::new(".")).is_err(), "{text}");
        }
    }
}
