//! Writes a scenario as a test file that repeats what was seen.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::asl::load::Format;
use crate::explore::finding::essence;
use crate::explore::run::Subject;
use crate::explore::run::Trace;
use crate::explore::scenario::Answer;
use crate::explore::scenario::Scenario;
use crate::sim::exchange::Field;
use crate::suite::check::check;
use crate::suite::file;
use crate::suite::run;
use crate::suite::run::Ran;

/// States that an expectation lists, at most.
const VISITED_MAX: usize = 100;
/// Answers of one mock that a file lists, at most.
const ANSWERS_MAX: usize = 200;

/// A case of a test file that is known to pass.
#[derive(Clone, Debug)]
pub struct Reproduction {
    name: String,
    /// What it shows, in one line.
    comment: String,
    input: Value,
    seed: u64,
    mocks: Map<String, Value>,
    expect: Value,
}

impl Reproduction {
    /// Makes a case out of a scenario and what it showed; nothing if no test file can repeat that.
    pub(super) fn new(
        subject: &Subject<'_>,
        scenario: &Scenario,
        trace: &Trace,
        name: &str,
        comment: &str,
    ) -> Option<Self> {
        let mut made = Self {
            name: name.to_owned(),
            comment: comment.to_owned(),
            input: scenario.input.clone(),
            seed: scenario.seed,
            mocks: mocks(subject, trace)?,
            expect: json!({}),
        };
        let ran = made.run(subject)?.0;
        made.expect = expectation(&ran);
        // What is written down was seen twice.
        made.run(subject)?.1.is_empty().then_some(made)
    }

    /// Runs the case as `stepfn test` would.
    fn run(&self, subject: &Subject<'_>) -> Option<(Ran, Vec<String>)> {
        let text = self.text("definition", &BTreeMap::new(), subject.machine.express);
        let file = file::parse(&text, Format::Yaml).ok()?;
        let case = file.cases.first()?;
        let ran = run::run(subject.machine, case, None, None);
        let failures = check(&case.expected, &ran);
        Some((ran, failures))
    }

    /// The input.
    pub fn input(&self) -> &Value {
        &self.input
    }

    /// The mocks, by state.
    pub fn mocks(&self) -> &Map<String, Value> {
        &self.mocks
    }

    /// Returns the text of the test file for a definition at a path.
    pub fn text(&self, definition: &str, substitutions: &BTreeMap<String, String>, express: bool) -> String {
        let mut text = String::new();
        let _ = writeln!(text, "# Found by `stepfn explore`. {}", one_line(&self.comment));
        let _ = writeln!(text, "definition: {}", flow(&json!(definition)));
        if express {
            text.push_str("type: EXPRESS\n");
        }
        if !substitutions.is_empty() {
            let _ = writeln!(text, "substitutions: {}", flow(&json!(substitutions)));
        }
        let _ = writeln!(text, "tests:\n  - name: {}", flow(&json!(one_line(&self.name))));
        let _ = writeln!(text, "    seed: {}", self.seed);
        let _ = writeln!(text, "    input: {}", flow(&self.input));
        if !self.mocks.is_empty() {
            text.push_str("    mocks:\n");
            for (state, mock) in &self.mocks {
                let _ = writeln!(text, "      {}: {}", flow(&json!(state)), flow(mock));
            }
        }
        if let Value::Object(members) = &self.expect
            && !members.is_empty()
        {
            text.push_str("    expect:\n");
            for (name, value) in members {
                let _ = writeln!(text, "      {name}: {}", flow(value));
            }
        }
        text
    }
}

fn mocks(subject: &Subject<'_>, trace: &Trace) -> Option<Map<String, Value>> {
    let mut mocks = Map::new();
    for (caller, given) in &trace.given {
        let first = given.first()?;
        // A writer that writes needs no mock.
        let is_written = given.iter().all(|answer| matches!(answer, Answer::Result(_)));
        if caller.field == Some(Field::ResultWriter) && is_written {
            continue;
        }
        let mock = match given.iter().all(|answer| answer == first) {
            true => written(first),
            false if given.len() <= ANSWERS_MAX => given.iter().map(written).collect(),
            false => return None,
        };
        mocks.insert(caller.mock_name(&subject.machine.definition), mock);
    }
    Some(mocks)
}

fn written(answer: &Answer) -> Value {
    match answer {
        Answer::Error { name, cause } => json!({ "error": name, "cause": cause }),
        Answer::Never => json!({ "never": true }),
        Answer::Result(value) => json!({ "result": value }),
    }
}

/// Returns what a run gave, as what it is to give.
fn expectation(ran: &Ran) -> Value {
    let mut expect = Map::new();
    expect.insert("status".to_owned(), json!(ran.status_name()));
    if let Some(error) = ran.error() {
        if let Some(name) = error.name.as_deref() {
            expect.insert("error".to_owned(), json!(name));
        }
        let essence = error
            .cause
            .as_deref()
            .map(essence)
            .filter(|essence| !essence.is_empty());
        if let Some(essence) = essence {
            expect.insert("cause_contains".to_owned(), json!(essence));
        }
    }
    if ran.visited.len() <= VISITED_MAX {
        expect.insert("visited".to_owned(), json!(ran.visited));
    }
    Value::Object(expect)
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Writes a value on one line, as JSON that is YAML, too.
pub fn flow(value: &Value) -> String {
    match value {
        Value::Array(elements) => {
            let elements: Vec<String> = elements.iter().map(flow).collect();
            format!("[{}]", elements.join(", "))
        }
        Value::Object(members) => {
            let members: Vec<String> = members
                .iter()
                .map(|(name, value)| format!("{}: {}", json!(name), flow(value)))
                .collect();
            format!("{{{}}}", members.join(", "))
        }
        value => value.to_string(),
    }
}
