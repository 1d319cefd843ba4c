//! What configures the tasks: the file `stepfn.toml` and the options that say more.

use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use crate::audit;
use crate::audit::log::Audit;
use crate::cli::error::CliError;
use crate::cli::source;
use crate::identity::token::grant;
use crate::model::principal::Principal;
use crate::model::principal::PrincipalKind;
use crate::worker::action::ActionSite;
use crate::worker::action::checkpoint::Checkpoints;
use crate::worker::configuration::AuditTable;
use crate::worker::configuration::Configuration;
use crate::worker::mapping::Mappings;

/// The file's name.
const FILE: &str = "stepfn.toml";
/// Where the machine's own is.
const OF_THE_MACHINE: &str = "/etc/stepfn/stepfn.toml";

/// Who does the tasks.
#[derive(Debug, clap::Args)]
pub(crate) struct ConfigurationArguments {
    /// The configuration [default: `stepfn.toml` here, else `/etc/stepfn/stepfn.toml`]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Bind resources to local commands and Lambda handlers (TOML), before the configuration does
    #[arg(long, value_name = "FILE")]
    pub(crate) map: Option<PathBuf>,
    /// Where actions keep what undoing needs
    #[arg(long, value_name = "DIRECTORY")]
    checkpoints: Option<PathBuf>,
    /// Undo what actions changed when the execution fails
    #[arg(long)]
    rollback_on_failure: bool,
}

impl ConfigurationArguments {
    /// Returns the configuration's file, if there is one.
    pub(crate) fn file(&self) -> Option<PathBuf> {
        file(self.config.as_deref())
    }

    /// Reads the file and adds what the options say.
    pub(crate) fn load(&self) -> Result<Configuration, CliError> {
        let mut configuration = match self.file() {
            Some(path) => read(&path)?,
            None => Configuration::default(),
        };
        if let Some(path) = &self.map {
            let mut mappings = mappings(path)?;
            mappings.extend(configuration.mappings);
            configuration.mappings = mappings;
        }
        if let Some(directory) = &self.checkpoints {
            configuration.checkpoints = Some(directory.clone());
        }
        configuration.rollback_on_failure |= self.rollback_on_failure;
        Ok(configuration)
    }
}

/// Adds the machine's grants: to whom root serves, or what root runs. Without root, `stepfn run` is its caller's own.
pub(crate) fn add_grants_of_machine(configuration: &mut Configuration) -> Result<(), CliError> {
    let own = rustix::process::geteuid().as_raw();
    let added = configuration.grants.add_directory(Path::new(grant::DIRECTORY), own);
    added.map_err(|error| CliError::usage(format!("the grants of this machine cannot be used: {error}")))
}

/// Returns the file that is named, else the one that is here, else the machine's.
pub(crate) fn file(named: Option<&Path>) -> Option<PathBuf> {
    let found = || {
        let places = [FILE, OF_THE_MACHINE].into_iter().map(PathBuf::from);
        places.into_iter().find(|path| path.exists())
    };
    named.map(Path::to_path_buf).or_else(found)
}

/// Reads a configuration file.
pub(crate) fn read(path: &Path) -> Result<Configuration, CliError> {
    let text = source::read_text(path)?;
    Configuration::parse(&text, directory(path)).map_err(|error| {
        CliError::usage(format!(
            "failed to read the configuration `{}`:\n{error}",
            path.display()
        ))
    })
}

fn mappings(path: &Path) -> Result<Mappings, CliError> {
    let text = source::read_text(path)?;
    Mappings::parse(&text, directory(path)).map_err(|error| {
        CliError::usage(format!("failed to read the mappings of `{}`:\n{error}", path.display()))
            .hint("`stepfn run --help` shows an example")
    })
}

fn directory(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}

/// Reads the buckets of `--bucket`.
pub(crate) fn buckets(arguments: &[String]) -> Result<BTreeMap<String, PathBuf>, CliError> {
    let mut buckets = BTreeMap::new();
    for text in arguments {
        let wrong = |what: &str| CliError::usage(format!("`--bucket {text}` {what}"));
        let (name, directory) = text
            .split_once('=')
            .filter(|(name, directory)| !name.is_empty() && !directory.is_empty())
            .ok_or_else(|| wrong("is not NAME=DIRECTORY"))?;
        if !Path::new(directory).is_dir() {
            return Err(wrong("names no directory").hint("make it, or correct the path"));
        }
        if buckets.insert(name.to_owned(), PathBuf::from(directory)).is_some() {
            return Err(wrong("names a bucket that has a directory already"));
        }
    }
    Ok(buckets)
}

/// Returns where checkpoints are kept when nobody says it.
pub(crate) fn default_checkpoints() -> Option<PathBuf> {
    state("checkpoints")
}

/// Returns where it is recorded what is run, when nobody says it.
pub(crate) fn default_audit() -> Option<PathBuf> {
    state("audit")
}

/// Returns a place with the machine's state if root runs this, else with the user's.
pub(crate) fn state(name: &str) -> Option<PathBuf> {
    if rustix::process::geteuid().is_root() {
        return Some(Path::new("/var/lib/stepfn").join(name));
    }
    let absolute = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let state = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")));
    Some(state?.join("stepfn").join(name))
}

/// Opens where it is recorded what this process does on the machine, with the first record. Without a configured
/// directory it is no error when there is no place for it.
pub(crate) fn recorder(table: &AuditTable) -> Result<Option<Arc<Audit>>, CliError> {
    let Some(directory) = table.directory.clone().or_else(default_audit) else {
        return Ok(None);
    };
    let audit = Audit::open(audit::log::Options {
        is_shared: true,
        is_optional: table.directory.is_none(),
        ..table.options(directory)
    });
    audit
        .map(|audit| Some(Arc::new(audit)))
        .map_err(|error| CliError::internal(error.to_string()))
}

/// Returns the user that runs this process.
pub(crate) fn myself() -> Principal {
    let uid = rustix::process::geteuid().as_raw();
    let user = nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(uid))
        .ok()
        .flatten();
    let name = user.map_or_else(|| uid.to_string(), |user| user.name);
    Principal {
        uid: Some(uid),
        pid: Some(std::process::id()),
        ..Principal::new(PrincipalKind::Process, name)
    }
}

/// Makes what this machine's actions share in a process whose executions end with it.
pub(crate) fn actions(configuration: &Configuration) -> ActionSite {
    let directory = configuration.checkpoints.clone().or_else(default_checkpoints);
    ActionSite {
        checkpoints: directory.map(Checkpoints::of_this_process),
        allowed: configuration.allowed.clone(),
        rollback_on_failure: configuration.rollback_on_failure,
        secrets: configuration.secrets.clone(),
        ..ActionSite::default()
    }
}
