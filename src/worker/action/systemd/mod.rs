//! Actions on units of systemd, over D-Bus.
//!
//! May import: what `worker` may. Invariants: the state that a unit reaches counts, not that a job was taken; a unit's
//! name is no path.
//! To add an action: add a verb in `verb.rs` and its facts in `facts.rs`.

mod bus;
mod facts;
mod fault;
#[cfg(test)]
pub(super) mod testing;
#[cfg(test)]
mod tests;
mod unit;
mod verb;

pub use bus::Bus;
pub(super) use unit::Manager;
pub(super) use unit::is_unit;
pub use verb::DISABLE;
pub use verb::ENABLE;
pub use verb::RELOAD;
pub use verb::RESTART;
pub use verb::START;
pub use verb::STATUS;
pub use verb::STOP;
