//! The kernel's behavior, seen from its door. Every test here also replays its journal and restores a snapshot at
//! every prefix.

use std::collections::BTreeMap;
use std::sync::Arc;

use expect_test::Expect;
use expect_test::expect;
use serde_json::Value;
use serde_json::json;

use crate::asl::load::Options;
use crate::asl::load::compile;
use crate::kernel::event::Command;
use crate::kernel::event::Event;
use crate::kernel::event::EventKind;
use crate::kernel::event::Illegal;
use crate::kernel::event::Outbox;
use crate::kernel::event::Start;
use crate::kernel::event::StartTask;
use crate::kernel::event::Status;
use crate::kernel::execution::Execution;
use crate::model::history_event::HistoryEvent;
use crate::model::id::BlockId;
use crate::model::id::TaskId;
use crate::model::payload::Payload;
use crate::model::quota::Quotas;
use crate::model::states_error::StatesError;
use crate::model::timestamp::Timestamp;
use crate::model::token::TokenKey;
use crate::sim::check::print_history;
use crate::sim::check::replay_and_restore;
use crate::sim::driver::Report;
use crate::sim::driver::Tasks;
use crate::sim::driver::run;
use crate::sim::driver::run_observed;

mod commands;
mod limits;
mod redrive;

/// What a scripted task does on one attempt.
#[derive(Clone)]
enum Answer {
    Succeed(Value),
    Fail(&'static str),
    Silence,
}

/// Answers by state name; the last one repeats.
#[derive(Default)]
struct Script(BTreeMap<&'static str, Vec<Answer>>);

impl Script {
    fn on(mut self, state: &'static str, answers: impl Into<Vec<Answer>>) -> Self {
        self.0.insert(state, answers.into());
        self
    }
}

impl Tasks for Script {
    fn answer(&mut self, task: &StartTask) -> Vec<Report> {
        let answers = self.0.get(&*task.state_name).expect("a scripted state");
        let answer = answers
            .get(task.attempt as usize - 1)
            .or(answers.last())
            .expect("an answer");
        let started = EventKind::TaskStarted {
            task: task.task,
            worker_name: None,
        };
        let end = match answer.clone() {
            Answer::Succeed(value) => EventKind::TaskSucceeded {
                task: task.task,
                output: Payload::new(value),
            },
            Answer::Fail(name) => EventKind::TaskFailed {
                task: task.task,
                error: StatesError::new(name, "why"),
            },
            Answer::Silence => {
                return vec![Report {
                    delay_millis: 0,
                    kind: started,
                }];
            }
        };
        vec![
            Report {
                delay_millis: 0,
                kind: started,
            },
            Report {
                delay_millis: 0,
                kind: end,
            },
        ]
    }
}

fn start(input: &str) -> Start {
    let machine = "arn:aws:states:us-east-1:111111111111:stateMachine:M";
    Start {
        execution_arn: Arc::from("arn:aws:states:us-east-1:111111111111:execution:M:E"),
        name: Arc::from("E"),
        state_machine_arn: Arc::from(machine),
        state_machine_name: Arc::from("M"),
        role_arn: Arc::from("arn:aws:iam::111111111111:role/r"),
        input: Payload::parse(input).expect("JSON"),
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

/// Runs `definition` and compares history and end.
fn check(definition: &Value, input: &str, mut script: Script, expected: &Expect) {
    let definition = match compile(&definition.to_string(), &Options::default()) {
        Ok(definition) => Arc::new(definition),
        Err(diagnostics) => panic!("{}", diagnostics.iter().map(|d| format!("{d}\n")).collect::<String>()),
    };
    let outcome = run(&definition, start(input), Timestamp(1_700_000_000_000), &mut script);
    replay_and_restore(&definition, &outcome.journal, &outcome.history);
    let end = match &outcome.status {
        Status::Succeeded(output) => format!("SUCCEEDED {}", output.text()),
        Status::Failed(error) => format!("FAILED {:?} {:?}", error.name, error.cause),
        other => format!("{other:?}"),
    };
    expected.assert_eq(&format!("{}{end}\n", print_history(&outcome.history)));
}

fn task(extra: &Value) -> Value {
    let mut task = json!({"Type": "Task", "Resource": "arn:aws:lambda:us-east-1:111111111111:function:f", "End": true});
    if let (Some(task), Some(extra)) = (task.as_object_mut(), extra.as_object()) {
        task.extend(extra.clone());
    }
    task
}

fn one(state: &Value) -> Value {
    json!({"StartAt": "A", "States": {"A": state}})
}

#[test]
fn the_first_state_points_at_nothing_and_input_text_is_kept() {
    check(
        &one(&json!({"Type": "Pass", "End": true})),
        r#"{"a":  1}"#,
        Script::default(),
        &expect![[r#"
        1<0 ExecutionStarted 0.000
        2<0 PassStateEntered:A 0.000
        3<2 PassStateExited:A 0.000
        4<3 ExecutionSucceeded 0.000
        SUCCEEDED {"a":  1}
    "#]],
    );
}

#[test]
fn retries_twice_then_catches() {
    let retry = json!([{"ErrorEquals": ["Boom"], "MaxAttempts": 2, "IntervalSeconds": 2}]);
    let catch = json!([{"ErrorEquals": ["States.ALL"], "ResultPath": "$.e", "Next": "B"}]);
    let mut a = task(&json!({"Retry": retry, "Catch": catch, "Next": "B"}));
    a.as_object_mut().expect("object").remove("End");
    let definition = json!({"StartAt": "A", "States": {"A": a, "B": {"Type": "Succeed"}}});
    check(
        &definition,
        "{}",
        Script::default().on("A", [Answer::Fail("Boom")]),
        &expect![[r#"
        1<0 ExecutionStarted 0.000
        2<0 TaskStateEntered:A 0.000
        3<2 LambdaFunctionScheduled 0.000
        4<3 LambdaFunctionStarted 0.000
        5<4 LambdaFunctionFailed 0.000
        6<5 LambdaFunctionScheduled 2.000
        7<6 LambdaFunctionStarted 2.000
        8<7 LambdaFunctionFailed 2.000
        9<8 LambdaFunctionScheduled 6.000
        10<9 LambdaFunctionStarted 6.000
        11<10 LambdaFunctionFailed 6.000
        12<11 TaskStateExited:A 6.000
        13<12 SucceedStateEntered:B 6.000
        14<13 SucceedStateExited:B 6.000
        15<14 ExecutionSucceeded 6.000
        SUCCEEDED {"e":{"Error":"Boom","Cause":"why"}}
    "#]],
    );
}

#[test]
fn a_task_that_never_answers_times_out() {
    let state = task(&json!({"TimeoutSeconds": 5}));
    check(
        &one(&state),
        "{}",
        Script::default().on("A", [Answer::Silence]),
        &expect![[r#"
        1<0 ExecutionStarted 0.000
        2<0 TaskStateEntered:A 0.000
        3<2 LambdaFunctionScheduled 0.000
        4<3 LambdaFunctionStarted 0.000
        5<4 LambdaFunctionTimedOut 5.000
        6<5 ExecutionFailed 5.000
        FAILED Some("States.Timeout") None
    "#]],
    );
}

#[test]
fn the_machine_timeout_cannot_be_caught() {
    let state = task(&json!({"Catch": [{"ErrorEquals": ["States.ALL"], "Next": "A"}]}));
    let definition = json!({"StartAt": "A", "TimeoutSeconds": 3, "States": {"A": state}});
    check(
        &definition,
        "{}",
        Script::default().on("A", [Answer::Silence]),
        &expect![[r#"
        1<0 ExecutionStarted 0.000
        2<0 TaskStateEntered:A 0.000
        3<2 LambdaFunctionScheduled 0.000
        4<3 LambdaFunctionStarted 0.000
        5<0 ExecutionTimedOut 3.000
        TimedOut(StatesError { name: Some("States.Timeout"), cause: None })
    "#]],
    );
}

#[test]
fn a_failing_branch_aborts_its_siblings_before_parallel_state_failed() {
    let branch = |name: &str, state: Value| json!({"StartAt": name, "States": {name: state}});
    let wait = json!({"Type": "Wait", "Seconds": 9, "End": true});
    let branches = json!([branch("T", task(&json!({}))), branch("W", wait)]);
    let parallel = json!({"Type": "Parallel", "Branches": branches, "End": true});
    check(
        &one(&parallel),
        "{}",
        Script::default().on("T", [Answer::Fail("Boom")]),
        &expect![[r#"
        1<0 ExecutionStarted 0.000
        2<0 ParallelStateEntered:A 0.000
        3<2 ParallelStateStarted 0.000
        4<3 TaskStateEntered:T 0.000
        5<4 LambdaFunctionScheduled 0.000
        6<3 WaitStateEntered:W 0.000
        7<5 LambdaFunctionStarted 0.000
        8<7 LambdaFunctionFailed 0.000
        9<8 TaskStateAborted 0.000
        10<8 WaitStateAborted 0.000
        11<8 ParallelStateFailed 0.000
        12<11 ExecutionFailed 0.000
        FAILED Some("Boom") Some("why")
    "#]],
    );
}

#[test]
fn iterations_one_by_one_point_into_the_iteration_before() {
    let pass = json!({"StartAt": "P", "States": {"P": {"Type": "Pass", "End": true}}});
    let map = json!({"Type": "Map", "MaxConcurrency": 1, "ItemProcessor": pass, "End": true});
    check(
        &one(&map),
        "[1,2]",
        Script::default(),
        &expect![[r#"
        1<0 ExecutionStarted 0.000
        2<0 MapStateEntered:A 0.000
        3<2 MapStateStarted 0.000
        4<3 MapIterationStarted:A 0.000
        5<4 PassStateEntered:P 0.000
        6<5 PassStateExited:P 0.000
        7<6 MapIterationSucceeded:A 0.000
        8<6 MapIterationStarted:A 0.000
        9<8 PassStateEntered:P 0.000
        10<9 PassStateExited:P 0.000
        11<10 MapIterationSucceeded:A 0.000
        12<11 MapStateSucceeded 0.000
        13<11 MapStateExited:A 0.000
        14<13 ExecutionSucceeded 0.000
        SUCCEEDED [1,2]
    "#]],
    );
}

#[test]
fn a_failed_iteration_block_is_written_in_index_order() {
    let choice = json!({"StartAt": "T", "States": {"T": task(&json!({})), }});
    let map = json!({"Type": "Map", "ItemProcessor": choice, "End": true});
    check(
        &one(&map),
        "[1,2]",
        Script::default().on("T", [Answer::Fail("Boom")]),
        &expect![[r#"
        1<0 ExecutionStarted 0.000
        2<0 MapStateEntered:A 0.000
        3<2 MapStateStarted 0.000
        4<3 MapIterationStarted:A 0.000
        5<3 MapIterationStarted:A 0.000
        6<4 TaskStateEntered:T 0.000
        7<6 LambdaFunctionScheduled 0.000
        8<5 TaskStateEntered:T 0.000
        9<8 LambdaFunctionScheduled 0.000
        10<7 LambdaFunctionStarted 0.000
        11<9 LambdaFunctionStarted 0.000
        12<10 LambdaFunctionFailed 0.000
        13<12 MapIterationFailed:A 0.000
        14<12 TaskStateAborted 0.000
        15<12 MapIterationAborted:A 0.000
        16<12 TaskStateAborted 0.000
        17<12 MapStateFailed 0.000
        18<17 ExecutionFailed 0.000
        FAILED Some("Boom") Some("why")
    "#]],
    );
}

#[test]
fn a_distributed_map_runs_children_of_their_own() {
    let pass = json!({
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
        "StartAt": "P", "States": {"P": {"Type": "Pass", "End": true}}
    });
    let map = json!({"Type": "Map", "ItemProcessor": pass, "ItemBatcher": {"MaxItemsPerBatch": 2}, "End": true});
    check(
        &one(&map),
        "[1,2,3]",
        Script::default(),
        &expect![[r#"
        1<0 ExecutionStarted 0.000
        2<0 MapStateEntered:A 0.000
        3<2 MapStateStarted 0.000
        4<3 MapRunStarted 0.000
        5<4 MapRunSucceeded 0.000
        6<5 MapStateSucceeded 0.000
        7<4 MapStateExited:A 0.000
        8<7 ExecutionSucceeded 0.000
        SUCCEEDED [{"Items":[1,2]},{"Items":[3]}]
    "#]],
    );
}

#[test]
fn assigned_values_are_seen_from_the_next_state_on() {
    let definition = json!({"StartAt": "A", "QueryLanguage": "JSONata", "States": {
        "A": {"Type": "Pass", "Assign": {"x": 1}, "Next": "B"},
        "B": {"Type": "Pass", "Assign": {"x": 2, "y": "{% $x %}"}, "Next": "C"},
        "C": {"Type": "Pass", "Output": "{% [$x, $y] %}", "End": true}}});
    check(
        &definition,
        "{}",
        Script::default(),
        &expect![[r#"
        1<0 ExecutionStarted 0.000
        2<0 PassStateEntered:A 0.000
        3<2 PassStateExited:A 0.000
        4<3 PassStateEntered:B 0.000
        5<4 PassStateExited:B 0.000
        6<5 PassStateEntered:C 0.000
        7<6 PassStateExited:C 0.000
        8<7 ExecutionSucceeded 0.000
        SUCCEEDED [2,1]
    "#]],
    );
}

#[test]
fn a_runtime_error_in_a_branch_ends_everything_without_failed_events() {
    let pass = json!({"Type": "Pass", "Parameters": {"a.$": "$.nope"}, "End": true});
    let parallel = json!({"Type": "Parallel", "Branches": [{"StartAt": "P", "States": {"P": pass}}], "Next": "B",
        "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "B"}]});
    let definition = json!({"StartAt": "A", "States": {"A": parallel, "B": {"Type": "Succeed"}}});
    check(
        &definition,
        "{}",
        Script::default(),
        &expect![[r#"
        1<0 ExecutionStarted 0.000
        2<0 ParallelStateEntered:A 0.000
        3<2 ParallelStateStarted 0.000
        4<3 PassStateEntered:P 0.000
        5<4 ExecutionFailed 0.000
        FAILED Some("States.Runtime") Some("An error occurred while executing the state 'P' (entered at the event id #4). The JSONPath '$.nope' specified for the field 'a.$' could not be found in the input '{}'")
    "#]],
    );
}

#[test]
fn a_loop_ends_at_25_000_history_events() {
    let definition = json!({"StartAt": "A", "States": {
        "A": {"Type": "Choice", "Choices": [{"Variable": "$.x", "IsPresent": true, "Next": "B"}], "Default": "A"},
        "B": {"Type": "Succeed"}}});
    let definition = Arc::new(compile(&definition.to_string(), &Options::default()).expect("valid"));
    let outcome = run(&definition, start("{}"), Timestamp(0), &mut Script::default());
    assert_eq!(outcome.history.len(), 25_000);
    let cause = "The execution reached the maximum number of history events (25000).";
    assert_eq!(
        outcome.status,
        Status::Failed(StatesError::new("States.Runtime", cause))
    );
}

#[test]
fn a_value_that_grows_by_a_level_each_round_ends_in_an_error() {
    let definition = json!({"StartAt": "A", "States": {
        "A": {"Type": "Pass", "Parameters": {"a.$": "$"}, "Next": "B"},
        "B": {"Type": "Choice", "Choices": [{"Variable": "$.b", "IsPresent": true, "Next": "C"}], "Default": "A"},
        "C": {"Type": "Succeed"}}});
    let definition = Arc::new(compile(&definition.to_string(), &Options::default()).expect("valid"));
    let outcome = run(&definition, start("{}"), Timestamp(0), &mut Script::default());
    let Status::Failed(error) = outcome.status else {
        panic!("{:?}", outcome.status)
    };
    assert_eq!(error.name.as_deref(), Some("States.Runtime"));
}

#[test]
fn a_task_result_flows_through_selector_and_paths() {
    let state = task(&json!({"ResultSelector": {"n.$": "$.x"}, "ResultPath": "$.r", "OutputPath": "$.r"}));
    check(
        &one(&state),
        "{}",
        Script::default().on("A", [Answer::Succeed(json!({"x": 1}))]),
        &expect![[r#"
            1<0 ExecutionStarted 0.000
            2<0 TaskStateEntered:A 0.000
            3<2 LambdaFunctionScheduled 0.000
            4<3 LambdaFunctionStarted 0.000
            5<4 LambdaFunctionSucceeded 0.000
            6<5 TaskStateExited:A 0.000
            7<6 ExecutionSucceeded 0.000
            SUCCEEDED {"n":1}
        "#]],
    );
}

/// Drops what it is given.
struct Nowhere;

impl Outbox for Nowhere {
    fn command(&mut self, _: Command) {}
    fn history(&mut self, _: HistoryEvent) {}
}

#[test]
fn a_refused_event_changes_nothing() {
    let definition = one(&task(&json!({}))).to_string();
    let definition = Arc::new(compile(&definition, &Options::default()).expect("valid"));
    let mut execution = Execution::new(definition);
    let (early, late) = (Timestamp(1_000), Timestamp(2_000));
    let event = |at, kind| Event { at, kind };
    let stop = EventKind::Stop(StatesError::default());
    assert_eq!(
        execution.advance(&event(late, stop.clone()), &mut Nowhere),
        Err(Illegal::Start)
    );
    let begin = EventKind::Start(start("{}"));
    assert_eq!(execution.advance(&event(late, begin.clone()), &mut Nowhere), Ok(()));
    let before = execution.snapshot();
    let nobody = TaskId(9);
    for (event, refusal) in [
        (event(late, begin), Illegal::Start),
        (event(early, EventKind::TimePassed), Illegal::TimeWentBack),
        (
            event(late, EventKind::TaskHeartbeat { task: nobody }),
            Illegal::NoSuchTask(nobody),
        ),
    ] {
        assert_eq!(execution.advance(&event, &mut Nowhere), Err(refusal));
        assert_eq!(execution.snapshot(), before);
    }
    assert_eq!(execution.advance(&event(late, stop.clone()), &mut Nowhere), Ok(()));
    assert_eq!(execution.advance(&event(late, stop), &mut Nowhere), Err(Illegal::Ended));
}
