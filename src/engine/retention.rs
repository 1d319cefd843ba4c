//! Old executions are not kept for ever.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::host::Host;
use crate::engine::map_runs;
use crate::model::execution_record::ExecutionId;
use crate::model::timestamp::Timestamp;
use crate::store::StoreError;
use crate::store::change::Change;

const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;
/// How often it is looked for old executions.
const ROUND: Duration = Duration::from_secs(60 * 60);
/// Executions that are looked up at a time.
const PAGE: usize = 100;
/// Transitions that one commit deletes, about: those who wait for the same sync must not wait long.
const TRANSITIONS_MAX: u64 = 2_000;

impl Host {
    /// Deletes executions that ended so many days ago, again and again, until the store fails.
    pub async fn retain(self: &Arc<Self>, days: u32) {
        loop {
            let stopped_before = Timestamp(self.now().0 - i64::from(days) * DAY_MILLIS);
            // One that could not be read or deleted is old in an hour, too.
            let _ = self.forget(stopped_before).await;
            tokio::time::sleep(ROUND).await;
        }
    }

    pub(super) async fn forget(self: &Arc<Self>, stopped_before: Timestamp) -> Result<(), StoreError> {
        let mut after = ExecutionId(0);
        loop {
            let old = self.store.old(stopped_before, after, PAGE)?;
            let Some((last, _)) = old.last() else {
                return Ok(());
            };
            after = *last;
            let mut batch = Vec::new();
            let mut n_transitions = 0;
            for (execution, version) in old {
                if let Some(record) = self.store.execution(execution)? {
                    batch.extend(map_runs::forget(self, &record.facts.arn)?);
                }
                batch.push(Change::Forget {
                    execution,
                    stopped_before,
                });
                n_transitions += version.max(1);
                if TRANSITIONS_MAX <= n_transitions {
                    n_transitions = 0;
                    self.commit(std::mem::take(&mut batch)).await?;
                }
            }
            self.commit(batch).await?;
        }
    }
}
