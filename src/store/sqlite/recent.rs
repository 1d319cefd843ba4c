//! The records that were written last: most questions are about them, and the answer need not be read and parsed.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use crate::model::execution_record::ExecutionId;
use crate::model::execution_record::ExecutionRecord;

/// How much is kept, in bytes, about.
const BYTES_MAX: usize = 8 * 1024 * 1024;
/// What a record takes beside its payloads, in bytes, about.
const RECORD_BYTES: usize = 1_024;

/// Filled by the writer alone: it hides what it is about to change, and shows what is safe. So whoever asks sees
/// either what the file has, or what it got last, and never goes back in time.
#[derive(Default)]
pub(super) struct Recent {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// `None` while it is hidden.
    by_id: HashMap<ExecutionId, Option<Arc<ExecutionRecord>>>,
    by_arn: HashMap<Arc<str>, ExecutionId>,
    /// Each of `by_id` once, oldest first.
    order: VecDeque<(ExecutionId, Arc<str>)>,
    n_bytes: usize,
}

impl Recent {
    /// Hides records that are about to change or to go.
    pub(super) fn hide(&self, ids: impl Iterator<Item = ExecutionId>) {
        let mut inner = self.lock();
        for id in ids {
            if let Some(record) = inner.by_id.get_mut(&id).and_then(Option::take) {
                inner.n_bytes -= n_bytes(&record);
            }
        }
    }

    /// Shows records that are safe, in the order of their steps.
    pub(super) fn show<'a>(&self, records: impl Iterator<Item = &'a Arc<ExecutionRecord>>) {
        let mut inner = self.lock();
        for record in records {
            inner.n_bytes += n_bytes(record);
            match inner.by_id.insert(record.id, Some(Arc::clone(record))) {
                Some(Some(before)) => inner.n_bytes -= n_bytes(&before),
                Some(None) => {}
                None => {
                    let arn = &record.facts.arn;
                    inner.by_arn.insert(Arc::clone(arn), record.id);
                    inner.order.push_back((record.id, Arc::clone(arn)));
                }
            }
        }
        while BYTES_MAX < inner.n_bytes + inner.order.len() * RECORD_BYTES
            && let Some((id, arn)) = inner.order.pop_front()
        {
            if let Some(Some(record)) = inner.by_id.remove(&id) {
                inner.n_bytes -= n_bytes(&record);
            }
            // The name may be another's by now.
            if inner.by_arn.get(&arn) == Some(&id) {
                inner.by_arn.remove(&arn);
            }
        }
    }

    pub(super) fn execution(&self, id: ExecutionId) -> Option<Arc<ExecutionRecord>> {
        self.lock().by_id.get(&id).cloned().flatten()
    }

    pub(super) fn find(&self, arn: &str) -> Option<Arc<ExecutionRecord>> {
        let inner = self.lock();
        let id = inner.by_arn.get(arn)?;
        inner.by_id.get(id).cloned().flatten()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic leaves at worst a count that is off.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn n_bytes(record: &ExecutionRecord) -> usize {
    let text = |text: &Option<Arc<str>>| text.as_ref().map_or(0, |text| text.len());
    record.input.len() + text(&record.output) + text(&record.error) + text(&record.cause)
}

#[cfg(test)]
mod tests;
