//! Who did what, as whom, and with which right: an append-only log that people read and programs verify.
//!
//! May import: `model`. Must not: `worker`, `engine`, `api`, `cli`. Invariants: a record is a line, its hash covers
//! the line's own bytes and the hash before; what was acknowledged is on the disk; no record holds a secret.
//! To add an event: a variant of `record::Event`, and what makes its record and its sentence in `say`.

pub mod anchor;
pub mod chain;
pub mod control;
pub mod files;
pub mod journal;
pub mod log;
pub mod read;
pub mod record;
pub mod say;
pub mod verify;

mod append;
mod writer;

#[cfg(test)]
mod tests;
