//! The built program: arguments, files, streams, exit codes.
#![cfg(feature = "runtime")]

mod scratch;

use std::fs;
use std::io::Write;
use std::process::Stdio;

use serde_json::Value;
use serde_json::json;

use crate::scratch::SHELL;
use crate::scratch::Scratch;
use crate::scratch::stderr;
use crate::scratch::stdout;

#[test]
fn the_output_alone_goes_to_stdout() {
    let scratch = Scratch::new("output");
    scratch.machine(json!({
        "A": { "Type": "Pass", "Result": { "n": 1 }, "Next": "B" },
        "B": { "Type": "Choice", "Choices": [{ "Variable": "$.n", "NumericEquals": 1, "Next": "C" }] },
        "C": { "Type": "Succeed" }
    }));
    let output = scratch.run(&["run", "m.asl.json"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "{\"n\":1}\n");
    assert!(stderr(&output).contains("done      A (Pass, "), "{output:?}");
    let output = scratch.run(&["run", "m.asl.json", "--quiet"]);
    assert_eq!(stderr(&output), "");
}

#[test]
fn exit_codes_tell_what_happened() {
    let scratch = Scratch::new("codes");
    scratch.machine(json!({ "F": { "Type": "Fail", "Error": "Oops", "Cause": "because" } }));
    scratch.write("bad.json", "{\"StartAt\": \"A\", \"States\": {}}");
    scratch.write("text.json", "nonsense");
    scratch.write(
        "token.json",
        r#"{"StartAt":"T","States":{"T":{"Type":"Task","Resource":"arn:aws:states:::sqs:sendMessage.waitForTaskToken","Parameters":{"QueueUrl":"q","MessageBody.$":"$$.Task.Token"},"End":true}}}"#,
    );
    fs::write(scratch.0.join("utf16.json"), b"\xff\xfe{\0}\0").unwrap();
    fs::write(scratch.0.join("binary.json"), b"{\"a\":\"\xff\"}").unwrap();
    fs::create_dir(scratch.0.join("directory.json")).unwrap();
    for (arguments, code, part) in [
        (
            &["run", "m.asl.json"][..],
            1,
            "error: the execution failed: Oops\ncause: because\nstate: `F` at m.asl.json:4:10",
        ),
        (&["run", "none.json"], 2, "error: failed to read `none.json`"),
        (&["run", "binary.json"], 2, "is not UTF-8"),
        (&["run", "directory.json"], 2, "error: failed to read `directory.json`"),
        (&["run", "bad.json"], 2, "bad.json"),
        (&["run", "text.json"], 2, "text.json"),
        (
            &["run", "m.asl.json", "--input", "{"],
            2,
            "error: the input is not JSON",
        ),
        (
            &["run", "m.asl.json", "--input", "@none"],
            2,
            "error: failed to read `none`",
        ),
        (
            &["run", "m.asl.json", "--query", "$.["],
            2,
            "is not an RFC 9535 JSONPath",
        ),
        (
            &["run", "m.asl.json", "--seed", "-1"],
            2,
            "invalid value '-1' for '--seed",
        ),
        (&["run", "m.asl.json", "--name", "a b"], 2, "cannot name an execution"),
        (
            &["run", "m.asl.json", "--substitute", "a"],
            2,
            "hint: write --substitute Name=value",
        ),
        (
            &["run", "m.asl.json", "--map", "none"],
            2,
            "error: failed to read `none`",
        ),
        (
            &["run", "m.asl.json", "--mock", "none"],
            2,
            "hint: write --mock FILE#TestCase",
        ),
        (
            &["run", "m.asl.json", "--history", "none/h.json"],
            2,
            "error: failed to write the history",
        ),
        (&["run"], 2, "FILE"),
        (&["fly"], 2, "fly"),
        (&["validate", "m.asl.json"], 0, ""),
        (&["validate", "token.json"], 0, ""),
        (
            &["validate", "--type", "EXPRESS", "token.json"],
            1,
            "'.waitForTaskToken'",
        ),
        (&["validate", "--type", "FAST", "token.json"], 2, "EXPRESS"),
        (&["validate", "utf16.json"], 2, "hint: The file is UTF-16"),
        (&["validate", "."], 1, "bad.json"),
        (
            &["validate", "directory.json"],
            2,
            "there is no state machine definition",
        ),
        (&["validate", "m.asl.json", "bad.json"], 1, "bad.json"),
        (&["validate", "m.asl.json", "none.json"], 2, "none.json"),
        (&["--version"], 0, ""),
        (&["help", "run"], 0, ""),
    ] {
        let output = scratch.run(arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?} {output:?}");
        assert!(stderr(&output).contains(part), "{arguments:?} {}", stderr(&output));
        if code != 0 {
            assert!(output.stdout.is_empty(), "{arguments:?}");
        }
    }
}

#[test]
fn findings_show_the_lines_they_are_about() {
    let scratch = Scratch::new("findings");
    scratch.write(
        "m.json",
        "{\n  \"StartAt\": \"A\",\n  \"States\": {\n    \"A\": { \"Type\": \"Pass\", \"Next\": \"Nowhere\" }\n  }\n}\n",
    );
    let output = scratch.run(&["validate", "m.json"]);
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    for part in ["Nowhere", "m.json:4", "\"A\": { \"Type\": \"Pass\"", "^"] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
}

#[test]
fn placeholders_may_stay_open_in_validate_only() {
    let scratch = Scratch::new("placeholders");
    scratch.machine(json!({ "W": { "Type": "Wait", "Seconds": 0, "Next": "T" }, "T": { "Type": "Task", "Resource": "${Arn}", "End": true } }));
    assert_eq!(scratch.run(&["validate", "m.asl.json"]).status.code(), Some(0));
    assert_eq!(scratch.run(&["run", "m.asl.json"]).status.code(), Some(2));
    let substitute = format!("Arn={SHELL}");
    let output = scratch.run_with_input(&json!({ "Script": "echo 1" }), &["--substitute", &substitute]);
    assert_eq!(stdout(&output)["Stdout"], 1);
    scratch.write("values.yaml", &format!("Arn: {SHELL}\n"));
    scratch.write("wrong.yaml", "- 1\n");
    let output = scratch.run_with_input(&json!({ "Script": "echo 2" }), &["--values", "values.yaml"]);
    assert_eq!(stdout(&output)["Stdout"], 2);
    let output = scratch.run_with_input(&json!({}), &["--values", "wrong.yaml"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output)
            == "error: failed to read the values of `wrong.yaml`: The values must be an object of name and value at line 1 \
                column 1\n",
        "{output:?}"
    );
}

#[test]
fn input_comes_from_an_argument_a_file_or_stdin() {
    let scratch = Scratch::new("input");
    scratch.machine(json!({ "S": { "Type": "Succeed" } }));
    scratch.write("in.json", "{ \"a\": 1.0 }");
    assert_eq!(scratch.run(&["run", "m.asl.json"]).stdout, b"{}\n");
    assert_eq!(scratch.run(&["run", "m.asl.json", "--input", "-1"]).stdout, b"-1\n");
    assert_eq!(
        stdout(&scratch.run(&["run", "m.asl.json", "--input", "@in.json"])),
        json!({ "a": 1.0 })
    );
    let mut child = scratch
        .command(&["run", "m.asl.json", "--input", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"[true]").unwrap();
    assert_eq!(stdout(&child.wait_with_output().unwrap()), json!([true]));
}

#[test]
fn a_wrong_input_is_named() {
    let scratch = Scratch::new("wrong-input");
    scratch.machine(json!({ "S": { "Type": "Succeed" } }));
    scratch.write("in.json", "{\n  \"a\": 1,\n}");
    scratch.write("empty.json", "\n");
    scratch.write("long.json", &json!("x".repeat(300_000)).to_string());
    for (input, expected) in [
        (
            "{",
            "error: the input is not JSON: EOF while parsing an object at line 1 column 1\n\
             hint: give the JSON itself, `@FILE` to read a file, or `-` to read stdin\n",
        ),
        (
            "@in.json",
            "error: the input `in.json` is not JSON: trailing comma at line 3 column 1\n",
        ),
        (
            "@empty.json",
            "error: the input `empty.json` is empty, which is not JSON\n",
        ),
        ("-", "error: the input from stdin is empty, which is not JSON\n"),
        (
            "@long.json",
            "error: the input `long.json` has 300002 bytes, more than 262144\nhint: --no-quotas lifts AWS's limit\n",
        ),
    ] {
        let output = scratch.run(&["run", "m.asl.json", "--input", input]);
        assert_eq!(
            (output.status.code(), stderr(&output).as_str()),
            (Some(2), expected),
            "{input}"
        );
    }
    scratch.write("marked.json", "\u{feff}[1]");
    assert_eq!(
        stdout(&scratch.run(&["run", "m.asl.json", "--input", "@marked.json"])),
        json!([1])
    );
}

#[test]
fn a_closed_stdout_is_no_panic() {
    let scratch = Scratch::new("pipe");
    scratch.machine(json!({ "S": { "Type": "Succeed" } }));
    let input = json!("x".repeat(200_000)).to_string();
    scratch.write("in.json", &input);
    let mut child = scratch
        .command(&["run", "m.asl.json", "--input", "@in.json", "--quiet"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""));
}

#[test]
fn query_and_history() {
    let scratch = Scratch::new("query");
    scratch.machine(json!({ "S": { "Type": "Succeed" } }));
    let input = json!({ "a": [{ "b": 1 }, { "b": 2 }] });
    let output = scratch.run_with_input(&input, &["--query", "$.a[1].b", "--history", "h.json", "--name", "n"]);
    assert_eq!(stdout(&output), json!(2));
    assert_eq!(
        stdout(&scratch.run_with_input(&input, &["-q", "$.a[*].b"])),
        json!([1, 2])
    );
    let history: Value = serde_json::from_str(&fs::read_to_string(scratch.0.join("h.json")).unwrap()).unwrap();
    let types: Vec<_> = history["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| &event["type"])
        .collect();
    assert_eq!(
        types,
        [
            "ExecutionStarted",
            "SucceedStateEntered",
            "SucceedStateExited",
            "ExecutionSucceeded"
        ]
    );
    assert_eq!(history["events"][0]["id"], 1);
}

#[test]
fn the_history_overwrites_nothing_that_is_read() {
    let scratch = Scratch::new("overwrite");
    scratch.machine(json!({ "S": { "Type": "Succeed" } }));
    let files = [("in.json", "{}"), ("values.json", "{}"), ("map.toml", "")];
    for (name, text) in files {
        scratch.write(name, text);
    }
    let mocks = json!({ "StateMachines": { "m": { "TestCases": { "C": {} } } }, "MockedResponses": {} }).to_string();
    scratch.write("mocks.json", &mocks);
    std::os::unix::fs::symlink("in.json", scratch.0.join("link.json")).unwrap();
    let definition = fs::read_to_string(scratch.0.join("m.asl.json")).unwrap();
    for (history, what) in [
        ("m.asl.json", "definition"),
        ("in.json", "input"),
        ("link.json", "input"),
        ("values.json", "file of values"),
        ("map.toml", "mapping file"),
        ("./mocks.json", "mock file"),
    ] {
        let mut arguments = vec!["run", "m.asl.json", "--input", "@in.json", "--values", "values.json"];
        arguments.extend(["--map", "map.toml", "--mock", "mocks.json#C", "--history", history]);
        let output = scratch.run(&arguments);
        let expected = format!("error: the history would overwrite the {what} `{history}`\n");
        assert_eq!((output.status.code(), stderr(&output)), (Some(2), expected));
    }
    for (name, text) in files
        .into_iter()
        .chain([("m.asl.json", &*definition), ("mocks.json", &mocks)])
    {
        assert_eq!(fs::read_to_string(scratch.0.join(name)).unwrap(), text, "{name}");
    }
}

#[test]
fn a_full_disk_costs_the_history_alone() {
    let scratch = Scratch::new("full");
    let wrong = "error: failed to write the history to `/dev/full`: No space left on device (os error 28)\n";
    scratch.machine(json!({ "S": { "Type": "Succeed" } }));
    let output = scratch.run(&["run", "m.asl.json", "--history", "/dev/full", "--quiet"]);
    assert_eq!(output.stdout, b"{}\n");
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(3), wrong));
    scratch.machine(json!({ "F": { "Type": "Fail", "Error": "Oops" } }));
    let output = scratch.run(&["run", "m.asl.json", "--history", "/dev/full", "--quiet"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).starts_with("error: the execution failed: Oops\n"),
        "{output:?}"
    );
    assert!(stderr(&output).ends_with(wrong), "{output:?}");
}

#[test]
fn a_terminal_shows_what_goes_on_and_a_dumb_one_plain_lines() {
    let scratch = Scratch::new("terminal");
    let task = json!({ "Type": "Task", "Resource": SHELL, "Parameters": { "Script": "sleep 0.1" }, "End": true });
    scratch.machine(json!({ "M": {
        "Type": "Map",
        "MaxConcurrency": 1,
        "ItemProcessor": { "StartAt": "T", "States": { "T": task } },
        "End": true
    } }));
    for (term, is_live) in [("xterm", true), ("dumb", false)] {
        // `script` gives the program a terminal.
        let command = format!("{} run m.asl.json --input '[1, 2]'", env!("CARGO_BIN_EXE_stepfn"));
        let output = std::process::Command::new("script")
            .args(["--quiet", "--return", "--command", &command, "/dev/null"])
            .env("TERM", term)
            .current_dir(&scratch.0)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let screen = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{screen}");
        assert_eq!(screen.matches("  done      T (Task, ").count(), 2, "{screen}");
        assert_eq!(screen.contains("1/2"), is_live, "{screen}");
        assert_eq!(screen.contains('\u{1b}'), is_live, "{screen}");
        assert_eq!(screen.contains("started   T"), !is_live, "{screen}");
    }
}

#[test]
fn a_failed_child_execution_says_why() {
    let scratch = Scratch::new("child");
    scratch.machine(json!({ "M": {
        "Type": "Map",
        "ItemProcessor": {
            "ProcessorConfig": { "Mode": "DISTRIBUTED", "ExecutionType": "STANDARD" },
            "StartAt": "F",
            "States": { "F": { "Type": "Fail", "Error": "Boom", "Cause": "bad item\nof many" } }
        },
        "End": true
    } }));
    let output = scratch.run_with_input(&json!([1]), &[]);
    assert!(
        stderr(&output).contains("failed    a child of M: Boom: bad item\n"),
        "{output:?}"
    );
}

#[test]
fn a_seed_repeats_all_chance() {
    let scratch = Scratch::new("seed");
    let parameters = json!({ "Id.$": "States.UUID()", "Name.$": "$$.Execution.Name" });
    scratch.machine(json!({ "P": { "Type": "Pass", "Parameters": parameters, "End": true } }));
    let run = |arguments: &[&str]| stdout(&scratch.run_with_input(&json!({}), arguments));
    assert_eq!(run(&["--seed", "7"]), run(&["--seed", "7"]));
    assert_ne!(run(&["--seed", "7"]), run(&["--seed", "8"]));
    assert_ne!(run(&[]), run(&[]));
    assert_eq!(run(&["--name", "mine"])["Name"], "mine");
}

#[test]
fn a_machine_that_takes_too_long_times_out() {
    let scratch = Scratch::new("machine-timeout");
    scratch.write(
        "m.asl.json",
        &json!({
            "TimeoutSeconds": 60,
            "StartAt": "W",
            "States": { "W": { "Type": "Wait", "Seconds": 300, "End": true } }
        })
        .to_string(),
    );
    let output = scratch.run(&["run", "m.asl.json", "--time", "skip"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("error: the execution timed out: States.Timeout"),
        "{output:?}"
    );
}

#[test]
fn time_can_be_skipped() {
    let scratch = Scratch::new("skip");
    scratch.machine(json!({
        "W": { "Type": "Wait", "Seconds": 259_200, "Next": "T" },
        "T": { "Type": "Task", "Resource": SHELL, "Retry": [{ "ErrorEquals": ["States.ALL"], "IntervalSeconds": 3600 }], "End": true }
    }));
    let script = "echo x >> tries; test $(wc -l < tries) -eq 3";
    let input = json!({ "Script": script });
    let output = scratch.run_with_input(&input, &["--time", "skip", "--history", "h.json"]);
    assert_eq!(stdout(&output)["ExitCode"], 0);
    assert!(stderr(&output).contains("started   T (attempt 3)"), "{output:?}");
    let history: Value = serde_json::from_str(&fs::read_to_string(scratch.0.join("h.json")).unwrap()).unwrap();
    let events = history["events"].as_array().unwrap();
    let time = |event: &Value| event["timestamp"].as_f64().unwrap();
    let took = time(events.last().unwrap()) - time(&events[0]);
    assert!((259_200.0 + 3600.0 + 7200.0..280_000.0).contains(&took), "{took}");
}
