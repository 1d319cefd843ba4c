//! Actions on the accounts of this machine.
//!
//! May import: what `worker` may. Invariants: accounts are changed by the system's own tools alone, which know how to
//! lock and what else to keep; no name can be taken for an option; the superuser stays.

mod group;
mod group_absent;
mod group_present;
mod table;
#[cfg(test)]
mod testing;
mod tool;
mod user;
mod user_absent;
mod user_present;

pub use group_absent::GroupAbsent;
pub use group_present::GroupPresent;
pub use user_absent::UserAbsent;
pub use user_present::UserPresent;
