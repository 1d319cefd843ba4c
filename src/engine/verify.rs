//! Compares a stored execution with a replay of its journal.

use std::sync::Arc;

use crate::asl::definition::Definition;
use crate::engine::live;
use crate::model::execution_record::ExecutionStatus;
use crate::store::change::Loaded;

/// An execution as the store has it.
pub struct Stored<'a> {
    /// The record, the last snapshot and the journal after it, the deadline.
    pub loaded: &'a Loaded,
    /// The journal from its beginning, for a second replay, when there is a snapshot.
    pub whole_journal: Option<&'a [String]>,
    /// Whether the store takes it for one with work outside.
    pub is_busy: bool,
}

/// Replays an execution.
///
/// # Errors
/// What does not agree.
pub fn verify(definition: &Arc<Definition>, stored: &Stored<'_>) -> Result<(), String> {
    let loaded = stored.loaded;
    let record = &loaded.record;
    let has_succeeded = record.status == ExecutionStatus::Succeeded;
    // The event that led to success is not kept: nobody goes on from there.
    let kept = |journal: &'_ [String]| journal.len() - usize::from(has_succeeded && !journal.is_empty());
    let replay = |snapshot: Option<&[u8]>, journal: &[String]| {
        live::replay(Arc::clone(definition), snapshot, &journal[..kept(journal)]).map_err(|error| error.to_string())
    };
    let execution = replay(loaded.snapshot.as_deref(), &loaded.journal)?;
    if let Some(journal) = stored.whole_journal
        && replay(None, journal)?.snapshot() != execution.snapshot()
    {
        return Err("its snapshot differs from its journal".to_owned());
    }
    if has_succeeded {
        return Ok(());
    }
    let (status, _, error) = live::standing(execution.status());
    let same = |what: &str, stored: String, replayed: String| match stored == replayed {
        true => Ok(()),
        false => Err(format!("its {what} is {stored}, its journal gives {replayed}")),
    };
    same("status", record.status.as_str().to_owned(), status.as_str().to_owned())?;
    let n_events = execution.n_history_events();
    same(
        "number of history events",
        record.n_events.to_string(),
        n_events.to_string(),
    )?;
    let name = error.and_then(|error| error.name.as_deref());
    same("error", format!("{:?}", record.error), format!("{name:?}"))?;
    if status == ExecutionStatus::Running {
        let deadline = execution.next_deadline();
        same("deadline", format!("{:?}", loaded.deadline), format!("{deadline:?}"))?;
        same("busy mark", stored.is_busy.to_string(), execution.is_busy().to_string())?;
    }
    Ok(())
}
