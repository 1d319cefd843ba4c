//! Finds definitions: in files, in directories and below them, by patterns, on stdin.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::Component;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use globset::GlobBuilder;
use globset::GlobMatcher;

use crate::cli::error::CliError;
use crate::cli::source::not_utf8;
use crate::template::find::File;
use crate::template::find::Files;
use crate::template::find::Reason;
use crate::template::find::Search;
use crate::template::find::find;
use crate::template::find::may_hold;

/// Longest file that is looked into.
const FILE_BYTES_MAX: u64 = 64 << 20;
/// Directories below one another, at most.
const DEPTH_MAX: usize = 64;
/// How files end whose name says that they are definitions; Terraform's ending may follow.
const DEFINITION_ENDINGS: &[&str] = &[".asl", ".asl.json", ".asl.yaml", ".asl.yml"];
/// How files end that may hold definitions.
const ENDINGS: &[&str] = &[".json", ".yaml", ".yml", ".template", ".tftpl", ".tpl", ".tmpl"];
/// Directories that are never searched; hidden ones are not, either.
const SKIPPED: &[&str] = &["node_modules", "target"];
/// The name that stands for stdin.
const STDIN: &str = "-";

/// The files that the arguments of a command name; `look` reads one, on any thread.
///
/// Plain definitions of a directory come last, without those that a template names: those are found there, with their
/// type and their values.
#[derive(Debug)]
pub(crate) struct Discovery {
    /// Files to look at first.
    pub(crate) first: Vec<Candidate>,
    /// Definitions of directories: to look at once all of `first` and what was `Looked::Later` is known.
    pub(crate) later: Vec<Candidate>,
    /// What could not be searched.
    pub(crate) failures: Vec<CliError>,
    /// Directories that were searched for all kinds of files.
    walked: BTreeSet<PathBuf>,
    named_by_templates: NamedByTemplates,
}

/// The canonical paths of the files that templates name.
type NamedByTemplates = Mutex<BTreeSet<PathBuf>>;

/// A file that may hold definitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) path: PathBuf,
    reason: Reason,
}

/// What a file holds.
#[derive(Debug)]
pub(crate) enum Looked {
    /// Definitions, or something to say.
    Found(Search),
    /// A definition that a template which is not read yet may name: it belongs to those of `later`.
    Later,
    /// None of our business.
    Nothing,
}

impl Discovery {
    /// Searches the directories and matches the patterns; no file is read yet.
    pub(crate) fn new(arguments: &[PathBuf]) -> Self {
        let mut discovery = Self {
            first: Vec::new(),
            later: Vec::new(),
            failures: Vec::new(),
            walked: BTreeSet::new(),
            named_by_templates: Mutex::default(),
        };
        for argument in arguments {
            discovery.add(argument);
        }
        // A file that is named and lies in a directory that is named as well counts as named.
        let mut seen = BTreeSet::new();
        let named = |candidate: &Candidate| candidate.reason == Reason::Named;
        discovery
            .first
            .retain(|it| !named(it) || seen.insert(canonical(&it.path)));
        discovery
            .first
            .retain(|it| named(it) || seen.insert(canonical(&it.path)));
        discovery.later.retain(|it| seen.insert(canonical(&it.path)));
        discovery
    }

    /// Reads a file of `first`.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) fn look(&self, candidate: &Candidate) -> Result<Looked, CliError> {
        match self.search(candidate)? {
            Looked::Found(search) if candidate.reason == Reason::Walked && is_plain(&search, &candidate.path) => {
                Ok(Looked::Later)
            }
            looked => Ok(looked),
        }
    }

    /// Reads a file of `later`, unless a template names it.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) fn look_later(&self, candidate: &Candidate) -> Result<Looked, CliError> {
        let is_named = lock(&self.named_by_templates).contains(&canonical(&candidate.path));
        if is_named {
            Ok(Looked::Nothing)
        } else {
            self.search(candidate)
        }
    }

    fn search(&self, candidate: &Candidate) -> Result<Looked, CliError> {
        let Some(text) = read(candidate)? else {
            return Ok(Looked::Nothing);
        };
        let search = self.search_text(candidate, &text);
        if search.definitions.is_empty() && search.notices.is_empty() {
            return Ok(Looked::Nothing);
        }
        Ok(Looked::Found(search))
    }

    /// Finds what a file holds if this is its text.
    pub(crate) fn search_text(&self, candidate: &Candidate, text: &str) -> Search {
        let files = self.beside(candidate);
        find(&shown(&candidate.path), text, candidate.reason, &files)
    }

    fn beside(&self, candidate: &Candidate) -> Beside<'_> {
        let directory = match candidate.path.parent() {
            Some(parent) if candidate.path != Path::new(STDIN) => parent.to_owned(),
            _ => PathBuf::new(),
        };
        Beside {
            directory,
            read: &self.named_by_templates,
        }
    }

    fn add(&mut self, argument: &Path) {
        if argument == Path::new(STDIN) {
            self.first.push(Candidate {
                path: argument.to_owned(),
                reason: Reason::Named,
            });
        } else if argument.is_dir() {
            self.walk(argument, None);
        } else if let (false, Some(pattern)) = (argument.exists(), pattern(argument)) {
            self.matches(argument, pattern);
        } else {
            self.first.push(Candidate {
                path: argument.to_owned(),
                reason: Reason::Named,
            });
        }
    }

    fn matches(&mut self, argument: &Path, pattern: &str) {
        let shown = argument.display();
        let glob = GlobBuilder::new(pattern).literal_separator(true).build();
        let matcher = match glob {
            Ok(glob) => glob.compile_matcher(),
            Err(error) => {
                let error = CliError::usage(format!("`{shown}` is neither a file nor a pattern: {}", error.kind()));
                return self.failures.push(error);
            }
        };
        let n_before = self.first.len() + self.later.len();
        let n_failures = self.failures.len();
        self.walk(&root_of(argument), Some(&matcher));
        if n_before == self.first.len() + self.later.len() && n_failures == self.failures.len() {
            let error = CliError::usage(format!("no file matches `{shown}`"))
                .hint("`*` stays within a directory, `**` goes through all; hidden directories are not searched.");
            self.failures.push(error);
        }
    }

    /// Collects what lies in a directory. Links to directories are not followed: they may lead round in a circle.
    fn walk(&mut self, directory: &Path, matcher: Option<&GlobMatcher>) {
        let mut open = vec![(directory.to_owned(), 0)];
        while let Some((directory, depth)) = open.pop() {
            if matcher.is_none() && !self.walked.insert(canonical(&directory)) {
                continue;
            }
            let entries = std::fs::read_dir(&directory).and_then(Iterator::collect);
            let mut entries: Vec<std::fs::DirEntry> = match entries {
                Ok(entries) => entries,
                Err(error) => {
                    self.failures.push(unreadable(&directory, &error));
                    continue;
                }
            };
            entries.sort_by_key(std::fs::DirEntry::file_name);
            let mut inner = Vec::new();
            for entry in entries {
                let path = joined(&directory, &entry.file_name());
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    if !is_skipped(&entry.file_name().to_string_lossy()) {
                        inner.push((path, depth + 1));
                    }
                } else {
                    self.entry(path, matcher);
                }
            }
            if DEPTH_MAX < depth && !inner.is_empty() {
                let shown = directory.display();
                let error = CliError::usage(format!("`{shown}` lies more than {DEPTH_MAX} directories deep"));
                self.failures.push(error.hint("Name the directories below it as well."));
                continue;
            }
            open.extend(inner.into_iter().rev());
        }
    }

    fn entry(&mut self, path: PathBuf, matcher: Option<&GlobMatcher>) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_definition = is_definition(&name);
        let is_wanted = match matcher {
            Some(matcher) => matcher.is_match(&path),
            None => is_definition || ENDINGS.iter().any(|ending| name.ends_with(ending)),
        };
        if !is_wanted {
            return;
        }
        match path.metadata() {
            Ok(metadata) if metadata.is_file() => {}
            // Links to directories, pipes, devices.
            Ok(_) => return,
            Err(error) => return self.failures.push(unreadable(&path, &error)),
        }
        if is_definition {
            let reason = Reason::Named;
            self.later.push(Candidate { path, reason });
        } else {
            let reason = Reason::Walked;
            self.first.push(Candidate { path, reason });
        }
    }
}

/// Tells whether a file is a definition and nothing else.
fn is_plain(search: &Search, path: &Path) -> bool {
    match search.definitions.as_slice() {
        [found] => search.notices.is_empty() && found.is_whole_file() && found.origin.path == shown(path),
        _ => false,
    }
}

/// Reads a file; nothing when it was walked to and its text holds no definition.
fn read(candidate: &Candidate) -> Result<Option<String>, CliError> {
    let path = candidate.path.as_path();
    let is_walked = candidate.reason == Reason::Walked;
    let bytes = if path == Path::new(STDIN) {
        read_at_most(std::io::stdin().lock())
    } else {
        std::fs::File::open(path).and_then(read_at_most)
    };
    let bytes = bytes.map_err(|error| unreadable(path, &error))?;
    let is_too_long = FILE_BYTES_MAX < bytes.len() as u64;
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) if is_too_long || (is_walked && !may_hold(&String::from_utf8_lossy(error.as_bytes()))) => {
            String::from_utf8_lossy(error.as_bytes()).into_owned()
        }
        Err(error) => return Err(not_utf8(&shown(path), &error)),
    };
    if is_walked && !may_hold(&text) {
        return Ok(None);
    }
    if is_too_long {
        let mebibytes = FILE_BYTES_MAX >> 20;
        return Err(CliError::usage(format!(
            "`{}` has more than {mebibytes} MiB",
            shown(path)
        )));
    }
    Ok(Some(text))
}

fn read_at_most(reader: impl Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The files that a template names.
struct Beside<'d> {
    directory: PathBuf,
    read: &'d NamedByTemplates,
}

impl Files for Beside<'_> {
    fn read(&self, path: &str) -> Result<File, String> {
        let path = self.directory.join(path.strip_prefix("./").unwrap_or(path));
        let metadata = path.metadata().map_err(|error| error.to_string())?;
        if !metadata.is_file() {
            return Err("it is not a regular file".to_owned());
        }
        let bytes = std::fs::File::open(&path).and_then(read_at_most);
        let bytes = bytes.map_err(|error| error.to_string())?;
        if FILE_BYTES_MAX < bytes.len() as u64 {
            return Err(format!("it has more than {} MiB", FILE_BYTES_MAX >> 20));
        }
        let text = String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
        lock(self.read).insert(canonical(&path));
        Ok(File {
            path: shown(&path),
            text,
        })
    }
}

fn is_definition(name: &str) -> bool {
    let name = [".tftpl", ".tpl", ".tmpl"]
        .iter()
        .find_map(|ending| name.strip_suffix(ending))
        .unwrap_or(name);
    DEFINITION_ENDINGS.iter().any(|ending| name.ends_with(ending))
}

fn is_skipped(name: &str) -> bool {
    name.starts_with('.') || SKIPPED.contains(&name)
}

/// Returns the argument as a pattern, if it is one.
fn pattern(argument: &Path) -> Option<&str> {
    argument
        .to_str()
        .map(|text| text.strip_prefix("./").unwrap_or(text))
        .filter(|text| text.contains(['*', '?', '[', '{']))
}

/// Returns the directory below which all matches of a pattern lie.
fn root_of(pattern: &Path) -> PathBuf {
    let is_plain = |component: &Component<'_>| !component.as_os_str().to_string_lossy().contains(['*', '?', '[', '{']);
    let mut components: Vec<Component<'_>> = pattern.components().collect();
    components.pop();
    let root: PathBuf = components.iter().take_while(|component| is_plain(component)).collect();
    if root.as_os_str().is_empty() {
        PathBuf::from(".")
    } else {
        root
    }
}

/// Joins as people write paths: without a leading `./`.
fn joined(directory: &Path, name: &std::ffi::OsStr) -> PathBuf {
    if directory == Path::new(".") {
        PathBuf::from(name)
    } else {
        directory.join(name)
    }
}

fn lock(paths: &NamedByTemplates) -> MutexGuard<'_, BTreeSet<PathBuf>> {
    paths.lock().unwrap_or_else(PoisonError::into_inner)
}

fn canonical(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

fn shown(path: &Path) -> String {
    if path == Path::new(STDIN) {
        "stdin".to_owned()
    } else {
        path.display().to_string()
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> CliError {
    CliError::usage(format!("failed to read `{}`: {error}", shown(path)))
}

#[cfg(test)]
mod tests;
