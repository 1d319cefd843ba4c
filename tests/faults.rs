//! What a server says and keeps when its disk, its directory or its file is not as it should be, and how often it syncs.
#![cfg(feature = "runtime")]

mod scratch;
mod server;

use std::fs;
use std::os::unix::fs::FileExt;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use serde_json::Value;
use serde_json::json;

use crate::scratch::SHELL;
use crate::scratch::Scratch;
use crate::scratch::stderr;
use crate::server::Client;
use crate::server::Server;

const SERVE: [&str; 5] = ["serve", "--listen", "127.0.0.1:0", "--data", "data"];

fn serve(scratch: &Scratch) -> Result<Server, String> {
    Server::start(scratch.command(&SERVE))
}

fn create(client: &mut Client, name: &str, states: &Value) -> Value {
    let start = states.as_object().unwrap().keys().next().unwrap();
    let definition = json!({ "StartAt": start, "States": states }).to_string();
    let request = json!({ "name": name, "definition": definition, "roleArn": "arn:aws:iam::123456789012:role/R" });
    client.must("CreateStateMachine", &request)["stateMachineArn"].clone()
}

fn pass() -> Value {
    json!({ "S": { "Type": "Pass", "End": true } })
}

#[test]
fn a_second_server_is_refused() {
    let scratch = Scratch::new("second-server");
    let server = serve(&scratch).unwrap();
    let said = serve(&scratch).err().unwrap();
    assert!(
        said.starts_with("error: the store cannot be opened: another process has opened the store in"),
        "{said}"
    );
    let machine = create(&mut server.client(), "M", &pass());
    assert!(machine.is_string());
    // Its end, however it ends, frees the directory.
    drop(server);
    serve(&scratch).unwrap();
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    let scratch = Scratch::new("read-only");
    fs::create_dir(scratch.0.join("data")).unwrap();
    // Root may write everywhere but into a file that is no directory.
    scratch.write("file", "");
    let mut command = scratch.command(&SERVE[..4]);
    let said = Server::start({
        command.arg("file/data");
        command
    });
    let said = said.err().unwrap();
    assert!(said.contains("the directory `file/data`: Not a directory"), "{said}");
    fs::set_permissions(scratch.0.join("data"), fs::Permissions::from_mode(0o500)).unwrap();
    if fs::write(scratch.0.join("data/try"), "").is_err() {
        let said = serve(&scratch).err().unwrap();
        assert!(said.contains("the lock file in `data`: Permission denied"), "{said}");
    }
    fs::set_permissions(scratch.0.join("data"), fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn a_file_that_is_no_store_is_left_alone() {
    let scratch = Scratch::new("no-store");
    fs::create_dir(scratch.0.join("data")).unwrap();
    let text = "This is a letter, and no database. ".repeat(200);
    scratch.write("data/stepfn.db", &text);
    let said = serve(&scratch).err().unwrap();
    assert!(
        said.contains("the database in `data`: file is not a database"),
        "{said}"
    );
    assert_eq!(fs::read_to_string(scratch.0.join("data/stepfn.db")).unwrap(), text);
}

#[test]
fn a_full_disk_ends_the_server_and_loses_nothing() {
    let scratch = Scratch::new("full-disk");
    // The shell's limit of the size of each file, in blocks of 1,024 bytes. SQLite gets EFBIG instead of a signal.
    let mut command = Command::new("bash");
    let line = format!(
        "trap '' XFSZ; ulimit -f 2000; exec {} {}",
        env!("CARGO_BIN_EXE_stepfn"),
        SERVE.join(" ")
    );
    command.args(["-c", &line]).current_dir(&scratch.0);
    let server = Server::start(command).unwrap();
    let mut client = server.client();
    let machine = create(&mut client, "M", &pass());
    let input = json!("x".repeat(100_000)).to_string();
    let mut acknowledged = Vec::new();
    loop {
        let request = json!({ "stateMachineArn": machine, "input": input });
        match client.call("StartExecution", &request) {
            Ok((200, answer)) => acknowledged.push(answer["executionArn"].clone()),
            Ok((status, answer)) => {
                assert_eq!(status, 503, "{answer}");
                break;
            }
            Err(_) => break,
        }
        assert!(acknowledged.len() < 1_000, "the disk is never full");
    }
    assert!(!acknowledged.is_empty());
    let (code, said) = server.wait();
    assert_eq!(code, Some(3), "{said}");
    assert!(
        said.contains("error: the store stopped after a failed commit: "),
        "{said}"
    );
    assert!(said.contains("hint: nothing that was acknowledged is lost"), "{said}");
    // With room again everything is there.
    let server = serve(&scratch).unwrap();
    let mut client = server.client();
    for arn in &acknowledged {
        let found = client.must("DescribeExecution", &json!({ "executionArn": arn }));
        assert_eq!(found["status"], "SUCCEEDED");
        assert_eq!(found["input"], input);
    }
    drop(server);
    let output = scratch.run(&["store", "check", "data"]);
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn a_damaged_page_is_told_and_found() {
    let scratch = Scratch::new("damaged-page");
    let server = serve(&scratch).unwrap();
    let mut client = server.client();
    let machine = create(&mut client, "M", &pass());
    for _ in 0..100 {
        client.must("StartExecution", &json!({ "stateMachineArn": machine }));
    }
    drop(client);
    drop(server);
    // The log beside a file may hold its pages, too, and would heal them: a backup has all in the file.
    let backup = scratch.run(&["store", "backup", "data", "copy"]);
    assert!(backup.status.success(), "{backup:?}");
    let path = scratch.0.join("copy/stepfn.db");
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    let n_pages = fs::metadata(&path).unwrap().len() / 4096;
    for page in 4..n_pages {
        file.write_at(&[0x55; 4096], page * 4096).unwrap();
    }
    let output = scratch.run(&["store", "check", "copy"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("finding: "), "{output:?}");
    let mut command = scratch.command(&SERVE[..4]);
    command.arg("copy");
    match Server::start(command) {
        Err(said) => assert!(said.contains("database disk image is malformed"), "{said}"),
        Ok(server) => {
            let request = json!({ "stateMachineArn": machine });
            let (status, answer) = server.client().call("ListExecutions", &request).unwrap();
            assert_eq!(status, 500, "{answer}");
        }
    }
}

#[test]
fn a_starting_task_is_nobodys_orphan() {
    let scratch = Scratch::new("orphans");
    let server = serve(&scratch).unwrap();
    let task = json!({ "Type": "Task", "Resource": SHELL, "Parameters": { "Command": ["true"] }, "End": true });
    let machine = create(&mut server.client(), "M", &json!({ "T": task }));
    for _ in 0..150 {
        server
            .client()
            .must("StartExecution", &json!({ "stateMachineArn": machine }));
    }
    wait_for_all(&mut server.client(), &machine);
    let request = json!({ "stateMachineArn": machine, "statusFilter": "FAILED" });
    assert_eq!(
        server.client().must("ListExecutions", &request)["executions"],
        json!([])
    );
}

fn wait_for_all(client: &mut Client, machine: &Value) {
    let request = json!({ "stateMachineArn": machine, "statusFilter": "RUNNING" });
    while client.must("ListExecutions", &request)["executions"] != json!([]) {
        std::thread::yield_now();
    }
}

/// Counts the syncs of a server while `load` runs.
fn n_syncs(scratch: &Scratch, load: impl FnOnce(&Server, &Value)) -> usize {
    let mut command = Command::new("strace");
    command
        .args([
            "--seccomp-bpf",
            "-f",
            "-qq",
            "-e",
            "trace=fsync,fdatasync",
            "-o",
            "trace",
            env!("CARGO_BIN_EXE_stepfn"),
        ])
        .args(SERVE)
        .current_dir(&scratch.0);
    let server = Server::start(command).unwrap();
    let machine = create(&mut server.client(), "M", &pass());
    let count = || {
        fs::read_to_string(scratch.0.join("trace"))
            .unwrap()
            .matches("sync(")
            .count()
    };
    let before = count();
    load(&server, &machine);
    let n_syncs = count() - before;
    let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", server.child.id())).unwrap();
    for child in children.split_whitespace() {
        assert!(Command::new("kill").args(["-9", child]).status().unwrap().success());
    }
    assert!(server.wait().0 != Some(0));
    n_syncs
}

#[test]
fn every_commit_is_synced_and_many_share_a_sync() {
    const EACH: usize = 40;
    let scratch = Scratch::new("syncs-alone");
    let alone = n_syncs(&scratch, |server, machine| {
        let mut client = server.client();
        for _ in 0..EACH {
            client.must("StartExecution", &json!({ "stateMachineArn": machine }));
        }
    });
    // One after the other: each answer had a sync of its own.
    assert!((EACH..2 * EACH).contains(&alone), "{alone} syncs for {EACH} answers");
    const CLIENTS: usize = 50;
    let scratch = Scratch::new("syncs-together");
    let together = n_syncs(&scratch, |server, machine| {
        std::thread::scope(|scope| {
            for _ in 0..CLIENTS {
                scope.spawn(|| {
                    let mut client = server.client();
                    for _ in 0..EACH {
                        client.must("StartExecution", &json!({ "stateMachineArn": machine }));
                    }
                });
            }
        });
    });
    // How many share one depends on how fast the disk is; that some do does not.
    assert!(
        (EACH..CLIENTS * EACH * 3 / 4).contains(&together),
        "{together} syncs for {} answers",
        CLIENTS * EACH
    );
}

/// Starts a server whose clock is what the file `clock` says, such as `+2h`; the time since its start stays real.
fn serve_with_clock(scratch: &Scratch) -> Server {
    let mut command = scratch.command(&SERVE);
    command
        .env("LD_PRELOAD", "/usr/$LIB/faketime/libfaketimeMT.so.1")
        .env("FAKETIME_TIMESTAMP_FILE", scratch.0.join("clock"))
        .env("FAKETIME_NO_CACHE", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    Server::start(command).unwrap()
}

fn history_times(client: &mut Client, execution: &Value) -> Vec<f64> {
    let request = json!({ "executionArn": execution["executionArn"] });
    let history = client.must("GetExecutionHistory", &request);
    let events = history["events"].as_array().unwrap();
    events
        .iter()
        .map(|event| event["timestamp"].as_f64().unwrap())
        .collect()
}

#[test]
fn the_systems_clock_may_jump() {
    let scratch = Scratch::new("clock");
    scratch.write("clock", "+0");
    let server = serve_with_clock(&scratch);
    let mut client = server.client();
    let wait = |seconds: u32| json!({ "S": { "Type": "Wait", "Seconds": seconds, "End": true } });
    let long = create(&mut client, "Long", &wait(3600));
    let short = create(&mut client, "Short", &wait(1));
    let waiting = client.must("StartExecution", &json!({ "stateMachineArn": long }));
    // Forwards: what is due by the new time happens.
    scratch.write("clock", "+2h");
    let forward = client.must("StartExecution", &json!({ "stateMachineArn": short }));
    wait_for_all(&mut client, &long);
    wait_for_all(&mut client, &short);
    let times = history_times(&mut client, &waiting);
    assert!(7000.0 < times[times.len() - 1] - times[0], "{times:?}");
    // Backwards: time goes on from where it was.
    scratch.write("clock", "-1d");
    let back = client.must("StartExecution", &json!({ "stateMachineArn": short }));
    wait_for_all(&mut client, &short);
    let (forward, back) = (history_times(&mut client, &forward), history_times(&mut client, &back));
    assert!(
        forward.is_sorted() && back.is_sorted() && forward[0] <= back[0],
        "{forward:?} {back:?}"
    );
    assert!(back[back.len() - 1] - back[0] < 60.0, "{back:?}");
    // A new process begins a day earlier, and works all the same.
    drop(server);
    let server = serve_with_clock(&scratch);
    let mut client = server.client();
    client.must("StartExecution", &json!({ "stateMachineArn": short }));
    wait_for_all(&mut client, &short);
    drop(server);
    let check = scratch.run(&["store", "check", "data"]);
    assert!(check.status.success(), "{check:?}");
}

#[test]
fn a_server_without_free_descriptors_waits_for_some() {
    let scratch = Scratch::new("descriptors");
    let mut command = Command::new("sh");
    let program = env!("CARGO_BIN_EXE_stepfn");
    command
        .args(["-c", &format!("ulimit -n 64; exec {program} {}", SERVE.join(" "))])
        .current_dir(&scratch.0);
    let server = Server::start(command).unwrap();
    let mut client = server.client();
    let machine = create(
        &mut client,
        "M",
        &json!({ "S": { "Type": "Task", "Resource": SHELL, "End": true } }),
    );
    // More than it can take, and fewer than the kernel queues for it.
    let connections: Vec<_> = (0..100)
        .map(|_| std::net::TcpStream::connect(&server.address).unwrap())
        .collect();
    let start = json!({ "stateMachineArn": machine, "input": "{\"Command\": [\"true\"]}" });
    // It goes on for those who are connected; what it cannot open then, it says.
    let starved = client.must("StartExecution", &start);
    wait_for_all(&mut client, &machine);
    let described = client.must("DescribeExecution", &json!({ "executionArn": starved["executionArn"] }));
    match described["status"].as_str() {
        Some("SUCCEEDED") => {}
        _ => {
            let cause = described["cause"].as_str().unwrap_or_default();
            assert!(cause.contains("Too many open files"), "{described}");
        }
    }
    drop(connections);
    let mut client = server.client();
    let fed = client.must("StartExecution", &start);
    wait_for_all(&mut client, &machine);
    let described = client.must("DescribeExecution", &json!({ "executionArn": fed["executionArn"] }));
    assert_eq!(described["status"], "SUCCEEDED", "{described}");
}
