//! Makes graphs for tests.

use serde_json::Value;
use serde_json::json;

use crate::asl::load::Options;
use crate::asl::load::compile;
use crate::graph::model::Graph;
use crate::graph::overlay::Ending;
use crate::graph::overlay::Overlay;
use crate::graph::overlay::Visit;

/// Compiles a machine and makes its graph.
pub(super) fn graph(machine: &Value) -> Graph {
    let options = Options {
        open_placeholders: true,
        ..Options::default()
    };
    let definition = compile(&machine.to_string(), &options).expect("the definition compiles");
    Graph::of(&definition, machine)
}

/// A machine with every kind of state and edge, and blocks in it.
pub(super) fn every_kind() -> Value {
    json!({"StartAt": "Ask", "States": {
        "Ask": {
            "Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
            "Parameters": {"QueueUrl": "u", "MessageBody.$": "$$.Task.Token"},
            "TimeoutSeconds": 60, "HeartbeatSecondsPath": "$.beat", "Retry": [{"ErrorEquals": ["States.ALL"]}],
            "Catch": [
                {"ErrorEquals": ["States.Timeout"], "Next": "Gone"},
                {"ErrorEquals": ["States.ALL"], "Next": "Gone"},
            ],
            "Next": "Which",
        },
        "Which": {
            "Type": "Choice",
            "Choices": [
                {"Variable": "$.n", "NumericLessThan": 3, "Next": "Ask"},
                {"Variable": "$.kind", "StringEquals": "a\"b", "Next": "Both"},
            ],
            "Default": "Pause",
        },
        "Pause": {"Type": "Wait", "Seconds": 5, "Next": "Each"},
        "Both": {
            "Type": "Parallel",
            "Branches": [
                {"StartAt": "Left", "States": {"Left": {"Type": "Pass", "End": true}}},
                {"StartAt": "Right", "States": {"Right": {"Type": "Succeed"}}},
            ],
            "Next": "Each",
        },
        "Each": {
            "Type": "Map", "MaxConcurrency": 4,
            "ItemProcessor": {"StartAt": "Item", "States": {"Item": {"Type": "Pass", "End": true}}},
            "End": true,
        },
        "Gone": {"Type": "Fail", "Error": "Gone"},
    }})
}

/// A graph, and what an execution did: a retry that helped, an error that was caught.
pub(super) fn executed() -> (Graph, Overlay) {
    let graph = graph(&json!({"StartAt": "A", "States": {
        "A": {"Type": "Task", "Resource": "${a}", "Next": "B", "Catch": [{"ErrorEquals": ["F"], "Next": "D"}]},
        "B": {"Type": "Task", "Resource": "${b}", "End": true, "Catch": [{"ErrorEquals": ["E"], "Next": "C"}]},
        "C": {"Type": "Fail", "Error": "E2"},
        "D": {"Type": "Pass", "Next": "B"},
    }}));
    let visit = |name: &str, n_attempts, error: Option<&str>, ending, previous| Visit {
        name: name.to_owned(),
        millis: Some(1_234),
        n_attempts,
        error: error.map(str::to_owned),
        ending,
        previous,
    };
    let visits = [
        visit("A", 3, Some("Flaky"), Ending::Left, None),
        visit("B", 1, Some("E"), Ending::Caught, Some(0)),
        visit("C", 0, Some("E2"), Ending::Failed, Some(1)),
    ];
    let overlay = Overlay::of(&graph, &visits).expect("the states are the graph's");
    (graph, overlay)
}
