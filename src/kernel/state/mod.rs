//! What each state type does: one file per type, one row in `Cx::work`.
//!
//! Invariant: a state never writes another state's events.
//! To add one: copy a neighbor, then add its row below.

pub(super) mod choice;
pub(super) mod fail;
pub(super) mod map;
pub(super) mod parallel;
pub(super) mod pass;
pub(super) mod succeed;
pub(super) mod task;
pub(super) mod turn;
pub(super) mod wait;
