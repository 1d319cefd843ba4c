//! `stepfn explore`.

mod print;
mod stand_in;

use std::collections::BTreeMap;
use std::path::Component;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use crate::cli::error;
use crate::cli::error::CliError;
use crate::cli::error::FAILED;
use crate::cli::launch;
use crate::cli::source;
use crate::cli::source::Source;
use crate::cli::table;
use crate::cli::validate::MachineType;
use crate::explore::report::Finding;
use crate::explore::report::Level;
use crate::explore::report::Options;
use crate::explore::report::Report;
use crate::explore::report::explore;
use crate::suite::run::Machine;

/// Look for inputs and task results that lead a state machine astray
///
/// Makes up inputs, results and errors of tasks from what the definition reads and compares, runs them on virtual time,
/// and keeps what reaches something new. Nothing is done for real. Tells which fields fail whatever the data, which
/// loops nothing ends, what is not undone when an execution fails, what was never reached. Each finding comes with a
/// small test that `stepfn test` runs (--write).
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The definition: JSON, or YAML by the extension `.yaml` or `.yml`
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Write a test file for each finding into this directory
    #[arg(long, value_name = "DIR")]
    write: Option<PathBuf>,
    /// What to tell: warnings only, or also what is good to know
    #[arg(long, value_enum, default_value_t = Least::Warning)]
    level: Least,
    /// How to tell it
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
    /// Runs, at most
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// The seed of all chance
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Begin no run after so many seconds; what is found then depends on the machine
    #[arg(long, value_name = "SECONDS")]
    time: Option<u32>,
    /// A value for a `${Name}` placeholder of the definition
    #[arg(short, long, value_name = "NAME=VALUE")]
    substitute: Vec<String>,
    /// A file of such values: a map in JSON or YAML, or a SAM template
    #[arg(long, value_name = "FILE")]
    values: Option<PathBuf>,
    /// The type of the state machine
    #[arg(long = "type", value_name = "TYPE", default_value = "STANDARD", ignore_case = true)]
    machine_type: MachineType,
}

const EXAMPLES: &str = "\
Exit codes: 0 nothing found; 1 findings; 2 the definition cannot be used.

Examples:
  stepfn explore order.asl.json
  stepfn explore order.asl.json --level information --runs 20000
  stepfn explore order.asl.json --write tests/found && stepfn test tests/found

Placeholders without a value get a stand-in. The same definition, seed and number of runs give the same report.";

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Human,
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Least {
    Information,
    Warning,
}

/// A report with all that is told of it.
struct Told<'a> {
    arguments: &'a Arguments,
    report: &'a Report,
    /// The paths of the test files, by finding.
    files: Vec<Option<String>>,
    elapsed: Duration,
    notes: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<u8, CliError> {
    let express = arguments.machine_type == MachineType::Express;
    let source = Source {
        express,
        ..Source::read(&arguments.file)?
    };
    let mut substitutions = launch::substitutions(arguments.values.as_deref(), &arguments.substitute)?;
    let stand_ins = stand_in::add(&source, &mut substitutions);
    let stands = |(name, value): (&String, &String)| format!("`${{{name}}}` has no value; `{value}` stands for it");
    let definition = match source.compile(substitutions.clone(), false) {
        Ok(definition) => definition,
        Err((_, findings)) => {
            error::tell(&findings);
            return Err(CliError::usage(format!("`{}` is not a valid definition", source.path)));
        }
    };
    let machine = Machine {
        name: source::machine_name(&arguments.file),
        path: arguments.file.clone(),
        definition: Arc::new(definition),
        express,
    };
    let options = Options {
        runs: usize::try_from(arguments.runs).unwrap_or(usize::MAX),
        seed: arguments.seed,
        level: match arguments.level {
            Least::Information => Level::Information,
            Least::Warning => Level::Warning,
        },
        stand_ins: stand_ins.values().cloned().collect(),
    };
    let begun = Instant::now();
    let limit = arguments.time.map(|seconds| Duration::from_secs(seconds.into()));
    let mut is_cut = false;
    let report = explore(&machine, &options, &mut || {
        is_cut = limit.is_some_and(|limit| limit <= begun.elapsed());
        !is_cut
    });
    let elapsed = begun.elapsed();
    let mut notes: Vec<String> = stand_ins.iter().map(stands).collect();
    if is_cut {
        notes.push("the time was over before all runs were made".to_owned());
    }
    let files = match &arguments.write {
        Some(directory) => write(arguments, directory, &report.findings, &substitutions)?,
        None => vec![None; report.findings.len()],
    };
    let told = Told {
        arguments,
        report: &report,
        files,
        elapsed,
        notes,
    };
    match arguments.format {
        Format::Human => table::print(&print::human(&told))?,
        Format::Json => table::print_json(&print::json(&told))?,
    }
    Ok(if report.findings.is_empty() { 0 } else { FAILED })
}

/// How every file begins that this command writes.
const MARK: &str = "# Found by `stepfn explore`.";

/// Writes a test file for each finding that has one; returns their paths.
fn write(
    arguments: &Arguments,
    directory: &Path,
    findings: &[Finding],
    substitutions: &BTreeMap<String, String>,
) -> Result<Vec<Option<String>>, CliError> {
    let failed =
        |path: &Path, error: std::io::Error| CliError::usage(format!("failed to write `{}`: {error}", path.display()));
    std::fs::create_dir_all(directory).map_err(|error| failed(directory, error))?;
    let definition = relative(directory, &arguments.file)
        .map_err(|error| CliError::usage(format!("failed to find `{}`: {error}", arguments.file.display())))?;
    let mut names: BTreeMap<String, usize> = BTreeMap::new();
    let mut paths = Vec::new();
    for finding in findings {
        let Some(reproduction) = &finding.reproduction else {
            paths.push(None);
            continue;
        };
        let name = format!(
            "{}.{}.{}",
            source::machine_name(&arguments.file),
            finding.kind.name(),
            slug(&finding.state)
        );
        let express = arguments.machine_type == MachineType::Express;
        let text = reproduction.text(&definition, substitutions, express);
        let path = loop {
            let n = names.entry(name.clone()).or_default();
            *n += 1;
            let numbered = if *n == 1 { name.clone() } else { format!("{name}-{n}") };
            let path = directory.join(format!("{numbered}.test.yaml"));
            match std::fs::read_to_string(&path) {
                Ok(old) if !old.starts_with(MARK) => {
                    return Err(
                        CliError::usage(format!("`{}` was not written by this command", path.display()))
                            .hint("give --write a directory of its own"),
                    );
                }
                // A definition of the same name in another directory.
                Ok(old) if old.lines().nth(1) != text.lines().nth(1) => {}
                _ => break path,
            }
        };
        std::fs::write(&path, text).map_err(|error| failed(&path, error))?;
        paths.push(Some(path.display().to_string()));
    }
    Ok(paths)
}

/// Returns a name that every file system takes.
fn slug(name: &str) -> String {
    let slug: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .take(60)
        .collect();
    slug.trim_matches('-').to_owned()
}

/// Returns the way from a directory to a file.
fn relative(directory: &Path, file: &Path) -> std::io::Result<String> {
    let (from, to) = (directory.canonicalize()?, file.canonicalize()?);
    let mut from: Vec<Component<'_>> = from.components().collect();
    let mut to: Vec<Component<'_>> = to.components().collect();
    let n_same = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    from.drain(..n_same);
    to.drain(..n_same);
    let mut way: PathBuf = from.iter().map(|_| Component::ParentDir).collect();
    way.extend(to);
    Ok(way.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definition_is_named_from_the_directory_of_the_tests() {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        for (directory, file, expected) in [
            ("cli", "lib.rs", "../lib.rs"),
            ("cli", "model/id.rs", "../model/id.rs"),
            ("", "lib.rs", "lib.rs"),
        ] {
            assert_eq!(relative(&source.join(directory), &source.join(file)).unwrap(), expected);
        }
    }

    #[test]
    fn a_file_is_named_after_the_state() {
        assert_eq!(slug("Is it paid?"), "Is-it-paid");
    }
}
