//! The way of every action that changes packages: look, simulate, keep, do, look again.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;
use serde_json::json;

use crate::model::states_error::StatesError;
use crate::worker::action::Plan;
use crate::worker::action::Work;
use crate::worker::action::apt::checkpoint;
use crate::worker::action::apt::checkpoint::Before;
use crate::worker::action::apt::classify;
use crate::worker::action::apt::command;
use crate::worker::action::apt::command::Answer;
use crate::worker::action::apt::command::System;
use crate::worker::action::apt::parameters::FAILED;
use crate::worker::action::apt::parameters::PACKAGE_NOT_FOUND;
use crate::worker::action::apt::parameters::Parameters;
use crate::worker::action::apt::parameters::REMOVAL_REFUSED;
use crate::worker::action::apt::parameters::UNDO_FAILED;
use crate::worker::action::apt::perform;
use crate::worker::action::apt::simulate::Simulation;
use crate::worker::action::apt::state::Changes;
use crate::worker::action::apt::state::State;
use crate::worker::process;

/// What a package shall be afterwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Want {
    /// Not installed; with `purge` not even its configuration is left.
    Absent { purge: bool },
    /// Installed in this or any version, and marked as asked for by somebody.
    Installed { version: Option<String> },
    /// As the simulation says, if it is installed.
    Newest,
}

impl Want {
    fn is_reached(&self, name: &str, state: &State) -> bool {
        match self {
            Self::Absent { purge } => match state.packages.get(name) {
                Some(present) => !purge && present.is_configuration(),
                None => true,
            },
            Self::Installed { version } => state.installed(name).is_some_and(|present| {
                state.manual.contains(name) && version.as_ref().is_none_or(|version| *version == present.version)
            }),
            // Only apt knows.
            Self::Newest => state.installed(name).is_none(),
        }
    }
}

/// One wish: a package, how apt takes it as an argument, and what it shall be.
#[derive(Clone, Debug)]
pub struct Wish {
    /// Its name as apt prints it.
    pub name: String,
    /// The argument.
    pub argument: String,
    /// What it shall be.
    pub want: Want,
}

/// A transaction of apt.
pub struct Transaction {
    /// The system.
    pub system: System,
    /// The task's parameters.
    pub parameters: Parameters,
    /// `install`, `remove`, `purge`, `upgrade` or `dist-upgrade`.
    pub verb: &'static str,
    /// More options of apt-get.
    pub options: Vec<&'static str>,
    /// Makes the wishes, when the machine's architecture is known.
    pub wishes: fn(&Parameters, native: &str) -> Vec<Wish>,
}

/// What is to be done, as it looks now.
struct Outlook {
    state: State,
    /// What is not reached yet.
    open: Vec<Wish>,
    /// dpkg has work left from before.
    needs_repair: bool,
    simulation: Simulation,
}

impl Outlook {
    /// apt has nothing to do.
    fn is_idle(&self) -> bool {
        self.simulation.is_empty() && self.open.iter().all(|wish| wish.want == Want::Newest)
    }
}

impl Transaction {
    /// Finds out what would change.
    ///
    /// # Errors
    /// apt could not do it.
    pub async fn plan(&self, work: &mut Work<'_>) -> Result<Plan, StatesError> {
        let outlook = self.look(work).await?;
        let mut changes = Vec::new();
        if outlook.needs_repair {
            changes.push("finish what an interrupted dpkg left: dpkg --configure -a".to_owned());
        }
        if !outlook.is_idle() {
            changes.extend(outlook.simulation.lines());
            let installed = |wish: &&Wish| outlook.state.installed(&wish.name).is_some();
            let marks = |wish: &&Wish| matches!(wish.want, Want::Installed { .. }) && !is_in(&outlook.simulation, wish);
            let rest = outlook.open.iter().filter(installed).filter(marks);
            changes.extend(rest.map(|wish| format!("mark {} as installed by request", wish.name)));
        }
        let mut result = Changes::default().result(&BTreeSet::new());
        if let Some(members) = result.as_object_mut() {
            // Not known here: before a crash, this very task may have changed it all.
            members.remove("Changed");
        }
        Ok(Plan { changes, result })
    }

    /// Keeps what undoing needs.
    ///
    /// # Errors
    /// With `RequireUndo`: an old version cannot be kept.
    pub async fn save(&self, directory: &Path, work: &mut Work<'_>) -> Result<Value, StatesError> {
        let outlook = self.look(work).await?;
        let mut affected = outlook.simulation.packages();
        affected.extend(outlook.open.iter().map(|wish| wish.name.clone()));
        affected.extend(outlook.state.half_done().map(str::to_owned));
        let replaced = outlook.simulation.replaced();
        let kept = checkpoint::keep(&self.system, &replaced, &outlook.state, directory, work).await?;
        let missing: Vec<&str> = replaced
            .keys()
            .map(String::as_str)
            .filter(|name| !kept.contains_key(*name))
            .collect();
        if !missing.is_empty() {
            let sentence = format!(
                "The old version of {} can be kept neither from apt's archive nor by dpkg-repack.",
                missing.join(", ")
            );
            if self.parameters.require_undo {
                return Err(StatesError::new(UNDO_FAILED, sentence));
            }
            work.reports.log(sentence);
        }
        Before {
            state: outlook.state,
            affected,
            only_holds: false,
            kept,
        }
        .to_value()
    }

    /// Does it.
    ///
    /// # Errors
    /// The packages are not as asked afterwards.
    pub async fn apply(&self, work: &mut Work<'_>) -> Result<Value, StatesError> {
        let lock_timeout = self.parameters.lock_timeout();
        let before = State::read(&self.system, work).await?;
        let history = checkpoint::History::begin(&self.system);
        if self.needs_repair(&before) {
            let mut arguments = vec!["dpkg"];
            arguments.extend(command::conffile_options(self.parameters.conffiles));
            arguments.extend(["--configure", "-a"]);
            let answer = perform::dpkg(&self.system, &arguments, lock_timeout, work).await?;
            if answer.code != Some(0) {
                return Err(classify::error("dpkg --configure -a", &answer));
            }
        }
        // Once more: much may have happened since the plan was made.
        let outlook = self.look(work).await?;
        let mut planned = outlook.simulation.packages();
        planned.extend(outlook.open.iter().map(|wish| wish.name.clone()));
        let mut answer = None;
        if !outlook.is_idle() {
            let mut arguments = self.with_auto_remove(self.arguments(&outlook.open));
            arguments.insert(0, "-y".to_owned());
            let given = perform::apt_get(&self.system, &arguments, lock_timeout, work).await?;
            answer = Some(given);
        }
        let after = State::read(&self.system, work).await?;
        let warning = match answer {
            Some(answer) if answer.code != Some(0) => Some(classify::error("apt-get", &answer)),
            _ => None,
        };
        let unreached = self.unreached(&outlook, &after);
        if !unreached.is_empty() {
            return Err(warning.unwrap_or_else(|| {
                let sentence = format!("apt-get ended well, but {} is not as asked.", unreached.join(", "));
                StatesError::new(FAILED, sentence)
            }));
        }
        let mut result = Changes::between(&before, &after).result(&planned);
        if let Some(warning) = warning {
            result["Warning"] = json!(warning.cause);
        }
        if let Some(evidence) = history.end() {
            result["Evidence"] = evidence;
        }
        Ok(result)
    }

    async fn look(&self, work: &mut Work<'_>) -> Result<Outlook, StatesError> {
        let state = State::read(&self.system, work).await?;
        let wishes = (self.wishes)(&self.parameters, &state.native);
        let mut open = wishes;
        open.retain(|wish| !wish.want.is_reached(&wish.name, &state));
        for wish in &mut open {
            // Only its mark is wrong: apt would make it newer by the way.
            if let (Want::Installed { version: None }, Some(present)) = (&wish.want, state.installed(&wish.name)) {
                wish.argument = format!("{}={}", wish.name, present.version);
            }
        }
        let needs_repair = self.needs_repair(&state);
        let is_upgrade_of_all = self.verb.ends_with("upgrade");
        let simulation = match open.is_empty() && !is_upgrade_of_all {
            true => Simulation::default(),
            false => match self.simulate(&open, &state, work).await {
                Ok(simulation) => simulation,
                // What is half installed can make apt refuse anything until it is repaired.
                Err(_) if needs_repair => Simulation::default(),
                Err(error) => return Err(error),
            },
        };
        Ok(Outlook {
            state,
            open,
            needs_repair,
            simulation,
        })
    }

    async fn simulate(&self, open: &[Wish], state: &State, work: &mut Work<'_>) -> Result<Simulation, StatesError> {
        let alone = self.ask(&self.arguments(open), work).await?;
        self.guard(&alone, open, state)?;
        if !self.parameters.auto_remove {
            return Ok(alone);
        }
        // Only now: what nothing needs any more must not be taken for what needs a removed package.
        self.ask(&self.with_auto_remove(self.arguments(open)), work).await
    }

    async fn ask(&self, arguments: &[String], work: &mut Work<'_>) -> Result<Simulation, StatesError> {
        let mut all = vec!["apt-get", "--simulate"];
        all.extend(arguments.iter().map(String::as_str));
        let answer = must("apt-get --simulate", self.system.ask(&all, work).await?)?;
        Ok(Simulation::parse(&answer.stdout))
    }

    /// Refuses a plan that does more or less than was asked.
    fn guard(&self, simulation: &Simulation, open: &[Wish], state: &State) -> Result<(), StatesError> {
        for wish in open {
            // A name that apt takes for something else: `hello+`, or a name that other packages provide.
            let is_known = is_in(simulation, wish) || state.packages.contains_key(&wish.name);
            if !is_known {
                let sentence = format!(
                    "apt would do nothing with a package `{}` itself: it may be a name that other packages provide; name \
                     one of them.",
                    wish.name
                );
                return Err(StatesError::new(PACKAGE_NOT_FOUND, sentence));
            }
        }
        let more: Vec<&str> = simulation
            .removes
            .keys()
            .map(String::as_str)
            .filter(|name| {
                !open
                    .iter()
                    .any(|wish| wish.name == *name && matches!(wish.want, Want::Absent { .. }))
            })
            .collect();
        if !more.is_empty() && !self.parameters.allow_remove {
            let sentence = format!(
                "{} would be removed, too; `AllowRemove` would allow it.",
                more.join(", ")
            );
            return Err(StatesError::new(REMOVAL_REFUSED, process::shorten(&sentence)));
        }
        Ok(())
    }

    fn arguments(&self, open: &[Wish]) -> Vec<String> {
        let parameters = &self.parameters;
        let mut all = vec!["-q".to_owned()];
        for option in command::conffile_options(parameters.conffiles) {
            all.extend(["-o".to_owned(), format!("Dpkg::Options::={option}")]);
        }
        let removes = matches!(self.verb, "remove" | "purge") || parameters.allow_remove;
        let switches = [
            (!removes, "--no-remove"),
            (parameters.allow_downgrade, "--allow-downgrades"),
            (parameters.allow_held, "--allow-change-held-packages"),
            (parameters.recommends == Some(true), "--install-recommends"),
            (parameters.recommends == Some(false), "--no-install-recommends"),
        ];
        all.extend(
            switches
                .iter()
                .filter(|(is_on, _)| *is_on)
                .map(|(_, switch)| (*switch).to_owned()),
        );
        all.extend(self.options.iter().map(|&option| option.to_owned()));
        all.push(self.verb.to_owned());
        all.extend(open.iter().map(|wish| wish.argument.clone()));
        all
    }

    fn with_auto_remove(&self, mut arguments: Vec<String>) -> Vec<String> {
        if self.parameters.auto_remove {
            arguments.insert(0, "--auto-remove".to_owned());
        }
        arguments
    }

    fn needs_repair(&self, state: &State) -> bool {
        self.parameters.repair && (is_interrupted(&self.system) || state.half_done().next().is_some())
    }

    /// Returns what is not as asked, or as apt planned it.
    fn unreached(&self, outlook: &Outlook, after: &State) -> Vec<String> {
        let wishes = (self.wishes)(&self.parameters, &after.native);
        let unreached = wishes
            .iter()
            .filter(|wish| wish.want != Want::Newest && !wish.want.is_reached(&wish.name, after));
        let mut unreached: Vec<String> = unreached.map(|wish| wish.name.clone()).collect();
        if wishes.iter().all(|wish| wish.want == Want::Newest) {
            let planned = outlook.simulation.installs.iter();
            let missed = planned
                .filter(|(name, (_, version))| after.installed(name).is_none_or(|present| present.version != *version));
            unreached.extend(missed.map(|(name, _)| name.clone()));
        }
        unreached
    }
}

fn is_in(simulation: &Simulation, wish: &Wish) -> bool {
    match &wish.want {
        Want::Absent { .. } => simulation.removes.contains_key(&wish.name),
        Want::Installed { .. } | Want::Newest => {
            simulation.installs.contains_key(&wish.name) || simulation.configures.contains(&wish.name)
        }
    }
}

/// Tells whether dpkg's journal has entries: it was interrupted.
pub fn is_interrupted(system: &System) -> bool {
    let entries = std::fs::read_dir(system.path("/var/lib/dpkg/updates"));
    entries.is_ok_and(|mut entries| entries.any(|entry| entry.is_ok_and(|entry| is_journal(&entry))))
}

fn is_journal(entry: &std::fs::DirEntry) -> bool {
    let name = entry.file_name();
    name.to_str()
        .is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Tells whether an answer is good, or makes its error.
///
/// # Errors
/// The program did not end with 0.
pub fn must(program: &str, answer: Answer) -> Result<Answer, StatesError> {
    match answer.code {
        Some(0) => Ok(answer),
        _ => Err(classify::error(program, &answer)),
    }
}
