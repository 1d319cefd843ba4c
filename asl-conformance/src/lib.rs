//! Conformance cases for Amazon States Language and their runner.
//!
//! `case` reads a case file, `runner` runs it on the kernel, `matcher` and `events` compare what came out with what
//! is expected, `report` goes over directories. The format is described in README.md beside this crate.
#![warn(missing_docs)]

pub mod bucket;
pub mod calls;
pub mod case;
pub mod events;
pub mod exceptions;
pub mod lambdas;
pub mod matcher;
pub mod report;
pub mod runner;
pub mod script;
pub mod server;
