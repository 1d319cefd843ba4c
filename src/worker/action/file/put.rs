//! What all actions that write a file do: compare, keep, write, restore. They differ in what the file is to hold.

use std::fs::File;
use std::io::Cursor;
use std::io::Seek;
use std::os::fd::AsFd;
use std::path::Path;
use std::path::PathBuf;

use async_trait::async_trait;
use rustix::fs::Gid;
use rustix::fs::Mode;
use rustix::fs::Timespec;
use rustix::fs::Timestamps;
use rustix::fs::Uid;
use serde_json::Value;
use serde_json::json;

use crate::model::states_error::StatesError;
use crate::worker::action::Action;
use crate::worker::action::Plan;
use crate::worker::action::Work;
use crate::worker::action::checkpoint::Saved;
use crate::worker::action::facts::ErrorName;
use crate::worker::action::facts::Facts;
use crate::worker::action::facts::Kind;
use crate::worker::action::facts::Member;
use crate::worker::action::facts::Parameter;
use crate::worker::action::file::backup;
use crate::worker::action::file::existing::Existing;
use crate::worker::action::file::existing::copy;
use crate::worker::action::file::existing::sha256;
use crate::worker::action::file::fault;
use crate::worker::action::file::fault::CHANGED_MEANWHILE;
use crate::worker::action::file::fault::fault;
use crate::worker::action::file::fault::of_system;
use crate::worker::action::file::off_thread::Stop;
use crate::worker::action::file::off_thread::off_thread;
use crate::worker::action::file::ownership::Owned;
use crate::worker::action::file::place::Place;
use crate::worker::action::reference;

/// The permission bits of a new file when nobody says otherwise.
pub(super) const MODE_OF_NEW: u32 = 0o644;

pub(super) const PATH: Parameter = Parameter::required("Path", Kind::Path, "The file.");

pub(super) const RESULT: &[Member] = &[
    Member {
        name: "Path",
        doc: "The file.",
    },
    Member {
        name: "Before",
        doc: "`{Sha256, Bytes, Mode, Uid, Gid}` of the file as it was; null if there was none.",
    },
    Member {
        name: "After",
        doc: "The same of the file as it is; null if there is none.",
    },
];

pub(super) const UNDO: &str = "Restores content, mode, owner, group and time of the file that was there, or removes the \
                               new one. What somebody else wrote since is kept beside the checkpoint, as `replaced`. When what \
                               it is to hold is secret, nothing of it is kept: a new file is removed, and one that was \
                               there is not restored and gets no checkpoint; `Before` and `After` lack `Sha256` and `Bytes`.";

/// What every action on files says about itself.
pub(super) const DETAILS: &str = "The new file is on the disk before it takes the old one's name, so nobody ever sees half \
                                  of it; hard links to the old one, its ACLs and its extended attributes stay behind \
                                  with it.";

/// The errors of every action that writes a file.
pub(super) const ERRORS: &[ErrorName] = &[
    fault::CHANGED_MEANWHILE,
    fault::FAILED,
    fault::INVALID_PARAMETERS,
    fault::IS_DIRECTORY,
    fault::IS_SYMLINK,
    fault::NO_SPACE,
    fault::NOT_A_DIRECTORY,
    fault::NOT_FOUND,
    fault::NOT_REGULAR,
    fault::PERMISSION_DENIED,
    fault::READ_ONLY,
    fault::TOO_LARGE,
    fault::UNKNOWN_OWNER,
];

/// An action that writes a file.
pub struct Put {
    pub(super) facts: &'static Facts,
    /// Other files that it reads.
    pub(super) reads: fn(&Value) -> Option<&str>,
    /// Finds out what the file is to be.
    pub(super) wanted: fn(&Value, &Place, Option<&Existing>, &Stop) -> Result<Wanted, StatesError>,
}

/// What a file is to be.
pub(super) struct Wanted {
    pub(super) content: Content,
    pub(super) owned: Owned,
}

/// What a file is to hold.
pub(super) enum Content {
    Bytes(Vec<u8>),
    /// Another file, open, which has been looked at.
    Copy(File, Existing),
}

impl Content {
    fn sha256(&self) -> String {
        match self {
            Self::Bytes(bytes) => sha256(bytes),
            Self::Copy(_, existing) => existing.sha256.clone(),
        }
    }

    fn bytes(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Copy(_, existing) => existing.bytes,
        }
    }
}

/// The path that a checked action works on.
pub(super) fn path(parameters: &Value) -> PathBuf {
    PathBuf::from(parameters["Path"].as_str().unwrap_or_default())
}

/// The lock of a file.
pub(super) fn lock(path: &str) -> String {
    format!("file:{path}")
}

/// The result of an action on a file.
pub(super) fn result(path: &Path, before: Option<&Existing>, after: Option<&Existing>) -> Value {
    json!({ "Path": path, "Before": before.map(Existing::shown), "After": after.map(Existing::shown) })
}

/// Keeps the file that an action is about to change.
pub(super) async fn save(parameters: &Value, directory: &Path, work: &mut Work<'_>) -> Result<Value, StatesError> {
    let (path, directory) = (path(parameters), directory.to_owned());
    off_thread(work, move |stop| {
        backup::keep(&Place::find(&path)?, &directory, backup::CONTENT, stop)
    })
    .await
}

#[async_trait]
impl Action for Put {
    fn facts(&self) -> &'static Facts {
        self.facts
    }

    fn locks(&self, parameters: &Value) -> Vec<String> {
        let paths = [parameters["Path"].as_str(), (self.reads)(parameters)];
        paths.into_iter().flatten().map(lock).collect()
    }

    fn keeps(&self, parameters: &Value) -> bool {
        // What was there may be the secret as it was before: it is not copied.
        !self.has_secrets(parameters) || path(parameters).symlink_metadata().is_err()
    }

    fn conceal(&self, result: &mut Value) {
        // They tell a secret that can be guessed.
        for side in ["Before", "After"] {
            if let Some(Value::Object(file)) = result.get_mut(side) {
                file.remove("Sha256");
                file.remove("Bytes");
            }
        }
    }

    async fn plan(&self, parameters: &Value, work: &mut Work<'_>) -> Result<Plan, StatesError> {
        if work.site.planned.is_some() && self.has_secrets(parameters) {
            let path = path(parameters);
            return Ok(Plan {
                changes: vec![format!("write {} (what it is to hold is secret)", path.display())],
                result: result(&path, None, None),
            });
        }
        let (wanted, parameters) = (self.wanted, parameters.clone());
        off_thread(work, move |stop| plan(wanted, &parameters, stop)).await
    }

    async fn save(&self, parameters: &Value, directory: &Path, work: &mut Work<'_>) -> Result<Value, StatesError> {
        if self.has_secrets(parameters) && path(parameters).symlink_metadata().is_ok() {
            let sentence = format!("`{}` was made meanwhile.", path(parameters).display());
            return Err(fault(&CHANGED_MEANWHILE, sentence));
        }
        save(parameters, directory, work).await
    }

    async fn apply(&self, parameters: &Value, work: &mut Work<'_>) -> Result<Value, StatesError> {
        let (wanted, parameters) = (self.wanted, parameters.clone());
        off_thread(work, move |stop| apply(wanted, &parameters, stop)).await
    }

    async fn verify(&self, parameters: &Value, result: &Value, work: &mut Work<'_>) -> Result<(), StatesError> {
        let (path, after) = (path(parameters), result["After"].clone());
        off_thread(work, move |stop| verify(&path, &after, stop)).await
    }

    async fn undo(&self, saved: &Saved, work: &mut Work<'_>) -> Result<Value, StatesError> {
        backup::undo(saved, !self.has_secrets(&saved.parameters), work).await
    }
}

impl Put {
    fn has_secrets(&self, parameters: &Value) -> bool {
        !reference::all(self.facts, parameters).is_empty()
    }
}

type FindWanted = fn(&Value, &Place, Option<&Existing>, &Stop) -> Result<Wanted, StatesError>;

fn plan(find: FindWanted, parameters: &Value, stop: &Stop) -> Result<Plan, StatesError> {
    let path = path(parameters);
    let place = Place::find(&path)?;
    let existing = Existing::look(&place, stop)?;
    let wanted = find(parameters, &place, existing.as_ref(), stop)?;
    let shown = path.display().to_string();
    let bytes = wanted.content.bytes();
    let mut changes = Vec::new();
    match &existing {
        None => changes.push(format!(
            "create {shown} ({bytes} bytes, mode {:04o})",
            wanted.owned.mode
        )),
        Some(existing) => {
            if existing.sha256 != wanted.content.sha256() {
                changes.push(format!("write {shown} ({} bytes, before {})", bytes, existing.bytes));
            }
            changes.extend(wanted.owned.changes(existing, &shown));
        }
    }
    Ok(Plan {
        changes,
        result: result(&path, existing.as_ref(), existing.as_ref()),
    })
}

fn apply(find: FindWanted, parameters: &Value, stop: &Stop) -> Result<Value, StatesError> {
    let path = path(parameters);
    let place = Place::find(&path)?;
    let before = Existing::look(&place, stop)?;
    let Wanted { mut content, owned } = find(parameters, &place, before.as_ref(), stop)?;
    let sha256 = content.sha256();
    let after = match &before {
        Some(before) if before.sha256 == sha256 => change_ownership(&place, before, owned)?,
        _ => match &mut content {
            Content::Bytes(bytes) => write(&place, &mut Cursor::new(bytes), owned, None, stop)?,
            Content::Copy(file, _) => {
                file.rewind().map_err(|error| of_system(error, place.path(), "read"))?;
                write(&place, file, owned, None, stop)?
            }
        },
    };
    match after.sha256 == sha256 {
        true => Ok(result(&path, before.as_ref(), Some(&after))),
        false => {
            let sentence = format!("What `{}` is to hold was changed while it was copied.", path.display());
            Err(fault(&CHANGED_MEANWHILE, sentence))
        }
    }
}

fn verify(path: &Path, after: &Value, stop: &Stop) -> Result<(), StatesError> {
    let now = Existing::look(&Place::find(path)?, stop)?;
    match now.as_ref().map_or(Value::Null, Existing::shown) == *after {
        true => Ok(()),
        false => Err(fault(
            &CHANGED_MEANWHILE,
            format!("`{}` is not any more as it was written.", path.display()),
        )),
    }
}

/// Replaces a file by a new one.
///
/// # Errors
/// The system refuses; then the old one is as it was.
pub(super) fn write(
    place: &Place,
    content: &mut impl std::io::Read,
    owned: Owned,
    modified: Option<(i64, i64)>,
    stop: &Stop,
) -> Result<Existing, StatesError> {
    let mut unready = place.create()?;
    let (sha256, bytes) = copy(content, &mut unready.file, place, stop)?;
    set_ownership(place, &unready.file, owned)?;
    if let Some((tv_sec, tv_nsec)) = modified {
        let time = Timespec { tv_sec, tv_nsec };
        let times = Timestamps {
            last_access: time,
            last_modification: time,
        };
        rustix::fs::futimens(&unready.file, &times)
            .map_err(|error| of_system(error, place.path(), "given its time"))?;
    }
    let after = Existing::of_content(&unready.file, sha256, bytes, place)?;
    stop.check()?;
    unready.publish()?;
    Ok(after)
}

fn change_ownership(place: &Place, before: &Existing, owned: Owned) -> Result<Existing, StatesError> {
    let Some(file) = place.open()? else {
        let sentence = format!("`{}` was removed meanwhile.", place.path().display());
        return Err(fault(&CHANGED_MEANWHILE, sentence));
    };
    set_ownership(place, &file, owned)?;
    file.sync_all()
        .map_err(|error| of_system(error, place.path(), "written"))?;
    Existing::of_content(&file, before.sha256.clone(), before.bytes, place)
}

fn set_ownership(place: &Place, file: &File, owned: Owned) -> Result<(), StatesError> {
    let now = Existing::of_content(file, String::new(), 0, place)?;
    let differing = |wanted: Option<u32>, is: u32| wanted.filter(|wanted| *wanted != is);
    let (uid, gid) = (differing(owned.uid, now.uid), differing(owned.gid, now.gid));
    // The owner first: the system takes set-user-id bits away from a file that is given away.
    if uid.is_some() || gid.is_some() {
        rustix::fs::fchown(file.as_fd(), uid.map(Uid::from_raw), gid.map(Gid::from_raw))
            .map_err(|error| of_system(error, place.path(), "given to that owner or group"))?;
    }
    rustix::fs::fchmod(file.as_fd(), Mode::from_raw_mode(owned.mode))
        .map_err(|error| of_system(error, place.path(), "given that mode"))
}
