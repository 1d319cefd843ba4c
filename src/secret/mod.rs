//! Secrets: where they come from, and what keeps them out of all that is written.
//!
//! May import: `model`. Must not: `worker`, `engine`, `api`, `cli`. Invariants: a value is fetched when a state is
//! entered and forgotten when it is left; it has no `Debug` and no `Serialize`; its memory is wiped.
//! To add a source: a file in `source` with its `get`, and its row in `KINDS`.

pub mod encoding;
pub mod reference;
pub mod scrub;
pub mod source;
pub mod value;

#[cfg(test)]
mod tests;
