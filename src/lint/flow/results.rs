//! The results of the integrations whose members are known.
//!
//! Source: AWS developer guide, the page of each integration; recorded outputs. A member that is not in the table is
//! never in the result; where that is not certain, the integration is not in the table.

use std::sync::Arc;

use crate::asl::definition::Pattern;
use crate::asl::definition::Task;
use crate::lint::flow::shape::Member;
use crate::lint::flow::shape::Origin;
use crate::lint::flow::shape::Shape;
use crate::model::history_event::TaskFamily;
use crate::query::template::Sketch;
use crate::query::template::Template;

/// What a member of a result is.
#[derive(Clone, Copy)]
enum Kind {
    Any,
    Number,
    Text,
}

use Kind::Any;
use Kind::Number;
use Kind::Text;

/// A result: `resourceType`, `resource`, the members that are always there, those that may be.
type Known = (
    &'static str,
    &'static str,
    &'static [(&'static str, Kind)],
    &'static [&'static str],
);

/// What every answer of an AWS service may carry.
const META: &[&str] = &["SdkHttpMetadata", "SdkResponseMetadata"];

const KNOWN: &[Known] = &[
    (
        "apigateway",
        "invoke",
        &[("Headers", Any), ("StatusCode", Number), ("StatusText", Text)],
        &["ResponseBody"],
    ),
    (
        "batch",
        "submitJob",
        &[("JobArn", Text), ("JobId", Text), ("JobName", Text)],
        &[],
    ),
    (
        "dynamodb",
        "deleteItem",
        &[],
        &["Attributes", "ConsumedCapacity", "ItemCollectionMetrics"],
    ),
    ("dynamodb", "getItem", &[], &["ConsumedCapacity", "Item"]),
    (
        "dynamodb",
        "putItem",
        &[],
        &["Attributes", "ConsumedCapacity", "ItemCollectionMetrics"],
    ),
    (
        "dynamodb",
        "updateItem",
        &[],
        &["Attributes", "ConsumedCapacity", "ItemCollectionMetrics"],
    ),
    ("ecs", "runTask", &[("Failures", Any), ("Tasks", Any)], &[]),
    (
        "events",
        "putEvents",
        &[("Entries", Any), ("FailedEntryCount", Number)],
        &[],
    ),
    ("glue", "startJobRun", &[("JobRunId", Text)], &["JobName"]),
    (
        "http",
        "invoke",
        &[("Headers", Any), ("StatusCode", Number), ("StatusText", Text)],
        &["ResponseBody"],
    ),
    (
        "lambda",
        "invoke",
        &[("StatusCode", Number)],
        &["ExecutedVersion", "FunctionError", "LogResult", "Payload"],
    ),
    ("sns", "publish", &[("MessageId", Text)], &["SequenceNumber"]),
    (
        "sqs",
        "sendMessage",
        &[("MD5OfMessageBody", Text), ("MessageId", Text)],
        &[
            "MD5OfMessageAttributes",
            "MD5OfMessageSystemAttributes",
            "SequenceNumber",
        ],
    ),
    (
        "states",
        "startExecution",
        &[("ExecutionArn", Text), ("StartDate", Any)],
        &[],
    ),
    (
        "states",
        "startExecution.sync",
        &[("Output", Text), ("Input", Text)],
        EXECUTION,
    ),
    (
        "states",
        "startExecution.sync:2",
        &[("Output", Any), ("Input", Any)],
        EXECUTION,
    ),
];

/// What describes an ended execution beside its input and output.
const EXECUTION: &[&str] = &[
    "Cause",
    "Error",
    "ExecutionArn",
    "InputDetails",
    "MapRunArn",
    "Name",
    "OutputDetails",
    "RedriveCount",
    "RedriveDate",
    "RedriveStatus",
    "RedriveStatusReason",
    "StartDate",
    "StateMachineAliasArn",
    "StateMachineArn",
    "StateMachineVersionArn",
    "Status",
    "StopDate",
    "TraceHeader",
];

/// Returns what is known of a task's result.
pub(super) fn of_task(task: &Task, parameters: Option<&Template>, origin: Origin) -> Shape {
    let TaskFamily::Integration {
        resource_type,
        resource,
    } = &task.resource.family
    else {
        return Shape::Unknown;
    };
    // Whoever has the token of a waiting task, of `.sync` too, answers what he likes.
    let answers_token = match task.resource.pattern {
        Pattern::RequestResponse => false,
        Pattern::Sync | Pattern::Sync2 => parameters.is_some_and(|template| gives_token(&template.sketch())),
        Pattern::WaitForTaskToken => true,
    };
    if answers_token {
        return Shape::Unknown;
    }
    let known = KNOWN
        .iter()
        .find(|(service, action, ..)| **service == **resource_type && **action == **resource);
    let Some((_, _, always, sometimes)) = known else {
        return Shape::Unknown;
    };
    let always = always.iter().map(|(name, kind)| {
        let shape = match kind {
            Any => Shape::Unknown,
            Number => Shape::number(),
            Text => Shape::text(),
        };
        (Arc::from(*name), Member::sure(shape))
    });
    let sometimes = sometimes.iter().chain(META);
    let sometimes = sometimes.map(|name| (Arc::from(*name), Member::unclear(Shape::Unknown)));
    Shape::object(always.chain(sometimes).collect::<Vec<_>>(), origin)
}

/// Tells whether a template hands out the task's token.
fn gives_token(sketch: &Sketch<'_>) -> bool {
    let is_token = |text: &str| text.contains("Task") || text == "$$";
    match sketch {
        Sketch::Array(items) => items.iter().any(gives_token),
        Sketch::Object(members) => members.iter().any(|(_, sketch)| gives_token(sketch)),
        Sketch::Call(call) => call.text().contains("$$"),
        Sketch::Expression(expression) => {
            expression.text().contains("context")
                && (is_token(expression.text()) || !expression.text().contains("context."))
        }
        Sketch::Path(path) => is_token(path.text()),
        Sketch::Known(_) | Sketch::Unknown => false,
    }
}
