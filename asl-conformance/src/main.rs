//! Runs conformance cases: `asl-conformance [--filter REGEX] [--floor N] [--full] [--replay] [--server memory|sqlite] [-v] DIR…`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use asl_conformance::report;
use asl_conformance::runner::Options;
use asl_conformance::server::Server;
use regex::Regex;

const USAGE: &str =
    "usage: asl-conformance [--filter REGEX] [--floor N] [--full] [--replay] [--server memory|sqlite] [-v] DIR…";

struct Arguments {
    dirs: Vec<PathBuf>,
    options: Options,
    floor: usize,
    verbose: bool,
}

fn main() -> ExitCode {
    let arguments = match parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(problem) => {
            eprintln!("asl-conformance: {problem}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let report = report::run_dirs(&arguments.dirs, &arguments.options);
    let mut text = String::new();
    if arguments.verbose {
        for name in &report.passed {
            text.push_str(&format!("PASS {name}\n"));
        }
        for (reason, n) in &report.skipped {
            text.push_str(&format!("SKIP {n} cases: {reason}\n"));
        }
    }
    text.push_str(&report.to_string());
    #[expect(clippy::print_stdout, reason = "this is the program's result")]
    {
        println!("{text}");
    }
    if report.passed.len() < arguments.floor {
        eprintln!("asl-conformance: fewer than {} cases passed", arguments.floor);
        return ExitCode::FAILURE;
    }
    if report.failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn parse(arguments: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let mut parsed = Arguments {
        dirs: Vec::new(),
        options: Options::default(),
        floor: 0,
        verbose: false,
    };
    let mut arguments = arguments;
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--filter" => {
                let pattern = arguments.next().ok_or("--filter needs a regular expression")?;
                let regex = Regex::new(&pattern).map_err(|error| format!("--filter: {error}"))?;
                parsed.options.filter = Some(regex);
            }
            "--floor" => {
                let number = arguments.next().ok_or("--floor needs a number")?;
                parsed.floor = number
                    .parse()
                    .map_err(|_| format!("--floor: `{number}` is not a number"))?;
            }
            "--full" => parsed.options.full = true,
            "--replay" => parsed.options.replay = true,
            "--server" => {
                let directory = match arguments.next().as_deref() {
                    Some("memory") => None,
                    Some("sqlite") => {
                        Some(std::env::temp_dir().join(format!("asl-conformance-{}", std::process::id())))
                    }
                    _ => return Err("--server needs `memory` or `sqlite`".to_owned()),
                };
                parsed.options.server = Some(Arc::new(Server::start(directory.as_deref())?));
            }
            "-v" | "--verbose" => parsed.verbose = true,
            option if option.starts_with('-') => return Err(format!("`{option}` is not an option")),
            dir => {
                if !std::path::Path::new(dir).exists() {
                    return Err(format!("`{dir}` does not exist"));
                }
                parsed.dirs.push(dir.into());
            }
        }
    }
    if parsed.dirs.is_empty() {
        return Err("name at least one directory".to_owned());
    }
    Ok(parsed)
}
