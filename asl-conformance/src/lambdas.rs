//! Cases that call Lambda functions: their Python sources run for real, as processes of `stepfn`.

use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::OnceLock;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use serde_json::Value;
use serde_json::json;
use stepfn::asl::definition::Definition;
use stepfn::engine::observer::Observer;
use stepfn::engine::run;
use stepfn::engine::run::Engine;
use stepfn::kernel::event::Start;
use stepfn::kernel::event::Status;
use stepfn::model::history_event::HistoryEvent;
use stepfn::worker::Site;
use stepfn::worker::action::ActionSite;
use stepfn::worker::lambda::invoke::Lambdas;
use stepfn::worker::mapping::Mappings;
use stepfn::worker::nursery::Nursery;
use tokio::sync::mpsc;

use crate::case::Case;
use crate::server::ACCOUNT;
use crate::server::REGION;

/// Where the code of a function is in Lambda, as recorded causes show it.
const TASK_ROOT: &str = "/var/task";
/// The `Date` header of an answer: the recorder wrote `date` for it, too.
const HTTP_DATE: &str = r"[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT";

/// Tells whether the case's functions run for real: a mock knows their answers.
pub fn are_called(case: &Case) -> bool {
    case.mock().is_none() && case.requires.iter().any(|need| need == "lambda")
}

/// Returns a Python interpreter that has the package `awslambdaric`, or says that there is none.
///
/// `STEPFN_PYTHON` names one; else it is the one of `scripts/test`, or the machine's own.
///
/// # Errors
/// None is there.
pub fn python() -> Result<&'static Path, String> {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    let found = FOUND.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let candidates = match std::env::var_os("STEPFN_PYTHON") {
            Some(named) => vec![PathBuf::from(named)],
            None => vec![root.join("target/venv/bin/python"), PathBuf::from("python3")],
        };
        candidates.into_iter().find(|candidate| has_runtime(candidate))
    });
    found
        .as_deref()
        .ok_or_else(|| "there is no Python with the package awslambdaric (STEPFN_PYTHON names one)".to_owned())
}

fn has_runtime(python: &Path) -> bool {
    let output = Command::new(python).args(["-c", "import awslambdaric"]).output();
    output.is_ok_and(|output| output.status.success())
}

/// The functions of one case, in a directory that goes with it.
pub struct Functions {
    // What is left of a run is looked for among all children of this process, so there is one such run at a time.
    _turn: MutexGuard<'static, ()>,
    directory: PathBuf,
    mappings: Mappings,
}

impl Functions {
    /// Writes the sources of a case.
    ///
    /// # Errors
    /// They are not as the format says, or cannot be written.
    pub fn of(case: &Case) -> Result<Self, String> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        static TURN: Mutex<()> = Mutex::new(());
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let directory = std::env::temp_dir().join(format!("asl-conformance-{}-{number}", std::process::id()));
        let mut this = Self {
            _turn: turn,
            directory,
            mappings: Mappings::default(),
        };
        let lambdas = case.json.get("lambdas").and_then(Value::as_object);
        let mut table = String::new();
        for (name, function) in lambdas.ok_or("the case has no `lambdas`")? {
            table += &this.write(name, function)?;
        }
        this.mappings = Mappings::parse(&table, &this.directory).map_err(|error| error.to_string())?;
        Ok(this)
    }

    fn write(&self, name: &str, function: &Value) -> Result<String, String> {
        let text = |member: &str| function.get(member).and_then(Value::as_str);
        let (Some(runtime), Some(handler), Some(source)) = (text("runtime"), text("handler"), text("source")) else {
            return Err(format!(
                "the function `{name}` lacks a text `runtime`, `handler` or `source`"
            ));
        };
        let file = handler.split('.').next().unwrap_or_default();
        let code = self.directory.join(name);
        std::fs::create_dir_all(&code).map_err(|error| error.to_string())?;
        std::fs::write(code.join(format!("{file}.py")), source).map_err(|error| error.to_string())?;
        let quoted = |text: &str| Value::from(text).to_string();
        Ok(format!(
            "[lambda.{}]\nruntime = {}\nhandler = {}\ncode = {}\ninterpreter = {}\ntimeout = 300\n",
            quoted(name),
            quoted(runtime),
            quoted(handler),
            quoted(name),
            quoted(&python()?.to_string_lossy()),
        ))
    }

    /// Returns the mappings that bind the functions.
    pub fn mappings(&self) -> Mappings {
        self.mappings.clone()
    }

    /// Returns the case as it is when the code is here instead of where Lambda has it.
    pub fn localize(&self, case: &Case) -> Case {
        let mut case = case.clone();
        let names = case.json.get("lambdas").and_then(Value::as_object);
        let name = names.and_then(|names| names.keys().next());
        if let (Some(name), Some(expect)) = (name, case.json.get("expect")) {
            let here = self.directory.join(name);
            let text = expect.to_string().replace(TASK_ROOT, &here.to_string_lossy());
            if let Ok(mut expect) = serde_json::from_str(&text) {
                list_dates(&mut expect);
                case.json.insert("expect".to_owned(), expect);
            }
        }
        if let Some(pattern) = case
            .placeholders
            .get_mut("date")
            .and_then(|placeholder| placeholder.pattern.as_mut())
        {
            *pattern = format!("(?:{pattern}|{HTTP_DATE})");
        }
        case
    }
}

/// Of a list of one `Date` the recorder kept only the placeholder.
fn list_dates(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(list_dates),
        Value::Object(members) => {
            for (name, member) in members.iter_mut() {
                match member.get_mut("Date") {
                    Some(date) if name == "AllHttpHeaders" && date.is_string() => *date = json!([date]),
                    _ => list_dates(member),
                }
            }
        }
        _ => (),
    }
}

impl Drop for Functions {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

struct Collect(Vec<HistoryEvent>);

impl Observer for Collect {
    fn history(&mut self, event: &HistoryEvent, is_child: bool) {
        if !is_child {
            self.0.push(event.clone());
        }
    }

    fn log(&mut self, _: &str, _: &str) {}

    fn waiting(&mut self) {}
}

/// Runs an execution as `stepfn run --time skip` does.
///
/// # Errors
/// It broke off.
pub fn run(
    definition: &Arc<Definition>,
    start: Start,
    mappings: Mappings,
) -> Result<(Status, Vec<HistoryEvent>), String> {
    let options = run::Options {
        skip_time: true,
        started_by: None,
        definition_hash: None,
        site: Arc::new(Site {
            lambdas: Lambdas::new(mappings.functions().clone(), None),
            tokens: None,
            audit: None,
            mappings,
            actions: ActionSite::default(),
            nursery: Arc::new(Nursery::default()),
            region: REGION.into(),
            account: ACCOUNT.into(),
            has_callbacks: false,
            sfn: OnceLock::new(),
        }),
        mocks: None,
    };
    let mut collect = Collect(Vec::new());
    let mut engine = Engine::new(Arc::clone(definition), options, &mut collect);
    let status = match engine.start(start).map_err(|error| error.to_string())? {
        Some(status) => status,
        None => {
            let (_interrupts, interrupted) = mpsc::channel(1);
            let finished = run::block_on(engine.finish(interrupted)).map_err(|error| error.to_string())?;
            finished.map_err(|error| error.to_string())?.status
        }
    };
    Ok((status, collect.0))
}
