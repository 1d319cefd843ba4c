//! Compares what a case gave with what it was to give.

use std::cell::RefCell;

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::model::entropy::Entropy;
use crate::model::payload::Payload;
use crate::query::env::Context;
use crate::query::env::Env;
use crate::query::env::NoVariables;
use crate::query::error::QueryError;
use crate::suite::file::Expected;
use crate::suite::run::Ran;

/// Longest value that a message shows, in characters.
const SHOWN_MAX: usize = 400;

/// Returns what is not as expected, one sentence each; the history aside.
pub fn check(expected: &Expected, ran: &Ran) -> Vec<String> {
    let mut failures = ran.mock_failures.clone();
    let status = ran.status_name();
    if expected.status != status {
        let mut text = format!("The status is {status}, not {}.", expected.status);
        if let Some(error) = ran.error() {
            match (error.name.as_deref(), error.cause.as_deref()) {
                // It is told already.
                (_, Some(cause)) if ran.mock_failures.iter().any(|failure| failure == cause) => {}
                (Some(name), Some(cause)) => text += &format!(" {name}: {cause}"),
                (Some(name), None) => text += &format!(" The error is {name}, without a cause."),
                (None, Some(cause)) => text += &format!(" There is no error name, but the cause: {cause}"),
                (None, None) => text += " There is neither an error name nor a cause.",
            }
        }
        failures.push(text);
    }
    let output = ran.output();
    if let Some(wanted) = &expected.output {
        match output {
            Some(output) if output == wanted => {}
            output => failures
                .extend(difference(wanted, output, "", Fit::Exact).or_else(|| unlike("the output", wanted, output))),
        }
    }
    if let Some(wanted) = &expected.output_contains {
        failures.extend(difference(wanted, output, "", Fit::Contained));
    }
    for (path, query, wanted) in &expected.paths {
        match query.apply(output.unwrap_or(&Value::Null)) {
            Ok(found) if found == *wanted => {}
            Ok(found) => failures.push(format!(
                "`{path}` of the output is {}, not {}.",
                show(&found),
                show(wanted)
            )),
            Err(error) => failures.push(format!("`{path}` cannot be applied to the output: {error}.")),
        }
    }
    for (source, expression) in &expected.holds {
        match evaluate(expression, ran) {
            Ok(Value::Bool(true)) => {}
            Ok(value) => failures.push(format!("`{source}` gives {}, not true.", show(&value))),
            Err(cause) => failures.push(format!("`{source}` fails: {cause}")),
        }
    }
    if let Some(wanted) = &expected.next_state {
        let found = ran.single.as_ref().and_then(|single| single.next_state.as_deref());
        if found != Some(wanted) {
            failures.push(format!("The next state is {}, not {wanted:?}.", quoted(found)));
        }
    }
    let error = ran.error();
    let (name, cause) = (
        error.and_then(|error| error.name.as_deref()),
        error.and_then(|error| error.cause.as_deref()),
    );
    for (what, wanted, found) in [("error", &expected.error, name), ("cause", &expected.cause, cause)] {
        if let Some(wanted) = wanted
            && found != Some(wanted.as_str())
        {
            failures.push(format!("The {what} is {}, not {wanted:?}.", quoted(found)));
        }
    }
    if let Some(part) = &expected.cause_contains
        && !cause.is_some_and(|cause| cause.contains(part))
    {
        failures.push(format!(
            "The cause is {}, which does not contain {part:?}.",
            quoted(cause)
        ));
    }
    if let Some(wanted) = &expected.visited {
        failures.extend(visited(wanted, ran));
    }
    for (state, wanted) in &expected.attempts {
        let found = ran.attempts.get(state.as_str()).copied().unwrap_or(0);
        if found != *wanted {
            failures.push(format!("The task of `{state}` was tried {found} times, not {wanted}."));
        }
    }
    for (name, wanted) in &expected.variables {
        match ran.variables.get(name.as_str()) {
            Some(found) if found == wanted => {}
            Some(found) => failures.push(format!(
                "The variable `{name}` is {}, not {}.",
                show(found),
                show(wanted)
            )),
            None => failures.push(format!("The variable `{name}` was never assigned.")),
        }
    }
    if let Some(wanted) = expected.elapsed_millis
        && wanted != ran.elapsed_millis
    {
        failures.push(format!(
            "It took {} s of virtual time, not {} s.",
            seconds(ran.elapsed_millis),
            seconds(wanted)
        ));
    }
    failures
}

fn quoted(text: Option<&str>) -> String {
    text.map_or_else(|| "absent".to_owned(), |text| format!("{text:?}"))
}

/// Writes milliseconds as seconds.
pub fn seconds(millis: u64) -> String {
    match millis % 1000 {
        0 => (millis / 1000).to_string(),
        rest => format!("{}.{rest:03}", millis / 1000),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fit {
    /// Objects may hold more.
    Contained,
    Exact,
}

/// Finds the first difference. Nesting is bounded by the readers of both values.
fn difference(wanted: &Value, found: Option<&Value>, at: &str, fit: Fit) -> Option<String> {
    match (wanted, found) {
        (Value::Object(wanted), Some(Value::Object(found))) => {
            for (name, wanted) in wanted {
                let difference = difference(wanted, found.get(name), &format!("{at}.{name}"), fit);
                if difference.is_some() {
                    return difference;
                }
            }
            let more = found
                .keys()
                .find(|name| fit == Fit::Exact && !wanted.contains_key(*name))?;
            Some(format!("The output has a member that is not expected: `${at}.{more}`."))
        }
        (Value::Array(wanted), Some(Value::Array(found))) if wanted.len() == found.len() => wanted
            .iter()
            .zip(found)
            .enumerate()
            .find_map(|(n, (wanted, found))| difference(wanted, Some(found), &format!("{at}[{n}]"), fit)),
        (wanted, Some(found)) if wanted == found => None,
        (wanted, found) => unlike(&format!("`${at}` of the output"), wanted, found),
    }
}

fn unlike(what: &str, wanted: &Value, found: Option<&Value>) -> Option<String> {
    let found = found.map_or_else(|| "absent".to_owned(), show);
    let mut letters = what.chars();
    let first = letters.next()?.to_ascii_uppercase();
    Some(format!("{first}{} is {found}, not {}.", letters.as_str(), show(wanted)))
}

fn show(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn visited(wanted: &[String], ran: &Ran) -> Option<String> {
    let found: Vec<&str> = ran.visited.iter().map(|name| &**name).collect();
    if wanted == found {
        return None;
    }
    let n_same = wanted
        .iter()
        .zip(&found)
        .take_while(|(wanted, found)| wanted == *found)
        .count();
    let name = |name: Option<&str>| name.map_or_else(|| "no more".to_owned(), |name| format!("`{name}`"));
    Some(format!(
        "State number {} is {}, not {}; visited were: {}.",
        n_same + 1,
        name(found.get(n_same).copied()),
        name(wanted.get(n_same).map(String::as_str)),
        found.join(", ")
    ))
}

/// Evaluates a condition: `$states.input` has `status`, `output`, `error`, `cause`, `visited`, `variables`.
fn evaluate(expression: &crate::query::jsonata::expression::Expression, ran: &Ran) -> Result<Value, String> {
    let error = ran.error();
    let whole = json!({
        "status": ran.status_name(),
        "output": ran.output(),
        "error": error.and_then(|error| error.name.as_deref()),
        "cause": error.and_then(|error| error.cause.as_deref()),
        "visited": ran.visited,
        "variables": ran.variables,
        "elapsedSeconds": ran.elapsed_millis as f64 / 1000.0,
    });
    let make = |_| Payload::new(Value::Object(Map::new()));
    let context = Context::new(&make);
    let env = Env {
        input: Payload::new(whole),
        result: None,
        error_output: None,
        variables: &NoVariables,
        context: &context,
        entropy: &RefCell::new(Entropy::new(0)),
    };
    expression.evaluate(&env, "holds").map_err(|error| match error {
        QueryError::Runtime(text) | QueryError::ReferencePathConflict(text) => text,
        QueryError::Evaluation { cause, .. } => cause,
    })
}
