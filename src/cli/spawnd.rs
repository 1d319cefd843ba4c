//! `stepfn spawnd`: starts and ends the processes of tasks. Only the engine calls it.

use std::path::PathBuf;

use crate::cli::error::CliError;
use crate::worker::spawn::door;
use crate::worker::spawn::identity::Identities;
use crate::worker::spawn::rung::Isolation;
use crate::worker::spawn::server;
use crate::worker::spawn::server::Settings;

/// Start and end the processes of tasks, for the engine that holds the other end of stdin
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How the processes of a task are held together
    #[arg(long, default_value = "auto")]
    isolation: Isolation,
    /// The directory of the identity table
    #[arg(long, conflicts_with = "no_identities")]
    identities: Option<PathBuf>,
    /// Everything runs as this user
    #[arg(long)]
    no_identities: bool,
    /// Be a service for the engines of this user and of root; may be given more than once
    ///
    /// stdin is then a connection that the engine has made, as systemd and inetd hand it over.
    #[arg(long = "engine", value_name = "USER", conflicts_with_all = ["no_identities", "lock", "clean", "site"])]
    engines: Vec<String>,
    /// A file to lock as long as tasks may be left
    #[arg(long)]
    lock: Option<PathBuf>,
    /// How the marks of the tasks begin
    #[arg(long, default_value = "")]
    site: String,
    /// End what carries such a mark
    #[arg(long)]
    clean: bool,
}

pub(crate) fn run(arguments: Arguments) -> Result<u8, CliError> {
    let socket = server::take_socket()
        .map_err(|error| CliError::internal(format!("tasks cannot be started: {error}")))?
        .ok_or_else(|| CliError::usage("`stepfn spawnd` is started by the engine, with a socket as its stdin"))?;
    let mut settings = Settings {
        isolation: arguments.isolation,
        identities: match (arguments.identities, arguments.no_identities) {
            (Some(directory), _) => Identities::Directory(directory),
            (None, true) => Identities::Nobody,
            (None, false) => Identities::System,
        },
        lock: arguments.lock,
        site: arguments.site,
        clean: arguments.clean,
    };
    if arguments.engines.is_empty() {
        // The engine hears of it and tells.
        return match server::serve(socket, settings, None) {
            Ok(()) => Ok(0),
            Err(_) => Ok(crate::cli::error::INTERNAL),
        };
    }
    let visit =
        door::open(&socket, &arguments.engines, &mut settings).map_err(|message| server::refuse(&socket, message));
    // The service's own log tells it, too.
    let served = visit.and_then(|visit| server::serve(socket, settings, Some(visit)));
    served.map(|()| 0).map_err(|error| {
        let message = error.to_string();
        CliError::internal(message.trim_end_matches('.').to_owned())
    })
}
