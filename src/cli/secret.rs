//! `stepfn secret`.

use std::fmt::Write;
use std::path::PathBuf;

use crate::cli::configuration;
use crate::cli::error::CliError;
use crate::cli::table;
use crate::secret::encoding;
use crate::secret::reference::Reference;
use crate::secret::reference::SCHEME;
use crate::secret::source::table::Sources;

/// A secret cannot be read.
const UNREADABLE: u8 = 1;
/// A value with so many bytes is not guessed.
const LONG_BYTES: usize = 32;

/// Look at the secrets that tasks can use
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Check where secrets come from, and whether they can be read; no value is shown
    ///
    /// Exit codes: 0 all can be read; 1 one cannot; 2 wrong use.
    Check(Arguments),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Names such as `db/password`, or references such as `secret://db/password`; without one the sources are listed
    names: Vec<String>,
    /// The configuration [default: `stepfn.toml` here, else `/etc/stepfn/stepfn.toml`]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub(crate) fn run(command: &Command) -> Result<u8, CliError> {
    let Command::Check(arguments) = command;
    let Some(path) = configuration::file(arguments.config.as_deref()) else {
        return Err(CliError::usage("there is no configuration, so there are no secrets")
            .hint("write `stepfn.toml` with a `[[secrets.source]]`, or name it with --config"));
    };
    let sources = configuration::read(&path)?.secrets;
    if sources.is_empty() {
        let message = format!(
            "`{}` has no `[[secrets.source]]`, so there are no secrets",
            path.display()
        );
        return Err(CliError::usage(message));
    }
    let mut text = String::new();
    if arguments.names.is_empty() {
        for (pattern, kind) in sources.describe() {
            let _ = writeln!(text, "{pattern}: {kind}");
        }
        table::print(&text)?;
        return Ok(0);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::internal(format!("the runtime cannot be made: {error}")))?;
    let mut code = 0;
    for name in &arguments.names {
        let reference = Reference::named(name.strip_prefix(SCHEME).unwrap_or(name))
            .map_err(|error| CliError::usage(format!("{name:?} names no secret: {error}")))?;
        let told = runtime.block_on(look(&sources, &reference));
        if told.is_err() {
            code = UNREADABLE;
        }
        let _ = writeln!(text, "{reference}: {}", told.unwrap_or_else(|why| why));
    }
    table::print(&text)?;
    Ok(code)
}

async fn look(sources: &Sources, reference: &Reference) -> Result<String, String> {
    let route = sources.route(reference);
    let secret = sources.get(reference, None).await;
    let secret = secret.map_err(|error| format!("cannot be used: {error}"))?;
    let mut text = String::from("can be read");
    if let Some((pattern, kind, place)) = route {
        let _ = write!(text, " from {place} (source `{pattern}`, {kind})");
    }
    if let Some(version) = &secret.version {
        let _ = write!(text, ", version {version}");
    }
    // The exact length would help to guess it.
    text.push_str(match secret.expose().len() {
        length if length < encoding::BYTES_MIN => ", fewer than 6 bytes: too short to be kept out of what tasks write",
        length if length < LONG_BYTES => ", 6 to 31 bytes",
        _ => ", 32 bytes or more",
    });
    Ok(text)
}
