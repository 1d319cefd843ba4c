//! A file as it was: kept in the checkpoint's directory, and restored from there.

use std::fs::File;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;
use serde_json::json;

use crate::model::states_error::StatesError;
use crate::worker::action::Work;
use crate::worker::action::checkpoint::Saved;
use crate::worker::action::file::existing::Existing;
use crate::worker::action::file::existing::copy;
use crate::worker::action::file::fault::FAILED;
use crate::worker::action::file::fault::NOT_FOUND;
use crate::worker::action::file::fault::fault;
use crate::worker::action::file::fault::of_system;
use crate::worker::action::file::off_thread::Stop;
use crate::worker::action::file::off_thread::off_thread;
use crate::worker::action::file::ownership::Owned;
use crate::worker::action::file::place::Place;
use crate::worker::action::file::put;

/// The file's content, in the checkpoint's directory.
pub(super) const CONTENT: &str = "content";
/// What was there when the action was undone, if somebody else had written it.
const REPLACED: &str = "replaced";

/// Keeps a file, and returns what `undo` needs to know: an `Existing`, or null if there is no file.
///
/// # Errors
/// It cannot be read, or not be kept.
pub(super) fn keep(place: &Place, directory: &Path, name: &str, stop: &Stop) -> Result<Value, StatesError> {
    let Some(mut file) = place.open()? else {
        return Ok(Value::Null);
    };
    let kept = directory.join(name);
    let failed = |error| of_system(error, &kept, "written");
    let mut copied = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&kept)
        .map_err(failed)?;
    let (sha256, bytes) = copy(&mut file, &mut copied, place, stop)?;
    copied.sync_all().map_err(failed)?;
    let existing = Existing::of_content(&file, sha256, bytes, place)?;
    Ok(json!(existing))
}

/// Restores what was before an action. What somebody else wrote is kept, unless it may be a secret.
///
/// # Errors
/// The system refuses, or what was kept is damaged.
pub(super) async fn undo(saved: &Saved, keeps_others: bool, work: &mut Work<'_>) -> Result<Value, StatesError> {
    let saved = saved.clone();
    off_thread(work, move |stop| restore(&saved, keeps_others, stop)).await
}

fn restore(saved: &Saved, keeps_others: bool, stop: &Stop) -> Result<Value, StatesError> {
    let path = put::path(&saved.parameters);
    let damaged = |what: &str| {
        let sentence = format!("What was kept of `{}` {what}.", path.display());
        fault(&FAILED, sentence)
    };
    let before: Option<Existing> =
        Deserialize::deserialize(&saved.before).map_err(|error| damaged(&format!("cannot be read: {error}")))?;
    let place = match Place::find(&path) {
        Ok(place) => place,
        // Its directory was removed since, and it was to be absent anyway.
        Err(error) if before.is_none() && error.name.as_deref() == Some(NOT_FOUND.name) => {
            return Ok(json!({ "Path": path, "Changed": false, "File": null, "Replaced": false }));
        }
        Err(error) => return Err(error),
    };
    place.sweep()?;
    let now = Existing::look(&place, stop)?;
    let answer = |changed: bool, replaced: bool| {
        let file = before.as_ref().map(Existing::shown);
        json!({ "Path": path, "Changed": changed, "File": file, "Replaced": replaced })
    };
    if now == before {
        return Ok(answer(false, false));
    }
    // Of an apply that did not end, nobody knows what it wrote.
    let written = saved.result.as_ref().map(|result| &result["After"]["Sha256"]);
    let is_ours = !keeps_others
        || now.as_ref().is_none_or(|now| {
            written.is_some_and(|written| *written == now.sha256)
                || before.as_ref().is_some_and(|it| it.sha256 == now.sha256)
        });
    if !is_ours {
        keep(&place, &saved.directory, REPLACED, stop)?;
    }
    match &before {
        None => place.remove()?,
        Some(before) => {
            let kept = saved.directory.join(CONTENT);
            let mut content = File::open(&kept).map_err(|error| of_system(error, &kept, "read"))?;
            // Checked before anything is replaced by it.
            let was = copy(&mut content, &mut std::io::sink(), &place, stop)?;
            if was != (before.sha256.clone(), before.bytes) {
                return Err(damaged("is damaged"));
            }
            std::io::Seek::rewind(&mut content).map_err(|error| of_system(error, &kept, "read"))?;
            let owned = Owned {
                mode: before.mode,
                uid: Some(before.uid),
                gid: Some(before.gid),
            };
            put::write(&place, &mut content, owned, Some(before.modified), stop)?;
        }
    }
    Ok(answer(true, !is_ours))
}
