//! `stepfn ps`.

use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use serde_json::Value;
use serde_json::json;

use crate::cli::client;
use crate::cli::client::text;
use crate::cli::error::CliError;
use crate::cli::error::printable;
use crate::cli::table;
use crate::model::timestamp::Timestamp;

/// List the executions of a running server, newest first
///
/// EXPRESS executions can be seen only in the log of their machine.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Only those of this state machine (name or ARN)
    machine: Option<String>,
    /// Only those that run
    #[arg(long)]
    running: bool,
    /// How many
    #[arg(short = 'n', long, value_name = "NUMBER", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=1000))]
    limit: u64,
    /// Print what the API answers
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: client::Server,
}

pub(crate) fn run(arguments: &Arguments) -> Result<u8, CliError> {
    let machines = match &arguments.machine {
        Some(name) => vec![arguments.server.machine(name)?],
        None => arguments.server.list("ListStateMachines", json!({}), "stateMachines")?,
    };
    let mut executions = Vec::new();
    for machine in machines.iter().filter(|machine| text(machine, "type") == "STANDARD") {
        let mut request = json!({ "stateMachineArn": machine["stateMachineArn"], "maxResults": arguments.limit });
        if arguments.running {
            request["statusFilter"] = Value::from("RUNNING");
        }
        let mut page = arguments.server.call("ListExecutions", &request)?;
        if let Some(Value::Array(items)) = page.get_mut("executions").map(Value::take) {
            executions.extend(items);
        }
    }
    let started = |execution: &Value| table::timestamp(execution.get("startDate"));
    executions.sort_by_key(|execution| std::cmp::Reverse(started(execution)));
    executions.truncate(usize::try_from(arguments.limit).unwrap_or(usize::MAX));
    if arguments.json {
        table::print_json(&Value::Array(executions))?;
        return Ok(0);
    }
    let mut rows = vec![["STATUS", "STARTED", "TOOK", "EXECUTION"].map(str::to_owned).to_vec()];
    rows.extend(executions.iter().map(row));
    let mut shown = String::new();
    for (number, mut row) in table::columns(&rows).into_iter().enumerate() {
        if 0 < number {
            row[0] = table::status(&row[0]);
        }
        shown += row.join("  ").trim_end();
        shown += "\n";
    }
    table::print(&shown)?;
    Ok(0)
}

fn row(execution: &Value) -> Vec<String> {
    let machine = text(execution, "stateMachineArn")
        .rsplit(':')
        .next()
        .unwrap_or_default();
    let started = table::timestamp(execution.get("startDate")).unwrap_or_default();
    let stopped = table::timestamp(execution.get("stopDate")).unwrap_or_else(now);
    vec![
        text(execution, "status").to_owned(),
        table::date(execution.get("startDate")),
        table::elapsed(started, stopped),
        printable(&format!("{machine}:{}", text(execution, "name"))),
    ]
}

fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}
