//! Actions on single files.
//!
//! May import: what `worker` may. Invariants: a file is never half-written: the new one is on the disk before it takes
//! the old one's name; a symbolic link at the end of a path is refused, and on the way followed only if the superuser
//! or this user made it; memory stays bounded, whatever a file's size.
//! To add an action that writes: copy `write.rs`. What all of them do is in `put.rs`.

pub mod copy;
pub mod line;
pub mod remove;
pub mod template;
pub mod write;

mod backup;
mod existing;
mod fault;
mod off_thread;
mod ownership;
mod place;
mod put;
#[cfg(test)]
mod testing;
