//! What undoing a change of packages needs, and the undoing: one transaction, then the marks.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::io::Read;
use std::io::Seek;
use std::io::SeekFrom;
use std::path::Path;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use rustix::fs::Mode;
use serde::Deserialize;
use serde::Serialize;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::model::states_error::StatesError;
use crate::worker::action;
use crate::worker::action::Work;
use crate::worker::action::apt::command;
use crate::worker::action::apt::command::System;
use crate::worker::action::apt::parameters::Conffiles;
use crate::worker::action::apt::parameters::Parameters;
use crate::worker::action::apt::parameters::UNDO_FAILED;
use crate::worker::action::apt::perform;
use crate::worker::action::apt::state::Changes;
use crate::worker::action::apt::state::Present;
use crate::worker::action::apt::state::State;
use crate::worker::action::apt::transaction::is_interrupted;
use crate::worker::action::apt::transaction::must;
use crate::worker::action::checkpoint::Saved;
use crate::worker::process;

/// Where apt keeps what it downloaded.
const ARCHIVES: &str = "/var/cache/apt/archives";
/// Where apt notes what it did.
const HISTORY: &str = "/var/log/apt/history.log";
/// Most that is read of it.
const HISTORY_BYTES_MAX: u64 = 16 * 1024;

/// What is kept of the time before.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Before {
    /// All packages and marks.
    pub state: State,
    /// The packages that were to change.
    pub affected: BTreeSet<String>,
    /// Only holds were to change: versions are somebody else's.
    #[serde(default)]
    pub only_holds: bool,
    /// File names of old versions by package, in the checkpoint's directory.
    pub kept: BTreeMap<String, String>,
}

impl Before {
    /// Writes it as a value.
    ///
    /// # Errors
    /// Never, for what a machine can hold.
    pub fn to_value(&self) -> Result<Value, StatesError> {
        serde_json::to_value(self).map_err(|error| undo_failed(&format!("The packages cannot be kept: {error}.")))
    }
}

fn undo_failed(sentence: &str) -> StatesError {
    StatesError::new(UNDO_FAILED, process::shorten(sentence))
}

/// Keeps the old versions of packages in a directory. Returns the file names of those that could be kept.
///
/// # Errors
/// The disk, or the task was cancelled.
pub async fn keep(
    system: &System,
    replaced: &BTreeMap<String, String>,
    state: &State,
    directory: &Path,
    work: &mut Work<'_>,
) -> Result<BTreeMap<String, String>, StatesError> {
    let mut kept = BTreeMap::new();
    if replaced.is_empty() {
        return Ok(kept);
    }
    let files: BTreeMap<&String, String> = replaced
        .iter()
        .filter_map(|(name, version)| {
            let bare = name.split(':').next()?;
            let architecture = &state.packages.get(name)?.architecture;
            Some((
                name,
                format!("{bare}_{}_{architecture}.deb", version.replace(':', "%3a")),
            ))
        })
        .collect();
    let staging = Staging::make(system).map_err(|error| undo_failed(&format!("No directory can be made: {error}.")))?;
    let here = |file: &String| staging.path.join(file).exists();
    for file in files.values() {
        // What is not there, or not readable, is fetched below.
        let _ = std::fs::copy(system.path(ARCHIVES).join(file), staging.path.join(file));
    }
    let missing: Vec<String> = files
        .iter()
        .filter(|(_, file)| !here(file))
        .map(|(name, _)| format!("{name}={}", replaced[*name]))
        .collect();
    if !missing.is_empty() {
        work.reports.alive();
        let mut arguments = vec!["apt-get", "-q", "download"];
        arguments.extend(missing.iter().map(String::as_str));
        let together = system.run_in(&staging.path, &arguments, work).await?;
        if together.code != Some(0) {
            // One that is not there any more keeps apt from fetching the others.
            for argument in &missing {
                work.reports.alive();
                system
                    .run_in(&staging.path, &["apt-get", "-q", "download", argument], work)
                    .await?;
            }
        }
    }
    for (name, file) in &files {
        if !here(file) {
            work.reports.alive();
            system
                .run_in(&staging.path, &["dpkg-repack", name.as_str()], work)
                .await?;
        }
        if here(file) {
            std::fs::copy(staging.path.join(file), directory.join(file))
                .and_then(|_| File::open(directory.join(file))?.sync_all())
                .map_err(|error| undo_failed(&format!("`{file}` cannot be kept: {error}.")))?;
            kept.insert((*name).clone(), file.clone());
        }
    }
    Ok(kept)
}

/// Restores the packages that an action changed, and their marks.
///
/// # Errors
/// Something is not as it was; the cause names it.
pub async fn undo(saved: &Saved, work: &mut Work<'_>) -> Result<Value, StatesError> {
    let parameters: Parameters = action::read(&saved.parameters)?;
    let before: Before = action::read(&saved.before)?;
    let system = System {
        root: parameters.root.clone(),
    };
    let lock_timeout = parameters.lock_timeout();
    let found = State::read(&system, work).await?;
    let mut affected = before.affected.clone();
    affected.extend(saved.result.iter().flat_map(names_in));
    if before.only_holds {
        restore_marks(&before.state, &affected, &system, &parameters, work).await?;
        return Ok(Value::Null);
    }
    let is_half_done = found.half_done().any(|name| affected.contains(name));
    if is_half_done || is_interrupted(&system) {
        let mut arguments = vec!["dpkg"];
        arguments.extend(command::conffile_options(Conffiles::Keep));
        arguments.extend(["--configure", "-a"]);
        // A package that cannot be configured is removed or replaced below.
        perform::dpkg(&system, &arguments, lock_timeout, work).await?;
    }
    let now = State::read(&system, work).await?;
    let staging =
        Staging::make(&system).map_err(|error| undo_failed(&format!("No directory can be made: {error}.")))?;
    let arguments = back(&before, &now, &affected, saved, &system, &staging);
    let mut complaint = None;
    if !arguments.is_empty() {
        let mut all: Vec<String> = [
            "-y",
            "-q",
            "--allow-downgrades",
            "--allow-change-held-packages",
            "--reinstall",
        ]
        .map(str::to_owned)
        .to_vec();
        for option in command::conffile_options(Conffiles::Keep) {
            all.extend(["-o".to_owned(), format!("Dpkg::Options::={option}")]);
        }
        all.extend(["--no-install-recommends".to_owned(), "install".to_owned()]);
        all.extend(arguments);
        // What counts is the state afterwards: another package may be broken.
        let answer = perform::apt_get(&system, &all, lock_timeout, work).await?;
        complaint = must("apt-get", answer).err();
    }
    let now = State::read(&system, work).await?;
    if let (Some(error), false) = (
        &complaint,
        back(&before, &now, &affected, saved, &system, &staging).is_empty(),
    ) {
        return Err(error.clone());
    }
    let is_new = |name: &&String| {
        !before.state.packages.contains_key(*name) && now.packages.get(*name).is_some_and(|it| it.is_configuration())
    };
    let mut purges = vec!["dpkg", "--purge"];
    purges.extend(affected.iter().filter(is_new).map(String::as_str));
    if 2 < purges.len() {
        must(
            "dpkg --purge",
            perform::dpkg(&system, &purges, lock_timeout, work).await?,
        )?;
    }
    restore_marks(&before.state, &affected, &system, &parameters, work).await?;
    let after = State::read(&system, work).await?;
    let different: Vec<&String> = affected
        .iter()
        .filter(|name| {
            after.packages.get(*name) != before.state.packages.get(*name)
                || after.manual.contains(*name) != before.state.manual.contains(*name)
        })
        .collect();
    if !different.is_empty() {
        let is = |state: &State, name: &String| match state.packages.get(name) {
            Some(present) => format!("{} {}", present.status, present.version),
            None => "absent".to_owned(),
        };
        let each: Vec<String> = different
            .into_iter()
            .map(|name| format!("{name} was {} and is {}", is(&before.state, name), is(&after, name)))
            .collect();
        return Err(undo_failed(&format!("Not all is as it was: {}.", each.join("; "))));
    }
    Ok(Changes::between(&found, &after).result(&affected))
}

/// Returns the arguments of the transaction that goes back.
fn back(
    before: &Before,
    now: &State,
    affected: &BTreeSet<String>,
    saved: &Saved,
    system: &System,
    staging: &Staging,
) -> Vec<String> {
    let mut arguments = Vec::new();
    for name in affected {
        let old = before.state.packages.get(name).filter(|old| !old.is_configuration());
        let new = now.packages.get(name).filter(|new| !new.is_configuration());
        let is_same = |old: &Present| {
            new.is_some_and(|new| new.version == old.version && (new.is_installed() || !old.is_installed()))
        };
        match old {
            None if new.is_some() => arguments.push(format!("{name}-")),
            Some(old) if !is_same(old) => {
                let kept = before.kept.get(name).and_then(|file| {
                    let here = staging.path.join(file);
                    std::fs::copy(saved.directory.join(file), &here).ok()?;
                    system.seen_inside(&here)
                });
                arguments.push(kept.unwrap_or_else(|| format!("{name}={}", old.version)));
            }
            None | Some(_) => {}
        }
    }
    arguments
}

async fn restore_marks(
    before: &State,
    affected: &BTreeSet<String>,
    system: &System,
    parameters: &Parameters,
    work: &mut Work<'_>,
) -> Result<(), StatesError> {
    let now = State::read(system, work).await?;
    let marked = |verb: &'static str, is_wrong: &dyn Fn(&String) -> bool| {
        let mut arguments = vec!["apt-mark", verb];
        let there = affected.iter().filter(|name| now.packages.contains_key(*name));
        arguments.extend(there.filter(|name| is_wrong(name)).map(String::as_str));
        arguments
    };
    let is_held = |state: &State, name: &String| state.packages.get(name).is_some_and(|it| it.is_held());
    for arguments in [
        marked("manual", &|name| {
            before.manual.contains(name) && !now.manual.contains(name)
        }),
        marked("auto", &|name| {
            !before.manual.contains(name) && now.manual.contains(name)
        }),
        marked("hold", &|name| is_held(before, name) && !is_held(&now, name)),
        marked("unhold", &|name| !is_held(before, name) && is_held(&now, name)),
    ] {
        if 2 < arguments.len() {
            let answer = perform::dpkg(system, &arguments, parameters.lock_timeout(), work).await?;
            must("apt-mark", answer)?;
        }
    }
    Ok(())
}

/// Returns the packages that a result names.
fn names_in(result: &Value) -> Vec<String> {
    let lists = ["Installed", "Upgraded", "Downgraded", "Removed"];
    let entries = lists.iter().filter_map(|list| result.get(list)?.as_array()).flatten();
    let names = entries.filter_map(|entry| entry.get("Package")?.as_str());
    names.map(str::to_owned).collect()
}

/// A directory inside the system that goes away with this.
struct Staging {
    path: PathBuf,
}

impl Staging {
    fn make(system: &System) -> io::Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = system
            .path("/tmp")
            .join(format!("stepfn-debs-{}-{number}", std::process::id()));
        // A new one, or none: somebody else's would be filled with what he likes.
        rustix::fs::mkdir(&path, Mode::RWXU)?;
        Ok(Self { path })
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// Finds what apt adds to its own history.
pub struct History {
    path: PathBuf,
    length: u64,
}

impl History {
    /// Notes where it ends now.
    pub fn begin(system: &System) -> Self {
        let path = system.path(HISTORY);
        let length = std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
        Self { path, length }
    }

    /// Returns the last entry since then; `None` if there is none, or it cannot be read.
    pub fn end(&self) -> Option<Value> {
        let mut file = File::open(&self.path).ok()?;
        let end = file.metadata().ok()?.len();
        let start = self.length.max(end.saturating_sub(HISTORY_BYTES_MAX));
        file.seek(SeekFrom::Start(start)).ok()?;
        let mut bytes = Vec::new();
        file.take(HISTORY_BYTES_MAX).read_to_end(&mut bytes).ok()?;
        let text = String::from_utf8_lossy(&bytes);
        let entry = text.trim().rsplit("\n\n").next()?;
        let fields = entry.lines().filter_map(|line| line.split_once(": "));
        let fields: Map<String, Value> = fields.map(|(name, text)| (name.to_owned(), json!(text))).collect();
        (!fields.is_empty()).then_some(Value::Object(fields))
    }
}
