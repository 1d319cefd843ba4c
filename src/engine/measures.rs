//! What a host has done, in numbers.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;

use crate::model::execution_record::ExecutionStatus;

/// Upper bounds of the commits' times in seconds: from memory to a disk in trouble.
const COMMIT_SECONDS: [f64; 14] = [
    0.000_01, 0.000_1, 0.000_3, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0,
];

/// Counts since the start of the process.
#[derive(Debug)]
pub struct Measures {
    /// Steps of executions.
    pub transitions: Counter,
    /// Executions that began.
    pub started: Counter,
    /// Executions that ended, in the order of `ExecutionStatus::ALL`.
    pub ended: [Counter; ExecutionStatus::ALL.len()],
    /// From giving a batch to the store until it is safe.
    pub commit_seconds: Histogram,
}

impl Default for Measures {
    fn default() -> Self {
        Self {
            transitions: Counter::default(),
            started: Counter::default(),
            ended: std::array::from_fn(|_| Counter::default()),
            commit_seconds: Histogram::new(COMMIT_SECONDS),
        }
    }
}

impl Measures {
    /// Counts an end.
    pub fn ended(&self, status: ExecutionStatus) {
        let ends = ExecutionStatus::ALL.iter().zip(&self.ended);
        ends.filter(|(kind, _)| **kind == status).for_each(|(_, n)| {
            n.inc();
        });
    }
}
