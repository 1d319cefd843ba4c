//! `file.write`: a file with a given content.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;

use crate::model::states_error::StatesError;
use crate::worker::action;
use crate::worker::action::facts::Facts;
use crate::worker::action::facts::Kind;
use crate::worker::action::facts::Parameter;
use crate::worker::action::facts::Secrets;
use crate::worker::action::file::existing::Existing;
use crate::worker::action::file::fault::INVALID_PARAMETERS;
use crate::worker::action::file::fault::fault;
use crate::worker::action::file::off_thread::Stop;
use crate::worker::action::file::ownership;
use crate::worker::action::file::ownership::Ownership;
use crate::worker::action::file::place::Place;
use crate::worker::action::file::put;
use crate::worker::action::file::put::Content;
use crate::worker::action::file::put::Put;
use crate::worker::action::file::put::Wanted;

static FACTS: Facts = Facts {
    name: "file.write",
    summary: "Writes a file.",
    details: put::DETAILS,
    parameters: &[
        put::PATH,
        Parameter::optional(
            "Content",
            Kind::AnyText,
            "What it is to hold, as it is: no line end is added.",
        )
        .with(Secrets::Texts),
        Parameter::optional(
            "ContentBase64",
            Kind::AnyText,
            "The same in Base64, for what is no text.",
        ),
        ownership::MODE,
        ownership::OWNER,
        ownership::GROUP,
    ],
    one_of: &[&["Content", "ContentBase64"]],
    result: put::RESULT,
    errors: put::ERRORS,
    undo: Some(put::UNDO),
    example: r#"{ "Path": "/etc/motd", "Content": "Welcome.\n", "Mode": "0644" }"#,
};

/// The action.
pub const WRITE: Put = Put {
    facts: &FACTS,
    reads: |_| None,
    wanted,
};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameters {
    content: Option<String>,
    content_base64: Option<String>,
    #[serde(flatten)]
    ownership: Ownership,
}

fn wanted(parameters: &Value, _: &Place, existing: Option<&Existing>, _: &Stop) -> Result<Wanted, StatesError> {
    let parameters: Parameters = action::read(parameters)?;
    let content = match (parameters.content, parameters.content_base64) {
        (Some(text), _) => text.into_bytes(),
        (None, encoded) => STANDARD.decode(encoded.unwrap_or_default()).map_err(|error| {
            let sentence = format!("`ContentBase64` of file.write is not Base64: {error}.");
            fault(&INVALID_PARAMETERS, sentence)
        })?,
    };
    Ok(Wanted {
        content: Content::Bytes(content),
        owned: parameters.ownership.wanted(existing, put::MODE_OF_NEW)?,
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;
    use std::os::unix::fs::PermissionsExt;

    use serde_json::json;

    use super::*;
    use crate::worker::action::file::testing::Files;

    #[tokio::test]
    async fn a_file_is_written_once_and_undone() {
        let mut files = Files::new();
        let path = files.at("file");
        let parameters = json!({ "Path": path, "Content": "new\n", "Mode": "0600" });
        let first = files.run("file.write", &parameters).await.unwrap();
        assert_eq!(files.read("file"), "new\n");
        assert_eq!(
            (&first["Changed"], &first["Before"], &first["After"]["Mode"]),
            (&json!(true), &Value::Null, &json!("0600"))
        );
        let second = files.run("file.write", &parameters).await.unwrap();
        assert_eq!(
            (&second["Changed"], &second["Checkpoint"]),
            (&json!(false), &Value::Null)
        );
        assert_eq!(second["After"], first["After"]);
        files.undo_twice(&first).await;
        assert!(!path.exists());
        files.assert_clean();
    }

    #[tokio::test]
    async fn undo_restores_all_of_a_file() {
        let mut files = Files::new();
        let path = files.at("file");
        std::fs::write(&path, [0xff, 0x00, b'a']).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
        let time = std::time::UNIX_EPOCH + std::time::Duration::new(1_000_000, 123_456_789);
        std::fs::File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_modified(time)
            .unwrap();
        let before = std::fs::metadata(&path).unwrap();
        let parameters = json!({ "Path": path, "ContentBase64": "AP8=", "Mode": "0755" });
        let done = files.run("file.write", &parameters).await.unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), [0x00, 0xff]);
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o7777, 0o755);
        files.undo_twice(&done).await;
        let after = std::fs::metadata(&path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), [0xff, 0x00, b'a']);
        assert_eq!(
            (
                after.mode(),
                after.uid(),
                after.gid(),
                after.mtime(),
                after.mtime_nsec()
            ),
            (before.mode(), before.uid(), before.gid(), 1_000_000, 123_456_789)
        );
        files.assert_clean();
    }

    #[tokio::test]
    async fn a_mode_alone_is_changed_in_place() {
        let mut files = Files::new();
        let path = files.at("file");
        std::fs::write(&path, "x").unwrap();
        let before = std::fs::metadata(&path).unwrap();
        let parameters = json!({ "Path": path, "Content": "x", "Mode": "4711" });
        let done = files.run("file.write", &parameters).await.unwrap();
        let after = std::fs::metadata(&path).unwrap();
        assert_eq!((after.ino(), after.mode() & 0o7777), (before.ino(), 0o4711));
        files.undo_twice(&done).await;
        assert_eq!(std::fs::metadata(&path).unwrap().mode(), before.mode());
    }

    #[tokio::test]
    async fn the_owner_is_as_asked() {
        // Only the superuser can give files away.
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let mut files = Files::new();
        let path = files.at("file");
        let parameters = json!({ "Path": path, "Content": "x", "Owner": "daemon", "Group": "12345", "Mode": "2750" });
        let done = files.run("file.write", &parameters).await.unwrap();
        let after = std::fs::metadata(&path).unwrap();
        assert_eq!((after.uid(), after.gid(), after.mode() & 0o7777), (1, 12345, 0o2750));
        // It stays whose it is.
        let parameters = json!({ "Path": path, "Content": "y" });
        files.run("file.write", &parameters).await.unwrap();
        let after = std::fs::metadata(&path).unwrap();
        assert_eq!((after.uid(), after.gid(), after.mode() & 0o7777), (1, 12345, 0o2750));
        files.undo_twice(&done).await;
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_task_that_is_issued_again_keeps_what_was_first() {
        let mut files = Files::new();
        let path = files.at("file");
        std::fs::write(&path, "old").unwrap();
        let parameters = json!({ "Path": path, "Content": "new" });
        let first = files.run("file.write", &parameters).await.unwrap();
        let again = files.bench.run_again("file.write", &parameters).await.unwrap();
        assert_eq!(again["Checkpoint"], first["Checkpoint"]);
        // It died half-way, and left a file that is not ready.
        std::fs::write(&path, "other").unwrap();
        let again = files.bench.run_again("file.write", &parameters).await.unwrap();
        assert_eq!(files.read("file"), "new");
        files.undo_twice(&again).await;
        assert_eq!(files.read("file"), "old");
    }

    #[tokio::test]
    async fn what_somebody_else_wrote_is_kept_when_undone() {
        let mut files = Files::new();
        let path = files.at("file");
        let done = files
            .run("file.write", &json!({ "Path": path, "Content": "new" }))
            .await
            .unwrap();
        std::fs::write(&path, "theirs").unwrap();
        let undone = files.undo_twice(&done).await;
        assert_eq!(undone["Replaced"], json!(true));
        assert!(!path.exists());
        let checkpoints = files.bench.actions().checkpoints.as_ref().unwrap();
        let saved = checkpoints.find(done["Checkpoint"].as_str().unwrap()).unwrap().unwrap();
        assert_eq!(
            std::fs::read_to_string(saved.directory.join("replaced")).unwrap(),
            "theirs"
        );
    }

    #[tokio::test]
    async fn a_new_file_whose_directory_is_gone_is_undone() {
        let mut files = Files::new();
        std::fs::create_dir(files.at("directory")).unwrap();
        let parameters = json!({ "Path": files.at("directory/file"), "Content": "x" });
        let done = files.run("file.write", &parameters).await.unwrap();
        std::fs::remove_dir_all(files.at("directory")).unwrap();
        files.undo_twice(&done).await;
    }

    #[tokio::test]
    async fn what_cannot_be_written_is_told() {
        let mut files = Files::new();
        std::fs::create_dir(files.at("directory")).unwrap();
        std::os::unix::fs::symlink("absent", files.at("link")).unwrap();
        let at = |name: &str| files.at(name).to_string_lossy().into_owned();
        let cases = [
            (json!({"Path": at("a/b"), "Content": ""}), "File.NotFound"),
            (json!({"Path": at("directory"), "Content": ""}), "File.IsDirectory"),
            (json!({"Path": at("link"), "Content": ""}), "File.IsSymlink"),
            (json!({"Path": "/dev/null", "Content": ""}), "File.NotRegular"),
            (json!({"Path": "/dev/null/x", "Content": ""}), "File.NotADirectory"),
            (json!({"Path": at("x"), "ContentBase64": "?"}), "File.InvalidParameters"),
            (
                json!({"Path": at("x"), "Content": "", "Mode": "888"}),
                "File.InvalidParameters",
            ),
            (
                json!({"Path": at("x"), "Content": "", "Mode": 644}),
                "File.InvalidParameters",
            ),
            (json!({"Path": "x", "Content": ""}), "File.InvalidParameters"),
            (json!({"Path": at("x")}), "File.InvalidParameters"),
            (
                json!({"Path": at("x"), "Content": "", "Owner": "--x"}),
                "File.InvalidParameters",
            ),
            (
                json!({"Path": at("x"), "Content": "", "Owner": "no.such.user"}),
                "File.UnknownOwner",
            ),
            (
                json!({"Path": at("x"), "Content": "", "Group": "4294967295"}),
                "File.UnknownOwner",
            ),
        ];
        for (parameters, name) in cases {
            let error = files.run("file.write", &parameters).await.unwrap_err();
            assert_eq!(error.name.as_deref(), Some(name), "{parameters}: {:?}", error.cause);
        }
        assert!(!files.at("x").exists() && !files.at("absent").exists());
    }

    #[tokio::test]
    async fn a_plan_changes_nothing() {
        let mut files = Files::planning();
        std::fs::write(files.at("file"), "old").unwrap();
        std::fs::set_permissions(files.at("file"), PermissionsExt::from_mode(0o644)).unwrap();
        for (name, content) in [("file", "newer"), ("other", "x"), ("file", "old")] {
            let parameters = json!({ "Path": files.at(name), "Content": content, "Mode": "0600" });
            files.run("file.write", &parameters).await.unwrap();
        }
        let at = |name: &str| files.at(name).display().to_string();
        let plans: Vec<_> = files
            .bench
            .actions()
            .plans()
            .into_iter()
            .map(|plan| plan.changes)
            .collect();
        assert_eq!(
            plans,
            [
                vec![
                    format!("write {} (5 bytes, before 3)", at("file")),
                    format!("set the mode of {} from 0644 to 0600", at("file"))
                ],
                vec![format!("create {} (1 bytes, mode 0600)", at("other"))],
                vec![format!("set the mode of {} from 0644 to 0600", at("file"))],
            ]
        );
        assert_eq!(files.read("file"), "old");
        assert!(!files.at("other").exists());
    }
}
