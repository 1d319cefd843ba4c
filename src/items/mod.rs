//! What a Distributed Map reads and writes: item readers over buckets, and the result writer.
//!
//! May import: `model`. Must not: `kernel`, `worker`, `engine`. Invariants: memory depends on the largest item,
//! never on the number of items or the size of a file; a key never leads out of its bucket's directory.
//! To add a format: a file in `format/` that implements `Records`, and its row in `Format`. To add a kind of
//! bucket: implement `Buckets`.

pub mod bucket;
pub mod directory;
pub mod format;
pub mod listing;
pub mod manifest;
pub mod reader;
pub mod record;
pub mod spec;
pub mod text;
pub mod writer;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
