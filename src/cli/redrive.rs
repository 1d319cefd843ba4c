//! `stepfn redrive`.

use serde_json::json;

use crate::cli::client;
use crate::cli::error::CliError;
use crate::cli::table;

/// Let an execution that failed go on from where it failed
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The execution: its name, MACHINE:NAME, or its ARN
    execution: String,
    /// Print what the API answers
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: client::Server,
}

pub(crate) fn run(arguments: &Arguments) -> Result<u8, CliError> {
    let execution = arguments.server.execution(&arguments.execution)?;
    let request = json!({ "executionArn": execution["executionArn"] });
    let answer = arguments.server.call("RedriveExecution", &request)?;
    if arguments.json {
        table::print_json(&answer)?;
    }
    Ok(0)
}
