//! Tests of state machines: files of cases, mocks, expectations, coverage. Nothing is done for real, time is virtual.
//!
//! May import: `model`, `query`, `asl`, `kernel`, `sim`. Must not: `worker`, `engine`. Invariants: a file with a member
//! that is not understood is refused with its place; a mock that has no answer left fails the test, it never passes for
//! a tested path; the same file and seed give the same result.
//! To add an expectation: a member of `Expected` in `file.rs`, and its check in `check.rs`.

pub mod check;
pub mod coverage;
pub mod file;
pub mod lines;
pub mod mock;
pub mod names;
pub mod reader;
pub mod result_shape;
pub mod rfc9535;
pub mod run;
mod single;
