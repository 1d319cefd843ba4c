//! Drives executions on real time with real workers.
//!
//! May import: everything below `engine`. Must not: `cli`. Invariants: the only room with a clock; one thread;
//! when `run` returns, no task and no process of a task is left.

pub mod answers;
pub mod attempt;
pub mod clock;
pub mod host;
pub mod logs;
pub mod machine;
pub mod map_runs;
pub mod measures;
pub mod observer;
pub mod redrive;
pub mod registry;
mod retention;
mod rollback;
pub mod run;
pub mod serve;
pub mod start;
pub mod verify;

mod activities;
mod audited;
mod children;
mod deletion;
mod dispatch;
mod live;
mod secret;
#[cfg(test)]
mod simulation;
mod timers;
