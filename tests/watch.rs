//! `stepfn test --watch`: a process that runs, files that change, what it tells then.
#![cfg(feature = "runtime")]

mod scratch;

use std::fs;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Write;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::mpsc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use serde_json::json;

use crate::scratch::Scratch;
use crate::scratch::stderr;

/// A line comes within this time, or never.
const PATIENCE: Duration = Duration::from_secs(60);

/// A process that watches.
struct Watching {
    child: Child,
    lines: Receiver<String>,
}

impl Watching {
    /// Starts it, and returns what it tells first.
    fn start(scratch: &Scratch, arguments: &[&str]) -> (Self, String) {
        let mut command = scratch.command(&["test", "--watch"]);
        command.args(arguments);
        Self::of(command)
    }

    fn of(mut command: Command) -> (Self, String) {
        let (reader, writer) = std::io::pipe().unwrap();
        command.stdout(writer.try_clone().unwrap()).stderr(writer);
        let child = command.spawn().unwrap();
        // It holds the writing ends.
        drop(command);
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(reader).lines() {
                let _ = sender.send(line.unwrap());
            }
        });
        let watching = Self { child, lines };
        let told = watching.next("");
        (watching, told)
    }

    /// Returns what it tells until it waits again. `before` is for the message when nothing comes.
    #[track_caller]
    fn next(&self, before: &str) -> String {
        let mut told = String::new();
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|error| panic!("{error} after:\n{before}{told}"));
            told += &line;
            told.push('\n');
            if line.starts_with("watching ") {
                return told;
            }
        }
    }

    /// Returns what it tells from now on until a run has these parts. A slow write may be seen in two halves.
    #[track_caller]
    fn until(&self, parts: &[&str]) -> String {
        let mut told = String::new();
        loop {
            let next = self.next(&told);
            told += &next;
            if parts.iter().all(|part| next.contains(part)) {
                return told;
            }
        }
    }

    /// Presses Ctrl-C and returns the exit code.
    fn interrupt(mut self) -> Option<i32> {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), Signal::SIGINT).unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[track_caller]
fn has(told: &str, parts: &[&str]) {
    for part in parts {
        assert!(told.contains(part), "{part}\n{told}");
    }
}

fn pass(result: i32) -> serde_json::Value {
    json!({ "P": { "Type": "Pass", "Result": result, "End": true } })
}

#[test]
fn tests_run_again_when_what_they_ask_for_changes() {
    let scratch = Scratch::new("watch-again");
    scratch.machine(pass(1));
    scratch.write("m.test.yaml", "tests: [{ name: one, expect: { output: 1 } }]");
    scratch.write("n.asl.json", &fs::read_to_string(scratch.0.join("m.asl.json")).unwrap());
    scratch.write("n.test.yaml", "tests: [{ name: other, expect: { output: 1 } }]");
    let (watching, told) = Watching::start(&scratch, &["."]);
    has(
        &told,
        &[
            "ok    ./m.test.yaml: one",
            "ok    ./n.test.yaml: other",
            "2 passed, 0 failed",
        ],
    );
    assert!(!told.contains("\u{1b}["), "{told}");

    // Written in place. What passes elsewhere is counted, but not told again.
    scratch.write("m.test.yaml", "tests: [{ name: two, expect: { output: 2 } }]");
    let told = watching.until(&[
        "changed: m.test.yaml\n",
        "FAIL  ./m.test.yaml:1: two",
        "1 passed, 1 failed",
    ]);
    assert!(!told.contains("n.test.yaml"), "{told}");

    // A new file in the place of the old one, as editors save. What fails elsewhere is told again.
    let definition = fs::read_to_string(scratch.0.join("n.asl.json")).unwrap();
    scratch.write("n.asl.json~", &definition.replace("\"Result\": 1", "\"Result\": 3"));
    fs::rename(scratch.0.join("n.asl.json~"), scratch.0.join("n.asl.json")).unwrap();
    watching.until(&[
        "changed: n.asl.json\n",
        "FAIL  ./m.test.yaml",
        "FAIL  ./n.test.yaml",
        "0 passed, 2 failed",
    ]);

    // In the midst of an edit.
    scratch.write("m.asl.json", "{ \"StartAt\": ");
    watching.until(&[
        "`./m.asl.json` is not a valid definition",
        "1 failed, 1 file cannot be used",
    ]);
    scratch.machine(pass(2));
    watching.until(&["ok    ./m.test.yaml: two", "1 passed, 1 failed"]);
    scratch.write("m.test.yaml", "tests: [");
    watching.until(&["m.test.yaml", "0 passed, 1 failed, 1 file cannot be used"]);

    // A file that goes, and what is no test.
    fs::remove_file(scratch.0.join("m.test.yaml")).unwrap();
    watching.until(&["changed: m.test.yaml\n", "0 passed, 1 failed\n"]);
    scratch.write("unrelated.json", "{}");
    scratch.write(".n.test.yaml.swp", "{}");
    fs::create_dir(scratch.0.join("empty")).unwrap();
    scratch.write("n.test.yaml", "tests: [{ name: other, expect: { output: 3 } }]");
    let told = watching.until(&["n.test.yaml", "ok    ./n.test.yaml: other", "1 passed, 0 failed"]);
    assert!(!told.contains("unrelated"), "{told}");
    assert_eq!(watching.interrupt(), Some(0));
}

#[test]
fn files_from_elsewhere_and_new_directories_are_watched() {
    let scratch = Scratch::new("watch-elsewhere");
    fs::create_dir_all(scratch.0.join("tests")).unwrap();
    scratch.write(
        "m.asl.json",
        r#"{"StartAt":"T","States":{"T":{"Type":"Task","Resource":"${Arn}","End":true}}}"#,
    );
    let mocks = |result: i32| {
        json!({ "StateMachines": { "m": { "TestCases": { "c": { "T": "R" } } } },
            "MockedResponses": { "R": { "0": { "Return": result } } } })
        .to_string()
    };
    let test = |output: i32| {
        format!(
            "{{definition: ../m.asl.json, values: values.json, mock_config: mocks.json,\n \
            tests: [{{ name: c, mock_case: c, expect: {{ output: {output} }} }}]}}\n"
        )
    };
    let (watching, told) = Watching::start(&scratch, &["tests", "--quiet", "--junit", "out.xml"]);
    has(&told, &["there is no case to run"]);
    fs::create_dir_all(scratch.0.join("tests/deep/er")).unwrap();
    scratch.write("tests/deep/er/c.test.yaml", &test(1).replace("../m", "../../../m"));
    watching.until(&["values.json", "1 file cannot be used"]);
    scratch.write(
        "tests/deep/er/values.json",
        r#"{"Arn": "arn:aws:states:::lambda:invoke"}"#,
    );
    watching.until(&["failed to read", "mocks.json"]);
    scratch.write("tests/deep/er/mocks.json", &mocks(2));
    watching.until(&["FAIL", "is 2, not 1", "0 passed, 1 failed"]);
    scratch.write("tests/deep/er/mocks.json", &mocks(1));
    watching.until(&["1 passed, 0 failed"]);
    let junit = fs::read_to_string(scratch.0.join("out.xml")).unwrap();
    assert!(junit.contains("failures=\"0\""), "{junit}");

    // The whole directory goes and comes back.
    fs::rename(scratch.0.join("tests"), scratch.0.join("kept")).unwrap();
    watching.until(&["failed to read `tests`", "1 file cannot be used"]);
    fs::rename(scratch.0.join("kept"), scratch.0.join("tests")).unwrap();
    watching.until(&["1 passed, 0 failed"]);
    scratch.write("tests/deep/er/c.test.yaml", &test(3).replace("../m", "../../../m"));
    watching.until(&["0 passed, 1 failed"]);
    assert_eq!(watching.interrupt(), Some(1));
}

#[test]
fn a_terminal_is_cleared_and_ctrl_c_heard() {
    let scratch = Scratch::new("watch-terminal");
    scratch.machine(pass(1));
    scratch.write("m.test.yaml", "tests: [{ name: one, expect: { output: 2 } }]");
    let mut command = Command::new("script");
    // A shell that stays would hear Ctrl-C, too, and its end be seen in place of ours.
    let inner = format!("exec '{}' test --watch .", env!("CARGO_BIN_EXE_stepfn"));
    command.args(["--quiet", "--flush", "--return", "--command", &inner, "/dev/null"]);
    command.current_dir(&scratch.0).stdin(Stdio::piped());
    let (mut watching, told) = Watching::of(command);
    assert!(!told.contains("\u{1b}[2J"), "{told}");
    scratch.write("m.test.yaml", "tests: [{ name: two, expect: { output: 2 } }]");
    watching.until(&["\u{1b}[2J\u{1b}[Hchanged: m.test.yaml", ": two", "0 passed, 1 failed"]);
    let mut keys = watching.child.stdin.take().unwrap();
    keys.write_all(b"\x03").unwrap();
    assert_eq!(watching.child.wait().unwrap().code(), Some(1));
}

#[test]
fn what_cannot_be_watched_is_refused() {
    let scratch = Scratch::new("watch-refused");
    let output = scratch.run(&["test", "absent", "--watch"]);
    assert_eq!(output.status.code(), Some(2));
    has(&stderr(&output), &["error: there is no `absent` to watch"]);
    for option in ["--update", "--json"] {
        let output = scratch.run(&["test", ".", "--watch", option]);
        assert_eq!(output.status.code(), Some(2));
        has(&stderr(&output), &["cannot be used with"]);
    }
}
