//! `stepfn graph` and `stepfn diff` as they are called.
#![cfg(feature = "runtime")]

mod scratch;

use std::fs;
use std::process::Output;

use serde_json::Value;
use serde_json::json;

use crate::scratch::Scratch;
use crate::scratch::stderr;

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// A Parallel whose error is caught: the task in it fails, and a later one succeeds in its second attempt.
fn machine(scratch: &Scratch) {
    let task = |name: &str| format!("arn:aws:lambda:us-east-1:123456789012:function:{name}");
    scratch.machine(json!({
        "Both": {
            "Type": "Parallel",
            "Branches": [{"StartAt": "Breaks", "States": {"Breaks": {"Type": "Task", "Resource": task("b"), "End": true}}}],
            "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Mends"}],
            "Next": "Never",
        },
        "Mends": {"Type": "Task", "Resource": task("m"), "Retry": [{"ErrorEquals": ["Flaky"]}], "End": true},
        "Never": {"Type": "Pass", "End": true},
    }));
    let throw = |error: &str| json!({"Throw": {"Error": error, "Cause": ""}});
    let mocks = json!({
        "StateMachines": {"m": {"TestCases": {"T": {"Breaks": "Broken", "Mends": "Mended"}}}},
        "MockedResponses": {
            "Broken": {"0": throw("Broken")},
            "Mended": {"0": throw("Flaky"), "1": {"Return": {}}},
        },
    });
    scratch.write("mocks.json", &mocks.to_string());
    let ran = scratch.run(&[
        "run",
        "m.asl.json",
        "--input",
        "{}",
        "--mock",
        "mocks.json#T",
        "--time",
        "skip",
        "--quiet",
        "--history",
        "h.json",
    ]);
    assert!(ran.status.success(), "{ran:?}");
}

#[test]
fn what_fails_within_is_seen_to_fail_though_no_event_has_its_error() {
    let scratch = Scratch::new("graph-inner-failure");
    let check = json!({ "StartAt": "Check", "States": {
        "Check": { "Type": "Choice", "Default": "Fine",
            "Choices": [{ "Variable": "$", "NumericGreaterThan": 1, "Next": "Reject" }] },
        "Fine": { "Type": "Pass", "End": true },
        "Reject": { "Type": "Fail", "Error": "Rejected" } } });
    scratch.machine(json!({
        "Both": { "Type": "Parallel", "Next": "Never", "Catch": [{ "ErrorEquals": ["Rejected"], "Next": "Undo" }],
            "Branches": [
                { "StartAt": "Each", "States": { "Each": { "Type": "Map", "ItemProcessor": check, "End": true } } },
                { "StartAt": "Later", "States": { "Later": { "Type": "Wait", "Seconds": 1, "End": true } } }] },
        "Undo": { "Type": "Pass", "End": true },
        "Never": { "Type": "Succeed" },
    }));
    let run = [
        "run",
        "m.asl.json",
        "--input",
        "[1, 2]",
        "--time",
        "skip",
        "--quiet",
        "--history",
        "h.json",
    ];
    assert!(scratch.run(&run).status.success());
    let drawn = text(&scratch.run(&["graph", "m.asl.json", "--execution", "h.json"]));
    for (class, name) in [
        ("✗", "Reject"),
        ("✗", "Each"),
        ("⚠", "Both"),
        ("✓", "Fine"),
        ("◌", "Later"),
        ("✓", "Undo"),
    ] {
        assert!(
            drawn.contains(&format!("<b>{class} {name}</b>")),
            "{class} {name}: {drawn}"
        );
    }
}

#[test]
fn a_history_in_any_of_its_shapes_colors_the_picture() {
    let scratch = Scratch::new("graph-history");
    machine(&scratch);
    let whole: Value = serde_json::from_str(&fs::read_to_string(scratch.0.join("h.json")).unwrap()).unwrap();
    let mut events = whole["events"].as_array().unwrap().clone();
    // The AWS CLI writes times as text, and with an option the last event first.
    events.reverse();
    for event in &mut events {
        let millis = (event["timestamp"].as_f64().unwrap() * 1000.0).round() as i64;
        let seconds = millis.div_euclid(1000) % 60;
        event["timestamp"] = format!("2026-11-24T10:00:{seconds:02}.{:03}+00:00", millis.rem_euclid(1000)).into();
    }
    scratch.write("list.json", &Value::Array(events.clone()).to_string());
    let lines: Vec<String> = events.iter().map(Value::to_string).collect();
    scratch.write("lines.json", &lines.join("\n"));
    for history in ["h.json", "list.json", "lines.json"] {
        let drawn = scratch.run(&["graph", "m.asl.json", "--execution", history]);
        assert!(drawn.status.success(), "{history}: {}", stderr(&drawn));
        let shown = text(&drawn);
        for part in [
            "⚠ Both",
            "✗ Breaks",
            "Broken",
            "✓ Mends",
            "2 attempts<br/>Flaky",
            "<b>Never</b>",
            "class s0 caught",
            "class s2 notReached",
        ] {
            assert!(shown.contains(part), "{history}: `{part}` is not in\n{shown}");
        }
    }
}

#[test]
fn the_extension_names_the_format() {
    let scratch = Scratch::new("graph-formats");
    machine(&scratch);
    for (file, begin) in [
        ("p.svg", &b"<svg "[..]),
        ("p.PNG", b"\x89PNG"),
        ("p.mmd", b"flowchart TD"),
        ("p.gv", b"digraph {"),
    ] {
        let drawn = scratch.run(&["graph", "m.asl.json", "--execution", "h.json", "-o", file]);
        assert!(drawn.status.success(), "{file}: {}", stderr(&drawn));
        assert_eq!(text(&drawn), "");
        assert!(fs::read(scratch.0.join(file)).unwrap().starts_with(begin), "{file}");
    }
}

#[test]
fn what_cannot_be_drawn_or_compared_is_told() {
    let scratch = Scratch::new("graph-trouble");
    machine(&scratch);
    scratch.write("other.json", r#"{"StartAt":"X","States":{"X":{"Type":"Succeed"}}}"#);
    scratch.write("bad.json", r#"{"StartAt":"X","States":{}}"#);
    scratch.write("text.json", "nonsense");
    scratch.write("no-id.json", r#"[{"type":"ExecutionStarted"}]"#);
    scratch.write("empty.json", "[]");
    for (arguments, part) in [
        (&["graph", "none.json"][..], "failed to read `none.json`"),
        (&["graph", "bad.json"], "bad.json"),
        (
            &["graph", "m.asl.json", "-o", "p.jpg"],
            "the extension of `p.jpg` names no format",
        ),
        (
            &["graph", "m.asl.json", "-o", "none/p.svg"],
            "failed to write `none/p.svg`",
        ),
        (
            &["graph", "m.asl.json", "--execution", "text.json"],
            "`text.json` is not a history: it is not JSON",
        ),
        (
            &["graph", "m.asl.json", "--execution", "no-id.json"],
            "event 1 has no `id` or no `type`",
        ),
        (
            &["graph", "m.asl.json", "--execution", "empty.json"],
            "it has no events",
        ),
        (
            &["graph", "other.json", "--execution", "h.json"],
            "is of another definition: this one has no state `Both`",
        ),
        (&["diff", "m.asl.json", "bad.json"], "bad.json"),
        (&["diff", "m.asl.json", "none.json"], "failed to read `none.json`"),
    ] {
        let output = scratch.run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&output).contains(part), "{arguments:?}: {}", stderr(&output));
    }
}

#[test]
fn ten_thousand_states_are_refused_as_a_picture_and_written_as_text() {
    let scratch = Scratch::new("graph-large");
    let name = |index: usize| format!("S{index}");
    let mut states: serde_json::Map<String, Value> = (0..9_999)
        .map(|index| (name(index), json!({"Type": "Pass", "Next": name(index + 1)})))
        .collect();
    states.insert(name(9_999), json!({"Type": "Succeed"}));
    scratch.write("l.json", &json!({"StartAt": "S0", "States": states}).to_string());
    let refused = scratch.run(&["graph", "l.json", "--format", "svg"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        stderr(&refused).contains("has 10000 states, and a picture shows at most 2000"),
        "{}",
        stderr(&refused)
    );
    let drawn = scratch.run(&["graph", "l.json", "--format", "mermaid"]);
    assert!(text(&drawn).contains("s9998 --> s9999"));
    assert!(stderr(&drawn).contains("unless it is configured"), "{}", stderr(&drawn));
}

#[test]
fn differences_are_told_by_state_and_by_exit_code() {
    let scratch = Scratch::new("diff");
    scratch.write(
        "a.json",
        r#"{"StartAt":"A","States":{"A":{"Type":"Wait","Seconds":1,"Next":"B"},"B":{"Type":"Pass","End":true}}}"#,
    );
    scratch.write(
        "same.yaml",
        "Comment: the same\nStates:\n  B: {End: true, Type: Pass}\n  A: {Next: B, Type: Wait, Seconds: 1}\nStartAt: A\n",
    );
    scratch.write(
        "b.json",
        r#"{"StartAt":"A","States":{"A":{"Type":"Wait","Seconds":2,"Next":"C"},"C":{"Type":"Pass","End":true}}}"#,
    );
    let same = scratch.run(&["diff", "a.json", "same.yaml"]);
    assert_eq!((same.status.code(), text(&same)), (Some(0), String::new()));
    let commented = scratch.run(&["diff", "a.json", "same.yaml", "--comments"]);
    assert_eq!(
        (commented.status.code(), text(&commented)),
        (Some(1), "the state machine\n  + Comment: \"the same\"\n".to_owned())
    );
    let different = scratch.run(&["diff", "a.json", "b.json"]);
    assert_eq!(
        (different.status.code(), text(&different)),
        (Some(1), "A\n  ~ Seconds: 1 → 2\nC\n  ~ renamed from `B`\n".to_owned())
    );
    let listed = scratch.run(&["diff", "a.json", "b.json", "--format", "json"]);
    let listed: Value = serde_json::from_str(&text(&listed)).unwrap();
    assert_eq!(listed["changes"][0]["field"], "Seconds");
    assert_eq!(listed["changes"][1]["change"], "state-renamed");
}
