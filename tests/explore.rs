//! `stepfn explore`: what it finds, `stepfn test` repeats.
#![cfg(feature = "runtime")]

mod scratch;

use std::path::Path;
use std::path::PathBuf;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

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

/// Explores definitions, with so many runs each, and lets `stepfn test` repeat what is found. Returns how much that was.
fn found_is_repeated(scratch: &Scratch, definitions: &[PathBuf], runs: &str) -> usize {
    let n_files = AtomicUsize::new(0);
    let next = AtomicUsize::new(0);
    let work = || {
        loop {
            let number = next.fetch_add(1, Relaxed);
            let Some(definition) = definitions.get(number) else {
                break;
            };
            // Each has its own directory: two may have the same name.
            let found = explored(scratch, definition, runs, &format!("found/{number}"));
            n_files.fetch_add(found, Relaxed);
        }
    };
    std::thread::scope(|scope| {
        let workers = std::thread::available_parallelism().map_or(1, usize::from).min(4);
        for _ in 0..workers {
            scope.spawn(work);
        }
    });
    let n_files = n_files.into_inner();
    let output = scratch.run(&["test", "found", "--quiet"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(String::from_utf8_lossy(&output.stdout).contains(&format!("{n_files} passed")));
    n_files
}

/// Explores a definition; returns how many test files were written. One that is refused has none.
fn explored(scratch: &Scratch, definition: &Path, runs: &str, directory: &str) -> usize {
    let shown = definition.display().to_string();
    let output = scratch.run(&[
        "explore",
        &shown,
        "--level",
        "information",
        "--format",
        "json",
        "--runs",
        runs,
        "--write",
        directory,
    ]);
    if output.status.code() == Some(2) {
        assert!(stderr(&output).contains("is not a valid definition"), "{output:?}");
        return 0;
    }
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
    findings.iter().filter(|finding| finding["test"].is_string()).count()
}

#[test]
fn what_is_found_in_the_examples_can_be_repeated() {
    let scratch = Scratch::new("explore_examples");
    let definitions = definitions();
    assert!(9 < definitions.len());
    assert!(5 < found_is_repeated(&scratch, &definitions, "500"));
}

/// Definitions of other people, where they are at hand: few runs each, so that it takes a minute at most.
#[test]
fn what_is_found_in_published_definitions_can_be_repeated() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/asl-corpus");
    let Ok(index) = std::fs::read_to_string(corpus.join("index.json")) else {
        return;
    };
    let index: Value = serde_json::from_str(&index).unwrap();
    let paths = index.as_array().unwrap().iter().step_by(6);
    let definitions: Vec<PathBuf> = paths
        .map(|entry| corpus.join(entry["path"].as_str().unwrap()))
        .collect();
    let scratch = Scratch::new("explore_published");
    assert!(25 < found_is_repeated(&scratch, &definitions, "40"));
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
