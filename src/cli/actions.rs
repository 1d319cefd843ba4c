//! `stepfn actions`.

use crate::cli::error::CliError;
use crate::cli::table;
use crate::worker::action::ACTIONS;
use crate::worker::action::document;

/// List what this machine can do as a Task, or describe one action
///
/// An action is reached by the Resource `arn:aws:states:::debian:NAME`, or, so that AWS accepts the same definition,
/// as the activity `debian-NAME` with hyphens for dots.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The action, such as `shell.run`
    name: Option<String>,
    /// Print the whole documentation as Markdown
    #[arg(long, conflicts_with = "name")]
    markdown: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<u8, CliError> {
    let text = match &arguments.name {
        Some(name) => match ACTIONS.iter().find(|action| action.facts().name == name) {
            Some(action) => document::section(action.facts()),
            None => {
                return Err(CliError::usage(format!("there is no action `{name}`")).hint("`stepfn actions` lists them"));
            }
        },
        None if arguments.markdown => document::page(),
        None => {
            let rows: Vec<Vec<String>> = document::list()
                .into_iter()
                .map(|(name, summary)| vec![name.to_owned(), summary.to_owned()])
                .collect();
            table::lines(&rows)
        }
    };
    table::print(&text)?;
    Ok(0)
}
