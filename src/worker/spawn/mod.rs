//! Starts the processes of tasks from a small process of their own, `stepfn spawnd`, and ends them for certain.
//!
//! `link` is the engine's side, `server` the other one; `wire` is what they say. The engine never forks: that would
//! copy the page tables of all that it holds. `door` lets in an engine of another user. Invariants: the server has one thread; it decides by its own reading of
//! the identity table who a task runs as; when the engine's end of the socket closes it ends every task, then itself.
//! The only `unsafe` code is in `fork`. To add a rung: a variant of `Rung`, its probe in `rung`, its arms in `task`.

pub mod cgroup;
pub mod child;
pub mod door;
mod fork;
pub mod identity;
pub mod kin;
pub mod link;
pub mod namespace;
mod planning;
pub mod rung;
pub mod server;
pub mod task;
pub mod unit;
pub mod vault;
pub mod wire;
