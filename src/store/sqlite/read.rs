//! What is asked of the file.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use rusqlite::Connection;
use rusqlite::OptionalExtension;
use rusqlite::Row;
use rusqlite::params;
use rusqlite::types::ToSql;
use serde_json::Value;

use crate::model::execution_record::ExecutionId;
use crate::model::execution_record::ExecutionRecord;
use crate::model::execution_record::ExecutionStatus;
use crate::model::timestamp::Timestamp;
use crate::store::Done;
use crate::store::Store;
use crate::store::StoreError;
use crate::store::change::Change;
use crate::store::change::HistoryQuery;
use crate::store::change::ListOf;
use crate::store::change::ListQuery;
use crate::store::change::Loaded;
use crate::store::change::Resource;
use crate::store::encode;
use crate::store::sqlite::open::SqliteStore;
use crate::store::sqlite::schema::chunk_id;
use crate::store::sqlite::write::Batch;

/// The columns of a record, in the order that `record` reads them.
const COLUMNS: &str = "id, status, stopped, facts, input, output, error, cause, redrive_count, redriven, version, \
                       n_events, deadline";

fn record(row: &Row<'_>) -> rusqlite::Result<ExecutionRecord> {
    let damaged = |index: usize, error: Box<dyn std::error::Error + Send + Sync>| {
        rusqlite::Error::FromSqlConversionFailure(index, rusqlite::types::Type::Text, error)
    };
    let status: String = row.get(1)?;
    let facts: String = row.get(3)?;
    Ok(ExecutionRecord {
        id: ExecutionId(row.get(0)?),
        status: ExecutionStatus::parse(&status).ok_or_else(|| damaged(1, format!("`{status}` is no status").into()))?,
        stopped: row.get::<_, Option<i64>>(2)?.map(Timestamp),
        facts: Arc::new(serde_json::from_str(&facts).map_err(|error| damaged(3, error.into()))?),
        input: row.get(4)?,
        output: row.get(5)?,
        error: row.get(6)?,
        cause: row.get(7)?,
        redrive_count: row.get(8)?,
        redriven: row.get::<_, Option<i64>>(9)?.map(Timestamp),
        version: row.get(10)?,
        n_events: row.get(11)?,
    })
}

/// Returns the version of the last transition that began at or before an event.
fn version_at(connection: &Connection, execution: u64, last: u64, event: u64) -> rusqlite::Result<u64> {
    let mut statement = connection.prepare_cached("SELECT first_event FROM chunk WHERE id = ?1")?;
    // Versions and first events grow together.
    let (mut low, mut high) = (1, last.max(1));
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        let first: Option<u64> = statement
            .query_row(params![chunk_id(execution, middle)], |row| row.get(0))
            .optional()?;
        match first {
            Some(first) if first <= event => low = middle,
            _ => high = middle - 1,
        }
    }
    Ok(low)
}

fn history(connection: &Connection, query: &HistoryQuery) -> rusqlite::Result<Vec<Value>> {
    let execution = query.execution.0;
    let last: Option<u64> = connection
        .prepare_cached("SELECT version FROM execution WHERE id = ?1")?
        .query_row(params![execution], |row| row.get(0))
        .optional()?;
    let Some(last) = last else {
        return Ok(Vec::new());
    };
    let start = version_at(connection, execution, last, query.from)?;
    let (low, high, order) = match query.reverse {
        false => (start, last, "ASC"),
        true => (1, start, "DESC"),
    };
    let mut statement = connection.prepare_cached(&format!(
        "SELECT history, first_event, n_events FROM chunk WHERE id BETWEEN ?1 AND ?2 ORDER BY id {order}"
    ))?;
    let mut rows = statement.query(params![chunk_id(execution, low), chunk_id(execution, high)])?;
    let mut page = Vec::new();
    while page.len() < query.limit
        && let Some(row) = rows.next()?
    {
        let (first, n_events): (u64, u64) = (row.get(1)?, row.get(2)?);
        // The ids of this chunk that the page still takes; a chunk of many events is not read whole for a page.
        let n_left = (query.limit - page.len()) as u64;
        let end = first.saturating_add(n_events);
        let wanted = match query.reverse {
            false => {
                let from = query.from.max(first);
                from..from.saturating_add(n_left).min(end)
            }
            true => {
                let to = query.from.saturating_add(1).min(end);
                to.saturating_sub(n_left).max(first)..to
            }
        };
        let mut events = encode::wanted_history(row.get_ref(0)?.as_str()?, first, n_events, |id| wanted.contains(&id))
            .map_err(|error| rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, error.into()))?;
        if query.reverse {
            events.reverse();
        }
        page.append(&mut events);
    }
    Ok(page)
}

fn list(connection: &Connection, query: &ListQuery) -> rusqlite::Result<Vec<Arc<ExecutionRecord>>> {
    let mut conditions = Vec::new();
    let mut values: Vec<Box<dyn ToSql>> = Vec::new();
    let (column, key) = match &query.of {
        // The children of Map Runs have a machine of their own: this names the index.
        ListOf::Machine(arn) => ("map_run_arn IS NULL AND machine_arn", arn),
        ListOf::MapRun(arn) => ("map_run_arn", arn),
    };
    conditions.push(format!("{column} = ?"));
    values.push(Box::new(Arc::clone(key)));
    if let Some(status) = query.status {
        conditions.push("status = ?".to_owned());
        values.push(Box::new(status.as_str()));
    }
    if let Some((started, id)) = query.after {
        conditions.push("(started, id) < (?, ?)".to_owned());
        values.push(Box::new(started.0));
        values.push(Box::new(id.0));
    }
    // The few lists by version, alias or redrive are filtered row by row.
    let sql = format!(
        "SELECT {COLUMNS} FROM execution WHERE {} ORDER BY started DESC, id DESC",
        conditions.join(" AND ")
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(rusqlite::params_from_iter(values))?;
    let mut page = Vec::new();
    while page.len() < query.limit
        && let Some(row) = rows.next()?
    {
        let record = record(row)?;
        if query.admits(&record) {
            page.push(Arc::new(record));
        }
    }
    Ok(page)
}

pub(super) fn load(connection: &Connection, id: ExecutionId) -> rusqlite::Result<Option<Loaded>> {
    let found = connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM execution WHERE id = ?1"))?
        .query_row(params![id.0], |row| Ok((record(row)?, row.get::<_, Option<i64>>(12)?)))
        .optional()?;
    let Some((record, deadline)) = found else {
        return Ok(None);
    };
    let snapshot: Option<(u64, Vec<u8>)> = connection
        .prepare_cached("SELECT version, state FROM snapshot WHERE execution = ?1")?
        .query_row(params![id.0], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let after = snapshot.as_ref().map_or(0, |(version, _)| *version);
    let journal = connection
        .prepare_cached("SELECT journal FROM chunk WHERE id BETWEEN ?1 AND ?2 ORDER BY id")?
        .query_map(
            params![chunk_id(id.0, after + 1), chunk_id(id.0, record.version)],
            |row| row.get(0),
        )?
        .collect::<rusqlite::Result<Vec<String>>>()?;
    if after + journal.len() as u64 != record.version {
        let what = format!("execution {id} lacks rows of its journal");
        return Err(rusqlite::Error::FromSqlConversionFailure(
            0,
            rusqlite::types::Type::Text,
            what.into(),
        ));
    }
    Ok(Some(Loaded {
        record: Arc::new(record),
        snapshot: snapshot.map(|(_, state)| state),
        journal,
        deadline: deadline.map(Timestamp),
    }))
}

/// Numbers grow with the time of the start: whatever comes behind the first that started too late ended too late.
fn old(
    connection: &Connection,
    stopped_before: Timestamp,
    after: ExecutionId,
    limit: usize,
) -> rusqlite::Result<Vec<(ExecutionId, u64)>> {
    let mut statement = connection.prepare_cached(
        "SELECT id, version, started, stopped FROM execution \
         WHERE ?1 < id AND id < (SELECT max(id) FROM execution) ORDER BY id",
    )?;
    let mut rows = statement.query(params![after.0])?;
    let mut old = Vec::new();
    while old.len() < limit
        && let Some(row) = rows.next()?
    {
        if stopped_before.0 <= row.get::<_, i64>(2)? {
            break;
        }
        if row.get::<_, Option<i64>>(3)?.is_some_and(|at| at < stopped_before.0) {
            old.push((ExecutionId(row.get(0)?), row.get(1)?));
        }
    }
    Ok(old)
}

impl Store for SqliteStore {
    fn is_durable(&self) -> bool {
        true
    }

    fn submit(&self, batch: Vec<Change>, done: Done) {
        let batch = Batch::new(batch, done);
        self.n_queued.fetch_add(1, Ordering::Relaxed);
        // A batch that is not taken says so itself.
        if let Some(queue) = &self.queue {
            let _ = queue.send(batch);
        }
    }

    fn n_queued(&self) -> usize {
        self.n_queued.load(Ordering::Relaxed)
    }

    fn execution(&self, id: ExecutionId) -> Result<Option<Arc<ExecutionRecord>>, StoreError> {
        if let Some(record) = self.recent.execution(id) {
            return Ok(Some(record));
        }
        self.read(|connection| {
            connection
                .prepare_cached(&format!("SELECT {COLUMNS} FROM execution WHERE id = ?1"))?
                .query_row(params![id.0], record)
                .optional()
        })
        .map(|found| found.map(Arc::new))
    }

    fn find(&self, arn: &str) -> Result<Option<Arc<ExecutionRecord>>, StoreError> {
        if let Some(record) = self.recent.find(arn) {
            return Ok(Some(record));
        }
        self.read(|connection| {
            connection
                .prepare_cached(&format!("SELECT {COLUMNS} FROM execution WHERE arn = ?1"))?
                .query_row(params![arn], record)
                .optional()
        })
        .map(|found| found.map(Arc::new))
    }

    fn list(&self, query: &ListQuery) -> Result<Vec<Arc<ExecutionRecord>>, StoreError> {
        self.read(|connection| list(connection, query))
    }

    fn history(&self, query: &HistoryQuery) -> Result<Vec<Value>, StoreError> {
        self.read(|connection| history(connection, query))
    }

    fn load(&self, id: ExecutionId) -> Result<Option<Loaded>, StoreError> {
        self.read(|connection| load(connection, id))
    }

    fn busy(&self, after: ExecutionId, limit: usize) -> Result<Vec<ExecutionId>, StoreError> {
        self.read(|connection| {
            connection
                .prepare_cached("SELECT id FROM execution WHERE busy = 1 AND ?1 < id ORDER BY id LIMIT ?2")?
                .query_map(params![after.0, limit], |row| row.get(0).map(ExecutionId))?
                .collect()
        })
    }

    fn due_timers(&self, until: Timestamp, limit: usize) -> Result<Vec<(Timestamp, ExecutionId)>, StoreError> {
        self.read(|connection| {
            connection
                .prepare_cached(
                    "SELECT deadline, id FROM execution WHERE deadline IS NOT NULL AND deadline <= ?1 \
                     ORDER BY deadline, id LIMIT ?2",
                )?
                .query_map(params![until.0, limit], |row| {
                    Ok((Timestamp(row.get(0)?), ExecutionId(row.get(1)?)))
                })?
                .collect()
        })
    }

    fn old(
        &self,
        stopped_before: Timestamp,
        after: ExecutionId,
        limit: usize,
    ) -> Result<Vec<(ExecutionId, u64)>, StoreError> {
        self.read(|connection| old(connection, stopped_before, after, limit))
    }

    fn resources(&self, kind: &'static str) -> Result<Vec<Resource>, StoreError> {
        self.resources_below(kind, "")
    }

    fn resources_below(&self, kind: &'static str, prefix: &str) -> Result<Vec<Resource>, StoreError> {
        self.read(|connection| {
            connection
                .prepare_cached(
                    "SELECT key, value FROM resource WHERE kind = ?1 AND ?2 <= key AND key < ?3 ORDER BY key",
                )?
                .query_map(params![kind, prefix, format!("{prefix}{}", char::MAX)], |row| {
                    let text: String = row.get(1)?;
                    Ok(Resource {
                        kind,
                        key: row.get(0)?,
                        value: serde_json::from_str(&text).map_err(|error| {
                            rusqlite::Error::FromSqlConversionFailure(1, rusqlite::types::Type::Text, error.into())
                        })?,
                    })
                })?
                .collect()
        })
    }

    fn definition(&self, hash: &str) -> Result<Option<Arc<str>>, StoreError> {
        self.read(|connection| {
            connection
                .prepare_cached("SELECT text FROM definition WHERE hash = ?1")?
                .query_row(params![hash], |row| row.get(0))
                .optional()
        })
    }

    fn last_execution(&self) -> Result<ExecutionId, StoreError> {
        self.read(|connection| {
            connection.query_row("SELECT coalesce(max(id), 0) FROM execution", [], |row| {
                row.get(0).map(ExecutionId)
            })
        })
    }
}
