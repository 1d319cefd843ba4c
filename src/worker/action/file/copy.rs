//! `file.copy`: a file with the content of another.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::model::states_error::StatesError;
use crate::worker::action;
use crate::worker::action::facts::Facts;
use crate::worker::action::facts::Kind;
use crate::worker::action::facts::Parameter;
use crate::worker::action::file::existing::Existing;
use crate::worker::action::file::fault::NOT_FOUND;
use crate::worker::action::file::fault::fault;
use crate::worker::action::file::off_thread::Stop;
use crate::worker::action::file::ownership;
use crate::worker::action::file::ownership::Ownership;
use crate::worker::action::file::place::Place;
use crate::worker::action::file::put;
use crate::worker::action::file::put::Content;
use crate::worker::action::file::put::Put;
use crate::worker::action::file::put::Wanted;

/// What a copy takes over of the source's mode: never a set-user-id bit.
const MODE_TAKEN: u32 = 0o777;

static FACTS: Facts = Facts {
    name: "file.copy",
    summary: "Copies a file.",
    details: put::DETAILS,
    parameters: &[
        put::PATH,
        Parameter::required(
            "Source",
            Kind::Path,
            "The file to copy: a regular file of at most 1 GiB.",
        ),
        Parameter::optional(
            "Mode",
            ownership::MODE.kind,
            "The permission bits. Without it those of the file that is there; for a new one those of `Source`, without \
             set-user-id and the like.",
        ),
        ownership::OWNER,
        ownership::GROUP,
    ],
    one_of: &[],
    result: put::RESULT,
    errors: put::ERRORS,
    undo: Some(put::UNDO),
    example: r#"{ "Source": "/usr/share/app/app.conf", "Path": "/etc/app.conf", "Owner": "root", "Mode": "0640" }"#,
};

/// The action.
pub const COPY: Put = Put {
    facts: &FACTS,
    reads: |parameters| parameters["Source"].as_str(),
    wanted,
};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameters {
    source: String,
    #[serde(flatten)]
    ownership: Ownership,
}

fn wanted(parameters: &Value, _: &Place, existing: Option<&Existing>, stop: &Stop) -> Result<Wanted, StatesError> {
    let parameters: Parameters = action::read(parameters)?;
    let source = Place::find(Path::new(&parameters.source))?;
    let Some(mut file) = source.open()? else {
        let sentence = format!("`Source` of file.copy is not there: `{}`.", parameters.source);
        return Err(fault(&NOT_FOUND, sentence));
    };
    let looked = Existing::of_file(&mut file, &source, stop)?;
    Ok(Wanted {
        owned: parameters.ownership.wanted(existing, looked.mode & MODE_TAKEN)?,
        content: Content::Copy(file, looked),
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;
    use std::os::unix::fs::PermissionsExt;

    use serde_json::json;

    use crate::worker::action::file::testing::Files;

    #[tokio::test]
    async fn a_copy_is_made_once_and_undone() {
        let mut files = Files::new();
        // More than is read at a time, and no text.
        let content: Vec<u8> = (0..300_000_u32).map(|n| (n % 251) as u8).collect();
        std::fs::write(files.at("source"), &content).unwrap();
        std::fs::set_permissions(files.at("source"), PermissionsExt::from_mode(0o4750)).unwrap();
        let parameters = json!({ "Path": files.at("file"), "Source": files.at("source") });
        let done = files.run("file.copy", &parameters).await.unwrap();
        assert!(std::fs::read(files.at("file")).unwrap() == content);
        assert_eq!(std::fs::metadata(files.at("file")).unwrap().mode() & 0o7777, 0o750);
        let again = files.run("file.copy", &parameters).await.unwrap();
        assert_eq!(again["Changed"], json!(false));
        files.undo_twice(&done).await;
        assert!(!files.at("file").exists());
        files.assert_clean();
    }

    #[tokio::test]
    async fn a_source_that_is_no_file_is_told() {
        let mut files = Files::new();
        std::os::unix::fs::symlink("/etc/passwd", files.at("link")).unwrap();
        for (source, name) in [
            (files.at("absent"), "File.NotFound"),
            (files.at("link"), "File.IsSymlink"),
            ("/dev/zero".into(), "File.NotRegular"),
            ("/dev".into(), "File.IsDirectory"),
        ] {
            let parameters = json!({ "Path": files.at("file"), "Source": source });
            let error = files.run("file.copy", &parameters).await.unwrap_err();
            assert_eq!(error.name.as_deref(), Some(name), "{parameters}");
        }
        assert!(!files.at("file").exists());
    }
}
