//! The driver's own promises: order, limits, children.

use super::*;
use crate::asl::load;
use crate::model::id::BlockId;
use crate::model::quota::Quotas;
use crate::model::token::TokenKey;
use crate::sim::check;
use serde_json::Value;
use serde_json::json;

/// Answers every task after so many milliseconds, or never; with its number.
struct After(Option<u64>, u64);

impl Tasks for After {
    fn answer(&mut self, task: &StartTask) -> Vec<Report> {
        let id = task.task;
        self.1 += 1;
        let started = EventKind::TaskStarted {
            task: id,
            worker_name: None,
        };
        let succeeded = EventKind::TaskSucceeded {
            task: id,
            output: json!(self.1).into(),
        };
        let end = self.0.map(|delay_millis| Report {
            delay_millis,
            kind: succeeded,
        });
        let started = Report {
            delay_millis: 0,
            kind: started,
        };
        std::iter::once(started).chain(end).collect()
    }
}

fn definition(json: Value) -> Arc<Definition> {
    Arc::new(load::compile(&json.to_string(), &load::Options::default()).unwrap())
}

fn start(input: Value) -> Start {
    let prefix = "arn:aws:states:us-east-1:111111111111";
    Start {
        execution_arn: format!("{prefix}:execution:M:x").into(),
        name: "x".into(),
        state_machine_arn: format!("{prefix}:stateMachine:M").into(),
        state_machine_name: "M".into(),
        role_arn: "arn:aws:iam::111111111111:role/r".into(),
        input: input.into(),
        seed: 7,
        quotas: Quotas::Aws,
        token_key: TokenKey::from_seed(1),
        wait_scale: 1.0,
        version_arn: None,
        alias_arn: None,
        express: false,
        synchronous: false,
        block: BlockId(0),
    }
}

fn lambda(more: Value) -> Value {
    let mut state = json!({"Type": "Task", "End": true,
        "Resource": "arn:aws:lambda:us-east-1:111111111111:function:f"});
    state.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"StartAt": "T", "States": {"T": state}})
}

fn distributed(processor: Value) -> Value {
    let mut processor = processor;
    processor["ProcessorConfig"] = json!({"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"});
    json!({"StartAt": "M", "States": {"M": {"Type": "Map", "Label": "L", "ItemProcessor": processor, "End": true}}})
}

fn output(outcome: &Outcome) -> &Value {
    match &outcome.status {
        Status::Succeeded(output) => output.value(),
        status => panic!("{status:?}\n{}", check::print_history(&outcome.history)),
    }
}

#[test]
fn tasks_that_start_together_take_turns() {
    let mut second = lambda(json!({}));
    second["StartAt"] = json!("U");
    second["States"]["U"] = second["States"]["T"].take();
    second["States"].as_object_mut().unwrap().remove("T");
    let machine = json!({"StartAt": "P", "States": {"P": {"Type": "Parallel", "End": true,
        "Branches": [lambda(json!({})), second]}}});
    let machine = definition(machine);
    let outcome = run(&machine, start(json!({})), Timestamp(0), &mut After(Some(0), 0));
    assert_eq!(*output(&outcome), json!([1, 2]));
    let types: Vec<String> = outcome.history.iter().map(HistoryEvent::type_name).collect();
    let lambda: Vec<&str> = types
        .iter()
        .filter_map(|name| name.strip_prefix("LambdaFunction"))
        .collect();
    assert_eq!(
        lambda,
        ["Scheduled", "Scheduled", "Started", "Started", "Succeeded", "Succeeded"]
    );
    check::replay_and_restore(&machine, &outcome.journal, &outcome.history);
}

#[test]
fn a_report_comes_before_the_deadline_of_the_same_instant() {
    let machine = definition(lambda(json!({"TimeoutSeconds": 5})));
    let in_time = run(&machine, start(json!({})), Timestamp(0), &mut After(Some(5000), 0));
    assert_eq!(*output(&in_time), json!(1));
    let late = run(&machine, start(json!({})), Timestamp(0), &mut After(Some(5001), 0));
    assert!(matches!(late.status, Status::Failed(_)));
    assert_eq!(late.ended, Timestamp(5000));
}

#[test]
fn silence_lasts_as_long_as_an_execution_may() {
    let machine = definition(lambda(json!({})));
    let outcome = run(&machine, start(json!({})), Timestamp(0), &mut After(None, 0));
    assert!(matches!(outcome.status, Status::TimedOut(_)));
    assert_eq!(outcome.ended, Timestamp(31_536_000_000));
    let endless = Start {
        quotas: Quotas::Off,
        ..start(json!({}))
    };
    let outcome = run(&machine, endless, Timestamp(0), &mut After(None, 0));
    assert_eq!(outcome.status, Status::Running);
    assert_eq!(outcome.journal.len(), 2);
}

#[test]
fn the_step_limit_holds() {
    let choices = json!([{"Variable": "$.stop", "IsPresent": true, "Next": "E"}]);
    let machine = definition(json!({"StartAt": "W", "States": {
        "W": {"Type": "Wait", "Seconds": 1, "Next": "C"},
        "C": {"Type": "Choice", "Choices": choices, "Default": "W"},
        "E": {"Type": "Succeed"}}}));
    let outcome = run_with(&machine, start(json!({})), Timestamp(0), &mut After(None, 0), 10);
    assert_eq!(outcome.status, Status::Running);
    assert_eq!(outcome.journal.len(), 10);
    assert_eq!(outcome.ended, Timestamp(9000));
}

#[test]
fn children_run_in_the_same_loop() {
    let nested = json!({"StartAt": "N", "States": {"N": {"Type": "Map", "Label": "N", "End": true, "ItemProcessor": {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
        "StartAt": "T", "States": lambda(json!({}))["States"]}}}});
    let machine = definition(distributed(nested));
    let input = json!([[1, 2], [3]]);
    let outcome = run(&machine, start(input), Timestamp(0), &mut After(Some(1000), 0));
    assert_eq!(*output(&outcome), json!([[1, 2], [3]]));
    assert_eq!(outcome.ended, Timestamp(1000));
    check::replay_and_restore(&machine, &outcome.journal, &outcome.history);
}

#[test]
fn stopped_children_are_not_waited_for() {
    let child = json!({"StartAt": "C", "States": {
        "C": {"Type": "Choice", "Choices": [{"Variable": "$", "NumericEquals": 0, "Next": "F"}], "Default": "W"},
        "F": {"Type": "Fail", "Error": "E"},
        "W": {"Type": "Wait", "Seconds": 1000, "End": true}}});
    let machine = definition(distributed(child));
    let outcome = run(&machine, start(json!([1, 0, 1])), Timestamp(0), &mut After(None, 0));
    assert!(matches!(outcome.status, Status::Failed(_)));
    assert_eq!(outcome.ended, Timestamp(0));
}

#[test]
fn an_observer_sees_the_history_of_children_apart() {
    #[derive(Default)]
    struct Seen {
        own: usize,
        children: Vec<Arc<str>>,
    }
    impl Observer for Seen {
        fn history(&mut self, _event: HistoryEvent) {
            self.own += 1;
        }
        fn child_history(&mut self, execution_arn: &Arc<str>, event: HistoryEvent) {
            if event.id.0 == 1 {
                self.children.push(Arc::clone(execution_arn));
            }
        }
    }
    let pass = json!({"StartAt": "P", "States": {"P": {"Type": "Pass", "End": true}}});
    let machine = definition(distributed(pass));
    let mut seen = Seen::default();
    let (status, _) = run_observed(
        &machine,
        start(json!([1, 2])),
        Timestamp(0),
        &mut After(None, 0),
        u64::MAX,
        &mut seen,
    );
    assert!(matches!(status, Status::Succeeded(_)));
    assert_eq!(seen.own, 8);
    assert_eq!(seen.children.len(), 2);
    assert!(seen.children.iter().all(|arn| arn.contains(":execution:M/L:")));
    let mut n_events = 0;
    let mut count = |_event: HistoryEvent| n_events += 1;
    run_observed(
        &machine,
        start(json!([1])),
        Timestamp(0),
        &mut After(None, 0),
        u64::MAX,
        &mut count,
    );
    assert_eq!(n_events, 8);
}
