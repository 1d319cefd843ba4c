//! The configuration file `stepfn.toml`: who does which task, which directories stand for buckets, what is allowed.

use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;

use serde::Deserialize;

use crate::audit;
use crate::audit::anchor::AnchorTargets;
use crate::audit::log::JournalCopies;
use crate::identity::oidc::Issuer;
use crate::identity::token::grant::Grant;
use crate::identity::token::grant::Grants;
use crate::identity::token::grant::TokensTable;
use crate::lint::level::Level;
use crate::lint::level::LevelError;
use crate::lint::level::Levels;
use crate::model::glob;
use crate::secret::source::table::SecretsTable;
use crate::secret::source::table::Sources;
use crate::secret::source::table::SourcesError;
use crate::worker::action::ACTIONS;
use crate::worker::action::Allowed;
use crate::worker::lambda::function::Functions;
use crate::worker::mapping::Mapping;
use crate::worker::mapping::MappingError;
use crate::worker::mapping::Mappings;

/// A configuration. Every path in it is complete.
#[derive(Clone, Debug, Default)]
pub struct Configuration {
    /// `[[mapping]]` and `[lambda.NAME]`: which resources local commands stand for, and where functions are.
    pub mappings: Mappings,
    /// `[buckets]`: the directories that stand for S3 buckets.
    pub buckets: BTreeMap<String, PathBuf>,
    /// `[actions]`: which of this machine's actions may run.
    pub allowed: Allowed,
    /// `[checkpoints] directory`: where actions keep what undoing needs.
    pub checkpoints: Option<PathBuf>,
    /// `[checkpoints] rollback_on_failure`: whether a failed execution's changes are undone.
    pub rollback_on_failure: bool,
    /// `[lint]`: how findings are taken.
    pub lint: Levels,
    /// `[[lint.file]]`: the same for the files whose paths match a pattern.
    pub lint_for_files: Vec<(String, Levels)>,
    /// `[spawn] socket`: where the service listens that starts the processes of tasks.
    pub socket: Option<PathBuf>,
    /// `[[auth.issuer]]`: whose bearer tokens a server takes.
    pub issuers: Vec<Issuer>,
    /// `[[grant]]` and `[tokens]`: which states get which tokens.
    pub grants: Grants,
    /// `[secrets]`: where secrets come from.
    pub secrets: Sources,
    /// `[audit]`: where it is recorded what is done, and how.
    pub audit: AuditTable,
}

/// How the audit log is kept. What is `None` is as the command has it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditTable {
    /// Where.
    pub directory: Option<PathBuf>,
    /// Files are deleted so many days after their month.
    pub keep_days: Option<u32>,
    /// A file is not made longer than about this.
    pub file_mebibytes: Option<std::num::NonZeroU32>,
    /// A file to which each anchor is added as a line.
    pub anchors: Option<PathBuf>,
    /// A command that reads each anchor on its stdin.
    #[serde(default)]
    pub anchor_command: Vec<String>,
    /// What the journal gets.
    pub journal: Option<JournalWord>,
    /// Reads are recorded, too.
    #[serde(default)]
    pub reads: bool,
}

/// Which copies the journal gets, as the file says it.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JournalWord {
    /// The records, too.
    All,
    /// The anchors.
    Anchors,
    /// None.
    None,
}

impl AuditTable {
    /// Returns how a log is kept that is in `directory` unless the table says another.
    pub fn options(&self, directory: PathBuf) -> audit::log::Options {
        let defaults = audit::log::Options::new(self.directory.clone().unwrap_or(directory));
        audit::log::Options {
            keep_days: self.keep_days,
            file_bytes_max: self
                .file_mebibytes
                .map_or(defaults.file_bytes_max, |mebibytes| u64::from(mebibytes.get()) << 20),
            anchors: AnchorTargets {
                file: self.anchors.clone(),
                command: self.anchor_command.clone(),
            },
            journal: match self.journal {
                Some(JournalWord::All) => JournalCopies::All,
                Some(JournalWord::Anchors) => JournalCopies::Anchors,
                Some(JournalWord::None) => JournalCopies::None,
                None => defaults.journal,
            },
            reads: self.reads,
            ..defaults
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    mapping: Vec<Mapping>,
    #[serde(default)]
    lambda: Functions,
    #[serde(default)]
    buckets: BTreeMap<String, PathBuf>,
    #[serde(default)]
    actions: Actions,
    #[serde(default)]
    checkpoints: CheckpointTable,
    #[serde(default)]
    lint: LintTable,
    #[serde(default)]
    spawn: Spawn,
    #[serde(default)]
    auth: Auth,
    #[serde(default)]
    grant: Vec<Grant>,
    #[serde(default)]
    tokens: TokensTable,
    #[serde(default)]
    secrets: SecretsTable,
    #[serde(default)]
    audit: AuditTable,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Auth {
    #[serde(default)]
    issuer: Vec<Issuer>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Actions {
    #[serde(default)]
    allow: Vec<String>,
    #[serde(default)]
    deny: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct CheckpointTable {
    directory: Option<PathBuf>,
    #[serde(default)]
    rollback_on_failure: bool,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct LintTable {
    #[serde(default)]
    allow: Vec<String>,
    #[serde(default)]
    warn: Vec<String>,
    #[serde(default)]
    deny: Vec<String>,
    #[serde(default)]
    file: Vec<LintFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LintFile {
    path: String,
    #[serde(default)]
    allow: Vec<String>,
    #[serde(default)]
    warn: Vec<String>,
    #[serde(default)]
    deny: Vec<String>,
}

fn levels(allow: &[String], warn: &[String], deny: &[String]) -> Result<Levels, LevelError> {
    let mut levels = Levels::default();
    for (texts, level) in [(allow, Level::Allow), (warn, Level::Warn), (deny, Level::Deny)] {
        for text in texts {
            levels.set(text, level)?;
        }
    }
    Ok(levels)
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Spawn {
    socket: Option<PathBuf>,
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigurationError {
    /// Not TOML, or an unknown or missing key.
    #[error("{0}")]
    Toml(#[from] toml::de::Error),
    /// A mapping that nothing can be done with.
    #[error("{0}")]
    Mapping(#[from] MappingError),
    /// A pattern that allows or denies nothing.
    #[error("`{0}` in `[actions]` matches no action; `stepfn actions` lists them")]
    UnknownAction(String),
    /// A level for findings that there are not.
    #[error("`[lint]` cannot be obeyed: {0}")]
    Lint(#[from] LevelError),
    /// A bucket without a name.
    #[error("a name in `[buckets]` is empty")]
    EmptyBucketName,
    /// An issuer that cannot be trusted as it stands.
    #[error("`[[auth.issuer]]` cannot be used: {0}")]
    Issuer(String),
    /// A token that cannot be had.
    #[error("{0}")]
    Tokens(String),
    /// A source of secrets that is none.
    #[error("{0}")]
    Secrets(#[from] SourcesError),
}

impl Configuration {
    /// Reads a file's text; `directory` is where the file stands, and where its relative paths begin.
    ///
    /// # Errors
    /// The text is no configuration.
    pub fn parse(text: &str, directory: &Path) -> Result<Self, ConfigurationError> {
        let file: File = toml::from_str(text)?;
        for pattern in file.actions.allow.iter().chain(&file.actions.deny) {
            if !ACTIONS.iter().any(|action| glob::matches(pattern, action.facts().name)) {
                return Err(ConfigurationError::UnknownAction(pattern.clone()));
            }
        }
        if file.buckets.contains_key("") {
            return Err(ConfigurationError::EmptyBucketName);
        }
        for issuer in &file.auth.issuer {
            issuer.check().map_err(ConfigurationError::Issuer)?;
        }
        let complete = |path: PathBuf| directory.join(path);
        let lint = file.lint;
        let rows = lint.file.into_iter().map(|row| {
            let pattern = directory.join(row.path).display().to_string();
            levels(&row.allow, &row.warn, &row.deny).map(|levels| (pattern, levels))
        });
        Ok(Self {
            mappings: Mappings::new(file.mapping, file.lambda, directory)?,
            buckets: file
                .buckets
                .into_iter()
                .map(|(name, path)| (name, complete(path)))
                .collect(),
            allowed: Allowed {
                allow: file.actions.allow,
                deny: file.actions.deny,
            },
            checkpoints: file.checkpoints.directory.map(complete),
            rollback_on_failure: file.checkpoints.rollback_on_failure,
            lint: levels(&lint.allow, &lint.warn, &lint.deny)?,
            lint_for_files: rows.collect::<Result<_, _>>()?,
            socket: file.spawn.socket.map(complete),
            issuers: file.auth.issuer,
            grants: Grants::new(file.grant, file.tokens, directory).map_err(ConfigurationError::Tokens)?,
            secrets: Sources::new(file.secrets, directory)?,
            audit: AuditTable {
                directory: file.audit.directory.map(complete),
                anchors: file.audit.anchors.map(complete),
                ..file.audit
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_begin_where_the_file_stands() {
        let configuration = Configuration::parse(
            "[buckets]\ndata = 'files'\nother = '/srv'\n[checkpoints]\ndirectory = 'cp'\nrollback_on_failure = true\n\
             [spawn]\nsocket = 'run/s'\n[actions]\nallow = ['shell.*', 'undo']\n[[lint.file]]\npath = 'old/*'\n[[mapping]]\nresource = '*'\ncommand = ['x']\n",
            Path::new("/d"),
        )
        .unwrap();
        assert_eq!(configuration.buckets["data"], Path::new("/d/files"));
        assert_eq!(configuration.buckets["other"], Path::new("/srv"));
        assert_eq!(configuration.checkpoints.as_deref(), Some(Path::new("/d/cp")));
        assert_eq!(configuration.socket.as_deref(), Some(Path::new("/d/run/s")));
        assert!(configuration.rollback_on_failure && configuration.allowed.has("undo"));
        assert!(configuration.mappings.find(&["a".to_owned()]).is_some());
        assert_eq!(configuration.lint_for_files[0].0, "/d/old/*");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (text, expected) in [
            ("[bucket]\n", "unknown field `bucket`"),
            (
                "[[secrets.source]]\nmatch = '*'\nkind = 'x'",
                "`[[secrets.source]]` number 1",
            ),
            (
                "[actions]\nallow = ['apk.*']",
                "`apk.*` in `[actions]` matches no action",
            ),
            ("[actions]\nallowed = []", "line 2, column 1"),
            ("[buckets]\n'' = 'x'", "is empty"),
            ("[[mapping]]\nresource = 'a'\ncommand = []", "is empty"),
            ("[lambda.a]\nruntime = 'x'", "line 1, column 1"),
            ("[checkpoints]\nrollback_on_failure = 1", "line 2, column 23"),
            ("[lint]\nallow = ['time/no-timeot']", "the nearest is `time/no-timeout`"),
            (
                "[[lint.file]]\npath = 'a'\ndeny = ['NO_DOLAR']",
                "the nearest is `NO_DOLLAR`",
            ),
            ("[[lint.file]]\nallow = []", "missing field `path`"),
            (
                "[[auth.issuer]]\nissuer = 'http://example.com'\naudience = 'a'",
                "must begin with `https:`",
            ),
        ] {
            let error = Configuration::parse(text, Path::new("/")).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
