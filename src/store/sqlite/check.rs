//! Reads a whole store and names everything that breaks an invariant.

use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;
use rusqlite::OptionalExtension;
use rusqlite::params;
use serde_json::Value;

use crate::model::execution_record::ExecutionId;
use crate::model::execution_record::ExecutionRecord;
use crate::model::execution_record::ExecutionStatus;
use crate::store::StoreError;
use crate::store::change::Loaded;
use crate::store::sqlite::open::FILE_NAME;
use crate::store::sqlite::open::connect_to_read;
use crate::store::sqlite::read;
use crate::store::sqlite::schema::VERSIONS_MAX;
use crate::store::sqlite::schema::chunk_id;

/// What a check found.
#[derive(Debug, Default)]
pub struct Report {
    /// Executions that were read.
    pub n_executions: u64,
    /// Resources that were read.
    pub n_resources: u64,
    /// What is wrong, one sentence each.
    pub findings: Vec<String>,
}

/// An execution with all that a replay needs.
pub struct Replayable {
    /// The record, the last snapshot, the journal after it, the deadline.
    pub loaded: Loaded,
    /// The whole journal, when there is a snapshot.
    pub whole_journal: Option<Vec<String>>,
    /// It is marked as busy.
    pub is_busy: bool,
    /// The text of its definition.
    pub definition: Arc<str>,
}

/// Checks the store in a directory; a server may use it meanwhile. `replay` compares an execution with its journal.
///
/// # Errors
/// It cannot be opened. Whatever cannot be read is a finding.
pub fn check(
    directory: &Path,
    replay: &mut dyn FnMut(&Replayable) -> Result<(), String>,
) -> Result<Report, StoreError> {
    let path = directory.join(FILE_NAME);
    let fail = |error: rusqlite::Error| StoreError::Open(format!("`{}`: {error}", path.display()).into());
    let connection = connect_to_read(&path).map_err(fail)?;
    // One transaction: a server that goes on writing does not change what is seen.
    connection.execute_batch("BEGIN").map_err(fail)?;
    let mut check = Check {
        connection: &connection,
        replay,
        report: Report::default(),
    };
    for part in [Check::pages, Check::executions, Check::strays, Check::resources] {
        if let Err(error) = part(&mut check) {
            check.report.findings.push(error.to_string());
        }
    }
    Ok(check.report)
}

struct Check<'a> {
    connection: &'a Connection,
    replay: &'a mut dyn FnMut(&Replayable) -> Result<(), String>,
    report: Report,
}

impl Check<'_> {
    fn pages(&mut self) -> rusqlite::Result<()> {
        let mut statement = self.connection.prepare("PRAGMA integrity_check")?;
        let lines = statement.query_map([], |row| row.get::<_, String>(0))?;
        for line in lines {
            let line = line?;
            if line != "ok" {
                self.report.findings.push(line);
            }
        }
        Ok(())
    }

    fn executions(&mut self) -> rusqlite::Result<()> {
        let connection = self.connection;
        let mut statement = connection.prepare("SELECT id FROM execution ORDER BY id")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let id = ExecutionId(row.get(0)?);
            self.report.n_executions += 1;
            match self.execution(id) {
                Ok(None) => {}
                Ok(Some(what)) => self.report.findings.push(format!("execution {id}: {what}")),
                Err(error) => self.report.findings.push(format!("execution {id}: {error}")),
            }
        }
        Ok(())
    }

    /// Returns the first thing that is wrong with an execution.
    fn execution(&mut self, id: ExecutionId) -> rusqlite::Result<Option<String>> {
        let Some(loaded) = read::load(self.connection, id)? else {
            return Ok(Some("it cannot be found".to_owned()));
        };
        let record = Arc::clone(&loaded.record);
        if let Some(what) = self.columns(&loaded)? {
            return Ok(Some(what));
        }
        if record.version == 0 {
            // It was in memory only; nothing but its end was written.
            let is_open = record.stopped.is_none();
            return Ok(is_open.then(|| "it has no transitions and is open".to_owned()));
        }
        let (journal, history) = self.chunks(&record)?;
        if let Some(what) = history {
            return Ok(Some(what));
        }
        let definition = self
            .connection
            .prepare_cached("SELECT text FROM definition WHERE hash = ?1")?
            .query_row(params![record.facts.definition], |row| row.get::<_, Arc<str>>(0))
            .optional()?;
        let Some(definition) = definition else {
            return Ok(Some(format!("its definition {} is missing", record.facts.definition)));
        };
        let is_busy = self
            .connection
            .prepare_cached("SELECT busy FROM execution WHERE id = ?1")?
            .query_row(params![id.0], |row| row.get(0))?;
        let replayable = Replayable {
            whole_journal: loaded.snapshot.is_some().then_some(journal),
            loaded,
            is_busy,
            definition,
        };
        Ok((self.replay)(&replayable).err())
    }

    /// Checks what stands in columns of its own beside the facts, and what an end implies.
    fn columns(&self, loaded: &Loaded) -> rusqlite::Result<Option<String>> {
        let record = &loaded.record;
        let facts = &record.facts;
        let run = facts.child_of.as_ref().map(|child| &child.map_run_arn);
        let is_same: bool = self
            .connection
            .prepare_cached(
                "SELECT arn = ?2 AND machine_arn = ?3 AND map_run_arn IS ?4 AND started = ?5 \
                 FROM execution WHERE id = ?1",
            )?
            .query_row(
                params![record.id.0, facts.arn, facts.machine_arn, run, facts.started.0],
                |row| row.get(0),
            )?;
        if !is_same {
            return Ok(Some("its columns differ from its facts".to_owned()));
        }
        let is_open = matches!(
            record.status,
            ExecutionStatus::Running | ExecutionStatus::PendingRedrive
        );
        if is_open == record.stopped.is_some() {
            return Ok(Some(format!(
                "it is {} and its end does not fit",
                record.status.as_str()
            )));
        }
        if !is_open && loaded.deadline.is_some() {
            return Ok(Some(format!("it is {} and has a deadline", record.status.as_str())));
        }
        Ok(None)
    }

    /// Returns the journal, and what is wrong with the rows: versions, events, the last event.
    fn chunks(&self, record: &ExecutionRecord) -> rusqlite::Result<(Vec<String>, Option<String>)> {
        let mut statement = self.connection.prepare_cached(
            "SELECT id, first_event, n_events, journal, history FROM chunk WHERE id BETWEEN ?1 AND ?2 ORDER BY id",
        )?;
        let id = record.id.0;
        let mut rows = statement.query(params![chunk_id(id, 0), chunk_id(id, VERSIONS_MAX)])?;
        let mut journal = Vec::new();
        let mut next_event = 1;
        let mut last_type = String::new();
        let wrong = |journal, what: String| Ok((journal, Some(what)));
        while let Some(row) = rows.next()? {
            let version = journal.len() as u64 + 1;
            if row.get::<_, i64>(0)? != chunk_id(id, version) {
                return wrong(journal, format!("the row of transition {version} is missing"));
            }
            let (first, n_events): (u64, u64) = (row.get(1)?, row.get(2)?);
            let history: Vec<Value> = match serde_json::from_str(row.get_ref(4)?.as_str()?) {
                Ok(history) => history,
                Err(error) => return wrong(journal, format!("the history of transition {version}: {error}")),
            };
            let is_contiguous = history
                .iter()
                .zip(next_event..)
                .all(|(event, id)| event.get("id") == Some(&Value::from(id)));
            if first != next_event || n_events != history.len() as u64 || !is_contiguous {
                return wrong(
                    journal,
                    format!("the events of transition {version} do not follow {}", next_event - 1),
                );
            }
            next_event += n_events;
            if let Some(Value::String(name)) = history.last().and_then(|event| event.get("type")) {
                last_type.clone_from(name);
            }
            journal.push(row.get(3)?);
        }
        if journal.len() as u64 != record.version {
            let n_rows = journal.len();
            return wrong(journal, format!("it has {n_rows} rows and version {}", record.version));
        }
        if next_event - 1 != record.n_events {
            let n_events = next_event - 1;
            return wrong(
                journal,
                format!("it has {n_events} history events and counts {}", record.n_events),
            );
        }
        let end = match record.status {
            ExecutionStatus::Succeeded => "ExecutionSucceeded",
            ExecutionStatus::Failed => "ExecutionFailed",
            ExecutionStatus::TimedOut => "ExecutionTimedOut",
            ExecutionStatus::Aborted => "ExecutionAborted",
            ExecutionStatus::Running | ExecutionStatus::PendingRedrive => return Ok((journal, None)),
        };
        if last_type != end {
            return wrong(journal, format!("it is {} after {last_type}", record.status.as_str()));
        }
        Ok((journal, None))
    }

    /// Looks for rows of executions that are not there.
    fn strays(&mut self) -> rusqlite::Result<()> {
        let strays: [(&str, &str); 2] = [
            (
                "journal",
                "SELECT DISTINCT id >> 24 FROM chunk WHERE id >> 24 NOT IN (SELECT id FROM execution)",
            ),
            (
                "snapshot",
                "SELECT execution FROM snapshot WHERE execution NOT IN (SELECT id FROM execution)",
            ),
        ];
        for (what, sql) in strays {
            let mut statement = self.connection.prepare(sql)?;
            for id in statement.query_map([], |row| row.get::<_, i64>(0))? {
                let finding = format!("execution {}: it is gone, its {what} is not", id?);
                self.report.findings.push(finding);
            }
        }
        Ok(())
    }

    fn resources(&mut self) -> rusqlite::Result<()> {
        let mut statement = self
            .connection
            .prepare("SELECT kind, key, value FROM resource ORDER BY kind, key")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            self.report.n_resources += 1;
            let (kind, key): (String, String) = (row.get(0)?, row.get(1)?);
            if let Err(error) = serde_json::from_str::<Value>(row.get_ref(2)?.as_str()?) {
                self.report.findings.push(format!("the {kind} `{key}`: {error}"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
