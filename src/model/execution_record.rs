//! What is known of a stored execution beside its history.

use std::sync::Arc;

use serde::Deserialize;
use serde::Serialize;

use crate::model::principal::Principal;
use crate::model::timestamp::Timestamp;

/// How a stored execution stands, in the API's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(missing_docs, reason = "the names are the API's own")]
pub enum ExecutionStatus {
    Running,
    Succeeded,
    Failed,
    TimedOut,
    Aborted,
    PendingRedrive,
}

impl ExecutionStatus {
    /// All, in the API's order.
    pub const ALL: [Self; 6] = [
        Self::Running,
        Self::Succeeded,
        Self::Failed,
        Self::TimedOut,
        Self::Aborted,
        Self::PendingRedrive,
    ];

    /// Returns the API's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
            Self::TimedOut => "TIMED_OUT",
            Self::Aborted => "ABORTED",
            Self::PendingRedrive => "PENDING_REDRIVE",
        }
    }

    /// Reads the API's word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }
}

/// STANDARD or EXPRESS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(missing_docs, reason = "the names are the API's own")]
pub enum MachineType {
    #[default]
    Standard,
    Express,
}

impl MachineType {
    /// Returns the API's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "STANDARD",
            Self::Express => "EXPRESS",
        }
    }
}

/// The number of a stored execution: small, never used again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ExecutionId(pub u64);

impl std::fmt::Display for ExecutionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// What never changes after the start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExecutionFacts {
    /// Execution ARN.
    pub arn: Arc<str>,
    /// Execution name.
    pub name: Arc<str>,
    /// The machine's ARN without qualifier, `…:stateMachine:Machine/Label` for a child of a Map Run.
    pub machine_arn: Arc<str>,
    /// STANDARD or EXPRESS.
    pub machine_type: MachineType,
    /// The version that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_arn: Option<Arc<str>>,
    /// The alias that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias_arn: Option<Arc<str>>,
    /// The revision at the start; `None` for a machine that was never updated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision_id: Option<Arc<str>>,
    /// When that revision was made.
    pub revision_date: Timestamp,
    /// The hash of the definition's text.
    pub definition: Arc<str>,
    /// Role ARN.
    pub role_arn: Arc<str>,
    /// The Map Run and the parent of a child.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub child_of: Option<ChildOf>,
    /// `traceHeader`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_header: Option<Arc<str>>,
    /// The test case of a mock file that answers the tasks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mock_case: Option<Arc<str>>,
    /// Who started it; `None` in records of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_by: Option<Arc<Principal>>,
    /// When it was started.
    pub started: Timestamp,
}

/// The place of a child execution of a Distributed Map.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChildOf {
    /// The execution that holds the Map state.
    pub parent: ExecutionId,
    /// Which of its children.
    pub child: u64,
    /// The Map Run's ARN.
    pub map_run_arn: Arc<str>,
    /// How many items it holds.
    pub n_items: u64,
    /// The block of the definition that it runs.
    pub block: u32,
}

/// A stored execution as it stands now.
#[derive(Clone, Debug, PartialEq)]
pub struct ExecutionRecord {
    /// Its number.
    pub id: ExecutionId,
    /// What never changes.
    pub facts: Arc<ExecutionFacts>,
    /// How it stands.
    pub status: ExecutionStatus,
    /// When it ended.
    pub stopped: Option<Timestamp>,
    /// The input, as given.
    pub input: Arc<str>,
    /// The output of one that succeeded.
    pub output: Option<Arc<str>>,
    /// The error of one that failed or was stopped.
    pub error: Option<Arc<str>>,
    /// Its cause.
    pub cause: Option<Arc<str>>,
    /// How often it was redriven.
    pub redrive_count: u32,
    /// When last.
    pub redriven: Option<Timestamp>,
    /// Transitions so far; equals the number of its journal entries.
    pub version: u64,
    /// History events so far.
    pub n_events: u64,
}
