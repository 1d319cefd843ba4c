//! Which changes of the file system matter to a run.
//!
//! Paths are real ones: no link is on the way to the directory that a file is in. A file that is a link counts by its
//! own path and by that of what it leads to.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::Path;
use std::path::PathBuf;

use crate::cli::test::find::is_searched;
use crate::cli::test::find::is_test_file;
use crate::cli::test::reads::Reads;

/// What a run asked for, by real paths.
#[derive(Debug, Default)]
pub(super) struct Interest {
    /// The real paths of each file, by its name as it was asked for.
    real: BTreeMap<PathBuf, Vec<PathBuf>>,
    /// All real paths of files.
    files: BTreeSet<PathBuf>,
    /// Where a new test file belongs to the run.
    searched: BTreeSet<PathBuf>,
    /// What must be watched; of a directory that is missing, the nearest one above it.
    pub(super) directories: BTreeSet<PathBuf>,
}

impl Interest {
    /// Finds out where all that was asked for is.
    pub(super) fn of(asked: &Reads) -> Self {
        let mut interest = Self::default();
        for directory in &asked.directories {
            let (path, watched) = real(directory);
            interest.searched.insert(path);
            interest.directories.insert(watched);
        }
        for file in &asked.files {
            let mut paths = Vec::new();
            let (parent, watched) = real(file.parent().unwrap_or(Path::new("")));
            interest.directories.insert(watched);
            paths.extend(file.file_name().map(|name| parent.join(name)));
            if file.exists() {
                let (target, _) = real(file);
                if let Some(parent) = target.parent()
                    && !paths.contains(&target)
                {
                    interest.directories.insert(parent.to_owned());
                    paths.push(target);
                }
            }
            interest.files.extend(paths.iter().cloned());
            interest.real.insert(file.clone(), paths);
        }
        interest
    }

    /// Returns how many files there are.
    pub(super) fn n_files(&self) -> usize {
        self.real.keys().filter(|file| file.is_file()).count()
    }

    /// Tells whether a change at a path may change what a run gives.
    pub(super) fn concerns(&self, path: &Path) -> bool {
        let is_around = |path: &Path| {
            let mut inner = self.files.range(path.to_owned()..);
            inner.next().is_some_and(|file| file.starts_with(path))
        };
        is_around(path) || self.directories.contains(path) || self.is_new(path)
    }

    /// Tells whether something at a path would be searched.
    fn is_new(&self, path: &Path) -> bool {
        let is_searched_place = path.parent().is_some_and(|parent| self.searched.contains(parent));
        let Some(name) = path.file_name().filter(|_| is_searched_place) else {
            return false;
        };
        let name = name.to_string_lossy();
        is_test_file(&name) || is_searched(&name) && path.is_dir()
    }

    /// Tells whether one of these files, or a directory that they are in, is among the changes.
    pub(super) fn is_touched(&self, files: &BTreeSet<PathBuf>, changes: &BTreeSet<PathBuf>) -> bool {
        let mut paths = files.iter().filter_map(|file| self.real.get(file)).flatten();
        paths.any(|path| path.ancestors().any(|path| changes.contains(path)))
    }
}

/// Returns the real path, and the nearest directory on it that is there.
fn real(path: &Path) -> (PathBuf, PathBuf) {
    let mut there = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    if path.as_os_str().is_empty() {
        there = std::env::current_dir().unwrap_or(there);
    }
    let mut missing = PathBuf::new();
    loop {
        if let Ok(found) = there.canonicalize() {
            let mut directory = found.as_path();
            while !directory.is_dir() {
                directory = directory.parent().unwrap_or(Path::new("/"));
            }
            let directory = directory.to_owned();
            // Joining nothing would put a slash behind it.
            let whole = if missing.as_os_str().is_empty() {
                found
            } else {
                found.join(missing)
            };
            return (whole, directory);
        }
        let Some(last) = there
            .components()
            .next_back()
            .map(|last| PathBuf::from(last.as_os_str()))
        else {
            return (path.to_owned(), PathBuf::from("/"));
        };
        missing = if missing.as_os_str().is_empty() {
            last
        } else {
            last.join(missing)
        };
        if !there.pop() {
            return (path.to_owned(), PathBuf::from("/"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_matters_is_what_was_asked_for_and_new_tests() {
        let scratch = std::env::temp_dir().join(format!("stepfn-interest-{}", std::process::id()));
        std::fs::create_dir_all(scratch.join("tests/new")).unwrap();
        std::fs::create_dir_all(scratch.join("tests/.git")).unwrap();
        std::fs::create_dir_all(scratch.join("real")).unwrap();
        std::fs::write(scratch.join("real/m.asl.json"), "").unwrap();
        std::os::unix::fs::symlink(scratch.join("real/m.asl.json"), scratch.join("tests/m.asl.json")).unwrap();
        let tests = scratch.join("tests");
        let mut asked = Reads::default();
        asked.directories.insert(tests.join("."));
        asked.note(&tests.join("../tests/m.asl.json"));
        asked.note(&scratch.join("gone/deep/values.json"));
        let interest = Interest::of(&asked);
        let root = scratch.canonicalize().unwrap();
        let watched = ["", "real", "tests"].map(|name| match name {
            "" => root.clone(),
            name => root.join(name),
        });
        assert_eq!(interest.directories, BTreeSet::from(watched));
        assert_eq!(interest.n_files(), 1);
        for (path, expected) in [
            ("tests/m.asl.json", true),
            ("real/m.asl.json", true),
            ("real/m.asl.json.swp", false),
            ("real/n.test.yaml", false),
            ("tests", true),
            ("tests/n.test.yaml", true),
            ("tests/.n.test.yaml", false),
            ("tests/out.xml", false),
            ("tests/new", true),
            ("tests/.git", false),
            ("gone", true),
            ("gone/deep", true),
            ("gone/deep/values.json", true),
            ("gone/deep/other.json", false),
            ("gon", false),
        ] {
            assert_eq!(interest.concerns(&root.join(path)), expected, "{path}");
        }
        let values = BTreeSet::from([scratch.join("gone/deep/values.json")]);
        for (change, expected) in [
            ("gone", true),
            ("gone/deep/values.json", true),
            ("real/m.asl.json", false),
        ] {
            let changes = BTreeSet::from([root.join(change)]);
            assert_eq!(interest.is_touched(&values, &changes), expected, "{change}");
        }
        std::fs::remove_dir_all(scratch).unwrap();
    }
}
