//! Drives the kernel on virtual time with scripted answers.
//!
//! May import: `model`, `query`, `asl`, `kernel`. Must not: `worker`, `engine`. Invariant: no clock: the next
//! deadline or the next report is the next instant.
//! `driver` runs an execution, `exchange` is what Distributed Maps read and write, `mock_config` answers tasks from a
//! `MockConfigFile.json`, `check` is what tests of the kernel hold a finished execution against.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![warn(missing_docs)]

pub mod check;
pub mod driver;
pub mod exchange;
pub mod mock_config;

#[cfg(test)]
mod tests;
