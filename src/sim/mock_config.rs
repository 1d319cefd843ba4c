//! Answers tasks from a `MockConfigFile.json` of Step Functions Local.
//!
//! `{"StateMachines": {machine: {"TestCases": {case: {state: response}}}},
//!   "MockedResponses": {response: {"0": {"Return": …}, "1-2": {"Throw": {"Error": …, "Cause": …}}}}}`
//!
//! The numbers count the invocations of the state over the whole execution, retries included, from 0.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Map;
use serde_json::Value;

use crate::kernel::event::EventKind;
use crate::kernel::event::StartTask;
use crate::model::payload::Payload;
use crate::model::states_error::StatesError;
use crate::sim::driver::Report;
use crate::sim::driver::Tasks;

/// A mock configuration file.
#[derive(Clone, Debug)]
pub struct MockConfig {
    /// Machine, test case, state, name of the response.
    machines: BTreeMap<String, BTreeMap<String, BTreeMap<String, String>>>,
    responses: BTreeMap<String, Arc<[Invocations]>>,
}

/// Why a mock configuration cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MockConfigError {
    /// The text is not JSON.
    #[error("the mock configuration is not JSON: {0}")]
    NotJson(String),
    /// Something has the wrong shape.
    #[error("{at}: {problem}")]
    Shape {
        /// Where, as a slash path.
        at: String,
        /// What is wrong.
        problem: String,
    },
    /// A test case names a response that does not exist.
    #[error("`{at}` names the mocked response `{name}`, which `MockedResponses` does not have")]
    UnknownResponse {
        /// Where, as a slash path.
        at: String,
        /// The response.
        name: String,
    },
    /// No such machine.
    #[error("`StateMachines` has no `{0}`")]
    UnknownMachine(String),
    /// No such test case.
    #[error("{machine} has no test case `{case}`")]
    UnknownCase {
        /// The machine, or all of them.
        machine: String,
        /// The test case.
        case: String,
    },
    /// Several machines have the test case and none was named.
    #[error("the test case `{case}` is in several state machines ({machines}): name one")]
    AmbiguousCase {
        /// The test case.
        case: String,
        /// The machines, separated by commas.
        machines: String,
    },
}

/// The answers of one test case. Make a fresh one for every execution.
#[derive(Clone, Debug)]
pub struct MockTasks {
    states: BTreeMap<String, Mock>,
}

#[derive(Clone, Debug)]
struct Mock {
    response: String,
    answers: Arc<[Invocations]>,
    n_invocations: u64,
}

/// One member of a mocked response: the invocations it is for, both included, and the answer.
#[derive(Clone, Debug)]
struct Invocations {
    first: u64,
    last: u64,
    answer: Answer,
}

#[derive(Clone, Debug)]
enum Answer {
    Return(Payload),
    Throw(StatesError),
}

impl MockConfig {
    /// Reads a mock configuration file.
    ///
    /// # Errors
    /// The text is not JSON, has a member that is not understood, or names a response that is not there.
    pub fn parse(text: &str) -> Result<Self, MockConfigError> {
        let value: Value = serde_json::from_str(text).map_err(|error| MockConfigError::NotJson(error.to_string()))?;
        let root = object("/", &value)?;
        only("/", root, &["StateMachines", "MockedResponses"])?;
        let mut responses = BTreeMap::new();
        if let Some(value) = root.get("MockedResponses") {
            for (name, value) in object("/MockedResponses", value)? {
                let at = format!("/MockedResponses/{name}");
                responses.insert(name.clone(), read_response(&at, value)?);
            }
        }
        let mut machines = BTreeMap::new();
        let Some(value) = root.get("StateMachines") else {
            return Err(shape("/", "`StateMachines` is missing"));
        };
        for (name, value) in object("/StateMachines", value)? {
            let at = format!("/StateMachines/{name}");
            machines.insert(name.clone(), read_machine(&at, value, &responses)?);
        }
        Ok(Self { machines, responses })
    }

    /// Returns the answers of a test case; without `machine`, of the only machine that has it.
    ///
    /// # Errors
    /// There is no such machine or test case, or several machines have it.
    pub fn test_case(&self, machine: Option<&str>, case: &str) -> Result<MockTasks, MockConfigError> {
        let states = match machine {
            Some(machine) => {
                let Some(cases) = self.machines.get(machine) else {
                    return Err(MockConfigError::UnknownMachine(machine.to_owned()));
                };
                cases.get(case).ok_or_else(|| MockConfigError::UnknownCase {
                    machine: format!("state machine `{machine}`"),
                    case: case.to_owned(),
                })?
            }
            None => self.only_case(case)?,
        };
        let mock = |(state, response): (&String, &String)| {
            let mock = Mock {
                response: response.clone(),
                answers: self.responses.get(response).cloned().unwrap_or_default(),
                n_invocations: 0,
            };
            (state.clone(), mock)
        };
        Ok(MockTasks {
            states: states.iter().map(mock).collect(),
        })
    }

    /// Returns the names of all test cases: machine, test case.
    pub fn test_cases(&self) -> impl Iterator<Item = (&str, &str)> {
        self.machines
            .iter()
            .flat_map(|(machine, cases)| cases.keys().map(move |case| (machine.as_str(), case.as_str())))
    }

    fn only_case(&self, case: &str) -> Result<&BTreeMap<String, String>, MockConfigError> {
        let found = self
            .machines
            .iter()
            .filter_map(|(machine, cases)| Some((machine, cases.get(case)?)));
        let found: Vec<_> = found.collect();
        match found.as_slice() {
            [(_, states)] => Ok(states),
            [] => Err(MockConfigError::UnknownCase {
                machine: "the mock configuration".to_owned(),
                case: case.to_owned(),
            }),
            several => {
                let machines: Vec<&str> = several.iter().map(|(machine, _)| machine.as_str()).collect();
                Err(MockConfigError::AmbiguousCase {
                    case: case.to_owned(),
                    machines: machines.join(", "),
                })
            }
        }
    }
}

impl MockTasks {
    /// Tells whether the test case has an answer for a state.
    pub fn mocks(&self, state_name: &str) -> bool {
        self.states.contains_key(state_name)
    }

    /// Returns the names of the states that have mocks.
    pub fn state_names(&self) -> impl Iterator<Item = &str> {
        self.states.keys().map(String::as_str)
    }

    fn next_answer(&mut self, state_name: &str) -> Answer {
        let Some(mock) = self.states.get_mut(state_name) else {
            return Answer::Throw(unanswered(format!(
                "The test case does not mock the state '{state_name}'."
            )));
        };
        let n = mock.n_invocations;
        mock.n_invocations = n.saturating_add(1);
        match mock.answers.iter().find(|entry| entry.first <= n && n <= entry.last) {
            Some(entry) => entry.answer.clone(),
            None => Answer::Throw(unanswered(format!(
                "The mocked response '{}' has no entry for invocation {n} of the state '{state_name}'.",
                mock.response
            ))),
        }
    }
}

impl Tasks for MockTasks {
    fn answer(&mut self, task: &StartTask) -> Vec<Report> {
        let id = task.task;
        let mut reports = begin(task);
        let kind = match self.next_answer(&task.state_name) {
            Answer::Return(output) => EventKind::TaskSucceeded {
                task: id,
                output: result_of(&task.resource_arn, output),
            },
            Answer::Throw(error) if error.name.as_deref() == Some("States.Timeout") => {
                EventKind::TaskTimedOut { task: id, error }
            }
            Answer::Throw(error) => EventKind::TaskFailed { task: id, error },
        };
        reports.push(Report { delay_millis: 0, kind });
        reports
    }
}

/// Returns the reports with which a mocked attempt begins. The service's own response to the request of a task that
/// answers twice is not part of a mock: it is empty.
pub fn begin(task: &StartTask) -> Vec<Report> {
    let at_once = |kind| Report { delay_millis: 0, kind };
    let mut reports = vec![at_once(EventKind::TaskStarted {
        task: task.task,
        worker_name: None,
    })];
    if submits(&task.resource_arn) {
        reports.push(at_once(EventKind::TaskSubmitted {
            task: task.task,
            output: Payload::new(Value::Object(Map::new())),
        }));
    }
    reports
}

/// Tells whether a resource answers twice: the service accepts the request, somebody gives the result later.
fn submits(resource: &str) -> bool {
    resource.ends_with(".waitForTaskToken") || resource.ends_with(".sync") || resource.ends_with(".sync:2")
}

/// A mock for Lambda is written as the response of `Invoke`; a Task that names the function itself gets its payload.
fn result_of(resource: &str, output: Payload) -> Payload {
    let is_function = resource.split(':').nth(2) == Some("lambda");
    match output.value() {
        Value::Object(response) if is_function && response.contains_key("StatusCode") => {
            response.get("Payload").cloned().map_or(output, Payload::new)
        }
        _ => output,
    }
}

/// The name is one that no `Catch` takes, so that a hole in the mocks cannot pass for a tested path.
fn unanswered(cause: String) -> StatesError {
    StatesError::new("States.Runtime", cause)
}

fn read_machine(
    at: &str,
    value: &Value,
    responses: &BTreeMap<String, Arc<[Invocations]>>,
) -> Result<BTreeMap<String, BTreeMap<String, String>>, MockConfigError> {
    let machine = object(at, value)?;
    only(at, machine, &["TestCases"])?;
    let Some(value) = machine.get("TestCases") else {
        return Err(shape(at, "`TestCases` is missing"));
    };
    let mut cases = BTreeMap::new();
    for (case, value) in object(&format!("{at}/TestCases"), value)? {
        let at = format!("{at}/TestCases/{case}");
        let mut states = BTreeMap::new();
        for (state, value) in object(&at, value)? {
            let at = format!("{at}/{state}");
            let Some(name) = value.as_str() else {
                return Err(shape(&at, "the name of a mocked response is expected, a string"));
            };
            if !responses.contains_key(name) {
                return Err(MockConfigError::UnknownResponse {
                    at,
                    name: name.to_owned(),
                });
            }
            states.insert(state.clone(), name.to_owned());
        }
        cases.insert(case.clone(), states);
    }
    Ok(cases)
}

fn read_response(at: &str, value: &Value) -> Result<Arc<[Invocations]>, MockConfigError> {
    let mut entries: Vec<Invocations> = Vec::new();
    for (key, value) in object(at, value)? {
        let Some((first, last)) = read_range(key) else {
            let problem = format!("`{key}` is neither an invocation number such as `0` nor a range such as `1-2`");
            return Err(shape(at, &problem));
        };
        if entries.iter().any(|entry| first <= entry.last && entry.first <= last) {
            return Err(shape(at, &format!("`{key}` overlaps another entry")));
        }
        let answer = read_answer(&format!("{at}/{key}"), value)?;
        entries.push(Invocations { first, last, answer });
    }
    if entries.is_empty() {
        return Err(shape(at, "a mocked response needs at least one entry, for example `0`"));
    }
    Ok(entries.into())
}

fn read_range(key: &str) -> Option<(u64, u64)> {
    let number = |text: &str| -> Option<u64> {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse().ok()).flatten()
    };
    match key.split_once('-') {
        None => number(key).map(|n| (n, n)),
        Some((first, last)) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then_some((first, last))
        }
    }
}

fn read_answer(at: &str, value: &Value) -> Result<Answer, MockConfigError> {
    let entry = object(at, value)?;
    only(at, entry, &["Return", "Throw"])?;
    match (entry.get("Return"), entry.get("Throw")) {
        (Some(value), None) => Ok(Answer::Return(Payload::new(value.clone()))),
        (None, Some(value)) => {
            let at = format!("{at}/Throw");
            let throw = object(&at, value)?;
            only(&at, throw, &["Error", "Cause"])?;
            let member = |name: &str| match throw.get(name) {
                None => Ok(None),
                Some(Value::String(text)) => Ok(Some(text.clone())),
                Some(_) => Err(shape(&at, &format!("`{name}` must be a string"))),
            };
            let error = StatesError {
                name: member("Error")?,
                cause: member("Cause")?,
            };
            if error.name.is_none() {
                return Err(shape(&at, "`Error` is missing"));
            }
            Ok(Answer::Throw(error))
        }
        _ => Err(shape(at, "exactly one of `Return` and `Throw` is expected")),
    }
}

fn object<'a>(at: &str, value: &'a Value) -> Result<&'a Map<String, Value>, MockConfigError> {
    value.as_object().ok_or_else(|| shape(at, "an object is expected"))
}

fn only(at: &str, map: &Map<String, Value>, known: &[&str]) -> Result<(), MockConfigError> {
    match map.keys().find(|key| !known.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) => {
            let known: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
            let problem = format!("`{key}` is not known here, only {}", known.join(", "));
            Err(shape(at, &problem))
        }
    }
}

fn shape(at: &str, problem: &str) -> MockConfigError {
    MockConfigError::Shape {
        at: at.to_owned(),
        problem: problem.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::StateId;
    use crate::model::id::TaskId;
    use serde_json::json;

    fn task(state: &str, resource: &str) -> StartTask {
        StartTask {
            task: TaskId(7),
            state: StateId(0),
            state_name: state.into(),
            resource_arn: resource.into(),
            attempt: 1,
            item: None,
            input: json!({}).into(),
            timeout_seconds: None,
            heartbeat_seconds: None,
            role_arn: None,
            token: None,
            progress: crate::kernel::event::TaskProgress::Scheduled,
        }
    }

    fn config() -> MockConfig {
        let text = json!({
            "StateMachines": {
                "One": {"TestCases": {"Happy": {"A": "good"}, "Shared": {"A": "good"}}},
                "Two": {"TestCases": {"Shared": {"B": "bad"}}}
            },
            "MockedResponses": {
                "good": {"0": {"Return": {"n": 1}}, "1-2": {"Throw": {"Error": "Boom", "Cause": "why"}}},
                "bad": {"0": {"Throw": {"Error": "States.Timeout"}}}
            }
        });
        MockConfig::parse(&text.to_string()).unwrap()
    }

    #[test]
    fn invocations_are_counted_for_each_state() {
        let mut tasks = config().test_case(None, "Happy").unwrap();
        assert!(tasks.mocks("A") && !tasks.mocks("B"));
        let mut ends = Vec::new();
        for _ in 0..4 {
            let reports = tasks.answer(&task("A", "arn:aws:states:::sqs:sendMessage"));
            assert_eq!(reports.len(), 2);
            ends.push(reports.last().unwrap().kind.clone());
        }
        let boom = EventKind::TaskFailed {
            task: TaskId(7),
            error: StatesError::new("Boom", "why"),
        };
        assert!(matches!(&ends[0], EventKind::TaskSucceeded { output, .. } if *output.value() == json!({"n": 1})));
        assert_eq!(ends[1], boom);
        assert_eq!(ends[2], boom);
        assert!(matches!(&ends[3], EventKind::TaskFailed { error, .. }
            if error.cause.as_deref().unwrap().contains("no entry for invocation 3")));
    }

    #[test]
    fn patterns_that_wait_also_submit_and_a_thrown_timeout_is_a_timeout() {
        let mut tasks = config().test_case(Some("Two"), "Shared").unwrap();
        let reports = tasks.answer(&task("B", "arn:aws:states:::sqs:sendMessage.waitForTaskToken"));
        assert!(matches!(reports[1].kind, EventKind::TaskSubmitted { .. }));
        assert!(matches!(reports[2].kind, EventKind::TaskTimedOut { .. }));
    }

    #[test]
    fn a_function_gives_the_payload_of_its_mocked_response() {
        let text = r#"{"StateMachines": {"M": {"TestCases": {"T": {"A": "r"}}}},
            "MockedResponses": {"r": {"0-9": {"Return": {"StatusCode": 200, "Payload": [1]}}}}}"#;
        let mut tasks = MockConfig::parse(text).unwrap().test_case(None, "T").unwrap();
        let mut result = |resource: &str| match tasks.answer(&task("A", resource)).pop().unwrap().kind {
            EventKind::TaskSucceeded { output, .. } => output.text().to_owned(),
            kind => panic!("{kind:?}"),
        };
        assert_eq!(result("arn:aws:lambda:us-east-1:111111111111:function:f"), "[1]");
        assert_eq!(
            result("arn:aws:states:::lambda:invoke"),
            r#"{"StatusCode":200,"Payload":[1]}"#
        );
    }

    #[test]
    fn mistakes_are_named() {
        let wrong = [
            ("[", "not JSON"),
            ("{}", "`StateMachines` is missing"),
            (r#"{"StateMachine":{}}"#, "`StateMachine` is not known here"),
            (
                r#"{"StateMachines":{"M":{"TestCases":{"T":{"A":"x"}}}}}"#,
                "names the mocked response `x`",
            ),
            (
                r#"{"StateMachines":{},"MockedResponses":{"x":{"a":{}}}}"#,
                "neither an invocation number",
            ),
            (
                r#"{"StateMachines":{},"MockedResponses":{"x":{"2-1":{}}}}"#,
                "neither an invocation number",
            ),
            (
                r#"{"StateMachines":{},"MockedResponses":{"x":{"0":{}}}}"#,
                "exactly one of",
            ),
            (
                r#"{"StateMachines":{},"MockedResponses":{"x":{}}}"#,
                "at least one entry",
            ),
            (
                r#"{"StateMachines":{},"MockedResponses":{"x":{"0":{"Return":1},"0-1":{"Return":1}}}}"#,
                "`0-1` overlaps",
            ),
            (
                r#"{"StateMachines":{},"MockedResponses":{"x":{"0":{"Throw":{"Cause":"c"}}}}}"#,
                "`Error` is missing",
            ),
        ];
        for (text, part) in wrong {
            let message = MockConfig::parse(text).unwrap_err().to_string();
            assert!(message.contains(part), "{text}: {message}");
        }
        let config = config();
        assert!(matches!(
            config.test_case(None, "Shared"),
            Err(MockConfigError::AmbiguousCase { .. })
        ));
        assert!(config.test_case(None, "Nope").is_err());
        assert!(config.test_case(Some("Nope"), "Happy").is_err());
    }
}
