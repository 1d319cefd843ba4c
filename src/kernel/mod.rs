//! Runs one execution: events in, commands and history out.
//!
//! May import: `model`, `query`, `asl`. Must not: `sim`, `worker`, `engine`. Invariants: no clock, no chance
//! other than the seed, no recursion over user data, a refused event changes nothing.
//! To add a state type's behavior: `state/<type>.rs`.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![warn(missing_docs)]

pub mod event;
pub mod execution;
pub mod isolated;

mod abort;
mod context;
mod core;
mod data_flow;
mod failure;
mod field;
mod frame;
mod join;
mod map_run;
mod redrive;
mod retry;
mod state;
