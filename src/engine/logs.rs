//! The log events of state machines: what AWS sends to CloudWatch Logs, in files of this machine.
//!
//! Best effort, as there: lines are written after the commit, by a thread of their own; when the disk is too slow
//! they are dropped and counted, never waited for.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::sync::mpsc;

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::model::execution_record::ExecutionRecord;
use crate::model::history_event::DATA_MEMBERS;
use crate::model::history_event::HistoryEvent;

/// Batches that wait for the thread, at most: one batch is one step of an execution.
const QUEUE_MAX: usize = 4_096;
/// Files that are open at the same time.
const FILES_MAX: usize = 64;
/// Longest payload, in bytes of JSON text: 248 KiB.
const PAYLOAD_BYTES_MAX: usize = 248 * 1024;

/// Which events are logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    All,
    Error,
    Fatal,
}

/// How the executions of one machine are logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logging {
    level: Level,
    with_data: bool,
    group: Arc<str>,
}

/// Lines for one log group.
#[derive(Debug)]
pub struct Batch {
    group: Arc<str>,
    lines: Vec<u8>,
}

/// The way to the files.
#[derive(Debug)]
pub struct Logs {
    queue: mpsc::SyncSender<Batch>,
    n_dropped: Arc<AtomicU64>,
}

impl Logging {
    /// Reads a complete `loggingConfiguration`; `None` when nothing is logged.
    pub fn read(configuration: &Value) -> Option<Self> {
        let level = match configuration.get("level")?.as_str()? {
            "ALL" => Level::All,
            "ERROR" => Level::Error,
            "FATAL" => Level::Fatal,
            _ => return None,
        };
        let arn = configuration
            .pointer("/destinations/0/cloudWatchLogsLogGroup/logGroupArn")?
            .as_str()?;
        let group = arn.split_once(":log-group:")?.1;
        Some(Self {
            level,
            with_data: configuration.get("includeExecutionData") == Some(&Value::Bool(true)),
            group: group.strip_suffix(":*").unwrap_or(group).into(),
        })
    }

    /// Returns the lines of a step's events; `None` when none of them is logged.
    pub fn batch(&self, record: &ExecutionRecord, events: &[HistoryEvent]) -> Option<Batch> {
        let mut lines = Vec::new();
        for event in events {
            let kind = event.type_name();
            if self.level.admits(&kind) {
                let line = self.line(record, event, kind);
                serde_json::to_writer(&mut lines, &line).expect("a JSON value can be written to memory");
                lines.push(b'\n');
            }
        }
        let group = Arc::clone(&self.group);
        (!lines.is_empty()).then_some(Batch { group, lines })
    }

    /// The record as CloudWatch shows it: numbers are texts, the order is AWS's.
    fn line(&self, record: &ExecutionRecord, event: &HistoryEvent, kind: String) -> Value {
        let details = match event.details() {
            Some((_, Value::Object(details))) => details,
            _ => Map::new(),
        };
        json!({
            "id": event.id.0.to_string(),
            "type": kind,
            "details": self.details(details),
            "previous_event_id": event.previous.0.to_string(),
            "event_timestamp": event.at.0.to_string(),
            "execution_arn": &*record.facts.arn,
            "redrive_count": record.redrive_count.to_string(),
        })
    }

    fn details(&self, mut details: Map<String, Value>) -> Map<String, Value> {
        if !self.with_data {
            details.retain(|name, _| !DATA_MEMBERS.contains(&name.as_str()));
            return details;
        }
        let mut truncated = Vec::new();
        for (name, value) in &mut details {
            let is_data = DATA_MEMBERS.contains(&name.as_str());
            if is_data
                && let Value::String(text) = value
                && let Some(length) = cut(text)
            {
                text.truncate(length);
                truncated.push(format!("{name}Details"));
            }
        }
        for name in truncated {
            details.insert(name, json!({ "truncated": true }));
        }
        details
    }
}

/// Returns where a text must be cut so that it has no more than `PAYLOAD_BYTES_MAX` bytes within JSON.
fn cut(text: &str) -> Option<usize> {
    if text.len() <= PAYLOAD_BYTES_MAX / 6 {
        return None;
    }
    let mut n_bytes = 0;
    for (at, c) in text.char_indices() {
        n_bytes += match c {
            '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
            '\0'..='\u{1f}' => 6,
            c => c.len_utf8(),
        };
        if PAYLOAD_BYTES_MAX < n_bytes {
            return Some(at);
        }
    }
    None
}

impl Level {
    /// Tells whether events of a type are logged. The guide's table names no `Activity…` events and not
    /// `EvaluationFailed`: failures among them count as errors.
    fn admits(self, kind: &str) -> bool {
        match self {
            Self::All => true,
            Self::Error => {
                kind == "FailStateEntered" || ["Failed", "TimedOut", "Aborted"].iter().any(|end| kind.ends_with(end))
            }
            Self::Fatal => matches!(kind, "ExecutionFailed" | "ExecutionTimedOut" | "ExecutionAborted"),
        }
    }
}

impl Logs {
    /// Writes to files below a directory from now on.
    ///
    /// # Errors
    /// The directory cannot be made, or there is no thread to be had.
    pub fn open(directory: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(directory)?;
        let (queue, batches) = mpsc::sync_channel(QUEUE_MAX);
        let n_dropped = Arc::new(AtomicU64::new(0));
        let mut writer = Writer {
            directory: directory.to_owned(),
            files: HashMap::new(),
            n_dropped: Arc::clone(&n_dropped),
            n_told: 0,
        };
        std::thread::Builder::new()
            .name("logs".to_owned())
            .spawn(move || writer.write_all(&batches))?;
        Ok(Self { queue, n_dropped })
    }

    /// Hands lines over; drops them when too many wait.
    pub fn offer(&self, batch: Batch) {
        if self.queue.try_send(batch).is_err() {
            self.n_dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

struct Writer {
    directory: PathBuf,
    files: HashMap<Arc<str>, File>,
    n_dropped: Arc<AtomicU64>,
    n_told: u64,
}

impl Writer {
    fn write_all(&mut self, batches: &mpsc::Receiver<Batch>) {
        while let Ok(batch) = batches.recv() {
            // One write per batch: a reader of the file sees whole lines.
            if let Err(error) = self
                .file(&batch.group)
                .and_then(|mut file| file.write_all(&batch.lines))
            {
                self.files.remove(&batch.group);
                self.n_dropped.fetch_add(1, Ordering::Relaxed);
                if self.n_told == 0 {
                    tracing::warn!(group = &*batch.group, %error, "Log events cannot be written.");
                }
            }
            let n_dropped = self.n_dropped.load(Ordering::Relaxed);
            if 2 * self.n_told.max(1) <= n_dropped || (self.n_told == 0 && 0 < n_dropped) {
                tracing::warn!(n_dropped, "Log events of state machines are lost.");
                self.n_told = n_dropped;
            }
        }
    }

    fn file(&mut self, group: &Arc<str>) -> io::Result<&File> {
        if !self.files.contains_key(group) {
            if FILES_MAX <= self.files.len() {
                self.files.clear();
            }
            let path = path(&self.directory, group);
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent)?;
            }
            let file = File::options().create(true).append(true).open(path)?;
            self.files.insert(Arc::clone(group), file);
        }
        Ok(&self.files[group])
    }
}

/// Returns a log group's file. The group's name comes from a client: it must not lead out of the directory.
fn path(directory: &Path, group: &str) -> PathBuf {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-.#".contains(c);
    let mut path = directory.to_owned();
    for part in group.split('/').filter(|part| !part.is_empty()) {
        let part: String = part.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
        path.push(if part.starts_with('.') {
            format!("_{part}")
        } else {
            part
        });
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    path.with_file_name(format!("{name}.jsonl"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::execution_record::ExecutionFacts;
    use crate::model::execution_record::ExecutionId;
    use crate::model::execution_record::ExecutionStatus;
    use crate::model::execution_record::MachineType;
    use crate::model::history_event::HistoryEventKind;
    use crate::model::history_event::StateType;
    use crate::model::id::EventId;
    use crate::model::payload::Payload;
    use crate::model::states_error::StatesError;
    use crate::model::timestamp::Timestamp;

    fn record() -> ExecutionRecord {
        ExecutionRecord {
            id: ExecutionId(1),
            facts: Arc::new(ExecutionFacts {
                arn: "arn:e".into(),
                name: "e".into(),
                machine_arn: "arn:m".into(),
                machine_type: MachineType::Standard,
                version_arn: None,
                alias_arn: None,
                revision_id: None,
                revision_date: Timestamp(0),
                definition: "".into(),
                role_arn: "arn:r".into(),
                child_of: None,
                trace_header: None,
                mock_case: None,
                started_by: None,
                started: Timestamp(0),
            }),
            status: ExecutionStatus::Failed,
            stopped: None,
            input: "{}".into(),
            output: None,
            error: None,
            cause: None,
            redrive_count: 0,
            redriven: None,
            version: 1,
            n_events: 3,
        }
    }

    fn lines(level: &str, with_data: bool, input: Value) -> String {
        let configuration = json!({
            "level": level,
            "includeExecutionData": with_data,
            "destinations": [{ "cloudWatchLogsLogGroup": { "logGroupArn": "arn:aws:logs:r:a:log-group:/g:*" } }],
        });
        let event = |id, previous, kind| HistoryEvent {
            id: EventId(id),
            previous: EventId(previous),
            at: Timestamp(1_700_000_000_000),
            kind,
        };
        let events = [
            event(
                1,
                0,
                HistoryEventKind::ExecutionStarted {
                    input: Payload::new(input.clone()),
                    role_arn: "arn:r".into(),
                    version_arn: None,
                    alias_arn: None,
                },
            ),
            event(
                2,
                0,
                HistoryEventKind::StateEntered {
                    state: StateType::Fail,
                    name: "F".into(),
                    input: Payload::new(input),
                },
            ),
            event(3, 2, HistoryEventKind::ExecutionFailed(StatesError::new("E", "why"))),
        ];
        let batch = Logging::read(&configuration).and_then(|logging| logging.batch(&record(), &events));
        batch.map_or(String::new(), |batch| String::from_utf8(batch.lines).unwrap())
    }

    #[test]
    fn records_have_the_shape_of_cloudwatch() {
        expect_test::expect![[r#"
            {"id":"1","type":"ExecutionStarted","details":{"input":"{}","inputDetails":{"truncated":false},"roleArn":"arn:r"},"previous_event_id":"0","event_timestamp":"1700000000000","execution_arn":"arn:e","redrive_count":"0"}
            {"id":"2","type":"FailStateEntered","details":{"name":"F","input":"{}","inputDetails":{"truncated":false}},"previous_event_id":"0","event_timestamp":"1700000000000","execution_arn":"arn:e","redrive_count":"0"}
            {"id":"3","type":"ExecutionFailed","details":{"error":"E","cause":"why"},"previous_event_id":"2","event_timestamp":"1700000000000","execution_arn":"arn:e","redrive_count":"0"}
        "#]]
        .assert_eq(&lines("ALL", true, json!({})));
    }

    #[test]
    fn levels_choose_and_data_stays_out() {
        for (level, n_lines) in [("ALL", 3), ("ERROR", 2), ("FATAL", 1), ("OFF", 0)] {
            let lines = lines(level, false, json!({ "secret": 1 }));
            assert_eq!(lines.lines().count(), n_lines, "{level}");
            assert!(!lines.contains("secret") && !lines.contains("Details"), "{lines}");
        }
    }

    #[test]
    fn long_payloads_are_cut() {
        let lines = lines("ALL", true, json!("\"é".repeat(200_000)));
        let line: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
        assert_eq!(line["details"]["inputDetails"], json!({ "truncated": true }));
        let length = line["details"]["input"].to_string().len();
        assert!(
            PAYLOAD_BYTES_MAX - 8 < length && length <= PAYLOAD_BYTES_MAX + 2,
            "{length}"
        );
    }

    #[test]
    fn a_group_stays_within_the_directory() {
        for (group, expected) in [
            ("/aws/vendedlogs/states/m", "d/aws/vendedlogs/states/m.jsonl"),
            ("m.log", "d/m.log.jsonl"),
            ("../../etc/passwd", "d/_../_../etc/passwd.jsonl"),
            ("a b\0c", "d/a_b_c.jsonl"),
        ] {
            assert_eq!(path(Path::new("d"), group), Path::new(expected), "{group:?}");
        }
    }
}
