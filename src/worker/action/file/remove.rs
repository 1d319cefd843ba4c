//! `file.remove`: no file.

use std::path::Path;

use async_trait::async_trait;
use serde_json::Value;

use crate::model::states_error::StatesError;
use crate::worker::action::Action;
use crate::worker::action::Plan;
use crate::worker::action::Work;
use crate::worker::action::checkpoint::Saved;
use crate::worker::action::facts::Facts;
use crate::worker::action::file::backup;
use crate::worker::action::file::existing::Existing;
use crate::worker::action::file::fault::CHANGED_MEANWHILE;
use crate::worker::action::file::fault::fault;
use crate::worker::action::file::off_thread::off_thread;
use crate::worker::action::file::place::Place;
use crate::worker::action::file::put;

static FACTS: Facts = Facts {
    name: "file.remove",
    summary: "Removes a file.",
    details: "A file that is not there is no error. A directory, a symbolic link or a device is refused.",
    parameters: &[put::PATH],
    one_of: &[],
    result: put::RESULT,
    errors: put::ERRORS,
    undo: Some("Restores the file with its content, mode, owner, group and time."),
    example: r#"{ "Path": "/etc/app.conf.old" }"#,
};

/// The action.
pub struct Remove;

#[async_trait]
impl Action for Remove {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    fn locks(&self, parameters: &Value) -> Vec<String> {
        parameters["Path"].as_str().map(put::lock).into_iter().collect()
    }

    async fn plan(&self, parameters: &Value, work: &mut Work<'_>) -> Result<Plan, StatesError> {
        let path = put::path(parameters);
        off_thread(work, move |stop| {
            let existing = Existing::look(&Place::find(&path)?, stop)?;
            Ok(Plan {
                changes: existing.iter().map(|_| format!("remove {}", path.display())).collect(),
                result: put::result(&path, existing.as_ref(), None),
            })
        })
        .await
    }

    async fn save(&self, parameters: &Value, directory: &Path, work: &mut Work<'_>) -> Result<Value, StatesError> {
        put::save(parameters, directory, work).await
    }

    async fn apply(&self, parameters: &Value, work: &mut Work<'_>) -> Result<Value, StatesError> {
        let path = put::path(parameters);
        off_thread(work, move |stop| {
            let place = Place::find(&path)?;
            let existing = Existing::look(&place, stop)?;
            place.remove()?;
            Ok(put::result(&path, existing.as_ref(), None))
        })
        .await
    }

    async fn verify(&self, parameters: &Value, _result: &Value, work: &mut Work<'_>) -> Result<(), StatesError> {
        let path = put::path(parameters);
        off_thread(work, move |_| match Place::find(&path)?.open()? {
            None => Ok(()),
            Some(_) => {
                let sentence = format!("`{}` is there again after it was removed.", path.display());
                Err(fault(&CHANGED_MEANWHILE, sentence))
            }
        })
        .await
    }

    async fn undo(&self, saved: &Saved, work: &mut Work<'_>) -> Result<Value, StatesError> {
        backup::undo(saved, true, work).await
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use serde_json::json;

    use super::*;
    use crate::worker::action::file::testing::Files;

    #[tokio::test]
    async fn a_file_is_removed_once_and_restored() {
        let mut files = Files::new();
        let path = files.at("file");
        std::fs::write(&path, "x").unwrap();
        let before = std::fs::metadata(&path).unwrap();
        let done = files.run("file.remove", &json!({ "Path": path })).await.unwrap();
        assert!(!path.exists());
        let again = files
            .bench
            .run_again("file.remove", &json!({ "Path": path }))
            .await
            .unwrap();
        assert_eq!(again["Checkpoint"], done["Checkpoint"]);
        let other = files.run("file.remove", &json!({ "Path": path })).await.unwrap();
        assert_eq!((&other["Changed"], &other["Before"]), (&json!(false), &Value::Null));
        files.undo_twice(&done).await;
        let after = std::fs::metadata(&path).unwrap();
        assert_eq!((after.mode(), after.mtime_nsec()), (before.mode(), before.mtime_nsec()));
        assert_eq!(files.read("file"), "x");
    }

    #[tokio::test]
    async fn only_regular_files_are_removed() {
        let mut files = Files::new();
        std::fs::create_dir(files.at("directory")).unwrap();
        std::os::unix::fs::symlink("directory", files.at("link")).unwrap();
        for (name, expected) in [("directory", "File.IsDirectory"), ("link", "File.IsSymlink")] {
            let error = files
                .run("file.remove", &json!({ "Path": files.at(name) }))
                .await
                .unwrap_err();
            assert_eq!(error.name.as_deref(), Some(expected));
            assert!(files.at(name).exists());
        }
    }
}
