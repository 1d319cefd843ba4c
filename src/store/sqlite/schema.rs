//! Tables, indexes and their versions.

use rusqlite::Connection;

/// The version that this program writes, in `user_version`.
pub(super) const VERSION: i64 = 2;

/// How many bits of a row's number count the transitions of one execution.
const VERSION_BITS: u32 = 24;
/// Transitions of one execution, at most.
pub(super) const VERSIONS_MAX: u64 = (1 << VERSION_BITS) - 1;

/// What leads from one version to the next; entry 0 makes version 1.
const MIGRATIONS: &[&str] = &[
    "
CREATE TABLE definition (hash TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE resource (
    kind TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (kind, key)) WITHOUT ROWID;
-- deadline: when the execution must be woken, in milliseconds. busy: it has tasks or children outside.
CREATE TABLE execution (
    id INTEGER PRIMARY KEY, arn TEXT NOT NULL, machine_arn TEXT NOT NULL, map_run_arn TEXT,
    status TEXT NOT NULL, started INTEGER NOT NULL, stopped INTEGER, facts TEXT NOT NULL,
    input TEXT NOT NULL, output TEXT, error TEXT, cause TEXT,
    redrive_count INTEGER NOT NULL, redriven INTEGER, version INTEGER NOT NULL, n_events INTEGER NOT NULL,
    deadline INTEGER, busy INTEGER NOT NULL);
CREATE UNIQUE INDEX execution_arn ON execution (arn);
CREATE INDEX execution_list ON execution (machine_arn, started DESC, id DESC);
CREATE INDEX execution_status ON execution (machine_arn, status, started DESC, id DESC);
CREATE INDEX execution_map_run ON execution (map_run_arn, started DESC, id DESC) WHERE map_run_arn IS NOT NULL;
CREATE INDEX execution_busy ON execution (id) WHERE busy = 1;
CREATE INDEX execution_timer ON execution (deadline, id) WHERE deadline IS NOT NULL;
-- One row a transition. id: the execution's number, shifted by 24 bits, plus the version. journal: the events
-- that the kernel was given; history: what GetExecutionHistory shows of it.
CREATE TABLE chunk (
    id INTEGER PRIMARY KEY, first_event INTEGER NOT NULL, n_events INTEGER NOT NULL,
    journal TEXT NOT NULL, history TEXT NOT NULL);
-- The state as a whole, after `version` transitions.
CREATE TABLE snapshot (execution INTEGER PRIMARY KEY, version INTEGER NOT NULL, state BLOB NOT NULL);
",
    "
-- A list is read from its end, and grows there: SQLite fills the pages of an index that grows at its right edge. The
-- children of a Map Run are listed by it alone.
DROP INDEX execution_list;
DROP INDEX execution_status;
DROP INDEX execution_map_run;
CREATE INDEX execution_list ON execution (machine_arn, started, id) WHERE map_run_arn IS NULL;
CREATE INDEX execution_status ON execution (machine_arn, status, started, id) WHERE map_run_arn IS NULL;
CREATE INDEX execution_map_run ON execution (map_run_arn, started, id) WHERE map_run_arn IS NOT NULL;
",
];

/// Brings a file to this program's version.
///
/// # Errors
/// It was written by a newer program, or SQLite refuses.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), String> {
    let sql = |error: rusqlite::Error| error.to_string();
    let found: i64 = connection
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .map_err(sql)?;
    if VERSION < found {
        return Err(format!(
            "it has version {found}, this program reads up to version {VERSION}; run a newer stepfn"
        ));
    }
    for (from, script) in (0..).zip(MIGRATIONS) {
        if from < found {
            continue;
        }
        let transaction = connection.transaction().map_err(sql)?;
        transaction.execute_batch(script).map_err(sql)?;
        transaction.pragma_update(None, "user_version", from + 1).map_err(sql)?;
        transaction.commit().map_err(sql)?;
    }
    Ok(())
}

/// Returns the row of a transition.
pub(super) fn chunk_id(execution: u64, version: u64) -> i64 {
    let id = (execution << VERSION_BITS) | version.min(VERSIONS_MAX);
    i64::try_from(id).unwrap_or(i64::MAX)
}
