//! `stepfn doctor`: how tasks run on this machine, and what is missing for more.

use std::fmt::Write as _;
use std::path::Path;
use std::path::PathBuf;

use serde_json::json;

use crate::cli::configuration;
use crate::cli::error;
use crate::cli::error::CliError;
use crate::cli::error::printable;
use crate::cli::spawning::Spawning;
use crate::worker::nursery::Nursery;
use crate::worker::spawn::door;
use crate::worker::spawn::wire::Ready;

/// Show how tasks run on this machine, as whom, and what is missing for more
///
/// Exit code 1 when tasks cannot be started, or the identity table cannot be used.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The configuration [default: `stepfn.toml` here, else `/etc/stepfn/stepfn.toml`]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    spawning: Spawning,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<u8, CliError> {
    let configured = match configuration::file(arguments.config.as_deref()) {
        Some(path) => configuration::read(&path)?.socket,
        None => None,
    };
    let options = arguments.spawning.options(None, configured.as_deref())?;
    let socket = options.socket.clone();
    let nursery = Nursery::new(options);
    let found = crate::engine::run::block_on(async {
        let ready = nursery.ready().await;
        nursery.end_all().await;
        ready
    });
    let found = found.map_err(|error| CliError::internal(format!("the runtime cannot be made: {error}")))?;
    let ready = match found {
        Ok(ready) => ready,
        Err(message) => {
            let message = message.trim_end_matches('.');
            let text = format!("tasks cannot be started: {}", printable(message));
            CliError::usage(text).print();
            return Ok(error::FAILED);
        }
    };
    let text = match arguments.json {
        true => format!("{:#}\n", as_json(&ready, socket.as_deref())),
        false => as_text(&ready, socket.as_deref()),
    };
    crate::cli::table::print(&printable(&text))?;
    let is_unusable = matches!(&ready.identities, Some(Err(_)));
    Ok(if is_unusable { error::FAILED } else { 0 })
}

fn as_json(ready: &Ready, socket: Option<&Path>) -> serde_json::Value {
    let rungs: Vec<_> = ready
        .offers
        .iter()
        .map(|offer| {
            let rung = offer.rung;
            json!({ "rung": rung.number(), "name": rung, "isUsed": rung == ready.rung, "lacks": offer.lacks })
        })
        .collect();
    let identities = match &ready.identities {
        None => json!(null),
        Some(Ok(rows)) => json!({ "rows": rows }),
        Some(Err(error)) => json!({ "error": error }),
    };
    json!({
        "rung": ready.rung.number(),
        "rungs": rungs,
        "socket": socket,
        "user": ready.user,
        "otherUsers": ready.is_root,
        "identities": identities,
        "credentials": ready.credentials,
    })
}

fn as_text(ready: &Ready, socket: Option<&Path>) -> String {
    let mut text = format!(
        "Tasks are held by rung {}: {}.\n\n",
        ready.rung.number(),
        ready.rung.describe()
    );
    for offer in &ready.offers {
        let state = match &offer.lacks {
            _ if offer.rung == ready.rung => "in use".to_owned(),
            Some(lacks) => format!("not available: {lacks}"),
            None => "available".to_owned(),
        };
        let _ = writeln!(text, "  {} {}: {state}", offer.rung.number(), offer.rung.describe());
    }
    match socket {
        Some(path) => {
            let _ = writeln!(text, "\nTasks are started by the service at `{}`.", path.display());
        }
        None if Path::new(door::SOCKET).exists() && !ready.is_root => {
            let _ = writeln!(
                text,
                "\nThere is a service at `{}`, but not for this user.",
                door::SOCKET
            );
        }
        None => {}
    }
    let others = match ready.is_root {
        true => "Tasks are started by root, so they can run as any account.",
        false => "Tasks are started without root, so they can run as this user only.",
    };
    let _ = writeln!(text, "\n{others} The user is `{}`.", ready.user);
    let _ = writeln!(text, "{}", ready.credentials);
    match &ready.identities {
        None => text += "There is no identity table: every task runs as this user.\n",
        Some(Err(error)) => {
            let _ = writeln!(text, "The identity table cannot be used, so no task runs: {error}.");
        }
        Some(Ok(rows)) => {
            text += "The identity table (role, state machine, state -> account):\n";
            for row in rows {
                let _ = writeln!(text, "  {row}");
            }
        }
    }
    text
}
