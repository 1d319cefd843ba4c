//! One record: what a line of the log holds.

use std::sync::Arc;

use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::Serializer;
use serde_json::Map;
use serde_json::Value;

use crate::model::decision::Decision;
use crate::model::principal::Principal;
use crate::model::timestamp::Timestamp;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Event {
    /// An action changed the machine.
    #[serde(rename = "change")]
    Change,
    /// An execution ended.
    #[serde(rename = "execution.ended")]
    ExecutionEnded,
    /// An execution that had ended goes on.
    #[serde(rename = "execution.redriven")]
    ExecutionRedriven,
    /// An execution started.
    #[serde(rename = "execution.started")]
    ExecutionStarted,
    /// Somebody stopped an execution.
    #[serde(rename = "execution.stopped")]
    ExecutionStopped,
    /// A task got a token.
    #[serde(rename = "grant")]
    Grant,
    /// An access key was made.
    #[serde(rename = "key.created")]
    KeyCreated,
    /// An access key was revoked.
    #[serde(rename = "key.revoked")]
    KeyRevoked,
    /// A crash had left the log unfinished.
    #[serde(rename = "log.recovered")]
    LogRecovered,
    /// Old files of the log were deleted.
    #[serde(rename = "log.retained")]
    LogRetained,
    /// A state machine was made.
    #[serde(rename = "machine.created")]
    MachineCreated,
    /// A state machine was deleted.
    #[serde(rename = "machine.deleted")]
    MachineDeleted,
    /// A state machine was changed.
    #[serde(rename = "machine.updated")]
    MachineUpdated,
    /// A request was allowed.
    #[serde(rename = "request.allowed")]
    RequestAllowed,
    /// A request was refused.
    #[serde(rename = "request.refused")]
    RequestRefused,
    /// A change was undone, or could not be.
    #[serde(rename = "rollback")]
    Rollback,
    /// A server began.
    #[serde(rename = "server.started")]
    ServerStarted,
    /// A server ended in order.
    #[serde(rename = "server.stopped")]
    ServerStopped,
    /// A task is about to start.
    #[serde(rename = "task.intent")]
    TaskIntent,
    /// A task is over.
    #[serde(rename = "task.result")]
    TaskResult,
}

impl Event {
    /// Returns its word in the log.
    pub fn word(self) -> String {
        let value = serde_json::to_value(self).expect("an event is a word");
        value.as_str().unwrap_or_default().to_owned()
    }
}

/// As whom a task ran.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunAs {
    /// The Debian account.
    pub user: Arc<str>,
    /// Its number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// The numbers of its groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<u32>,
    /// How its processes were held, 1 to 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rung: Option<u8>,
    /// Its last process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<i32>,
}

/// A right that a task was given, without its value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// What the task knows it by.
    pub name: Arc<str>,
    /// Who gave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<Arc<str>>,
    /// For whom it is good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<Arc<str>>,
    /// What for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Arc<str>>,
    /// Its number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jti: Option<Arc<str>>,
    /// When it expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
}

/// A record. Members that say nothing are left out; the order is fixed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Its place in the log, from 1. Given by the log.
    #[serde(skip_serializing)]
    pub seq: u64,
    /// When, by the system's clock.
    #[serde(serialize_with = "write_time", deserialize_with = "read_time")]
    pub ts: Timestamp,
    /// Milliseconds since the machine booted: shows a clock that was set.
    pub mono: u64,
    /// What happened.
    pub event: Event,
    /// Who did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub who: Option<Arc<Principal>>,
    /// For whom, when the server did it for somebody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<Arc<Principal>>,
    /// The execution's ARN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub execution: Option<Arc<str>>,
    /// The state machine's ARN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_machine: Option<Arc<str>>,
    /// The SHA-256 of `STANDARD` or `EXPRESS` and the definition's text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<Arc<str>>,
    /// The state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<Arc<str>>,
    /// The task's number in its execution.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<u64>,
    /// The attempt, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// What was used or asked for: the task's resource, the request's ARN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<Arc<str>>,
    /// As whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_as: Option<RunAs>,
    /// With which rights.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grants: Vec<Grant>,
    /// What allowed or refused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<Decision>,
    /// The operation of the API, or the action of this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<Arc<str>>,
    /// What changed, one line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Arc<str>>,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Arc<str>>,
    /// The error's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Arc<str>>,
    /// What else is known.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub facts: Map<String, Value>,
    /// The record as a sentence.
    pub say: String,
    /// The hash of the record before. Given by the log.
    #[serde(skip_serializing)]
    pub prev: String,
    /// The hash of this one. Given by the log.
    #[serde(skip_serializing)]
    pub hash: String,
}

impl Record {
    /// Makes a record of what happens now.
    pub fn new(event: Event, say: impl Into<String>) -> Self {
        Self {
            seq: 0,
            ts: now(),
            mono: since_boot_millis(),
            event,
            who: None,
            on_behalf_of: None,
            execution: None,
            state_machine: None,
            definition: None,
            state: None,
            task: None,
            attempt: None,
            resource: None,
            run_as: None,
            grants: Vec::new(),
            decision: None,
            action: None,
            changes: Vec::new(),
            result: None,
            error: None,
            facts: Map::new(),
            say: say.into(),
            prev: String::new(),
            hash: String::new(),
        }
    }
}

/// Returns the time by the system's clock.
pub(super) fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let millis = since.map_or(0, |since| since.as_millis());
    Timestamp(i64::try_from(millis).unwrap_or(i64::MAX))
}

fn since_boot_millis() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    u64::try_from(time.tv_sec * 1000 + time.tv_nsec / 1_000_000).unwrap_or(0)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn write_time<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}

fn read_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    let text = String::deserialize(deserializer)?;
    Timestamp::parse_rfc3339(&text).ok_or_else(|| serde::de::Error::custom("`ts` is no time"))
}
