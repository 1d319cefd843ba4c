//! Secrets: where they come from, and what keeps them out of all that is written.
//!
//! May import: `model`. Must not: `worker`, `engine`, `api`, `cli`. Invariants: a value is fetched when a state is
//! entered and forgotten when it is left; it has no `Debug` and no `Serialize`; its memory is wiped.
//! To add a source: a file with its `get`, and its row in the table of sources.
