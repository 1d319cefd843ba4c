//! Text (JSON or YAML, with positions) to a compiled `Definition`, or AWS's diagnostics.
//!
//! May import: `model`, `query`. Must not: anything above. Invariant: a field that is not understood is a
//! diagnostic, never ignored.
//! To add a state field: `definition.rs` says what it is, `compile/` reads it, the kernel's file of the same
//! state type does it.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![warn(missing_docs)]

mod compile;
pub mod definition;
pub mod diagnostic;
pub mod load;
pub(crate) mod node;
#[cfg(test)]
mod probes;
pub(crate) mod substitute;
pub mod substitution_file;
pub(crate) mod text;
mod warning;
pub(crate) mod yaml;
