//! The command line: one file per command.
//!
//! May import: everything. Invariants: data goes to stdout, everything else to stderr; a closed stdout is no
//! panic. To add a command: a file with its arguments and `run`, and a row in `Command`.

mod actions;
mod advice;
mod audit;
mod can;
mod client;
mod config;
mod configuration;
mod diff;
mod discover;
mod doctor;
mod error;
mod excerpt;
mod explain;
mod explore;
mod graph;
mod history;
mod issuer;
mod keys;
mod launch;
mod listen;
mod logging;
mod logs;
mod places;
mod plan;
mod ps;
mod redrive;
mod replace;
mod report;
mod run;
mod secret;
mod serve;
mod show;
mod source;
mod spawnd;
mod spawning;
mod start;
mod stop;
mod store;
mod table;
mod test;
mod tree;
mod undo;
mod validate;
mod view;

use std::process::ExitCode;

use clap::Parser;
use clap::Subcommand;

/// Runs Amazon States Language definitions on this machine
#[derive(Debug, Parser)]
#[command(name = "stepfn", version, long_about = LONG_ABOUT, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const LONG_ABOUT: &str = "\
Runs Amazon States Language definitions on this machine, as AWS Step Functions would.

Exit codes: 0 done; 1 the execution failed, or a definition has errors; 2 wrong use or an invalid definition; \
3 an internal error; 130 interrupted with Ctrl-C.";

#[derive(Debug, Subcommand)]
enum Command {
    Actions(actions::Arguments),
    Audit(audit::Arguments),
    Can(can::Arguments),
    #[command(subcommand)]
    Config(config::Command),
    Diff(diff::Arguments),
    Doctor(doctor::Arguments),
    Explore(explore::Arguments),
    Graph(graph::Arguments),
    Explain(explain::Arguments),
    Keys(Box<keys::Arguments>),
    Issuer(issuer::Arguments),
    Logs(logs::Arguments),
    Plan(Box<plan::Arguments>),
    Ps(ps::Arguments),
    Redrive(redrive::Arguments),
    Run(Box<run::Arguments>),
    #[command(subcommand)]
    Secret(secret::Command),
    Serve(Box<serve::Arguments>),
    Show(show::Arguments),
    #[command(hide = true)]
    Spawnd(spawnd::Arguments),
    Start(start::Arguments),
    Stop(stop::Arguments),
    Store(store::Arguments),
    Test(test::Arguments),
    Undo(undo::Arguments),
    Validate(validate::Arguments),
}

/// Runs the command line.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Nobody is left to tell when this fails.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    keep_memory_to_itself();
    let result = std::panic::catch_unwind(|| match arguments.command {
        Command::Actions(arguments) => actions::run(&arguments),
        Command::Audit(arguments) => audit::run(&arguments),
        Command::Can(arguments) => can::run(&arguments),
        Command::Config(command) => config::run(&command),
        Command::Diff(arguments) => diff::run(&arguments),
        Command::Doctor(arguments) => doctor::run(&arguments),
        Command::Explore(arguments) => explore::run(&arguments),
        Command::Graph(arguments) => graph::run(&arguments),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Keys(arguments) => keys::run(&arguments),
        Command::Issuer(arguments) => issuer::run(&arguments),
        Command::Logs(arguments) => logs::run(&arguments),
        Command::Plan(arguments) => plan::run(&arguments),
        Command::Ps(arguments) => ps::run(&arguments),
        Command::Redrive(arguments) => redrive::run(&arguments),
        Command::Run(arguments) => run::run(&arguments),
        Command::Secret(command) => secret::run(&command),
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Show(arguments) => show::run(&arguments),
        Command::Spawnd(arguments) => spawnd::run(arguments),
        Command::Start(arguments) => start::run(&arguments),
        Command::Stop(arguments) => stop::run(&arguments),
        Command::Store(arguments) => store::run(&arguments),
        Command::Test(arguments) => test::run(&arguments),
        Command::Undo(arguments) => undo::run(&arguments),
        Command::Validate(arguments) => validate::run(&arguments),
    });
    // The panic has been told on stderr.
    let result = result.unwrap_or(Ok(error::INTERNAL));
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            error.print();
            ExitCode::from(error.code)
        }
    }
}

/// Has the kernel write no core file when this process crashes: it may hold secrets.
fn keep_memory_to_itself() {
    // A byte is too little for any core, and where cores go to a program it stands for none; 0 does not.
    let before = rustix::process::getrlimit(rustix::process::Resource::Core).maximum;
    let n_bytes = before.map_or(1, |maximum| maximum.min(1));
    let none = rustix::process::Rlimit {
        current: Some(n_bytes),
        maximum: Some(n_bytes),
    };
    // It can always be lowered.
    let _ = rustix::process::setrlimit(rustix::process::Resource::Core, none);
}
