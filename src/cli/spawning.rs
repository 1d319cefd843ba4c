//! The options of commands that start tasks: how their processes are held, and as whom they run.

use std::path::PathBuf;

use crate::worker::nursery::Options;
use crate::worker::spawn::identity::Identities;
use crate::worker::spawn::rung::Isolation;

#[derive(Debug, clap::Args)]
pub(crate) struct Spawning {
    /// How the processes of a task are held together: auto, unit, cgroup, namespace or sweep
    #[arg(long, value_name = "HOW", env = "STEPFN_ISOLATION", default_value = "auto")]
    isolation: Isolation,
    /// The directory of the table that says as which accounts tasks run [default: /etc/stepfn/identities.d]
    #[arg(long, value_name = "DIRECTORY")]
    identities: Option<PathBuf>,
}

impl Spawning {
    /// Returns the options; `lock` is held as long as tasks may be left.
    pub(crate) fn options(&self, lock: Option<PathBuf>) -> Options {
        Options {
            isolation: self.isolation,
            identities: match &self.identities {
                Some(directory) => Identities::Directory(directory.clone()),
                None => Identities::System,
            },
            lock,
        }
    }

    /// Returns the options of a command that works for the person who calls it: without root, the machine's table does
    /// not bind it, because it can do nothing but what this person can do anyway.
    pub(crate) fn personal(&self) -> Options {
        let mut options = self.options(None);
        if options.identities == Identities::System && !rustix::process::geteuid().is_root() {
            options.identities = Identities::Nobody;
        }
        options
    }
}
