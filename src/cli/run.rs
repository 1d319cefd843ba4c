//! `stepfn run`.

use std::io::ErrorKind;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::Signal;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;
use tokio::sync::mpsc;

use crate::asl::definition::Definition;
use crate::audit::chain;
use crate::cli::configuration;
use crate::cli::error;
use crate::cli::error::CliError;
use crate::cli::error::printable;
use crate::cli::history::HistoryFile;
use crate::cli::launch::Launch;
use crate::cli::source::Source;
use crate::cli::undo;
use crate::cli::view::View;
use crate::engine::run::Engine;
use crate::engine::run::Interrupt;
use crate::engine::run::Options;
use crate::kernel::event::Start;
use crate::kernel::event::Status;
use crate::model::execution_record::MachineType;
use crate::model::payload::Payload;
use crate::model::states_error::StatesError;
use crate::suite::rfc9535::Query;
use crate::worker::nursery::Nursery;

/// How long the execution may take to hear that it is to stop: one that never waits does not listen.
const HEARING_TIME_MAX: Duration = Duration::from_secs(2);

/// Run one execution of a definition and print its output
///
/// The output goes to stdout, progress to stderr. A Task is done by, in this order: the mock of its state
/// (--mock), the command or Lambda handler that its resource is bound to (--map), or this program itself
/// (arn:aws:states:::debian:shell.run). Any other resource fails.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    launch: Launch,
    /// An RFC 9535 JSONPath: print this part of the output
    #[arg(short, long, value_name = "JSONPATH")]
    query: Option<String>,
    /// Write the history to this file, as GetExecutionHistory shows it
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
    /// How waits and retry pauses pass: in real time, or at once
    #[arg(long, value_enum, default_value_t = Time::Real)]
    time: Time,
    /// Do not record in the audit log what the tasks do on this machine
    #[arg(long)]
    no_audit: bool,
    /// Print no progress
    #[arg(long)]
    quiet: bool,
}

const EXAMPLES: &str = "\
Examples:
  stepfn run order.asl.json --input '{\"id\": 7}'
  stepfn run order.asl.json --input @order.json --map local.toml --query '$.total'
  stepfn run order.asl.json --mock mocks.json#HappyPath --time skip --history history.json

A mapping file binds ARNs, or patterns of them, to commands. A command reads the task's input as JSON on stdin and \
writes the output as JSON to stdout. When it fails, its stdout may be {\"errorType\": …, \"errorMessage\": …}; else \
its stderr is the cause. What it writes to stderr also counts as a heartbeat.

  [[mapping]]
  resource = \"arn:aws:lambda:*:*:function:Resize*\"
  command = [\"python3\", \"resize.py\"]  # runs in the directory of the mapping file
  cwd = \".\"                           # or elsewhere
  env = { STAGE = \"dev\" }             # added to PATH, HOME, USER, LANG
  error = \"Resize.Failed\"             # of a failure that names no error itself

It also says where Lambda functions are: a handler that runs as a process, or an endpoint.

  [lambda.reserve]                     # the function's name or ARN
  runtime = \"python3.12\"              # or nodejs22.x, provided
  handler = \"app.reserve\"
  interpreter = \"venv/bin/python\"     # one that has the package awslambdaric
  timeout = 10                         # seconds; also memory, environment, code, concurrency, idle

Resources such as arn:aws:states:::debian:shell.run are actions of this program: `stepfn actions` lists them, `stepfn \
plan` tells what they would change.

Every process that a task starts ends with the task.";

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Time {
    Real,
    Skip,
}

pub(crate) fn run(arguments: &Arguments) -> Result<u8, CliError> {
    let query = match &arguments.query {
        Some(query) => Some(
            Query::parse(query)
                .map_err(|error| CliError::usage(format!("`{query}` is not an RFC 9535 JSONPath: {error}")))?,
        ),
        None => None,
    };
    let (source, definition) = arguments.launch.compile()?;
    let configuration = arguments.launch.configuration.load()?;
    let actions = configuration::actions(&configuration);
    let rollback = configuration.rollback_on_failure;
    let audit = match arguments.no_audit {
        true => None,
        false => configuration::recorder(&configuration.audit)?,
    };
    let mut site = arguments.launch.site(&definition, configuration, actions)?;
    site.audit = audit.clone();
    let site = Arc::new(site);
    let options = Options {
        skip_time: arguments.time == Time::Skip,
        started_by: Some(Arc::new(configuration::myself())),
        definition_hash: Some(definition_hash(&source)),
        site: Arc::clone(&site),
        mocks: arguments.launch.mocks(&definition)?,
    };
    let start = arguments.launch.start()?;
    let history = match &arguments.history {
        Some(path) => {
            refuse_overwriting(arguments, path)?;
            Some(HistoryFile::create(path).map_err(|error| CliError::usage(history_error(path, &error)))?)
        }
        None => None,
    };

    let mut view = View::new(&definition, arguments.quiet, history);
    let outcome = drive(&definition, options, start, &mut view);
    view.close();
    let kept = match (view.history.take(), &arguments.history) {
        (Some(history), Some(path)) => history.finish().map_err(|error| history_error(path, &error)),
        _ => Ok(()),
    };
    let (status, signal) = outcome?;
    let code = match status {
        Status::Succeeded(output) if signal.is_none() => print_output(&output, query.as_ref())?,
        status => {
            let code = print_failure(&status, signal, &source, &definition, &view);
            undo::after_failure(&site, rollback)?;
            code
        }
    };
    if let Some(audit) = &audit {
        audit.close();
        if let Some(trouble) = audit.trouble() {
            error::tell(&format!(
                "{} what ran is not recorded: {trouble}\n",
                error::paint("1;33", "warning:")
            ));
        }
    }
    // What the execution did is worth more than its history, so it has been told first.
    match kept.map_err(CliError::internal) {
        Err(error) if code == 0 => Err(error),
        Err(error) => {
            error.print();
            Ok(code)
        }
        Ok(()) => Ok(code),
    }
}

/// Returns the hash that a server gives the definition, too.
fn definition_hash(source: &Source) -> Arc<str> {
    let kind = if source.express {
        MachineType::Express
    } else {
        MachineType::Standard
    };
    let hash = chain::digest(&[kind.as_str().as_bytes(), source.text.as_bytes()]);
    hash.as_str().into()
}

/// Refuses a history file that is one of the files that this run reads.
fn refuse_overwriting(arguments: &Arguments, history: &Path) -> Result<(), CliError> {
    let identity = |path: &Path| {
        let metadata = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
        Some((metadata.dev(), metadata.ino()))
    };
    let Some(written) = identity(history) else {
        return Ok(());
    };
    let configuration_file = arguments.launch.configuration.file();
    let mock = arguments.launch.mock.as_deref().and_then(|mock| mock.rsplit_once('#'));
    let read = [
        ("definition", Some(arguments.launch.file.as_path())),
        ("input", arguments.launch.input.strip_prefix('@').map(Path::new)),
        ("file of values", arguments.launch.values.as_deref()),
        ("mapping file", arguments.launch.configuration.map.as_deref()),
        ("configuration", configuration_file.as_deref()),
        ("mock file", mock.map(|(path, _)| Path::new(path))),
    ];
    for (what, path) in read {
        if path.and_then(identity) == Some(written) {
            return Err(CliError::usage(format!(
                "the history would overwrite the {what} `{}`",
                history.display()
            )));
        }
    }
    Ok(())
}

/// Runs the execution: without a runtime as long as it need not wait.
fn drive(
    definition: &Arc<Definition>,
    options: Options,
    start: Start,
    view: &mut View,
) -> Result<(Status, Option<i32>), CliError> {
    let internal = |error: &dyn std::fmt::Display| CliError::internal(format!("the execution broke off: {error}"));
    let nursery = Arc::clone(&options.site.nursery);
    let mut engine = Engine::new(Arc::clone(definition), options, view);
    if let Some(status) = engine.start(start).map_err(|error| internal(&error))? {
        return Ok((status, None));
    }
    let finished = crate::engine::run::block_on(async {
        let (sender, receiver) = mpsc::channel(1);
        listen(sender, nursery)?;
        engine.finish(receiver).await.map_err(std::io::Error::other)
    });
    let outcome = finished
        .and_then(|finished| finished)
        .map_err(|error| internal(&error))?;
    Ok((outcome.status, outcome.interrupted))
}

/// Turns signals into interrupts, on a thread of their own: a machine that never waits must be stoppable. The
/// second signal ends this process at once; so does the first one when nobody hears it.
fn listen(sender: mpsc::Sender<Interrupt>, nursery: Arc<Nursery>) -> std::io::Result<()> {
    let (ready, is_ready) = std::sync::mpsc::channel();
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        let heard: std::io::Result<std::io::Result<()>> = crate::engine::run::block_on(async {
            let mut interrupts = signal(SignalKind::interrupt())?;
            let mut terminations = signal(SignalKind::terminate())?;
            let mut hangups = match ignores_hangup() {
                true => None,
                false => Some(signal(SignalKind::hangup())?),
            };
            let _ = ready.send(Ok(()));
            let mut first = None;
            loop {
                let is_unheard = first.is_some() && sender.capacity() == 0;
                let (kind, name) = tokio::select! {
                    _ = interrupts.recv() => (SignalKind::interrupt(), "SIGINT"),
                    _ = terminations.recv() => (SignalKind::terminate(), "SIGTERM"),
                    _ = hear(&mut hangups) => (SignalKind::hangup(), "SIGHUP"),
                    () = tokio::time::sleep(HEARING_TIME_MAX), if is_unheard => match first {
                        Some(first) if sender.capacity() == 0 => {
                            error::tell("error: the execution did not stop in time and was broken off\n");
                            break_off(&nursery, first)
                        }
                        _ => continue,
                    },
                };
                if first.is_some() {
                    break_off(&nursery, kind);
                }
                first = Some(kind);
                let error = StatesError::new("Debian.Interrupted", format!("stepfn received {name}."));
                let signal = kind.as_raw_value();
                // There is room for the one interrupt that is ever sent.
                let _ = sender.try_send(Interrupt { signal, error });
            }
        });
        if let Err(error) | Ok(Err(error)) = heard {
            let _ = ready.send(Err(error));
        }
    })?;
    is_ready
        .recv()
        .unwrap_or_else(|_| Err(std::io::Error::other("the signal thread ended")))
}

/// Kills all tasks and ends this process.
fn break_off(nursery: &Nursery, signal: SignalKind) -> ! {
    nursery.kill_all();
    std::process::exit(signal.as_raw_value().saturating_add(128))
}

async fn hear(signals: &mut Option<Signal>) {
    match signals {
        Some(signals) => {
            signals.recv().await;
        }
        None => std::future::pending().await,
    }
}

/// Tells whether this process was started under `nohup`.
fn ignores_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = ignored
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0);
    mask & 1 == 1
}

fn history_error(path: &Path, error: &std::io::Error) -> String {
    format!("failed to write the history to `{}`: {error}", path.display())
}

fn print_output(output: &Payload, query: Option<&Query>) -> Result<u8, CliError> {
    let text = match query {
        Some(query) => {
            let found = query.apply(output.value());
            found
                .map_err(|error| CliError::usage(format!("the query failed: {error}")))?
                .to_string()
        }
        None => output.text().to_owned(),
    };
    let mut stdout = std::io::stdout().lock();
    let written = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.write_all(b"\n"))
        .and_then(|()| stdout.flush());
    match written {
        Ok(()) => Ok(0),
        // Whoever read the output has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(0),
        Err(error) => Err(CliError::internal(format!("failed to write to stdout: {error}"))),
    }
}

fn print_failure(status: &Status, signal: Option<i32>, source: &Source, definition: &Definition, view: &View) -> u8 {
    let none = StatesError::default();
    let (what, error) = match status {
        Status::Failed(error) => ("failed", error),
        Status::TimedOut(error) => ("timed out", error),
        Status::Aborted(error) => ("was stopped", error),
        Status::New | Status::Running | Status::Succeeded(_) => ("was stopped", &none),
    };
    let mut text = format!("{} the execution {what}", error::paint("1;31", "error:"));
    if let Some(name) = &error.name {
        text += &format!(": {}", printable(name));
    }
    text.push('\n');
    if let Some(cause) = &error.cause {
        text += &format!("cause: {}\n", printable(cause));
    }
    let failed_in = view.places.failed_in.as_ref();
    if let Some(state) = failed_in.and_then(|name| definition.states.iter().find(|state| state.name == *name)) {
        let (line, column) = (state.span.line, state.span.column);
        text += &format!(
            "state: `{}` at {}:{line}:{column}\n",
            printable(&state.name),
            source.path
        );
    }
    error::tell(&text);
    match signal.map(|signal| u8::try_from(signal.saturating_add(128))) {
        Some(Ok(code)) => code,
        _ => error::FAILED,
    }
}
