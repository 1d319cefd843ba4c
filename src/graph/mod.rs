//! Pictures of definitions: the states, what leads from one to the next, and what an execution did with them.
//!
//! May import: `model`, `asl`. Must not: anything else.
//! Invariant: a picture says nothing that the definition or the history does not, and what is cut short ends with `…`.
//! Mermaid and DOT are plain text and always there; what computes places and pixels needs the `runtime` feature.
//! To add a format: a writer beside `dot.rs` that reads `Graph`, `content.rs` and `theme.rs`.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![warn(missing_docs)]

pub mod content;
pub mod dot;
#[cfg(feature = "runtime")]
pub mod geometry;
#[cfg(feature = "runtime")]
pub mod layout;
pub mod mermaid;
pub mod model;
pub mod overlay;
#[cfg(feature = "runtime")]
pub mod png;
#[cfg(feature = "runtime")]
mod route;
#[cfg(feature = "runtime")]
pub mod svg;
#[cfg(test)]
mod testing;
#[cfg(feature = "runtime")]
pub mod text;
pub mod theme;
mod wording;
