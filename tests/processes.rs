//! The built program with real processes: all of them end, and in time.
#![cfg(feature = "runtime")]

mod scratch;

use std::fs;
use std::io::BufRead;
use std::io::BufReader;
use std::process::Command;
use std::process::Stdio;

use serde_json::Value;
use serde_json::json;

use crate::scratch::SHELL;
use crate::scratch::Scratch;
use crate::scratch::stderr;
use crate::scratch::stdout;

/// Returns the command lines of all processes that hold a text.
fn processes_with(text: &str) -> Vec<String> {
    let entries = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let lines = entries.filter_map(|entry| {
        entry.file_name().to_str()?.parse::<u32>().ok()?;
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        Some(String::from_utf8_lossy(&line).replace('\0', " "))
    });
    lines.filter(|line| line.contains(text)).collect()
}

/// A script that leaves processes behind in every way: they fork twice, lead sessions of their own, have an
/// empty environment, and ignore polite signals. Each of them sleeps for `seconds`.
fn hydra(seconds: &str) -> String {
    format!(
        "trap '' TERM HUP INT\n\
         (setsid sh -c 'trap \"\" TERM HUP INT; echo up >&2; sleep {seconds} & sleep {seconds}' &)\n\
         (setsid env -i /bin/sh -c 'echo up >&2; setsid env -i /bin/sleep {seconds} & /bin/sleep {seconds}' &)\n\
         sleep {seconds} &\n\
         echo ready >&2\n\
         sleep {seconds}\n"
    )
}

#[test]
fn a_timeout_leaves_no_process() {
    let scratch = Scratch::new("timeout");
    scratch.machine(json!({ "T": { "Type": "Task", "Resource": SHELL, "TimeoutSeconds": 1, "End": true } }));
    let seconds = format!("3100.{}", std::process::id());
    let output = scratch.run_with_input(&json!({ "Script": hydra(&seconds) }), &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("States.Timeout"), "{output:?}");
    assert_eq!(processes_with(&seconds), Vec::<String>::new());
}

#[test]
fn a_cancelled_branch_leaves_no_process() {
    let scratch = Scratch::new("branch");
    let seconds = format!("3200.{}", std::process::id());
    scratch.write("map.toml", 
        "[[mapping]]\nresource = '*Hydra'\ncommand = ['sh', 'hydra.sh']\n[[mapping]]\nresource = '*Fail'\ncommand = ['sh', '-c', 'cat ready > fifo; exit 1']\n"
    );
    scratch.write("hydra.sh", &(hydra(&seconds).replace("echo ready >&2", "cat fifo")));
    scratch.write("ready", "ready");
    assert!(
        Command::new("mkfifo")
            .arg(scratch.0.join("fifo"))
            .status()
            .unwrap()
            .success()
    );
    let branch = |name: &str| {
        let resource = format!("arn:aws:lambda:us-east-1:123456789012:function:{name}");
        json!({ "StartAt": name, "States": { name: { "Type": "Task", "Resource": resource, "End": true } } })
    };
    scratch.machine(json!({ "P": { "Type": "Parallel", "Branches": [branch("Hydra"), branch("Fail")], "End": true } }));
    let output = scratch.run(&["run", "m.asl.json", "--map", "map.toml"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(stderr(&output).contains("state: `Fail` at "), "{output:?}");
    assert_eq!(processes_with(&seconds), Vec::<String>::new());
}

#[test]
fn a_heartbeat_is_whatever_a_command_writes_to_stderr() {
    let scratch = Scratch::new("heartbeat");
    scratch.machine(json!({ "T": { "Type": "Task", "Resource": SHELL, "HeartbeatSeconds": 1, "End": true } }));
    let seconds = format!("3500.{}", std::process::id());
    let output = scratch.run_with_input(&json!({ "Script": hydra(&seconds) }), &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("Timeout"), "{output:?}");
    assert_eq!(processes_with(&seconds), Vec::<String>::new());
    let alive = "for i in 1 2 3 4 5 6; do sleep 0.3; echo $i >&2; done; echo done";
    let output = scratch.run_with_input(&json!({ "Script": alive }), &[]);
    assert_eq!(stdout(&output)["Stdout"], "done");
}

#[test]
fn map_states_run_their_items() {
    let scratch = Scratch::new("map");
    for mode in ["INLINE", "DISTRIBUTED"] {
        let config = match mode {
            "INLINE" => json!({ "Mode": mode }),
            _ => json!({ "Mode": mode, "ExecutionType": "STANDARD" }),
        };
        let task = json!({ "Type": "Task", "Resource": SHELL, "Parameters": { "Command": ["cat"], "Stdin.$": "$" }, "End": true });
        scratch.machine(json!({ "M": {
            "Type": "Map",
            "MaxConcurrency": 10,
            "ItemProcessor": { "ProcessorConfig": config, "StartAt": "T", "States": { "T": task } },
            "ResultSelector": { "Out.$": "$[*].Stdout" },
            "End": true
        } }));
        let items: Vec<u32> = (0..40).collect();
        let output = scratch.run_with_input(&json!(items), &[]);
        assert_eq!(stdout(&output), json!({ "Out": items }), "{mode}");
    }
}

#[test]
fn many_branches_share_the_places() {
    let scratch = Scratch::new("places");
    let branch = |n: u32| {
        let task = json!({ "Type": "Task", "Resource": SHELL, "Parameters": { "Command": ["echo", n.to_string()] }, "OutputPath": "$.Stdout", "End": true });
        json!({ "StartAt": format!("T{n}"), "States": { format!("T{n}"): task } })
    };
    let branches: Vec<Value> = (0..300).map(branch).collect();
    scratch.machine(json!({ "P": { "Type": "Parallel", "Branches": branches, "End": true } }));
    let output = scratch.run(&["run", "m.asl.json", "--quiet"]);
    assert_eq!(stdout(&output), json!((0..300).collect::<Vec<u32>>()));
}

#[test]
fn tasks_make_do_with_few_open_files() {
    let scratch = Scratch::new("files");
    let task = json!({ "Type": "Task", "Resource": SHELL, "Parameters": { "Command": ["cat"], "Stdin.$": "$" }, "OutputPath": "$.Stdout", "End": true });
    scratch.machine(
        json!({ "M": { "Type": "Map", "ItemProcessor": { "StartAt": "T", "States": { "T": task } }, "End": true } }),
    );
    let items: Vec<u32> = (0..60).collect();
    let script = "ulimit -n 64; exec \"$0\" run m.asl.json --quiet --input \"$1\"";
    let output = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_stepfn"), &json!(items).to_string()])
        .current_dir(&scratch.0)
        .output()
        .unwrap();
    assert_eq!(stdout(&output), json!(items));
}

#[test]
fn what_a_finished_task_left_behind_ends_with_it() {
    let scratch = Scratch::new("leftover");
    scratch.task(SHELL);
    let seconds = format!("3300.{}", std::process::id());
    let script = hydra(&seconds).trim_end().rsplit_once('\n').unwrap().0.to_owned();
    let output = scratch.run_with_input(&json!({ "Script": script }), &[]);
    assert!(stdout(&output)["Stderr"].as_str().unwrap().contains("ready"));
    assert_eq!(processes_with(&seconds), Vec::<String>::new());
}

#[test]
fn ctrl_c_stops_orderly() {
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let scratch = Scratch::new(&format!("signal-{signal}"));
        let seconds = format!("34{code}.{}", std::process::id());
        scratch.write(
            "map.toml",
            "[[mapping]]\nresource = '*'\ncommand = ['sh', 'hydra.sh']\n",
        );
        scratch.write("hydra.sh", &hydra(&seconds));
        scratch.task("arn:aws:lambda:us-east-1:123456789012:function:F");
        let mut child = scratch
            .command(&["run", "m.asl.json", "--map", "map.toml", "--history", "h.json"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        // Both heads that left the session, and the one that stayed.
        let heads = lines
            .by_ref()
            .map(Result::unwrap)
            .filter(|line| line.ends_with("| up") || line.ends_with("| ready"));
        assert_eq!(heads.take(3).count(), 3);
        assert!(processes_with(&seconds).len() >= 2);
        let pid = child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-s", signal, &pid])
                .status()
                .unwrap()
                .success()
        );
        let rest: Vec<String> = lines.map(Result::unwrap).collect();
        assert_eq!(child.wait().unwrap().code(), Some(code), "{rest:?}");
        assert!(
            rest.iter()
                .any(|line| line.starts_with("error: the execution was stopped")),
            "{rest:?}"
        );
        assert_eq!(processes_with(&seconds), Vec::<String>::new());
        let history: Value = serde_json::from_str(&fs::read_to_string(scratch.0.join("h.json")).unwrap()).unwrap();
        assert_eq!(
            history["events"].as_array().unwrap().last().unwrap()["type"],
            "ExecutionAborted"
        );
    }
}

#[test]
fn ctrl_c_stops_a_machine_that_never_waits() {
    let scratch = Scratch::new("signal-busy");
    scratch.machine(json!({
        "T": { "Type": "Task", "Resource": SHELL, "Parameters": { "Command": ["true"] }, "ResultPath": null, "Next": "A" },
        "A": { "Type": "Choice", "Choices": [{ "Variable": "$.x", "IsPresent": true, "Next": "S" }], "Default": "B" },
        "B": { "Type": "Pass", "Next": "A" },
        "S": { "Type": "Succeed" }
    }));
    let mut child = scratch
        .command(&["run", "m.asl.json", "--no-quotas"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.starts_with("done      B")));
    let pid = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-s", "INT", &pid])
            .status()
            .unwrap()
            .success()
    );
    let broken_off = lines.filter(|line| line.contains("did not stop in time")).count();
    assert_eq!((child.wait().unwrap().code(), broken_off), (Some(130), 1));
}
