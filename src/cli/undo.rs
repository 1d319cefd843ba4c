//! `stepfn undo`, and what `stepfn run` undoes.

use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::audit::say::ExecutionSubject;
use crate::cli::configuration;
use crate::cli::error;
use crate::cli::error::CliError;
use crate::cli::error::FAILED;
use crate::cli::error::printable;
use crate::cli::table;
use crate::secret::source::table::Sources;
use crate::worker::Cancel;
use crate::worker::Message;
use crate::worker::Reports;
use crate::worker::Site;
use crate::worker::action::ActionSite;
use crate::worker::action::Work;
use crate::worker::action::checkpoint::Checkpoints;
use crate::worker::action::checkpoint::Saved;
use crate::worker::action::checkpoint::Status;
use crate::worker::action::checkpoint::of_family;
use crate::worker::action::rollback;
use crate::worker::action::rollback::Undone;
use crate::worker::configuration::AuditTable;

/// Restore what actions changed, from their checkpoints; without arguments list the checkpoints
///
/// The latest is undone first. One that cannot be undone does not keep the others.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The checkpoints, by their ids
    #[arg(value_name = "CHECKPOINT")]
    ids: Vec<String>,
    /// All checkpoints of this execution, by its ARN
    #[arg(long, value_name = "ARN")]
    execution: Option<String>,
    /// Where the checkpoints are [default: as configured, else the machine's or the user's]
    #[arg(long, value_name = "DIRECTORY")]
    checkpoints: Option<PathBuf>,
    /// The configuration [default: `stepfn.toml` here, else `/etc/stepfn/stepfn.toml`]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<u8, CliError> {
    let checkpoints = checkpoints(arguments)?;
    let unreadable = |error: std::io::Error| {
        CliError::usage(format!(
            "failed to read the checkpoints in `{}`: {error}",
            checkpoints.directory().display()
        ))
    };
    if arguments.ids.is_empty() && arguments.execution.is_none() {
        return list(&checkpoints.all().map_err(unreadable)?);
    }
    let mut chosen = Vec::new();
    for id in &arguments.ids {
        let found = checkpoints.find(id).map_err(unreadable)?;
        chosen.push(found.ok_or_else(|| {
            let where_ = checkpoints.directory().display();
            CliError::usage(format!("there is no checkpoint `{}` in `{where_}`", printable(id)))
                .hint("`stepfn undo` lists them")
        })?);
    }
    if let Some(arn) = &arguments.execution {
        let mut family = of_family(checkpoints.all().map_err(unreadable)?, arn);
        family.retain(|saved| !arguments.ids.contains(&saved.id));
        chosen.extend(family);
    }
    let (secrets, table) = match configuration::file(arguments.config.as_deref()) {
        Some(path) => {
            let configuration = configuration::read(&path)?;
            (configuration.secrets, configuration.audit)
        }
        None => (Sources::default(), AuditTable::default()),
    };
    let mut site = Site::of_actions(ActionSite {
        checkpoints: Some(checkpoints),
        secrets,
        ..ActionSite::default()
    });
    site.audit = configuration::recorder(&table)?;
    let undone = undo(&site, chosen)?;
    Ok(match undone.iter().any(|undone| undone.error.is_some()) {
        true => FAILED,
        false => 0,
    })
}

fn checkpoints(arguments: &Arguments) -> Result<Checkpoints, CliError> {
    let configured = match configuration::file(arguments.config.as_deref()) {
        Some(path) => configuration::read(&path)?.checkpoints,
        None => None,
    };
    let directory = arguments.checkpoints.clone().or(configured);
    let directory = directory.or_else(configuration::default_checkpoints);
    let directory = directory.ok_or_else(|| {
        CliError::usage("it is not known where checkpoints are").hint("name the directory with --checkpoints")
    })?;
    Ok(Checkpoints::durable(directory))
}

fn list(all: &[Saved]) -> Result<u8, CliError> {
    let mut rows = vec![
        ["CHECKPOINT", "STATUS", "ACTION", "STATE", "EXECUTION"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for saved in all {
        let status = match saved.status {
            Status::Applied => "applied",
            Status::Open => "open",
            Status::Undone => "undone",
        };
        let texts = [
            &saved.id,
            status,
            &saved.action,
            &saved.state_name,
            &saved.execution_arn,
        ];
        rows.push(texts.map(printable).to_vec());
    }
    table::print(&table::lines(&rows))?;
    Ok(0)
}

/// Undoes checkpoints and tells of each.
fn undo(site: &Site, chosen: Vec<Saved>) -> Result<Vec<Undone>, CliError> {
    let undone = crate::engine::run::block_on(async {
        let (sender, mut messages) = mpsc::unbounded_channel();
        let (_keep, mut cancel) = Cancel::pair();
        let reports = Reports::of_nobody("undo", sender);
        let mut work = Work {
            nursery: &site.nursery,
            site: &site.actions,
            reports: &reports,
            cancel: &mut cancel,
            output_bytes_max: crate::model::quota::PAYLOAD_BYTES_MAX,
            before: None,
        };
        let undoing = rollback::undo_all(chosen, &mut work);
        tokio::pin!(undoing);
        loop {
            tokio::select! {
                undone = &mut undoing => break undone,
                Some(message) = messages.recv() => {
                    if let Message::Log { line, .. } = message {
                        error::tell(&format!("{}\n", printable(&line)));
                    }
                }
            }
        }
    });
    let undone = undone.map_err(|error| CliError::internal(format!("nothing could be undone: {error}")))?;
    let myself = Arc::new(configuration::myself());
    let mut text = String::new();
    for one in &undone {
        if let Some(audit) = &site.audit {
            let subject = ExecutionSubject::of_arn(&one.saved.execution_arn, Arc::clone(&myself));
            audit.note(&subject.rollback(&one.saved.state_name, &one.saved.action, one.failure().as_deref()));
        }
        let _ = match one.failure() {
            Some(sentence) => writeln!(text, "{} {}", error::paint("1;31", "error:"), printable(&sentence)),
            None => writeln!(
                text,
                "undone: {} of state `{}` ({})",
                one.saved.action,
                printable(&one.saved.state_name),
                one.saved.id
            ),
        };
    }
    error::tell(&text);
    Ok(undone)
}

/// After an execution has failed: undoes what it changed, or tells how that is done.
pub(crate) fn after_failure(site: &Site, rollback: bool) -> Result<(), CliError> {
    let Some(checkpoints) = &site.actions.checkpoints else {
        return Ok(());
    };
    let mut open = Vec::new();
    for id in checkpoints.made() {
        let found = checkpoints
            .find(&id)
            .map_err(|error| CliError::internal(format!("failed to read the checkpoint `{id}`: {error}")))?;
        open.extend(found.filter(|saved| saved.status != Status::Undone));
    }
    if open.is_empty() {
        return Ok(());
    }
    if !rollback {
        let ids: Vec<&str> = open.iter().map(|saved| saved.id.as_str()).collect();
        error::tell(&format!(
            "{} what it changed stays; undo it with: stepfn undo {}\n",
            error::paint("1;36", "hint:"),
            ids.join(" ")
        ));
        return Ok(());
    }
    undo(site, open).map(|_| ())
}
