//! Functions of Lambda through the program: the examples of docs/lambda.md, and what only the whole shows.

mod scratch;
mod server;

use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use std::time::Instant;

use serde_json::json;

use scratch::Scratch;
use scratch::stderr;
use scratch::stdout;
use server::Server;

const BOOTSTRAP: &str = r#"#!/usr/bin/env python3
import http.client, json, os
api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
def call(method, path, body=None):
    api.request(method, "/2018-06-01/runtime/invocation/" + path, body)
    answer = api.getresponse()
    return answer.headers["Lambda-Runtime-Aws-Request-Id"], answer.read()
while True:
    id, event = call("GET", "next")
    open("pids", "a").write(f"{os.getpid()}\n")
    open("event.new", "wb").write(event)
    os.rename("event.new", "event")
    print("seen", event.decode(), flush=True)
    call("POST", id + "/response", event)
"#;

fn page() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/lambda.md");
    std::fs::read_to_string(path).unwrap()
}

/// The blocks of a page with their language, and the name of the file that the line before tells.
fn blocks(page: &str) -> Vec<(Option<String>, String, String)> {
    let mut blocks = Vec::new();
    let mut name = None;
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            blocks.push((name.take(), language.to_owned(), block.join("\n")));
        } else if let Some(file) = line.strip_prefix('`').and_then(|line| line.strip_suffix("`:")) {
            name = Some(file.to_owned());
        }
    }
    blocks
}

/// A virtual environment that has AWS's runtime, if there is one.
fn environment() -> Option<PathBuf> {
    let usual = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/venv/bin/python");
    let python = std::env::var_os("STEPFN_PYTHON").map_or(usual, PathBuf::from);
    let found = Command::new(&python).args(["-c", "import awslambdaric"]).output();
    let found = found.is_ok_and(|output| output.status.success());
    found.then(|| python.parent().unwrap().parent().unwrap().to_owned())
}

#[test]
fn the_examples_of_the_page_run_as_they_stand() {
    let scratch = Scratch::new("lambda-example");
    let page = page();
    let blocks = blocks(&page);
    for (name, _, text) in &blocks {
        if let Some(name) = name {
            scratch.write(name, text);
        }
    }
    let scripts: Vec<&String> = blocks
        .iter()
        .filter(|(_, language, _)| language == "sh")
        .map(|(.., text)| text)
        .collect();
    let [python, node] = scripts.as_slice() else {
        panic!("{scripts:?}");
    };
    let run = |script: &str| {
        let program = Path::new(env!("CARGO_BIN_EXE_stepfn"));
        let path = format!(
            "{}:{}",
            program.parent().unwrap().display(),
            std::env::var("PATH").unwrap()
        );
        let output = Command::new("sh")
            .args(["-e", "-c", script])
            .env("PATH", path)
            .current_dir(&scratch.0)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    match environment() {
        Some(environment) => {
            std::os::unix::fs::symlink(environment, scratch.0.join("venv")).unwrap();
            // The packages are there already.
            let commands: Vec<&str> = python.lines().filter(|line| line.starts_with("stepfn ")).collect();
            let expected = blocks.iter().find(|(_, language, _)| language == "text").unwrap();
            assert_eq!(run(&commands.join("\n")).trim_end(), expected.2);
        }
        None => {
            assert!(std::env::var_os("CI").is_none(), "there is no Python with awslambdaric");
            eprintln!("There is no Python with awslambdaric: its example is not tried.");
        }
    }
    match Command::new("node").arg("--version").output() {
        Ok(_) => {
            let expected = format!("The output is `{}`.", run(node).trim_end());
            assert!(page.contains(&expected), "{expected}");
        }
        Err(_) => eprintln!("There is no node: its example is not tried."),
    }
}

fn provided(test: &str) -> Scratch {
    let scratch = Scratch::new(test);
    scratch.write("bootstrap", BOOTSTRAP);
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(scratch.0.join("bootstrap"), executable).unwrap();
    scratch.write("map.toml", "[lambda.echo]\nruntime = 'provided'\n");
    scratch
}

#[test]
fn one_process_serves_a_whole_run_and_ends_with_it() {
    let scratch = provided("lambda-run");
    let task = |name: &str, next: serde_json::Value| {
        let mut task = json!({
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke",
            "Parameters": { "FunctionName": name, "Payload.$": "$" },
            "OutputPath": "$.Payload",
        });
        task.as_object_mut().unwrap().extend(next.as_object().unwrap().clone());
        task
    };
    scratch.machine(json!({
        "A": task("echo", json!({ "Next": "B" })),
        "B": task("echo:live", json!({ "Next": "C" })),
        "C": task("arn:aws:lambda:us-east-1:123456789012:function:echo", json!({ "Next": "D" })),
        "D": { "Type": "Task", "Resource": "arn:aws:lambda:us-east-1:123456789012:function:echo", "End": true },
    }));
    let output = scratch.run_with_input(&json!({ "a": 1.5 }), &["--map", "map.toml"]);
    assert_eq!(stdout(&output), json!({ "a": 1.5 }));
    assert_eq!(stderr(&output).matches("seen {\"a\":1.5}").count(), 4, "{output:?}");
    let pids = std::fs::read_to_string(scratch.0.join("pids")).unwrap();
    let mut pids: Vec<&str> = pids.lines().collect();
    assert_eq!(pids.len(), 4);
    pids.dedup();
    let [pid] = pids.as_slice() else { panic!("{pids:?}") };
    assert!(!Path::new("/proc").join(pid).exists());
}

#[test]
fn a_function_that_no_table_names_does_not_exist() {
    let scratch = provided("lambda-unknown");
    scratch.task("arn:aws:lambda:us-east-1:123456789012:function:none:live");
    let output = scratch.run_with_input(&json!({}), &["--map", "map.toml"]);
    let told = stderr(&output);
    assert!(
        told.contains(
            "Lambda.ResourceNotFoundException\ncause: Function not found: \
             arn:aws:lambda:us-east-1:123456789012:function:none:live (Service: AWSLambda; Status Code: 404; Error \
             Code: ResourceNotFoundException; Request ID: "
        ),
        "{told}"
    );
    assert!(told.contains("add a table [lambda.\"none\"] to it"), "{told}");
}

#[test]
fn a_wrong_table_is_refused_with_its_place() {
    let scratch = provided("lambda-wrong");
    scratch.task("arn:aws:lambda:us-east-1:123456789012:function:echo");
    scratch.write(
        "wrong.toml",
        "[lambda.echo]\nruntime = 'provided'\n\n[lambda.other]\nruntime = 'java21'\n",
    );
    let output = scratch.run_with_input(&json!({}), &["--map", "wrong.toml"]);
    assert_eq!(output.status.code(), Some(2));
    let told = stderr(&output);
    assert!(told.contains("failed to read the mappings of `wrong.toml`"), "{told}");
    assert!(told.contains("line 4, column"), "{told}");
    assert!(told.contains("the runtime `java21` cannot run here"), "{told}");
}

#[test]
fn an_event_is_accepted_without_waiting() {
    let scratch = provided("lambda-event");
    let invoke = |kind: &str| {
        scratch.machine(json!({ "T": {
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke",
            "Parameters": { "FunctionName": "echo", "InvocationType": kind, "Payload": {} },
            "ResultSelector": { "Payload.$": "$.Payload", "StatusCode.$": "$.StatusCode" },
            "End": true,
        } }));
        scratch.run_with_input(&json!({}), &["--map", "map.toml"])
    };
    assert_eq!(stdout(&invoke("Event")), json!({ "Payload": {}, "StatusCode": 202 }));
    assert_eq!(stdout(&invoke("DryRun")), json!({ "Payload": {}, "StatusCode": 204 }));
    let told = stderr(&invoke("Later"));
    assert!(
        told.contains("Lambda.AWSLambdaException\ncause: 1 validation error detected"),
        "{told}"
    );
}

#[test]
fn a_token_that_a_function_was_given_ends_its_task() {
    let scratch = provided("lambda-token");
    let server = Server::start(scratch.command(&[
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--ephemeral",
        "--log-level",
        "off",
        "--map",
        "map.toml",
    ]))
    .unwrap();
    let mut client = server.client();
    let definition = json!({ "StartAt": "T", "States": { "T": {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
        "Parameters": { "FunctionName": "echo", "Payload": { "token.$": "$$.Task.Token" } },
        "TimeoutSeconds": 60,
        "End": true,
    } } });
    let machine = client.must(
        "CreateStateMachine",
        &json!({
            "name": "m",
            "definition": definition.to_string(),
            "roleArn": "arn:aws:iam::123456789012:role/r",
        }),
    );
    let started = client.must(
        "StartExecution",
        &json!({ "stateMachineArn": machine["stateMachineArn"] }),
    );
    let execution = json!({ "executionArn": started["executionArn"] });
    let mut history = |wanted: &str| {
        let begin = Instant::now();
        loop {
            let history = client.must("GetExecutionHistory", &execution);
            let found = history["events"]
                .as_array()
                .unwrap()
                .iter()
                .find(|event| event["type"] == wanted)
                .cloned();
            match found {
                Some(event) => return event,
                None => assert!(begin.elapsed() < Duration::from_secs(30), "{history}"),
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    let submitted = history("TaskSubmitted");
    let output = submitted["taskSubmittedEventDetails"]["output"].as_str().unwrap();
    let output: serde_json::Value = serde_json::from_str(output).unwrap();
    let event = std::fs::read_to_string(scratch.0.join("event")).unwrap();
    let event: serde_json::Value = serde_json::from_str(&event).unwrap();
    assert_eq!(output["Payload"], event);
    assert_eq!(output["SdkHttpMetadata"]["HttpStatusCode"], 200);
    server.client().must(
        "SendTaskSuccess",
        &json!({ "taskToken": event["token"], "output": "\"done\"" }),
    );
    let succeeded = history("ExecutionSucceeded");
    assert_eq!(succeeded["executionSucceededEventDetails"]["output"], "\"done\"");
}
