//! A server of the release profile, and clients of it.

use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use serde_json::Value;
use serde_json::json;

/// Killed, as by a crash, when it is dropped.
pub(crate) struct Server {
    child: Child,
    address: String,
    pub(crate) ready: Duration,
}

impl Server {
    pub(crate) fn start(directory: &Path, arguments: &[&str]) -> Self {
        let begin = Instant::now();
        let mut child = Command::new(env!("CARGO_BIN_EXE_stepfn"))
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(arguments)
            .current_dir(directory)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let mut line = String::new();
        let stderr = child.stderr.take().expect("it is piped");
        BufReader::new(stderr).read_line(&mut line).expect("it is text");
        let address = line.trim().strip_prefix("stepfn serves http://").expect("it serves");
        Self {
            child,
            address: address.to_owned(),
            ready: begin.elapsed(),
        }
    }

    pub(crate) fn client(&self) -> Client {
        let stream = TcpStream::connect(&self.address).expect("it listens");
        stream.set_nodelay(true).expect("it is TCP");
        Client {
            stream: BufReader::new(stream),
            line: String::new(),
            body: Vec::new(),
        }
    }

    /// Makes a machine; it starts at the first state. Returns its ARN.
    pub(crate) fn create(&self, machine_type: &str, states: &Value) -> String {
        let start = states
            .as_object()
            .and_then(|states| states.keys().next())
            .expect("a state");
        let definition = json!({ "StartAt": start, "States": states }).to_string();
        let name = format!(
            "M{}",
            self.client()
                .call("ListStateMachines", "{}")
                .matches("stateMachineArn")
                .count()
        );
        let request = json!({ "name": name, "type": machine_type, "definition": definition,
            "roleArn": "arn:aws:iam::123456789012:role/R" });
        let answer = self.client().call("CreateStateMachine", &request.to_string());
        let answer: Value = serde_json::from_str(&answer).expect("JSON");
        answer["stateMachineArn"].as_str().expect("it is created").to_owned()
    }

    /// Returns what is resident now.
    pub(crate) fn resident_mib(&self) -> f64 {
        self.status_mib("VmRSS:")
    }

    /// Returns the most that was ever resident.
    pub(crate) fn peak_mib(&self) -> f64 {
        self.status_mib("VmHWM:")
    }

    /// Returns the processor time so far, of all its threads; in steps of 10 ms.
    pub(crate) fn processor_seconds(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        // User and system time are the 12th and 13th member behind the name, which stands in parentheses.
        let members = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
        let ticks: f64 = members
            .skip(11)
            .take(2)
            .filter_map(|ticks| ticks.parse::<f64>().ok())
            .sum();
        ticks / 100.0
    }

    fn status_mib(&self, name: &str) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        let kib: f64 = line
            .split_whitespace()
            .nth(1)
            .and_then(|kib| kib.parse().ok())
            .unwrap_or(0.0);
        kib / 1024.0
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) struct Client {
    stream: BufReader<TcpStream>,
    line: String,
    body: Vec<u8>,
}

impl Client {
    /// Returns the body of the answer.
    pub(crate) fn call(&mut self, operation: &str, body: &str) -> String {
        let request = format!(
            "POST / HTTP/1.1\r\nhost: localhost\r\nx-amz-target: AWSStepFunctions.{operation}\r\n\
             content-type: application/x-amz-json-1.0\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        self.stream
            .get_mut()
            .write_all(request.as_bytes())
            .expect("the server lives");
        let mut length = 0;
        loop {
            self.line.clear();
            let n_bytes = self.stream.read_line(&mut self.line).expect("the server lives");
            assert!(0 < n_bytes, "the server hung up");
            match self.line.trim().split_once(": ") {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = value.parse().expect("a length");
                }
                None if self.line.trim().is_empty() => break,
                _ => {}
            }
        }
        self.body.resize(length, 0);
        self.stream.read_exact(&mut self.body).expect("the server lives");
        String::from_utf8_lossy(&self.body).into_owned()
    }
}
