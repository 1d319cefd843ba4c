//! What of a machine actions work on: this one, unless somebody says otherwise.

use std::path::PathBuf;

/// The machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Below it are the files of accounts: `etc/passwd` and its like.
    pub accounts_root: PathBuf,
}

impl Default for Host {
    fn default() -> Self {
        Self {
            accounts_root: PathBuf::from("/"),
        }
    }
}
