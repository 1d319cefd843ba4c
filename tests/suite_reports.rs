//! `stepfn test`: its SARIF log and the page of its coverage.
#![cfg(feature = "runtime")]

mod scratch;

use std::fs;

use expect_test::expect;
use serde_json::Value;
use serde_json::json;

use crate::scratch::Scratch;

#[test]
fn sarif_points_at_the_case_and_at_the_state() {
    let scratch = Scratch::new("suite-sarif");
    let task = json!({ "Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage", "Parameters": {}, "End": true });
    let block = |name: &str, state: Value| json!({ "StartAt": name, "States": { name: state } });
    scratch.machine(json!({
        "M": { "Type": "Map", "ItemProcessor": block("in [a] Map", task.clone()), "Next": "P" },
        "P": { "Type": "Parallel", "Branches": [block("W", json!({ "Type": "Wait", "Seconds": 9, "End": true })), block("B", task)],
            "Next": "F" },
        "F": { "Type": "Fail" }
    }));
    scratch.write(
        "m.test.yaml",
        r#"
mocks: { "in [a] Map": { result: 1 }, B: { result: 1 } }
tests:
  - { name: fine, input: [1], expect: { status: FAILED } }
  - { name: F, input: [] }
  - { name: "in [a] Map", input: [1, 2], mocks: { "in [a] Map": [ { result: 1 } ] } }
  - { name: B, input: [1], mocks: { B: { error: E } } }
  - { name: W, input: [1], mocks: { B: { never: true } } }
  - { name: late, input: [1], expect: { status: FAILED, elapsed_seconds: 8 } }
  - { name: M, state: M, expect: { status: FAILED } }
"#,
    );
    scratch.write("n.test.yaml", "tests: [");
    let output = scratch.run(&[
        "test",
        ".",
        "--sarif",
        "out.sarif",
        "--junit",
        "out.xml",
        "--github",
        "--quiet",
    ]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let log: Value = serde_json::from_slice(&fs::read(scratch.0.join("out.sarif")).unwrap()).unwrap();
    let run = &log["runs"][0];
    let place = |location: &Value| {
        let physical = &location["physicalLocation"];
        format!(
            "{}:{} {}",
            physical["artifactLocation"]["uri"].as_str().unwrap(),
            physical["region"]["startLine"],
            location["logicalLocations"][0]["fullyQualifiedName"].as_str().unwrap()
        )
    };
    let mut shown = String::new();
    for result in run["results"].as_array().unwrap() {
        shown += &place(&result["locations"][0]);
        if let Some(state) = result["relatedLocations"].get(0) {
            shown += &format!(" -> {}", place(state));
        }
        shown += &format!("\n  {}\n", result["message"]["text"].as_str().unwrap());
    }
    expect![[r#"
        m.test.yaml:5 F -> m.asl.json:46 F
          F: The status is FAILED, not SUCCEEDED. There is neither an error name nor a cause.
        It ends in the state [F](1).
        m.test.yaml:6 in [a] Map -> m.asl.json:9 in [a] Map
          in [a] Map: The mock 'in [a] Map' has no answer left for call 2 by the state 'in [a] Map'.
        The status is FAILED, not SUCCEEDED.
        It ends in the state [in \[a\] Map](1).
        m.test.yaml:7 B -> m.asl.json:35 B
          B: The status is FAILED, not SUCCEEDED. The error is E, without a cause.
        It ends in the state [B](1).
        m.test.yaml:8 W -> m.asl.json:35 B
          W: The status is TIMED_OUT, not SUCCEEDED. The error is States.Timeout, without a cause.
        It ends in the state [B](1).
        m.test.yaml:9 late -> m.asl.json:46 F
          late: It took 9 s of virtual time, not 8 s.
        It ends in the state [F](1).
    "#]]
    .assert_eq(&shown);
    let invocation = &run["invocations"][0];
    assert_eq!(invocation["executionSuccessful"], false);
    let place = &invocation["toolExecutionNotifications"][0]["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "n.test.yaml");
    // The other reports have the file, too.
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.contains("\n::error file=n.test.yaml::"), "{told}");
    let junit = fs::read_to_string(scratch.0.join("out.xml")).unwrap();
    assert!(
        junit.contains("<testsuite name=\"n.test.yaml\" tests=\"1\" failures=\"0\" errors=\"1\""),
        "{junit}"
    );
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
        "Not run (1)",
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
