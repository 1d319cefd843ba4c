//! Runs the tests again whenever a file changes that they ask for.
//!
//! What is read is watched before it is read the last time, so that no change falls between. Directories are watched,
//! not files: editors put a new file in the place of the old one.

use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU8;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::sync::mpsc::Receiver;
use std::time::Duration;
use std::time::Instant;

use notify::Event;
use notify::EventKind;
use notify::RecommendedWatcher;
use notify::RecursiveMode;
use notify::Watcher;
use notify::event::AccessKind;
use notify::event::AccessMode;
use notify::event::ModifyKind;
use regex::Regex;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;

use crate::cli::error::CliError;
use crate::cli::error::tell;
use crate::cli::report::path::told;
use crate::cli::table;
use crate::cli::test;
use crate::cli::test::Arguments;
use crate::cli::test::find;
use crate::cli::test::find::Found;
use crate::cli::test::interest::Interest;
use crate::cli::test::reads::Reads;

/// An editor saves in several steps: after each, so much quiet is waited for.
const QUIET: Duration = Duration::from_millis(50);
/// But no longer than this.
const QUIET_MAX: Duration = Duration::from_secs(1);
/// Events that wait to be looked at. When there are more, everything counts as changed.
const EVENTS_MAX: usize = 1024;
/// The exit code of one that is interrupted before it has run anything.
const INTERRUPTED: u8 = 130;
/// Changed files that are named.
const NAMED_MAX: usize = 3;

/// What has changed.
#[derive(Debug)]
enum Changes {
    /// It is not known.
    Anything,
    /// What is at these paths.
    At(BTreeSet<PathBuf>),
}

/// Watches until Ctrl-C, which ends this process with the exit code of the last run.
pub(super) fn run(arguments: &Arguments, filter: Option<&Regex>) -> Result<u8, CliError> {
    if let Some(path) = arguments.paths.iter().find(|path| !path.exists()) {
        return Err(CliError::usage(format!("there is no `{}` to watch", path.display())));
    }
    let code = Arc::new(AtomicU8::new(INTERRUPTED));
    end_on_interrupt(Arc::clone(&code))
        .map_err(|error| CliError::internal(format!("failed to listen for Ctrl-C: {error}")))?;
    let mut watch = Watch::new()?;
    let mut changes: Option<Changes> = None;
    let mut before = BTreeSet::new();
    loop {
        let mut asked = Reads::default();
        let found = find::all(&arguments.paths, &mut asked);
        let interest = Interest::of(&asked);
        if watch.cover(&interest.directories)? {
            continue;
        }
        let names: BTreeSet<PathBuf> = found.paths().map(|(path, _)| path.clone()).collect();
        let fresh = fresh(&found, &interest, changes.as_ref(), &before);
        if changes.is_none() || !fresh.is_empty() || names != before {
            if let Some(changes) = &changes {
                begin_again(changes)?;
            }
            let result = test::run_found(arguments, filter, &found, Some(&fresh));
            let ended_with = result.unwrap_or_else(|error| {
                error.print();
                error.code
            });
            code.store(ended_with, Ordering::Relaxed);
            tell(&format!("\nwatching {} files; Ctrl-C ends\n", interest.n_files()));
        }
        before = names;
        changes = Some(watch.next(&interest)?);
    }
}

/// Returns the test files that are new, or for which something has changed.
fn fresh(
    found: &Found,
    interest: &Interest,
    changes: Option<&Changes>,
    before: &BTreeSet<PathBuf>,
) -> BTreeSet<PathBuf> {
    let is_fresh = |path: &PathBuf, reads: &Reads| match changes {
        None | Some(Changes::Anything) => true,
        Some(Changes::At(changes)) => !before.contains(path) || interest.is_touched(&reads.files, changes),
    };
    let fresh = found.paths().filter(|(path, reads)| is_fresh(path, reads));
    fresh.map(|(path, _)| path.clone()).collect()
}

/// Separates a run from the one before.
fn begin_again(changes: &Changes) -> Result<(), CliError> {
    if std::io::stdout().is_terminal() {
        table::print("\x1b[2J\x1b[H")?;
        // What is told next must not be cleared, too. Nobody is left to tell when this fails.
        let _ = std::io::stdout().flush();
    }
    if let Changes::At(paths) = changes {
        let names: Vec<String> = paths.iter().take(NAMED_MAX).map(|path| told(path)).collect();
        let more = if NAMED_MAX < paths.len() { ", …" } else { "" };
        tell(&format!("changed: {}{more}\n", names.join(", ")));
    }
    Ok(())
}

/// Lets Ctrl-C end this process with the code, whatever is being done.
fn end_on_interrupt(code: Arc<AtomicU8>) -> std::io::Result<()> {
    let (ready, is_ready) = mpsc::channel();
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        let heard: std::io::Result<std::io::Result<()>> = crate::engine::run::block_on(async {
            let mut interrupts = signal(SignalKind::interrupt())?;
            let _ = ready.send(Ok(()));
            interrupts.recv().await;
            std::process::exit(i32::from(code.load(Ordering::Relaxed)))
        });
        if let Err(error) | Ok(Err(error)) = heard {
            let _ = ready.send(Err(error));
        }
    })?;
    is_ready
        .recv()
        .unwrap_or_else(|_| Err(std::io::Error::other("the signal thread ended")))
}

/// The directories that are watched.
struct Watch {
    watcher: RecommendedWatcher,
    directories: BTreeSet<PathBuf>,
    events: Receiver<notify::Result<Event>>,
    /// Events came that there was no room for.
    has_lost: Arc<AtomicBool>,
}

impl Watch {
    fn new() -> Result<Self, CliError> {
        let (sender, events) = mpsc::sync_channel(EVENTS_MAX);
        let has_lost = Arc::new(AtomicBool::new(false));
        let watcher = notify::recommended_watcher({
            let has_lost = Arc::clone(&has_lost);
            move |event| {
                if sender.try_send(event).is_err() {
                    has_lost.store(true, Ordering::Relaxed);
                }
            }
        });
        Ok(Self {
            watcher: watcher.map_err(|error| failed("files", &error))?,
            directories: BTreeSet::new(),
            events,
            has_lost,
        })
    }

    /// Watches these directories and no others; tells whether some of them were not watched before.
    fn cover(&mut self, wanted: &BTreeSet<PathBuf>) -> Result<bool, CliError> {
        let idle: Vec<PathBuf> = self.directories.difference(wanted).cloned().collect();
        for directory in idle {
            self.forget(&directory);
        }
        let mut is_new = false;
        for directory in wanted {
            if self.directories.contains(directory) {
                continue;
            }
            is_new = true;
            match self.watcher.watch(directory, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.directories.insert(directory.clone());
                }
                // It went away: whoever wants it looks again.
                Err(_) if !directory.is_dir() => {}
                Err(error) => return Err(failed(&format!("`{}`", directory.display()), &error)),
            }
        }
        Ok(is_new)
    }

    fn forget(&mut self, directory: &PathBuf) {
        // One that is gone is watched no more anyway.
        let _ = self.watcher.unwatch(directory);
        self.directories.remove(directory);
    }

    /// Waits for a change that is of interest, and for the quiet after it.
    fn next(&mut self, interest: &Interest) -> Result<Changes, CliError> {
        let mut changes = Changes::At(BTreeSet::new());
        loop {
            let Ok(event) = self.events.recv() else {
                return Err(CliError::internal("the watcher of files ended"));
            };
            if self.take(event, interest, &mut changes) {
                break;
            }
        }
        let end = Instant::now() + QUIET_MAX;
        let mut until = Instant::now() + QUIET;
        while let Ok(event) = self
            .events
            .recv_timeout(until.min(end).saturating_duration_since(Instant::now()))
        {
            if self.take(event, interest, &mut changes) {
                until = Instant::now() + QUIET;
            }
        }
        Ok(changes)
    }

    /// Adds what an event says; tells whether it is of interest.
    fn take(&mut self, event: notify::Result<Event>, interest: &Interest, changes: &mut Changes) -> bool {
        let has_lost = self.has_lost.swap(false, Ordering::Relaxed);
        let event = match event {
            Ok(event) if !has_lost && !event.need_rescan() => event,
            _ => {
                // Any directory may have been replaced.
                let all = std::mem::take(&mut self.directories);
                all.iter().for_each(|directory| self.forget(directory));
                *changes = Changes::Anything;
                return true;
            }
        };
        let is_change = match event.kind {
            EventKind::Access(kind) => kind == AccessKind::Close(AccessMode::Write),
            _ => true,
        };
        let mut is_of_interest = false;
        for path in event.paths.iter().filter(|_| is_change) {
            if matches!(
                event.kind,
                EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_))
            ) {
                let gone = self.directories.range(path.clone()..);
                let gone: Vec<PathBuf> = gone.take_while(|inner| inner.starts_with(path)).cloned().collect();
                gone.iter().for_each(|directory| self.forget(directory));
            }
            if interest.concerns(path) {
                is_of_interest = true;
                if let Changes::At(paths) = changes {
                    paths.insert(path.clone());
                }
            }
        }
        is_of_interest
    }
}

fn failed(what: &str, error: &notify::Error) -> CliError {
    let told = CliError::usage(format!("failed to watch {what}: {error}"));
    match error.kind {
        notify::ErrorKind::MaxFilesWatch => {
            told.hint("This machine allows no more watches: raise `fs.inotify.max_user_watches` with sysctl.")
        }
        _ => told,
    }
}
