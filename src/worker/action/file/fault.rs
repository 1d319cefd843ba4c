//! The error names that actions on files share, and which of them an error of the system is.

use std::io;
use std::path::Path;

use rustix::io::Errno;

use crate::model::states_error::StatesError;
use crate::worker::action::facts::ErrorName;

pub(super) const CHANGED_MEANWHILE: ErrorName = ErrorName::passing(
    "File.ChangedMeanwhile",
    "Somebody else changed the file while the action worked on it.",
);
pub(super) const FAILED: ErrorName = ErrorName::passing(
    "File.Failed",
    "Reading or writing failed for another reason; the cause says which.",
);
pub(super) const INVALID_PARAMETERS: ErrorName =
    ErrorName::lasting("File.InvalidParameters", "The parameters are not as above.");
pub(super) const IS_DIRECTORY: ErrorName = ErrorName::lasting("File.IsDirectory", "The path is that of a directory.");
pub(super) const IS_SYMLINK: ErrorName = ErrorName::lasting(
    "File.IsSymlink",
    "The path ends in a symbolic link, or leads through one that neither the superuser nor this user made.",
);
pub(super) const NO_SPACE: ErrorName = ErrorName::passing("File.NoSpace", "The file system or the quota is full.");
pub(super) const NOT_A_DIRECTORY: ErrorName = ErrorName::lasting(
    "File.NotADirectory",
    "Something on the way to the file is no directory.",
);
pub(super) const NOT_FOUND: ErrorName = ErrorName::lasting(
    "File.NotFound",
    "The file, or a directory on the way to it, is not there.",
);
pub(super) const NOT_REGULAR: ErrorName =
    ErrorName::lasting("File.NotRegular", "The path is that of a device, a pipe or a socket.");
pub(super) const PERMISSION_DENIED: ErrorName = ErrorName::lasting(
    "File.PermissionDenied",
    "The account of this process may not read, write or give away the file.",
);
pub(super) const READ_ONLY: ErrorName = ErrorName::lasting("File.ReadOnly", "The file system is mounted read-only.");
pub(super) const TOO_LARGE: ErrorName =
    ErrorName::lasting("File.TooLarge", "The file is larger than the action takes.");
pub(super) const UNKNOWN_OWNER: ErrorName =
    ErrorName::lasting("File.UnknownOwner", "There is no user or group of that name.");

/// Makes the error of a known name.
pub(super) fn fault(name: &ErrorName, cause: impl Into<String>) -> StatesError {
    StatesError::new(name.name, cause.into())
}

/// Makes the error of something that the system refused: `doing` is what the file cannot be, such as `read`.
pub(super) fn of_system(error: impl Into<io::Error>, path: &Path, doing: &str) -> StatesError {
    let error = error.into();
    let (name, why) = match Errno::from_io_error(&error) {
        Some(Errno::ACCESS | Errno::PERM) => (&PERMISSION_DENIED, "this account may not do that"),
        Some(Errno::DQUOT | Errno::NOSPC) => (&NO_SPACE, "no space is left"),
        Some(Errno::FBIG) => (&TOO_LARGE, "it would be larger than this process may write"),
        Some(Errno::ISDIR) => (&IS_DIRECTORY, "it is a directory"),
        Some(Errno::LOOP) => (&IS_SYMLINK, "it is a symbolic link"),
        Some(Errno::NOENT) => (&NOT_FOUND, "it, or a directory on the way to it, is not there"),
        Some(Errno::NOTDIR) => (&NOT_A_DIRECTORY, "something on the way to it is no directory"),
        Some(Errno::ROFS) => (&READ_ONLY, "the file system is mounted read-only"),
        _ => {
            let sentence = format!("`{}` cannot be {doing}: {error}.", path.display());
            return fault(&FAILED, sentence);
        }
    };
    fault(name, format!("`{}` cannot be {doing}: {why}.", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_of_the_system_has_its_name() {
        for (errno, name, part) in [
            (Errno::ACCESS, "File.PermissionDenied", "may not do that"),
            (Errno::PERM, "File.PermissionDenied", "may not do that"),
            (Errno::NOSPC, "File.NoSpace", "no space"),
            (Errno::DQUOT, "File.NoSpace", "no space"),
            (Errno::ISDIR, "File.IsDirectory", "is a directory"),
            (Errno::LOOP, "File.IsSymlink", "is a symbolic link"),
            (Errno::NOENT, "File.NotFound", "is not there"),
            (Errno::NOTDIR, "File.NotADirectory", "is no directory"),
            (Errno::ROFS, "File.ReadOnly", "read-only"),
            (Errno::FBIG, "File.TooLarge", "larger"),
            (Errno::IO, "File.Failed", "error 5"),
        ] {
            let error = of_system(errno, Path::new("/a"), "written");
            assert_eq!(error.name.as_deref(), Some(name));
            let cause = error.cause.unwrap();
            assert!(
                cause.starts_with("`/a` cannot be written: ") && cause.contains(part),
                "{cause}"
            );
        }
    }
}
