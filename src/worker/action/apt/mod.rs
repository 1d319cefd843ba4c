//! Packages of this machine, or of another system in a directory, through `apt-get` and `dpkg`.
//!
//! One file per action; `transaction` is the way of those that change packages: look, simulate, keep, do, look again.
//! Invariants: the state of dpkg counts, not an exit code; apt is never killed once dpkg works; no text of a user
//! reaches an argument list unchecked.
//! To add an action: copy `remove.rs`, and list it in `ACTIONS`.

pub mod checkpoint;
pub mod classify;
pub mod command;
pub mod downgrade;
pub mod hold;
pub mod install;
pub mod package;
pub mod package_action;
pub mod parameters;
pub mod perform;
pub mod remove;
pub mod simulate;
pub mod state;
pub mod transaction;
pub mod update;
pub mod upgrade;
pub mod version;
