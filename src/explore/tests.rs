//! A machine in, its findings out: each planted defect is found, what is sound gives nothing.

use std::path::PathBuf;
use std::sync::Arc;

use expect_test::Expect;
use expect_test::expect;
use serde_json::Value;
use serde_json::json;

use crate::asl::load::Options as LoadOptions;
use crate::asl::load::compile;
use crate::explore::report::Kind;
use crate::explore::report::Level;
use crate::explore::report::Options;
use crate::explore::report::Report;
use crate::explore::report::explore;
use crate::suite::run::Machine;

/// Within so many runs everything here must be found.
const RUNS: usize = 400;

fn report(machine: &Value, level: Level, seed: u64) -> Report {
    let definition = match compile(&machine.to_string(), &LoadOptions::default()) {
        Ok(definition) => Arc::new(definition),
        Err(findings) => panic!("{findings:?}"),
    };
    let machine = Machine {
        name: "m".to_owned(),
        path: PathBuf::from("m.asl.json"),
        definition,
        express: false,
    };
    let options = Options {
        runs: RUNS,
        seed,
        level,
        stand_ins: Vec::new(),
    };
    explore(&machine, &options, &mut || true)
}

fn told(report: &Report) -> String {
    let mut text = String::new();
    for finding in &report.findings {
        text += &format!("{}: {}\n", finding.kind.name(), finding.message);
        match &finding.reproduction {
            Some(reproduction) => {
                text += &format!("  {}", reproduction.input());
                for (state, mock) in reproduction.mocks() {
                    text += &format!(" {state}={mock}");
                }
                text += "\n";
            }
            None => assert_eq!(finding.kind, Kind::NotReached, "every run can be repeated: {finding:?}"),
        }
    }
    text
}

fn machine(states: &Value) -> Value {
    let first = states.as_object().unwrap().keys().next().unwrap();
    json!({ "StartAt": first, "States": states })
}

#[track_caller]
fn check(states: &Value, expected: Expect) {
    expected.assert_eq(&told(&report(&machine(states), Level::Warning, 1)));
}

#[track_caller]
fn check_all(states: &Value, expected: Expect) {
    expected.assert_eq(&told(&report(&machine(states), Level::Information, 1)));
}

fn task(more: Value) -> Value {
    let mut task = json!({ "Type": "Task", "Resource": "arn:aws:lambda:us-east-1:123456789012:function:F" });
    for (name, value) in more.as_object().unwrap() {
        task[name] = value.clone();
    }
    task
}

#[test]
fn a_catcher_that_drops_the_input_is_found() {
    check(
        &json!({
            "Charge": task(json!({ "ResultPath": "$.charge", "Next": "Done",
                "Catch": [{ "ErrorEquals": ["Declined"], "Next": "Tell" }] })),
            "Tell": task(json!({ "Parameters": { "to.$": "$.customer.mail" }, "End": true })),
            "Done": { "Type": "Succeed" },
        }),
        expect![[r#"
            runtime-error: `Tell` fails with States.Runtime: The JSONPath '$.customer.mail' specified for the field 'to.$' could not be found
              {"customer":{"mail":"text"}} Charge={"error":"Declined","cause":"made up by stepfn explore"}
        "#]],
    );
}

#[test]
fn a_result_that_hides_the_input_is_found() {
    check(
        &json!({
            "Init": { "Type": "Pass", "Result": { "n": 1 }, "Next": "Use" },
            "Use": task(json!({ "Parameters": { "n.$": "$.n", "order.$": "$.order.id" }, "End": true })),
        }),
        expect![[r#"
            runtime-error: `Use` fails with States.Runtime: The JSONPath '$.order.id' specified for the field 'order.$' could not be found
              {"n":"text","order":{"id":"text"}}
        "#]],
    );
}

#[test]
fn a_jsonata_output_without_what_comes_later_is_found() {
    let machine = json!({ "QueryLanguage": "JSONata", "StartAt": "A", "States": {
        "A": task(json!({ "Output": { "id": "{% $states.result.id %}" }, "Next": "B" })),
        "B": { "Type": "Pass", "Output": "{% $states.input.total + 1 %}", "End": true },
    }});
    expect![[r#"
        runtime-error: `B` fails with States.QueryEvaluationError: The JSONata expression '$states.input.total + 1' specified for the field 'Output' returned nothing (undefined)
          {"total":1} A={"result":{"id":"text"}}
    "#]].assert_eq(&told(&report(&machine, Level::Warning, 1)));
}

#[test]
fn a_defect_behind_several_conditions_is_found() {
    check(
        &json!({
            "Get": task(json!({ "Next": "Which" })),
            "Which": { "Type": "Choice", "Default": "Done", "Choices": [
                { "Next": "Bad", "And": [
                    { "Variable": "$.status", "StringEquals": "OPEN" },
                    { "Variable": "$.amount", "NumericGreaterThan": 500 },
                    { "Or": [
                        { "Variable": "$.since", "TimestampLessThan": "2020-01-01T00:00:00Z" },
                        { "Variable": "$.vip", "BooleanEquals": true },
                    ] },
                    { "Not": { "Variable": "$.blocked", "IsPresent": true } },
                ] },
            ] },
            "Bad": { "Type": "Pass", "Parameters": { "Result": 1 }, "Next": "Use" },
            "Use": { "Type": "Pass", "InputPath": "$.amount", "End": true },
            "Done": { "Type": "Succeed" },
        }),
        expect![[r#"
            runtime-error: `Use` fails with States.Runtime: Invalid path '$.amount' : No results for path: $['amount']
              {"amount":501} Get={"result":{"amount":501,"since":"2019-12-31T23:59:59.000Z","status":"OPEN"}}
        "#]],
    );
}

#[test]
fn a_defect_behind_retries_is_found() {
    check(
        &json!({
            "Try": task(json!({ "ResultPath": "$.r", "Next": "Done",
                "Retry": [{ "ErrorEquals": ["Busy"], "MaxAttempts": 2 }],
                "Catch": [{ "ErrorEquals": ["Busy"], "ResultPath": "$.error", "Next": "Give up" }] })),
            "Give up": { "Type": "Pass", "Parameters": { "why.$": "$.error.Reason" }, "End": true },
            "Done": { "Type": "Succeed" },
        }),
        expect![[r#"
            runtime-error: `Give up` fails with States.Runtime: The JSONPath '$.error.Reason' specified for the field 'why.$' could not be found
              {"error":{"Reason":"text"}} Try={"error":"Busy","cause":"made up by stepfn explore"}
        "#]],
    );
}

#[test]
fn a_result_path_into_an_item_that_is_no_object_is_found() {
    check(
        &json!({
            "List": { "Type": "Pass", "Result": { "numbers": [1, 2] }, "Next": "Each" },
            "Each": { "Type": "Map", "ItemsPath": "$.numbers", "End": true, "ItemProcessor": {
                "ProcessorConfig": { "Mode": "DISTRIBUTED", "ExecutionType": "STANDARD" },
                "StartAt": "Do", "States": { "Do": task(json!({ "ResultPath": "$.done", "End": true })) } } },
        }),
        expect![[r#"
            runtime-error: `Do` fails with States.ReferencePathConflict: Unable to apply ReferencePath $.done
              {} Do={"result":{}}
        "#]],
    );
}

#[test]
fn a_loop_of_states_alone_is_found() {
    check(
        &json!({
            "Which": { "Type": "Choice", "Default": "Again", "Choices": [
                { "Variable": "$.trigger", "StringEquals": "go", "Next": "Done" } ] },
            "Again": { "Type": "Pass", "Next": "Which" },
            "Done": { "Type": "Succeed" },
        }),
        expect![[r#"
            unbounded-loop: `Which`, `Again` go round with the same data
              {"trigger":"gox"}
        "#]],
    );
}

#[test]
fn an_error_that_leads_back_to_its_task_is_found() {
    check(
        &json!({
            "Lock": task(json!({ "ResultPath": null, "Next": "Done",
                "Catch": [{ "ErrorEquals": ["NoItem"], "ResultPath": null, "Next": "Make" }] })),
            "Make": task(json!({ "ResultPath": null, "Next": "Lock" })),
            "Done": { "Type": "Succeed" },
        }),
        expect![[r#"
            unbounded-loop: `Lock`, `Make` go round with the same data as long as the tasks answer so
              {} Lock={"error":"NoItem","cause":"made up by stepfn explore"} Make={"result":{}}
        "#]],
    );
}

#[test]
fn polling_is_told_only_to_those_who_ask() {
    let states = json!({
        "Get": task(json!({ "Next": "Which" })),
        "Which": { "Type": "Choice", "Default": "Wait", "Choices": [
            { "Variable": "$.status", "StringEquals": "DONE", "Next": "Done" } ] },
        "Wait": { "Type": "Wait", "Seconds": 3600, "Next": "Get" },
        "Done": { "Type": "Succeed" },
    });
    check(&states, expect![[""]]);
    check_all(
        &states,
        expect![[r#"
        open-loop: `Get`, `Which`, `Wait` go round with the same data as long as the tasks answer so
          {} Get={"result":{"status":"DONEx"}}
        uncaught-error: nothing catches all errors of `Get`
          {} Get={"error":"Explored.Error","cause":"made up by stepfn explore"}
    "#]],
    );
    let mut bounded = machine(&states);
    bounded["TimeoutSeconds"] = json!(86400);
    let report = report(&bounded, Level::Information, 1);
    assert!(report.findings.iter().all(|finding| finding.kind != Kind::OpenLoop));
}

#[test]
fn data_that_grow_in_a_loop_are_found() {
    check(
        &json!({
            "Double": { "Type": "Pass", "Parameters": { "t.$": "States.Format('{}{}', $.t, $.t)" }, "Next": "Double?" },
            "Double?": { "Type": "Choice", "Default": "Double", "Choices": [
                { "Variable": "$.t", "StringEquals": "no", "Next": "Done" } ] },
            "Done": { "Type": "Succeed" },
        }),
        expect![[r#"
            data-limit: an output of `Double` is larger than 262144 bytes, though what comes from outside is small
              {"t":"text"}
            not-reached: `Done` was not reached in 12 runs
        "#]],
    );
}

#[test]
fn what_is_not_undone_is_found() {
    let undo = |more| {
        json!({
            "ReserveRoom": task(json!({ "ResultPath": "$.room", "Next": "ChargeCard" })),
            "ChargeCard": task(json!({ "ResultPath": "$.charge", "Next": "BookFlight",
                "Catch": [{ "ErrorEquals": ["States.ALL"], "ResultPath": "$.e", "Next": "CancelRoom" }] })),
            "BookFlight": task(json!({ "ResultPath": "$.flight", "End": true })),
            "CancelRoom": task(more),
            "Fail": { "Type": "Fail" },
        })
    };
    let retry = json!([{ "ErrorEquals": ["States.ALL"] }]);
    check(
        &undo(json!({ "Retry": retry, "Next": "Fail" })),
        expect![[r#"
        no-rollback: the execution fails at `BookFlight` after `ReserveRoom`, `ChargeCard`, and nothing is undone
          {} ReserveRoom={"result":{}} ChargeCard={"result":{}} BookFlight={"error":"States.TaskFailed","cause":"made up by stepfn explore"}
    "#]],
    );
    check(
        &undo(json!({ "Next": "Fail" })),
        expect![[r#"
        no-rollback: the execution fails at `BookFlight` after `ReserveRoom`, `ChargeCard`, and nothing is undone
          {} ReserveRoom={"result":{}} ChargeCard={"result":{}} BookFlight={"error":"States.TaskFailed","cause":"made up by stepfn explore"}
        rollback-fails: `CancelRoom` undoes something, and an error of its own ends the execution there
          {} ReserveRoom={"result":{}} ChargeCard={"error":"States.TaskFailed","cause":"made up by stepfn explore"} CancelRoom={"error":"States.TaskFailed","cause":"made up by stepfn explore"}
    "#]],
    );
}

#[test]
fn a_state_behind_a_condition_that_never_holds_is_found() {
    check(
        &json!({
            "Set": { "Type": "Pass", "Result": true, "ResultPath": "$.ok", "Next": "Which" },
            "Which": { "Type": "Choice", "Default": "No", "Choices": [
                { "Variable": "$.ok", "BooleanEquals": true, "Next": "Yes" } ] },
            "No": { "Type": "Pass", "Next": "Yes" },
            "Yes": { "Type": "Succeed" },
        }),
        expect![[r#"
            not-reached: `No` was not reached in 10 runs
        "#]],
    );
}

#[test]
fn what_data_cause_and_what_nobody_catches_is_information() {
    check_all(
        &json!({
            "Get": task(json!({ "ResultPath": "$.got", "Next": "Which" })),
            "Which": { "Type": "Choice", "Choices": [
                { "Variable": "$.got.kind", "StringEquals": "a", "Next": "Done" },
                { "Variable": "$.got.kind", "StringEquals": "b", "Next": "Done" } ] },
            "Done": { "Type": "Succeed" },
        }),
        expect![[r#"
            data-dependent: `Which` fails with States.Runtime: Failed to transition out of the state. The state does not point to a next state
              {} Get={"result":{"kind":"ax"}}
            uncaught-error: nothing catches all errors of `Get`
              {} Get={"error":"Explored.Error","cause":"made up by stepfn explore"}
        "#]],
    );
}

#[test]
fn what_is_sound_gives_nothing() {
    let done = json!({ "Type": "Succeed" });
    let jsonata = |states: Value| {
        let mut machine = machine(&states);
        machine["QueryLanguage"] = json!("JSONata");
        machine
    };
    let sound = [
        machine(&json!({
            "Order": task(json!({ "Parameters": {
                "text.$": "States.Format($.template, $.name, 'x')",
                "year.$": "States.ArrayGetItem(States.StringSplit($.date, '-'), 2)",
                "body.$": "States.StringToJson($.body)", "n.$": "States.MathAdd($.n, 1)",
                "first.$": "$.items[0].sku", "all.$": "$.items[*].price",
                "input.$": "$$.Execution.Input.who.id" }, "ResultPath": "$.deep.order", "Next": "Each",
                "Catch": [{ "ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": "Tell" }] })),
            "Each": { "Type": "Map", "ItemsPath": "$.items", "ItemSelector": {
                "sku.$": "$$.Map.Item.Value.sku", "order.$": "$.deep.order.id" }, "ResultPath": "$.lines",
                "ItemProcessor": { "StartAt": "Line", "States": {
                    "Line": { "Type": "Pass", "Parameters": { "s.$": "$.sku", "o.$": "$.order" }, "End": true } } },
                "Next": "Both" },
            "Both": { "Type": "Parallel", "Next": "Use", "Branches": [
                { "StartAt": "L", "States": { "L": task(json!({ "End": true })) } },
                { "StartAt": "R", "States": { "R": { "Type": "Pass", "Parameters": { "r.$": "$.lines" }, "End": true } } } ] },
            "Use": { "Type": "Pass", "Parameters": { "l.$": "$[0].left", "r.$": "$[1].r" }, "End": true },
            "Tell": { "Type": "Pass", "Parameters": { "why.$": "States.StringToJson($.error.Cause)" }, "Next": "Why" },
            "Why": { "Type": "Pass", "InputPath": "$.why.errorMessage", "End": true },
        })),
        machine(&json!({
            "Begin": { "Type": "Pass", "Assign": { "n": 0, "list.$": "$.list", "count.$": "States.ArrayLength($.list)" },
                "Next": "More?" },
            "More?": { "Type": "Choice", "Default": "Done", "Choices": [
                { "Variable": "$n", "NumericLessThanPath": "$count", "Next": "One" } ] },
            "One": task(json!({ "Parameters": { "x.$": "States.ArrayGetItem($list, $n)" },
                "Assign": { "n.$": "States.MathAdd($n, 1)", "last.$": "$.value" }, "Next": "More?" })),
            "Done": done,
        })),
        jsonata(json!({
            "Read": task(json!({ "Arguments": { "ids": "{% $states.input.orders[amount > 10].id %}" },
                "Assign": { "rows": "{% $states.result.rows %}", "to": "{% $states.input.customer.mail %}" },
                "Output": "{% $states.result %}", "Next": "Which" })),
            "Which": { "Type": "Choice", "Default": "None", "Choices": [
                { "Condition": "{% $count($rows) > 2 and $contains($to, /^boss/) %}", "Next": "Many" },
                { "Condition": "{% $states.input.kind in ['a', 'b'] or $not($exists($states.input.extra)) %}", "Next": "Few" } ] },
            "Many": { "Type": "Map", "Items": "{% $rows %}", "End": true, "ItemProcessor": { "StartAt": "Row", "States": {
                "Row": { "Type": "Pass", "Output": "{% $uppercase($states.input.name) & $string($states.input.price * 2) %}",
                    "End": true } } } },
            "Few": { "Type": "Pass", "Output": "{% $sum($map($rows, function($r) { $r.price })) %}", "End": true },
            "None": { "Type": "Pass", "Output": { "none": "{% $states.input.kind %}" }, "End": true },
        })),
    ];
    for machine in sound {
        let report = report(&machine, Level::Warning, 1);
        assert_eq!(told(&report), "", "{machine}");
        let (covered, all) = report.coverage.states();
        assert_eq!(covered, all, "{:?} {machine}", report.coverage.missing());
    }
}

/// A Distributed Map that reads and writes, its fields, and the states of its items.
fn distributed(reader: Value, more: Value, items: Value) -> Value {
    let mut map = json!({ "Type": "Map", "ItemReader": reader,
        "ResultWriter": { "Resource": "arn:aws:states:::s3:putObject", "Parameters": { "Bucket": "out" } },
        "ItemProcessor": { "ProcessorConfig": { "Mode": "DISTRIBUTED", "ExecutionType": "STANDARD" },
            "StartAt": items.as_object().unwrap().keys().next().unwrap(), "States": items } });
    for (name, value) in more.as_object().unwrap() {
        map[name] = value.clone();
    }
    map
}

fn csv(headers: Value) -> Value {
    json!({ "Resource": "arn:aws:states:::s3:getObject", "Parameters": { "Bucket": "in", "Key.$": "$.key" },
        "ReaderConfig": { "InputType": "CSV", "CSVHeaderLocation": "GIVEN", "CSVHeaders": headers } })
}

#[test]
fn what_is_behind_readers_and_writers_is_explored() {
    check_all(
        &json!({
            "Each": distributed(csv(json!(["id", "amount"])), json!({ "Next": "Tell",
                "Catch": [{ "ErrorEquals": ["States.ItemReaderFailed"], "Next": "Gone" }] }), json!({
                "Kind": { "Type": "Choice", "Default": "Small", "Choices": [
                    { "Variable": "$.amount", "StringEquals": "many", "Next": "Large" }] },
                "Large": task(json!({ "Parameters": { "to.$": "$.mail" }, "End": true,
                    "Catch": [{ "ErrorEquals": ["States.ALL"], "Next": "Small" }] })),
                "Small": { "Type": "Succeed" } })),
            "Tell": { "Type": "Pass", "Parameters": { "key.$": "$.ResultWriterDetails.Key" }, "Next": "Use" },
            "Use": { "Type": "Pass", "InputPath": "$.results", "End": true },
            "Gone": { "Type": "Succeed" },
        }),
        expect![[r#"
            runtime-error: `Large` fails with States.Runtime: The JSONPath '$.mail' specified for the field 'to.$' could not be found
              {"key":"text"} Each.ItemReader={"result":[{"id":"text","amount":"many"}]}
            runtime-error: `Use` fails with States.Runtime: Invalid path '$.results' : No results for path: $['results']
              {"key":"text","results":"text"} Each.ItemReader={"result":[{"id":"text","amount":"text"}]}
            uncaught-error: nothing catches States.ResultWriterFailed of `Each`
              {"key":"text"} Each.ItemReader={"result":[]} Each.ResultWriter={"error":"States.ResultWriterFailed","cause":"made up by stepfn explore"}
        "#]],
    );
}

#[test]
fn items_of_every_reader_lead_through() {
    let read = |action: &str, config: Value| {
        json!({ "Resource": format!("arn:aws:states:::s3:{action}"),
        "Parameters": { "Bucket": "in", "Key": "k" }, "ReaderConfig": config })
    };
    let items = |path: &str| {
        json!({ "Kind": { "Type": "Choice", "Default": "Other", "Choices": [
            { "Variable": path, "StringEquals": "a", "Next": "A" }] },
        "A": { "Type": "Succeed" }, "Other": { "Type": "Succeed" } })
    };
    let batched = json!({ "End": true, "ItemBatcher": { "MaxItemsPerBatch": 2, "BatchInput": { "run.$": "$.run" } } });
    let selected = json!({ "End": true, "ItemSelector": { "kind.$": "$$.Map.Item.Value.type", "run.$": "$.run" } });
    let end = json!({ "End": true });
    let listing = || {
        let mut listing = read("listObjectsV2", json!({}));
        listing["Parameters"] = json!({ "Bucket": "in", "Prefix": "p" });
        listing
    };
    for (reader, more, path) in [
        (read("getObject", json!({ "InputType": "JSON" })), &end, "$.kind"),
        (read("getObject", json!({ "InputType": "JSONL" })), &selected, "$.kind"),
        (csv(json!(["kind"])), &end, "$.kind"),
        (csv(json!(["kind"])), &batched, "$.Items[0].kind"),
        (listing(), &end, "$.Key"),
    ] {
        let machine = machine(&json!({ "Each": distributed(reader, more.clone(), items(path)) }));
        let report = report(&machine, Level::Warning, 1);
        assert_eq!(told(&report), "", "{machine}");
        let (covered, all) = report.coverage.states();
        assert_eq!(covered, all, "{:?} {machine}", report.coverage.missing());
    }
}

#[test]
fn the_same_seed_gives_the_same_report() {
    let states = machine(&json!({
        "Get": task(json!({ "Next": "Which", "Retry": [{ "ErrorEquals": ["Busy"] }] })),
        "Which": { "Type": "Choice", "Choices": [
            { "Variable": "$.n", "NumericEquals": 1, "Next": "Get" },
            { "Variable": "$.n", "NumericEquals": 2, "Next": "Bad" } ] },
        "Bad": { "Type": "Pass", "InputPath": "$.gone.n", "Result": {}, "Next": "Worse" },
        "Worse": { "Type": "Pass", "InputPath": "$.x", "End": true },
    }));
    for seed in [1, 2] {
        let [first, second] = [(); 2].map(|()| format!("{:?}", report(&states, Level::Information, seed)));
        assert_eq!(first, second);
    }
}
