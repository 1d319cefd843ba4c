//! `stepfn run`.

use std::collections::BTreeMap;
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
use crate::asl::definition::StateKind;
use crate::asl::substitution_file::substitutions_from;
use crate::cli::error;
use crate::cli::error::CliError;
use crate::cli::error::printable;
use crate::cli::history::HistoryFile;
use crate::cli::query::Query;
use crate::cli::source;
use crate::cli::source::Source;
use crate::cli::view::View;
use crate::engine::run::Engine;
use crate::engine::run::Interrupt;
use crate::engine::run::Options;
use crate::kernel::event::Start;
use crate::kernel::event::Status;
use crate::model::arn::is_name;
use crate::model::entropy::Entropy;
use crate::model::id::BlockId;
use crate::model::payload::Payload;
use crate::model::quota::PAYLOAD_BYTES_MAX;
use crate::model::quota::Quotas;
use crate::model::states_error::StatesError;
use crate::model::token::TokenKey;
use crate::sim::mock_config::MockConfig;
use crate::sim::mock_config::MockConfigError;
use crate::sim::mock_config::MockTasks;
use crate::worker::Site;
use crate::worker::mapping::Mappings;
use crate::worker::nursery::Nursery;

/// The region and the account of local names.
const REGION: &str = "us-east-1";
const ACCOUNT: &str = "123456789012";
/// How long the execution may take to hear that it is to stop: one that never waits does not listen.
const HEARING_TIME_MAX: Duration = Duration::from_secs(2);

/// Run one execution of a definition and print its output
///
/// The output goes to stdout, progress to stderr. A Task is done by, in this order: the mock of its state
/// (--mock), the command that its resource is bound to (--map), or this program itself
/// (arn:aws:states:::debian:shell.run). Any other resource fails.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The definition: JSON, or YAML by the extension `.yaml` or `.yml`
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The execution's input: JSON, `@FILE`, or `-` for stdin
    #[arg(short, long, value_name = "JSON", default_value = "{}", allow_hyphen_values = true)]
    input: String,
    /// A value for a `${Name}` placeholder of the definition
    #[arg(short, long, value_name = "NAME=VALUE")]
    substitute: Vec<String>,
    /// A file of such values: a map in JSON or YAML, or a SAM template
    #[arg(long, value_name = "FILE")]
    values: Option<PathBuf>,
    /// The execution's name [default: a random UUID]
    #[arg(long)]
    name: Option<String>,
    /// An RFC 9535 JSONPath: print this part of the output
    #[arg(short, long, value_name = "JSONPATH")]
    query: Option<String>,
    /// Write the history to this file, as GetExecutionHistory shows it
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
    /// How waits and retry pauses pass: in real time, or at once
    #[arg(long, value_enum, default_value_t = Time::Real)]
    time: Time,
    /// The seed of all chance: with it, UUIDs and random numbers repeat
    #[arg(long, allow_negative_numbers = true)]
    seed: Option<u64>,
    /// Bind resources to local commands (TOML)
    #[arg(long, value_name = "FILE")]
    map: Option<PathBuf>,
    /// Answer tasks from a test case of a mock configuration file
    #[arg(long, value_name = "FILE#TESTCASE")]
    mock: Option<String>,
    /// Lift AWS's quotas (payload size, number of events)
    #[arg(long)]
    no_quotas: bool,
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
  env = { STAGE = \"dev\" }             # added to PATH, HOME and LANG
  error = \"Resize.Failed\"             # of a failure that names no error itself

arn:aws:states:::debian:shell.run, in AWS's form arn:aws:states:REGION:ACCOUNT:activity:debian-shell-run, has the \
parameters Command (a list) or Script (for /bin/sh -e), Stdin, Env and Cwd. Its result is ExitCode, Stdout (parsed \
when it is JSON) and Stderr. Its errors are Shell.NonZeroExit (the cause is the result as JSON), Shell.Killed, \
Shell.StartFailed and Shell.InvalidParameters.

Every process that a task starts ends with the task.";

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Time {
    Real,
    Skip,
}

pub(crate) fn run(arguments: &Arguments) -> Result<u8, CliError> {
    let quotas = if arguments.no_quotas { Quotas::Off } else { Quotas::Aws };
    let query = match &arguments.query {
        Some(query) => Some(
            Query::parse(query)
                .map_err(|error| CliError::usage(format!("`{query}` is not an RFC 9535 JSONPath: {error}")))?,
        ),
        None => None,
    };
    let source = Source::read(&arguments.file)?;
    let definition = match source.compile(substitutions(arguments)?, false) {
        Ok(definition) => Arc::new(definition),
        Err((_, findings)) => {
            error::tell(&findings);
            return Err(CliError::usage(format!("`{}` is not a valid definition", source.path)));
        }
    };
    let options = Options {
        skip_time: arguments.time == Time::Skip,
        site: Arc::new(Site {
            mappings: mappings(arguments)?,
            actions: crate::worker::action::ActionSite::default(),
            nursery: Arc::new(Nursery::default()),
            region: Arc::from(REGION),
            account: Arc::from(ACCOUNT),
            has_callbacks: false,
            sfn: std::sync::OnceLock::new(),
            lambda_endpoint: None,
        }),
        mocks: mocks(arguments, &definition)?,
    };
    let start = start(arguments, quotas)?;
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
        status => print_failure(&status, signal, &source, &definition, &view),
    };
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

/// Refuses a history file that is one of the files that this run reads.
fn refuse_overwriting(arguments: &Arguments, history: &Path) -> Result<(), CliError> {
    let identity = |path: &Path| {
        let metadata = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
        Some((metadata.dev(), metadata.ino()))
    };
    let Some(written) = identity(history) else {
        return Ok(());
    };
    let mock = arguments.mock.as_deref().and_then(|mock| mock.rsplit_once('#'));
    let read = [
        ("definition", Some(arguments.file.as_path())),
        ("input", arguments.input.strip_prefix('@').map(Path::new)),
        ("file of values", arguments.values.as_deref()),
        ("mapping file", arguments.map.as_deref()),
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

fn start(arguments: &Arguments, quotas: Quotas) -> Result<Start, CliError> {
    let input = input(&arguments.input, quotas)?;
    let seed = arguments.seed.unwrap_or_else(fresh_seed);
    let name = match &arguments.name {
        Some(name) if is_name(name) => name.clone(),
        Some(name) => {
            return Err(
                CliError::usage(format!("`{}` cannot name an execution", printable(name)))
                    .hint("a name has 1 to 80 letters, digits, `-` or `_`"),
            );
        }
        // The execution draws from the seed, too: its name must not repeat there.
        None => Entropy::new(!seed).uuid(),
    };
    let machine = source::machine_name(&arguments.file);
    Ok(Start {
        execution_arn: Arc::from(format!("arn:aws:states:{REGION}:{ACCOUNT}:execution:{machine}:{name}")),
        name: Arc::from(name),
        state_machine_arn: Arc::from(format!("arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:{machine}")),
        state_machine_name: Arc::from(machine),
        role_arn: Arc::from(format!("arn:aws:iam::{ACCOUNT}:role/stepfn")),
        input,
        seed,
        quotas,
        token_key: TokenKey::from_seed(seed),
        wait_scale: 1.0,
        version_arn: None,
        alias_arn: None,
        express: false,
        synchronous: false,
        block: BlockId(0),
    })
}

fn input(argument: &str, quotas: Quotas) -> Result<Payload, CliError> {
    let text = source::read_argument(argument)?;
    // Some editors put a byte order mark before the text.
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let (what, hint) = match argument.strip_prefix('@') {
        Some(path) => (format!("the input `{path}`"), None),
        None if argument == "-" => ("the input from stdin".to_owned(), None),
        None => (
            "the input".to_owned(),
            Some("give the JSON itself, `@FILE` to read a file, or `-` to read stdin"),
        ),
    };
    if quotas == Quotas::Aws && text.len() > PAYLOAD_BYTES_MAX {
        let message = format!("{what} has {} bytes, more than {PAYLOAD_BYTES_MAX}", text.len());
        return Err(CliError::usage(message).hint("--no-quotas lifts AWS's limit"));
    }
    Payload::parse(text).map_err(|error| {
        let error = if text.trim_ascii().is_empty() {
            CliError::usage(format!("{what} is empty, which is not JSON"))
        } else {
            CliError::usage(format!("{what} is not JSON: {error}"))
        };
        match hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    })
}

fn fresh_seed() -> u64 {
    use std::hash::BuildHasher;
    use std::hash::RandomState;
    RandomState::new().hash_one(std::process::id())
}

fn substitutions(arguments: &Arguments) -> Result<BTreeMap<String, String>, CliError> {
    let mut values = match &arguments.values {
        Some(path) => substitutions_from(&source::read_text(path)?).map_err(|finding| {
            let place = finding
                .span
                .map(|at| format!(" at line {} column {}", at.line, at.column));
            CliError::usage(format!(
                "failed to read the values of `{}`: {}{}",
                path.display(),
                finding.message,
                place.unwrap_or_default()
            ))
        })?,
        None => BTreeMap::new(),
    };
    for pair in &arguments.substitute {
        let Some((name, value)) = pair.split_once('=').filter(|(name, _)| !name.is_empty()) else {
            return Err(
                CliError::usage(format!("`{pair}` does not name a value")).hint("write --substitute Name=value")
            );
        };
        values.insert(name.to_owned(), value.to_owned());
    }
    Ok(values)
}

fn mappings(arguments: &Arguments) -> Result<Mappings, CliError> {
    let Some(path) = &arguments.map else {
        return Ok(Mappings::default());
    };
    let text = source::read_text(path)?;
    let directory = path.parent().unwrap_or(Path::new(""));
    Mappings::parse(&text, directory).map_err(|error| {
        CliError::usage(format!("failed to read the mappings of `{}`:\n{error}", path.display()))
            .hint("`stepfn run --help` shows an example")
    })
}

fn mocks(arguments: &Arguments, definition: &Definition) -> Result<Option<MockTasks>, CliError> {
    let Some(mock) = &arguments.mock else {
        return Ok(None);
    };
    let Some((path, case)) = mock.rsplit_once('#') else {
        return Err(CliError::usage(format!("`{mock}` names no test case")).hint("write --mock FILE#TestCase"));
    };
    let wrong = |error: &MockConfigError| CliError::usage(format!("failed to read the mocks of `{path}`: {error}"));
    let config = MockConfig::parse(&source::read_text(Path::new(path))?).map_err(|error| wrong(&error))?;
    let machine = source::machine_name(&arguments.file);
    let found = match config.test_case(Some(&machine), case) {
        // A file with a single machine may call it as it likes.
        Err(MockConfigError::UnknownMachine(_)) => config.test_case(None, case),
        found => found,
    };
    let mocks = found.map_err(|error| {
        let cases: Vec<String> = config.test_cases().map(|(_, case)| format!("`{case}`")).collect();
        match error {
            MockConfigError::UnknownCase { .. } if !cases.is_empty() => {
                wrong(&error).hint(format!("the file has {}", cases.join(", ")))
            }
            _ => wrong(&error),
        }
    })?;
    // The Task that was meant would be done for real.
    let is_task = |name: &str| {
        let state = definition.states.iter().find(|state| &*state.name == name);
        state.is_some_and(|state| matches!(state.kind, StateKind::Task(_)))
    };
    if let Some(name) = mocks.state_names().find(|name| !is_task(name)) {
        return Err(CliError::usage(format!(
            "`{mock}` mocks the state `{name}`, but no Task of the definition has this name"
        )));
    }
    Ok(Some(mocks))
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
