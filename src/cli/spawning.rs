//! The options of commands that start tasks: how their processes are held, and as whom they run.

use std::path::Path;
use std::path::PathBuf;

use rustix::fs::Access;

use crate::cli::error::CliError;
use crate::worker::nursery::Options;
use crate::worker::spawn::door;
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
    /// Returns the options; `lock` is held as long as tasks may be left, `socket` is the configuration's.
    pub(crate) fn options(&self, lock: Option<PathBuf>, socket: Option<&Path>) -> Result<Options, CliError> {
        if let (Some(socket), Some(_)) = (socket, &self.identities) {
            let text = format!(
                "`--identities` says nothing to the service at `{}`, which has a table of its own",
                socket.display()
            );
            return Err(CliError::usage(text).hint("leave the option out, or `[spawn] socket` of the configuration"));
        }
        Ok(Options {
            isolation: self.isolation,
            identities: match &self.identities {
                Some(directory) => Identities::Directory(directory.clone()),
                None => Identities::System,
            },
            lock,
            socket: socket.map(Path::to_owned).or_else(|| self.default_socket()),
        })
    }

    /// Returns the machine's service that starts tasks, if it is one for this user. Root needs none.
    fn default_socket(&self) -> Option<PathBuf> {
        let is_wanted = self.identities.is_none() && !rustix::process::geteuid().is_root();
        let is_open = || rustix::fs::access(door::SOCKET, Access::WRITE_OK).is_ok();
        (is_wanted && is_open()).then(|| PathBuf::from(door::SOCKET))
    }

    /// Returns the options of a command that works for the person who calls it: without root, the machine's table does
    /// not bind it, because it can do nothing but what this person can do anyway.
    pub(crate) fn personal(&self, socket: Option<&Path>) -> Result<Options, CliError> {
        let mut options = self.options(None, socket)?;
        if options.identities == Identities::System && !rustix::process::geteuid().is_root() {
            options.identities = Identities::Nobody;
        }
        Ok(options)
    }
}
