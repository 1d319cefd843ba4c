//! Drives the kernel on virtual time with scripted answers.
//!
//! May import: `model`, `query`, `asl`, `kernel`. Must not: `worker`, `engine`. Invariant: no clock: the next
//! deadline or the next report is the next instant.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![warn(missing_docs)]

pub mod driver;
