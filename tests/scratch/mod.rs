//! Runs the built program in a directory of its own.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "shared by test programs, each of which uses a part"
)]

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;

use serde_json::Value;
use serde_json::json;

/// `shell.run` in the form that AWS takes, too.
pub const SHELL: &str = "arn:aws:states:us-east-1:123456789012:activity:debian-shell-run";

/// A directory of one test.
pub struct Scratch(pub PathBuf);

impl Scratch {
    pub fn new(test: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.0.join(name), text).unwrap();
    }

    pub fn machine(&self, states: Value) {
        let start = states.as_object().unwrap().keys().next().unwrap().clone();
        let machine = json!({ "StartAt": start, "States": states });
        self.write("m.asl.json", &serde_json::to_string_pretty(&machine).unwrap());
    }

    pub fn task(&self, resource: &str) {
        self.machine(json!({ "T": { "Type": "Task", "Resource": resource, "End": true } }));
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stepfn"));
        command.args(arguments).current_dir(&self.0).stdin(Stdio::null());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    pub fn run_with_input(&self, input: &Value, arguments: &[&str]) -> Output {
        let input = input.to_string();
        let mut all = vec!["run", "m.asl.json", "--input", &input];
        all.extend(arguments);
        self.run(&all)
    }
}

pub fn stdout(output: &Output) -> Value {
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}
