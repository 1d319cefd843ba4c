//! Finds inputs and answers of tasks that lead a state machine astray. Nothing is done for real, time is virtual.
//!
//! May import: `model`, `query`, `asl`, `kernel`, `sim`, `suite`. Must not: `worker`, `engine`. Invariants: the same
//! definition, seed and number of runs give the same report; no run is endless; what is reported was seen to happen,
//! and a test file repeats it.
//! `demand` reads from the definition what its states need, as `shape`s of the input and of the tasks' results; `search`
//! makes scenarios from them, runs them (`run`), keeps what reaches something new and changes it; `finding` says what a
//! run shows; `minimize` makes it small, `reproduce` writes it down.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod caller;
mod condition;
mod demand;
mod effect;
mod expression;
mod finding;
mod minimize;
mod mutate;
mod need;
pub mod report;
mod reproduce;
mod rows;
mod run;
mod scenario;
mod search;
mod shape;
#[cfg(test)]
mod tests;
