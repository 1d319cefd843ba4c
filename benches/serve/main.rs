//! What a server does in a second: `cargo bench --bench serve` prints the table, `cargo bench --bench serve -- big`
//! that of a million items and a million executions, which takes minutes and gigabytes of the disk.
//!
//! The load comes over loopback from this process, on the same cores: raw HTTP/1.1 on connections that are kept. The
//! disk's own syncs in a second are measured beside it, in the same directory and the same minute.

#![expect(clippy::print_stdout, reason = "the table is what it is for")]

mod big;
mod server;

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use serde_json::json;

use crate::server::Client;
use crate::server::Server;

/// How long each row is measured.
const SPAN: Duration = Duration::from_secs(3);
const N_WAITS: u64 = 5_000;

/// How often something was done in a second, and how long it took: the median and the 99th percentile.
struct Measured {
    per_second: f64,
    /// Processor time of the server for one, in microseconds. It hardly depends on what else the machine does.
    processor_micros: f64,
    p50: Duration,
    p99: Duration,
}

/// Lets each of so many clients do something again and again.
fn measure(server: &Server, n_clients: usize, work: impl Fn(&mut Client) + Sync) -> Measured {
    let processor_before = server.processor_seconds();
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
    let processor = server.processor_seconds() - processor_before;
    times.sort_unstable();
    Measured {
        per_second: times.len() as f64 / elapsed.as_secs_f64(),
        processor_micros: processor * 1e6 / times.len() as f64,
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
        "| {what} | {:.0}/s | {:.0} µs | {:.2} ms | {:.2} ms | {beside} |",
        measured.per_second,
        measured.processor_micros,
        measured.p50.as_secs_f64() * 1000.0,
        measured.p99.as_secs_f64() * 1000.0
    );
}

fn start(server: &Server, machine: &str, n_executions: u64, input: impl Fn(u64) -> &'static str + Sync) {
    let n_started = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..50 {
            scope.spawn(|| {
                let mut client = server.client();
                loop {
                    let number = n_started.fetch_add(1, Ordering::Relaxed);
                    if n_executions <= number {
                        return;
                    }
                    let request = json!({ "stateMachineArn": machine, "input": input(number) }).to_string();
                    let answer = client.call("StartExecution", &request);
                    assert!(answer.contains("executionArn"), "{answer}");
                }
            });
        }
    });
}

fn waits(server: &Server) -> Duration {
    let machine = server.create(
        "STANDARD",
        &json!({ "W": { "Type": "Wait", "Seconds": 5, "End": true } }),
    );
    let begin = Instant::now();
    start(server, &machine, N_WAITS, |_| "{}");
    let request = json!({ "stateMachineArn": machine, "statusFilter": "RUNNING", "maxResults": 1 }).to_string();
    let mut client = server.client();
    while client.call("ListExecutions", &request).contains("executionArn") {
        std::thread::sleep(Duration::from_millis(20));
    }
    begin.elapsed()
}

/// An inline Map; EXPRESS, since a STANDARD history ends after 25,000 events.
fn inline_map(server: &Server) -> Duration {
    let machine = server.create(
        "EXPRESS",
        &json!({ "M": { "Type": "Map", "End": true,
            "ItemProcessor": { "StartAt": "A", "States": three_states() } } }),
    );
    let input = serde_json::to_string(&(0..10_000).collect::<Vec<u32>>()).expect("JSON");
    let request = json!({ "stateMachineArn": machine, "input": input }).to_string();
    let mut client = server.client();
    let times = (0..5).map(|_| {
        let begin = Instant::now();
        let answer = client.call("StartSyncExecution", &request);
        assert!(answer.contains("SUCCEEDED"), "{answer}");
        begin.elapsed()
    });
    times.min().expect("five")
}

fn three_states() -> serde_json::Value {
    json!({
        "A": { "Type": "Pass", "Next": "B" },
        "B": { "Type": "Pass", "Next": "C" },
        "C": { "Type": "Succeed" },
    })
}

fn main() {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("bench-serve");
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory).expect("a directory");
    match std::env::args().any(|argument| argument == "big") {
        true => big::table(&directory),
        false => table(&directory),
    }
    let _ = std::fs::remove_dir_all(&directory);
}

fn table(directory: &Path) {
    let states = json!({
        "A": { "Type": "Pass", "Next": "B" },
        "B": { "Type": "Pass", "Result": 7, "ResultPath": "$.b", "Next": "C" },
        "C": { "Type": "Succeed" },
    });
    println!("| what | rate | server CPU for one | p50 | p99 | beside |");
    println!("|---|---:|---:|---:|---:|---|");
    for (name, arguments) in [
        ("ephemeral", ["--ephemeral"].as_slice()),
        ("durable", ["--data", "data"].as_slice()),
    ] {
        let server = Server::start(directory, arguments);
        let (ready, idle) = (server.ready.as_secs_f64() * 1000.0, server.resident_mib());
        let machine = server.create("STANDARD", &states);
        for n_clients in [1, 50, 200] {
            let syncs = match name {
                "durable" => format!("{:.0} syncs/s of the disk", syncs_per_second(directory)),
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
        let map = inline_map(&server).as_secs_f64() * 1000.0;
        println!("| {name}, inline Map of 10,000 x 3 states | done in {map:.0} ms | | | | |");
        drop(server);
        // Memory of its own: what ran before is not counted.
        let server = Server::start(directory, arguments);
        let waited = waits(&server).as_secs_f64();
        let peak = server.peak_mib();
        println!(
            "| {name}, {N_WAITS} executions in `Wait 5` | all done in {waited:.2} s | | | | {peak:.0} MiB resident |"
        );
        println!("| {name}, ready | {ready:.0} ms | | | | {idle:.1} MiB resident |");
    }
}
