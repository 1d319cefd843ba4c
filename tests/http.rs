//! Clients that do not behave: the server answers or hangs up, and goes on.
#![cfg(feature = "runtime")]

mod server;

use std::io::Read;
use std::io::Write;
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use serde_json::json;

use crate::server::Server;

fn start() -> Server {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stepfn"));
    command.args(["serve", "--listen", "127.0.0.1:0", "--ephemeral"]);
    Server::start(command).unwrap()
}

fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(&server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

/// Sends bytes and returns what came back until the server hung up or the answer was there.
fn send(server: &Server, bytes: &[u8]) -> String {
    let mut stream = connect(server);
    // The server may hang up while we still write.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn post(target: &str, body: &[u8]) -> Vec<u8> {
    let mut request = format!(
        "POST / HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: {target}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(body);
    request
}

fn resident_kib(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.child.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn is_well(server: &Server) {
    let answer = send(
        server,
        b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    );
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn malformed_requests_are_answered_or_cut() {
    let server = start();
    let mut deep = "[".repeat(100_000).into_bytes();
    deep.extend_from_slice("]".repeat(100_000).as_bytes());
    let cases: Vec<(Vec<u8>, &str, &str)> = vec![
        (b"\x00\x01\x02\x03\r\n\r\n".to_vec(), "HTTP/1.1 400", ""),
        (b"GET / HTTP/9.9\r\n\r\n".to_vec(), "HTTP/1.1 400", ""),
        (
            b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n".to_vec(),
            "HTTP/1.1 400",
            "",
        ),
        (
            b"GET / HTTP/1.1\r\nHost: l\r\nConnection: close\r\n\r\n".to_vec(),
            "HTTP/1.1 405",
            "",
        ),
        (
            b"POST /x HTTP/1.1\r\nHost: l\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".to_vec(),
            "HTTP/1.1 404",
            "",
        ),
        (
            post("AWSStepFunctions.NoSuchThing", b"{}"),
            "HTTP/1.1 404",
            "UnknownOperationException",
        ),
        (
            post("OtherService.ListStateMachines", b"{}"),
            "HTTP/1.1 404",
            "UnknownOperationException",
        ),
        (post("nonsense", b"{}"), "HTTP/1.1 404", "UnknownOperationException"),
        (
            post("AWSStepFunctions.ListStateMachines", b"{"),
            "HTTP/1.1 400",
            "SerializationException",
        ),
        (
            post("AWSStepFunctions.ListStateMachines", b"[]"),
            "HTTP/1.1 400",
            "SerializationException",
        ),
        (
            post("AWSStepFunctions.ListStateMachines", b"{\"maxResults\":\"x\"}"),
            "HTTP/1.1 400",
            "SerializationException",
        ),
        (
            post("AWSStepFunctions.ListStateMachines", b"{\"a\":\"\xff\xfe\"}"),
            "HTTP/1.1 400",
            "SerializationException",
        ),
        (
            post("AWSStepFunctions.ListStateMachines", &deep),
            "HTTP/1.1 400",
            "SerializationException",
        ),
        (
            post(
                "AWSStepFunctions.SendTaskSuccess",
                b"{\"taskToken\":\"x\",\"output\":\"{}\"}",
            ),
            "HTTP/1.1 400",
            "InvalidToken",
        ),
        (
            post(
                "AWSStepFunctions.SendTaskSuccess",
                b"{\"taskToken\":\"\",\"output\":\"{}\"}",
            ),
            "HTTP/1.1 400",
            "ValidationException",
        ),
    ];
    for (request, status, name) in cases {
        let answer = send(&server, &request);
        let shown = String::from_utf8_lossy(&request[..request.len().min(120)]).into_owned();
        assert!(answer.starts_with(status), "{shown}: {answer}");
        assert!(answer.contains(name), "{shown}: {answer}");
    }
    is_well(&server);
}

#[test]
fn a_body_that_is_too_large_costs_no_memory() {
    let server = start();
    let before = resident_kib(&server);
    let length = 1_u64 << 40;
    let mut stream = connect(&server);
    let head = format!(
        "POST / HTTP/1.1\r\nHost: l\r\nX-Amz-Target: AWSStepFunctions.ListStateMachines\r\nContent-Length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let block = vec![b'x'; 1 << 20];
    // 200 MiB, unless the server hangs up before.
    for _ in 0..200 {
        if stream.write_all(&block).is_err() {
            break;
        }
    }
    let grown = resident_kib(&server).saturating_sub(before);
    assert!(grown < 20 * 1024, "{grown} KiB");
    is_well(&server);
}

#[test]
fn idle_connections_do_not_keep_others_out() {
    let server = start();
    let idle: Vec<TcpStream> = (0..400).map(|_| connect(&server)).collect();
    let mut slow = connect(&server);
    slow.write_all(b"POST / HTTP/1.1\r\nHost: l\r\nX-Amz-Tar").unwrap();
    let mut client = server.client();
    let created = client.call(
        "CreateStateMachine",
        &json!({"name": "M", "roleArn": "arn:aws:iam::123456789012:role/r",
            "definition": "{\"StartAt\":\"A\",\"States\":{\"A\":{\"Type\":\"Succeed\"}}}"}),
    );
    assert!(created.is_ok(), "{created:?}");
    assert!(resident_kib(&server) < 200 * 1024);
    drop(idle);
    is_well(&server);
}
