//! Finds test files, and what belongs to each.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use crate::asl::definition::Definition;
use crate::asl::definition::StateKind;
use crate::asl::load::Format;
use crate::asl::substitution_file::substitutions_from;
use crate::cli::error::CliError;
use crate::cli::excerpt;
use crate::cli::source;
use crate::cli::source::Source;
use crate::cli::test::reads::Reads;
use crate::lint::finding::Confidence;
use crate::lint::finding::Finding;
use crate::lint::finding::Severity;
use crate::sim::exchange::Field;
use crate::sim::mock_config::MockConfig;
use crate::sim::mock_config::MockConfigError;
use crate::sim::mock_config::MockTasks;
use crate::suite::file;
use crate::suite::file::Case;
use crate::suite::file::TestFile;
use crate::suite::reader::Problem;
use crate::suite::reader::did_you_mean;
use crate::suite::run::Machine;
use crate::suite::run::Ran;

/// How the test files of a directory end.
const ENDINGS: &[&str] = &[".test.yaml", ".test.yml", ".test.json"];
/// The mock configuration file of Step Functions Local.
const MOCK_CONFIG: &str = "MockConfigFile.json";
/// Directories below one another, at most.
const DEPTH_MAX: usize = 64;

/// What the arguments name.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) suites: Vec<Suite>,
    pub(super) broken: Vec<Broken>,
}

impl Found {
    /// Returns the path of each test file, and what was asked for because of it.
    pub(super) fn paths(&self) -> impl Iterator<Item = (&PathBuf, &Reads)> {
        let suites = self.suites.iter().map(|suite| (&suite.path, &suite.reads));
        suites.chain(self.broken.iter().map(|broken| (&broken.path, &broken.reads)))
    }
}

/// A test file with all that belongs to it.
#[derive(Debug)]
pub(super) struct Suite {
    pub(super) path: PathBuf,
    /// What it was made of.
    pub(super) reads: Reads,
    pub(super) machine: Machine,
    /// The definition's text.
    pub(super) source: Source,
    pub(super) cases: Vec<Planned>,
}

/// A test file that cannot be used.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) path: PathBuf,
    /// What was asked for.
    pub(super) reads: Reads,
    pub(super) fault: Fault,
}

/// Why a test file cannot be used.
#[derive(Debug)]
pub(super) struct Fault {
    /// One line, for reports.
    pub(super) message: String,
    /// The same for people, with excerpts.
    pub(super) told: String,
}

impl From<CliError> for Fault {
    fn from(error: CliError) -> Self {
        Self {
            message: error.message().to_owned(),
            told: error.render(),
        }
    }
}

/// A case with its mocks.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) case: Case,
    pub(super) config: Option<MockTasks>,
    /// Any end will do, as long as no mock is missing.
    pub(super) any_end: bool,
}

/// Reads all that the arguments name; one bad file does not hide the others. `asked` takes what was looked at.
pub(super) fn all(paths: &[PathBuf], asked: &mut Reads) -> Found {
    let mut found = Found::default();
    for path in test_files(paths, asked, &mut found.broken) {
        let mut reads = Reads::default();
        let suite = suite(&path, &mut reads);
        asked.files.extend(reads.files.iter().cloned());
        match suite {
            Ok(suite) => found.suites.push(Suite { reads, ..suite }),
            Err(fault) => found.broken.push(Broken { path, reads, fault }),
        }
    }
    found
}

/// Returns the test files that the arguments name, each once, directories searched in the order of names.
fn test_files(paths: &[PathBuf], asked: &mut Reads, broken: &mut Vec<Broken>) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            search(path, &mut files, asked, broken);
        } else {
            files.push(path.clone());
        }
    }
    let mut seen = BTreeSet::new();
    files.retain(|path| seen.insert(path.canonicalize().unwrap_or_else(|_| path.clone())));
    files
}

fn search(directory: &Path, files: &mut Vec<PathBuf>, asked: &mut Reads, broken: &mut Vec<Broken>) {
    let mut open = vec![(directory.to_owned(), 0)];
    while let Some((directory, depth)) = open.pop() {
        asked.directories.insert(directory.clone());
        let entries = std::fs::read_dir(&directory).and_then(|entries| entries.collect::<Result<Vec<_>, _>>());
        let mut names = match entries {
            Ok(names) => names,
            Err(error) => {
                let error = CliError::usage(format!("failed to read `{}`: {error}", directory.display()));
                broken.push(Broken {
                    path: directory,
                    reads: Reads::default(),
                    fault: error.into(),
                });
                continue;
            }
        };
        names.sort_by_key(std::fs::DirEntry::file_name);
        let mut inner = Vec::new();
        for entry in names {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            // A link to a directory may lead round in a circle.
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                if depth < DEPTH_MAX && is_searched(&name) {
                    inner.push((entry.path(), depth + 1));
                }
            } else if is_test_file(&name) {
                files.push(entry.path());
            }
        }
        open.extend(inner.into_iter().rev());
    }
}

/// Tells whether a directory of this name is searched.
pub(super) fn is_searched(name: &str) -> bool {
    !name.starts_with('.') && name != "node_modules" && name != "target"
}

/// Tells whether a file of this name is taken for a test file. Hidden ones are the work of editors.
pub(super) fn is_test_file(name: &str) -> bool {
    !name.starts_with('.') && (ENDINGS.iter().any(|ending| name.ends_with(ending)) || name == MOCK_CONFIG)
}

/// Reads a test file, its definition and its mocks.
fn suite(path: &Path, reads: &mut Reads) -> Result<Suite, Fault> {
    let text = reads.text(path)?;
    if path.file_name().is_some_and(|name| name == MOCK_CONFIG) {
        return of_mock_config(path, &text, reads);
    }
    let is_json = path.extension().is_some_and(|extension| extension == "json");
    let format = if is_json { Format::Json } else { Format::Yaml };
    let wrong = |message: String| CliError::usage(format!("`{}`: {message}", path.display()));
    let placed = |problem: Problem| misunderstood(path, &text, problem);
    let mut file = file::parse(&text, format).map_err(placed)?;
    let definition = match &file.definition {
        Some(name) => path.with_file_name(name),
        None => beside(path, reads).ok_or_else(|| {
            wrong("there is no definition of the same name beside it".to_owned())
                .hint("name the definition's file in `definition`, seen from the test file")
        })?,
    };
    // Files that the test file names are told with it: else nobody knows who asks for them.
    let asked = |error: CliError| wrong(error.message().to_owned());
    let substitutions = substitutions(path, &file, reads).map_err(asked)?;
    let source = read_definition(&definition, file.express, reads).map_err(asked)?;
    let machine = machine(&source, &definition, &substitutions)?;
    let config = match &file.mock_config {
        Some(name) => Some(read_mock_config(&path.with_file_name(name), reads).map_err(asked)?),
        None => None,
    };
    for case in &file.cases {
        if let Some(name) = &case.expected.history {
            reads.note(&path.with_file_name(name));
        }
    }
    let mut cases = Vec::new();
    for case in std::mem::take(&mut file.cases) {
        for name in case.mocks.names() {
            refuse_stranger(&machine.definition, &case, name).map_err(|message| {
                placed(Problem {
                    message: format!("in the case `{}` {message}", case.name),
                    place: Some(case.place),
                })
            })?;
        }
        let config = match (&config, &case.mock_case) {
            (Some(config), Some(name)) => {
                Some(mock_tasks(config, &machine.name, name).map_err(|error| wrong(error.to_string()))?)
            }
            _ => None,
        };
        cases.push(Planned {
            case,
            config,
            any_end: false,
        });
    }
    Ok(Suite {
        path: path.to_owned(),
        reads: Reads::default(),
        machine,
        source,
        cases,
    })
}

fn mock_tasks(config: &MockConfig, machine: &str, case: &str) -> Result<MockTasks, MockConfigError> {
    match config.test_case(Some(machine), case) {
        // A file with a single machine may call it as it likes.
        Err(MockConfigError::UnknownMachine(_)) => config.test_case(None, case),
        found => found,
    }
}

/// A mock for what is no Task would never be asked: the name is mistyped.
fn refuse_stranger(definition: &Definition, case: &Case, name: &str) -> Result<(), String> {
    // A single Map or Parallel is answered as a whole.
    let is_single = case.single.as_ref().is_some_and(|single| single.state == name);
    if name.contains([':', '*']) {
        return Ok(());
    }
    let find = |name: &str| definition.states.iter().find(|state| &*state.name == name);
    let is_answered = |kind: &StateKind| match kind {
        StateKind::Task(_) => true,
        StateKind::Map(_) | StateKind::Parallel(_) => is_single,
        _ => false,
    };
    match find(name).map(|state| &state.kind) {
        Some(kind) if is_answered(kind) => return Ok(()),
        Some(StateKind::Map(map)) if map.item_reader.is_some() => {
            return Err(format!(
                "the state `{name}` is mocked, which is no Task; what it reads is named `{name}.ItemReader`"
            ));
        }
        Some(_) => return Err(format!("the state `{name}` is mocked, which is no Task")),
        None => {}
    }
    let field = [Field::ItemReader, Field::ResultWriter]
        .into_iter()
        .find_map(|field| Some((field, name.strip_suffix(field.name())?.strip_suffix('.')?)));
    let Some((field, map)) = field.and_then(|(field, name)| Some((field, find(name)?))) else {
        let names = definition.states.iter().map(|state| &*state.name);
        let question = did_you_mean(name, names);
        return Err(format!(
            "`{name}` is mocked, which is neither a state nor a resource{question}"
        ));
    };
    let has_field = match &map.kind {
        StateKind::Map(map) if field == Field::ItemReader => map.item_reader.is_some(),
        StateKind::Map(map) => map.result_writer.as_ref().is_some_and(|writer| writer.export.is_some()),
        _ => false,
    };
    match has_field {
        true => Ok(()),
        false => Err(format!(
            "`{name}` is mocked, but the state `{}` has no {} with a `Resource`",
            map.name,
            field.name()
        )),
    }
}

/// Shows the line of a test file that is not understood.
fn misunderstood(path: &Path, text: &str, problem: Problem) -> Fault {
    let message = format!("`{}`: {problem}", path.display());
    let finding = Finding {
        rule: "",
        severity: Severity::Error,
        confidence: Confidence::Static,
        message: problem.message,
        hint: None,
        location: None,
        span: problem.place,
        fix: None,
    };
    let told = excerpt::render(&path.display().to_string(), text, &[finding]);
    Fault { message, told }
}

/// Returns the definition beside a test file.
fn beside(path: &Path, reads: &mut Reads) -> Option<PathBuf> {
    let name = path.file_name()?.to_str()?;
    let stem = ENDINGS.iter().find_map(|ending| name.strip_suffix(ending))?;
    definition_named(path, stem, reads)
}

fn definition_named(path: &Path, stem: &str, reads: &mut Reads) -> Option<PathBuf> {
    let endings = [".asl.json", ".asl.yaml", ".asl.yml", ".json", ".yaml", ".yml"];
    let places = endings
        .iter()
        .map(|ending| path.with_file_name(format!("{stem}{ending}")));
    places.into_iter().find(|place| reads.is_file(place))
}

fn substitutions(path: &Path, file: &TestFile, reads: &mut Reads) -> Result<BTreeMap<String, String>, CliError> {
    let mut values = match &file.values {
        Some(name) => {
            let path = path.with_file_name(name);
            substitutions_from(&reads.text(&path)?).map_err(|finding| {
                CliError::usage(format!(
                    "failed to read the values of `{}`: {}",
                    path.display(),
                    finding.message
                ))
            })?
        }
        None => BTreeMap::new(),
    };
    values.extend(file.substitutions.clone());
    Ok(values)
}

fn read_definition(path: &Path, express: bool, reads: &mut Reads) -> Result<Source, CliError> {
    reads.note(path);
    Ok(Source {
        express,
        ..Source::read(path)?
    })
}

fn machine(source: &Source, path: &Path, substitutions: &BTreeMap<String, String>) -> Result<Machine, Fault> {
    match source.compile(substitutions.clone(), false) {
        Ok(definition) => Ok(Machine {
            name: source::machine_name(path),
            path: path.to_owned(),
            definition: Arc::new(definition),
            express: source.express,
        }),
        Err((_, findings)) => {
            let fault = Fault::from(CliError::usage(format!("`{}` is not a valid definition", source.path)));
            Err(Fault {
                told: findings + &fault.told,
                ..fault
            })
        }
    }
}

fn read_mock_config(path: &Path, reads: &mut Reads) -> Result<MockConfig, CliError> {
    MockConfig::parse(&reads.text(path)?)
        .map_err(|error| CliError::usage(format!("failed to read the mocks of `{}`: {error}", path.display())))
}

/// Every test case of a mock configuration file of one machine, started with `input.json` beside it, else with `{}`.
fn of_mock_config(path: &Path, text: &str, reads: &mut Reads) -> Result<Suite, Fault> {
    let wrong = |message: String| CliError::usage(format!("`{}`: {message}", path.display()));
    let config = MockConfig::parse(text).map_err(|error| wrong(error.to_string()))?;
    let machines: BTreeSet<&str> = config.test_cases().map(|(machine, _)| machine).collect();
    let mut found = machines
        .iter()
        .filter_map(|name| Some((*name, definition_named(path, name, reads)?)));
    let Some((name, definition)) = found.next() else {
        return Err(wrong("there is no definition `MACHINE.asl.json` beside it".to_owned()).into());
    };
    if 1 < machines.len() {
        let message = "it has several state machines: write a test file with `mock_config` for each";
        return Err(wrong(message.to_owned()).into());
    }
    let input = match reads.text(&path.with_file_name("input.json")) {
        Ok(text) => text,
        Err(_) => "{}".to_owned(),
    };
    let source = serde_json::json!({ "mock_config": MOCK_CONFIG, "tests": config.test_cases().map(|(_, case)| {
        serde_json::json!({ "name": case, "mock_case": case })
    }).collect::<Vec<_>>() });
    let file = file::parse(&source.to_string(), Format::Json).map_err(|problem| wrong(problem.to_string()))?;
    let input = crate::model::payload::Payload::parse(&input)
        .map_err(|error| wrong(format!("`input.json` beside it is not JSON: {error}")))?;
    let mut cases = Vec::new();
    for case in file.cases {
        let tasks = config
            .test_case(Some(name), &case.name)
            .map_err(|error| wrong(error.to_string()))?;
        cases.push(Planned {
            case: Case {
                input: input.clone(),
                ..case
            },
            config: Some(tasks),
            any_end: true,
        });
    }
    let source = read_definition(&definition, false, reads)?;
    let machine = machine(&source, &definition, &BTreeMap::new())?;
    Ok(Suite {
        path: path.to_owned(),
        reads: Reads::default(),
        machine,
        source,
        cases,
    })
}

/// Returns what is wrong with a case that may end as it likes: a mock is missing, or it does not end.
pub(super) fn holes(ran: &Ran) -> Vec<String> {
    match (ran.error(), ran.status_name()) {
        (Some(error), _) if error.name.as_deref() == Some("States.Runtime") => {
            vec![error.cause.clone().unwrap_or_default()]
        }
        (_, "RUNNING") => vec!["It does not end.".to_owned()],
        _ => Vec::new(),
    }
}
