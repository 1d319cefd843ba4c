//! Runs every row of `fixtures/fixtures.toml` with the built binary.

#![cfg(feature = "runtime")]

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct Table {
    run: Vec<Run>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Run {
    fixture: String,
    name: String,
    args: Vec<String>,
    expected: Option<String>,
    #[serde(default)]
    exit: i32,
    stderr: Option<String>,
    #[serde(default)]
    leaves: Vec<String>,
    #[serde(default)]
    removes: Vec<String>,
    by: Option<String>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

fn table() -> Table {
    let text = fs::read_to_string(root().join("fixtures.toml")).expect("the table can be read");
    toml::from_str(&text).expect("the table is TOML")
}

/// An empty directory that all runs of a fixture share.
fn working_directory(fixture: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fixtures").join(fixture);
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).expect("a working directory can be made");
    directory
}

/// Says what is wrong with a run, or nothing.
fn complaints(run: &Run, working_directory: &Path) -> Vec<String> {
    let fixture = root().join(&run.fixture);
    let output = Command::new(env!("CARGO_BIN_EXE_stepfn"))
        .arg("run")
        .args(
            run.args
                .iter()
                .map(|arg| arg.replace("{fixture}", &fixture.to_string_lossy())),
        )
        .current_dir(working_directory)
        .output()
        .expect("the binary can be started");
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    let mut found = Vec::new();
    if output.status.code() != Some(run.exit) {
        found.push(format!("exit status {:?}, not {}", output.status.code(), run.exit));
    }
    match &run.expected {
        Some(file) => {
            let text = fs::read_to_string(fixture.join(file)).expect("the expected output can be read");
            let expected: Value = serde_json::from_str(&text).expect("the expected output is JSON");
            match serde_json::from_str::<Value>(&stdout) {
                Ok(actual) if actual == expected => {}
                Ok(actual) => found.push(format!("stdout is\n{actual}\nnot\n{expected}")),
                Err(error) => found.push(format!("stdout is not JSON ({error}): {stdout:?}")),
            }
        }
        None if stdout.is_empty() => {}
        None => found.push(format!("stdout is not empty: {stdout:?}")),
    }
    if let Some(wanted) = &run.stderr
        && !stderr.contains(wanted.as_str())
    {
        found.push(format!("stderr does not hold {wanted:?}"));
    }
    let there = |file: &String| working_directory.join(file).exists();
    found.extend(
        run.leaves
            .iter()
            .filter(|file| !there(file))
            .map(|file| format!("`{file}` is missing")),
    );
    found.extend(
        run.removes
            .iter()
            .filter(|file| there(file))
            .map(|file| format!("`{file}` is still there")),
    );
    if !found.is_empty() {
        found.push(format!("stderr was\n{stderr}"));
    }
    found
}

#[test]
fn every_fixture_gives_its_output() {
    let runs = table().run;
    assert!(!runs.is_empty());
    let mut wrong = Vec::new();
    let mut place: Option<(String, PathBuf)> = None;
    for run in runs.iter().filter(|run| run.by.is_none()) {
        let directory = match place.take() {
            Some((fixture, directory)) if fixture == run.fixture => directory,
            _ => working_directory(&run.fixture),
        };
        let found = complaints(run, &directory);
        if !found.is_empty() {
            wrong.push(format!("== {} ({})\n{}", run.fixture, run.name, found.join("\n")));
        }
        place = Some((run.fixture.clone(), directory));
    }
    assert!(
        wrong.is_empty(),
        "{} of {} runs:\n{}",
        wrong.len(),
        runs.len(),
        wrong.join("\n")
    );
}

/// The definitions of all fixtures, YAML included.
fn definitions(directory: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("fixtures can be listed") {
        let path = entry.expect("fixtures can be listed").path();
        let name = path.to_string_lossy().into_owned();
        if path.is_dir() {
            definitions(&path, into);
        } else if name.ends_with(".asl.json") || name.ends_with(".asl.yaml") {
            into.push(path);
        }
    }
}

#[test]
fn every_definition_is_valid() {
    let mut files = Vec::new();
    definitions(&root(), &mut files);
    assert!(!files.is_empty());
    let output = Command::new(env!("CARGO_BIN_EXE_stepfn"))
        .arg("validate")
        .args(&files)
        .output()
        .expect("the binary can be started");
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
