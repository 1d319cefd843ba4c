//! Quotas at their exact edges, and what a restart must not double.

use super::*;
use crate::asl::definition::Definition;

fn machine(definition: &Value) -> Arc<Definition> {
    Arc::new(compile(&definition.to_string(), &Options::default()).expect("valid"))
}

/// Runs without keeping the history; returns the status and the last event's line.
fn last_event(definition: &Value, start: Start, mut script: Script) -> (Status, String) {
    let mut last = None;
    let mut observer = |event: HistoryEvent| last = Some(event);
    let machine = machine(definition);
    let (status, _) = run_observed(&machine, start, Timestamp(0), &mut script, u64::MAX, &mut observer);
    let last = last.map(|event| format!("{}<{} {}", event.id, event.previous, event.type_name()));
    (status, last.unwrap_or_default())
}

/// `rounds` rounds of a Pass and a Choice, four events each; then `Succeed` or, behind `more` Passes, that.
fn counting(rounds: u64, more: usize) -> Value {
    let mut states = serde_json::Map::new();
    let n_left = "{% $states.input - 1 %}";
    states.insert("A".into(), json!({"Type": "Pass", "Output": n_left, "Next": "B"}));
    let choices = json!([{"Condition": "{% $states.input > 0 %}", "Next": "A"}]);
    states.insert(
        "B".into(),
        json!({"Type": "Choice", "Choices": choices, "Default": "P0"}),
    );
    for n in 0..more {
        let next = format!("P{}", n + 1);
        states.insert(format!("P{n}"), json!({"Type": "Pass", "Next": next}));
    }
    states.insert(format!("P{more}"), json!({"Type": "Succeed"}));
    let start = json!({"Type": "Pass", "Output": rounds, "Next": "A"});
    states.insert("S".into(), start);
    json!({"StartAt": "S", "States": states})
}

fn jsonata(mut block: Value) -> Value {
    block["QueryLanguage"] = "JSONata".into();
    block
}

#[test]
fn the_event_of_number_25_000_is_the_last_one() {
    let limit = "The execution reached the maximum number of history events (25000).";
    let reached = Status::Failed(StatesError::new("States.Runtime", limit));
    let branch = |rounds, more| {
        let parallel = json!({"Type": "Parallel", "Branches": [counting(rounds, more)], "End": true});
        jsonata(json!({"StartAt": "Both", "States": {"Both": parallel}}))
    };
    // ExecutionStarted, 2 for S, 4 for each round, 2 for Succeed, ExecutionSucceeded: 6 + 4 n; 2 for each Pass more.
    // A Parallel adds 4.
    for (definition, succeeds, last) in [
        (jsonata(counting(6_248, 1)), true, "25000<24999 ExecutionSucceeded"),
        (jsonata(counting(6_248, 2)), false, "25000<24999 ExecutionFailed"),
        (branch(6_247, 1), true, "25000<24999 ExecutionSucceeded"),
        (branch(6_247, 2), false, "25000<24999 ExecutionFailed"),
        (branch(6_248, 0), false, "25000<24999 ExecutionFailed"),
    ] {
        let (status, got) = last_event(&definition, start("{}"), Script::default());
        assert_eq!(got, last);
        match succeeds {
            true => assert!(matches!(status, Status::Succeeded(_)), "{status:?}"),
            false => assert_eq!(status, reached),
        }
    }
}

#[test]
fn an_endless_loop_of_an_express_execution_times_out() {
    let definition = json!({"StartAt": "A", "States": {
        "A": {"Type": "Choice", "Choices": [{"Variable": "$.x", "IsPresent": true, "Next": "B"}], "Default": "A"},
        "B": {"Type": "Succeed"}}});
    let express = Start {
        express: true,
        ..start("{}")
    };
    let (status, _) = last_event(&definition, express, Script::default());
    assert_eq!(status, Status::TimedOut(StatesError::named("States.Timeout")));
}

#[test]
fn variables_fill_ten_mebibytes_and_no_more() {
    // A text of that many letters is 262,144 bytes of JSON, 40 of them 10 MiB.
    let text = json!("x".repeat(262_142));
    let filled = |n_more: usize| {
        let mut states = serde_json::Map::new();
        let mut first = task(&json!({"Next": "V0"}));
        first.as_object_mut().expect("object").remove("End");
        states.insert("T".into(), first);
        for n in 0..40 {
            let next = format!("V{}", n + 1);
            let assign = json!({format!("v{n}.$"): "$"});
            states.insert(format!("V{n}"), json!({"Type": "Pass", "Assign": assign, "Next": next}));
        }
        let last = match n_more {
            0 => json!({"Type": "Pass", "Assign": {"v7.$": "$"}, "Result": 1, "End": true}),
            _ => json!({"Type": "Pass", "Assign": {"one": 1}, "Result": 1, "End": true}),
        };
        states.insert("V40".into(), last);
        let definition = json!({"StartAt": "T", "States": states});
        let script = Script::default().on("T", [Answer::Succeed(text.clone())]);
        last_event(&definition, start("{}"), script).0
    };
    assert_eq!(filled(0), Status::Succeeded(Payload::new(json!(1))));
    let Status::Failed(error) = filled(1) else {
        panic!("too many variables are accepted");
    };
    assert_eq!(error.name.as_deref(), Some("States.DataLimitExceeded"));
}

#[test]
fn variables_of_ended_branches_count_no_more() {
    let text = json!("x".repeat(262_142));
    let block = json!({"StartAt": "V", "States": {
        "V": {"Type": "Pass", "Assign": {"v.$": "$.t"}, "Parameters": {"t.$": "$.t"}, "Next": "E"},
        "E": {"Type": "Pass", "Result": 1, "End": true}}});
    let selector = json!({"t.$": "$.t"});
    let map = json!({"Type": "Map", "ItemsPath": "$.n", "ItemSelector": selector, "ItemProcessor": block,
        "MaxConcurrency": 30, "ResultPath": null, "Next": "Z"});
    let mut first = task(&json!({"ResultPath": "$.t", "Next": "M"}));
    first.as_object_mut().expect("object").remove("End");
    let last = json!({"Type": "Pass", "Result": 1, "End": true});
    let definition = json!({"StartAt": "T", "States": {"T": first, "M": map, "Z": last}});
    let items: Vec<u32> = (0..60).collect();
    let text = text.as_str().map(|text| &text[..262_142 - 400]).unwrap_or_default();
    let script = Script::default().on("T", [Answer::Succeed(json!(text))]);
    let input = json!({ "n": items }).to_string();
    let (status, _) = last_event(&definition, start(&input), script);
    assert_eq!(status, Status::Succeeded(Payload::new(json!(1))));
}

#[test]
fn a_task_that_is_issued_again_is_submitted_once() {
    let state = json!({"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
        "Parameters": {"MessageBody.$": "$$.Task.Token"}, "HeartbeatSeconds": 5, "End": true});
    let mut execution = Execution::new(machine(&one(&state)));
    let mut written = Written::default();
    let task = TaskId(1);
    let submitted = EventKind::TaskSubmitted {
        task,
        output: json!({}).into(),
    };
    let kinds = [
        EventKind::Start(start("{}")),
        submitted.clone(),
        submitted,
        EventKind::TaskSucceeded {
            task,
            output: json!(1).into(),
        },
    ];
    for (seconds, kind) in (0..).zip(kinds) {
        let at = Timestamp(seconds * 1_000);
        assert_eq!(execution.advance(&Event { at, kind }, &mut written), Ok(()));
    }
    expect![[r#"
        1<0 ExecutionStarted 0.000
        2<0 TaskStateEntered:A 0.000
        3<2 TaskScheduled 0.000
        4<3 TaskStarted 1.000
        5<4 TaskSubmitted 1.000
        6<5 TaskSucceeded 3.000
        7<6 TaskStateExited:A 3.000
        8<7 ExecutionSucceeded 3.000
    "#]]
    .assert_eq(&print_history(&written.0));
}

#[test]
fn a_result_selector_draws_once() {
    // Each draw moves the seed on: the next state's number tells how many there were.
    let machine = |selector: Value| {
        let mut parallel = json!({"Type": "Parallel", "Branches": [
            {"StartAt": "P", "States": {"P": {"Type": "Pass", "End": true}}}], "Next": "N"});
        let mut last = json!({"Type": "Pass", "Parameters": {"second.$": "States.UUID()"}, "End": true});
        match selector {
            Value::Null => last["Parameters"] = json!({"first.$": "States.UUID()", "second.$": "States.UUID()"}),
            selector => parallel["ResultSelector"] = selector,
        }
        last["OutputPath"] = "$.second".into();
        json!({"StartAt": "A", "States": {"A": parallel, "N": last}})
    };
    let end = |definition: Value| last_event(&definition, start("{}"), Script::default()).0;
    let with_selector = end(machine(json!({"u.$": "States.UUID()"})));
    assert!(matches!(with_selector, Status::Succeeded(_)));
    assert_eq!(with_selector, end(machine(Value::Null)));
}

#[derive(Default)]
struct Written(Vec<HistoryEvent>);

impl Outbox for Written {
    fn command(&mut self, _: Command) {}
    fn history(&mut self, event: HistoryEvent) {
        self.0.push(event);
    }
}
