//! `stepfn test`: the examples' own tests, what failures look like, what reports hold.
#![cfg(feature = "runtime")]

mod scratch;

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use serde_json::json;
use stepfn::asl::load::Format;
use stepfn::asl::load::Tree;

use crate::scratch::Scratch;
use crate::scratch::stderr;
use crate::scratch::stdout;

fn fixtures() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures")
        .display()
        .to_string()
}

#[test]
fn the_examples_pass_and_three_are_covered_wholly() {
    let scratch = Scratch::new("suite-fixtures");
    let output = scratch.run(&["test", &fixtures(), "--json"]);
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    for case in told["cases"].as_array().unwrap() {
        assert_eq!(case["failures"], json!([]), "{case}");
    }
    assert!(output.status.success(), "{output:?}");
    for (name, of_first_case) in [
        ("job-poller", "5 of 6 transitions"),
        ("order-saga", "3 of 9 transitions"),
        ("variables-loop", "5 of 6 transitions"),
    ] {
        let path = format!("{}/{name}", fixtures());
        let output = scratch.run(&["test", &path, "--fail-under", "100"]);
        assert!(output.status.success(), "{output:?}");
        // Without the other cases it falls below.
        let test = fs::read_to_string(format!("{path}/{name}.test.yaml")).unwrap();
        let test = Tree::read(&test, Format::Yaml).unwrap().value();
        let first = test["tests"][0]["name"].as_str().unwrap();
        let output = scratch.run(&["test", &path, "--fail-under", "100", "--filter", &format!(": {first}$")]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(stderr(&output).contains(of_first_case), "{output:?}");
    }
    let path = format!("{}/nested-parallel", fixtures());
    let output = scratch.run(&["test", &path, "--fail-under", "80"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("3 of 4 transitions"), "{output:?}");
    assert!(
        stderr(&output).contains("hint: --coverage names what was not run"),
        "{output:?}"
    );
}

/// A machine with a task, and cases that fail in as many ways as there are.
fn failing(scratch: &Scratch) {
    scratch.machine(json!({
        "T": { "Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage", "Parameters": {}, "Next": "W",
            "Catch": [{ "ErrorEquals": ["States.ALL"], "Next": "W" }] },
        "W": { "Type": "Wait", "Seconds": 3, "End": true }
    }));
    scratch.write(
        "m.test.yaml",
        r#"
tests:
  - name: no mock
  - name: too few answers
    mocks: { T: [{ result: 1, when: "{% false %}" }] }
  - name: all is wrong
    mocks: { "*:sqs:*": { result: { a: [1, "{% 1 + 1 %}"], b: 1 } } }
    expect:
      output: { a: [1, 3], b: 1 }
      output_contains: { c: 1 }
      paths: { "$.a[1]": 9 }
      holds: "{% $states.input.output.b = 2 %}"
      visited: [T, X]
      attempts: { T: 2 }
      variables: { v: 1 }
      elapsed_seconds: 4
      history: none.txt
  - name: <another> & "end"
    mocks: { T: { error: E, cause: why } }
    expect: { error: E, cause_contains: because }
"#,
    );
}

#[test]
fn failures_say_what_is_not_as_expected() {
    let scratch = Scratch::new("suite-failures");
    failing(&scratch);
    let output = scratch.run(&["test", "."]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let told = String::from_utf8(output.stdout).unwrap();
    for part in [
        "FAIL  ./m.test.yaml:3: no mock\n      The state 'T' has no mock, and neither has its resource",
        "The mock 'T' has no answer left for call 1 by the state 'T'.",
        "`$.a[1]` of the output is 2, not 3.",
        "`$.c` of the output is absent, not 1.",
        "`$.a[1]` of the output is 2, not 9.",
        "`{% $states.input.output.b = 2 %}` gives false, not true.",
        "The definition has no state `X`, which `visited` names.",
        "State number 2 is `W`, not `X`; visited were: T, W.",
        "The task of `T` was tried 1 times, not 2.",
        "The variable `v` was never assigned.",
        "It took 3 s of virtual time, not 4 s.",
        "There is no history `./none.txt` yet; --update writes it.",
        "The status is SUCCEEDED, not FAILED.",
        "The cause is absent, which does not contain \"because\".",
        "0 passed, 4 failed",
    ] {
        assert!(told.contains(part), "{part}\n{told}");
    }
    let output = scratch.run(&["test", ".", "--filter", "wrong$"]);
    assert!(output.stdout.ends_with(b"0 passed, 1 failed\n"), "{output:?}");
    let output = scratch.run(&["test", ".", "--filter", "absent"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("`absent` matches none of 4 cases"),
        "{output:?}"
    );
}

#[test]
fn what_a_distributed_map_reads_and_writes_is_mocked() {
    let scratch = Scratch::new("suite-distributed");
    let bucket = |action: &str, arguments: Value, config: &str, settings: Value| {
        json!({
        "Resource": format!("arn:aws:states:::s3:{action}"), "Parameters": arguments, config: settings })
    };
    scratch.machine(json!({
        "M": { "Type": "Map", "Next": "R",
            "ItemReader": bucket("getObject", json!({ "Bucket": "in", "Key.$": "$.key" }), "ReaderConfig",
                json!({ "InputType": "JSON", "MaxItems": 2 })),
            "ResultWriter": bucket("putObject", json!({ "Bucket": "out", "Prefix": "results" }), "WriterConfig",
                json!({ "OutputType": "JSON", "Transformation": "NONE" })),
            "ItemProcessor": { "ProcessorConfig": { "Mode": "DISTRIBUTED", "ExecutionType": "STANDARD" },
                "StartAt": "I", "States": { "I": { "Type": "Task", "End": true,
                    "Resource": "arn:aws:lambda:us-east-1:123456789012:function:F" } } },
            "Catch": [{ "ErrorEquals": ["States.ItemReaderFailed"], "Next": "R" }] },
        "R": { "Type": "Pass", "End": true }
    }));
    scratch.write(
        "m.test.yaml",
        r#"
mocks: { I: { result: "{% $states.input %}" } }
tests:
  - name: the first items that are read
    input: { key: orders.json }
    mocks: { M.ItemReader: { result: [{ n: 1 }, { n: 2 }, { n: 3 }], after: 60 } }
    expect:
      visited: [M, I, I, R]
      elapsed_seconds: 60
      holds:
        - "{% $states.input.output.ResultWriterDetails.Bucket = 'out' %}"
        - "{% $contains($states.input.output.ResultWriterDetails.Key, /^results\\/[-0-9a-f]{36}\\/manifest.json$/) %}"
  - name: the mock sees the request
    input: { key: orders.json }
    mocks:
      "arn:aws:states:::s3:getObject":
        result: "{% $states.input.Arguments.Key = 'orders.json' ? { 'a': 1 } : [] %}"
    expect: { visited: [M, I, R] }
  - name: there is no object
    input: { key: gone }
    mocks: { M.ItemReader: { error: States.ItemReaderFailed, cause: none } }
    expect: { output: { Error: States.ItemReaderFailed, Cause: none } }
  - name: the results cannot be written
    input: { key: k }
    mocks: { M.ItemReader: { result: [] }, M.ResultWriter: { error: States.ResultWriterFailed } }
    expect: { error: States.ResultWriterFailed }
  - name: it never comes
    input: { key: k }
    mocks: { M.ItemReader: { never: true } }
    expect: { status: TIMED_OUT }
"#,
    );
    let output = scratch.run(&["test", "."]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    for (mocks, told) in [
        (
            "{}",
            "The ItemReader of the state 'M' has no mock named 'M.ItemReader', and neither has its resource",
        ),
        (
            "{ M.ItemReader: { result: 1 } }",
            "must be the items that are read: a list, or an object",
        ),
        (
            "{ M.ItemReader: { result: [], heartbeats: 1 } }",
            "The ItemReader of the state 'M' has no heartbeats",
        ),
        (
            "{ M.ItemReader: [{ result: [], when: '{% false %}' }] }",
            "has no answer left for call 1 by the ItemReader of",
        ),
        (
            "{ M: { result: [] } }",
            "which is no Task; what it reads is named `M.ItemReader`",
        ),
        ("{ I.ItemReader: { result: [] } }", "the state `I` has no ItemReader"),
        (
            "{ X.ItemReader: { result: [] } }",
            "which is neither a state nor a resource",
        ),
    ] {
        scratch.write(
            "m.test.yaml",
            &format!(
                "tests: [{{ name: a, input: {{ key: k }}, mocks: {mocks}, expect: {{ error: States.Runtime }} }}]"
            ),
        );
        let output = scratch.run(&["test", "."]);
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), stderr(&output));
        assert!(!output.status.success() && text.contains(told), "{mocks}: {text}");
    }
}

#[test]
fn a_history_is_kept_and_compared() {
    let scratch = Scratch::new("suite-history");
    scratch.machine(json!({ "P": { "Type": "Pass", "End": true } }));
    scratch.write(
        "m.test.json",
        r#"{ "tests": [{ "name": "a", "expect": { "history": "h.txt" } }] }"#,
    );
    assert!(!scratch.run(&["test", "."]).status.success());
    assert!(scratch.run(&["test", ".", "--update"]).status.success());
    assert!(scratch.run(&["test", "."]).status.success());
    scratch.machine(json!({ "Q": { "Type": "Pass", "End": true } }));
    let told = String::from_utf8(scratch.run(&["test", "."]).stdout).unwrap();
    assert!(
        told.contains(
            "Line 2 of `./h.txt` is `2<0 PassStateEntered:P 0.000`, but now it is `2<0 PassStateEntered:Q 0.000`."
        ),
        "{told}"
    );
}

#[test]
fn a_bad_file_does_not_hide_the_others() {
    let scratch = Scratch::new("suite-bad");
    scratch.machine(json!({ "P": { "Type": "Pass", "End": true } }));
    scratch.write("m.test.yaml", "tests: [{ name: fine }]");
    scratch.write("n.test.yaml", "tests: [{ name: fine }]");
    scratch.write(
        "o.test.yaml",
        "tests: [{ name: a, mocks: { Q: { result: 1 } } }]\ndefinition: m.asl.json",
    );
    scratch.write("p.test.yaml", "tests: [");
    scratch.write("q.test.yaml", "tests: [{ name: a }]\ndefinition: absent.json");
    let output = scratch.run(&["test", "."]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed, 0 failed"));
    let told = stderr(&output);
    for part in [
        "`./n.test.yaml`: there is no definition of the same name beside it\nhint: name the definition's file in `definition`",
        "`./q.test.yaml`: failed to read `./absent.json`: No such file",
        "error: in the case `a` `Q` is mocked, which is neither a state nor a resource\n --> ./o.test.yaml:1:9\n",
        "\n --> ./p.test.yaml:1:",
    ] {
        assert!(told.contains(part), "{part}\n{told}");
    }
    let empty = Scratch::new("suite-empty");
    assert_eq!(empty.run(&["test", "."]).status.code(), Some(2));
}

/// Reads reports as their usual consumers do.
const CONSUMER: &str = r#"
import sys, xml.etree.ElementTree as tree
suites = tree.parse("junit.xml").getroot()
cases = suites.findall("testsuite/testcase")
assert [case.get("name") for case in cases][-1] == '<another> & "end"', cases
assert len(suites.findall("testsuite/testcase/failure")) == int(suites.find("testsuite").get("failures")) == 4
record = {}
for line in open("lcov.info").read().splitlines():
    key, _, value = line.partition(":")
    record.setdefault(key, []).append(value)
assert record["SF"] == ["m.asl.json"], record
assert len(record["DA"]) == int(record["LF"][0]) == 2, record
hit = [value for value in record["DA"] if int(value.split(",")[1]) > 0]
assert len(hit) == int(record["LH"][0]) == 2, record
branches = [value.split(",") for value in record["BRDA"]]
assert len(branches) == int(record["BRF"][0]) == 2 and record["BRH"] == ["2"], record
assert "end_of_record" in record
"#;

#[test]
fn reports_are_understood() {
    let scratch = Scratch::new("suite-reports");
    failing(&scratch);
    scratch.run(&["test", ".", "--junit", "junit.xml", "--lcov", "lcov.info"]);
    let read = Command::new("python3")
        .args(["-c", CONSUMER])
        .current_dir(&scratch.0)
        .output()
        .unwrap();
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
}

/// Every member that the reader knows, but those that exclude others.
const WHOLE: &str = r#"{
  "definition": "m.asl.json", "type": "STANDARD", "substitutions": { "A": "a" }, "values": "v.json", "mock_config": "c.json",
  "mocks": { "T": { "result": 1 } },
  "tests": [
    { "name": "a", "input": 1, "seed": 1, "mocks": { "T": [
        { "result": 1, "after": 1.5, "heartbeats": 2, "when": "{% true %}", "item": 0 },
        { "error": "E", "cause": "c" }, { "never": true }
      ] },
      "expect": { "status": "SUCCEEDED", "output": 1, "output_contains": 1, "paths": { "$": 1 }, "holds": ["{% true %}"],
        "error": "E", "cause": "c", "cause_contains": "c", "visited": ["T"], "attempts": { "T": 1 }, "variables": { "v": 1 },
        "elapsed_seconds": 1, "history": "h.txt" } },
    { "name": "b", "state": "T", "context": {}, "variables": { "v": 1 }, "retry_count": 1,
      "field_validation_mode": "PRESENT", "expect": { "status": "CAUGHT_ERROR", "next_state": "U" } }
  ]
}"#;

#[test]
fn the_schema_and_the_reader_agree() {
    let scratch = Scratch::new("suite-schema");
    let schema = stdout(&scratch.run(&["test", "--schema"]));
    let validator = jsonschema::validator_for(&schema).unwrap();
    let accepts = |value: &Value| match validator.validate(value) {
        Ok(()) => true,
        Err(error) => {
            eprintln!("{}: {error}", error.instance_path());
            false
        }
    };
    scratch.machine(
        json!({ "T": { "Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage", "Parameters": {},
        "End": true } }),
    );
    // Whether the reader takes a file: whatever else is wrong is found later.
    let reads = |value: &Value| {
        scratch.write("m.test.json", &value.to_string());
        let told = stderr(&scratch.run(&["test", "m.test.json"]));
        assert!(
            told.is_empty() || told.contains("--> m.test.json:") || told.contains("v.json`: No such file"),
            "{told}"
        );
        told.is_empty() || told.contains("v.json`: No such file")
    };
    let mut n_files = 0;
    for directory in fs::read_dir(fixtures()).unwrap() {
        for file in fs::read_dir(directory.unwrap().path()).into_iter().flatten() {
            let path = file.unwrap().path();
            if path.to_string_lossy().ends_with(".test.yaml") {
                let tree = Tree::read(&fs::read_to_string(&path).unwrap(), Format::Yaml).unwrap();
                assert!(accepts(&tree.value()), "{}", path.display());
                n_files += 1;
            }
        }
    }
    assert!(3 <= n_files);
    let whole: Value = serde_json::from_str(WHOLE).unwrap();
    assert!(accepts(&whole) && reads(&whole));
    for pointer in ["", "/tests/0", "/tests/0/expect", "/tests/0/mocks/T/0", "/tests/1"] {
        let mut wrong = whole.clone();
        wrong.pointer_mut(pointer).unwrap()["mistake"] = json!(1);
        assert!(!accepts(&wrong) && !reads(&wrong), "{pointer}");
    }
    for (pointer, value) in [
        ("/tests", json!([])),
        ("/type", json!("FAST")),
        ("/tests/0/seed", json!(-1)),
        ("/tests/0/mocks/T", json!([])),
        ("/tests/0/mocks/T/0/heartbeats", json!(10001)),
        ("/tests/0/mocks/T/0/when", json!("true")),
        ("/tests/0/mocks/T/2/never", json!(false)),
        ("/tests/0/mocks/T/1", json!({ "cause": "c", "result": 1 })),
        ("/tests/0/mocks/T/1", json!({ "error": "c", "result": 1 })),
        ("/tests/0/expect/status", json!("DONE")),
        ("/tests/1", json!({ "name": "c", "context": {} })),
    ] {
        let mut wrong = whole.clone();
        *wrong.pointer_mut(pointer).unwrap() = value;
        assert!(!accepts(&wrong) && !reads(&wrong), "{pointer}");
    }
}

#[test]
fn a_single_state_is_tested_as_with_test_state() {
    let scratch = Scratch::new("suite-single");
    scratch.machine(json!({
        "C": { "Type": "Choice", "QueryLanguage": "JSONata", "Default": "T",
            "Choices": [{ "Condition": "{% $v = 1 %}", "Next": "P", "Assign": { "v": 2 } }] },
        "T": { "Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
            "Parameters": { "QueueUrl": "q", "MessageBody.$": "$$.Task.Token" }, "Next": "P", "ResultPath": "$.r",
            "Retry": [{ "ErrorEquals": ["A"], "MaxAttempts": 1 }],
            "Catch": [{ "ErrorEquals": ["States.ALL"], "Next": "C", "ResultPath": "$.e" }] },
        "P": { "Type": "Parallel", "Next": "S", "Branches": [
            { "StartAt": "X", "States": { "X": { "Type": "Pass", "End": true } } }] },
        "S": { "Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage", "Parameters": { "MessageBody": "b" }, "End": true }
    }));
    scratch.write(
        "m.test.yaml",
        r#"
tests:
  - { name: rule, state: C, variables: { v: 1 }, expect: { next_state: P, variables: { v: 2 } } }
  - { name: default, state: C, variables: { v: 3 }, expect: { next_state: T } }
  - { name: task, state: T, input: { i: 1 }, context: { Task: { Token: t } }, mocks: { T: { result: "{% $states.input.MessageBody %}" } },
      expect: { output: { i: 1, r: t }, next_state: P } }
  - { name: retried, state: T, mocks: { T: { error: A } }, expect: { status: RETRIABLE, error: A } }
  - { name: caught, state: T, retry_count: 1, mocks: { T: { error: A, cause: c } },
      expect: { status: CAUGHT_ERROR, error: A, cause: c, output: { e: { Error: A, Cause: c } }, next_state: C } }
  - { name: inner, state: X, input: 7, expect: { output: 7 } }
  - { name: parallel, state: P, mocks: { P: { result: [1] } }, expect: { output: [1] } }
  - { name: whole, state: S, mocks: { S: { result: { MessageId: i, MD5OfMessageBody: m } } } }
  - { name: part, state: S, field_validation_mode: PRESENT, mocks: { S: { result: { Other: 1 } } } }
  - { name: anything, state: S, field_validation_mode: NONE, mocks: { S: { result: { MessageId: 1 } } } }
"#,
    );
    let output = scratch.run(&["test", ".", "--coverage", "--fail-under", "100"]);
    assert!(output.status.success(), "{output:?}");
    scratch.write(
        "m.test.yaml",
        r#"
tests:
  - { name: "a, b", state: Y }
  - { name: context, state: X, context: { Map: {} } }
  - { name: late, state: T, mocks: { T: { result: 1, after: 1 } } }
  - { name: shape, state: P, mocks: { P: { result: [1, 2] } } }
  - { name: next, state: T, mocks: { T: { result: 1 } }, expect: { next_state: C } }
  - { name: kind, state: S, field_validation_mode: PRESENT, mocks: { S: { result: { MessageId: 1 } } } }
"#,
    );
    let output = scratch.run(&["test", ".", "--github"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let told = String::from_utf8(output.stdout).unwrap();
    for part in [
        "::error file=m.test.yaml,line=3,title=a%2C b::The definition has no state `Y`.",
        "The `context` of the case cannot be used: 'Map' field is not supported when mocking a Context object.",
        "no time passes when a state is tested by itself",
        "The result of this Parallel must be a list of 1, one for each branch.",
        "The next state is \"P\", not \"C\".",
        "Field 'MessageId' must be a string. Mock what the service returns, or let the case have a `field_validation_mode`",
    ] {
        assert!(told.contains(part), "{part}\n{told}");
    }
}

#[test]
fn each_item_of_a_map_has_answers_of_its_own() {
    let scratch = Scratch::new("suite-items");
    let task = json!({ "Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage", "Parameters": { "i.$": "$" },
        "End": true, "Retry": [{ "ErrorEquals": ["E"] }] });
    scratch.machine(json!({ "M": { "Type": "Map", "End": true,
        "ItemProcessor": { "StartAt": "T", "States": { "T": task } } } }));
    scratch.write(
        "m.test.yaml",
        r#"
mocks: { T: [ { item: 9, result: of the file } ] }
tests:
  - name: precedence
    input: [a, b, c, d]
    mocks:
      T:
        - { result: first in turn }
        - { item: 1, error: E }
        - { item: 1, result: b at last }
        - { when: "{% $states.input.i = 'c' %}", result: c }
        - { result: second in turn }
    expect: { output: [first in turn, b at last, c, second in turn], attempts: { T: 5 } }
  - name: strict
    input: [a, b]
    mocks: { T: [ { item: 0, error: E }, { result: 1 }, { item: 2, result: 1 } ] }
    expect: { error: States.Runtime }
"#,
    );
    let output = scratch.run(&["test", "."]);
    let told = String::from_utf8(output.stdout).unwrap();
    for part in [
        "ok    ./m.test.yaml: precedence",
        "The mock 'T' has no answer left for call 2 of item 0 by the state 'T'.",
        "The mock 'T' has an answer for item 2 of an inline Map, which never came to it.",
        "1 passed, 1 failed",
    ] {
        assert!(told.contains(part), "{part}\n{told}");
    }
}
