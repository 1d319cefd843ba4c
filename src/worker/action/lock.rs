//! Locks of the whole host: actions that would disturb one another run one after another.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs::DirBuilder;
use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use rustix::fs::FlockOperation;
use sha2::Digest;
use sha2::Sha256;
use tokio::sync::OwnedMutexGuard;

/// The first and the longest pause between two looks at another process's lock.
const PAUSE: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(200));

/// The locks.
#[derive(Debug)]
pub struct Locks {
    directory: PathBuf,
    /// This process's own queue for each: a file lock alone would let nobody wait in order.
    queues: Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

/// Locks that are held until this is dropped.
#[derive(Debug, Default)]
pub struct Held {
    // Dropped in this order: another process may go on before another task of this one.
    files: Vec<File>,
    turns: Vec<OwnedMutexGuard<()>>,
}

impl Default for Locks {
    /// The host's: in `/run/lock`, for the superuser and for each other user.
    fn default() -> Self {
        let user = rustix::process::geteuid();
        Self::in_directory(match user.is_root() {
            true => PathBuf::from("/run/lock/stepfn"),
            false => PathBuf::from(format!("/run/lock/stepfn-{}", user.as_raw())),
        })
    }
}

impl Locks {
    /// Makes locks whose files are in a directory.
    pub fn in_directory(directory: PathBuf) -> Self {
        Self {
            directory,
            queues: Mutex::default(),
        }
    }

    /// Waits for all locks of these names. Whoever stops waiting gives back what he has.
    ///
    /// # Errors
    /// A lock's file cannot be made.
    pub async fn acquire(&self, mut names: Vec<String>) -> io::Result<Held> {
        // Everybody in one order: nobody waits for one who waits for him.
        names.sort();
        names.dedup();
        let mut held = Held::default();
        for name in &names {
            let queue = {
                let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
                // Only those that somebody holds or waits for are kept.
                queues.retain(|_, queue| 1 < Arc::strong_count(queue));
                Arc::clone(queues.entry(name.clone()).or_default())
            };
            held.turns.push(queue.lock_owned().await);
            held.files.push(self.lock_file(name).await?);
        }
        Ok(held)
    }

    async fn lock_file(&self, name: &str) -> io::Result<File> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.directory)?;
        let digest = Sha256::digest(name);
        let file_name = digest.iter().take(8).fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        });
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(self.directory.join(file_name))?;
        exclusive(file).await
    }
}

/// Waits until nobody else has a lock on the file.
///
/// # Errors
/// It cannot be locked.
pub async fn exclusive(file: File) -> io::Result<File> {
    let (mut pause, longest) = PAUSE;
    loop {
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(longest);
            }
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::Context;
    use std::task::Poll;
    use std::task::Waker;

    use super::*;
    use crate::worker::action::testing::Scratch;

    #[tokio::test]
    async fn one_at_a_time_in_this_process_and_in_others() {
        let scratch = Scratch::new();
        let here = Locks::in_directory(scratch.path().to_owned());
        // Another process sees the files alone.
        let there = Locks::in_directory(scratch.path().to_owned());
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let held = here.acquire(names(&["b", "a", "a"])).await.unwrap();
        for locks in [&here, &there] {
            let mut waiting = pin!(locks.acquire(names(&["a"])));
            let polled = waiting.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            assert!(matches!(polled, Poll::Pending));
        }
        here.acquire(names(&["c"])).await.unwrap();
        drop(held);
        there.acquire(names(&["a", "b"])).await.unwrap();
        here.acquire(names(&["b"])).await.unwrap();
    }
}
