//! Work with the disk where it may take its time.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::model::states_error::StatesError;
use crate::worker::action::Work;
use crate::worker::action::file::fault::FAILED;
use crate::worker::action::file::fault::fault;

/// Pause between two signs of life.
const ALIVE_PAUSE: Duration = Duration::from_secs(1);

/// Tells that nobody waits for the work any more.
#[derive(Clone, Debug, Default)]
pub(super) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Refuses to go on when nobody waits.
    ///
    /// # Errors
    /// Nobody does.
    pub(super) fn check(&self) -> Result<(), StatesError> {
        match self.0.load(Ordering::Relaxed) {
            true => Err(StatesError::default()),
            false => Ok(()),
        }
    }
}

/// Does something on a thread that may wait for the disk, with signs of life. When this returns, it is over.
///
/// # Errors
/// Those of what is done.
pub(super) async fn off_thread<T: Send + 'static>(
    work: &mut Work<'_>,
    job: impl FnOnce(&Stop) -> Result<T, StatesError> + Send + 'static,
) -> Result<T, StatesError> {
    let stop = Stop::default();
    let theirs = stop.clone();
    let mut working = tokio::task::spawn_blocking(move || job(&theirs));
    loop {
        let is_stopped = stop.0.load(Ordering::Relaxed);
        tokio::select! {
            done = &mut working => {
                return done.map_err(|error| fault(&FAILED, format!("The work with the file broke off: {error}."))).flatten();
            }
            () = work.cancel.cancelled(), if !is_stopped => stop.0.store(true, Ordering::Relaxed),
            () = tokio::time::sleep(ALIVE_PAUSE) => work.reports.alive(),
        }
    }
}
