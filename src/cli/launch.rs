//! What `stepfn run` and `stepfn plan` have in common: a definition, an input, and who does the tasks.

use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use crate::asl::definition::Definition;
use crate::asl::definition::StateKind;
use crate::asl::substitution_file::substitutions_from;
use crate::cli::configuration;
use crate::cli::configuration::ConfigurationArguments;
use crate::cli::error;
use crate::cli::error::CliError;
use crate::cli::error::printable;
use crate::cli::source;
use crate::cli::source::Source;
use crate::cli::spawning::Spawning;
use crate::kernel::event::Start;
use crate::model::arn::is_name;
use crate::model::entropy::Entropy;
use crate::model::id::BlockId;
use crate::model::payload::Payload;
use crate::model::quota::PAYLOAD_BYTES_MAX;
use crate::model::quota::Quotas;
use crate::model::token::TokenKey;
use crate::sim::mock_config::MockConfig;
use crate::sim::mock_config::MockConfigError;
use crate::sim::mock_config::MockTasks;
use crate::worker::Site;
use crate::worker::action::ActionSite;
use crate::worker::configuration::Configuration;
use crate::worker::lambda::invoke::Lambdas;
use crate::worker::nursery::Nursery;
use crate::worker::tokens::Tokens;

/// The region and the account of local names.
const REGION: &str = "us-east-1";
const ACCOUNT: &str = "123456789012";

/// One execution to come.
#[derive(Debug, clap::Args)]
pub(crate) struct Launch {
    /// The definition: JSON, or YAML by the extension `.yaml` or `.yml`
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// The execution's input: JSON, `@FILE`, or `-` for stdin
    #[arg(short, long, value_name = "JSON", default_value = "{}", allow_hyphen_values = true)]
    pub(crate) input: String,
    /// A value for a `${Name}` placeholder of the definition
    #[arg(short, long, value_name = "NAME=VALUE")]
    substitute: Vec<String>,
    /// A file of such values: a map in JSON or YAML, or a SAM template
    #[arg(long, value_name = "FILE")]
    pub(crate) values: Option<PathBuf>,
    /// The execution's name [default: a random UUID]
    #[arg(long)]
    name: Option<String>,
    /// The seed of all chance: with it, UUIDs and random numbers repeat
    #[arg(long, allow_negative_numbers = true)]
    seed: Option<u64>,
    #[command(flatten)]
    pub(crate) configuration: ConfigurationArguments,
    /// Answer tasks from a test case of a mock configuration file
    #[arg(long, value_name = "FILE#TESTCASE")]
    pub(crate) mock: Option<String>,
    #[command(flatten)]
    spawning: Spawning,
    /// Lift AWS's quotas (payload size, number of events)
    #[arg(long)]
    no_quotas: bool,
}

impl Launch {
    /// Reads and compiles the definition; what is wrong with it is told.
    pub(crate) fn compile(&self) -> Result<(Source, Arc<Definition>), CliError> {
        let source = Source::read(&self.file)?;
        match source.compile(substitutions(self.values.as_deref(), &self.substitute)?, false) {
            Ok(definition) => Ok((source, Arc::new(definition))),
            Err((_, findings)) => {
                error::tell(&findings);
                Err(CliError::usage(format!("`{}` is not a valid definition", source.path)))
            }
        }
    }

    fn quotas(&self) -> Quotas {
        match self.no_quotas {
            true => Quotas::Off,
            false => Quotas::Aws,
        }
    }

    /// Makes what the tasks share.
    pub(crate) fn site(
        &self,
        definition: &Definition,
        mut configuration: Configuration,
        actions: ActionSite,
    ) -> Result<Site, CliError> {
        if rustix::process::geteuid().is_root() {
            configuration::add_grants_of_machine(&mut configuration)?;
        }
        let tasks = definition
            .states
            .iter()
            .filter(|state| matches!(state.kind, StateKind::Task(_)));
        let tasks = tasks.map(|state| &*state.name);
        for sentence in configuration.grants.unused(&source::machine_name(&self.file), tasks) {
            error::tell(&format!(
                "{} {}\n",
                error::paint("1;33", "warning:"),
                printable(&sentence)
            ));
        }
        let options = self.spawning.personal(configuration.socket.as_deref())?;
        Ok(Site {
            lambdas: Lambdas::new(configuration.mappings.functions().clone(), None),
            mappings: configuration.mappings,
            actions,
            nursery: Arc::new(Nursery::new(options)),
            audit: None,
            region: Arc::from(REGION),
            account: Arc::from(ACCOUNT),
            has_callbacks: false,
            tokens: Tokens::new(configuration.grants),
            sfn: std::sync::OnceLock::new(),
        })
    }

    /// Makes the first event.
    pub(crate) fn start(&self) -> Result<Start, CliError> {
        let quotas = self.quotas();
        let input = input(&self.input, quotas)?;
        let seed = self.seed.unwrap_or_else(fresh_seed);
        let name = match &self.name {
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
        let machine = source::machine_name(&self.file);
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

    /// Reads the mocks for the definition.
    pub(crate) fn mocks(&self, definition: &Definition) -> Result<Option<MockTasks>, CliError> {
        let Some(mock) = &self.mock else {
            return Ok(None);
        };
        let Some((path, case)) = mock.rsplit_once('#') else {
            return Err(CliError::usage(format!("`{mock}` names no test case")).hint("write --mock FILE#TestCase"));
        };
        let wrong = |error: &MockConfigError| CliError::usage(format!("failed to read the mocks of `{path}`: {error}"));
        let config = MockConfig::parse(&source::read_text(Path::new(path))?).map_err(|error| wrong(&error))?;
        let machine = source::machine_name(&self.file);
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

/// Reads the values of placeholders: a file of them, and pairs `NAME=VALUE` that win over it.
pub(crate) fn substitutions(file: Option<&Path>, pairs: &[String]) -> Result<BTreeMap<String, String>, CliError> {
    let mut values = match file {
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
    for pair in pairs {
        let Some((name, value)) = pair.split_once('=').filter(|(name, _)| !name.is_empty()) else {
            return Err(
                CliError::usage(format!("`{pair}` does not name a value")).hint("write --substitute Name=value")
            );
        };
        values.insert(name.to_owned(), value.to_owned());
    }
    Ok(values)
}
