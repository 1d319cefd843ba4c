//! `stepfn validate`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::cli::error;
use crate::cli::error::CliError;
use crate::cli::source::Source;

/// Check definitions as AWS would when a state machine is created
///
/// Prints every finding with its code, its place in the definition and the line of the file. Placeholders like
/// `${Name}` need no value here. The parameters of this machine's own actions are checked, too.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The definitions: JSON, or YAML by the extension `.yaml` or `.yml`
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// The type that the state machines will have: EXPRESS has no `.sync`, no task tokens and no activities
    #[arg(long = "type", value_name = "TYPE", default_value = "STANDARD", ignore_case = true)]
    machine_type: MachineType,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[clap(rename_all = "UPPER")]
pub(crate) enum MachineType {
    Express,
    Standard,
}

pub(crate) fn run(arguments: &Arguments) -> Result<u8, CliError> {
    let mut n_findings = 0;
    let mut n_invalid = 0;
    let mut unreadable = false;
    for path in &arguments.files {
        let source = match Source::read(path) {
            Ok(source) => Source {
                express: arguments.machine_type == MachineType::Express,
                ..source
            },
            Err(error) => {
                error.print();
                unreadable = true;
                continue;
            }
        };
        let (count, text) = match source.compile(BTreeMap::new(), true) {
            Ok(definition) => source.check_actions(&definition),
            Err(found) => found,
        };
        if count > 0 {
            error::tell(&text);
            n_findings += count;
            n_invalid += 1;
        }
    }
    if n_invalid > 0 {
        let findings = if n_findings == 1 { "finding" } else { "findings" };
        let files = if n_invalid == 1 {
            "definition is"
        } else {
            "definitions are"
        };
        error::tell(&format!("{n_findings} {findings}: {n_invalid} {files} invalid.\n"));
    }
    Ok(match (unreadable, n_invalid) {
        (true, _) => error::USAGE,
        (false, 0) => 0,
        (false, _) => error::FAILED,
    })
}
