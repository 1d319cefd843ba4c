//! What a server does in a second: `cargo bench --bench serve` prints the table.
//!
//! The load comes over loopback from this process, on the same cores: raw HTTP/1.1 on connections that are kept. The
//! disk's own syncs in a second are measured beside it, in the same directory and the same minute.

#![expect(clippy::print_stdout, reason = "the table is what it is for")]

use std::fs::File;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use serde_json::Value;
use serde_json::json;

/// How long each row is measured.
const SPAN: Duration = Duration::from_secs(3);
const N_WAITS: usize = 5_000;

struct Server {
    child: Child,
    address: String,
    ready: Duration,
}

impl Server {
    fn start(directory: &Path, arguments: &[&str]) -> Self {
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

    fn client(&self) -> Client {
        let stream = TcpStream::connect(&self.address).expect("it listens");
        stream.set_nodelay(true).expect("it is TCP");
        Client {
            stream: BufReader::new(stream),
            line: String::new(),
            body: Vec::new(),
        }
    }

    fn create(&self, machine_type: &str, states: &Value) -> String {
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

    fn resident_mib(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS:"))
            .unwrap_or_default();
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

struct Client {
    stream: BufReader<TcpStream>,
    line: String,
    body: Vec<u8>,
}

impl Client {
    fn call(&mut self, operation: &str, body: &str) -> String {
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

/// How often something was done in a second, and how long it took: the median and the 99th percentile.
struct Measured {
    per_second: f64,
    p50: Duration,
    p99: Duration,
}

/// Lets each of so many clients do something again and again.
fn measure(server: &Server, n_clients: usize, work: impl Fn(&mut Client) + Sync) -> Measured {
    let begin = Instant::now();
    let mut times: Vec<Duration> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..n_clients)
            .map(|_| {
                scope.spawn(|| {
                    let mut client = server.client();
                    let mut times = Vec::new();
                    while begin.elapsed() < SPAN {
                        let begin = Instant::now();
                        work(&mut client);
                        times.push(begin.elapsed());
                    }
                    times
                })
            })
            .collect();
        clients
            .into_iter()
            .flat_map(|client| client.join().expect("a client"))
            .collect()
    });
    let elapsed = begin.elapsed();
    times.sort_unstable();
    Measured {
        per_second: times.len() as f64 / elapsed.as_secs_f64(),
        p50: times[times.len() / 2],
        p99: times[times.len() * 99 / 100],
    }
}

/// Starts an execution and looks until it is seen to have ended.
fn start_and_see(client: &mut Client, machine: &str) {
    let answer = client.call("StartExecution", &format!("{{\"stateMachineArn\":\"{machine}\"}}"));
    let arn = answer.split('"').nth(3).expect("an ARN").to_owned();
    let request = format!("{{\"executionArn\":\"{arn}\"}}");
    while client.call("DescribeExecution", &request).contains("\"RUNNING\"") {}
}

fn syncs_per_second(directory: &Path) -> f64 {
    let mut file = File::create(directory.join("probe")).expect("a file");
    let begin = Instant::now();
    let mut n_syncs = 0;
    while begin.elapsed() < Duration::from_secs(1) {
        file.write_all(&[1; 4096]).expect("it is written");
        file.sync_data().expect("it is synced");
        n_syncs += 1;
    }
    f64::from(n_syncs) / begin.elapsed().as_secs_f64()
}

fn row(what: &str, measured: &Measured, beside: &str) {
    println!(
        "| {what} | {:.0}/s | {:.2} ms | {:.2} ms | {beside} |",
        measured.per_second,
        measured.p50.as_secs_f64() * 1000.0,
        measured.p99.as_secs_f64() * 1000.0
    );
}

fn waits(server: &Server) -> Duration {
    let machine = server.create(
        "STANDARD",
        &json!({ "W": { "Type": "Wait", "Seconds": 5, "End": true } }),
    );
    let begin = Instant::now();
    let n_started = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..50 {
            scope.spawn(|| {
                let mut client = server.client();
                while n_started.fetch_add(1, Ordering::Relaxed) < N_WAITS as u64 {
                    client.call("StartExecution", &format!("{{\"stateMachineArn\":\"{machine}\"}}"));
                }
            });
        }
    });
    let request = json!({ "stateMachineArn": machine, "statusFilter": "RUNNING", "maxResults": 1 }).to_string();
    let mut client = server.client();
    while client.call("ListExecutions", &request).contains("executionArn") {
        std::thread::sleep(Duration::from_millis(20));
    }
    begin.elapsed()
}

fn main() {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("bench-serve");
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory).expect("a directory");
    let states = json!({
        "A": { "Type": "Pass", "Next": "B" },
        "B": { "Type": "Pass", "Result": 7, "ResultPath": "$.b", "Next": "C" },
        "C": { "Type": "Succeed" },
    });
    println!("| what | rate | p50 | p99 | beside |");
    println!("|---|---:|---:|---:|---|");
    for (name, arguments) in [
        ("ephemeral", ["--ephemeral"].as_slice()),
        ("durable", ["--data", "data"].as_slice()),
    ] {
        let server = Server::start(&directory, arguments);
        let (ready, idle) = (server.ready.as_secs_f64() * 1000.0, server.resident_mib());
        let machine = server.create("STANDARD", &states);
        for n_clients in [1, 50, 200] {
            let syncs = match name {
                "durable" => format!("{:.0} syncs/s of the disk", syncs_per_second(&directory)),
                _ => String::new(),
            };
            let measured = measure(&server, n_clients, |client| start_and_see(client, &machine));
            row(
                &format!("{name}, 3 states, start to seen-finished, {n_clients} clients"),
                &measured,
                &syncs,
            );
        }
        let express = server.create("EXPRESS", &states);
        let request = json!({ "stateMachineArn": express }).to_string();
        for n_clients in [1, 50] {
            let measured = measure(&server, n_clients, |client| {
                let answer = client.call("StartSyncExecution", &request);
                assert!(answer.contains("SUCCEEDED"), "{answer}");
            });
            row(
                &format!("{name}, StartSyncExecution, {n_clients} clients"),
                &measured,
                "",
            );
        }
        let waited = waits(&server).as_secs_f64();
        let peak = server.resident_mib();
        println!(
            "| {name}, {N_WAITS} executions in `Wait 5` | all done in {waited:.2} s | | | {peak:.0} MiB resident |"
        );
        println!("| {name}, ready | {ready:.0} ms | | | {idle:.1} MiB resident |");
    }
    let _ = std::fs::remove_dir_all(&directory);
}
