//! `stepfn explore`: what it finds, `stepfn test` repeats.
#![cfg(feature = "runtime")]

mod scratch;

use std::path::Path;
use std::path::PathBuf;

use serde_json::Value;
use serde_json::json;

use crate::scratch::Scratch;
use crate::scratch::stderr;

/// The definitions of the examples.
fn definitions() -> Vec<PathBuf> {
    let mut open = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")];
    let mut found = Vec::new();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().contains(".asl."))
        {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[test]
fn what_is_found_in_the_examples_can_be_repeated() {
    let scratch = Scratch::new("explore_examples");
    let definitions = definitions();
    assert!(9 < definitions.len());
    let mut n_files = 0;
    for definition in definitions {
        let shown = definition.display().to_string();
        let output = scratch.run(&[
            "explore",
            &shown,
            "--level",
            "information",
            "--format",
            "json",
            "--runs",
            "500",
            "--write",
            "found",
        ]);
        assert!(matches!(output.status.code(), Some(0 | 1)), "{shown}: {output:?}");
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let findings = report["findings"].as_array().unwrap();
        assert_eq!(output.status.code() == Some(1), !findings.is_empty());
        for finding in findings {
            // A run that was seen has a test.
            assert_eq!(
                finding["test"].is_string(),
                finding["kind"] != "not-reached",
                "{finding}"
            );
        }
        n_files += findings.iter().filter(|finding| finding["test"].is_string()).count();
    }
    assert!(5 < n_files);
    let output = scratch.run(&["test", "found", "--quiet"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(String::from_utf8_lossy(&output.stdout).contains(&format!("{n_files} passed")));
}

#[test]
fn findings_give_1_none_0_and_trouble_2() {
    let scratch = Scratch::new("explore_codes");
    scratch.machine(json!({ "A": { "Type": "Pass", "Result": {}, "Next": "B" },
        "B": { "Type": "Pass", "InputPath": "$.gone", "End": true } }));
    let output = scratch.run(&["explore", "m.asl.json"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("warning: `B` fails with States.Runtime: Invalid path '$.gone'"),
        "{text}"
    );
    scratch.machine(json!({ "A": { "Type": "Succeed" } }));
    assert_eq!(scratch.run(&["explore", "m.asl.json"]).status.code(), Some(0));
    scratch.write("m.asl.json", "{}");
    let output = scratch.run(&["explore", "m.asl.json"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("is not a valid definition"));
    assert_eq!(scratch.run(&["explore", "none.asl.json"]).status.code(), Some(2));
}

#[test]
fn a_file_of_somebody_else_is_not_overwritten() {
    let scratch = Scratch::new("explore_overwrite");
    scratch.machine(json!({ "A": { "Type": "Pass", "Result": {}, "Next": "B" },
        "B": { "Type": "Pass", "InputPath": "$.gone", "End": true } }));
    std::fs::create_dir(scratch.0.join("d")).unwrap();
    scratch.write("d/m.runtime-error.B.test.yaml", "tests: [{name: mine}]\n");
    let output = scratch.run(&["explore", "m.asl.json", "--write", "d"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("was not written by this command"),
        "{output:?}"
    );
}

#[test]
fn placeholders_without_a_value_get_a_stand_in() {
    let scratch = Scratch::new("explore_placeholders");
    scratch.write(
        "m.asl.json",
        r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"${Function}","TimeoutSeconds":${Seconds},
            "Parameters":{"Table":"arn:${AWS::Partition}:dynamodb:::table/${Table}"},"Next":"W"},
            "W":{"Type":"Wait","Timestamp":"${At}","End":true}}}"#,
    );
    let output = scratch.run(&["explore", "m.asl.json", "--level", "information", "--write", "d"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(text.contains("`${Seconds}` has no value; `1` stands for it"), "{text}");
    let output = scratch.run(&["test", "d"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
