//! The audit log as people and auditors use it: recorded by runs and servers, read, verified, reported.
#![cfg(feature = "runtime")]

mod scratch;
mod server;

use std::fs;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use serde_json::json;

use crate::scratch::SHELL;
use crate::scratch::Scratch;
use crate::scratch::stderr;
use crate::server::Client;
use crate::server::Server;

const SERVE: [&str; 5] = ["serve", "--listen", "127.0.0.1:0", "--data", "data"];

fn records(scratch: &Scratch, arguments: &[&str]) -> Vec<Value> {
    let output = scratch.run(&[&["audit", "show", "--json"], arguments].concat());
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn events(records: &[Value]) -> Vec<&str> {
    records.iter().filter_map(|record| record["event"].as_str()).collect()
}

fn configured(scratch: &Scratch) {
    scratch.write("stepfn.toml", "[audit]\ndirectory = 'log'\nanchors = 'anchors'\n");
}

fn create(client: &mut Client, name: &str, states: &Value) -> Value {
    let start = states.as_object().unwrap().keys().next().unwrap();
    let definition = json!({ "StartAt": start, "States": states }).to_string();
    let request = json!({ "name": name, "definition": definition, "roleArn": "arn:aws:iam::123456789012:role/R" });
    client.must("CreateStateMachine", &request)["stateMachineArn"].clone()
}

/// A task that adds a line, its execution's name, to the file `ran`.
fn writes() -> Value {
    let script = "echo \"$NAME\" >> ran";
    json!({ "T": { "Type": "Task", "Resource": SHELL, "End": true,
        "Parameters": { "Script": script, "Env": { "NAME.$": "$$.Execution.Name" } } } })
}

#[test]
fn a_run_is_recorded_shown_and_verified() {
    let scratch = Scratch::new("audit-run");
    configured(&scratch);
    scratch.machine(writes());
    let output = scratch.run_with_input(&json!({}), &["--name", "one"]);
    assert!(output.status.success(), "{output:?}");
    let all = records(&scratch, &[]);
    assert_eq!(events(&all), ["task.intent", "change", "task.result"]);
    assert_eq!(all[2]["result"], "succeeded");
    assert_eq!(all[0]["on_behalf_of"]["kind"], "process");
    let output = scratch.run(&["audit", "show", "--state", "T", "--since", "yesterday"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.lines().next().unwrap().contains("  T of m/one starts for "),
        "{text}"
    );
    assert!(records(&scratch, &["--who", "nobody-of-that-name"]).is_empty());
    let verified = scratch.run(&["audit", "verify"]);
    let text = String::from_utf8(verified.stdout).unwrap();
    assert!(verified.status.success() && text.contains("3 records"), "{text}");
    assert!(text.contains("; 1 anchors compared; 0 findings;"), "{text}");
    // Without stepfn, by the documentation alone.
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/smoke/verify_audit.py");
    let checked = Command::new("python3")
        .arg(script)
        .arg("log")
        .current_dir(&scratch.0)
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&checked.stdout), "last record 3, 0 findings\n");
    // A cut end is found by the anchor.
    let file = fs::read_dir(scratch.0.join("log"))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let file = file
        .into_iter()
        .find(|path| path.extension().is_some_and(|end| end == "jsonl"))
        .unwrap();
    let text = fs::read_to_string(&file).unwrap();
    let cut: String = text.split_inclusive('\n').take(2).collect();
    fs::write(&file, cut).unwrap();
    let verified = scratch.run(&["audit", "verify"]);
    assert_eq!(verified.status.code(), Some(1));
    let said = stderr(&verified);
    assert!(
        said.contains("record 3: The end was cut off: the log ends with record 2"),
        "{said}"
    );
}

#[test]
fn an_action_that_failed_is_not_said_to_have_changed_anything() {
    let scratch = Scratch::new("audit-failed");
    configured(&scratch);
    scratch.machine(json!({ "T": { "Type": "Task", "Resource": SHELL, "End": true,
        "Parameters": { "Command": ["./missing"] } } }));
    assert_eq!(scratch.run(&["run", "m.asl.json"]).status.code(), Some(1));
    let all = records(&scratch, &[]);
    assert_eq!(events(&all), ["task.intent", "change", "task.result"]);
    let say = all[1]["say"].as_str().unwrap();
    assert!(say.contains("may have changed this machine"), "{say}");
    assert_eq!(all[1]["result"], "uncertain");
}

#[test]
fn mocks_and_plans_are_not_recorded() {
    let scratch = Scratch::new("audit-mock");
    configured(&scratch);
    scratch.machine(writes());
    assert!(scratch.run(&["plan", "m.asl.json"]).status.code().is_some());
    assert!(!scratch.0.join("log").exists());
    let output = scratch.run(&["run", "m.asl.json", "--no-audit"]);
    assert!(output.status.success(), "{output:?}");
    assert!(!scratch.0.join("log").exists());
}

#[test]
fn a_server_records_who_did_what_and_reports_it() {
    let scratch = Scratch::new("audit-serve");
    let server = Server::start(scratch.command(&SERVE)).unwrap();
    let mut client = server.client();
    let machine = create(&mut client, "M", &json!({ "P": { "Type": "Pass", "End": true } }));
    client.must("StartExecution", &json!({ "stateMachineArn": machine, "name": "e" }));
    let (status, _) = client
        .call("DeleteStateMachine", &json!({ "stateMachineArn": machine }))
        .unwrap();
    assert_eq!(status, 200);
    client.must("ListStateMachines", &json!({}));
    let place = ["--directory", "data/audit"];
    // The end of an execution waits for nobody.
    let all = loop {
        let all = records(&scratch, &place);
        if events(&all).contains(&"machine.deleted") && events(&all).contains(&"execution.ended") {
            break all;
        }
    };
    assert_eq!(
        events(&all),
        [
            "server.started",
            "machine.created",
            "execution.started",
            "execution.ended",
            "machine.deleted"
        ]
    );
    assert_eq!(all[1]["definition"], all[2]["definition"]);
    assert_eq!(all[1]["decision"]["allowed"], true);
    let report = scratch.run(&[&["audit", "report", "--control", "CC8.1"], &place[..]].concat());
    let text = String::from_utf8(report.stdout).unwrap();
    let mut rows = csv::Reader::from_reader(text.as_bytes());
    let found: Vec<String> = rows.records().map(|row| row.unwrap()[2].to_owned()).collect();
    assert_eq!(found, ["machine.created", "execution.started", "machine.deleted"]);
    let report = scratch.run(
        &[
            &["audit", "report", "--control", "CC8.1", "--format", "markdown"],
            &place[..],
        ]
        .concat(),
    );
    assert!(String::from_utf8(report.stdout).unwrap().starts_with("# CC8.1\n"));
    let unknown = scratch.run(&[&["audit", "report", "--control", "CC9.9"], &place[..]].concat());
    assert_eq!(unknown.status.code(), Some(2));
}

#[test]
fn every_task_that_ran_has_its_intent_whenever_the_server_is_killed() {
    let scratch = Scratch::new("audit-kill");
    let serve = || Server::start(scratch.command(&SERVE)).unwrap();
    let server = serve();
    let machine = create(&mut server.client(), "M", &writes());
    let mut server = Some(server);
    for round in 0..8 {
        let running = server.take().unwrap_or_else(serve);
        let mut client = running.client();
        for number in 0..4 {
            let request = json!({ "stateMachineArn": machine, "name": format!("e-{round}-{number}") });
            client.must("StartExecution", &request);
        }
        // Some time between the first intent and the last result.
        std::thread::park_timeout(Duration::from_millis(round * 5));
        // Dropping it kills it.
        drop(running);
        let ran = fs::read_to_string(scratch.0.join("ran")).unwrap_or_default();
        let all = records(&scratch, &["--directory", "data/audit"]);
        for name in ran.lines() {
            let has_intent = all.iter().any(|record| {
                let execution = record["execution"].as_str().unwrap_or_default();
                record["event"] == "task.intent" && execution.ends_with(&format!(":{name}"))
            });
            assert!(has_intent, "{name} in round {round}");
        }
    }
    let verified = scratch.run(&["audit", "verify", "--directory", "data/audit"]);
    assert!(verified.status.success(), "{verified:?}");
}
