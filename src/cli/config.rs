//! `stepfn config`.

use std::fmt::Write;
use std::path::PathBuf;

use crate::cli::configuration;
use crate::cli::error::CliError;
use crate::cli::table;

/// Look at the configuration
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Check a configuration and print what it says
    Check(Arguments),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The file [default: `stepfn.toml` here, else `/etc/stepfn/stepfn.toml`]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub(crate) fn run(command: &Command) -> Result<u8, CliError> {
    let Command::Check(arguments) = command;
    let Some(path) = configuration::file(arguments.config.as_deref()) else {
        return Err(CliError::usage("there is no configuration").hint("write `stepfn.toml`, or name it with --config"));
    };
    let configuration = configuration::read(&path)?;
    let mut text = format!("configuration: {}\n", path.display());
    for mapping in configuration.mappings.iter() {
        let _ = writeln!(text, "mapping: {} -> {}", mapping.resource, mapping.command.join(" "));
    }
    for (name, place) in configuration.mappings.functions().describe() {
        let _ = writeln!(text, "function: {name} -> {place}");
    }
    for (name, directory) in &configuration.buckets {
        let _ = writeln!(text, "bucket: {name} -> {}", directory.display());
        if !directory.is_dir() {
            return Err(CliError::usage(format!(
                "the bucket `{name}` of `{}` names no directory: `{}`",
                path.display(),
                directory.display()
            )));
        }
    }
    for (word, patterns) in [
        ("allow", &configuration.allowed.allow),
        ("deny", &configuration.allowed.deny),
    ] {
        for pattern in patterns {
            let _ = writeln!(text, "{word}: {pattern}");
        }
    }
    if let Some(directory) = &configuration.checkpoints {
        let _ = writeln!(text, "checkpoints: {}", directory.display());
    }
    if configuration.rollback_on_failure {
        text.push_str("rollback on failure: yes\n");
    }
    if let Some(socket) = &configuration.socket {
        let _ = writeln!(text, "tasks are started at: {}", socket.display());
    }
    table::print(&text)?;
    Ok(0)
}
