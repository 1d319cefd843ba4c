//! What two definitions say differently: states, ways, times, resources, data flow; not how their text is written.
//!
//! May import: `model`, `asl`. Must not: anything else.
//! Invariant: two definitions without differences run alike. So what is not known to mean the same is a difference.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![warn(missing_docs)]

pub mod change;
pub mod compare;
mod moved;
mod normal;
mod rename;
mod values;
