//! Redriven Maps: iterations go on, children are redriven.

use super::*;

#[test]
fn an_iteration_goes_on_inside_its_chain_and_later_ones_begin() {
    let map = json!({"Type": "Map", "MaxConcurrency": 1, "ItemProcessor": branch("T", &task(&json!({}))), "End": true});
    check_redriven(
        &one(&map),
        "[0,1,2]",
        turns([("T", &[Answer::Succeed(json!("a")), BOOM, Answer::Succeed(json!("b"))])]),
        1,
        &expect![[r#"
            1<0 ExecutionStarted 0.000
            2<0 MapStateEntered:A 0.000
            3<2 MapStateStarted 0.000
            4<3 MapIterationStarted:A 0.000
            5<4 TaskStateEntered:T 0.000
            6<5 LambdaFunctionScheduled 0.000
            7<6 LambdaFunctionStarted 0.000
            8<7 LambdaFunctionSucceeded 0.000
            9<8 TaskStateExited:T 0.000
            10<9 MapIterationSucceeded:A 0.000
            11<9 MapIterationStarted:A 0.000
            12<11 TaskStateEntered:T 0.000
            13<12 LambdaFunctionScheduled 0.000
            14<13 LambdaFunctionStarted 0.000
            15<14 LambdaFunctionFailed 0.000
            16<15 MapIterationFailed:A 0.000
            17<15 TaskStateAborted 0.000
            18<15 MapStateFailed 0.000
            19<18 ExecutionFailed 0.000
            20<19 ExecutionRedriven 60.000
            21<12 LambdaFunctionScheduled 60.000
            22<21 LambdaFunctionStarted 60.000
            23<22 LambdaFunctionSucceeded 60.000
            24<23 TaskStateExited:T 60.000
            25<24 MapIterationSucceeded:A 60.000
            26<24 MapIterationStarted:A 60.000
            27<26 TaskStateEntered:T 60.000
            28<27 LambdaFunctionScheduled 60.000
            29<28 LambdaFunctionStarted 60.000
            30<29 LambdaFunctionSucceeded 60.000
            31<30 TaskStateExited:T 60.000
            32<31 MapIterationSucceeded:A 60.000
            33<32 MapStateSucceeded 60.000
            34<32 MapStateExited:A 60.000
            35<34 ExecutionSucceeded 60.000
            SUCCEEDED ["a","b","b"]
        "#]],
    );
}

#[test]
fn iterations_that_were_cut_go_on_in_index_order() {
    let processor = json!({"StartAt": "C", "States": {
        "C": {"Type": "Choice", "Choices": [{"Variable": "$", "NumericEquals": 1, "Next": "T"}], "Default": "W"},
        "T": task(&json!({})), "W": wait(9)}});
    check_redriven(
        &one(&json!({"Type": "Map", "MaxConcurrency": 2, "ItemProcessor": processor, "End": true})),
        "[0,1,2]",
        turns([("T", &[BOOM, OK])]),
        1,
        &expect![[r#"
            1<0 ExecutionStarted 0.000
            2<0 MapStateEntered:A 0.000
            3<2 MapStateStarted 0.000
            4<3 MapIterationStarted:A 0.000
            5<3 MapIterationStarted:A 0.000
            6<4 ChoiceStateEntered:C 0.000
            7<6 ChoiceStateExited:C 0.000
            8<5 ChoiceStateEntered:C 0.000
            9<8 ChoiceStateExited:C 0.000
            10<7 WaitStateEntered:W 0.000
            11<9 TaskStateEntered:T 0.000
            12<11 LambdaFunctionScheduled 0.000
            13<12 LambdaFunctionStarted 0.000
            14<13 LambdaFunctionFailed 0.000
            15<14 MapIterationAborted:A 0.000
            16<14 WaitStateAborted 0.000
            17<14 MapIterationFailed:A 0.000
            18<14 TaskStateAborted 0.000
            19<14 MapStateFailed 0.000
            20<19 ExecutionFailed 0.000
            21<20 ExecutionRedriven 60.000
            22<11 LambdaFunctionScheduled 60.000
            23<22 LambdaFunctionStarted 60.000
            24<23 LambdaFunctionSucceeded 60.000
            25<24 TaskStateExited:T 60.000
            26<25 MapIterationSucceeded:A 60.000
            27<25 MapIterationStarted:A 60.000
            28<27 ChoiceStateEntered:C 60.000
            29<28 ChoiceStateExited:C 60.000
            30<29 WaitStateEntered:W 60.000
            31<10 WaitStateExited:W 69.000
            32<31 MapIterationSucceeded:A 69.000
            33<30 WaitStateExited:W 69.000
            34<33 MapIterationSucceeded:A 69.000
            35<34 MapStateSucceeded 69.000
            36<34 MapStateExited:A 69.000
            37<36 ExecutionSucceeded 69.000
            SUCCEEDED [0,null,2]
        "#]],
    );
}

#[test]
fn an_item_whose_input_failed_is_tried_again() {
    let map = json!({"Type": "Map", "MaxConcurrency": 2, "ItemsPath": "$.items", "ItemSelector": {"a.$": "States.ArrayGetItem($.values, $$.Map.Item.Index)"},
        "ItemProcessor": branch("W", &wait(1)), "End": true});
    check_redriven(
        &one(&map),
        r#"{"items":[0,1,2],"values":["a"]}"#,
        turns([]),
        1,
        &expect![[r#"
            1<0 ExecutionStarted 0.000
            2<0 MapStateEntered:A 0.000
            3<2 MapStateStarted 0.000
            4<3 MapIterationStarted:A 0.000
            5<3 ExecutionFailed 0.000
            6<5 ExecutionRedriven 60.000
            7<3 ExecutionFailed 60.000
            FAILED Some("States.Runtime") Some("An error occurred while executing the state 'A' (entered at the event id #2). There was an error while evaluating the intrinsic function: States.ArrayGetItem($.values, $$.Map.Item.Index). Invalid arguments in States.ArrayGetItem")
        "#]],
    );
}

#[test]
fn a_map_run_is_redriven_with_the_children_that_did_not_succeed() {
    let block = json!({"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
        "StartAt": "T", "States": {"T": task(&json!({}))}});
    check_redriven(
        &one(&json!({"Type": "Map", "MaxConcurrency": 1, "ItemProcessor": block, "End": true})),
        "[0,1,2]",
        turns([(
            "T",
            &[Answer::Succeed(json!("a")), BOOM, BOOM, Answer::Succeed(json!("b"))],
        )]),
        2,
        &expect![[r#"
            1<0 ExecutionStarted 0.000
            2<0 MapStateEntered:A 0.000
            3<2 MapStateStarted 0.000
            4<3 MapRunStarted 0.000
            5<4 MapRunFailed 0.000
            6<5 MapStateFailed 0.000
            7<6 ExecutionFailed 0.000
            8<7 ExecutionRedriven 60.000
            9<3 MapRunRedriven 60.000
            10<9 MapRunFailed 60.000
            11<10 MapStateFailed 60.000
            12<11 ExecutionFailed 60.000
            13<12 ExecutionRedriven 120.000
            14<3 MapRunRedriven 120.000
            15<14 MapRunSucceeded 120.000
            16<15 MapStateSucceeded 120.000
            17<14 MapStateExited:A 120.000
            18<17 ExecutionSucceeded 120.000
            SUCCEEDED ["a","b","b"]
        "#]],
    );
}

#[test]
fn an_express_child_begins_again() {
    let pass = json!({"Type": "Pass", "Parameters": {"n.$": "$$.Execution.RedriveCount", "t.$": "$$.Execution.StartTime"},
        "ResultPath": "$.seen", "Next": "T"});
    let block = json!({"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "EXPRESS"},
        "StartAt": "P", "States": {"P": pass, "T": task(&json!({"ResultPath": null}))}});
    check_redriven(
        &one(&json!({"Type": "Map", "ItemProcessor": block, "End": true})),
        r#"[{}]"#,
        turns([("T", &[BOOM, OK])]),
        1,
        &expect![[r#"
            1<0 ExecutionStarted 0.000
            2<0 MapStateEntered:A 0.000
            3<2 MapStateStarted 0.000
            4<3 MapRunStarted 0.000
            5<4 MapRunFailed 0.000
            6<5 MapStateFailed 0.000
            7<6 ExecutionFailed 0.000
            8<7 ExecutionRedriven 60.000
            9<3 MapRunRedriven 60.000
            10<9 MapRunSucceeded 60.000
            11<10 MapStateSucceeded 60.000
            12<9 MapStateExited:A 60.000
            13<12 ExecutionSucceeded 60.000
            SUCCEEDED [{"seen":{"t":"2023-11-14T22:14:20Z","n":1}}]
        "#]],
    );
}
