//! `stepfn test`: the examples' own tests, what failures look like, what reports hold.
#![cfg(feature = "runtime")]

mod scratch;

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use serde_json::json;

use crate::scratch::Scratch;
use crate::scratch::stderr;

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
    for name in ["job-poller", "order-saga", "variables-loop"] {
        let path = format!("{}/{name}", fixtures());
        let output = scratch.run(&["test", &path, "--fail-under", "100"]);
        assert!(output.status.success(), "{output:?}");
    }
    let path = format!("{}/nested-parallel", fixtures());
    let output = scratch.run(&["test", &path, "--fail-under", "80"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("3 of 4 transitions"), "{output:?}");
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
    let output = scratch.run(&["test", "."]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed, 0 failed"));
    let told = stderr(&output);
    for part in [
        "`./n.test.yaml`: there is no definition of the same name beside it",
        "in the case `a` `Q` is mocked, which is neither a state nor a resource",
        "`./p.test.yaml`: ",
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
assert record["SF"] == ["./m.asl.json"], record
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

#[test]
fn the_page_of_the_coverage_is_whole_and_escaped() {
    let scratch = Scratch::new("suite-html");
    let name = "<script>alert(1)</script> & \"co\"";
    scratch.machine(json!({
        "C": { "Type": "Choice", "Default": name,
            "Choices": [{ "Variable": "$.a", "IsPresent": true, "Next": "T" }] },
        name: { "Type": "Pass", "Comment": "</td><script>alert(2)</script>", "End": true },
        "T": { "Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage", "Parameters": {}, "End": true,
            "Retry": [{ "ErrorEquals": ["A"] }] }
    }));
    scratch.write(
        "m.test.json",
        r#"{ "tests": [{ "name": "a" }, { "name": "b", "input": { "a": 1 }, "mocks": { "T": { "result": 1 } } }] }"#,
    );
    let output = scratch.run(&["test", ".", "--coverage-html", "page.html"]);
    assert!(output.status.success(), "{output:?}");
    let page = std::fs::read_to_string(scratch.0.join("page.html")).unwrap();
    let options = roxmltree::ParsingOptions {
        allow_dtd: true,
        ..Default::default()
    };
    let tree = roxmltree::Document::parse_with_options(&page, options).unwrap();
    let all = || tree.descendants().filter(roxmltree::Node::is_element);
    assert_eq!(all().filter(|node| node.has_tag_name("script")).count(), 0);
    for node in all() {
        for attribute in node.attributes() {
            let asks_for_more = ["href", "src", "action", "data"].contains(&attribute.name());
            assert!(!asks_for_more || attribute.value().starts_with('#'), "{attribute:?}");
        }
    }
    assert!(!page.contains("url(") && !page.contains("@import"));
    let states: Vec<&str> = all().filter_map(|node| node.attribute("data-state")).collect();
    assert_eq!(states, ["C", name, "T"]);
    let texts: Vec<&str> = all().filter_map(|node| node.text()).collect();
    for text in [
        "not run: Retry[0]",
        "`T`/Retry[0]",
        "3 of 3 (100 %)",
        "0 of 1 (0 %)",
        "1 visit",
    ] {
        assert!(texts.iter().any(|found| found.contains(text)), "{text}\n{page}");
    }
    let lines = all().filter(|node| node.attribute("class") == Some("Missed"));
    let missed: Vec<String> = lines
        .map(|line| line.last_element_child().unwrap().text().unwrap().trim().to_owned())
        .collect();
    assert_eq!(missed[0], "{", "{missed:?}");
    assert!(missed[1].starts_with("\"ErrorEquals\""), "{missed:?}");
}
