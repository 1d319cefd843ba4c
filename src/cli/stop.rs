//! `stepfn stop`.

use serde_json::json;

use crate::cli::client;
use crate::cli::error::CliError;
use crate::cli::table;

/// Stop an execution of a running server
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The execution: its name, MACHINE:NAME, or its ARN
    execution: String,
    /// The error that the execution ends with
    #[arg(long)]
    error: Option<String>,
    /// The error's cause
    #[arg(long)]
    cause: Option<String>,
    /// Print what the API answers
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: client::Server,
}

pub(crate) fn run(arguments: &Arguments) -> Result<u8, CliError> {
    let execution = arguments.server.execution(&arguments.execution)?;
    let answer = arguments.server.call(
        "StopExecution",
        &json!({
            "executionArn": execution["executionArn"],
            "error": arguments.error,
            "cause": arguments.cause,
        }),
    )?;
    if arguments.json {
        table::print_json(&answer)?;
    }
    Ok(0)
}
