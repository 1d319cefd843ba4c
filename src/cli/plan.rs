//! `stepfn plan`.

use std::fmt::Write;
use std::sync::Arc;

use serde_json::json;
use tokio::sync::mpsc;

use crate::cli::configuration;
use crate::cli::error::CliError;
use crate::cli::error::printable;
use crate::cli::launch::Launch;
use crate::cli::table;
use crate::cli::view::View;
use crate::engine::run::Engine;
use crate::engine::run::Options;
use crate::kernel::event::Status;
use crate::worker::action::ActionSite;
use crate::worker::action::Planned;
use crate::worker::tokens::Tokens;

/// Something would change.
const CHANGES: u8 = 3;

/// Tell what an execution's actions would change on this machine, and change nothing
///
/// The definition is walked from its start: every action says what it would do, and its state gets the result that
/// is likely. Waits pass at once. A Task of another kind is not done: what it gives must be mocked (--mock), or the
/// plan ends there. Exit codes: 0 nothing would change; 3 something would; 1 the execution would fail; 2 wrong use.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    launch: Launch,
    /// Print the plan as JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<u8, CliError> {
    let (_, definition) = arguments.launch.compile()?;
    let configuration = arguments.launch.configuration.load()?;
    let actions = ActionSite {
        allowed: configuration.allowed.clone(),
        checkpoints: configuration::actions(&configuration).checkpoints,
        ..ActionSite::planning()
    };
    let site = Arc::new(arguments.launch.site(&definition, configuration, actions)?);
    let options = Options {
        skip_time: true,
        started_by: None,
        definition_hash: None,
        site: Arc::clone(&site),
        mocks: arguments.launch.mocks(&definition)?,
    };
    let start = arguments.launch.start()?;
    let mut view = View::new(&definition, true, None);
    let mut engine = Engine::new(Arc::clone(&definition), options, &mut view);
    let internal = |error: &dyn std::fmt::Display| CliError::internal(format!("the plan broke off: {error}"));
    let status = match engine.start(start).map_err(|error| internal(&error))? {
        Some(status) => status,
        None => {
            let (_interrupts, receiver) = mpsc::channel(1);
            crate::engine::run::block_on(engine.finish(receiver))
                .map_err(|error| internal(&error))?
                .map_err(|error| internal(&error))?
                .status
        }
    };
    let plans = site.actions.plans();
    let machine = crate::cli::source::machine_name(&arguments.launch.file);
    let granted = |state: &str| -> Vec<String> {
        let grants = site.tokens.as_ref().map(Tokens::grants);
        let rows = grants.map_or_else(Vec::new, |grants| grants.of(&machine, state));
        rows.iter().map(|row| row.describe()).collect()
    };
    let text = match arguments.json {
        true => as_json(&plans, &granted),
        false => as_text(&plans, &granted),
    };
    table::print(&text)?;
    let error = match status {
        Status::Failed(error) | Status::TimedOut(error) | Status::Aborted(error) => error,
        Status::New | Status::Running | Status::Succeeded(_) => {
            let has_changes = plans.iter().any(|planned| !planned.changes.is_empty());
            return Ok(if has_changes { CHANGES } else { 0 });
        }
    };
    let name = error.name.unwrap_or_default();
    let cause = error.cause.unwrap_or_default();
    Err(CliError::failed(format!(
        "the plan ends here: the execution would fail with {}: {}",
        printable(&name),
        printable(&cause)
    )))
}

fn as_json(plans: &[Planned], granted: &dyn Fn(&str) -> Vec<String>) -> String {
    let list: Vec<_> = plans
        .iter()
        .map(|planned| {
            let mut row = json!({ "State": planned.state_name, "Action": planned.action, "Changes": planned.changes });
            let tokens = granted(&planned.state_name);
            if !tokens.is_empty() {
                row["Tokens"] = json!(tokens);
            }
            if !planned.secrets.is_empty() {
                row["Secrets"] = json!(planned.secrets);
            }
            row
        })
        .collect();
    format!("{}\n", json!({ "Plan": list }))
}

fn as_text(plans: &[Planned], granted: &dyn Fn(&str) -> Vec<String>) -> String {
    let mut text = String::new();
    let mut n_changing = 0;
    for planned in plans {
        let _ = writeln!(text, "{}: {}", printable(&planned.state_name), planned.action);
        for token in granted(&planned.state_name) {
            let _ = writeln!(text, "  gets {}", printable(&token));
        }
        for name in &planned.secrets {
            let _ = writeln!(text, "  reads the secret {name}");
        }
        for change in &planned.changes {
            let _ = writeln!(text, "  {}", printable(change));
        }
        match planned.changes.is_empty() {
            true => text.push_str("  nothing to do\n"),
            false => n_changing += 1,
        }
    }
    let n_actions = plans.len();
    let actions = if n_actions == 1 { "action" } else { "actions" };
    let _ = writeln!(text, "{n_changing} of {n_actions} {actions} would change this machine.");
    text
}
