//! Checks a mocked result against what the AWS operation returns.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::LazyLock;

use flate2::read::ZlibDecoder;
use serde::Deserialize;
use serde_json::Value;

use crate::asl::definition::Pattern;
use crate::asl::definition::Resource;
use crate::model::history_event::TaskFamily;

/// Made by `scripts/service-shapes`, which describes the layout.
static FILE: &[u8] = include_bytes!("service_shapes/shapes.bin");

/// Where each service's table begins in the file, and its length.
static INDEX: LazyLock<BTreeMap<String, (usize, usize)>> = LazyLock::new(|| {
    let end = FILE.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    let index: BTreeMap<String, (usize, usize)> = serde_json::from_slice(&FILE[..end]).unwrap_or_default();
    let places = index.into_iter();
    places
        .map(|(service, (offset, length))| (service, (end + 1 + offset, length)))
        .collect()
});

/// Services that the optimized integrations call otherwise than the SDK integrations do.
const OPTIMIZED: &[(&str, &str)] = &[
    ("elasticmapreduce", "emr"),
    ("emr-containers", "emrcontainers"),
    ("emr-serverless", "emrserverless"),
    ("events", "eventbridge"),
    ("states", "sfn"),
];

/// What `.sync` returns: the answer of the operation by which the job is watched. Jobs that are not listed return a part
/// of such an answer, or what no operation returns; they are not checked.
const POLLED: &[(&str, &str, &str)] = &[
    ("athena", "startQueryExecution", "GetQueryExecution"),
    ("databrew", "startJobRun", "DescribeJobRun"),
    ("mediaconvert", "createJob", "GetJob"),
    (
        "sagemaker",
        "createHyperParameterTuningJob",
        "DescribeHyperParameterTuningJob",
    ),
    ("sagemaker", "createLabelingJob", "DescribeLabelingJob"),
    ("sagemaker", "createProcessingJob", "DescribeProcessingJob"),
    ("sagemaker", "createTrainingJob", "DescribeTrainingJob"),
    ("sagemaker", "createTransformJob", "DescribeTransformJob"),
    ("states", "startExecution", "DescribeExecution"),
];

/// Members that an optimized integration gives as JSON where the operation has bytes.
const READ_AS_JSON: &[(&str, &str)] = &[("bedrock", "Body"), ("lambda", "Payload")];

/// What of a result is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strictness {
    /// Members that are there.
    Present,
    /// Required members must be there, too.
    Strict,
}

/// The results of one service's operations.
#[derive(Deserialize)]
struct Table {
    #[serde(rename = "o")]
    operations: BTreeMap<String, usize>,
    #[serde(rename = "s")]
    shapes: Vec<Shape>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Shape {
    Plain(Plain),
    Structure {
        #[serde(rename = "m")]
        members: BTreeMap<String, usize>,
        #[serde(rename = "r", default)]
        required: Vec<String>,
    },
    List {
        #[serde(rename = "l")]
        item: usize,
        #[serde(flatten)]
        bounds: Bounds,
    },
    Map {
        #[serde(rename = "v")]
        value: usize,
        #[serde(flatten)]
        bounds: Bounds,
    },
    Bounded {
        #[serde(rename = "t")]
        plain: Plain,
        #[serde(rename = "e", default)]
        values: Vec<String>,
        #[serde(flatten)]
        bounds: Bounds,
    },
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
enum Plain {
    #[serde(rename = "b")]
    Boolean,
    #[serde(rename = "d")]
    Document,
    #[serde(rename = "n")]
    Number,
    #[serde(rename = "s")]
    Text,
    /// Base64 or UTF-8 in JSON.
    #[serde(rename = "x")]
    Binary,
    /// ISO 8601 in JSON.
    #[serde(rename = "t")]
    Timestamp,
}

#[derive(Clone, Copy, Deserialize)]
struct Bounds {
    #[serde(rename = "n")]
    least: Option<f64>,
    #[serde(rename = "x")]
    most: Option<f64>,
}

/// Says what is wrong with a task's result, in AWS's words; nothing for a task whose results are not known.
pub fn problem(resource: &Resource, result: &Value, strictness: Strictness) -> Option<String> {
    let (service, operation, is_optimized) = operation(resource)?;
    let word = match is_optimized {
        true => OPTIMIZED
            .iter()
            .find(|(name, _)| *name == service)
            .map(|(_, word)| *word),
        false => None,
    };
    let table = table(word.unwrap_or(&service))?;
    let shape = *table.operations.get(&operation)?;
    if !result.is_object() {
        return Some("Mocked result must be a JSON object.".to_owned());
    }
    let check = Check {
        table: &table,
        strictness,
        skipped: READ_AS_JSON
            .iter()
            .find(|(name, _)| is_optimized && *name == service)
            .map(|(_, member)| *member),
    };
    let problem = check.run(shape, result)?;
    Some(format!("Mock result schema validation error: {problem}"))
}

/// Returns the service's word, the operation whose answer is the result, and whether the integration is an optimized one.
fn operation(resource: &Resource) -> Option<(String, String, bool)> {
    let TaskFamily::Integration {
        resource_type,
        resource: action,
    } = &resource.family
    else {
        return None;
    };
    let action = action.split('.').next()?;
    let sdk_service = resource_type.strip_prefix("aws-sdk:");
    let service = sdk_service.unwrap_or(resource_type);
    let operation = match resource.pattern {
        // What comes back is what somebody sends with the token.
        Pattern::WaitForTaskToken => return None,
        Pattern::RequestResponse => {
            let mut letters = action.chars();
            let first = letters.next()?.to_ascii_uppercase();
            format!("{first}{}", letters.as_str())
        }
        Pattern::Sync | Pattern::Sync2 => {
            let row = POLLED
                .iter()
                .find(|(name, job, _)| *name == service && *job == action)?;
            row.2.to_owned()
        }
    };
    Some((service.to_owned(), operation, sdk_service.is_none()))
}

fn table(service: &str) -> Option<Table> {
    let (offset, length) = *INDEX.get(service)?;
    let mut text = Vec::new();
    ZlibDecoder::new(FILE.get(offset..offset + length)?)
        .read_to_end(&mut text)
        .ok()?;
    serde_json::from_slice(&text).ok()
}

struct Check<'t> {
    table: &'t Table,
    strictness: Strictness,
    /// A member of the result itself that may hold anything.
    skipped: Option<&'t str>,
}

impl Check<'_> {
    /// Returns the first problem, depth first. Values are queued, not recursed into.
    fn run(&self, shape: usize, result: &Value) -> Option<String> {
        let mut todo = vec![("", shape, result)];
        while let Some((name, shape, value)) = todo.pop() {
            let from = todo.len();
            match self.table.shapes.get(shape)? {
                Shape::Plain(plain) => {
                    if let Some(problem) = plain.problem(value) {
                        return Some(field(name, problem));
                    }
                }
                Shape::Bounded { plain, values, bounds } => {
                    let problem = plain.problem(value).or_else(|| match value {
                        Value::String(text) if !values.is_empty() => {
                            (!values.contains(text)).then_some("is not an expected value")
                        }
                        Value::String(text) => bounds.length_problem(text.chars().count()),
                        _ => bounds.value_problem(value.as_f64()?),
                    });
                    if let Some(problem) = problem {
                        return Some(field(name, problem));
                    }
                }
                Shape::List { item, bounds } => {
                    let Some(items) = value.as_array() else {
                        return Some(field(name, "must be an array"));
                    };
                    if let Some(problem) = bounds.length_problem(items.len()) {
                        return Some(field(name, problem));
                    }
                    todo.extend(items.iter().map(|value| (name, *item, value)));
                }
                Shape::Map { value: of, bounds } => {
                    let Some(map) = value.as_object() else {
                        return Some(field(name, "must be an object"));
                    };
                    if let Some(problem) = bounds.length_problem(map.len()) {
                        return Some(field(name, problem));
                    }
                    todo.extend(map.iter().map(|(key, value)| (key.as_str(), *of, value)));
                }
                Shape::Structure { members, required } => {
                    let Some(map) = value.as_object() else {
                        return Some(field(name, "must be an object"));
                    };
                    let is_absent = |member: &&String| map.get(*member).is_none_or(Value::is_null);
                    if self.strictness == Strictness::Strict
                        && let Some(missing) = required.iter().find(is_absent)
                    {
                        return Some(format!("Required field '{missing}' is missing"));
                    }
                    let is_whole = from == 0 && name.is_empty();
                    for (member, value) in map {
                        let is_skipped = is_whole && self.skipped == Some(member.as_str());
                        // Members that the operation does not have are ignored (recorded).
                        if let Some(shape) = members.get(member)
                            && !value.is_null()
                            && !is_skipped
                        {
                            todo.push((member, *shape, value));
                        }
                    }
                }
            }
            todo[from..].reverse();
        }
        None
    }
}

impl Plain {
    fn problem(self, value: &Value) -> Option<&'static str> {
        match self {
            Self::Boolean => (!value.is_boolean()).then_some("must be a boolean"),
            Self::Document => None,
            Self::Number => (!value.is_number()).then_some("must be a number"),
            Self::Text | Self::Binary | Self::Timestamp => (!value.is_string()).then_some("must be a string"),
        }
    }
}

impl Bounds {
    fn length_problem(self, length: usize) -> Option<&'static str> {
        let length = length as f64;
        if self.least.is_some_and(|least| length < least) {
            return Some("is smaller than the minimum length");
        }
        self.most
            .is_some_and(|most| most < length)
            .then_some("exceeds the maximum length")
    }

    fn value_problem(self, value: f64) -> Option<&'static str> {
        if self.least.is_some_and(|least| value < least) {
            return Some("is less than the minimum value");
        }
        self.most
            .is_some_and(|most| most < value)
            .then_some("exceeds the maximum value")
    }
}

fn field(name: &str, problem: &str) -> String {
    format!("Field '{name}' {problem}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::asl::definition::StateKind;
    use crate::asl::load::Options;
    use crate::asl::load::compile;

    #[track_caller]
    fn check(resource: &str, result: &Value, strictness: Strictness, expected: &str) {
        let language = r#""QueryLanguage":"JSONata","Arguments":"{% $states.input %}""#;
        let state = format!(r#"{{"Type":"Task",{language},"Resource":"arn:aws:states:::{resource}","End":true}}"#);
        let machine = format!(r#"{{"StartAt":"T","States":{{"T":{state}}}}}"#);
        let machine = compile(&machine, &Options::default()).expect("the definition is accepted");
        let StateKind::Task(task) = &machine.states[0].kind else {
            panic!("it is a Task");
        };
        let found = problem(&task.resource, result, strictness).unwrap_or_default();
        let found = found.trim_start_matches("Mock result schema validation error: ");
        assert_eq!(found, expected, "{resource} {result}");
    }

    #[test]
    fn members_are_checked_by_kind_and_bounds() {
        for (resource, result, expected) in [
            (
                "sqs:sendMessage",
                json!({"MessageId": 1}),
                "Field 'MessageId' must be a string",
            ),
            ("sqs:sendMessage", json!({"MessageId": null, "Other": 1}), ""),
            ("sqs:sendMessage", json!([]), "Mocked result must be a JSON object."),
            (
                "dynamodb:getItem",
                json!({"Item": {"id": {"N": 1}}}),
                "Field 'N' must be a string",
            ),
            (
                "dynamodb:getItem",
                json!({"Item": []}),
                "Field 'Item' must be an object",
            ),
            (
                "aws-sdk:dynamodb:query",
                json!({"Items": {"id": 1}}),
                "Field 'Items' must be an array",
            ),
            (
                "aws-sdk:dynamodb:describeTable",
                json!({"Table": {"TableStatus": "SLEEPING"}}),
                "Field 'TableStatus' is not an expected value",
            ),
            (
                "aws-sdk:kms:generateDataKey",
                json!({"KeyId": ""}),
                "Field 'KeyId' is smaller than the minimum length",
            ),
            (
                "aws-sdk:sqs:receiveMessage",
                json!({"Messages": [{"Body": "b"}, {"Body": 2}, {"MessageId": 3}]}),
                "Field 'Body' must be a string",
            ),
            ("ecs:runTask", json!({"Tasks": [{"Connectivity": "CONNECTED"}]}), ""),
            (
                "events:putEvents",
                json!({"FailedEntryCount": "0"}),
                "Field 'FailedEntryCount' must be a number",
            ),
            (
                "aws-sdk:lambda:getFunction",
                json!({"Code": {"Location": true}}),
                "Field 'Location' must be a string",
            ),
        ] {
            check(resource, &result, Strictness::Present, expected);
        }
    }

    #[test]
    fn only_strict_demands_what_is_required() {
        let without_date = json!({"ExecutionArn": "a"});
        let missing = "Required field 'StartDate' is missing";
        check("states:startExecution", &without_date, Strictness::Strict, missing);
        check("states:startExecution", &without_date, Strictness::Present, "");
        check(
            "aws-sdk:sfn:startExecution",
            &json!({}),
            Strictness::Strict,
            "Required field 'ExecutionArn' is missing",
        );
    }

    #[test]
    fn a_job_is_checked_as_what_watches_it() {
        let result = json!({"ExecutionArn": "a", "StateMachineArn": "a", "Status": "SUCCEEDED", "StartDate": 5});
        check(
            "states:startExecution.sync:2",
            &result,
            Strictness::Strict,
            "Field 'StartDate' must be a string",
        );
        check("glue:startJobRun.sync", &json!({"Id": 1}), Strictness::Strict, "");
    }

    #[test]
    fn what_no_table_knows_is_not_checked() {
        for resource in [
            "lambda:invoke.waitForTaskToken",
            "apigateway:invoke",
            "http:invoke",
            "aws-sdk:nobodyknows:doThings",
            "debian:shell.run",
        ] {
            check(resource, &json!({"StatusCode": "no"}), Strictness::Strict, "");
        }
        check("lambda:invoke", &json!({"Payload": {"any": 1}}), Strictness::Strict, "");
        check(
            "aws-sdk:lambda:invoke",
            &json!({"Payload": {"any": 1}}),
            Strictness::Strict,
            "Field 'Payload' must be a string",
        );
    }

    #[test]
    fn every_table_can_be_read() {
        assert!(!INDEX.is_empty());
        for service in INDEX.keys() {
            let table = table(service).unwrap_or_else(|| panic!("{service} can be read"));
            let n_shapes = table.shapes.len();
            assert!(table.operations.values().all(|shape| *shape < n_shapes), "{service}");
        }
    }
}
