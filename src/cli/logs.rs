//! `stepfn logs`.

use std::time::Duration;

use serde_json::Value;
use serde_json::json;

use crate::cli::client;
use crate::cli::client::text;
use crate::cli::error::CliError;
use crate::cli::error::printable;
use crate::cli::table;

/// How often a running execution is asked for news.
const PAUSE: Duration = Duration::from_millis(300);

/// Print the history of an execution, one event a line
///
/// EXPRESS executions have no history; their events are in the file of their machine's log group.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The execution: its name, MACHINE:NAME, or its ARN
    execution: String,
    /// Go on until the execution ends
    #[arg(short, long)]
    follow: bool,
    /// Show inputs and outputs, too
    #[arg(long)]
    data: bool,
    /// Print the events as the API has them, one a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: client::Server,
}

pub(crate) fn run(arguments: &Arguments) -> Result<u8, CliError> {
    let execution = arguments.server.execution(&arguments.execution)?;
    let arn = &execution["executionArn"];
    let mut n_shown = 0;
    loop {
        // Before the events: what came last is then among them.
        let described = arguments
            .server
            .call("DescribeExecution", &json!({ "executionArn": arn }))?;
        for event in news(arguments, arn, n_shown)? {
            n_shown += 1;
            let line = match arguments.json {
                true => event.to_string(),
                false => line(&event, arguments.data),
            };
            table::print(&format!("{line}\n"))?;
        }
        if !arguments.follow || text(&described, "status") != "RUNNING" {
            return Ok(0);
        }
        std::thread::sleep(PAUSE);
    }
}

/// Returns the events after the first `n_shown`: from the end backwards, so that a long history is not read again
/// for one new event.
fn news(arguments: &Arguments, arn: &Value, n_shown: u64) -> Result<Vec<Value>, CliError> {
    let mut request = json!({ "executionArn": arn, "reverseOrder": true, "maxResults": 100 });
    let mut events = Vec::new();
    loop {
        let mut page = arguments.server.call("GetExecutionHistory", &request)?;
        let Some(Value::Array(items)) = page.get_mut("events").map(Value::take) else {
            break;
        };
        let id = |event: &Value| event.get("id").and_then(Value::as_u64).unwrap_or(0);
        let is_last = items.iter().any(|event| id(event) <= n_shown + 1);
        events.extend(items.into_iter().filter(|event| n_shown < id(event)));
        match page.get_mut("nextToken").map(Value::take) {
            Some(token) if !is_last && token.is_string() => request["nextToken"] = token,
            _ => break,
        }
    }
    events.reverse();
    Ok(events)
}

fn line(event: &Value, with_data: bool) -> String {
    let at = table::timestamp(event.get("timestamp")).unwrap_or_default();
    let mut line = format!("{at}  {:<4} {}", event["id"], text(event, "type"));
    let members = event.as_object().into_iter().flatten();
    let details = members.filter(|(name, _)| name.ends_with("EventDetails"));
    for (name, value) in details.flat_map(|(_, details)| details.as_object().into_iter().flatten()) {
        let is_data = crate::model::history_event::DATA_MEMBERS.contains(&name.as_str());
        if name.ends_with("Details") || (is_data && !with_data) {
            continue;
        }
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let value = printable(&value).replace(['\n', '\t'], " ");
        line += &match name.as_str() {
            "name" => format!("  {value}"),
            _ => format!("  {name}={value}"),
        };
    }
    line
}
