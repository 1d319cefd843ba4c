//! Drives the kernel on virtual time with scripted answers.
//!
//! May import: `model`, `query`, `asl`, `kernel`. Must not: `worker`, `engine`. Invariant: no clock: the next
//! deadline or the next report is the next instant.
//! `driver` runs an execution, `mock_config` answers tasks from a `MockConfigFile.json`, `check` is what tests of
//! the kernel hold a finished execution against.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![warn(missing_docs)]

pub mod check;
pub mod driver;
pub mod mock_config;

#[cfg(test)]
mod tests;
