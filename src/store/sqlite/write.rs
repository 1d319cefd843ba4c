//! The one thread that writes.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::params;

use crate::model::execution_record::ExecutionId;
use crate::model::execution_record::ExecutionRecord;
use crate::store::Done;
use crate::store::StoreError;
use crate::store::change::Change;
use crate::store::change::Transition;
use crate::store::encode;
use crate::store::sqlite::open::BUSY_TIME_MAX;
use crate::store::sqlite::recent::Recent;
use crate::store::sqlite::schema::VERSIONS_MAX;
use crate::store::sqlite::schema::chunk_id;

/// Batches in one commit, at most.
const BATCHES_MAX: usize = 1_024;
/// Bytes in one commit, about.
const BYTES_MAX: usize = 4 * 1024 * 1024;

/// What `submit` hands to the thread: everything is text already, so that the thread only writes.
pub(super) struct Batch {
    changes: Vec<Encoded>,
    n_bytes: usize,
    done: Option<Done>,
}

/// Whoever waits is told, even when the writer panics.
impl Drop for Batch {
    fn drop(&mut self) {
        self.tell(Err(StoreError::Stopped("its writer has ended".into())));
    }
}

enum Encoded {
    Plain(Change),
    Transition {
        transition: Box<Transition>,
        facts: Option<String>,
        history: String,
        n_events: usize,
    },
}

impl Encoded {
    /// Returns whose record changes or goes.
    fn execution(&self) -> Option<ExecutionId> {
        match self {
            Self::Plain(Change::Forget { execution, .. }) => Some(*execution),
            Self::Plain(_) => None,
            Self::Transition { transition, .. } => Some(transition.record.id),
        }
    }

    /// Returns the record that somebody may ask for soon: not one of a million children that have ended.
    fn record(&self) -> Option<&Arc<ExecutionRecord>> {
        match self {
            Self::Transition { transition, .. } if 0 < transition.record.version => Some(&transition.record),
            Self::Plain(_) | Self::Transition { .. } => None,
        }
    }
}

impl Batch {
    pub(super) fn new(changes: Vec<Change>, done: Done) -> Self {
        let mut n_bytes = 0;
        let changes = changes
            .into_iter()
            .map(|change| match change {
                Change::Transition(mut transition) => {
                    let history = encode::history(&transition.history);
                    let n_events = std::mem::take(&mut transition.history).len();
                    // Version 0: it was in memory only, and has ended.
                    let is_first = transition.record.version <= 1;
                    let facts = is_first.then(|| {
                        serde_json::to_string(&*transition.record.facts).expect("facts are made of plain members")
                    });
                    n_bytes += history.len()
                        + transition.journal.len()
                        + transition.snapshot.as_ref().map_or(0, Vec::len)
                        + transition.record.input.len();
                    Encoded::Transition {
                        transition,
                        facts,
                        history,
                        n_events,
                    }
                }
                other => Encoded::Plain(other),
            })
            .collect();
        Self {
            changes,
            n_bytes,
            done: Some(done),
        }
    }

    fn tell(&mut self, result: Result<(), StoreError>) {
        if let Some(done) = self.done.take() {
            done(result);
        }
    }
}

/// Writes what comes until the queue is closed. After a failed commit everything is refused.
pub(super) fn write_all(
    mut connection: Connection,
    queue: &mpsc::Receiver<Batch>,
    n_queued: &AtomicUsize,
    wants_restart: &AtomicBool,
    recent: &Recent,
) {
    let mut stopped: Option<StoreError> = None;
    while let Ok(first) = queue.recv() {
        let mut n_bytes = first.n_bytes;
        let mut group = vec![first];
        while group.len() < BATCHES_MAX
            && n_bytes < BYTES_MAX
            && let Ok(next) = queue.try_recv()
        {
            n_bytes += next.n_bytes;
            group.push(next);
        }
        n_queued.fetch_sub(group.len(), Ordering::Relaxed);
        if stopped.is_none() {
            let changes = || group.iter().flat_map(|batch| &batch.changes);
            recent.hide(changes().filter_map(Encoded::execution));
            match commit(&mut connection, &group) {
                Ok(()) => recent.show(changes().filter_map(Encoded::record)),
                Err(error) => {
                    tracing::error!(%error, "A commit failed, the store stops.");
                    stopped = Some(StoreError::Stopped(error.to_string().into()));
                }
            }
        }
        for mut batch in group {
            batch.tell(stopped.clone().map_or(Ok(()), Err));
        }
        if stopped.is_none() && wants_restart.swap(false, Ordering::Relaxed) {
            restart_log(&connection);
        }
    }
}

/// Moves what is left of the log, so that the next commit begins it anew. A reader may hold it up: later, then.
fn restart_log(connection: &Connection) {
    if connection.busy_timeout(Duration::from_millis(50)).is_ok() {
        let _ = connection.query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(()));
    }
    let _ = connection.busy_timeout(BUSY_TIME_MAX);
}

fn commit(connection: &mut Connection, group: &[Batch]) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    for change in group.iter().flat_map(|batch| &batch.changes) {
        match change {
            Encoded::Plain(Change::PutDefinition { hash, text }) => {
                transaction
                    .prepare_cached("INSERT OR IGNORE INTO definition (hash, text) VALUES (?1, ?2)")?
                    .execute(params![hash, text])?;
            }
            Encoded::Plain(Change::PutResource(resource)) => {
                transaction
                    .prepare_cached("INSERT OR REPLACE INTO resource (kind, key, value) VALUES (?1, ?2, ?3)")?
                    .execute(params![resource.kind, resource.key, resource.value.to_string()])?;
            }
            Encoded::Plain(Change::DeleteResource { kind, key }) => {
                transaction
                    .prepare_cached("DELETE FROM resource WHERE kind = ?1 AND key = ?2")?
                    .execute(params![kind, key])?;
            }
            Encoded::Plain(Change::Forget {
                execution,
                stopped_before,
            }) => forget(&transaction, execution.0, stopped_before.0)?,
            Encoded::Plain(Change::Transition(_)) => unreachable!("transitions are encoded by `Batch::new`"),
            Encoded::Transition {
                transition,
                facts,
                history,
                n_events,
            } => write_transition(&transaction, transition, facts.as_deref(), history, *n_events as u64)?,
        }
    }
    transaction.commit()
}

fn forget(connection: &Connection, id: u64, stopped_before: i64) -> rusqlite::Result<()> {
    let n_deleted = connection
        .prepare_cached(
            "DELETE FROM execution WHERE id = ?1 AND stopped < ?2 AND id < (SELECT max(id) FROM execution)",
        )?
        .execute(params![id, stopped_before])?;
    if n_deleted == 0 {
        return Ok(());
    }
    connection
        .prepare_cached("DELETE FROM chunk WHERE id BETWEEN ?1 AND ?2")?
        .execute(params![chunk_id(id, 0), chunk_id(id, VERSIONS_MAX)])?;
    connection
        .prepare_cached("DELETE FROM snapshot WHERE execution = ?1")?
        .execute(params![id])?;
    Ok(())
}

fn write_transition(
    connection: &Connection,
    transition: &Transition,
    facts: Option<&str>,
    history: &str,
    n_new: u64,
) -> rusqlite::Result<()> {
    let record = &transition.record;
    let id = record.id.0;
    if record.version == 0 {
        connection
            .prepare_cached("DELETE FROM execution WHERE arn = ?1 AND version = 0")?
            .execute(params![record.facts.arn])?;
    }
    let n_changed = match facts {
        Some(facts) => connection
            .prepare_cached(
                "INSERT INTO execution (id, arn, machine_arn, map_run_arn, status, started, stopped, facts, input, \
                 output, error, cause, redrive_count, redriven, version, n_events, deadline, busy) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)",
            )?
            .execute(params![
                id,
                record.facts.arn,
                record.facts.machine_arn,
                record
                    .facts
                    .child_of
                    .as_ref()
                    .map(|child| Arc::clone(&child.map_run_arn)),
                record.status.as_str(),
                record.facts.started.0,
                record.stopped.map(|at| at.0),
                facts,
                record.input,
                record.output,
                record.error,
                record.cause,
                record.redrive_count,
                record.redriven.map(|at| at.0),
                record.version,
                record.n_events,
                transition.deadline.map(|at| at.0),
                transition.is_busy,
            ])?,
        None => connection
            .prepare_cached(
                "UPDATE execution SET status = ?2, stopped = ?3, output = ?4, error = ?5, cause = ?6, \
                 redrive_count = ?7, redriven = ?8, version = ?9, n_events = ?10, deadline = ?11, busy = ?12 \
                 WHERE id = ?1 AND version = ?9 - 1",
            )?
            .execute(params![
                id,
                record.status.as_str(),
                record.stopped.map(|at| at.0),
                record.output,
                record.error,
                record.cause,
                record.redrive_count,
                record.redriven.map(|at| at.0),
                record.version,
                record.n_events,
                transition.deadline.map(|at| at.0),
                transition.is_busy,
            ])?,
    };
    if n_changed != 1 {
        // Another writer, or a step that was left out: nothing that follows could be trusted.
        return Err(rusqlite::Error::StatementChangedRows(n_changed));
    }
    if record.version == 0 {
        return Ok(());
    }
    connection
        .prepare_cached("INSERT INTO chunk (id, first_event, n_events, journal, history) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![
            chunk_id(id, record.version),
            record.n_events + 1 - n_new,
            n_new,
            transition.journal,
            history
        ])?;
    if let Some(state) = &transition.snapshot {
        connection
            .prepare_cached("INSERT OR REPLACE INTO snapshot (execution, version, state) VALUES (?1, ?2, ?3)")?
            .execute(params![id, record.version, state])?;
    }
    Ok(())
}
