//! A file as it is.

use std::fs::File;
use std::io::Read;
use std::io::Write;
use std::os::unix::fs::MetadataExt;

use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;
use serde_json::json;
use sha2::Digest;
use sha2::Sha256;

use crate::model::states_error::StatesError;
use crate::worker::action::file::fault::TOO_LARGE;
use crate::worker::action::file::fault::fault;
use crate::worker::action::file::fault::of_system;
use crate::worker::action::file::off_thread::Stop;
use crate::worker::action::file::place::Place;

/// The largest file that is hashed, kept and copied.
pub(super) const FILE_BYTES_MAX: u64 = 1 << 30;
/// How much is read at a time.
const CHUNK_BYTES: usize = 128 * 1024;

/// What a file holds and whose it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Existing {
    pub(super) sha256: String,
    pub(super) bytes: u64,
    /// The permission bits.
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// When it was written: whole seconds since 1970, and nanoseconds.
    pub(super) modified: (i64, i64),
}

impl Existing {
    /// Looks at a file; `None` if it is not there.
    ///
    /// # Errors
    /// It is no regular file, too large, or may not be read.
    pub(super) fn look(place: &Place, stop: &Stop) -> Result<Option<Self>, StatesError> {
        match place.open()? {
            Some(mut file) => Self::of_file(&mut file, place, stop).map(Some),
            None => Ok(None),
        }
    }

    /// Looks at an open file.
    ///
    /// # Errors
    /// It is too large or cannot be read.
    pub(super) fn of_file(file: &mut File, place: &Place, stop: &Stop) -> Result<Self, StatesError> {
        let (sha256, bytes) = copy(file, &mut std::io::sink(), place, stop)?;
        Self::of_content(file, sha256, bytes, place)
    }

    /// Describes an open file of which the content is known.
    ///
    /// # Errors
    /// The system refuses.
    pub(super) fn of_content(file: &File, sha256: String, bytes: u64, place: &Place) -> Result<Self, StatesError> {
        let metadata = file
            .metadata()
            .map_err(|error| of_system(error, place.path(), "looked at"))?;
        Ok(Self {
            sha256,
            bytes,
            mode: metadata.mode() & 0o7777,
            uid: metadata.uid(),
            gid: metadata.gid(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        })
    }

    /// As a result shows it.
    pub(super) fn shown(&self) -> Value {
        json!({ "Sha256": self.sha256, "Bytes": self.bytes, "Mode": format!("{:04o}", self.mode),
            "Uid": self.uid, "Gid": self.gid })
    }
}

/// Copies what can be read, and returns its SHA-256 in hexadecimal digits and its length.
///
/// # Errors
/// There is more than `FILE_BYTES_MAX`; or reading or writing fails: the error names the place.
pub(super) fn copy(
    from: &mut impl Read,
    to: &mut impl Write,
    place: &Place,
    stop: &Stop,
) -> Result<(String, u64), StatesError> {
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut digest = Sha256::new();
    let mut bytes = 0;
    loop {
        stop.check()?;
        let n = match from.read(&mut chunk) {
            Ok(0) => break,
            Ok(n) => n,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(of_system(error, place.path(), "read")),
        };
        bytes += n as u64;
        if FILE_BYTES_MAX < bytes {
            let path = place.path().display();
            return Err(fault(
                &TOO_LARGE,
                format!("`{path}` has more than {FILE_BYTES_MAX} bytes."),
            ));
        }
        digest.update(&chunk[..n]);
        to.write_all(&chunk[..n])
            .map_err(|error| of_system(error, place.path(), "written"))?;
    }
    Ok((hexadecimal(&digest.finalize()), bytes))
}

/// Returns the SHA-256 of a content, in hexadecimal digits.
pub(super) fn sha256(content: &[u8]) -> String {
    hexadecimal(&Sha256::digest(content))
}

fn hexadecimal(digest: &[u8]) -> String {
    use std::fmt::Write;
    digest.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
