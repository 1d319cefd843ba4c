//! A million items, a million executions.

use std::fs::File;
use std::io::BufWriter;
use std::io::Write;
use std::path::Path;
use std::time::Duration;
use std::time::Instant;

use serde_json::Value;
use serde_json::json;

use crate::server::Client;
use crate::server::Server;
use crate::start;
use crate::three_states;

const N_EXECUTIONS: u64 = 1_000_000;
/// One in so many of the executions ends at once.
const N_WAITS_TO_ONE_END: u64 = 100;
const PAGE: usize = 100;

/// Prints the table.
pub(crate) fn table(directory: &Path) {
    println!("| what | took | rate or median | peak resident |");
    println!("|---|---:|---:|---:|");
    for n_items in [100_000, 1_000_000] {
        for (name, arguments) in [
            ("ephemeral", ["--ephemeral"].as_slice()),
            ("durable", ["--data", "map"].as_slice()),
        ] {
            distributed_map(directory, name, arguments, n_items);
            let _ = std::fs::remove_dir_all(directory.join("map"));
        }
    }
    executions(directory);
}

fn distributed_map(directory: &Path, name: &str, arguments: &[&str], n_items: u64) {
    let bucket = directory.join("bucket");
    std::fs::create_dir_all(&bucket).expect("a directory");
    let mut file = BufWriter::new(File::create(bucket.join("items.jsonl")).expect("a file"));
    for number in 0..n_items {
        writeln!(file, "{{\"id\":{number},\"name\":\"item number {number}\"}}").expect("it is written");
    }
    drop(file);
    let bucket = format!("b={}", bucket.display());
    let server = Server::start(directory, &[arguments, &["--bucket", &bucket]].concat());
    let machine = server.create(
        "STANDARD",
        &json!({ "M": {
            "Type": "Map",
            "MaxConcurrency": 1_000,
            "ItemReader": {
                "Resource": "arn:aws:states:::s3:getObject",
                "ReaderConfig": { "InputType": "JSONL" },
                "Parameters": { "Bucket": "b", "Key": "items.jsonl" },
            },
            "ItemProcessor": {
                "ProcessorConfig": { "Mode": "DISTRIBUTED", "ExecutionType": "EXPRESS" },
                "StartAt": "A",
                "States": three_states(),
            },
            "ResultWriter": {
                "Resource": "arn:aws:states:::s3:putObject",
                "Parameters": { "Bucket": "b", "Prefix": "results" },
            },
            "End": true,
        } }),
    );
    let mut client = server.client();
    let begin = Instant::now();
    let request = json!({ "stateMachineArn": machine }).to_string();
    let answer = client.call("StartExecution", &request);
    let arn = answer.split('"').nth(3).expect("an ARN");
    let request = json!({ "executionArn": arn }).to_string();
    let answer = loop {
        std::thread::sleep(Duration::from_millis(20));
        let answer = client.call("DescribeExecution", &request);
        if !answer.contains("\"RUNNING\"") {
            break answer;
        }
    };
    assert!(answer.contains("\"SUCCEEDED\""), "{answer}");
    let took = begin.elapsed().as_secs_f64();
    let (rate, peak) = (n_items as f64 / took, server.peak_mib());
    println!("| {name}, Distributed Map, {n_items} items | {took:.2} s | {rate:.0} items/s | {peak:.0} MiB |");
}

fn executions(directory: &Path) {
    let arguments = ["--data", "many"];
    let server = Server::start(directory, &arguments);
    let machine = server.create(
        "STANDARD",
        &json!({
            "C": { "Type": "Choice", "Default": "W",
                "Choices": [{ "Variable": "$.end", "BooleanEquals": true, "Next": "S" }] },
            "W": { "Type": "Wait", "Seconds": 1_000_000, "End": true },
            "S": { "Type": "Succeed" },
        }),
    );
    let n_started = N_EXECUTIONS + N_EXECUTIONS / N_WAITS_TO_ONE_END;
    let begin = Instant::now();
    start(&server, &machine, n_started, |number| {
        match number % (N_WAITS_TO_ONE_END + 1) == 0 {
            true => "{\"end\":true}",
            false => "{\"end\":false}",
        }
    });
    let took = begin.elapsed().as_secs_f64();
    let (rate, peak) = (n_started as f64 / took, server.peak_mib());
    println!("| {N_EXECUTIONS} parked waits, started | {took:.0} s | {rate:.0}/s | {peak:.0} MiB |");
    drop(server);
    let server = Server::start(directory, &arguments);
    let (ready, resident) = (server.ready.as_secs_f64(), server.resident_mib());
    println!("| {N_EXECUTIONS} parked waits, killed and started again | ready in {ready:.2} s | | {resident:.0} MiB |");
    let mut client = server.client();
    let all = json!({ "stateMachineArn": machine, "maxResults": PAGE });
    let few = json!({ "stateMachineArn": machine, "maxResults": PAGE, "statusFilter": "SUCCEEDED" });
    let (running, many) = (json!("RUNNING"), &all);
    let mut many = many.clone();
    many["statusFilter"] = running;
    pages(
        &mut client,
        "ListExecutions, pages 1 to 2,000",
        "ListExecutions",
        &all,
        2_000,
    );
    pages(
        &mut client,
        "ListExecutions, RUNNING, pages 1 to 2,000",
        "ListExecutions",
        &many,
        2_000,
    );
    let last = pages(
        &mut client,
        "ListExecutions, SUCCEEDED, pages 1 to 100",
        "ListExecutions",
        &few,
        100,
    );
    let arn = last["executions"][0]["executionArn"].as_str().expect("an execution");
    let history = json!({ "executionArn": arn, "maxResults": PAGE });
    for _ in 0..3 {
        pages(
            &mut client,
            "GetExecutionHistory, 5 events",
            "GetExecutionHistory",
            &history,
            1,
        );
    }
    let long = server.create("STANDARD", &long_states());
    start(&server, &long, 1, |_| "{\"n\":0}");
    let listed = client.call("ListExecutions", &json!({ "stateMachineArn": long }).to_string());
    let listed: Value = serde_json::from_str(&listed).expect("JSON");
    let arn = listed["executions"][0]["executionArn"].as_str().expect("an execution");
    let history = json!({ "executionArn": arn, "maxResults": PAGE });
    pages(
        &mut client,
        "GetExecutionHistory, 20,000 events, all pages",
        "GetExecutionHistory",
        &history,
        200,
    );
    println!("| at the end | | | {:.0} MiB |", server.peak_mib());
}

/// A loop of some 20,000 history events.
fn long_states() -> Value {
    json!({
        "More": { "Type": "Choice", "Default": "Add",
            "Choices": [{ "Variable": "$.n", "NumericGreaterThanEquals": 5_000, "Next": "Done" }] },
        "Add": { "Type": "Pass", "Parameters": { "n.$": "States.MathAdd($.n, 1)" }, "Next": "More" },
        "Done": { "Type": "Succeed" },
    })
}

/// Reads page after page; prints the median and the longest. Returns the last page.
fn pages(client: &mut Client, what: &str, operation: &str, request: &Value, n_pages_max: usize) -> Value {
    let mut request = request.clone();
    let mut times = Vec::new();
    let last = loop {
        let text = request.to_string();
        let begin = Instant::now();
        let answer = client.call(operation, &text);
        times.push(begin.elapsed().as_secs_f64() * 1000.0);
        let answer: Value = serde_json::from_str(&answer).expect("JSON");
        assert!(answer.get("__type").is_none(), "{answer}");
        match answer.get("nextToken") {
            Some(token) if times.len() < n_pages_max => request["nextToken"] = token.clone(),
            _ => break answer,
        }
    };
    times.sort_unstable_by(f64::total_cmp);
    let (median, longest) = (times[times.len() / 2], times[times.len() - 1]);
    println!("| {what}, {PAGE} a page | at most {longest:.1} ms | {median:.2} ms | |");
    last
}
