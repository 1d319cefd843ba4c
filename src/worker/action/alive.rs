//! Waiting with signs of life.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use crate::model::states_error::StatesError;
use crate::worker::action::Work;

/// Pause between two signs of life.
const PAUSE: Duration = Duration::from_secs(1);

/// Waits for something, with heartbeats, until it is there or the task is cancelled.
///
/// # Errors
/// Those of what is waited for; or the task was cancelled.
pub async fn alive<T>(
    work: &mut Work<'_>,
    what: impl Future<Output = Result<T, StatesError>>,
) -> Result<T, StatesError> {
    let mut what = pin!(what);
    loop {
        tokio::select! {
            biased;
            () = work.cancel.cancelled() => return Err(StatesError::default()),
            done = &mut what => return done,
            () = tokio::time::sleep(PAUSE) => work.reports.alive(),
        }
    }
}
