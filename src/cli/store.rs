//! `stepfn store`.

use std::collections::HashMap;
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Subcommand;

use crate::asl::definition::Definition;
use crate::asl::load;
use crate::cli::error;
use crate::cli::error::CliError;
use crate::engine::verify;
use crate::model::execution_record::MachineType;
use crate::store::sqlite::Replayable;
use crate::store::sqlite::backup;
use crate::store::sqlite::check;

/// Findings that are shown.
const FINDINGS_MAX: usize = 100;

/// Check or copy the directory of a server; it may run meanwhile
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Verify every invariant of a store: its pages, its rows, and each execution by a replay of its journal
    Check {
        /// The server's `--data`
        directory: PathBuf,
    },
    /// Copy a store as it stands now into another directory
    Backup {
        /// The server's `--data`
        directory: PathBuf,
        /// The directory of the copy: a later server's `--data`
        target: PathBuf,
    },
}

pub(crate) fn run(arguments: &Arguments) -> Result<u8, CliError> {
    match &arguments.command {
        Command::Check { directory } => {
            let mut definitions = Definitions::default();
            let report = check(directory, &mut |replayable| definitions.verify(replayable))
                .map_err(|error| CliError::usage(error.to_string()))?;
            let mut text = String::new();
            for finding in report.findings.iter().take(FINDINGS_MAX) {
                let _ = writeln!(text, "{} {finding}", error::paint("1;31", "finding:"));
            }
            let (n_executions, n_resources) = (report.n_executions, report.n_resources);
            let n_findings = report.findings.len();
            let _ = writeln!(
                text,
                "{n_executions} executions, {n_resources} resources: {n_findings} findings"
            );
            error::tell(&text);
            Ok(if n_findings == 0 { 0 } else { error::FAILED })
        }
        Command::Backup { directory, target } => {
            backup(directory, target).map_err(|error| CliError::usage(error.to_string()))?;
            Ok(0)
        }
    }
}

/// Compiled definitions by hash.
#[derive(Default)]
struct Definitions(HashMap<Arc<str>, Result<Arc<Definition>, String>>);

impl Definitions {
    fn verify(&mut self, replayable: &Replayable) -> Result<(), String> {
        let facts = &replayable.loaded.record.facts;
        let definition = self.0.entry(Arc::clone(&facts.definition)).or_insert_with(|| {
            let options = load::Options {
                express: facts.machine_type == MachineType::Express,
                ..load::Options::default()
            };
            let compiled = load::compile(&replayable.definition, &options);
            compiled
                .map(Arc::new)
                .map_err(|findings| findings.first().map_or(String::new(), ToString::to_string))
        });
        let definition = definition
            .as_ref()
            .map_err(|error| format!("its definition {}: {error}", facts.definition))?;
        let stored = verify::Stored {
            loaded: &replayable.loaded,
            whole_journal: replayable.whole_journal.as_deref(),
            is_busy: replayable.is_busy,
        };
        verify::verify(definition, &stored)
    }
}
