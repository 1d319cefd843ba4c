//! Copies a store while a server uses it.

use std::fs::File;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rusqlite::Connection;
use rusqlite::backup::Backup;

use crate::store::StoreError;
use crate::store::sqlite::open::FILE_NAME;
use crate::store::sqlite::open::connect_to_read;
use crate::store::sqlite::open::make;

/// Copies the store in `directory`, as it stands at one instant, into the directory `target`.
///
/// # Errors
/// It cannot be read; there is a store at the target, or it cannot be written.
pub fn backup(directory: &Path, target: &Path) -> Result<(), StoreError> {
    let path = directory.join(FILE_NAME);
    let from =
        connect_to_read(&path).map_err(|error| StoreError::Open(format!("`{}`: {error}", path.display()).into()))?;
    let fail = |error: &dyn std::fmt::Display| {
        StoreError::Open(format!("the backup in `{}`: {error}", target.display()).into())
    };
    make(target).map_err(|error| fail(&error))?;
    let (whole, part) = (target.join(FILE_NAME), target.join("stepfn.db.part"));
    if whole.exists() {
        return Err(fail(&"there is a store already"));
    }
    // Whole or not at all: the name comes last.
    OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(&part)
        .map_err(|error| fail(&error))?;
    copy(&from, &part).map_err(|error| fail(&error))?;
    let sync = |path: &Path| File::open(path)?.sync_all();
    sync(&part)
        .and_then(|()| std::fs::rename(&part, &whole))
        .and_then(|()| sync(target))
        .map_err(|error| fail(&error))
}

fn copy(from: &Connection, part: &Path) -> rusqlite::Result<()> {
    let mut to = Connection::open(part)?;
    // In one step: no commit of a server comes between.
    let backup = Backup::new(from, &mut to)?;
    match backup.step(-1)? {
        rusqlite::backup::StepResult::Done => Ok(()),
        _ => Err(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY),
            None,
        )),
    }
}
