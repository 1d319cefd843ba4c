//! Files that are replaced as a whole: a reader sees the old one or the new one, never a part.

use std::fs::File;
use std::io::BufWriter;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use crate::cli::error::CliError;

/// How many parts this process has begun: two threads may replace one file.
static N_PARTS: AtomicUsize = AtomicUsize::new(0);

/// A file that takes its name when it is complete.
#[derive(Debug)]
pub(crate) struct Replacement {
    file: BufWriter<File>,
    target: PathBuf,
    /// Where it is until then. None for what cannot be replaced, such as a pipe: it is written at once.
    part: Option<PathBuf>,
}

impl Replacement {
    /// Begins a file beside the one that it is to replace; a link stays one.
    ///
    /// # Errors
    /// It cannot be made.
    pub(crate) fn create(path: &Path) -> Result<Self, CliError> {
        let target = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let failed = |error| failed(path, &error);
        let old = std::fs::metadata(&target).ok();
        if old.as_ref().is_some_and(|old| !old.is_file()) {
            let file = File::options().write(true).open(&target).map_err(failed)?;
            return Ok(Self {
                file: BufWriter::new(file),
                target,
                part: None,
            });
        }
        let mut name = target.file_name().unwrap_or_default().to_owned();
        let number = N_PARTS.fetch_add(1, Ordering::Relaxed);
        name.push(format!(".{}-{number}.part", std::process::id()));
        let part = target.with_file_name(name);
        let file = File::create(&part).map_err(failed)?;
        let replacement = Self {
            file: BufWriter::new(file),
            target,
            part: Some(part),
        };
        if let Some(old) = old {
            let file = replacement.file.get_ref();
            file.set_permissions(old.permissions()).map_err(failed)?;
        }
        Ok(replacement)
    }

    /// Replaces a file by a text.
    ///
    /// # Errors
    /// It cannot be written; then the old one stays.
    pub(crate) fn write(path: &Path, text: &str) -> Result<(), CliError> {
        let mut file = Self::create(path)?;
        file.add(text)?;
        file.finish()
    }

    /// Adds a text.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn add(&mut self, text: &str) -> Result<(), CliError> {
        let written = self.file.write_all(text.as_bytes());
        written.map_err(|error| failed(&self.target, &error))
    }

    /// Gives it its name.
    ///
    /// # Errors
    /// What was written did not reach the disk, or the name cannot be given.
    pub(crate) fn finish(mut self) -> Result<(), CliError> {
        let done = self.file.flush().and_then(|()| match &self.part {
            Some(part) => {
                self.file.get_ref().sync_all()?;
                std::fs::rename(part, &self.target)
            }
            None => Ok(()),
        });
        if done.is_ok() {
            self.part = None;
        }
        done.map_err(|error| failed(&self.target, &error))
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        if let Some(part) = &self.part {
            // Nobody is left to tell when that fails.
            let _ = std::fs::remove_file(part);
        }
    }
}

fn failed(path: &Path, error: &std::io::Error) -> CliError {
    CliError::usage(format!("failed to write `{}`: {error}", path.display()))
}
