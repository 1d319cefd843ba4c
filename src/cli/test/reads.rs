//! Which files a run asks for, so that reports name those that are no use, and a change of one is noticed.

use std::collections::BTreeSet;
use std::path::Path;
use std::path::PathBuf;

use crate::cli::error::CliError;
use crate::cli::source;

/// What was asked for, as it was named, whether it was there or not.
#[derive(Clone, Debug, Default)]
pub(super) struct Reads {
    /// The files.
    pub(super) files: BTreeSet<PathBuf>,
    /// The directories that were searched.
    pub(super) directories: BTreeSet<PathBuf>,
}

impl Reads {
    /// Reads a text file.
    pub(super) fn text(&mut self, path: &Path) -> Result<String, CliError> {
        self.note(path);
        source::read_text(path)
    }

    /// Tells whether there is a file.
    pub(super) fn is_file(&mut self, path: &Path) -> bool {
        self.note(path);
        path.is_file()
    }

    /// Notes a file that is read elsewhere.
    pub(super) fn note(&mut self, path: &Path) {
        self.files.insert(path.to_owned());
    }
}
