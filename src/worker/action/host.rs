//! What of a machine actions work on: this one, unless somebody says otherwise.

use std::path::PathBuf;

use crate::worker::action::systemd::Bus;

/// The machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Below it are the files of accounts: `etc/passwd` and its like.
    pub accounts_root: PathBuf,
    /// The way to systemd.
    pub systemd: Bus,
}

impl Default for Host {
    fn default() -> Self {
        Self {
            accounts_root: PathBuf::from("/"),
            systemd: Bus::default(),
        }
    }
}
