//! Finds state machine definitions in a file's text: plain definitions, and those inside templates.
//!
//! May import: `model`, `query`, `asl`. Must not: anything else; it reads no file by itself, the caller hands in
//! `Files`. Invariants: whatever stands in the text found has a place in the outer file, and a template is never
//! passed over in silence: what can not be checked is a notice.
//! To add a kind of template: copy `serverless.rs`, then add it to `KINDS` in `find.rs`.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![warn(missing_docs)]

mod cloudformation;
mod compose;
pub mod find;
mod function;
mod machine;
pub mod origin;
mod plan;
mod serverless;
mod substitutions;
#[cfg(test)]
mod tests;
mod tftpl;
mod trace;
