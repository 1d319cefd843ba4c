//! Who did what, as whom, and with which right: an append-only log that people read and programs verify.
//!
//! May import: `model`. Must not: `worker`, `engine`, `api`, `cli`. Invariants: a record is a line, its hash covers
//! the line's own bytes and the hash before; what was acknowledged is on the disk; no record holds a secret.
