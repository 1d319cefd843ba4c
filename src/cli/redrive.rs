//! `stepfn redrive`.

use serde_json::json;

use crate::cli::client;
use crate::cli::error::CliError;
use crate::cli::table;

/// Let an execution that failed, timed out or was stopped go on where it ended
///
/// It keeps its name, its ARN and its history. What had succeeded is not done again.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The execution: its name, MACHINE:NAME, or its ARN
    execution: String,
    /// A token of your own: the same call with the same token redrives only once
    #[arg(long, value_name = "TOKEN")]
    client_token: Option<String>,
    /// Print what the API answers
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: client::Server,
}

pub(crate) fn run(arguments: &Arguments) -> Result<u8, CliError> {
    let execution = arguments.server.execution(&arguments.execution)?;
    let mut request = json!({ "executionArn": execution["executionArn"] });
    if let Some(token) = &arguments.client_token {
        request["clientToken"] = json!(token);
    }
    let answer = arguments.server.call("RedriveExecution", &request)?;
    if arguments.json {
        table::print_json(&answer)?;
    }
    Ok(0)
}
