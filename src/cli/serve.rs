//! `stepfn serve`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;
use tokio::sync::watch;
use tracing::level_filters::LevelFilter;

use crate::api::Api;
use crate::api::action;
use crate::audit::log::Audit;
use crate::audit::log::AuditError;
use crate::audit::record::Event;
use crate::audit::say;
use crate::cli::configuration;
use crate::cli::configuration::ConfigurationArguments;
use crate::cli::configuration::buckets;
use crate::cli::error::CliError;
use crate::cli::keys::default_keys;
use crate::cli::listen::Listening;
use crate::cli::source;
use crate::cli::spawning::Spawning;
use crate::engine::answers::of_mock_file;
use crate::engine::host::Host;
use crate::engine::host::HostOptions;
use crate::engine::logs::Logs;
use crate::identity::gate::Verifiers;
use crate::identity::keys::Keys;
use crate::identity::oidc::Verifier;
use crate::identity::policy;
use crate::identity::policy::Policy;
use crate::items::directory::DirectoryBuckets;
use crate::model::quota::Quotas;
use crate::sim::mock_config::MockConfig;
use crate::store::Store;
use crate::store::memory::MemoryStore;
use crate::store::sqlite::SqliteStore;
use crate::worker::Site;
use crate::worker::action::ActionSite;
use crate::worker::action::checkpoint::Checkpoints;
use crate::worker::configuration::Configuration;
use crate::worker::lambda::endpoint::LambdaEndpoint;
use crate::worker::lambda::invoke::Lambdas;
use crate::worker::nursery::Nursery;
use crate::worker::spawn::wire::Ready;
use crate::worker::tokens::Tokens;

/// How long a stopping server waits for the requests that run.
const REQUESTS_TIME_MAX: Duration = Duration::from_secs(10);

/// Serve the Step Functions API to AWS clients on this machine
///
/// Point any client at it: `aws --endpoint-url http://127.0.0.1:8083 stepfunctions list-state-machines`. State
/// machines and executions are kept in a directory and survive a crash of the server or of the machine.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    listening: Listening,
    /// The access keys that requests may be signed with [default: as for `stepfn keys`]
    #[arg(long, value_name = "DIRECTORY")]
    keys: Option<PathBuf>,
    /// The directory of the store
    #[arg(
        long,
        value_name = "DIRECTORY",
        default_value = "stepfn-data",
        conflicts_with = "ephemeral"
    )]
    data: PathBuf,
    /// Keep everything in memory: nothing survives the server
    #[arg(long)]
    ephemeral: bool,
    /// Delete executions this many days after their end
    #[arg(long, value_name = "DAYS", default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    retention_days: u32,
    #[command(flatten)]
    configuration: ConfigurationArguments,
    /// The mock file for executions that are started with `stateMachineArn#TestCase`
    #[arg(long, value_name = "FILE", env = "SFN_MOCK_CONFIG")]
    mock: Option<PathBuf>,
    /// A directory that stands for an S3 bucket in Distributed Maps; may be given more than once
    #[arg(long = "bucket", value_name = "NAME=DIRECTORY")]
    buckets: Vec<String>,
    /// The region of what is made here
    #[arg(long, alias = "aws-region", env = "AWS_DEFAULT_REGION", default_value = "us-east-1")]
    region: String,
    /// The account of what is made here
    #[arg(long, alias = "aws-account", env = "AWS_ACCOUNT_ID", default_value = "123456789012")]
    account: String,
    /// Where Lambda functions are called that the mapping file does not name, by plain HTTP
    #[arg(long, value_name = "URL", env = "LAMBDA_ENDPOINT")]
    lambda_endpoint: Option<LambdaEndpoint>,
    /// Let Wait states and the pauses before retries take this many times as long
    #[arg(long, value_name = "FACTOR", env = "WAIT_TIME_SCALE", default_value_t = 1.0, value_parser = scale)]
    wait_time_scale: f64,
    #[command(flatten)]
    elsewhere: Elsewhere,
    /// The directory of the log events of state machines (`loggingConfiguration`); `logs` below --data by default
    #[arg(long, value_name = "DIRECTORY")]
    logs: Option<PathBuf>,
    /// What is told on stderr or in the journal: off, error, warn, info, debug
    #[arg(long, value_name = "LEVEL", env = "STEPFN_LOG", default_value = "info")]
    log_level: LevelFilter,
    #[command(flatten)]
    spawning: Spawning,
    /// Lift AWS's quotas (payload size, number of events)
    #[arg(long)]
    no_quotas: bool,
}

/// Endpoints that Step Functions Local calls, and this server does not.
#[derive(Debug, clap::Args)]
struct Elsewhere {
    #[arg(long, hide = true, env = "BATCH_ENDPOINT")]
    batch_endpoint: Option<String>,
    #[arg(long, hide = true, env = "DYNAMODB_ENDPOINT")]
    dynamodb_endpoint: Option<String>,
    #[arg(long, hide = true, env = "ECS_ENDPOINT")]
    ecs_endpoint: Option<String>,
    #[arg(long, hide = true, env = "GLUE_ENDPOINT")]
    glue_endpoint: Option<String>,
    #[arg(long, hide = true, env = "SAGE_MAKER_ENDPOINT")]
    sage_maker_endpoint: Option<String>,
    #[arg(long, hide = true, env = "SNS_ENDPOINT")]
    sns_endpoint: Option<String>,
    #[arg(long, hide = true, env = "SQS_ENDPOINT")]
    sqs_endpoint: Option<String>,
    #[arg(long, hide = true, env = "STEP_FUNCTIONS_ENDPOINT")]
    step_functions_endpoint: Option<String>,
}

impl Elsewhere {
    /// Warns of each that is given: the server starts, since not every machine needs it.
    fn warn(&self) {
        for (service, endpoint) in [
            ("Batch", &self.batch_endpoint),
            ("DynamoDB", &self.dynamodb_endpoint),
            ("ECS", &self.ecs_endpoint),
            ("Glue", &self.glue_endpoint),
            ("SageMaker", &self.sage_maker_endpoint),
            ("SNS", &self.sns_endpoint),
            ("SQS", &self.sqs_endpoint),
        ] {
            if endpoint.is_some() {
                tracing::warn!(
                    service,
                    "This endpoint is not called: bind the tasks with --map or --mock."
                );
            }
        }
        if self.step_functions_endpoint.is_some() {
            tracing::warn!("The Step Functions endpoint is not called: nested executions run in this server.");
        }
    }
}

fn scale(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(scale) if (0.0..=1000.0).contains(&scale) => Ok(scale),
        _ => Err("it is a number from 0 to 1000".to_owned()),
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<u8, CliError> {
    arguments.listening.check()?;
    crate::cli::logging::start(arguments.log_level);
    arguments.elsewhere.warn();
    let store: Arc<dyn Store> = match arguments.ephemeral {
        true => Arc::new(MemoryStore::default()),
        false => Arc::new(SqliteStore::open(&arguments.data).map_err(|error| CliError::usage(error.to_string()))?),
    };
    let mut configuration = arguments.configuration.load()?;
    configuration::add_grants_of_machine(&mut configuration)?;
    let audit = recorder(arguments, &configuration)?;
    let mut directories = configuration.buckets.clone();
    directories.extend(buckets(&arguments.buckets)?);
    let lock = (!arguments.ephemeral).then(|| arguments.data.join("tasks.lock"));
    let spawning = arguments.spawning.options(lock, configuration.socket.as_deref())?;
    let functions = configuration.mappings.functions().clone();
    let verifiers = verifiers(arguments, &configuration)?;
    let options = HostOptions {
        site: Arc::new(Site {
            actions: actions(arguments, &configuration),
            lambdas: Lambdas::new(functions, arguments.lambda_endpoint.clone()),
            mappings: configuration.mappings,
            nursery: Arc::new(Nursery::new(spawning)),
            audit: audit.clone(),
            region: Arc::from(&*arguments.region),
            account: Arc::from(&*arguments.account),
            has_callbacks: true,
            tokens: Tokens::new(configuration.grants),
            sfn: std::sync::OnceLock::new(),
        }),
        quotas: if arguments.no_quotas { Quotas::Off } else { Quotas::Aws },
        answering: mocks(arguments)?.map(of_mock_file),
        skip_time: false,
        logs: logs(arguments)?,
        buckets: Arc::new(DirectoryBuckets::new(directories)),
        wait_scale: arguments.wait_time_scale,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::internal(format!("the runtime cannot be made: {error}")))?;
    let myself = Arc::new(configuration::myself());
    if let Some(audit) = &audit {
        let listen = [("listen", arguments.listening.address().to_string().into())];
        // Whoever cannot record its beginning does not begin.
        let started = audit.write(&say::server(Event::ServerStarted, &myself, &listen));
        let safe = started.blocking_recv().unwrap_or(Err(AuditError::Closed));
        safe.map_err(|error| CliError::internal(error.to_string()))?;
    }
    let result = runtime.block_on(serve(arguments, store, options, verifiers));
    runtime.shutdown_timeout(Duration::from_secs(5));
    if let Some(audit) = &audit {
        audit.note(&say::server(Event::ServerStopped, &myself, &[]));
        audit.close();
    }
    result.map(|()| 0)
}

async fn serve(
    arguments: &Arguments,
    store: Arc<dyn Store>,
    options: HostOptions,
    verifiers: Verifiers,
) -> Result<(), CliError> {
    let internal = |error: &dyn std::fmt::Display| CliError::internal(format!("the server cannot start: {error}"));
    // First of all: whoever waits for the line below may stop the server at once.
    let mut interrupts = signal(SignalKind::interrupt()).map_err(|error| internal(&error))?;
    let mut terminations = signal(SignalKind::terminate()).map_err(|error| internal(&error))?;
    let nursery = Arc::clone(&options.site.nursery);
    let (host, feeds) = Host::open(store, options).map_err(|error| internal(&error))?;
    host.recover().map_err(|error| internal(&error))?;
    let listeners = arguments.listening.open().await?;
    let gate = arguments.listening.gate(verifiers);
    listeners.reload_certificates(&gate).map_err(|error| internal(&error))?;
    let (stopper, stop) = watch::channel(false);
    host.serve(feeds);
    if !arguments.ephemeral {
        // At once, not with the first task: what a server that was killed left behind ends now.
        tokio::spawn(async move { tell_of_tasks(nursery.ready().await) });
    }
    let (retainer, days) = (Arc::clone(&host), arguments.retention_days);
    tokio::spawn(async move { retainer.retain(days).await });
    let policy = Policy::new(PathBuf::from(policy::DIRECTORY), action::is_operation);
    let api = Arc::new(Api::new(Arc::clone(&host), gate, policy));
    api.serve_tasks();
    let servers = listeners.serve(&api, &stop);
    crate::cli::error::tell(&format!("stepfn serves {}\n", listeners.url));
    let (address, auth) = (&listeners.url, api.gate.mode().name());
    tracing::info!(
        address,
        auth,
        version = env!("CARGO_PKG_VERSION"),
        "The server is ready."
    );
    let failure = tokio::select! {
        _ = interrupts.recv() => None,
        _ = terminations.recv() => None,
        failure = host.failed() => Some(failure),
    };
    tracing::info!("The server stops.");
    let _ = stopper.send(true);
    host.send_away();
    let deadline = tokio::time::Instant::now() + REQUESTS_TIME_MAX;
    for server in servers {
        let _ = tokio::time::timeout_at(deadline, server).await;
    }
    let rested = host.rest().await;
    listeners.remove();
    match failure.or(rested.err()) {
        None => {
            tracing::info!("The server has stopped.");
            Ok(())
        }
        Some(failure) => Err(CliError::internal(failure.to_string())
            .hint("nothing that was acknowledged is lost: mend the cause and start the server again")),
    }
}

/// Opens where it is recorded what is done: beside the store, unless the configuration says another place.
fn recorder(arguments: &Arguments, configuration: &Configuration) -> Result<Option<Arc<Audit>>, CliError> {
    let table = &configuration.audit;
    if arguments.ephemeral && table.directory.is_none() {
        return Ok(None);
    }
    let audit = Audit::open(table.options(arguments.data.join("audit")));
    audit.map(|audit| Some(Arc::new(audit))).map_err(|error| {
        CliError::usage(error.to_string()).hint("`[audit] directory` in the configuration names another place")
    })
}

/// Makes what actions share: with a store, a task that is issued again finds what it kept.
fn actions(arguments: &Arguments, configuration: &Configuration) -> ActionSite {
    let site = configuration::actions(configuration);
    if arguments.ephemeral {
        return site;
    }
    let directory = configuration.checkpoints.clone();
    ActionSite {
        checkpoints: Some(Checkpoints::durable(
            directory.unwrap_or_else(|| arguments.data.join("checkpoints")),
        )),
        ..site
    }
}

fn tell_of_tasks(ready: Result<Ready, String>) {
    match ready {
        Ok(ready) => {
            let (rung, n_leftovers) = (ready.rung.number(), ready.n_leftovers);
            tracing::info!(rung, n_leftovers, %ready.user, "Tasks can be started.");
            if let Some(Err(error)) = ready.identities {
                tracing::error!("The identity table cannot be used, so no task runs: {error}.");
            }
        }
        Err(message) => tracing::error!("{message}"),
    }
}

fn logs(arguments: &Arguments) -> Result<Option<Logs>, CliError> {
    let directory = match (&arguments.logs, arguments.ephemeral) {
        (Some(directory), _) => directory.clone(),
        (None, false) => arguments.data.join("logs"),
        (None, true) => return Ok(None),
    };
    let failed = |error| CliError::usage(format!("failed to write to `{}`: {error}", directory.display()));
    Logs::open(&directory).map(Some).map_err(failed)
}

/// Makes what verifies signatures and tokens.
fn verifiers(arguments: &Arguments, configuration: &Configuration) -> Result<Verifiers, CliError> {
    let directory = arguments.keys.clone().or_else(default_keys);
    let issuers = configuration.issuers.clone();
    let tokens = match issuers.is_empty() {
        true => None,
        false => Some(Verifier::new(issuers).map_err(CliError::usage)?),
    };
    Ok(Verifiers {
        keys: directory.map(|directory| Arc::new(Keys::new(directory))),
        tokens,
    })
}

fn mocks(arguments: &Arguments) -> Result<Option<MockConfig>, CliError> {
    let Some(path) = &arguments.mock else {
        return Ok(None);
    };
    let config = MockConfig::parse(&source::read_text(path)?);
    config
        .map(Some)
        .map_err(|error| CliError::usage(format!("failed to read the mocks of `{}`: {error}", path.display())))
}
