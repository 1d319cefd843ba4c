//! Goes over directories of cases.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::path::PathBuf;

use crate::case::Case;
use crate::runner::Options;
use crate::runner::Verdict;
use crate::runner::run_case;

/// What became of many cases.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The names of the cases that passed.
    pub passed: Vec<String>,
    /// The names of the cases that failed, with their first difference.
    pub failed: Vec<(String, String)>,
    /// How many cases were skipped, by reason.
    pub skipped: BTreeMap<String, u64>,
}

impl Report {
    /// Returns how many cases were skipped.
    pub fn n_skipped(&self) -> u64 {
        self.skipped.values().sum()
    }
}

impl fmt::Display for Report {
    /// One line for each failure, then `N passed, N failed, N skipped`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, difference) in &self.failed {
            writeln!(f, "FAIL {name}: {difference}")?;
        }
        write!(
            f,
            "{} passed, {} failed, {} skipped",
            self.passed.len(),
            self.failed.len(),
            self.n_skipped()
        )
    }
}

/// Runs every case file below the directories, in the order of their paths.
pub fn run_dirs(dirs: &[PathBuf], options: &Options) -> Report {
    let mut report = Report::default();
    for path in case_files(dirs) {
        let path_name = path.display().to_string();
        match Case::read(&path) {
            Err(problem) => report.failed.push((path_name, problem)),
            Ok(None) => *report.skipped.entry("no case".to_owned()).or_default() += 1,
            Ok(Some(case)) => {
                if options
                    .filter
                    .as_ref()
                    .is_some_and(|filter| !filter.is_match(&case.name))
                {
                    continue;
                }
                match run_case(&case, options) {
                    Verdict::Passed => report.passed.push(case.name),
                    Verdict::Failed(difference) => report.failed.push((case.name, difference)),
                    Verdict::Skipped(reason) => *report.skipped.entry(reason).or_default() += 1,
                }
            }
        }
    }
    report
}

/// Returns the case files below the directories, in the order of their paths.
pub fn case_files(dirs: &[PathBuf]) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut todo: Vec<PathBuf> = dirs.to_vec();
    while let Some(path) = todo.pop() {
        if path.is_dir() {
            let entries = std::fs::read_dir(&path).into_iter().flatten().flatten();
            todo.extend(entries.map(|entry| entry.path()));
        } else if is_case_file(&path) || dirs.contains(&path) {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn is_case_file(path: &Path) -> bool {
    let json = path.extension().is_some_and(|extension| extension == "json");
    json && path.file_name().is_some_and(|name| name != "index.json")
}
