//! What is seen of one state.

use expect_test::Expect;
use expect_test::expect;
use serde_json::json;

use super::*;
use crate::asl::load::Options;
use crate::asl::load::compile;
use crate::model::id::BlockId;
use crate::model::quota::Quotas;
use crate::model::token::TokenKey;

/// What stands for the work.
enum Work {
    Fails(&'static str),
    Nothing,
    Returns(Value),
}

/// A machine whose state `S` is tested; `A` and `B` are there to be gone to.
fn machine(state: Value) -> Value {
    json!({
        "StartAt": "First",
        "States": {
            "First": {"Type": "Choice", "Choices": [
                {"Variable": "$.a", "IsNull": true, "Next": "A"}, {"Variable": "$.b", "IsNull": true, "Next": "B"},
            ], "Default": "S"},
            "S": state, "A": {"Type": "Succeed"}, "B": {"Type": "Succeed"},
        },
    })
}

fn start(input: Value) -> Start {
    Start {
        execution_arn: "arn:aws:states:us-east-1:111111111111:express:m:e".into(),
        name: "e".into(),
        state_machine_arn: "arn:aws:states:us-east-1:111111111111:stateMachine:m".into(),
        state_machine_name: "m".into(),
        role_arn: "".into(),
        input: Payload::new(input),
        seed: 1,
        quotas: Quotas::Aws,
        express: true,
        synchronous: true,
        version_arn: None,
        alias_arn: None,
        token_key: TokenKey::from_seed(1),
        wait_scale: 1.0,
        block: BlockId(0),
    }
}

/// Prints the stages, one a line, what answered an error, and the end.
fn print(machine: &Value, name: &str, input: Value, setting: Setting, work: Work) -> String {
    let definition = compile(&machine.to_string(), &Options::default()).expect("the definition is accepted");
    let index = definition.states.iter().position(|state| &*state.name == name);
    let state = StateId(u32::try_from(index.expect("the state is there")).expect("it is small"));
    let mut isolated = IsolatedState::new(Arc::new(definition), state, start(input), setting, Timestamp(0));
    let mut progress = isolated.begin();
    if let Progress::Waiting(until) = progress {
        progress = isolated.time_passed(until);
    }
    if !matches!(progress, Progress::Done) {
        progress = match work {
            Work::Fails(name) => isolated.fail(StatesError::new(name, "because")),
            Work::Nothing => progress,
            Work::Returns(result) => isolated.succeed(Payload::new(result)),
        };
    }
    let inspection = isolated.inspection();
    let mut lines: Vec<String> = inspection
        .stages
        .iter()
        .map(|(stage, value)| format!("{stage:?} {}", value.text()))
        .collect();
    lines.extend(
        inspection
            .variables
            .iter()
            .map(|(name, value)| format!("${name} {}", value.text())),
    );
    let details = inspection.error_details;
    if details != ErrorDetails::default() {
        let (retrier, catcher, pause) = (details.retrier, details.catcher, details.pause_millis);
        lines.push(format!("retrier {retrier:?} catcher {catcher:?} pause {pause:?}"));
    }
    let error = |error: &StatesError| {
        let text = |part: &Option<String>| part.clone().unwrap_or_default();
        format!("{}: {}", text(&error.name), text(&error.cause))
    };
    lines.push(match isolated.ending() {
        Some(Ending::Caught {
            error: caught,
            output,
            next,
        }) => {
            format!("CAUGHT {} -> {next} {}", error(&caught), output.text())
        }
        Some(Ending::Failed(failed)) => format!("FAILED {}", error(&failed)),
        Some(Ending::Retriable(retriable)) => format!("RETRIABLE {}", error(&retriable)),
        Some(Ending::Succeeded { output, next }) => {
            format!("SUCCEEDED -> {} {}", next.as_deref().unwrap_or("end"), output.text())
        }
        None => format!("{progress:?}"),
    });
    lines.join("\n")
}

#[track_caller]
fn check(state: Value, input: Value, work: Work, expected: Expect) {
    check_with(state, input, Setting::default(), work, expected);
}

#[track_caller]
fn check_with(state: Value, input: Value, setting: Setting, work: Work, expected: Expect) {
    expected.assert_eq(&print(&machine(state), "S", input, setting, work));
}

/// A Task with a retrier and two catchers.
fn guarded() -> Value {
    json!({
        "Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage",
        "Parameters": {"QueueUrl": "q", "MessageBody": "m"}, "ResultPath": "$.r", "Next": "A",
        "Retry": [{"ErrorEquals": ["Busy"], "IntervalSeconds": 3, "MaxAttempts": 4, "BackoffRate": 2}],
        "Catch": [
            {"ErrorEquals": ["Odd"], "Next": "A"},
            {"ErrorEquals": ["States.ALL"], "Next": "B", "ResultPath": "$.e"},
        ],
    })
}

fn map(more: Value) -> Value {
    let mut map = json!({
        "Type": "Map", "End": true,
        "ItemProcessor": {"StartAt": "I", "States": {"I": {"Type": "Pass", "End": true}}},
    });
    let fields = more.as_object().expect("fields").clone();
    map.as_object_mut().expect("a state").extend(fields);
    map
}

fn failed(n: u64) -> Setting {
    Setting {
        n_failed_iterations: Some(n),
        ..Setting::default()
    }
}

#[test]
fn a_task_shows_every_stage() {
    check(
        json!({
            "Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage", "InputPath": "$.in",
            "Parameters": {"QueueUrl": "q", "MessageBody.$": "$.text"}, "ResultSelector": {"id.$": "$.MessageId"},
            "ResultPath": "$.sent", "OutputPath": "$.sent", "Next": "A",
        }),
        json!({"in": {"text": "hi"}}),
        Work::Returns(json!({"MessageId": "7"})),
        expect![[r#"
            AfterInputPath {"text":"hi"}
            AfterParameters {"QueueUrl":"q","MessageBody":"hi"}
            AfterResultPath {"in":{"text":"hi"},"sent":{"id":"7"}}
            AfterResultSelector {"id":"7"}
            Result {"MessageId":"7"}
            SUCCEEDED -> A {"id":"7"}"#]],
    );
    check(
        json!({
            "Type": "Task", "QueryLanguage": "JSONata", "Resource": "arn:aws:states:::sqs:sendMessage",
            "Arguments": {"QueueUrl": "q", "MessageBody": "{% $states.input.text %}"},
            "Assign": {"id": "{% $states.result.MessageId %}"}, "Output": "{% $states.result %}", "End": true,
        }),
        json!({"text": "hi"}),
        Work::Returns(json!({"MessageId": "7"})),
        expect![[r#"
            AfterArguments {"QueueUrl":"q","MessageBody":"hi"}
            Result {"MessageId":"7"}
            $id "7"
            SUCCEEDED -> end {"MessageId":"7"}"#]],
    );
}

#[test]
fn states_without_work_show_their_own_fields_alone() {
    check(
        json!({"Type": "Pass", "Parameters": {"a": 1}, "End": true}),
        json!({}),
        Work::Nothing,
        expect![[r#"
            AfterInputPath {}
            AfterParameters {"a":1}
            AfterResultPath {"a":1}
            AfterResultSelector {"a":1}
            SUCCEEDED -> end {"a":1}"#]],
    );
    check(
        json!({"Type": "Pass", "Result": 1, "ResultPath": "$.r", "End": true}),
        json!({}),
        Work::Nothing,
        expect![[r#"
            AfterResultPath {"r":1}
            AfterResultSelector 1
            Result 1
            SUCCEEDED -> end {"r":1}"#]],
    );
    check(
        json!({"Type": "Pass", "QueryLanguage": "JSONata", "Next": "A"}),
        json!({}),
        Work::Nothing,
        expect!["SUCCEEDED -> A {}"],
    );
    check(
        json!({"Type": "Wait", "Seconds": 9, "Next": "B"}),
        json!([1]),
        Work::Nothing,
        expect![[r#"
            AfterInputPath [1]
            SUCCEEDED -> B [1]"#]],
    );
    check(
        json!({"Type": "Succeed", "InputPath": "$.a"}),
        json!({"a": 2}),
        Work::Nothing,
        expect![[r#"
            AfterInputPath 2
            SUCCEEDED -> end 2"#]],
    );
    check(
        json!({"Type": "Fail", "Error": "E", "Cause": "c"}),
        json!({}),
        Work::Nothing,
        expect![[r#"
            AfterInputPath {}
            FAILED E: c"#]],
    );
    check(
        json!({"Type": "Choice", "Choices": [{"Variable": "$.n", "NumericEquals": 1, "Next": "A"}], "Default": "B"}),
        json!({"n": 2}),
        Work::Nothing,
        expect![[r#"
            AfterInputPath {"n":2}
            SUCCEEDED -> B {"n":2}"#]],
    );
}

#[test]
fn an_error_is_retried_then_caught_then_failed() {
    let used = |retry_count| Setting {
        retry_count,
        ..Setting::default()
    };
    check_with(
        guarded(),
        json!({}),
        used(0),
        Work::Fails("Busy"),
        expect![[r#"
        AfterInputPath {}
        AfterParameters {"QueueUrl":"q","MessageBody":"m"}
        retrier Some(0) catcher None pause Some(3000)
        RETRIABLE Busy: because"#]],
    );
    check_with(
        guarded(),
        json!({}),
        used(3),
        Work::Fails("Busy"),
        expect![[r#"
        AfterInputPath {}
        AfterParameters {"QueueUrl":"q","MessageBody":"m"}
        retrier Some(0) catcher None pause Some(24000)
        RETRIABLE Busy: because"#]],
    );
    check_with(
        guarded(),
        json!({}),
        used(4),
        Work::Fails("Busy"),
        expect![[r#"
        AfterInputPath {}
        AfterParameters {"QueueUrl":"q","MessageBody":"m"}
        retrier Some(0) catcher Some(1) pause None
        CAUGHT Busy: because -> B {"e":{"Error":"Busy","Cause":"because"}}"#]],
    );
    check(
        guarded(),
        json!({}),
        Work::Fails("Odd"),
        expect![[r#"
        AfterInputPath {}
        AfterParameters {"QueueUrl":"q","MessageBody":"m"}
        retrier None catcher Some(0) pause None
        CAUGHT Odd: because -> A {"Error":"Odd","Cause":"because"}"#]],
    );
    let bare = json!({"Type": "Task", "Resource": "arn:aws:lambda:us-east-1:111111111111:function:f", "End": true});
    check(
        bare,
        json!({}),
        Work::Fails("Odd"),
        expect![[r#"
        AfterInputPath {}
        AfterParameters {}
        FAILED Odd: because"#]],
    );
}

#[test]
fn causes_do_not_name_the_state() {
    check(
        json!({"Type": "Pass", "InputPath": "$.no", "End": true}),
        json!({"a": 1}),
        Work::Nothing,
        expect!["FAILED States.Runtime: Invalid path '$.no' : No results for path: $['no']"],
    );
    check(
        json!({"Type": "Pass", "QueryLanguage": "JSONata", "Output": "{% $states.input.no %}", "End": true}),
        json!({}),
        Work::Nothing,
        expect![
            "FAILED States.QueryEvaluationError: The JSONata expression '$states.input.no' specified for the field 'Output' returned nothing (undefined)."
        ],
    );
}

#[test]
fn a_map_shows_its_items_and_limits() {
    check(
        map(
            json!({"ItemsPath": "$.items", "ItemSelector": {"i.$": "$$.Map.Item.Index", "v.$": "$$.Map.Item.Value"},
            "MaxConcurrency": 2, "ToleratedFailurePercentage": 50}),
        ),
        json!({"items": ["a", "b"]}),
        Work::Returns(json!([1, 2])),
        expect![[r#"
            AfterInputPath {"items":["a","b"]}
            AfterItemSelector [{"v":"a","i":0},{"v":"b","i":1}]
            AfterItemsPath ["a","b"]
            AfterResultPath [1,2]
            AfterResultSelector [1,2]
            MaxConcurrency 2
            ToleratedFailurePercentage 50.0
            SUCCEEDED -> end [1,2]"#]],
    );
    check(
        map(json!({"QueryLanguage": "JSONata", "Items": "{% [1, 2] %}"})),
        json!({}),
        Work::Returns(json!([1, 2])),
        expect![[r#"
            MaxConcurrency 0
            SUCCEEDED -> end [1,2]"#]],
    );
    check(
        map(json!({"ItemsPath": "$.items"})),
        json!({"items": 1}),
        Work::Nothing,
        expect![[r#"
            AfterInputPath {"items":1}
            FAILED States.Runtime: Reference path "$.items" must point to array."#]],
    );
    check(
        map(json!({"ItemBatcher": {"MaxItemsPerBatch": 2}, "ItemProcessor": {
            "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
            "StartAt": "I", "States": {"I": {"Type": "Pass", "End": true}},
        }})),
        json!([1, 2, 3]),
        Work::Returns(json!([])),
        expect![[r#"
            AfterInputPath [1,2,3]
            AfterItemBatcher [{"Items":[1,2]},{"Items":[3]}]
            AfterItemsPath [1,2,3]
            AfterResultPath []
            AfterResultSelector []
            MaxConcurrency 0
            SUCCEEDED -> end []"#]],
    );
}

#[test]
fn failed_iterations_count_against_the_tolerance() {
    let tolerant = || map(json!({"ToleratedFailureCount": 1}));
    check_with(
        tolerant(),
        json!([1, 2, 3]),
        failed(1),
        Work::Returns(json!([1, 2])),
        expect![[r#"
            AfterInputPath [1,2,3]
            AfterItemsPath [1,2,3]
            AfterResultPath [1,2]
            AfterResultSelector [1,2]
            MaxConcurrency 0
            ToleratedFailureCount 1
            SUCCEEDED -> end [1,2]"#]],
    );
    check_with(
        tolerant(),
        json!([1, 2, 3]),
        failed(2),
        Work::Returns(json!([1])),
        expect![[r#"
            AfterInputPath [1,2,3]
            AfterItemsPath [1,2,3]
            MaxConcurrency 0
            ToleratedFailureCount 1
            FAILED States.ExceedToleratedFailureThreshold: The specified tolerated failure threshold was exceeded"#]],
    );
    check_with(
        map(json!({})),
        json!([1, 2, 3]),
        failed(2),
        Work::Fails("Odd"),
        expect![[r#"
            AfterInputPath [1,2,3]
            AfterItemsPath [1,2,3]
            MaxConcurrency 0
            FAILED Odd: because"#]],
    );
}

#[test]
fn a_parallel_is_answered_as_a_whole() {
    check(
        json!({"Type": "Parallel", "Branches": [{"StartAt": "P", "States": {"P": {"Type": "Succeed"}}}],
            "ResultSelector": {"first.$": "$[0]"}, "Next": "A"}),
        json!({}),
        Work::Returns(json!([7])),
        expect![[r#"
            AfterInputPath {}
            AfterParameters {}
            AfterResultPath {"first":7}
            AfterResultSelector {"first":7}
            SUCCEEDED -> A {"first":7}"#]],
    );
}

#[test]
fn variables_and_context_are_as_given() {
    let variables = BTreeMap::from([(Arc::from("x"), Payload::new(json!(3)))]);
    let state =
        || json!({"Type": "Pass", "Parameters": {"x.$": "$x", "context.$": "$$"}, "Assign": {"y": 1}, "End": true});
    let setting = Setting {
        variables: variables.clone(),
        ..Setting::default()
    };
    check_with(
        state(),
        json!({}),
        setting,
        Work::Nothing,
        expect![[r#"
        AfterInputPath {}
        AfterParameters {"x":3,"context":{"Execution":{"Id":"arn:aws:states:us-east-1:111111111111:express:m:e","Input":{},"StartTime":"1970-01-01T00:00:00Z","Name":"e","RoleArn":null},"StateMachine":{"Id":"arn:aws:states:us-east-1:111111111111:stateMachine:m","Name":"m"},"State":{"Name":"StateName","EnteredTime":"1970-01-01T00:00:00Z"}}}
        AfterResultPath {"x":3,"context":{"Execution":{"Id":"arn:aws:states:us-east-1:111111111111:express:m:e","Input":{},"StartTime":"1970-01-01T00:00:00Z","Name":"e","RoleArn":null},"StateMachine":{"Id":"arn:aws:states:us-east-1:111111111111:stateMachine:m","Name":"m"},"State":{"Name":"StateName","EnteredTime":"1970-01-01T00:00:00Z"}}}
        AfterResultSelector {"x":3,"context":{"Execution":{"Id":"arn:aws:states:us-east-1:111111111111:express:m:e","Input":{},"StartTime":"1970-01-01T00:00:00Z","Name":"e","RoleArn":null},"StateMachine":{"Id":"arn:aws:states:us-east-1:111111111111:stateMachine:m","Name":"m"},"State":{"Name":"StateName","EnteredTime":"1970-01-01T00:00:00Z"}}}
        $x 3
        $y 1
        SUCCEEDED -> end {"x":3,"context":{"Execution":{"Id":"arn:aws:states:us-east-1:111111111111:express:m:e","Input":{},"StartTime":"1970-01-01T00:00:00Z","Name":"e","RoleArn":null},"StateMachine":{"Id":"arn:aws:states:us-east-1:111111111111:stateMachine:m","Name":"m"},"State":{"Name":"StateName","EnteredTime":"1970-01-01T00:00:00Z"}}}"#]],
    );
    let setting = Setting {
        variables,
        context: Some(json!({"State": {}})),
        ..Setting::default()
    };
    check_with(
        state(),
        json!({}),
        setting,
        Work::Nothing,
        expect![[r#"
        AfterInputPath {}
        AfterParameters {"x":3,"context":{"State":{}}}
        AfterResultPath {"x":3,"context":{"State":{}}}
        AfterResultSelector {"x":3,"context":{"State":{}}}
        $x 3
        $y 1
        SUCCEEDED -> end {"x":3,"context":{"State":{}}}"#]],
    );
}

#[test]
fn a_state_inside_a_map_has_an_item() {
    let inner = json!({"Type": "Pass", "Parameters": {"item.$": "$$.Map.Item"}, "OutputPath": "$.item", "End": true});
    let machine = json!({"StartAt": "M", "States": {"M": {"Type": "Map", "End": true,
        "ItemProcessor": {"StartAt": "I", "States": {"I": inner}}}}});
    let printed = print(&machine, "I", json!("v"), Setting::default(), Work::Nothing);
    expect![[r#"SUCCEEDED -> end {"Index":0,"Value":"v"}"#]].assert_eq(printed.lines().last().unwrap_or_default());
}

#[test]
fn variables_in_reach_can_be_assigned_anew() {
    for end in [
        json!({"Type": "Pass", "End": true}),
        json!({"Type": "Wait", "Seconds": 0, "End": true}),
    ] {
        let mut state = end;
        state["Assign"] = json!({"v": 2});
        let setting = Setting {
            variables: BTreeMap::from([(Arc::from("v"), Payload::new(json!("a long value")))]),
            ..Setting::default()
        };
        let told = print(&machine(state.clone()), "S", json!({}), setting, Work::Nothing);
        assert!(told.contains("SUCCEEDED"), "{told}");
    }
}
