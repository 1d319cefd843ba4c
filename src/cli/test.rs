//! `stepfn test`.

mod find;
mod html;
mod interest;
mod reads;
mod report;
mod watch;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use regex::Regex;

use crate::cli::error;
use crate::cli::error::CliError;
use crate::cli::error::FAILED;
use crate::cli::source;
use crate::cli::table;
use crate::cli::test::find::Broken;
use crate::cli::test::find::Found;
use crate::cli::test::find::Suite;
use crate::cli::test::reads::Reads;
use crate::sim::check::print_history;
use crate::suite::check::check;
use crate::suite::coverage::Coverage;
use crate::suite::coverage::Taken;
use crate::suite::file::Case;
use crate::suite::names::strangers;
use crate::suite::run;
use crate::suite::run::Ran;

/// Test state machines with mocks, on virtual time
///
/// A test file `NAME.test.yaml` (or `.json`) stands beside the definition `NAME.asl.json` (or `.yaml`) and lists
/// cases: input, mocks, what is expected. A `MockConfigFile.json` of Step Functions Local runs as it is. Nothing is done
/// for real, and a year of waiting takes no time.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Test files, or directories to look for them in
    #[arg(required_unless_present = "schema", value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Run only the cases whose `FILE: CASE` matches this regular expression
    #[arg(long, value_name = "REGEX")]
    filter: Option<String>,
    /// Write the histories that cases name, instead of comparing them
    #[arg(long)]
    update: bool,
    /// The seed of cases that name none
    #[arg(long)]
    seed: Option<u64>,
    /// Print how much of each definition was run, and what was not
    #[arg(long)]
    coverage: bool,
    /// Fail when fewer than so many percent of the transitions of a definition were run
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    fail_under: Option<u8>,
    /// Write the failed cases as SARIF 2.1.0, for code scanning
    #[arg(long, value_name = "FILE")]
    sarif: Option<PathBuf>,
    /// Write a report in JUnit's form
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Write the coverage in LCOV's form
    #[arg(long, value_name = "FILE")]
    lcov: Option<PathBuf>,
    /// Write the coverage as one HTML page: graphs, counts, and the lines that were run
    #[arg(long, value_name = "FILE")]
    coverage_html: Option<PathBuf>,
    /// Run again whenever a file changes that the tests ask for, until Ctrl-C
    #[arg(long, conflicts_with_all = ["json", "schema", "update"])]
    watch: bool,
    /// Print the JSON Schema of test files, for editors, and do nothing else
    #[arg(long)]
    schema: bool,
    /// Print an annotation for each failed case, as GitHub Actions reads them from the log
    #[arg(long, conflicts_with = "json")]
    github: bool,
    /// Print the results as JSON
    #[arg(long)]
    json: bool,
    /// Print failures only
    #[arg(long, short)]
    quiet: bool,
}

/// What editors check test files with; a test holds it together with the reader.
const SCHEMA: &str = include_str!("../../schema/stepfn-test.schema.json");

/// The result of one case.
#[derive(Debug)]
struct Outcome<'a> {
    suite: &'a Suite,
    case: &'a Case,
    ran: Ran,
    failures: Vec<String>,
}

impl Outcome<'_> {
    fn is_failure(&self) -> bool {
        !self.failures.is_empty()
    }
}

/// What all cases gave.
#[derive(Debug)]
struct Results<'a> {
    outcomes: Vec<Outcome<'a>>,
    broken: &'a [Broken],
    fresh: Option<&'a BTreeSet<PathBuf>>,
    coverages: Coverages<'a>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<u8, CliError> {
    if arguments.schema {
        table::print(SCHEMA)?;
        return Ok(0);
    }
    let filter = match &arguments.filter {
        Some(filter) => Some(
            Regex::new(filter)
                .map_err(|error| CliError::usage(format!("`{filter}` is not a regular expression: {error}")))?,
        ),
        None => None,
    };
    if arguments.watch {
        return watch::run(arguments, filter.as_ref());
    }
    let found = find::all(&arguments.paths, &mut Reads::default());
    run_found(arguments, filter.as_ref(), &found, None)
}

/// Runs the cases that were found, writes the reports and returns the exit code. Of other files than the `fresh` ones
/// people are told failures only.
fn run_found(
    arguments: &Arguments,
    filter: Option<&Regex>,
    found: &Found,
    fresh: Option<&BTreeSet<PathBuf>>,
) -> Result<u8, CliError> {
    found.broken.iter().for_each(|broken| error::tell(&broken.fault.told));
    let chosen: Vec<(&Suite, usize)> = found
        .suites
        .iter()
        .flat_map(|suite| (0..suite.cases.len()).map(move |case| (suite, case)))
        .filter(|(suite, case)| {
            let name = format!("{}: {}", suite.path.display(), suite.cases[*case].case.name);
            filter.is_none_or(|filter| filter.is_match(&name))
        })
        .collect();
    if chosen.is_empty() && found.broken.is_empty() {
        let n_cases: usize = found.suites.iter().map(|suite| suite.cases.len()).sum();
        return Err(match filter {
            Some(filter) if n_cases != 0 => {
                let error = CliError::usage(format!("`{}` matches none of {n_cases} cases", filter.as_str()));
                error.hint("it is compared with `FILE: CASE`, as the results show it")
            }
            _ => CliError::usage("there is no case to run").hint(
                "a test file is called NAME.test.yaml or NAME.test.json and stands beside NAME.asl.json; \
                 docs/test.md shows one, and `stepfn test --schema` prints what it may hold",
            ),
        });
    }
    let outcomes = run_all(arguments, &chosen);
    let results = Results {
        coverages: coverages(&outcomes),
        outcomes,
        broken: &found.broken,
        fresh,
    };
    let text = match arguments.json {
        true => report::json(&results),
        false => report::human(arguments, &results),
    };
    table::print(&text)?;
    if arguments.github {
        table::print(&report::github(&results))?;
    }
    let files = [
        (&arguments.sarif, report::sarif::log as fn(&Results<'_>) -> String),
        (&arguments.junit, report::junit),
        (&arguments.lcov, report::lcov),
    ];
    for (path, report) in files {
        if let Some(path) = path {
            write(path, &report(&results))?;
        }
    }
    if let Some(path) = &arguments.coverage_html {
        write(path, &html::page(&results.coverages)?)?;
    }
    let mut has_failed = results.outcomes.iter().any(Outcome::is_failure);
    if let Some(percent) = arguments.fail_under {
        for (suite, coverage) in results.coverages.values() {
            let machine = &suite.machine;
            let (covered, all) = coverage.transitions();
            if covered * 100 < all * usize::from(percent) {
                has_failed = true;
                error::tell(&format!(
                    "error: {covered} of {all} transitions of `{}` were run, fewer than {percent} %\n",
                    machine.path.display()
                ));
                if !arguments.coverage {
                    error::tell("hint: --coverage names what was not run\n");
                }
            }
        }
    }
    Ok(match (found.broken.is_empty(), has_failed) {
        (false, _) => error::USAGE,
        (true, true) => FAILED,
        (true, false) => 0,
    })
}

fn write(path: &Path, text: &str) -> Result<(), CliError> {
    std::fs::write(path, text)
        .map_err(|error| CliError::usage(format!("failed to write `{}`: {error}", path.display())))
}

/// Runs the cases on all cores; the outcomes come in the order of the cases.
fn run_all<'a>(arguments: &Arguments, chosen: &[(&'a Suite, usize)]) -> Vec<Outcome<'a>> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(chosen.len()));
    let n_threads = std::thread::available_parallelism()
        .map_or(1, NonZeroUsize::get)
        .min(chosen.len());
    std::thread::scope(|scope| {
        for _ in 0..n_threads {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    let Some((suite, case)) = chosen.get(n) else { break };
                    let outcome = run_one(arguments, suite, *case);
                    done.lock().unwrap_or_else(PoisonError::into_inner).push((n, outcome));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(n, _)| *n);
    done.into_iter().map(|(_, outcome)| outcome).collect()
}

fn run_one<'a>(arguments: &Arguments, suite: &'a Suite, number: usize) -> Outcome<'a> {
    let find::Planned { case, config, any_end } = &suite.cases[number];
    let ran = run::run(&suite.machine, case, config.clone(), arguments.seed);
    let mut failures = strangers(&suite.machine.definition, &case.expected);
    failures.extend(match any_end {
        false => check(&case.expected, &ran),
        true => find::holes(&ran),
    });
    if let Some(name) = &case.expected.history {
        let path = suite.path.with_file_name(name);
        failures.extend(compare_history(arguments, &path, &print_history(&ran.history)));
    }
    Outcome {
        suite,
        case,
        ran,
        failures,
    }
}

fn compare_history(arguments: &Arguments, path: &Path, found: &str) -> Option<String> {
    let shown = path.display();
    if arguments.update {
        return std::fs::write(path, found)
            .err()
            .map(|error| format!("The history cannot be written to `{shown}`: {error}."));
    }
    let Ok(kept) = source::read_text(path) else {
        return Some(format!("There is no history `{shown}` yet; --update writes it."));
    };
    let mut lines = kept.lines();
    let mut number = 0;
    for line in found.lines() {
        number += 1;
        match lines.next() {
            Some(kept) if kept == line => {}
            kept => {
                let kept = kept.unwrap_or("no more");
                return Some(format!(
                    "Line {number} of `{shown}` is `{kept}`, but now it is `{line}`."
                ));
            }
        }
    }
    let kept = lines.next()?;
    Some(format!(
        "Line {} of `{shown}` is `{kept}`, but now there is no more.",
        number + 1
    ))
}

/// The coverage of each definition, by its path.
type Coverages<'a> = BTreeMap<&'a Path, (&'a Suite, Coverage)>;

fn coverages<'a>(outcomes: &[Outcome<'a>]) -> Coverages<'a> {
    let mut taken: BTreeMap<&Path, (&Suite, Taken)> = BTreeMap::new();
    for outcome in outcomes {
        let suite = outcome.suite;
        let entry = taken
            .entry(&suite.machine.path)
            .or_insert_with(|| (suite, Taken::default()));
        entry.1.add(&outcome.ran.taken);
    }
    taken
        .into_iter()
        .map(|(path, (suite, taken))| (path, (suite, Coverage::of(&suite.machine.definition, &taken))))
        .collect()
}
