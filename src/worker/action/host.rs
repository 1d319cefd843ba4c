//! What of a machine actions work on: this one, unless somebody says otherwise.

use std::path::PathBuf;

use crate::worker::action::systemd::Bus;

/// The machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Below it are the files of accounts: `etc/passwd` and its like.
    pub accounts_root: PathBuf,
    /// Where the kernel tells of processes and of itself.
    pub proc: PathBuf,
    /// The program and arguments that reboot.
    pub reboot_command: Vec<String>,
    /// It is there when a package asks for a reboot.
    pub reboot_required: PathBuf,
    /// The way to systemd.
    pub systemd: Bus,
}

impl Default for Host {
    fn default() -> Self {
        Self {
            accounts_root: PathBuf::from("/"),
            proc: PathBuf::from("/proc"),
            reboot_command: vec!["/sbin/reboot".to_owned()],
            reboot_required: PathBuf::from("/run/reboot-required"),
            systemd: Bus::default(),
        }
    }
}
