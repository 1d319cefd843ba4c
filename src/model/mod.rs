//! The nouns that every other room speaks of: ids, time, payloads, error pairs, history events, quotas, principals,
//! decisions.
//!
//! May import: nothing of ours. Invariant: no clock, no files, no randomness.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![warn(missing_docs)]

pub mod arn;
pub mod decision;
pub mod entropy;
pub mod execution_record;
pub mod glob;
pub mod history_event;
pub mod id;
pub mod map_run_record;
pub mod payload;
pub mod principal;
pub mod quota;
pub mod span;
pub mod states_error;
pub mod timestamp;
pub mod token;
