//! What is known of a Map Run.

use std::sync::Arc;

use serde::Deserialize;
use serde::Serialize;

use crate::model::id::MapRunId;
use crate::model::timestamp::Timestamp;

/// How a Map Run stands, in the API's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(missing_docs, reason = "the names are the API's own")]
pub enum MapRunStatus {
    Running,
    Succeeded,
    Failed,
    Aborted,
}

impl MapRunStatus {
    /// Returns the API's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
            Self::Aborted => "ABORTED",
        }
    }
}

/// How many items, or child executions, stand where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are the API's own")]
pub struct Counts {
    pub pending: u64,
    pub running: u64,
    pub succeeded: u64,
    pub failed: u64,
    pub timed_out: u64,
    pub aborted: u64,
    pub results_written: u64,
    #[serde(default)]
    pub pending_redrive: u64,
}

impl Counts {
    /// Returns the sum.
    pub fn total(&self) -> u64 {
        let ended = self.succeeded + self.failed + self.timed_out + self.aborted;
        self.pending + self.pending_redrive + self.running + ended
    }
}

/// A Map Run as it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MapRunRecord {
    /// `arn:P:states:R:A:mapRun:Machine/Label:uuid`.
    pub arn: Arc<str>,
    /// Which of its execution's.
    pub map_run: MapRunId,
    /// The execution that holds the Map state.
    pub execution_arn: Arc<str>,
    /// `…:stateMachine:Machine/Label`.
    pub state_machine_arn: Arc<str>,
    /// How it stands.
    pub status: MapRunStatus,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub stopped: Option<Timestamp>,
    /// How often it was redriven.
    #[serde(default)]
    pub redrive_count: u32,
    /// When last.
    #[serde(default)]
    pub redriven: Option<Timestamp>,
    /// `MaxConcurrency`; 0 is no limit.
    pub max_concurrency: u64,
    /// `ToleratedFailureCount`.
    pub tolerated_failure_count: u64,
    /// `ToleratedFailurePercentage`.
    pub tolerated_failure_percentage: f64,
    /// Items.
    pub items: Counts,
    /// Child executions.
    pub executions: Counts,
}
