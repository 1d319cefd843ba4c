//! Redrive: no state is entered twice, everything goes on where it stood.

use super::*;
use crate::sim::driver::Outcome;
use crate::sim::driver::run_redriven;

mod maps;

/// Answers by state name, in order over all attempts and redrives; the last one repeats.
struct Turns(BTreeMap<&'static str, Vec<Answer>>);

impl Tasks for Turns {
    fn answer(&mut self, task: &StartTask) -> Vec<Report> {
        let answers = self.0.get_mut(&*task.state_name).expect("a scripted state");
        let answer = match answers.len() {
            1 => answers[0].clone(),
            _ => answers.remove(0),
        };
        Script(BTreeMap::from([("", vec![answer])])).answer(&StartTask {
            state_name: Arc::from(""),
            ..task.clone()
        })
    }
}

fn turns<const N: usize>(answers: [(&'static str, &[Answer]); N]) -> Turns {
    Turns(answers.map(|(state, answers)| (state, answers.to_vec())).into())
}

fn redriven(definition: &Value, input: &str, mut tasks: Turns, pauses: &[u64]) -> Outcome {
    let definition = match compile(&definition.to_string(), &Options::default()) {
        Ok(definition) => Arc::new(definition),
        Err(diagnostics) => panic!("{}", diagnostics.iter().map(|d| format!("{d}\n")).collect::<String>()),
    };
    let at = Timestamp(1_700_000_000_000);
    let outcome = run_redriven(&definition, start(input), at, &mut tasks, pauses);
    replay_and_restore(&definition, &outcome.journal, &outcome.history);
    outcome
}

/// Runs `definition`, redrives it one minute after each end, and compares history and end.
fn check_redriven(definition: &Value, input: &str, tasks: Turns, n_redrives: usize, expected: &Expect) {
    let outcome = redriven(definition, input, tasks, &vec![60_000; n_redrives]);
    let end = match &outcome.status {
        Status::Succeeded(output) => format!("SUCCEEDED {}", output.text()),
        Status::Failed(error) => format!("FAILED {:?} {:?}", error.name, error.cause),
        other => format!("{other:?}"),
    };
    expected.assert_eq(&format!("{}{end}\n", print_history(&outcome.history)));
}

const OK: Answer = Answer::Succeed(Value::Null);
const BOOM: Answer = Answer::Fail("Boom");

fn branch(name: &str, state: &Value) -> Value {
    json!({"StartAt": name, "States": {name: state}})
}

fn wait(seconds: u64) -> Value {
    json!({"Type": "Wait", "Seconds": seconds, "End": true})
}

#[test]
fn a_task_is_scheduled_again_behind_its_first_entered() {
    check_redriven(
        &one(&task(
            &json!({"Retry": [{"ErrorEquals": ["Boom"], "MaxAttempts": 1, "IntervalSeconds": 1}]}),
        )),
        "{}",
        turns([("A", &[BOOM, BOOM, BOOM, OK])]),
        1,
        &expect![[r#"
            1<0 ExecutionStarted 0.000
            2<0 TaskStateEntered:A 0.000
            3<2 LambdaFunctionScheduled 0.000
            4<3 LambdaFunctionStarted 0.000
            5<4 LambdaFunctionFailed 0.000
            6<5 LambdaFunctionScheduled 1.000
            7<6 LambdaFunctionStarted 1.000
            8<7 LambdaFunctionFailed 1.000
            9<8 ExecutionFailed 1.000
            10<9 ExecutionRedriven 61.000
            11<2 LambdaFunctionScheduled 61.000
            12<11 LambdaFunctionStarted 61.000
            13<12 LambdaFunctionFailed 61.000
            14<13 LambdaFunctionScheduled 62.000
            15<14 LambdaFunctionStarted 62.000
            16<15 LambdaFunctionSucceeded 62.000
            17<16 TaskStateExited:A 62.000
            18<17 ExecutionSucceeded 62.000
            SUCCEEDED null
        "#]],
    );
}

#[test]
fn a_machine_that_timed_out_gets_its_whole_time_again() {
    check_redriven(
        &json!({"StartAt": "A", "TimeoutSeconds": 5, "States": {"A": task(&json!({}))}}),
        "{}",
        turns([("A", &[Answer::Silence])]),
        1,
        &expect![[r#"
            1<0 ExecutionStarted 0.000
            2<0 TaskStateEntered:A 0.000
            3<2 LambdaFunctionScheduled 0.000
            4<3 LambdaFunctionStarted 0.000
            5<0 ExecutionTimedOut 5.000
            6<5 ExecutionRedriven 65.000
            7<2 LambdaFunctionScheduled 65.000
            8<7 LambdaFunctionStarted 65.000
            9<0 ExecutionTimedOut 70.000
            TimedOut(StatesError { name: Some("States.Timeout"), cause: None })
        "#]],
    );
}

#[test]
fn a_fail_state_fails_again() {
    check_redriven(
        &json!({"StartAt": "P", "States": {
            "P": {"Type": "Pass", "Next": "F"}, "F": {"Type": "Fail", "Error": "E"}}}),
        "{}",
        turns([]),
        2,
        &expect![[r#"
            1<0 ExecutionStarted 0.000
            2<0 PassStateEntered:P 0.000
            3<2 PassStateExited:P 0.000
            4<3 FailStateEntered:F 0.000
            5<4 ExecutionFailed 0.000
            6<5 ExecutionRedriven 60.000
            7<6 ExecutionFailed 60.000
            8<7 ExecutionRedriven 120.000
            9<8 ExecutionFailed 120.000
            FAILED Some("E") None
        "#]],
    );
}

#[test]
fn a_wait_waits_its_whole_time_again() {
    check_redriven(
        &json!({"StartAt": "W", "TimeoutSeconds": 5, "States": {
            "W": {"Type": "Wait", "SecondsPath": "$.n", "Next": "V"},
            "V": {"Type": "Wait", "Seconds": 4, "End": true}}}),
        r#"{"n":3}"#,
        turns([]),
        1,
        &expect![[r#"
            1<0 ExecutionStarted 0.000
            2<0 WaitStateEntered:W 0.000
            3<2 WaitStateExited:W 3.000
            4<3 WaitStateEntered:V 3.000
            5<0 ExecutionTimedOut 5.000
            6<5 ExecutionRedriven 65.000
            7<4 WaitStateExited:V 69.000
            8<7 ExecutionSucceeded 69.000
            SUCCEEDED {"n":3}
        "#]],
    );
}

#[test]
fn a_wait_for_an_instant_that_has_come_is_left_at_once() {
    check_redriven(
        &json!({"StartAt": "W", "TimeoutSeconds": 5, "States": {
            "W": {"Type": "Wait", "Timestamp": "2023-11-14T22:13:50Z", "End": true}}}),
        "{}",
        turns([]),
        1,
        &expect![[r#"
            1<0 ExecutionStarted 0.000
            2<0 WaitStateEntered:W 0.000
            3<0 ExecutionTimedOut 5.000
            4<3 ExecutionRedriven 65.000
            5<2 WaitStateExited:W 65.000
            6<5 ExecutionSucceeded 65.000
            SUCCEEDED {}
        "#]],
    );
}

#[test]
fn a_choice_is_evaluated_again() {
    check_redriven(
        &json!({"StartAt": "C", "States": {
            "C": {"Type": "Choice", "Choices": [{"Variable": "$.a", "IsNull": true, "Next": "S"}]},
            "S": {"Type": "Succeed"}}}),
        r#"{"a":1}"#,
        turns([]),
        1,
        &expect![[r#"
            1<0 ExecutionStarted 0.000
            2<0 ChoiceStateEntered:C 0.000
            3<2 ExecutionFailed 0.000
            4<3 ExecutionRedriven 60.000
            5<2 ExecutionFailed 60.000
            FAILED Some("States.Runtime") Some("An error occurred while executing the state 'C' (entered at the event id #2). Failed to transition out of the state. The state does not point to a next state.")
        "#]],
    );
}

#[test]
fn a_pass_is_left_with_its_input() {
    check_redriven(
        &json!({"StartAt": "P", "States": {
            "P": {"Type": "Pass", "Parameters": {"a.$": "$.nope"}, "Next": "S"}, "S": {"Type": "Succeed"}}}),
        "{}",
        turns([]),
        1,
        &expect![[r#"
            1<0 ExecutionStarted 0.000
            2<0 PassStateEntered:P 0.000
            3<2 ExecutionFailed 0.000
            4<3 ExecutionRedriven 60.000
            5<2 PassStateExited:P 60.000
            6<5 SucceedStateEntered:S 60.000
            7<6 SucceedStateExited:S 60.000
            8<7 ExecutionSucceeded 60.000
            SUCCEEDED {}
        "#]],
    );
}

#[test]
fn branches_that_failed_or_were_cut_go_on_and_others_keep_their_results() {
    let branches = [
        branch("P", &json!({"Type": "Pass", "Result": "p", "End": true})),
        branch("T", &task(&json!({}))),
        branch("W", &wait(9)),
    ];
    check_redriven(
        &one(&json!({"Type": "Parallel", "Branches": branches, "End": true})),
        "{}",
        turns([("T", &[BOOM, OK])]),
        1,
        &expect![[r#"
            1<0 ExecutionStarted 0.000
            2<0 ParallelStateEntered:A 0.000
            3<2 ParallelStateStarted 0.000
            4<3 PassStateEntered:P 0.000
            5<4 PassStateExited:P 0.000
            6<3 TaskStateEntered:T 0.000
            7<6 LambdaFunctionScheduled 0.000
            8<3 WaitStateEntered:W 0.000
            9<7 LambdaFunctionStarted 0.000
            10<9 LambdaFunctionFailed 0.000
            11<10 TaskStateAborted 0.000
            12<10 WaitStateAborted 0.000
            13<10 ParallelStateFailed 0.000
            14<13 ExecutionFailed 0.000
            15<14 ExecutionRedriven 60.000
            16<6 LambdaFunctionScheduled 60.000
            17<16 LambdaFunctionStarted 60.000
            18<17 LambdaFunctionSucceeded 60.000
            19<18 TaskStateExited:T 60.000
            20<8 WaitStateExited:W 69.000
            21<20 ParallelStateSucceeded 69.000
            22<20 ParallelStateExited:A 69.000
            23<22 ExecutionSucceeded 69.000
            SUCCEEDED ["p",null,{}]
        "#]],
    );
}

#[test]
fn a_parallel_that_answers_a_redriven_failure_drops_its_branches() {
    let catch = json!([{"ErrorEquals": ["Other"], "Next": "Z"}]);
    let inner =
        json!({"Type": "Parallel", "Branches": [branch("T", &task(&json!({}))), branch("W", &wait(9))], "End": true});
    let outer = json!({"Type": "Parallel", "Branches": [branch("I", &inner)], "Catch": catch, "Next": "Z",
        "Retry": [{"ErrorEquals": ["Boom"], "MaxAttempts": 1, "IntervalSeconds": 1}]});
    check_redriven(
        &json!({"StartAt": "A", "States": {"A": outer, "Z": {"Type": "Pass", "Result": "z", "End": true}}}),
        "{}",
        turns([("T", &[BOOM, BOOM, Answer::Fail("Other")])]),
        1,
        &expect![[r#"
            1<0 ExecutionStarted 0.000
            2<0 ParallelStateEntered:A 0.000
            3<2 ParallelStateStarted 0.000
            4<3 ParallelStateEntered:I 0.000
            5<4 ParallelStateStarted 0.000
            6<5 TaskStateEntered:T 0.000
            7<6 LambdaFunctionScheduled 0.000
            8<5 WaitStateEntered:W 0.000
            9<7 LambdaFunctionStarted 0.000
            10<9 LambdaFunctionFailed 0.000
            11<10 TaskStateAborted 0.000
            12<10 WaitStateAborted 0.000
            13<10 ParallelStateFailed 0.000
            14<13 ParallelStateStarted 1.000
            15<14 ParallelStateEntered:I 1.000
            16<15 ParallelStateStarted 1.000
            17<16 TaskStateEntered:T 1.000
            18<17 LambdaFunctionScheduled 1.000
            19<16 WaitStateEntered:W 1.000
            20<18 LambdaFunctionStarted 1.000
            21<20 LambdaFunctionFailed 1.000
            22<21 TaskStateAborted 1.000
            23<21 WaitStateAborted 1.000
            24<21 ParallelStateFailed 1.000
            25<24 ParallelStateFailed 1.000
            26<25 ExecutionFailed 1.000
            27<26 ExecutionRedriven 61.000
            28<17 LambdaFunctionScheduled 61.000
            29<28 LambdaFunctionStarted 61.000
            30<29 LambdaFunctionFailed 61.000
            31<30 TaskStateAborted 61.000
            32<30 WaitStateAborted 61.000
            33<30 ParallelStateFailed 61.000
            34<33 ParallelStateFailed 61.000
            35<34 ParallelStateExited:A 61.000
            36<35 PassStateEntered:Z 61.000
            37<36 PassStateExited:Z 61.000
            38<37 ExecutionSucceeded 61.000
            SUCCEEDED "z"
        "#]],
    );
}

#[test]
fn a_parallel_whose_data_was_too_large_runs_all_branches_again() {
    let big = Answer::Succeed(json!("x".repeat(200_000)));
    let branches = [branch("S", &task(&json!({}))), branch("T", &task(&json!({})))];
    check_redriven(
        &one(&json!({"Type": "Parallel", "Branches": branches, "End": true})),
        "{}",
        turns([("S", &[big.clone(), OK]), ("T", &[big, OK])]),
        1,
        &expect![[r#"
            1<0 ExecutionStarted 0.000
            2<0 ParallelStateEntered:A 0.000
            3<2 ParallelStateStarted 0.000
            4<3 TaskStateEntered:S 0.000
            5<4 LambdaFunctionScheduled 0.000
            6<3 TaskStateEntered:T 0.000
            7<6 LambdaFunctionScheduled 0.000
            8<5 LambdaFunctionStarted 0.000
            9<7 LambdaFunctionStarted 0.000
            10<8 LambdaFunctionSucceeded 0.000
            11<10 TaskStateExited:S 0.000
            12<9 LambdaFunctionSucceeded 0.000
            13<12 TaskStateExited:T 0.000
            14<13 ParallelStateSucceeded 0.000
            15<14 ParallelStateFailed 0.000
            16<15 ExecutionFailed 0.000
            17<16 ExecutionRedriven 60.000
            18<2 ParallelStateStarted 60.000
            19<18 TaskStateEntered:S 60.000
            20<19 LambdaFunctionScheduled 60.000
            21<18 TaskStateEntered:T 60.000
            22<21 LambdaFunctionScheduled 60.000
            23<20 LambdaFunctionStarted 60.000
            24<22 LambdaFunctionStarted 60.000
            25<23 LambdaFunctionSucceeded 60.000
            26<25 TaskStateExited:S 60.000
            27<24 LambdaFunctionSucceeded 60.000
            28<27 TaskStateExited:T 60.000
            29<28 ParallelStateSucceeded 60.000
            30<28 ParallelStateExited:A 60.000
            31<30 ExecutionSucceeded 60.000
            SUCCEEDED [null,null]
        "#]],
    );
}

#[test]
fn a_branch_that_ends_at_once_lets_its_parallel_go_on_once() {
    let pass = json!({"Type": "Pass", "Parameters": {"a.$": "$.nope"}, "End": true});
    let parallel = json!({"Type": "Parallel", "Branches": [branch("P", &pass)], "Next": "W"});
    check_redriven(
        &json!({"StartAt": "A", "States": {"A": parallel, "W": wait(5)}}),
        "{}",
        turns([]),
        1,
        &expect![[r#"
            1<0 ExecutionStarted 0.000
            2<0 ParallelStateEntered:A 0.000
            3<2 ParallelStateStarted 0.000
            4<3 PassStateEntered:P 0.000
            5<4 ExecutionFailed 0.000
            6<5 ExecutionRedriven 60.000
            7<4 PassStateExited:P 60.000
            8<7 ParallelStateSucceeded 60.000
            9<7 ParallelStateExited:A 60.000
            10<9 WaitStateEntered:W 60.000
            11<10 WaitStateExited:W 65.000
            12<11 ExecutionSucceeded 65.000
            SUCCEEDED [{}]
        "#]],
    );
}

#[test]
fn an_output_that_failed_behind_the_branches_is_evaluated_again() {
    let branches = [branch("T", &task(&json!({})))];
    check_redriven(
        &one(&json!({"Type": "Parallel", "Branches": branches, "ResultSelector": {"a.$": "$.nope"}, "End": true})),
        "{}",
        turns([("T", &[OK])]),
        1,
        &expect![[r#"
            1<0 ExecutionStarted 0.000
            2<0 ParallelStateEntered:A 0.000
            3<2 ParallelStateStarted 0.000
            4<3 TaskStateEntered:T 0.000
            5<4 LambdaFunctionScheduled 0.000
            6<5 LambdaFunctionStarted 0.000
            7<6 LambdaFunctionSucceeded 0.000
            8<7 TaskStateExited:T 0.000
            9<8 ParallelStateSucceeded 0.000
            10<9 ExecutionFailed 0.000
            11<10 ExecutionRedriven 60.000
            12<8 ParallelStateSucceeded 60.000
            13<12 ExecutionFailed 60.000
            FAILED Some("States.Runtime") Some("An error occurred while executing the state 'A' (entered at the event id #2). The JSONPath '$.nope' specified for the field 'a.$' could not be found in the input '[null]'")
        "#]],
    );
}

#[test]
fn the_context_tells_of_the_redrive_and_variables_stay() {
    let definition = json!({"StartAt": "V", "States": {
        "V": {"Type": "Pass", "Assign": {"v": "kept"}, "Next": "A"},
        "A": {"Type": "Task", "Resource": "arn:aws:lambda:us-east-1:111111111111:function:f", "Next": "B"},
        "B": {"Type": "Pass", "Parameters": {"v.$": "$v", "e.$": "$$.Execution"}, "End": true}}});
    let outcome = redriven(&definition, "{}", turns([("A", &[BOOM, OK])]), &[1_500]);
    let Status::Succeeded(output) = &outcome.status else {
        panic!("{:?}", outcome.status);
    };
    expect![[r#"{"e":{"Id":"arn:aws:states:us-east-1:111111111111:execution:M:E","Input":{},"StartTime":"2023-11-14T22:13:20Z","Name":"E","RoleArn":"arn:aws:iam::111111111111:role/r","RedriveCount":1,"RedriveTime":"2023-11-14T22:13:21.500Z"},"v":"kept"}"#]].assert_eq(output.text());
}

#[test]
fn only_what_ended_unsuccessfully_is_redriven() {
    let (at, kind) = (Timestamp(0), EventKind::Redrive);
    let definition = Arc::new(compile(&one(&wait(5)).to_string(), &Options::default()).expect("valid"));
    let mut execution = Execution::new(definition);
    let mut give = |kind: &EventKind| {
        let kind = kind.clone();
        execution.advance(&Event { at, kind }, &mut Nowhere)
    };
    assert_eq!(give(&kind), Err(Illegal::Start));
    assert_eq!(give(&EventKind::Start(start("{}"))), Ok(()));
    assert_eq!(give(&kind), Err(Illegal::NotRedrivable));
    assert_eq!(give(&EventKind::Stop(StatesError::default())), Ok(()));
    assert_eq!(give(&kind), Ok(()));
    assert_eq!(give(&kind), Err(Illegal::NotRedrivable));
    let late = Event {
        at: Timestamp(5_000),
        kind: EventKind::TimePassed,
    };
    assert_eq!(execution.advance(&late, &mut Nowhere), Ok(()));
    assert!(matches!(execution.status(), Status::Succeeded(_)));
    let at = late.at;
    assert_eq!(
        execution.advance(&Event { at, kind }, &mut Nowhere),
        Err(Illegal::NotRedrivable)
    );
}

#[test]
fn what_succeeded_keeps_nothing() {
    let definition = one(&json!({"Type": "Pass", "Assign": {"v": "x".repeat(9_000)}, "Result": 1, "End": true}));
    let definition = Arc::new(compile(&definition.to_string(), &Options::default()).expect("valid"));
    let mut execution = Execution::new(definition);
    let begin = Event {
        at: Timestamp(0),
        kind: EventKind::Start(start("{}")),
    };
    assert_eq!(execution.advance(&begin, &mut Nowhere), Ok(()));
    assert!(execution.snapshot().len() < 2_000);
}
