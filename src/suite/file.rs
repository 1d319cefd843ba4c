//! The test file: which definition, which mocks, which cases, and what each is to give.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::asl::load::Format;
use crate::asl::load::Tree;
use crate::model::payload::Payload;
use crate::model::span::Span;
use crate::query::jsonata::expression::Expression;
use crate::query::jsonata::expression::FieldScope;
use crate::suite::mock::Mock;
use crate::suite::mock::Mocks;
use crate::suite::mock::Owner;
use crate::suite::reader::Members;
use crate::suite::reader::Problem;
use crate::suite::reader::count;
use crate::suite::reader::in_jsonata;
use crate::suite::reader::millis;
use crate::suite::reader::problem;
use crate::suite::reader::read;
use crate::suite::reader::text;
use crate::suite::reader::texts;
use crate::suite::result_shape::Strictness;
use crate::suite::rfc9535::Query;

/// A test file.
#[derive(Debug)]
pub struct TestFile {
    /// The definition's path, as written; without it, it is the file beside this one of the same name.
    pub definition: Option<String>,
    /// The machine is EXPRESS.
    pub express: bool,
    /// Values for `${Name}` placeholders.
    pub substitutions: BTreeMap<String, String>,
    /// The file of such values.
    pub values: Option<String>,
    /// The mock configuration file of Step Functions Local.
    pub mock_config: Option<String>,
    /// The cases, in order.
    pub cases: Vec<Case>,
}

/// One case.
#[derive(Debug)]
pub struct Case {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub place: Span,
    /// The input of the execution.
    pub input: Payload,
    /// The seed of all chance.
    pub seed: Option<u64>,
    /// The mocks: its own before those of the file.
    pub mocks: Mocks,
    /// The test case of the mock configuration file.
    pub mock_case: Option<String>,
    /// It is about one state.
    pub single: Option<Single>,
    /// What it is to give.
    pub expected: Expected,
}

/// What a case of a single state is given beside its input.
#[derive(Debug)]
pub struct Single {
    /// The state's name.
    pub state: String,
    /// The context object, when it is not the usual one.
    pub context: Option<Value>,
    /// The variables in reach.
    pub variables: BTreeMap<Arc<str>, Payload>,
    /// Attempts that were already made.
    pub retry_count: u32,
    /// What of mocked results is checked.
    pub strictness: Option<Strictness>,
}

/// What a case is to give. What is absent is not looked at; the status always is.
#[derive(Debug)]
pub struct Expected {
    /// `SUCCEEDED` unless it is said otherwise.
    pub status: String,
    /// The whole output.
    pub output: Option<Value>,
    /// What the output holds at least.
    pub output_contains: Option<Value>,
    /// Values at places of the output.
    pub paths: Vec<(String, Query, Value)>,
    /// Expressions that must give true.
    pub holds: Vec<(String, Expression)>,
    /// Where a single state leads.
    pub next_state: Option<String>,
    /// The error name.
    pub error: Option<String>,
    /// The whole cause.
    pub cause: Option<String>,
    /// A part of the cause.
    pub cause_contains: Option<String>,
    /// The names of the states that are entered, in order.
    pub visited: Option<Vec<String>>,
    /// How often a state's task was tried.
    pub attempts: BTreeMap<String, u64>,
    /// What was assigned last to variables.
    pub variables: BTreeMap<String, Value>,
    /// The virtual time from start to end, in milliseconds.
    pub elapsed_millis: Option<u64>,
    /// The path of the file that holds the history.
    pub history: Option<String>,
}

const FILE_MEMBERS: &[&str] = &[
    "`definition`",
    "`type`",
    "`substitutions`",
    "`values`",
    "`mock_config`",
    "`mocks`",
    "`tests`",
];
const CASE_MEMBERS: &[&str] = &[
    "`name`",
    "`state`",
    "`input`",
    "`context`",
    "`variables`",
    "`retry_count`",
    "`field_validation_mode`",
    "`seed`",
    "`mocks`",
    "`mock_case`",
    "`expect`",
];
const EXPECTED_MEMBERS: &[&str] = &[
    "`status`",
    "`output`",
    "`output_contains`",
    "`paths`",
    "`holds`",
    "`next_state`",
    "`error`",
    "`cause`",
    "`cause_contains`",
    "`visited`",
    "`attempts`",
    "`variables`",
    "`elapsed_seconds`",
    "`history`",
];
const STATUSES: &[&str] = &["SUCCEEDED", "FAILED", "TIMED_OUT", "RUNNING"];
/// Those of a single state, as `TestState` has them.
const SINGLE_STATUSES: &[&str] = &["SUCCEEDED", "FAILED", "RETRIABLE", "CAUGHT_ERROR"];

/// Reads a test file.
///
/// # Errors
/// The first thing that is not understood.
pub fn parse(source: &str, format: Format) -> Result<TestFile, Problem> {
    let tree = read(source, format)?;
    let mut file = Members::of(&tree, "a test file")?;
    let optional = |value: Option<Tree>, what: &str| value.map(|value| text(&value, what)).transpose();
    let definition = optional(file.take("definition"), "`definition`")?;
    let express = match file.take("type") {
        None => false,
        Some(value) => match text(&value, "`type`")?.as_str() {
            "STANDARD" => false,
            "EXPRESS" => true,
            _ => return Err(problem(&value, "`type` must be STANDARD or EXPRESS")),
        },
    };
    let mut substitutions = BTreeMap::new();
    if let Some(value) = file.take("substitutions") {
        for (name, value) in Members::of(&value, "`substitutions`")?.rest() {
            substitutions.insert(name.to_owned(), text(&value, "a substitution")?);
        }
    }
    let values = optional(file.take("values"), "`values`")?;
    let mock_config = optional(file.take("mock_config"), "`mock_config`")?;
    let of_all = file.take("mocks");
    let tests = match file.take("tests") {
        Some(tests) => tests,
        None if file.take("States").is_some() => {
            return Err(problem(
                &tree,
                "this is a definition, not a test file: one called NAME.test.yaml belongs beside it, with `tests`",
            ));
        }
        None => {
            file.end(FILE_MEMBERS)?;
            return Err(problem(&tree, "a test file needs `tests`, a list of cases"));
        }
    };
    file.end(FILE_MEMBERS)?;
    let Some(elements) = tests.elements().filter(|elements| !elements.is_empty()) else {
        return Err(problem(&tests, "`tests` must be a list with at least one case"));
    };
    let mut cases: Vec<Case> = Vec::with_capacity(elements.len());
    for element in elements {
        let case = case(&element, of_all.as_ref(), mock_config.is_some())?;
        if cases.iter().any(|other| other.name == case.name) {
            return Err(problem(&element, format!("there are two cases named `{}`", case.name)));
        }
        cases.push(case);
    }
    Ok(TestFile {
        definition,
        express,
        substitutions,
        values,
        mock_config,
        cases,
    })
}

fn case(tree: &Tree, of_all: Option<&Tree>, has_config: bool) -> Result<Case, Problem> {
    let mut members = Members::of(tree, "a case")?;
    let name = text(&members.need("name")?, "`name`")?;
    let input = members
        .take("input")
        .map_or(Value::Object(serde_json::Map::new()), |input| input.value());
    let seed = members.take("seed").map(|seed| count(&seed, "`seed`")).transpose()?;
    let mut mocks = Mocks::default();
    let own = members.take("mocks");
    for (tree, owner) in [(own.as_ref(), Owner::Case), (of_all, Owner::File)] {
        let Some(tree) = tree else { continue };
        for (name, value) in Members::of(tree, "`mocks`")?.rest() {
            mocks.add(name, Mock::read(&value)?, owner);
        }
    }
    let mock_case = match members.take("mock_case") {
        Some(value) if !mocks.is_empty() => {
            return Err(problem(
                &value,
                "a case is answered by `mock_case` or by `mocks`, those of the file included, not by both",
            ));
        }
        Some(value) if !has_config => {
            return Err(problem(&value, "`mock_case` needs the file's `mock_config`"));
        }
        value => value.map(|value| text(&value, "`mock_case`")).transpose()?,
    };
    let single = single(&mut members)?;
    if let (Some(_), Some(_)) = (&single, &mock_case) {
        return Err(problem(
            tree,
            "a case of a single `state` is answered by `mocks`, not by `mock_case`",
        ));
    }
    let expected = expected(members.take("expect").as_ref(), single.is_some())?;
    members.end(CASE_MEMBERS)?;
    Ok(Case {
        name,
        place: tree.span(),
        input: Payload::new(input),
        seed,
        mocks,
        mock_case,
        single,
        expected,
    })
}

fn single(members: &mut Members<'_>) -> Result<Option<Single>, Problem> {
    let given = ["context", "variables", "retry_count", "field_validation_mode"].map(|name| (name, members.take(name)));
    let Some(state) = members.take("state") else {
        return match given.iter().find_map(|(name, value)| Some((name, value.as_ref()?))) {
            Some((name, value)) => Err(problem(
                value,
                format!("`{name}` needs `state`: it is for a single state"),
            )),
            None => Ok(None),
        };
    };
    let [context, variables, retry_count, validation] = given.map(|(_, value)| value);
    let mut single = Single {
        state: text(&state, "`state`")?,
        context: context.map(|value| value.value()),
        variables: BTreeMap::new(),
        retry_count: 0,
        strictness: Some(Strictness::Strict),
    };
    if let Some(value) = validation {
        single.strictness = match text(&value, "`field_validation_mode`")?.as_str() {
            "NONE" => None,
            "PRESENT" => Some(Strictness::Present),
            "STRICT" => Some(Strictness::Strict),
            _ => {
                return Err(problem(
                    &value,
                    "`field_validation_mode` must be STRICT, PRESENT or NONE",
                ));
            }
        };
    }
    if let Some(value) = variables {
        for (name, value) in Members::of(&value, "`variables`")?.rest() {
            single.variables.insert(Arc::from(name), Payload::new(value.value()));
        }
    }
    if let Some(value) = retry_count {
        single.retry_count = u32::try_from(count(&value, "`retry_count`")?)
            .map_err(|_| problem(&value, "`retry_count` is too large"))?;
    }
    Ok(Some(single))
}

fn expected(tree: Option<&Tree>, is_single: bool) -> Result<Expected, Problem> {
    let mut expected = Expected {
        status: "SUCCEEDED".to_owned(),
        output: None,
        output_contains: None,
        paths: Vec::new(),
        holds: Vec::new(),
        next_state: None,
        error: None,
        cause: None,
        cause_contains: None,
        visited: None,
        attempts: BTreeMap::new(),
        variables: BTreeMap::new(),
        elapsed_millis: None,
        history: None,
    };
    let Some(tree) = tree else {
        return Ok(expected);
    };
    let mut members = Members::of(tree, "`expect`")?;
    let has = |name: &str| tree.members()?.into_iter().find(|(known, _)| *known == name);
    let misplaced = match is_single {
        true => ["visited", "attempts", "history", "elapsed_seconds"]
            .iter()
            .find_map(|name| has(name)),
        false => has("next_state"),
    };
    if let Some((name, value)) = misplaced {
        let whose = if is_single {
            "no single `state` has"
        } else {
            "only a single `state` has"
        };
        return Err(problem(&value, format!("`{name}` is what {whose}")));
    }
    let optional = |value: Option<Tree>, what: &str| value.map(|value| text(&value, what)).transpose();
    expected.next_state = optional(members.take("next_state"), "`next_state`")?;
    expected.error = optional(members.take("error"), "`error`")?;
    expected.cause = optional(members.take("cause"), "`cause`")?;
    expected.cause_contains = optional(members.take("cause_contains"), "`cause_contains`")?;
    expected.history = optional(members.take("history"), "`history`")?;
    match members.take("status") {
        Some(value) => {
            expected.status = text(&value, "`status`")?;
            let statuses = if is_single { SINGLE_STATUSES } else { STATUSES };
            if !statuses.contains(&expected.status.as_str()) {
                return Err(problem(
                    &value,
                    format!("`status` must be one of {}", statuses.join(", ")),
                ));
            }
        }
        None if expected.error.is_some() || expected.cause.is_some() || expected.cause_contains.is_some() => {
            "FAILED".clone_into(&mut expected.status);
        }
        None => {}
    }
    expected.output = members.take("output").map(|value| value.value());
    expected.output_contains = members.take("output_contains").map(|value| value.value());
    if let Some(value) = members.take("paths") {
        for (path, value) in Members::of(&value, "`paths`")?.rest() {
            let query = Query::parse(path)
                .map_err(|error| problem(&value, format!("`{path}` is not an RFC 9535 JSONPath: {error}")))?;
            expected.paths.push((path.to_owned(), query, value.value()));
        }
    }
    if let Some(value) = members.take("holds") {
        let list = value.elements().unwrap_or_else(|| vec![value.clone()]);
        for value in list {
            expected.holds.push(condition(&value)?);
        }
    }
    expected.visited = members
        .take("visited")
        .map(|value| texts(&value, "`visited`"))
        .transpose()?;
    if let Some(value) = members.take("attempts") {
        for (state, value) in Members::of(&value, "`attempts`")?.rest() {
            expected
                .attempts
                .insert(state.to_owned(), count(&value, "a number of attempts")?);
        }
    }
    if let Some(value) = members.take("variables") {
        for (name, value) in Members::of(&value, "`variables`")?.rest() {
            expected.variables.insert(name.to_owned(), value.value());
        }
    }
    let elapsed = members.take("elapsed_seconds");
    expected.elapsed_millis = elapsed.map(|value| millis(&value, "`elapsed_seconds`")).transpose()?;
    members.end(EXPECTED_MEMBERS)?;
    Ok(expected)
}

/// Reads a JSONata expression that is to give true.
fn condition(value: &Tree) -> Result<(String, Expression), Problem> {
    let source = text(value, "`holds`")?;
    if !Expression::is_expression(&source) {
        return Err(problem(
            value,
            "`holds` must be a JSONata expression `{% … %}`, or a list of them",
        ));
    }
    // All that a case gave is in `$states.input`.
    match Expression::parse(&source, FieldScope::Input) {
        Ok(expression) => Ok((source, expression)),
        Err(errors) => {
            let messages = errors.into_iter().map(|error| error.message);
            Err(problem(value, in_jsonata("`holds`", messages)))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn what_is_not_understood_is_refused_with_its_place() {
        for (source, expected) in [
            ("[]", "a test file must be an object at line 1 column 1"),
            ("tests: []", "`tests` must be a list with at least one case"),
            ("test: []", "a test file has no member `test`; did you mean `tests`?"),
            ("type: STANDARD", "a test file needs `tests`"),
            ("# nothing", "the file is empty; a test file has `tests`"),
            ("StartAt: A\nStates: {}", "this is a definition, not a test file"),
            ("tests: [{name: 7}]", "`name` must be a text: write \"7\" at line 1"),
            (
                "tests: [{name: a, mocks: {T: }}]",
                "an answer must be an object, such as",
            ),
            (
                "tests: [{name: a, expect: {holds: '{% ( %}'}}]",
                "the JSONata of `holds` cannot be read: ",
            ),
            ("tests: [{name: a}]\nmock: {}", "a test file has no member `mock`"),
            ("tests:\n- input: 1", "a case needs `name` at line 2"),
            (
                "tests:\n- name: a\n  expects: {}",
                "a case has no member `expects`; did you mean `expect`?",
            ),
            (
                "tests:\n- name: a\n  zzz: {}",
                "a case has no member `zzz`; it has `name`, `state`, ",
            ),
            ("tests:\n- name: a\n- name: a", "two cases named `a` at line 3"),
            (
                "tests:\n- name: a\n  expect: {outputs: 1}",
                "`expect` has no member `outputs`",
            ),
            ("tests:\n- name: a\n  expect: {status: DONE}", "`status` must be one of"),
            (
                "tests:\n- name: a\n  expect: {paths: {'$[': 1}}",
                "is not an RFC 9535 JSONPath",
            ),
            (
                "tests:\n- name: a\n  expect: {holds: 'x'}",
                "must be a JSONata expression",
            ),
            ("tests:\n- name: a\n  mock_case: b", "needs the file's `mock_config`"),
            (
                "tests:\n- name: a\n  mocks: {T: {result: 1, error: E}}",
                "takes only one of",
            ),
            ("tests:\n- name: a\n  context: {}", "`context` needs `state`"),
            (
                "tests:\n- {name: a, state: s, field_validation_mode: strict}",
                "must be STRICT, PRESENT or NONE",
            ),
            (
                "tests:\n- name: a\n  expect: {next_state: b}",
                "`next_state` is what only a single `state` has at line 3",
            ),
            (
                "tests:\n- {name: a, state: s, expect: {visited: [s]}}",
                "`visited` is what no single `state` has",
            ),
            (
                "tests:\n- {name: a, state: s, expect: {status: RUNNING}}",
                "one of SUCCEEDED, FAILED, RETRIABLE, CAUGHT_ERROR",
            ),
            (
                "tests:\n- {name: a, mocks: {T: {item: -1, result: 1}}}",
                "`item` must be a whole number",
            ),
            ("tests:\n- name: a\n  mocks: {T: []}", "at least one answer"),
            (
                "tests:\n- name: a\n  mocks: {T: {never: 1, result: 1}}",
                "can only be `true`",
            ),
            (
                "tests:\n- name: a\n  mocks: {T: {heartbeats: 10001, result: 1}}",
                "at most 10000",
            ),
            (
                "mock_config: f\nmocks: {T: {result: 1}}\ntests:\n- name: a\n  mock_case: b",
                "not by both",
            ),
            (
                "tests:\n- name: a\n  mocks: {T: {after: -1, result: 1}}",
                "must be a number of seconds",
            ),
        ] {
            let told = parse(source, Format::Yaml).unwrap_err().to_string();
            assert!(told.contains(expected), "{source}: {told}");
        }
    }

    #[test]
    fn the_schema_has_the_members_of_the_reader() {
        let schema: Value = serde_json::from_str(include_str!("../../schema/stepfn-test.schema.json")).unwrap();
        for (name, members) in [
            ("file", FILE_MEMBERS),
            ("case", CASE_MEMBERS),
            ("expect", EXPECTED_MEMBERS),
            ("answer", crate::suite::mock::MEMBERS),
        ] {
            let definition = &schema["definitions"][name];
            let properties = definition["properties"].as_object().unwrap();
            let told: BTreeSet<String> = properties.keys().map(|name| format!("`{name}`")).collect();
            let read: BTreeSet<String> = members.iter().map(|&name| name.to_owned()).collect();
            assert_eq!(told, read, "{name}");
            assert_eq!(definition["additionalProperties"], false, "{name}");
        }
    }

    #[test]
    fn an_error_that_is_expected_means_a_failure() {
        let file = parse("tests:\n- name: a\n  expect: {error: E}", Format::Yaml).unwrap();
        assert_eq!(file.cases[0].expected.status, "FAILED");
    }
}
