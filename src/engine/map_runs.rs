//! Map Runs as resources, their readers and their writers.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;

use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::oneshot;

use crate::engine::host::Host;
use crate::engine::host::Refused;
use crate::engine::host::lock;
use crate::items::bucket::Buckets;
use crate::items::reader;
use crate::items::reader::Items;
use crate::items::record::ChildEnd;
use crate::items::record::ChildRecord;
use crate::items::spec::ReaderSpec;
use crate::items::writer::FILE_BYTES_MAX;
use crate::items::writer::ResultWriter;
use crate::items::writer::WriterSpec;
use crate::kernel::event::EventKind;
use crate::kernel::event::ReadItem;
use crate::model::execution_record::ExecutionId;
use crate::model::execution_record::ExecutionRecord;
use crate::model::execution_record::ExecutionStatus;
use crate::model::id::MapRunId;
use crate::model::map_run_record::MapRunRecord;
use crate::model::map_run_record::MapRunStatus;
use crate::model::payload::Payload;
use crate::model::states_error::StatesError;
use crate::store::StoreError;
use crate::store::change::Change;
use crate::store::change::ListOf;
use crate::store::change::ListQuery;
use crate::store::change::Resource;

/// Map Runs by ARN.
const MAP_RUN: &str = "map_run";
/// Map Run ARNs by `EXECUTION ARN:NUMBER`.
const MAP_RUN_OF: &str = "map_run_of";
/// Items that one event carries, in bytes of JSON, about.
const ITEMS_BYTES: usize = 1024 * 1024;
/// Children that are read at a time.
const PAGE: usize = 1_000;

/// What goes on for Map Runs outside of their executions.
pub(super) struct MapRuns {
    pub(super) buckets: Arc<dyn Buckets>,
    /// Children that have ended, by parent; one entry, even an empty one, while the parent is being told.
    pub(super) finished: Mutex<HashMap<ExecutionId, Vec<Arc<ExecutionRecord>>>>,
    readers: Mutex<HashMap<(ExecutionId, MapRunId), Reading>>,
}

/// A reader between two requests.
struct Reading {
    items: Items,
    offset: u64,
}

/// A Map Run with the number of its execution.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StoredMapRun {
    /// The execution that holds the Map state.
    pub execution: ExecutionId,
    /// How it stands.
    #[serde(flatten)]
    pub record: MapRunRecord,
}

/// Why a Map Run was not updated.
#[derive(Debug, thiserror::Error)]
pub enum UpdateError {
    /// It has ended.
    #[error("the Map Run has ended")]
    Ended,
    /// The store has stopped.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl MapRuns {
    pub(super) fn new(buckets: Arc<dyn Buckets>) -> Self {
        Self {
            buckets,
            finished: Mutex::default(),
            readers: Mutex::default(),
        }
    }
}

impl Host {
    /// Finds a Map Run, as it stands now.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn map_run(&self, arn: &str) -> Result<Option<StoredMapRun>, StoreError> {
        let found = self.store.resources_below(MAP_RUN, arn)?.into_iter();
        let Some(resource) = found.into_iter().find(|resource| &*resource.key == arn) else {
            return Ok(None);
        };
        let mut stored: StoredMapRun = serde_json::from_value(resource.value)
            .map_err(|error| StoreError::Damaged(format!("the Map Run `{arn}`: {error}").into()))?;
        if stored.record.status == MapRunStatus::Running
            && let Some(live) = self.shard(stored.execution).live.get(&stored.execution)
            && let Some(record) = live.execution.map_run(arn)
        {
            stored.record = record;
        }
        Ok(Some(stored))
    }

    /// Returns the Map Runs of an execution, in the order in which they began.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn map_runs_of(&self, execution_arn: &str) -> Result<Vec<StoredMapRun>, StoreError> {
        let mut runs = Vec::new();
        for resource in self.store.resources_below(MAP_RUN_OF, &format!("{execution_arn}:"))? {
            if let Some(arn) = resource.value.as_str() {
                runs.extend(self.map_run(arn)?);
            }
        }
        Ok(runs)
    }

    /// Changes a Map Run that is under way; what is `None` stays.
    ///
    /// # Errors
    /// It has ended, or the store has stopped.
    pub async fn update_map_run(
        self: &Arc<Self>,
        run: &StoredMapRun,
        max_concurrency: Option<u64>,
        tolerated_count: Option<u64>,
        tolerated_percentage: Option<f64>,
    ) -> Result<(), UpdateError> {
        let (ack, safe) = oneshot::channel();
        let kind = EventKind::MapRunUpdated {
            map_run: run.record.map_run,
            max_concurrency,
            tolerated_count,
            tolerated_percentage,
        };
        match self.give(run.execution, kind, Some(ack)) {
            Ok(()) => {}
            Err(Refused::NotOpen | Refused::Illegal(_)) => return Err(UpdateError::Ended),
            Err(Refused::Store(error)) => return Err(error.into()),
        }
        let stopped = || StoreError::Stopped("the server is stopping".into());
        safe.await.map_err(|_| stopped())??;
        Ok(())
    }

    /// Notes that a Map Run ended: what read for it is not needed any more.
    pub(super) fn map_run_ended(&self, id: ExecutionId, record: &MapRunRecord) {
        if record.status != MapRunStatus::Running {
            lock(&self.map_runs.readers).remove(&(id, record.map_run));
        }
    }

    /// Reads items, beside everything else.
    pub(super) fn read_items(
        self: &Arc<Self>,
        id: ExecutionId,
        map_run: MapRunId,
        request: Payload,
        (offset, wanted): (u64, u64),
    ) {
        let host = Arc::clone(self);
        tokio::task::spawn_blocking(move || {
            let key = (id, map_run);
            let kept = lock(&host.map_runs.readers).remove(&key);
            let kind = match host.read(kept, request.value(), offset, wanted) {
                Ok((items, reading)) => {
                    let is_last = reading.is_none();
                    if let Some(reading) = reading {
                        lock(&host.map_runs.readers).insert(key, reading);
                    }
                    EventKind::ItemsRead {
                        map_run,
                        items,
                        is_last,
                    }
                }
                Err(error) => EventKind::ItemsFailed { map_run, error },
            };
            if host.give(id, kind, None).is_err() {
                // It has ended meanwhile.
                lock(&host.map_runs.readers).remove(&key);
            }
        });
    }

    /// Returns the next items, and the reader while there may be more.
    fn read(
        &self,
        kept: Option<Reading>,
        request: &Value,
        offset: u64,
        wanted: u64,
    ) -> Result<(Vec<ReadItem>, Option<Reading>), StatesError> {
        let mut reading = match kept.filter(|kept| kept.offset == offset) {
            Some(kept) => kept,
            None => {
                let resource = request["Resource"].as_str().unwrap_or_default();
                let spec = ReaderSpec::parse(resource, &request["Arguments"], request.get("ReaderConfig"))?;
                let items = reader::open(&spec, Arc::clone(&self.map_runs.buckets))?.after(offset)?;
                Reading { items, offset }
            }
        };
        let mut items = Vec::new();
        let mut bytes = 0;
        while (items.len() as u64) < wanted && bytes < ITEMS_BYTES {
            let Some(item) = reading.items.next() else {
                return Ok((items, None));
            };
            let item = item?;
            bytes += item.value.text().len();
            reading.offset += 1;
            items.push(ReadItem {
                key: item.key,
                value: item.value,
                source: item.source,
            });
        }
        Ok((items, Some(reading)))
    }

    /// Writes the results of a Map Run's children, beside everything else.
    pub(super) fn write_results(self: &Arc<Self>, id: ExecutionId, map_run: MapRunId, arn: Arc<str>, request: Payload) {
        let host = Arc::clone(self);
        tokio::spawn(async move {
            // The ends of children that were stopped are on their way.
            if host.catch_up().await.is_err() {
                return;
            }
            let writer = Arc::clone(&host);
            let written = tokio::task::spawn_blocking(move || writer.write(&arn, request.value()));
            let kind = match written.await {
                Ok(Ok(result)) => EventKind::ResultsWritten {
                    map_run,
                    result: Payload::new(result),
                },
                Ok(Err(error)) => EventKind::ResultsFailed { map_run, error },
                Err(panicked) => EventKind::ResultsFailed {
                    map_run,
                    error: StatesError::new("States.ResultWriterFailed", panicked.to_string()),
                },
            };
            // It may have been stopped meanwhile.
            let _ = host.give(id, kind, None);
        });
    }

    fn write(&self, arn: &Arc<str>, request: &Value) -> Result<Value, StatesError> {
        let spec = WriterSpec::parse(&request["Arguments"], request.get("WriterConfig"))?;
        let buckets = Arc::clone(&self.map_runs.buckets);
        let failed = |error: StoreError| StatesError::new("States.ResultWriterFailed", error.to_string());
        let run = self.map_run(arn).map_err(failed)?.map(|run| run.record);
        let redrive = run.as_ref().map_or(0, |run| run.redrive_count);
        let mut writer = ResultWriter::new(spec, arn, redrive, buckets, FILE_BYTES_MAX)?;
        // What the attempt before wrote about children that succeeded is not written again.
        let written_until = run.and_then(|run| run.redriven).filter(|_| writer.has_earlier());
        let mut query = ListQuery {
            of: ListOf::MapRun(Arc::clone(arn)),
            status: None,
            version_arn: None,
            alias_arn: None,
            redriven: None,
            after: None,
            limit: PAGE,
        };
        loop {
            let page = self.store.list(&query).map_err(failed)?;
            let Some(last) = page.last() else {
                return writer.finish();
            };
            query.after = Some((last.facts.started, last.id));
            let is_written = |record: &ExecutionRecord| {
                record.status == ExecutionStatus::Succeeded
                    && written_until.is_some_and(|at| record.stopped.is_some_and(|stopped| stopped < at))
            };
            for record in page.iter().filter(|record| !is_written(record)) {
                let error = StatesError {
                    name: record.error.as_deref().map(ToOwned::to_owned),
                    cause: record.cause.as_deref().map(ToOwned::to_owned),
                };
                writer.write(&child_record(record, &error))?;
            }
        }
    }
}

/// Returns what is stored of a Map Run that has changed.
pub(super) fn changes(execution: ExecutionId, record: &MapRunRecord) -> Vec<Change> {
    let stored = StoredMapRun {
        execution,
        record: record.clone(),
    };
    let put = |kind, key: Arc<str>, value| Change::PutResource(Resource { kind, key, value });
    let value = serde_json::to_value(&stored).expect("a Map Run is made of plain members");
    let key = format!("{}:{:010}", record.execution_arn, record.map_run.0);
    vec![
        put(MAP_RUN, Arc::clone(&record.arn), value),
        put(MAP_RUN_OF, key.into(), Value::from(&*record.arn)),
    ]
}

/// Returns what forgets the Map Runs of an execution.
pub(super) fn forget(host: &Host, execution_arn: &str) -> Result<Vec<Change>, StoreError> {
    let mut changes = Vec::new();
    for resource in host.store.resources_below(MAP_RUN_OF, &format!("{execution_arn}:"))? {
        if let Some(arn) = resource.value.as_str() {
            let (kind, key) = (MAP_RUN, Arc::from(arn));
            changes.push(Change::DeleteResource { kind, key });
        }
        let (kind, key) = (MAP_RUN_OF, resource.key);
        changes.push(Change::DeleteResource { kind, key });
    }
    Ok(changes)
}

/// Returns a child's record as result files show it.
pub(super) fn child_record<'a>(record: &'a ExecutionRecord, error: &'a StatesError) -> ChildRecord<'a> {
    let facts = &record.facts;
    ChildRecord {
        execution_arn: &facts.arn,
        name: facts.name.split(':').next().unwrap_or_default(),
        state_machine_arn: &facts.machine_arn,
        input: &record.input,
        end: match (record.status, &record.output) {
            (ExecutionStatus::Succeeded, Some(output)) => ChildEnd::Succeeded { output },
            (status, _) => ChildEnd::Failed { status, error },
        },
        redrive_count: record.redrive_count,
        started: Some(facts.started),
        stopped: record.stopped,
    }
}
