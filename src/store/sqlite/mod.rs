//! The durable store: one SQLite file in WAL mode.
//!
//! One thread writes and groups what is queued into commits; another moves the log into the file; readers have
//! connections of their own, and the last records are kept in memory. `sqlite3 -readonly` may read along.

mod backup;
mod check;
mod open;
mod read;
mod recent;
mod schema;
#[cfg(test)]
pub(crate) mod scratch;
mod write;

pub use backup::backup;
pub use check::Replayable;
pub use check::Report;
pub use check::check;
pub use open::SqliteStore;
