//! A server that is killed again and again: nothing that it acknowledged is lost or doubled, and every execution ends
//! with the history that it has without a crash.
//!
//! `STEPFN_CRASH_SEED` repeats the choices of a run; the instants of the kills still depend on the machine.
#![cfg(feature = "runtime")]

mod scratch;
mod server;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;

use serde_json::Value;
use serde_json::json;

use crate::scratch::Scratch;
use crate::server::Client;
use crate::server::Server;

const ROUNDS: u32 = 20;
const CLIENTS: u64 = 6;
const WORKERS: usize = 3;
const ACTIVITY: &str = "arn:aws:states:us-east-1:123456789012:activity:Work";
const COMMAND: &str = "arn:aws:lambda:us-east-1:123456789012:function:Echo";

/// Small, repeatable chance.
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}

/// State machines by name. `Stopped` waits until a client stops it.
fn machines() -> BTreeMap<&'static str, Value> {
    let branch = |name: &str| json!({ "StartAt": name, "States": { name: { "Type": "Pass", "End": true } } });
    // A worker that was given the task when the server died never hears of it: the task is given out again.
    let again =
        json!([{ "ErrorEquals": ["States.Timeout"], "IntervalSeconds": 1, "BackoffRate": 1, "MaxAttempts": 99 }]);
    let work = json!({ "Type": "Task", "Resource": ACTIVITY, "Parameters": { "Name.$": "$$.Execution.Name" },
        "HeartbeatSeconds": 3, "Retry": again, "Next": "Last" });
    let last = json!({ "Type": "Pass", "End": true });
    BTreeMap::from([
        (
            "Pure",
            json!({ "StartAt": "First", "States": {
                "First": { "Type": "Pass", "Result": { "n": 7 }, "Next": "Which" },
                "Which": { "Type": "Choice", "Choices": [{ "Variable": "$.n", "NumericEquals": 7, "Next": "Good" }] },
                "Good": { "Type": "Succeed" },
            } }),
        ),
        (
            "Waits",
            json!({ "StartAt": "One", "States": {
                "One": { "Type": "Wait", "Seconds": 1, "Next": "Two" },
                "Two": { "Type": "Wait", "Seconds": 2, "Next": "Last" }, "Last": last,
            } }),
        ),
        (
            "Work",
            json!({ "StartAt": "Task", "States": { "Task": work, "Last": last } }),
        ),
        (
            "Command",
            json!({ "StartAt": "Task", "States": {
                "Task": { "Type": "Task", "Resource": COMMAND, "Next": "Again" },
                "Again": { "Type": "Task", "Resource": COMMAND, "Next": "Last" }, "Last": last,
            } }),
        ),
        (
            "Branches",
            json!({ "StartAt": "Both", "States": {
                "Both": { "Type": "Parallel", "Branches": [branch("A"), branch("B")], "Next": "Pause" },
                "Pause": { "Type": "Wait", "Seconds": 1, "Next": "Task" }, "Task": work, "Last": last,
            } }),
        ),
        (
            "Items",
            json!({ "StartAt": "Each", "States": {
                "Each": { "Type": "Map", "ItemsPath": "$.items", "MaxConcurrency": 2, "ItemProcessor": branch("A"), "Next": "Task" },
                "Task": work, "Last": last,
            } }),
        ),
        (
            "Stopped",
            json!({ "StartAt": "Long", "States": { "Long": { "Type": "Wait", "Seconds": 3600, "End": true } } }),
        ),
    ])
}

fn start_request(kind: &str, name: &str) -> Value {
    json!({
        "stateMachineArn": format!("arn:aws:states:us-east-1:123456789012:stateMachine:{kind}"),
        "name": name,
        "input": "{\"items\": [1, 2, 3]}",
    })
}

fn execution(kind: &str, name: &str) -> Value {
    json!({ "executionArn": format!("arn:aws:states:us-east-1:123456789012:execution:{kind}:{name}") })
}

/// What the clients know.
#[derive(Default)]
struct Known {
    /// Kinds by name of those whose start was acknowledged.
    started: BTreeMap<String, &'static str>,
    /// Their start may or may not have been carried out.
    unknown: BTreeMap<String, &'static str>,
    /// Names whose task's success was acknowledged.
    answered: BTreeSet<String>,
    /// Stop dates by name.
    stopped: BTreeMap<String, Value>,
}

struct Test {
    scratch: Scratch,
    known: Mutex<Known>,
}

impl Test {
    fn serve(&self) -> Server {
        let mut command = self
            .scratch
            .command(&["serve", "--listen", "127.0.0.1:0", "--map", "map.toml"]);
        command.args(["--data", "data"]);
        Server::start(command).unwrap()
    }

    fn define(&self, client: &mut Client) {
        client.must("CreateActivity", &json!({ "name": "Work" }));
        for (name, definition) in machines() {
            let request = json!({ "name": name, "definition": definition.to_string(),
                "roleArn": "arn:aws:iam::123456789012:role/R" });
            client.must("CreateStateMachine", &request);
        }
    }

    /// Starts an execution by name until it is acknowledged.
    fn start(&self, client: &mut Client, kind: &'static str, name: &str) -> std::io::Result<()> {
        let (status, answer) = client.call("StartExecution", &start_request(kind, name))?;
        let mut known = self.known.lock().unwrap();
        let was_unknown = known.unknown.remove(name).is_some();
        let is_known = answer["__type"]
            .as_str()
            .is_some_and(|name| name.ends_with("ExecutionAlreadyExists"));
        assert!(status == 200 || (is_known && was_unknown), "{name}: {answer}");
        known.started.insert(name.to_owned(), kind);
        Ok(())
    }

    /// Starts and stops executions until the server is gone.
    fn be_client(&self, address: &str, mut chance: Chance, round: u32, number: u64) {
        let mut client = Client::new(address);
        let kinds: Vec<&str> = machines().into_keys().collect();
        for count in 0.. {
            let kind = kinds[usize::try_from(chance.below(kinds.len() as u64)).unwrap()];
            let name = format!("r{round}-c{number}-{count}");
            self.known.lock().unwrap().unknown.insert(name.clone(), kind);
            if chance.below(8) == 0 && client.hang_up("StartExecution", &start_request(kind, &name)).is_err() {
                return;
            }
            if self.start(&mut client, kind, &name).is_err() {
                return;
            }
            if kind == "Stopped" && self.stop(&mut client, &name).is_err() {
                return;
            }
            std::thread::sleep(Duration::from_millis(chance.below(60)));
        }
    }

    fn stop(&self, client: &mut Client, name: &str) -> std::io::Result<()> {
        let mut request = execution("Stopped", name);
        request["error"] = json!("Enough");
        let (status, answer) = client.call("StopExecution", &request)?;
        assert_eq!(status, 200, "{name}: {answer}");
        let mut known = self.known.lock().unwrap();
        let before = known.stopped.insert(name.to_owned(), answer["stopDate"].clone());
        assert!(
            before.is_none_or(|before| before == answer["stopDate"]),
            "{name} was stopped twice"
        );
        Ok(())
    }

    /// Does activity tasks until the server is gone.
    fn be_worker(&self, address: &str) {
        let mut client = Client::new(address);
        let request = json!({ "activityArn": ACTIVITY, "workerName": "w" });
        while let Ok((status, task)) = client.call("GetActivityTask", &request) {
            assert_eq!(status, 200, "{task}");
            let Some(input) = task["input"].as_str() else {
                continue;
            };
            let input: Value = serde_json::from_str(input).unwrap();
            let name = input["Name"].as_str().unwrap().to_owned();
            let is_answered = self.known.lock().unwrap().answered.contains(&name);
            assert!(!is_answered, "the acknowledged answer of {name} was lost");
            let answer = json!({ "taskToken": task["taskToken"], "output": "\"done\"" });
            let Ok((status, answer)) = client.call("SendTaskSuccess", &answer) else {
                return;
            };
            let is_late = answer["__type"]
                .as_str()
                .is_some_and(|name| name.ends_with("TaskTimedOut"));
            assert!(status == 200 || is_late, "{name}: {answer}");
            if !is_late {
                self.known.lock().unwrap().answered.insert(name);
            }
        }
    }

    /// Asks again for what may have been carried out, and looks at all that was acknowledged in a round.
    fn look_back(&self, client: &mut Client, round: u32) {
        let unknown = self.known.lock().unwrap().unknown.clone();
        for (name, kind) in unknown {
            self.start(client, kind, &name).unwrap();
        }
        let started = self.known.lock().unwrap().started.clone();
        for (name, kind) in started
            .iter()
            .filter(|(name, _)| name.starts_with(&format!("r{round}-")))
        {
            let found = client.must("DescribeExecution", &execution(kind, name));
            if let Some(stopped) = self.known.lock().unwrap().stopped.get(name) {
                assert_eq!(
                    (&found["status"], &found["stopDate"]),
                    (&json!("ABORTED"), stopped),
                    "{name}"
                );
            } else if *kind == "Stopped" {
                continue;
            } else {
                assert!(
                    ["RUNNING", "SUCCEEDED"].contains(&found["status"].as_str().unwrap()),
                    "{found}"
                );
            }
        }
        let left: Vec<&String> = started
            .iter()
            .filter(|(_, kind)| **kind == "Stopped")
            .map(|(name, _)| name)
            .collect();
        for name in left {
            if !self.known.lock().unwrap().stopped.contains_key(name) {
                self.stop(client, name).unwrap();
            }
        }
    }

    /// Waits until nothing runs any more.
    fn finish(&self, client: &mut Client) {
        let deadline = Instant::now() + Duration::from_secs(60);
        for kind in machines().into_keys() {
            let arn = &start_request(kind, "")["stateMachineArn"];
            let request = json!({ "stateMachineArn": arn, "statusFilter": "RUNNING" });
            loop {
                let running = client.must("ListExecutions", &request);
                if running["executions"] == json!([]) {
                    break;
                }
                assert!(Instant::now() < deadline, "these do not end: {running}");
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }

    fn check(&self) {
        let output = self.scratch.run(&["store", "check", "data"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// A history without times, names and attempts that no worker heard of.
fn history(client: &mut Client, kind: &str, name: &str) -> Vec<Value> {
    let answer = client.must("GetExecutionHistory", &execution(kind, name));
    let text = answer["events"].to_string().replace(name, "NAME");
    let events: Vec<Value> = serde_json::from_str(&text).unwrap();
    let previous = |event: &Value| event["previousEventId"].as_u64().unwrap();
    let at = |id: u64| &events[usize::try_from(id).unwrap() - 1];
    // What an event is called once others are left out.
    let mut ids: BTreeMap<u64, u64> = BTreeMap::from([(0, 0)]);
    let mut left_out = BTreeSet::new();
    for event in events.iter().filter(|event| event["type"] == "ActivityTimedOut") {
        let mut event = event;
        loop {
            left_out.insert(event["id"].as_u64().unwrap());
            if event["type"] == "ActivityScheduled" {
                break;
            }
            event = at(previous(event));
        }
    }
    let mut kept = Vec::new();
    for event in &events {
        let id = event["id"].as_u64().unwrap();
        if left_out.contains(&id) {
            ids.insert(id, ids[&previous(event)]);
            continue;
        }
        let mut event = event.clone();
        ids.insert(id, kept.len() as u64 + 1);
        event["id"] = json!(ids[&id]);
        event["previousEventId"] = json!(ids[&previous(&event)]);
        event.as_object_mut().unwrap().remove("timestamp");
        kept.push(event);
    }
    kept
}

fn all_names(client: &mut Client, kind: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut request = json!({ "stateMachineArn": start_request(kind, "")["stateMachineArn"] });
    loop {
        let page = client.must("ListExecutions", &request);
        let items = page["executions"].as_array().unwrap().iter();
        names.extend(items.map(|item| item["name"].as_str().unwrap().to_owned()));
        match page.get("nextToken") {
            Some(token) => request["nextToken"] = token.clone(),
            None => return names,
        }
    }
}

fn test(directory: &str) -> Test {
    let scratch = Scratch::new(directory);
    scratch.write(
        "map.toml",
        &format!("[[mapping]]\nresource = '{COMMAND}'\ncommand = ['cat']\n"),
    );
    Test {
        scratch,
        known: Mutex::default(),
    }
}

/// The histories without a crash.
fn reference() -> BTreeMap<&'static str, Vec<Value>> {
    let test = test("crash-reference");
    let server = test.serve();
    let mut client = server.client();
    test.define(&mut client);
    std::thread::scope(|scope| {
        let worker = scope.spawn(|| test.be_worker(&server.address));
        let name = |kind: &str| format!("of-{kind}");
        for kind in machines().into_keys() {
            test.start(&mut client, kind, &name(kind)).unwrap();
        }
        test.stop(&mut client, &name("Stopped")).unwrap();
        test.finish(&mut client);
        let kinds = machines().into_keys();
        let histories = kinds
            .map(|kind| (kind, history(&mut client, kind, &name(kind))))
            .collect();
        kill(&server);
        worker.join().unwrap();
        histories
    })
}

fn kill(server: &Server) {
    let pid = server.child.id().to_string();
    assert!(Command::new("kill").args(["-9", &pid]).status().unwrap().success());
}

#[test]
fn a_killed_server_loses_and_doubles_nothing() {
    let wanted = reference();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let seed = match std::env::var("STEPFN_CRASH_SEED") {
        Ok(seed) => seed.parse().unwrap(),
        Err(_) => now.subsec_nanos().into(),
    };
    eprintln!("STEPFN_CRASH_SEED={seed}");
    let mut chance = Chance(seed);
    let test = test("crash");
    for round in 0..ROUNDS {
        let server = test.serve();
        let mut client = server.client();
        if round == 0 {
            test.define(&mut client);
        } else {
            test.look_back(&mut client, round - 1);
        }
        std::thread::scope(|scope| {
            for number in 0..CLIENTS {
                let chance = Chance(chance.below(u64::MAX));
                let (test, address) = (&test, &server.address);
                scope.spawn(move || test.be_client(address, chance, round, number));
            }
            for _ in 0..WORKERS {
                scope.spawn(|| test.be_worker(&server.address));
            }
            std::thread::sleep(Duration::from_millis(100 + chance.below(900)));
            kill(&server);
        });
        drop(server);
        test.check();
    }
    let server = test.serve();
    let mut client = server.client();
    test.look_back(&mut client, ROUNDS - 1);
    std::thread::scope(|scope| {
        scope.spawn(|| test.be_worker(&server.address));
        test.finish(&mut client);
        let known = test.known.lock().unwrap();
        for (kind, wanted) in &wanted {
            let mut names = all_names(&mut client, kind);
            names.sort_unstable();
            let started = known.started.iter().filter(|(_, found)| *found == kind);
            let started: Vec<&String> = started.map(|(name, _)| name).collect();
            assert_eq!(names.iter().collect::<Vec<_>>(), started, "{kind}");
            for name in started {
                assert_eq!(&history(&mut client, kind, name), wanted, "{kind} {name}");
            }
        }
        drop(known);
        kill(&server);
    });
    test.check();
    let n_executions = test.known.lock().unwrap().started.len();
    eprintln!("{n_executions} executions, {ROUNDS} kills");
}
