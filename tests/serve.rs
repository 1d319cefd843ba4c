//! The built server: what it listens on, how it stops, what it tells.
#![cfg(feature = "runtime")]

mod scratch;

use std::fs;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::Child;
use std::process::ChildStderr;
use std::process::Command;
use std::process::Stdio;

use serde_json::Value;
use serde_json::json;

use crate::scratch::SHELL;
use crate::scratch::Scratch;
use crate::scratch::stderr;

const ROLE: &str = "arn:aws:iam::123456789012:role/r";

/// A server of one test, on a port that the system chose.
struct Server {
    child: Child,
    address: String,
    stderr: BufReader<ChildStderr>,
    /// What it told before it was ready.
    told: String,
}

impl Server {
    fn start(scratch: &Scratch, arguments: &[&str]) -> Self {
        let mut child = scratch
            .command(&["serve", "--listen", "127.0.0.1:0"])
            .args(arguments)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        Self::ready(child, stderr)
    }

    /// Waits for the line that names the address.
    fn ready(child: Child, mut stderr: BufReader<ChildStderr>) -> Self {
        let mut told = String::new();
        loop {
            let mut line = String::new();
            assert_ne!(stderr.read_line(&mut line).unwrap(), 0, "it did not start: {told}");
            if let Some(address) = line.strip_prefix("stepfn serves http://") {
                let address = address.trim().to_owned();
                return Self {
                    child,
                    address,
                    stderr,
                    told,
                };
            }
            told += &line;
        }
    }

    fn get(&self, path: &str, headers: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n"
        )
        .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    }

    fn call(&self, operation: &str, request: Value) -> Value {
        call(
            TcpStream::connect(&self.address).unwrap(),
            "localhost",
            operation,
            &request,
        )
    }

    fn create(&self, name: &str, more: Value) -> String {
        let mut request = json!({ "name": name, "roleArn": ROLE });
        request
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        self.call("CreateStateMachine", request)["stateMachineArn"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// Asks the server to stop; returns what it told since its start.
    fn stop(mut self) -> String {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").arg(pid).status().unwrap().success());
        let mut told = String::new();
        self.stderr.read_to_string(&mut told).unwrap();
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}: {told}");
        told
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn call(mut stream: impl Read + Write, host: &str, operation: &str, request: &Value) -> Value {
    let body = request.to_string();
    let length = body.len();
    write!(
        stream,
        "POST / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\nx-amz-target: AWSStepFunctions.{operation}\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    serde_json::from_str(text.split_once("\r\n\r\n").unwrap().1).unwrap()
}

fn definition(state: Value) -> Value {
    Value::from(json!({ "StartAt": "S", "States": { "S": state } }).to_string())
}

#[test]
fn a_stopped_server_leaves_its_tasks_to_the_next() {
    let scratch = Scratch::new("serve-stop");
    assert!(
        Command::new("mkfifo")
            .arg(scratch.0.join("fifo"))
            .status()
            .unwrap()
            .success()
    );
    let server = Server::start(&scratch, &[]);
    // It blocks until the test reads the pipe, so the test knows that it runs.
    let script = format!("echo $$ > {}/fifo; exec sleep 3300", scratch.0.display());
    let task = json!({ "Type": "Task", "Resource": SHELL, "Parameters": { "Script": script }, "End": true });
    let arn = server.create("M", json!({ "definition": definition(task) }));
    let execution = server.call("StartExecution", json!({ "stateMachineArn": arn, "name": "e" }));
    let running = || fs::read_to_string(scratch.0.join("fifo")).unwrap().trim().to_owned();
    let first = running();
    let told = server.stop();
    assert!(told.contains("The server stops."), "{told}");
    assert!(
        !fs::exists(format!("/proc/{first}")).unwrap(),
        "the task's process has ended"
    );

    let server = Server::start(&scratch, &[]);
    let second = running();
    assert_ne!(first, second);
    let wanted = json!({ "executionArn": execution["executionArn"] });
    assert_eq!(server.call("DescribeExecution", wanted.clone())["status"], "RUNNING");
    server.call("StopExecution", wanted.clone());
    assert_eq!(server.call("DescribeExecution", wanted)["status"], "ABORTED");
    server.stop();
}

#[test]
fn a_stopping_server_sends_waiting_workers_away() {
    let scratch = Scratch::new("serve-poll");
    let server = Server::start(&scratch, &["--ephemeral"]);
    let activity = server.call("CreateActivity", json!({ "name": "A" }));
    let stream = TcpStream::connect(&server.address).unwrap();
    let poll = std::thread::spawn(move || call(stream, "x", "GetActivityTask", &activity));
    while !server
        .get("/metrics", "")
        .contains("stepfn_activity_workers_waiting 1\n")
    {}
    server.stop();
    assert_eq!(poll.join().unwrap(), json!({ "taskToken": null }));
}

#[test]
fn health_and_metrics_are_for_tools_but_not_for_web_pages() {
    let scratch = Scratch::new("serve-metrics");
    let server = Server::start(&scratch, &[]);
    let fail = json!({ "Type": "Fail" });
    let arn = server.create("M", json!({ "type": "EXPRESS", "definition": definition(fail) }));
    let wanted = json!({ "stateMachineArn": arn });
    let sync = call(
        TcpStream::connect(&server.address).unwrap(),
        "sync-localhost",
        "StartSyncExecution",
        &wanted,
    );
    assert_eq!(sync["status"], "FAILED");
    let metrics = server.get("/metrics", "");
    for line in [
        "stepfn_executions_started_total 1",
        "stepfn_executions_ended_total{status=\"FAILED\"} 1",
        "stepfn_commit_seconds_count 1",
        "stepfn_executions_in_memory 0",
        "# EOF",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line}: {metrics}");
    }
    assert!(server.get("/health", "").ends_with("{\"status\":\"ok\"}"));
    assert!(
        server
            .get("/health", "origin: http://example.com\r\n")
            .starts_with("HTTP/1.1 403 ")
    );
}

#[test]
fn machines_log_to_the_file_of_their_group() {
    let scratch = Scratch::new("serve-logs");
    let server = Server::start(&scratch, &["--log-level", "debug"]);
    let group = "arn:aws:logs:us-east-1:123456789012:log-group:/aws/vendedlogs/states/m:*";
    for (name, level, kind) in [
        ("A", "ALL", "EXPRESS"),
        ("B", "ERROR", "STANDARD"),
        ("C", "OFF", "STANDARD"),
    ] {
        let arn = server.create(
            name,
            json!({
                "type": kind,
                "definition": definition(json!({ "Type": "Fail", "Error": "E" })),
                "loggingConfiguration": {
                    "level": level,
                    "destinations": [{ "cloudWatchLogsLogGroup": { "logGroupArn": group } }],
                },
            }),
        );
        server.call(
            "StartExecution",
            json!({ "stateMachineArn": arn, "input": "{\"secret\": 7}" }),
        );
    }
    server.call("StartExecution", json!({ "stateMachineArn": "arn:secret" }));
    let told = server.stop();
    assert!(
        told.contains("A request was refused. operation=\"StartExecution\" error=\"InvalidArn\""),
        "{told}"
    );
    let text = fs::read_to_string(scratch.0.join("stepfn-data/logs/aws/vendedlogs/states/m.jsonl")).unwrap();
    assert!(!text.contains("secret") && !told.contains("secret"), "{text}{told}");
    let mut records: Vec<String> = text
        .lines()
        .map(|line| {
            let record: Value = serde_json::from_str(line).unwrap();
            let arn = record["execution_arn"].as_str().unwrap();
            format!("{} {}", arn.split(':').nth(6).unwrap(), record["type"])
        })
        .collect();
    records.sort();
    assert_eq!(
        records,
        [
            "A \"ExecutionFailed\"",
            "A \"ExecutionStarted\"",
            "A \"FailStateEntered\"",
            "B \"ExecutionFailed\"",
            "B \"FailStateEntered\"",
        ]
    );
}

#[test]
fn the_socket_is_for_its_user_alone() {
    let scratch = Scratch::new("serve-socket");
    let socket = scratch.0.join("s");
    let mut server = Server::start(&scratch, &["--ephemeral", "--socket", "s"]);
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    let answer = call(UnixStream::connect(&socket).unwrap(), "x", "ListActivities", &json!({}));
    assert_eq!(answer, json!({ "activities": [] }));
    // What a killed server leaves behind is in nobody's way, and one that stops leaves nothing.
    server.child.kill().unwrap();
    server.child.wait().unwrap();
    assert!(socket.exists());
    Server::start(&scratch, &["--ephemeral", "--socket", "s"]).stop();
    assert!(!socket.exists());
}

#[test]
fn it_says_why_it_does_not_listen() {
    let scratch = Scratch::new("serve-listen");
    let server = Server::start(&scratch, &["--ephemeral", "--socket", "s"]);
    scratch.write("file", "");
    for (arguments, part) in [
        (
            &["--listen", &server.address][..],
            "cannot be listened on: Address already in use",
        ),
        (&["--listen", "0.0.0.0:0"], "`0.0.0.0:0` is not a loopback address"),
        (&["--listen", "[::]:0"], "`[::]:0` is not a loopback address"),
        (
            &["--listen", "127.0.0.1:0", "--socket", "s"],
            "`s` cannot be listened on: Address already in use",
        ),
        (
            &["--listen", "127.0.0.1:0", "--socket", "file"],
            "`file` cannot be listened on: Address already in use",
        ),
        (
            &["--listen", "127.0.0.1:0", "--socket", "no/s"],
            "`no/s` cannot be listened on: No such file",
        ),
    ] {
        let output = scratch.run(&[&["serve", "--ephemeral"], arguments].concat());
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(stderr(&output).contains(part), "{}", stderr(&output));
    }
}

#[test]
fn people_see_and_steer_executions() {
    let scratch = Scratch::new("serve-people");
    let server = Server::start(&scratch, &["--ephemeral", "--socket", "s"]);
    let wait = json!({ "Type": "Wait", "Seconds": 86_400, "End": true });
    server.create("Waits", json!({ "definition": definition(wait) }));
    let pass = json!({ "Type": "Pass", "End": true });
    server.create("Quick", json!({ "type": "EXPRESS", "definition": definition(pass) }));
    let run = |arguments: &[&str]| {
        let output = scratch.command(arguments).args(["--socket", "s"]).output().unwrap();
        let shown = String::from_utf8(output.stdout.clone()).unwrap();
        (output.status.code().unwrap(), shown, stderr(&output))
    };
    let (code, arn, told) = run(&["start", "Waits", "--name", "e", "--input", "{\"a\": 1}"]);
    assert_eq!(
        (code, arn.trim()),
        (0, "arn:aws:states:us-east-1:123456789012:execution:Waits:e"),
        "{told}"
    );
    assert_eq!(run(&["start", "Quick", "--input", "[1]"]).1, "[1]\n");
    let (_, shown, _) = run(&["ps", "--running"]);
    assert!(shown.starts_with("STATUS "), "{shown}");
    assert!(shown.contains("RUNNING ") && shown.contains("  Waits:e\n"), "{shown}");
    let (_, shown, _) = run(&["show", "e", "--data"]);
    assert!(shown.contains("input    {\"a\": 1}\n"), "{shown}");
    assert!(shown.contains("\n  … S (Wait)\n"), "{shown}");
    assert_eq!(run(&["stop", "Waits:e", "--error", "Enough"]).0, 0);
    let (_, shown, _) = run(&["show", arn.trim(), "--json"]);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(
        (&shown["status"], &shown["error"]),
        (&json!("ABORTED"), &json!("Enough"))
    );
    let (_, shown, _) = run(&["logs", "-f", "e"]);
    let kinds: Vec<&str> = shown
        .lines()
        .map(|line| line.split_whitespace().nth(2).unwrap())
        .collect();
    assert_eq!(
        kinds,
        ["ExecutionStarted", "WaitStateEntered", "ExecutionAborted"],
        "{shown}"
    );
    // The same call with the same token is done once.
    for _ in 0..2 {
        let (code, shown, told) = run(&["redrive", "Waits:e", "--client-token", "t", "--json"]);
        assert!(code == 0 && shown.contains("redriveDate"), "{shown} {told}");
    }
    let (_, shown, _) = run(&["show", "e", "--json"]);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(
        (&shown["status"], &shown["redriveCount"]),
        (&json!("RUNNING"), &json!(1))
    );
    for (arguments, part) in [
        (&["show", "no"][..], "error: there is no execution `no`"),
        (&["start", "no"], "error: there is no state machine `no`"),
        (&["stop", "arn:no"], "error: InvalidArn: "),
        (&["redrive", "e"], "error: ExecutionNotRedrivable: "),
        (&["start", "Waits", "--input", "{"], "error: InvalidExecutionInput: "),
    ] {
        let (code, _, told) = run(arguments);
        assert!(code == 2 && told.contains(part), "{code} {told}");
    }
    drop(server);
    assert!(run(&["ps"]).2.contains("hint: start one with `stepfn serve`"));
}

/// Answers one request of each connection with what `answer` says about its head and body.
fn endpoint(answer: fn(&str, &str) -> String) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                reader.read_line(&mut head).unwrap();
            }
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .unwrap();
            let mut body = vec![0; length.parse().unwrap()];
            reader.read_exact(&mut body).unwrap();
            let body = String::from_utf8(body).unwrap();
            stream.write_all(answer(&head, &body).as_bytes()).unwrap();
        }
    });
    format!("http://{address}")
}

#[test]
fn the_settings_of_step_functions_local_are_understood() {
    let scratch = Scratch::new("serve-local");
    let lambda = endpoint(|head, body| {
        let first = head.lines().next().unwrap();
        let (more, body) = match first.contains("/Fails/") {
            true => (
                "x-amz-function-error: Unhandled\r\n",
                "{\"errorType\":\"Boom\",\"errorMessage\":\"m\"}".to_owned(),
            ),
            false => ("", json!({ "request": first, "body": body }).to_string()),
        };
        format!("HTTP/1.1 200 OK\r\n{more}content-length: {}\r\n\r\n{body}", body.len())
    });
    let mut child = scratch
        .command(&["serve", "--listen", "127.0.0.1:0", "--ephemeral", "--log-level", "warn"])
        .env("AWS_ACCOUNT_ID", "111122223333")
        .env("AWS_DEFAULT_REGION", "eu-west-1")
        .env("LAMBDA_ENDPOINT", lambda)
        .env("WAIT_TIME_SCALE", "0.000001")
        .env("SQS_ENDPOINT", "http://localhost:9324")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let stderr = BufReader::new(child.stderr.take().unwrap());
    let server = Server::ready(child, stderr);
    assert!(
        server
            .told
            .contains("This endpoint is not called: bind the tasks with --map or --mock. service=\"SQS\"")
    );
    let run = |name: &str, state: Value| {
        let arn = server.create(name, json!({ "type": "EXPRESS", "definition": definition(state) }));
        server.call(
            "StartSyncExecution",
            json!({ "stateMachineArn": arn, "input": "{\"a\":1}" }),
        )
    };
    let function = "arn:aws:lambda:eu-west-1:111122223333:function:F:live";
    let plain = run("Plain", json!({ "Type": "Task", "Resource": function, "End": true }));
    assert!(
        plain["stateMachineArn"]
            .as_str()
            .unwrap()
            .starts_with("arn:aws:states:eu-west-1:111122223333:")
    );
    let output: Value = serde_json::from_str(plain["output"].as_str().unwrap()).unwrap();
    assert_eq!(
        output,
        json!({
            "request": "POST /2015-03-31/functions/F/invocations?Qualifier=live HTTP/1.1",
            "body": "{\"a\":1}",
        })
    );
    let invoke = "arn:aws:states:::lambda:invoke";
    let failed = run(
        "Invoke",
        json!({
            "Type": "Task",
            "Resource": invoke,
            "Parameters": { "FunctionName": "Fails", "Payload.$": "$" },
            // A day of pauses, but for the scale.
            "Retry": [{ "ErrorEquals": ["Boom"], "IntervalSeconds": 43_200, "MaxAttempts": 2, "BackoffRate": 1 }],
            "End": true,
        }),
    );
    assert_eq!(
        (&failed["error"], &failed["cause"]),
        (
            &json!("Boom"),
            &json!("{\"errorType\":\"Boom\",\"errorMessage\":\"m\"}")
        )
    );
    let waited = run("Waits", json!({ "Type": "Wait", "Seconds": 86_400, "End": true }));
    assert_eq!(waited["status"], "SUCCEEDED");
}
