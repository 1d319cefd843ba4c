//! Runs a case that is a list of API calls: kinds `api`, `test_state`, `validation`.

use std::collections::BTreeMap;
use std::time::Duration;
use std::time::Instant;

use regex::Captures;
use regex::Regex;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::case::Case;
use crate::matcher::Difference;
use crate::matcher::Matcher;
use crate::matcher::short;
use crate::server::Client;

/// Members that AWS added to its answers after some of the recordings were made.
pub const LATER: &[&str] = &[
    "encryptionConfiguration",
    "label",
    "redriveCount",
    "redriveDate",
    "redriveStatus",
    "redriveStatusReason",
    "revisionId",
    "variableReferences",
];

/// How long an execution that a case waits for may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Makes the calls in order and compares the answers.
///
/// # Errors
/// The case cannot be understood, or the server does not answer.
pub fn run(case: &Case, client: &mut Client) -> Result<Difference, String> {
    let calls = case.json.get("calls").and_then(Value::as_array);
    let calls = calls.ok_or("the case has no `calls`")?;
    let mut matcher = Matcher::new(&case.placeholders).allowing(LATER);
    let mut answers: BTreeMap<u64, Value> = BTreeMap::new();
    for call in calls {
        if let Some(seconds) = call.get("sleep").and_then(Value::as_f64) {
            std::thread::sleep(Duration::from_secs_f64(seconds.min(1.0)));
        } else if call.get("await").is_some() {
            if case.requires.iter().any(|need| need == "activity") {
                work(case, &answers, client)?;
            }
            pause(&render(call, &answers)?, client)?;
        } else {
            let difference = one(call, client, &mut answers, &mut matcher)?;
            if difference.is_some() {
                return Ok(difference);
            }
        }
    }
    Ok(None)
}

fn one(
    call: &Value,
    client: &mut Client,
    answers: &mut BTreeMap<u64, Value>,
    matcher: &mut Matcher<'_>,
) -> Result<Difference, String> {
    let name = call.get("call").and_then(Value::as_str).unwrap_or_default();
    let number = call.get("n").and_then(Value::as_u64).unwrap_or_default();
    let place = format!("call {number} {name}");
    let params = render(call.get("params").unwrap_or(&json!({})), answers)?;
    let answer = client.call(name, &params);
    let exception = call.get("exception");
    if exception.is_some() || call.get("fails") == Some(&json!(true)) {
        let wanted = |member: &str| exception.and_then(|exception| exception.get(member));
        return Ok(match answer {
            Ok(_) => {
                let code = wanted("code").map_or("an error".to_owned(), short);
                Some(format!("{place}: expected {code}, but it succeeded"))
            }
            Err(fault) if wanted("code").is_some_and(|code| *code != json!(fault.code)) => Some(format!(
                "{place}: expected {}, got {fault}",
                wanted("code").map_or(String::new(), short)
            )),
            Err(fault) => wanted("message")
                .and_then(|message| matcher.diff(message, &json!(fault.message), &format!("{place} message"))),
        });
    }
    let answer = match answer {
        Ok(answer) => Value::Object(answer),
        Err(fault) => return Ok(Some(format!("{place}: unexpected {fault}"))),
    };
    let mut difference = call
        .get("response")
        .and_then(|wanted| matcher.diff(wanted, &answer, &place));
    answers.insert(number, answer.clone());
    for (label, part) in members(call, "composite") {
        let built = part.get("from").and_then(|from| build(from, answers));
        if let (Some(built), Some(wanted)) = (built, part.get("value")) {
            difference = difference.or_else(|| matcher.diff(wanted, &built, &format!("{place} ({label})")));
        }
    }
    for (path, wanted) in members(call, "response_parts") {
        let part = pick(&answer, path).cloned().unwrap_or(Value::Null);
        difference = difference.or_else(|| matcher.diff(wanted, &part, &format!("{place}{path}")));
    }
    Ok(difference)
}

fn members<'a>(call: &'a Value, name: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    call.get(name).and_then(Value::as_object).into_iter().flatten()
}

/// Fills `${3.stateMachineArn}` from the answers so far.
fn render(value: &Value, answers: &BTreeMap<u64, Value>) -> Result<Value, String> {
    let reference = Regex::new(r"\$\{(\d+)\.(\w+)\}").map_err(|error| error.to_string())?;
    let mut missing = None;
    let rendered = fill(value, &mut |text: &str| {
        let found = |captures: &Captures<'_>| -> String {
            let number = captures[1].parse::<u64>().ok();
            let answer = number.and_then(|number| answers.get(&number));
            match answer.and_then(|answer| answer.get(&captures[2])) {
                Some(Value::String(text)) => text.clone(),
                Some(other) => other.to_string(),
                None => {
                    missing = Some(captures[0].to_owned());
                    String::new()
                }
            }
        };
        reference.replace_all(text, found).into_owned()
    });
    match missing {
        None => Ok(rendered),
        Some(reference) => Err(format!("no answer gave {reference}")),
    }
}

fn fill(value: &Value, change: &mut dyn FnMut(&str) -> String) -> Value {
    match value {
        Value::String(text) => Value::from(change(text)),
        Value::Array(items) => Value::Array(items.iter().map(|item| fill(item, change)).collect()),
        Value::Object(members) => {
            let members = members.iter().map(|(name, value)| (name.clone(), fill(value, change)));
            Value::Object(members.collect::<Map<_, _>>())
        }
        other => other.clone(),
    }
}

/// Puts a value together as `composite` says.
fn build(from: &Value, answers: &BTreeMap<u64, Value>) -> Option<Value> {
    if let Some(number) = from.get("$resp").and_then(Value::as_u64) {
        let path = from.get("path").and_then(Value::as_str).unwrap_or_default();
        return pick(answers.get(&number)?, path).cloned();
    }
    if let Some(Value::Object(parts)) = from.get("$dict") {
        let parts: Option<Map<String, Value>> = parts
            .iter()
            .map(|(name, part)| Some((name.clone(), build(part, answers)?)))
            .collect();
        return parts.map(Value::Object);
    }
    if let Some(Value::Array(parts)) = from.get("$list") {
        let parts: Option<Vec<Value>> = parts.iter().map(|part| build(part, answers)).collect();
        return parts.map(Value::Array);
    }
    from.get("$value").cloned()
}

fn pick<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    let parts = path
        .split('/')
        .filter(|part| !part.is_empty() && !part.starts_with('@'));
    parts.into_iter().try_fold(value, |value, part| match value {
        Value::Array(items) => items.get(part.parse::<usize>().ok()?),
        other => other.get(part),
    })
}

/// Plays the activity's worker, who is not in the recording: takes the task and answers as the history tells.
fn work(case: &Case, answers: &BTreeMap<u64, Value>, client: &mut Client) -> Result<(), String> {
    let recorded = Value::Object(case.json.clone());
    let find = |name: &str| find(&recorded, name);
    let arn = answers.values().find_map(|answer| answer.get("activityArn"));
    let worker = find("activityStartedEventDetails").and_then(|details| details.get("workerName"));
    let taken = client.call("GetActivityTask", &json!({ "activityArn": arn, "workerName": worker }))?;
    let token = taken.get("taskToken");
    if let Some(details) = find("activityFailedEventDetails") {
        let text = |name: &str| match details.get(name) {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => Some(text.clone()),
            Some(json) => Some(json.to_string()),
        };
        let failure = json!({ "taskToken": token, "error": text("error"), "cause": text("cause") });
        client.call("SendTaskFailure", &failure)?;
    } else if let Some(details) = find("activitySucceededEventDetails") {
        let output = details.get("output").map(Value::to_string);
        client.call("SendTaskSuccess", &json!({ "taskToken": token, "output": output }))?;
    }
    Ok(())
}

fn find<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    match value {
        Value::Object(members) => members
            .get(name)
            .or_else(|| members.values().find_map(|value| find(value, name))),
        Value::Array(items) => items.iter().find_map(|value| find(value, name)),
        _ => None,
    }
}

/// Waits for what the recorder waited for: the end of an execution, or some of its events.
fn pause(call: &Value, client: &mut Client) -> Result<(), String> {
    let arn = Regex::new(r#"arn:[^"]*:execution:[^"]*"#).map_err(|error| error.to_string())?;
    let text = call.to_string();
    let Some(arn) = arn.find(&text) else {
        return Ok(());
    };
    let what = call.get("await").and_then(Value::as_str).unwrap_or_default();
    if what.contains("started") || what.contains("events") {
        std::thread::sleep(Duration::from_millis(300));
        return Ok(());
    }
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        let described = client.call("DescribeExecution", &json!({ "executionArn": arn.as_str() }));
        match described {
            Ok(described) if described.get("status") == Some(&json!("RUNNING")) => {
                std::thread::sleep(Duration::from_millis(5));
            }
            _ => return Ok(()),
        }
    }
    Err(format!("`{}` did not end in time", arn.as_str()))
}
