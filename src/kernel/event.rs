//! What enters and what leaves the kernel.

use std::sync::Arc;

use serde::Deserialize;
use serde::Serialize;

use crate::asl::definition::Definition;
use crate::asl::definition::MapMode;
use crate::asl::definition::StateKind;
use crate::model::entropy::Entropy;
use crate::model::history_event::HistoryEvent;
use crate::model::id::BlockId;
use crate::model::id::ChildId;
use crate::model::id::MapRunId;
use crate::model::id::StateId;
use crate::model::id::TaskId;
use crate::model::map_run_record::MapRunRecord;
use crate::model::payload::Payload;
use crate::model::quota::Quotas;
use crate::model::states_error::StatesError;
use crate::model::timestamp::Timestamp;
use crate::model::token::TokenKey;

/// Something that happened outside, with its time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When. Never earlier than the event before.
    pub at: Timestamp,
    /// What.
    pub kind: EventKind,
}

/// What happened outside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum EventKind {
    /// The execution starts: always the first event, and only that.
    Start(Start),
    /// `StopExecution`.
    Stop(StatesError),
    /// The state machine was deleted: instead of its next transition the execution fails.
    MachineDeleted,
    /// `RedriveExecution`: an execution that ended unsuccessfully goes on where it stood.
    Redrive,
    /// The deadline that `next_deadline` named has come.
    TimePassed,
    /// A worker took the task. Optional: an answer without it implies it.
    TaskStarted {
        /// Which.
        task: TaskId,
        /// `workerName` of an activity worker.
        worker_name: Option<Arc<str>>,
    },
    /// The service accepted a `.sync` or `.waitForTaskToken` request.
    TaskSubmitted {
        /// Which.
        task: TaskId,
        /// The service's response.
        output: Payload,
    },
    /// The worker is alive.
    TaskHeartbeat {
        /// Which.
        task: TaskId,
    },
    /// The task's result.
    TaskSucceeded {
        /// Which.
        task: TaskId,
        /// The result.
        output: Payload,
    },
    /// The task failed.
    TaskFailed {
        /// Which.
        task: TaskId,
        /// Why.
        error: StatesError,
    },
    /// The task timed out in the worker's eyes (mocked `States.Timeout`): written as `…TimedOut`.
    TaskTimedOut {
        /// Which.
        task: TaskId,
        /// Why.
        error: StatesError,
    },
    /// Child executions of Map Runs ended. Those that nobody waits for any more are passed over.
    ChildrenFinished {
        /// Which, and how.
        children: Vec<FinishedChild>,
    },
    /// Items that `ReadItems` asked for, in order.
    ItemsRead {
        /// Whose.
        map_run: MapRunId,
        /// The items; not more than were wanted.
        items: Vec<ReadItem>,
        /// There are no more.
        is_last: bool,
    },
    /// The items cannot be read.
    ItemsFailed {
        /// Whose.
        map_run: MapRunId,
        /// Why.
        error: StatesError,
    },
    /// What `WriteResults` asked for is written.
    ResultsWritten {
        /// Whose.
        map_run: MapRunId,
        /// The state's result: `{"MapRunArn": …, "ResultWriterDetails": {"Bucket": …, "Key": …}}`.
        result: Payload,
    },
    /// The results cannot be written.
    ResultsFailed {
        /// Whose.
        map_run: MapRunId,
        /// Why.
        error: StatesError,
    },
    /// `UpdateMapRun`: what is `None` stays.
    MapRunUpdated {
        /// Which.
        map_run: MapRunId,
        /// `maxConcurrency`; 0 is no limit.
        max_concurrency: Option<u64>,
        /// `toleratedFailureCount`.
        tolerated_count: Option<u64>,
        /// `toleratedFailurePercentage`.
        tolerated_percentage: Option<f64>,
    },
}

/// A child execution that has ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FinishedChild {
    /// Which.
    pub child: ChildId,
    /// How.
    pub outcome: ChildOutcome,
    /// What `Execution::wanted_result` asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Payload>,
}

/// How a child execution ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are the API's own")]
pub enum ChildOutcome {
    Succeeded,
    Failed,
    TimedOut,
    Aborted,
}

impl ChildOutcome {
    /// Returns the API's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
            Self::TimedOut => "TIMED_OUT",
            Self::Aborted => "ABORTED",
        }
    }
}

/// Which part of a child's end its Map Run keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WantedResult {
    /// None: the results are written elsewhere, or are too large already.
    Nothing,
    /// The output of one that succeeded.
    Output,
    /// The whole record, whatever its status.
    Record,
}

/// One item of a reader.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReadItem {
    /// The name of a pair, where an object is iterated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The item.
    pub value: Payload,
    /// Where it comes from: `S3://bucket/key`.
    pub source: Arc<str>,
}

/// The facts an execution starts with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Start {
    /// Execution ARN.
    pub execution_arn: Arc<str>,
    /// Execution name.
    pub name: Arc<str>,
    /// State machine ARN.
    pub state_machine_arn: Arc<str>,
    /// State machine name.
    pub state_machine_name: Arc<str>,
    /// Role ARN.
    pub role_arn: Arc<str>,
    /// The input.
    pub input: Payload,
    /// The seed of all chance in this execution.
    pub seed: u64,
    /// Which quotas hold.
    pub quotas: Quotas,
    /// Of an EXPRESS machine, or an EXPRESS child: five minutes instead of a year, no limit of history events.
    pub express: bool,
    /// Started by `StartSyncExecution`: its context has no `RedriveCount` (recorded).
    pub synchronous: bool,
    /// The version that was asked for.
    pub version_arn: Option<Arc<str>>,
    /// The alias that was asked for.
    pub alias_arn: Option<Arc<str>>,
    /// What its task tokens are made from.
    pub token_key: TokenKey,
    /// Waits and pauses before retries take this many times as long as they say; 1 but for tests. Told at the start,
    /// so that a replay waits as long as before.
    #[serde(default = "unscaled", skip_serializing_if = "is_unscaled")]
    pub wait_scale: f64,
    /// The block to run: 0, or a Distributed Map's block for a child execution.
    pub block: BlockId,
}

fn unscaled() -> f64 {
    1.0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_unscaled(scale: &f64) -> bool {
    *scale == 1.0
}

impl Start {
    /// Returns the facts of a Distributed Map's child: `…:execution:Machine/Label:name` of
    /// `…:stateMachine:Machine/Label`.
    pub fn of_child(
        &self,
        definition: &Definition,
        state: StateId,
        block: BlockId,
        name: Arc<str>,
        input: Payload,
        seed: u64,
    ) -> Self {
        let state = definition.state(state);
        let (label, express) = match &state.kind {
            StateKind::Map(map) => (&map.label, map.mode == MapMode::Distributed { express: true }),
            _ => (&state.name, false),
        };
        // A child of a child still belongs to the one machine.
        let machine = self.state_machine_name.split('/').next().unwrap_or_default();
        let machine_arn = self.state_machine_arn.split('/').next().unwrap_or_default();
        let prefix = machine_arn.split(":stateMachine:").next().unwrap_or_default();
        let execution_arn = match express {
            // Asked for again, it has the same ARN.
            true => format!("{prefix}:express:{machine}/{label}:{name}:{}", second_uuid(&name)),
            false => format!("{prefix}:execution:{machine}/{label}:{name}"),
        };
        Self {
            execution_arn: execution_arn.into(),
            name,
            state_machine_arn: format!("{machine_arn}/{label}").into(),
            state_machine_name: format!("{machine}/{label}").into(),
            role_arn: Arc::clone(&self.role_arn),
            input,
            seed,
            quotas: self.quotas,
            token_key: TokenKey::from_seed(seed),
            wait_scale: self.wait_scale,
            version_arn: None,
            alias_arn: None,
            express,
            synchronous: false,
            block,
        }
    }
}

/// Returns the UUID behind an EXPRESS child's name.
fn second_uuid(name: &str) -> String {
    // FNV-1a.
    let seed = name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    Entropy::new(seed).uuid()
}

/// Something to be done outside.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Carry out one attempt of a task; report with `Task…` events.
    StartTask(StartTask),
    /// Its answer is not wanted any more: stop the work.
    CancelTask {
        /// Which.
        task: TaskId,
    },
    /// Run a child execution of a Distributed Map: `Start::block` is `block`.
    StartChild {
        /// Which.
        child: ChildId,
        /// The Map state.
        state: StateId,
        /// The block to run.
        block: BlockId,
        /// The Map Run's ARN.
        map_run_arn: Arc<str>,
        /// The child's name (a UUID).
        name: Arc<str>,
        /// The child's input; `None` for one that is redriven and has it.
        input: Option<Payload>,
        /// How many items are in it.
        n_items: u64,
        /// It did not succeed and goes on; an EXPRESS child begins again, under the same ARN.
        is_redriven: bool,
    },
    /// Stop a child execution.
    StopChild {
        /// Which.
        child: ChildId,
    },
    /// Read items of a Map Run; report with `ItemsRead` or `ItemsFailed`.
    ReadItems {
        /// Whose.
        map_run: MapRunId,
        /// `{"Resource": …, "Arguments": {…}, "ReaderConfig": {…}}`, evaluated; `MaxItems` is a number.
        reader: Payload,
        /// How many were read before.
        offset: u64,
        /// How many are wanted, at most.
        wanted: u64,
    },
    /// Write the results of a Map Run's children; report with `ResultsWritten` or `ResultsFailed`.
    WriteResults {
        /// Whose.
        map_run: MapRunId,
        /// Its ARN: the children are found by it.
        map_run_arn: Arc<str>,
        /// `{"Resource": …, "Arguments": {…}, "WriterConfig": {…}}`, evaluated.
        writer: Payload,
    },
    /// A Map Run began, was updated, or ended: to be stored together with the event.
    MapRunChanged(Box<MapRunRecord>),
}

/// One attempt of a task.
#[derive(Clone, Debug, PartialEq)]
pub struct StartTask {
    /// Its id: fresh for every attempt.
    pub task: TaskId,
    /// The Task state.
    pub state: StateId,
    /// Its name.
    pub state_name: Arc<str>,
    /// `Resource` as written.
    pub resource_arn: Arc<str>,
    /// From 1, counted over this visit of the state.
    pub attempt: u32,
    /// The index, from 0, of the nearest inline Map iteration around the state, as `$$.Map.Item.Index` has it.
    pub item: Option<u64>,
    /// The effective `Parameters`/`Arguments`, or the effective input.
    pub input: Payload,
    /// The resolved timeout.
    pub timeout_seconds: Option<u64>,
    /// The resolved heartbeat.
    pub heartbeat_seconds: Option<u64>,
    /// `Credentials.RoleArn`.
    pub role_arn: Option<Arc<str>>,
    /// The task token of `.waitForTaskToken` and activity tasks.
    pub token: Option<Arc<str>>,
    /// How far it had come. Anything but `Scheduled` only in a command that was issued again.
    pub progress: TaskProgress,
}

/// How far an open task has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum TaskProgress {
    /// Nobody has it.
    Scheduled,
    /// A worker has it.
    Started,
    /// The service accepted the request; the answer comes by token or when the job ends.
    Submitted,
}

/// Takes what the kernel puts out.
pub trait Outbox {
    /// Takes a command.
    fn command(&mut self, command: Command);
    /// Takes a history event.
    fn history(&mut self, event: HistoryEvent);
    /// Is told which way a state took: what coverage counts.
    fn took(&mut self, _state: StateId, _way: Way) {}
}

/// A way out of a state, or back into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Way {
    /// The catcher of that index, from 0.
    Catch(usize),
    /// `Default` of a Choice.
    Default,
    /// `Next`, or the end of the block.
    Next,
    /// The retrier of that index, from 0.
    Retry(usize),
    /// The Choice rule of that index, from 0.
    Rule(usize),
}

/// A refused event. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Illegal {
    /// The first event was not `Start`, or `Start` came twice.
    #[error("`Start` must be the first event and the only one of its kind")]
    Start,
    /// The execution has ended.
    #[error("the execution has ended")]
    Ended,
    /// The execution is open, has succeeded, or has too long a history.
    #[error("the execution cannot be redriven")]
    NotRedrivable,
    /// The task is not waiting for an answer.
    #[error("task {0} is not open")]
    NoSuchTask(TaskId),
    /// The child is not running.
    #[error("none of the child executions is open")]
    NoSuchChild,
    /// The Map Run does not wait for that.
    #[error("Map Run {0} does not wait for that")]
    NoSuchMapRun(MapRunId),
    /// Time went backwards.
    #[error("the event is older than the one before")]
    TimeWentBack,
}

/// How an execution stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Status {
    /// Not started.
    New,
    /// Running.
    Running,
    /// Ended well.
    Succeeded(Payload),
    /// Ended badly.
    Failed(StatesError),
    /// Ran out of the machine's `TimeoutSeconds`.
    TimedOut(StatesError),
    /// Stopped.
    Aborted(StatesError),
}
