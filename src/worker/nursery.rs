//! The processes of all tasks, as the engine sees them: `spawnd` starts and ends them.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::Weak;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use rustix::process::Resource;
use tokio::sync::Semaphore;
use tokio::sync::SemaphorePermit;

use crate::worker::spawn::door::Hello;
use crate::worker::spawn::identity::Identities;
use crate::worker::spawn::kin;
use crate::worker::spawn::link::Link;
use crate::worker::spawn::link::News;
use crate::worker::spawn::rung::Isolation;
use crate::worker::spawn::server::GRACE;
use crate::worker::spawn::server::Settings;
use crate::worker::spawn::wire::AtLoss;
use crate::worker::spawn::wire::Claim;
use crate::worker::spawn::wire::Ready;
use crate::worker::spawn::wire::Spawn;
use crate::worker::spawn::wire::Whom;

/// How long all tasks together may take to end: each has its grace, and the kernel its time to kill.
const END_TIME_MAX: Duration = Duration::from_secs(20);
/// Most commands at once: more would only wait for the processors.
const PLACES_MAX: u64 = 1024;
/// What a command needs: both ends of three pipes while it is asked for, three afterwards.
const FILES_PER_PLACE: u64 = 6;
/// What the engine keeps for its store, its listeners and its clients.
const FILES_BESIDES: u64 = 256;
/// How long an end in haste may take.
const KILL_TIME_MAX: Duration = Duration::from_secs(2);

/// How tasks are started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Which rung.
    pub isolation: Isolation,
    /// Which identity table.
    pub identities: Identities,
    /// A file that is locked as long as tasks may be left, so that an engine that begins anew never runs beside the
    /// tasks of the one that died.
    pub lock: Option<PathBuf>,
    /// The socket of a `spawnd` that is a service, which then decides about identities; otherwise one is started.
    pub socket: Option<PathBuf>,
}

/// All processes that tasks started.
#[derive(Debug)]
pub struct Nursery {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    options: Options,
    /// Tells the nurseries of one process apart.
    number: u64,
    link: Mutex<Option<Arc<Link>>>,
    next_id: AtomicU64,
    /// For as many commands at once as there are descriptors for.
    places: Semaphore,
}

/// A task that was asked for.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) ender: Ender,
    pub(super) news: News,
}

/// Ends one task's processes.
#[derive(Clone, Debug)]
pub struct Ender {
    id: u64,
    link: Arc<Link>,
}

impl Nursery {
    /// Makes one. Nothing is started yet.
    pub fn new(options: Options) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self {
            inner: Arc::new(Inner {
                options,
                number: NEXT.fetch_add(1, Ordering::Relaxed),
                link: Mutex::default(),
                next_id: AtomicU64::new(0),
                places: Semaphore::new(n_places(rustix::process::getrlimit(Resource::Nofile).current)),
            }),
        }
    }

    /// Ends whatever is left of all tasks, with a short grace.
    pub async fn end_all(&self) {
        let Some(link) = self.inner.link().take() else { return };
        link.end_all(GRACE);
        let mut has_ended = link.has_ended();
        let _ = tokio::time::timeout(END_TIME_MAX, has_ended.wait_for(|has_ended| *has_ended)).await;
    }

    /// Kills whatever is left of all tasks at once.
    pub fn kill_all(&self) {
        let Some(link) = self.inner.link().take() else { return };
        link.end_all(Duration::ZERO);
        let has_ended = link.has_ended();
        let begin = Instant::now();
        while !*has_ended.borrow() && begin.elapsed() < KILL_TIME_MAX {
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Returns how tasks are held here, and as whom they can run.
    ///
    /// # Errors
    /// Tasks cannot be started: a sentence.
    pub async fn ready(&self) -> Result<Ready, String> {
        let link = self.inner.open();
        let link = link.map_err(|error| format!("The process that starts tasks cannot be started: {error}."))?;
        link.ready().await
    }

    /// Returns as whom the processes of a task would run.
    ///
    /// # Errors
    /// As nobody: a fragment of a sentence.
    pub async fn whom(&self, claim: &Claim) -> Result<Whom, String> {
        let link = self.inner.open();
        let link = link.map_err(|error| format!("the process that starts tasks cannot be started: {error}"))?;
        let id = self.inner.next_id.fetch_add(1, Ordering::Relaxed);
        link.who(id, claim.clone()).await.map_err(|failure| failure.message)
    }

    /// Waits until there are descriptors for another command.
    pub(super) async fn place(&self) -> Option<SemaphorePermit<'_>> {
        // Nobody closes it.
        self.inner.places.acquire().await.ok()
    }

    /// Asks for a process.
    pub(super) fn ask(&self, argv: &[String], stdio: [OwnedFd; 3], rest: Rest) -> io::Result<Asked> {
        let id = self.inner.next_id.fetch_add(1, Ordering::Relaxed);
        let spawn = Spawn {
            id,
            argv: argv.to_vec(),
            is_bare: rest.is_bare,
            env: rest.env,
            cwd: rest.cwd,
            claim: rest.claim,
            at_loss: rest.at_loss,
            has_credentials: rest.credentials.is_some(),
        };
        let link = self.inner.open()?;
        let news = link.spawn(spawn, stdio, rest.credentials)?;
        Ok(Asked {
            ender: Ender { id, link },
            news,
        })
    }
}

/// Returns how many commands may run at once; `files_max` is `None` without a limit.
fn n_places(files_max: Option<u64>) -> usize {
    let places = files_max.map_or(PLACES_MAX, |files| {
        files.saturating_sub(FILES_BESIDES) / FILES_PER_PLACE
    });
    usize::try_from(places.clamp(1, PLACES_MAX)).unwrap_or(1)
}

impl Default for Nursery {
    fn default() -> Self {
        Self::new(Options::default())
    }
}

/// What a process gets beside its arguments and its pipes.
pub(super) struct Rest {
    pub(super) is_bare: bool,
    pub(super) env: std::collections::BTreeMap<String, String>,
    pub(super) cwd: Option<String>,
    pub(super) claim: Claim,
    pub(super) at_loss: AtLoss,
    /// What `vault::pack` made for it.
    pub(super) credentials: Option<OwnedFd>,
}

impl Ender {
    /// Ends them: SIGTERM, a second of grace, SIGKILL. Whoever waits for the process hears when nothing is left.
    pub fn end(&self) {
        self.link.end(self.id, GRACE);
    }

    /// Sends SIGINT to the first one.
    pub fn interrupt(&self) {
        self.link.interrupt(self.id);
    }

    /// Ends them with SIGKILL.
    pub fn kill(&self) {
        self.link.end(self.id, Duration::ZERO);
    }
}

impl Inner {
    fn link(&self) -> MutexGuard<'_, Option<Arc<Link>>> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the running `spawnd`, or starts one.
    fn open(self: &Arc<Self>) -> io::Result<Arc<Link>> {
        let mut link = self.link();
        match &*link {
            Some(link) if !*link.has_ended().borrow() => Ok(Arc::clone(link)),
            Some(_) => self.start(&mut link, true),
            None => self.start(&mut link, false),
        }
    }

    fn start(self: &Arc<Self>, link: &mut Option<Arc<Link>>, is_again: bool) -> io::Result<Arc<Link>> {
        let weak = Arc::downgrade(self);
        let at_end = move || Self::begin_again(&weak);
        let opened = match &self.options.socket {
            Some(socket) => self.connect(socket, is_again, at_end)?,
            None => Link::start(&self.settings(is_again)?, at_end)?,
        };
        *link = Some(Arc::clone(&opened));
        Ok(opened)
    }

    /// A `spawnd` has died: the next one cleans up what it left, at once and not when it is needed.
    fn begin_again(inner: &Weak<Self>) {
        let Some(inner) = inner.upgrade() else { return };
        let mut link = inner.link();
        if link.is_some() {
            // When this fails, the next task tries again and tells why.
            let _ = inner.start(&mut link, true);
        }
    }

    fn connect(&self, socket: &Path, is_again: bool, at_end: impl FnOnce() + Send + 'static) -> io::Result<Arc<Link>> {
        let lock = self.options.lock.as_deref().map(open_lock).transpose()?;
        let hello = Hello {
            isolation: self.options.isolation,
            nursery: self.number,
            clean: is_again || lock.is_some(),
        };
        Link::connect(socket, &hello, lock.as_ref(), at_end)
    }

    fn settings(&self, is_again: bool) -> io::Result<Settings> {
        let site = match &self.options.lock {
            Some(path) => {
                let metadata = open_lock(path)?.metadata()?;
                format!("{:x}-{:x}", metadata.dev(), metadata.ino())
            }
            None => {
                let own = std::process::id();
                let start = i32::try_from(own).ok().and_then(kin::process);
                let start = start.map_or(0, |process| process.start);
                format!("{own}-{start}-{}", self.number)
            }
        };
        Ok(Settings {
            isolation: self.options.isolation,
            identities: self.options.identities.clone(),
            lock: self.options.lock.clone(),
            site,
            // Without a lock nobody before us can have had our site.
            clean: is_again || self.options.lock.is_some(),
        })
    }
}

fn open_lock(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.create(true).truncate(false).read(true).write(true).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_places_as_descriptors_for_them() {
        for (files_max, places) in [(None, 1024), (Some(64), 1), (Some(1024), 128), (Some(1 << 20), 1024)] {
            assert_eq!(n_places(files_max), places, "{files_max:?}");
        }
    }
}
