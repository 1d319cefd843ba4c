//! Runs one case on the kernel, on virtual time.

use std::any::Any;
use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use regex::Captures;
use regex::Regex;
use serde_json::Map;
use serde_json::Value;
use stepfn::asl::load;
use stepfn::kernel::event::Start;
use stepfn::kernel::event::Status;
use stepfn::model::entropy::Entropy;
use stepfn::model::history_event::HistoryEvent;
use stepfn::model::id::BlockId;
use stepfn::model::payload::Payload;
use stepfn::model::quota::Quotas;
use stepfn::model::states_error::StatesError;
use stepfn::model::timestamp::Timestamp;
use stepfn::model::token::TokenKey;
use stepfn::sim::check;
use stepfn::sim::driver;
use stepfn::sim::driver::Tasks;
use stepfn::sim::mock_config::MockConfig;

use crate::bucket::CaseBuckets;
use crate::calls;
use crate::case::Case;
use crate::events;
use crate::events::Order;
use crate::exceptions;
use crate::lambdas;
use crate::matcher::Difference;
use crate::matcher::Matcher;
use crate::matcher::short;
use crate::script::Script;
use crate::server::Server;

/// What became of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As expected.
    Passed,
    /// The first difference.
    Failed(String),
    /// Why it was not run.
    Skipped(String),
}

/// How to run cases.
#[derive(Clone, Default)]
pub struct Options {
    /// Runs only cases whose `family/id` matches.
    pub filter: Option<Regex>,
    /// Also compares the recorded `describe` response.
    pub full: bool,
    /// Also replays the journal of every execution and restores it from a snapshot after every event.
    pub replay: bool,
    /// Runs over HTTP instead of on the kernel alone.
    pub server: Option<Arc<Server>>,
}

/// Every execution starts at 2026-01-01T00:00:00Z.
const START: Timestamp = Timestamp(1_767_225_600_000);

/// No case needs that many kernel events; a run that does not end must not hang the suite.
const STEPS_MAX: u64 = 1_000_000;

/// Runs a case, or says why it cannot be run.
pub fn run_case(case: &Case, options: &Options) -> Verdict {
    if case.kind != "execution" {
        return run_calls(case, options);
    }
    if lambdas::are_called(case)
        && let Err(problem) = lambdas::python()
    {
        let problem = format!("requires lambda, and {problem}");
        // Where nobody looks, a gap must not pass for a success.
        return match std::env::var_os("CI") {
            Some(_) => Verdict::Failed(problem),
            None => Verdict::Skipped(problem),
        };
    }
    if !is_here(case, options) && case.mock().is_none() {
        return Verdict::Skipped(format!("requires {}", case.requires.join(", ")));
    }
    if options.server.is_some()
        && let Some(reason) = not_over_http(case)
    {
        return Verdict::Skipped(reason);
    }
    let run = AssertUnwindSafe(|| run_execution(case, options));
    match std::panic::catch_unwind(run) {
        Ok(result) => verdict(case, result),
        Err(panic) => Verdict::Failed(format!("panicked: {}", panic_text(&*panic))),
    }
}

/// Tells whether all that the case requires is there: with a server, Step Functions itself, activities and buckets.
/// Functions of Lambda are, as whatever role they are called: the roles of STS change nothing here.
fn is_here(case: &Case, options: &Options) -> bool {
    case.requires.iter().all(|need| match need.as_str() {
        "activity" | "s3" | "sfn" => options.server.is_some(),
        "lambda" | "sts" => lambdas::are_called(case),
        _ => false,
    })
}

/// Runs a case of API calls, each on a server of its own.
fn run_calls(case: &Case, options: &Options) -> Verdict {
    let Some(server) = &options.server else {
        return Verdict::Skipped(format!("kind {} needs a server", case.kind));
    };
    if !is_here(case, options) {
        return Verdict::Skipped(format!("requires {}", case.requires.join(", ")));
    }
    let run = || {
        let buckets = CaseBuckets::of(case)?;
        let server = server.fresh(buckets.directories())?;
        let difference = calls::run(case, &mut server.client()?);
        server.stop();
        difference
    };
    verdict(case, run())
}

fn verdict(case: &Case, result: Result<Difference, String>) -> Verdict {
    match (result, exceptions::reason(&case.name)) {
        (Ok(None), None) => Verdict::Passed,
        (Ok(None), Some(_)) => Verdict::Failed("it passes: take it off exceptions.txt".to_owned()),
        (Ok(Some(_)) | Err(_), Some(reason)) => Verdict::Skipped(format!("exception: {reason}")),
        (Ok(Some(difference)) | Err(difference), None) => Verdict::Failed(difference),
    }
}

/// Says why a case cannot be run over HTTP.
fn not_over_http(case: &Case) -> Option<String> {
    let text = |name: &str| case.json.get(name).and_then(Value::as_str);
    if text("type") == Some("EXPRESS")
        && (text("start") != Some("sync") || case.json["expect"].get("history").is_some())
    {
        return Some("over HTTP an EXPRESS execution leaves no history, and without `sync` no result".to_owned());
    }
    text("kernel_only").map(ToOwned::to_owned)
}

fn run_execution(case: &Case, options: &Options) -> Result<Difference, String> {
    let expect = case.json.get("expect").and_then(Value::as_object);
    let expect = expect.ok_or("the case has no `expect`")?;
    if let Some(name) = case.unknown_member() {
        return Err(format!("the case has an unknown member `{name}`"));
    }
    let express = case.json.get("type").and_then(Value::as_str) == Some("EXPRESS");
    let text = match member(case, "definition").ok_or("the case has no `definition`")? {
        Value::String(text) => text.clone(),
        definition => definition.to_string(),
    };
    let sync = case.json.get("start").and_then(Value::as_str) == Some("sync");
    let functions = match lambdas::are_called(case) {
        true => Some(lambdas::Functions::of(case)?),
        false => None,
    };
    let localized = functions.as_ref().map(|functions| functions.localize(case));
    let case = localized.as_ref().unwrap_or(case);
    let expect = case.json.get("expect").and_then(Value::as_object).unwrap_or(expect);
    let unverified = Unverified::of(case);
    let matcher = Matcher::new(&case.placeholders)
        .ignoring(&unverified.names)
        .exact(!case.is_recorded());
    let ran = match &options.server {
        Some(server) => match &functions {
            Some(functions) => {
                let server = Server::with_mappings(functions.mappings())?;
                let ran = over_http(case, &server, &text, express);
                server.stop();
                ran?
            }
            None if case.requires.iter().any(|need| need == "s3") => {
                let buckets = CaseBuckets::of(case)?;
                let server = server.fresh(buckets.directories())?;
                let ran = over_http(case, &server, &text, express);
                server.stop();
                ran?
            }
            None => over_http(case, server, &text, express)?,
        },
        None => on_the_kernel(case, &text, express, options.replay, functions.as_ref())?,
    };
    let difference = compare(case, expect, &matcher, &ran, &unverified, express || sync);
    Ok(difference.or_else(|| match options.full {
        true => describe(expect, &matcher, &ran),
        false => None,
    }))
}

/// What a run gave.
struct Ran {
    /// `status`, `output`, `error`, `cause`, as `DescribeExecution` shows them.
    members: Map<String, Value>,
    /// The history as case files write it.
    events: Vec<Value>,
    /// The history as lines `id<previous Type:name seconds`; over HTTP without the seconds.
    lines: Vec<String>,
}

fn on_the_kernel(
    case: &Case,
    text: &str,
    express: bool,
    replay: bool,
    functions: Option<&lambdas::Functions>,
) -> Result<Ran, String> {
    let compile = load::Options {
        express,
        ..load::Options::default()
    };
    let definition = load::compile(text, &compile).map_err(|findings| {
        let findings: Vec<String> = findings.iter().map(ToString::to_string).collect();
        format!("the definition is refused: {}", findings.join(", "))
    })?;
    let definition = Arc::new(definition);
    let start = start(case, express)?;
    if let Some(functions) = functions {
        let (status, history) = lambdas::run(&definition, start, functions.mappings())?;
        return Ok(ran(&status, &history));
    }
    let mut tasks = tasks(case)?;
    let outcome = driver::run_with(&definition, start, START, &mut *tasks, STEPS_MAX);
    if replay {
        check::replay_and_restore(&definition, &outcome.journal, &outcome.history);
    }
    Ok(ran(&outcome.status, &outcome.history))
}

fn ran(status: &Status, history: &[HistoryEvent]) -> Ran {
    let printed = check::print_history(&events::newer_history(history));
    Ran {
        members: status_members(status),
        events: events::to_json(history),
        lines: printed.lines().map(ToOwned::to_owned).collect(),
    }
}

fn over_http(case: &Case, server: &Server, text: &str, express: bool) -> Result<Ran, String> {
    let machine = format!("c-{:016x}", chance(case).next_u64());
    tasks(case)?;
    let scripted = case.clone();
    let script = move || tasks(&scripted).unwrap_or_else(|_| Box::new(Script::default()));
    // Tasks that call Step Functions itself are done for real.
    if case.requires.is_empty() || case.mock().is_some() {
        server.script(&machine, Box::new(script));
    }
    let machine_type = if express { "EXPRESS" } else { "STANDARD" };
    let mut client = server.client()?;
    for (name, other) in case
        .json
        .get("other_state_machines")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        let definition = match &other["definition"] {
            Value::String(text) => text.clone(),
            definition => definition.to_string(),
        };
        client.create(name, &definition, other["type"].as_str().unwrap_or("STANDARD"))?;
    }
    let arn = client.create(&machine, text, machine_type)?;
    let input = input_text(case, client.now()?)?;
    let (mut members, api_events) = client.run(&arn, machine_type, &input)?;
    members.retain(|name, _| ["status", "output", "error", "cause"].contains(&name.as_str()));
    let events = events::from_api(&api_events);
    Ok(Ran {
        members,
        lines: events::lines(&events),
        events,
    })
}

fn compare(
    case: &Case,
    expect: &Map<String, Value>,
    matcher: &Matcher<'_>,
    ran: &Ran,
    unverified: &Unverified,
    sync: bool,
) -> Difference {
    let mut actual = ran.events.clone();
    // AWS's recording of a running execution stopped early; on virtual time it goes on.
    let running = expect.get("status").and_then(Value::as_str) == Some("RUNNING");
    if !running || !case.is_recorded() {
        let difference = status(expect, &mut matcher.clone(), &ran.members);
        if difference.is_some() {
            return difference;
        }
    }
    if let Some(lines) = expect.get("history") {
        let difference = history(lines, &ran.lines);
        if difference.is_some() {
            return difference;
        }
    }
    let expected = match expect.get("events").and_then(Value::as_array) {
        Some(expected) if !sync => expected,
        _ => return None,
    };
    if running {
        actual.truncate(expected.len());
    }
    let order = match expect.get("events_partly_unordered") {
        Some(Value::Bool(true)) => Order::Bag,
        _ if case.is_concurrent() => Order::Tree,
        _ => Order::Exact,
    };
    let expected = unverified.without(expected);
    let actual = unverified.without(&actual);
    events::compare(matcher, &expected, &actual, order)
}

fn status(expect: &Map<String, Value>, matcher: &mut Matcher<'_>, got: &Map<String, Value>) -> Difference {
    let wanted = expect.get("status").unwrap_or(&Value::Null);
    if got.get("status") != Some(wanted) {
        let extra = ["error", "cause"]
            .iter()
            .filter_map(|name| Some(format!(" {name}={}", short(got.get(*name)?))));
        let extra: String = extra.collect();
        let got = got.get("status").map(short).unwrap_or_default();
        return Some(format!("$.status: expected {}, got {got}{extra}", short(wanted)));
    }
    for name in ["output", "error", "cause"] {
        let wanted = expect.get(name).filter(|value| !value.is_null());
        let difference = match (wanted, got.get(name)) {
            (None, None) => None,
            (Some(wanted), None) => Some(format!("$.{name}: missing, expected {}", short(wanted))),
            (None, Some(got)) => Some(format!("$.{name}: unexpected {}", short(got))),
            (Some(wanted), Some(got)) => outcome_member(name, wanted, got, matcher),
        };
        if difference.is_some() {
            return difference;
        }
    }
    None
}

fn outcome_member(name: &str, wanted: &Value, got: &Value, matcher: &mut Matcher<'_>) -> Difference {
    // An output is recorded as text that happens to be JSON: `1` and `1.0` are the same number.
    if name == "output"
        && !matcher.is_exact()
        && let (Value::String(wanted), Value::String(got)) = (wanted, got)
        && let (Ok(wanted), Ok(got)) = (serde_json::from_str(wanted), serde_json::from_str(got))
        && matcher.diff(&wanted, &got, "$").is_none()
    {
        return None;
    }
    matcher.diff(wanted, got, &format!("$.{name}"))
}

/// Returns what `DescribeExecution` shows. AWS shows neither error nor cause of `TIMED_OUT`.
fn status_members(status: &Status) -> Map<String, Value> {
    let mut map = Map::new();
    let none = StatesError::default();
    let (name, output, error) = match status {
        Status::New | Status::Running => ("RUNNING", None, &none),
        Status::Succeeded(output) => ("SUCCEEDED", Some(output), &none),
        Status::Failed(error) => ("FAILED", None, error),
        Status::TimedOut(_) => ("TIMED_OUT", None, &none),
        Status::Aborted(error) => ("ABORTED", None, error),
    };
    map.insert("status".to_owned(), name.into());
    let members = [
        ("output", output.map(Payload::text)),
        ("error", error.name.as_deref()),
        ("cause", error.cause.as_deref()),
    ];
    for (name, value) in members {
        if let Some(value) = value {
            map.insert(name.to_owned(), value.into());
        }
    }
    map
}

/// Compares with lines `id<previous Type:name seconds`, where the seconds may be left out.
fn history(lines: &Value, got: &[String]) -> Difference {
    let wanted: Vec<&str> = lines
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    for (index, line) in wanted.iter().enumerate() {
        let Some(got) = got.get(index) else {
            return Some(format!("$.history: `{line}` is missing"));
        };
        let same = *line == got.as_str() || is_timed(got) != is_timed(line) && untimed(got) == untimed(line);
        if !same {
            return Some(format!("$.history: expected `{line}`, got `{got}`"));
        }
    }
    let extra = got.get(wanted.len())?;
    Some(format!("$.history: unexpected `{extra}`"))
}

/// Tells whether a line ends with seconds.
fn is_timed(line: &str) -> bool {
    line.len() != untimed(line).len()
}

fn untimed(line: &str) -> &str {
    match line.rsplit_once(' ') {
        Some((head, seconds)) if seconds.parse::<f64>().is_ok() && head.contains(' ') => head,
        _ => line,
    }
}

fn describe(expect: &Map<String, Value>, matcher: &Matcher<'_>, ran: &Ran) -> Difference {
    let wanted = expect.get("describe").and_then(Value::as_object)?;
    for (name, got) in &ran.members {
        let Some(wanted) = wanted.get(name) else {
            return Some(format!("$response.{name}: unexpected {}", short(got)));
        };
        let difference = matcher.clone().diff(wanted, got, &format!("$response.{name}"));
        if difference.is_some() {
            return difference;
        }
    }
    None
}

/// What a mock cannot know: response metadata of services.
#[derive(Default)]
struct Unverified {
    /// Members that are ignored wherever they are.
    names: BTreeSet<String>,
    /// `detailsKey`, member.
    details: Vec<(String, String)>,
}

impl Unverified {
    /// Reads `$..name` and `$..someEventDetails.member`. A case without mock ignores nothing.
    fn of(case: &Case) -> Self {
        let mut this = Self::default();
        if case.mock().is_none() {
            return this;
        }
        let paths = case
            .json
            .get("localstack_deviates")
            .and_then(|value| value.get("unverified_paths"));
        for path in paths
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
        {
            let last = path.rsplit("..").next().unwrap_or_default();
            match last.split_once('.') {
                Some((details, member)) => this.details.push((details.to_owned(), member.to_owned())),
                None if last != "events" => {
                    this.names.insert(last.to_owned());
                }
                None => (),
            }
        }
        // The response to the request is never part of a mock.
        this.details
            .push(("taskSubmittedEventDetails".to_owned(), "output".to_owned()));
        this
    }

    fn without(&self, events: &[Value]) -> Vec<Value> {
        let mut events = events.to_vec();
        for event in &mut events {
            let key = event.get("detailsKey").and_then(Value::as_str).map(str::to_owned);
            let Some(details) = event.get_mut("details").and_then(Value::as_object_mut) else {
                continue;
            };
            for (details_key, member) in &self.details {
                if key.as_ref() == Some(details_key) {
                    details.shift_remove(member);
                }
            }
        }
        events
    }
}

/// A mock may bring its own definition and input.
fn member<'a>(case: &'a Case, name: &str) -> Option<&'a Value> {
    case.mock()
        .and_then(|mock| mock.get(name))
        .or_else(|| case.json.get(name))
}

fn tasks(case: &Case) -> Result<Box<dyn Tasks + Send>, String> {
    if let Some(mock) = case.mock() {
        let text = mock.get("config").unwrap_or(&Value::Null).to_string();
        let config = MockConfig::parse(&text).map_err(|error| error.to_string())?;
        let machine = mock.get("state_machine_name").and_then(Value::as_str);
        let name = mock.get("test_case").and_then(Value::as_str).unwrap_or_default();
        let tasks = config.test_case(machine, name).map_err(|error| error.to_string())?;
        return Ok(Box::new(tasks));
    }
    match case.json.get("tasks") {
        None => Ok(Box::new(Script::default())),
        Some(tasks) => Ok(Box::new(Script::parse(tasks)?)),
    }
}

/// Chance that is the same whenever the case runs.
fn chance(case: &Case) -> Entropy {
    Entropy::new(case.name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    }))
}

fn start(case: &Case, express: bool) -> Result<Start, String> {
    let mut chance = chance(case);
    let machine = format!("c-{:016x}", chance.next_u64());
    let name = chance.uuid();
    let prefix = "arn:aws:states:us-east-1:111111111111";
    let execution_arn = if express {
        format!("{prefix}:express:{machine}:{name}:{}", chance.uuid())
    } else {
        format!("{prefix}:execution:{machine}:{name}")
    };
    Ok(Start {
        execution_arn: execution_arn.into(),
        name: name.into(),
        state_machine_arn: format!("{prefix}:stateMachine:{machine}").into(),
        state_machine_name: machine.into(),
        role_arn: "arn:aws:iam::111111111111:role/sfn-role".into(),
        input: input(case)?,
        seed: chance.next_u64(),
        quotas: Quotas::Aws,
        token_key: TokenKey::from_seed(1),
        wait_scale: 1.0,
        version_arn: None,
        alias_arn: None,
        express,
        synchronous: case.json.get("start").and_then(Value::as_str) == Some("sync"),
        block: BlockId(0),
    })
}

fn input(case: &Case) -> Result<Payload, String> {
    Payload::parse(&input_text(case, START)?).map_err(|error| format!("the input is not JSON: {error}"))
}

fn input_text(case: &Case, now: Timestamp) -> Result<String, String> {
    let omitted = case.json.get("input_omitted").and_then(Value::as_bool).unwrap_or(false);
    match (
        case.json.get("input_raw").and_then(Value::as_str),
        member(case, "input"),
    ) {
        _ if omitted => Ok("{}".to_owned()),
        (Some(raw), _) => render(raw, now),
        (None, Some(input)) => render(&input.to_string(), now),
        (None, None) => Ok("{}".to_owned()),
    }
}

/// Fills `${now}` and `${now+3d}`: the start of the execution, as `2026-01-01T00:00:00`.
fn render(text: &str, start: Timestamp) -> Result<String, String> {
    let now = Regex::new(r"\$\{now(?:([+-]\d+)d)?\}").map_err(|error| error.to_string())?;
    let fill = |found: &Captures<'_>| -> String {
        let days: i64 = found.get(1).and_then(|days| days.as_str().parse().ok()).unwrap_or(0);
        let at = Timestamp(start.0.saturating_add(days.saturating_mul(86_400_000)));
        at.to_string().chars().take(19).collect()
    };
    Ok(now.replace_all(text, fill).into_owned())
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default()
}
