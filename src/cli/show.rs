//! `stepfn show`.

use serde_json::Value;
use serde_json::json;

use crate::cli::client;
use crate::cli::client::text;
use crate::cli::error::CliError;
use crate::cli::error::printable;
use crate::cli::table;
use crate::cli::tree::Node;
use crate::cli::tree::Tree;

/// Show an execution of a running server: its states as a tree, with times, attempts and errors
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The execution: its name, MACHINE:NAME, or its ARN
    execution: String,
    /// Show inputs and outputs, too
    #[arg(long)]
    data: bool,
    /// Print what the API answers: the description, and the history as `events`
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: client::Server,
}

pub(crate) fn run(arguments: &Arguments) -> Result<u8, CliError> {
    let mut execution = arguments.server.execution(&arguments.execution)?;
    let request = json!({ "executionArn": execution["executionArn"], "maxResults": 1000 });
    let events = arguments.server.list("GetExecutionHistory", request, "events")?;
    if arguments.json {
        execution["events"] = Value::Array(events);
        table::print_json(&execution)?;
        return Ok(0);
    }
    let shown = head(&execution, arguments.data) + &body(&Tree::of(&events), arguments.data);
    table::print(&shown)?;
    Ok(0)
}

fn head(execution: &Value, with_data: bool) -> String {
    let mut shown = format!(
        "{}  {}\nstarted  {}\n",
        table::status(text(execution, "status")),
        printable(text(execution, "executionArn")),
        table::date(execution.get("startDate")),
    );
    let times = [execution.get("startDate"), execution.get("stopDate")].map(table::timestamp);
    if let [Some(started), Some(stopped)] = times {
        shown += &format!("took     {}\n", table::elapsed(started, stopped));
    }
    let members: &[&str] = if with_data {
        &["error", "cause", "input", "output"]
    } else {
        &["error", "cause"]
    };
    for name in members {
        if execution.get(name).is_some() {
            shown += &format!("{name:<8} {}\n", printable(text(execution, name)));
        }
    }
    shown
}

fn body(tree: &Tree, with_data: bool) -> String {
    let mut shown = String::new();
    // Deepest first is wrong here, so the stack holds what is still to be shown, the next on top.
    let mut open: Vec<(usize, usize)> = tree.roots.iter().rev().map(|root| (*root, 0)).collect();
    while let Some((index, depth)) = open.pop() {
        let node = &tree.nodes[index];
        shown += &"  ".repeat(depth + 1);
        shown += &line(node);
        for (name, value) in [("input", &node.input), ("output", &node.output)] {
            if with_data && let Some(value) = value {
                shown += &format!("{}{name} {}\n", "  ".repeat(depth + 3), printable(value));
            }
        }
        open.extend(node.children.iter().rev().map(|child| (*child, depth + 1)));
    }
    shown
}

fn line(node: &Node) -> String {
    let mark = match (node.left, node.has_failed, &node.error) {
        (_, true, _) => "✗",
        (None, false, Some(_)) => "✗",
        (None, false, None) => "…",
        (Some(_), false, _) => "✓",
    };
    let mut line = format!("{mark} {}", printable(&node.name));
    let mut facts = Vec::new();
    if !node.kind.is_empty() {
        facts.push(node.kind.clone());
    }
    if let Some(left) = node.left {
        facts.push(table::elapsed(node.entered, left));
    }
    if 1 < node.n_attempts {
        facts.push(format!("{} attempts", node.n_attempts));
    }
    if !facts.is_empty() {
        line += &format!(" ({})", facts.join(", "));
    }
    if let Some((error, cause)) = &node.error {
        let cause = cause.lines().next().unwrap_or_default();
        line += &format!("  {}", printable(&format!("{error}: {cause}")));
    }
    line + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(id: u64, previous: u64, kind: &str, details: Value) -> Value {
        json!({
            "id": id, "previousEventId": previous, "type": kind, "timestamp": 100.0 + id as f64,
            "xEventDetails": details,
        })
    }

    #[test]
    fn states_stand_in_the_state_that_runs_them() {
        let entered = |id, previous, kind: &str, name: &str| {
            event(
                id,
                previous,
                &format!("{kind}StateEntered"),
                json!({ "name": name, "input": "{}" }),
            )
        };
        let exited = |id, previous, kind: &str, name: &str| {
            event(
                id,
                previous,
                &format!("{kind}StateExited"),
                json!({ "name": name, "output": "1" }),
            )
        };
        let iteration = |id, previous, how: &str, index: u64| {
            event(
                id,
                previous,
                &format!("MapIteration{how}"),
                json!({ "name": "M", "index": index }),
            )
        };
        let events = [
            event(1, 0, "ExecutionStarted", json!({})),
            entered(2, 0, "Map", "M"),
            event(3, 2, "MapStateStarted", json!({ "length": 2 })),
            iteration(4, 3, "Started", 0),
            entered(5, 4, "Pass", "A"),
            exited(6, 5, "Pass", "A"),
            entered(7, 6, "Pass", "B"),
            exited(8, 7, "Pass", "B"),
            iteration(9, 8, "Succeeded", 0),
            iteration(10, 8, "Started", 1),
            entered(11, 10, "Task", "A"),
            event(12, 11, "TaskScheduled", json!({})),
            event(13, 12, "TaskStarted", json!({})),
            event(14, 13, "TaskFailed", json!({ "error": "E", "cause": "why" })),
            event(15, 14, "TaskScheduled", json!({})),
            event(16, 15, "TaskFailed", json!({ "error": "E", "cause": "again" })),
            exited(17, 16, "Task", "A"),
            iteration(18, 17, "Succeeded", 1),
            event(19, 18, "MapStateSucceeded", json!({})),
            exited(20, 18, "Map", "M"),
            entered(21, 20, "Fail", "F"),
            event(22, 21, "ExecutionFailed", json!({ "error": "E2", "cause": "end" })),
        ];
        // The first line keeps the indentation of the others, which a snapshot would trim.
        let shown = format!("tree:\n{}", body(&Tree::of(&events), false));
        expect_test::expect![[r#"
            tree:
              ✓ M (Map, 18.0 s)
                ✓ #0 (5.0 s)
                  ✓ A (Pass, 1.0 s)
                  ✓ B (Pass, 1.0 s)
                ✓ #1 (8.0 s)
                  ✓ A (Task, 6.0 s, 2 attempts)  E: again
              ✗ F (Fail, 1.0 s)  E2: end
        "#]]
        .assert_eq(&shown);
    }
}
