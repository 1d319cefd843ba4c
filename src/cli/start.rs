//! `stepfn start`.

use serde_json::json;

use crate::cli::client;
use crate::cli::client::text;
use crate::cli::error;
use crate::cli::error::CliError;
use crate::cli::error::printable;
use crate::cli::source;
use crate::cli::table;

/// Start an execution on a running server and print its ARN
///
/// An execution of an EXPRESS machine is waited for: its output is printed, as `stepfn run` does.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The state machine: its name, or the ARN of it, of a version or of an alias
    machine: String,
    /// The input: JSON, @FILE, or - for stdin
    #[arg(long, value_name = "JSON", default_value = "{}")]
    input: String,
    /// The name of the execution
    #[arg(long)]
    name: Option<String>,
    /// Print what the API answers
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: client::Server,
}

pub(crate) fn run(arguments: &Arguments) -> Result<u8, CliError> {
    let machine = arguments.server.machine(&arguments.machine)?;
    let arn = match arguments.machine.starts_with("arn:") {
        true => arguments.machine.as_str(),
        false => text(&machine, "stateMachineArn"),
    };
    let is_express = text(&machine, "type") == "EXPRESS";
    let operation = if is_express {
        "StartSyncExecution"
    } else {
        "StartExecution"
    };
    let mut request = json!({ "stateMachineArn": arn, "input": source::read_argument(&arguments.input)? });
    if let Some(name) = &arguments.name {
        request["name"] = json!(name);
    }
    let answer = arguments.server.call(operation, &request)?;
    let has_failed = is_express && text(&answer, "status") != "SUCCEEDED";
    if arguments.json {
        table::print_json(&answer)?;
    } else if has_failed {
        let mut told = format!("{} {}", text(&answer, "status"), text(&answer, "executionArn"));
        for member in ["error", "cause"] {
            if answer.get(member).is_some() {
                told += &format!("\n{member}: {}", printable(text(&answer, member)));
            }
        }
        error::tell(&format!("{told}\n"));
    } else {
        let member = if is_express { "output" } else { "executionArn" };
        table::print(&format!("{}\n", text(&answer, member)))?;
    }
    Ok(if has_failed { error::FAILED } else { 0 })
}
