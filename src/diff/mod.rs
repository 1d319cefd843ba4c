//! What two definitions say differently: states, ways, times, resources, data flow; not their text.
//!
//! May import: `model`, `asl`. Must not: anything else.
//! Invariant: two definitions without differences run alike.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![warn(missing_docs)]
