//! What this machine can do by itself: one action per file, all of one shape.
//!
//! May import: what `worker` may. Must not: `engine`, `api`, `cli`. Invariants: parameters are checked against the
//! action's facts before it sees them; an action changes nothing in `plan`; what `undo` needs is on the disk before
//! `apply` begins; the state that was asked for counts, not an exit code.
//! To add an action: copy `shell_run.rs`, and list it in `ACTIONS`. Its documentation is made from its facts.

pub mod account;
pub mod alive;
pub mod apt;
pub mod carry_out;
pub mod check;
pub mod checkpoint;
pub mod document;
pub mod facts;
pub mod file;
pub mod host;
pub mod http_request;
pub mod lock;
pub mod reboot;
pub mod reference;
pub mod rollback;
pub mod shell_run;
pub mod systemd;
#[cfg(test)]
pub mod testing;
pub mod undo;
pub mod wait_for;

use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use async_trait::async_trait;
use serde_json::Value;

use crate::model::states_error::StatesError;
use crate::secret::source::table::Sources;
use crate::worker::Cancel;
use crate::worker::Reports;
use crate::worker::action::checkpoint::Checkpoints;
use crate::worker::action::checkpoint::Saved;
use crate::worker::action::facts::Facts;
use crate::worker::action::host::Host;
use crate::worker::action::lock::Locks;
use crate::worker::nursery::Nursery;
use crate::worker::process;
use crate::worker::process::Done;
use crate::worker::process::Ended;
use crate::worker::process::Spec;

/// All actions, sorted by name.
pub const ACTIONS: &[&dyn Action] = &[
    &apt::downgrade::APT_DOWNGRADE,
    &apt::hold::AptHold,
    &apt::install::APT_INSTALL,
    &apt::remove::APT_REMOVE,
    &apt::update::AptUpdate,
    &apt::upgrade::APT_UPGRADE,
    &file::copy::COPY,
    &file::line::LINE,
    &file::remove::Remove,
    &file::template::TEMPLATE,
    &file::write::WRITE,
    &account::GroupAbsent,
    &account::GroupPresent,
    &http_request::HttpRequest,
    &reboot::Reboot,
    &shell_run::ShellRun,
    &systemd::DISABLE,
    &systemd::ENABLE,
    &systemd::RELOAD,
    &systemd::RESTART,
    &systemd::START,
    &systemd::STATUS,
    &systemd::STOP,
    &undo::Undo,
    &account::UserAbsent,
    &account::UserPresent,
    &wait_for::WaitFor,
];

/// One thing that this machine can do.
#[async_trait]
pub trait Action: Send + Sync {
    /// What it is called, takes, gives and how it fails.
    fn facts(&self) -> &'static Facts;

    /// The host-wide locks that it needs, such as `apt` or `file:/etc/motd`. Actions that share one run one after
    /// another, whichever process runs them.
    fn locks(&self, _parameters: &Value) -> Vec<String> {
        Vec::new()
    }

    /// Tells whether processes do all of it, which can run as the task's account. What the engine does itself it does
    /// as its own user, so it is refused to tasks of other accounts.
    fn is_done_by_processes(&self) -> bool {
        false
    }

    /// Tells whether it has anything to keep with these parameters, when it can be undone at all.
    fn keeps(&self, _parameters: &Value) -> bool {
        true
    }

    /// Takes out of a result what tells of secrets in the parameters.
    fn conceal(&self, _result: &mut Value) {}

    /// Finds out what it would change. Changes nothing itself.
    ///
    /// # Errors
    /// What was asked for cannot be done.
    async fn plan(&self, parameters: &Value, work: &mut Work<'_>) -> Result<Plan, StatesError>;

    /// Keeps what `undo` will need, before anything changes: files in `directory`, the rest in the returned value.
    ///
    /// # Errors
    /// It cannot be kept; then nothing is changed.
    async fn save(&self, _parameters: &Value, _directory: &Path, _work: &mut Work<'_>) -> Result<Value, StatesError> {
        Ok(Value::Null)
    }

    /// Does it, and returns the result's members: an object. After a crash it may be done again.
    ///
    /// # Errors
    /// It failed; what it changed until then, `undo` restores.
    async fn apply(&self, parameters: &Value, work: &mut Work<'_>) -> Result<Value, StatesError>;

    /// Looks whether the machine is now as asked.
    ///
    /// # Errors
    /// It is not.
    async fn verify(&self, _parameters: &Value, _result: &Value, _work: &mut Work<'_>) -> Result<(), StatesError> {
        Ok(())
    }

    /// Restores what was before. Doing it twice, or after an `apply` that failed half-way, is no error.
    ///
    /// # Errors
    /// It cannot be restored.
    async fn undo(&self, saved: &Saved, work: &mut Work<'_>) -> Result<Value, StatesError>;
}

/// What an action would change.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// One line per change, such as `install hello 2.10-3`; empty when the machine is as asked already.
    pub changes: Vec<String>,
    /// The result: what it is when nothing is to change, else the best that can be said before.
    pub result: Value,
}

/// What an action works with.
pub struct Work<'a> {
    /// The processes of all tasks.
    pub nursery: &'a Arc<Nursery>,
    /// What all actions share.
    pub site: &'a ActionSite,
    /// The way of log lines and heartbeats.
    pub reports: &'a Reports,
    /// Tells that the answer is not wanted any more.
    pub cancel: &'a mut Cancel,
    /// The largest output that may be read, in bytes.
    pub output_bytes_max: usize,
    /// What this task's `save` kept, in this process or before a crash; `None` until then.
    pub before: Option<Value>,
}

impl Work<'_> {
    /// Runs a process to its end. Whatever it started ends with it.
    ///
    /// # Errors
    /// It cannot be started: the error has the name `start_failed`. Or it wrote too much, or was cancelled.
    pub async fn run(&mut self, spec: &Spec, start_failed: &str) -> Result<Done, StatesError> {
        match process::run(spec, self.nursery, self.reports, self.cancel).await {
            Ok(Ended::Done(done)) => Ok(done),
            Ok(Ended::StdoutTooLong) => Err(StatesError::new(
                "States.DataLimitExceeded",
                format!(
                    "`{}` wrote more than {} bytes to stdout.",
                    spec.argv[0], self.output_bytes_max
                ),
            )),
            Ok(Ended::Cancelled) => Err(StatesError::default()),
            Err(error) => Err(StatesError::new(
                start_failed,
                process::shorten(&format!("`{}` cannot be started: {error}.", spec.argv[0])),
            )),
        }
    }
}

/// What all actions of one process share.
#[derive(Debug, Default)]
pub struct ActionSite {
    /// Where checkpoints are kept; without it nothing can be undone.
    pub checkpoints: Option<Checkpoints>,
    /// The locks of the host.
    pub locks: Locks,
    /// What would be done, when nothing is to be done.
    pub planned: Option<Mutex<Vec<Planned>>>,
    /// Which actions may run.
    pub allowed: Allowed,
    /// A server undoes what a failed execution changed.
    pub rollback_on_failure: bool,
    /// What of the machine they work on.
    pub host: Host,
    /// Where secrets come from.
    pub secrets: Sources,
}

/// What one task would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// The state's name.
    pub state_name: Arc<str>,
    /// The action's name.
    pub action: &'static str,
    /// One line per change.
    pub changes: Vec<String>,
    /// The secrets that it would read.
    pub secrets: Vec<String>,
}

impl ActionSite {
    /// Makes a site where nothing is done but planned.
    pub fn planning() -> Self {
        Self {
            planned: Some(Mutex::default()),
            ..Self::default()
        }
    }

    /// Returns what has been planned so far.
    pub fn plans(&self) -> Vec<Planned> {
        match &self.planned {
            Some(planned) => planned.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            None => Vec::new(),
        }
    }
}

/// Which actions may run, by the configuration's patterns: `apt.*`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    /// Only these, when there are any.
    pub allow: Vec<String>,
    /// Never these.
    pub deny: Vec<String>,
}

impl Allowed {
    /// Tells whether the action of that name may run.
    pub fn has(&self, name: &str) -> bool {
        let is_in = |patterns: &[String]| {
            patterns
                .iter()
                .any(|pattern| crate::model::glob::matches(pattern, name))
        };
        !is_in(&self.deny) && (self.allow.is_empty() || is_in(&self.allow))
    }
}

/// The beginning of the readable form of a resource.
const SUGAR: &str = "arn:aws:states:::debian:";
/// The beginning of the activity's name in the canonical form.
const ACTIVITY: &str = "debian-";

/// What a resource names.
#[derive(Clone, Copy)]
pub enum Named<'a> {
    /// An action.
    Action(&'static dyn Action),
    /// It looks like an action, but there is none of that name.
    Unknown(&'a str),
    /// Something else.
    Other,
}

/// Finds the action that a resource names: `arn:aws:states:::debian:apt.install`, or the activity
/// `debian-apt-install` of any account.
///
/// Any other activity that begins with `debian-` may be somebody's own.
pub fn named(arn: &str) -> Named<'_> {
    let find = |is: &dyn Fn(&str) -> bool| ACTIONS.iter().find(|action| is(action.facts().name));
    if let Some(name) = arn.strip_prefix(SUGAR) {
        return match find(&|known| known == name) {
            Some(action) => Named::Action(*action),
            None => Named::Unknown(name),
        };
    }
    let parts: Vec<&str> = arn.splitn(7, ':').collect();
    let ["arn", _, "states", _, _, "activity", activity] = parts.as_slice() else {
        return Named::Other;
    };
    let Some(name) = activity.strip_prefix(ACTIVITY) else {
        return Named::Other;
    };
    match find(&|known| known.replace('.', "-") == name) {
        Some(action) => Named::Action(*action),
        None => Named::Other,
    }
}

/// Reads checked parameters into an action's own type.
///
/// # Errors
/// The type and the facts disagree: a defect of the action, told as an error of the task.
pub fn read<T: serde::de::DeserializeOwned>(parameters: &Value) -> Result<T, StatesError> {
    T::deserialize(parameters).map_err(|error| {
        StatesError::new(
            "Debian.InvalidParameters",
            format!("The parameters cannot be read: {error}."),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_each_name_is_found_in_both_forms() {
        let names: Vec<_> = ACTIONS.iter().map(|action| action.facts().name).collect();
        assert!(names.is_sorted(), "{names:?}");
        for name in names {
            let activity = format!("arn:aws-cn:states:r:1:activity:debian-{}", name.replace('.', "-"));
            for arn in [format!("arn:aws:states:::debian:{name}"), activity] {
                let Named::Action(action) = named(&arn) else {
                    panic!("{arn}");
                };
                assert_eq!(action.facts().name, name, "{arn}");
            }
        }
    }

    #[test]
    fn other_resources_are_left_to_others() {
        assert!(matches!(
            named("arn:aws:states:::debian:apt.instal"),
            Named::Unknown("apt.instal")
        ));
        for arn in [
            "arn:aws:states:r:1:activity:debian-mine",
            "arn:aws:states:r:1:activity:shell-run",
            "arn:aws:states:::lambda:invoke",
            "debian:shell.run",
        ] {
            assert!(matches!(named(arn), Named::Other), "{arn}");
        }
    }

    #[test]
    fn what_is_denied_stays_denied() {
        let allowed = Allowed {
            allow: vec!["apt.*".to_owned(), "file.write".to_owned()],
            deny: vec!["apt.remove".to_owned()],
        };
        assert!(allowed.has("apt.install") && allowed.has("file.write"));
        assert!(!allowed.has("apt.remove") && !allowed.has("shell.run"));
        assert!(Allowed::default().has("shell.run"));
    }
}
