//! Actions on this machine through the built program: described, checked, planned, undone.
#![cfg(feature = "runtime")]

mod scratch;
mod server;

use serde_json::Value;
use serde_json::json;

use crate::scratch::Scratch;
use crate::scratch::stderr;
use crate::scratch::stdout;
use crate::server::Server;

const SHELL: &str = "arn:aws:states:::debian:shell.run";
const UNDO: &str = "arn:aws:states:::debian:undo";

/// A machine that makes files `a` and `b`, and then fails or not.
fn maker(scratch: &Scratch, last: &Value) {
    let make = |name: &str, next: &str| {
        let path = scratch.0.join(name);
        json!({ "Type": "Task", "Resource": SHELL, "ResultPath": "$.made", "Next": next, "Parameters": {
            "Command": ["touch", path], "Creates": path, "Undo": format!("rm {0}; echo {name} >> {0}.log", path.display())
        } })
    };
    scratch.machine(json!({ "A": make("a", "B"), "B": make("b", "Last"), "Last": last }));
}

fn exists(scratch: &Scratch, name: &str) -> bool {
    scratch.0.join(name).exists()
}

#[test]
fn every_action_is_described() {
    let scratch = Scratch::new("actions-described");
    let output = scratch.run(&["actions"]);
    let list = String::from_utf8(output.stdout).unwrap();
    for line in list.lines() {
        let name = line.split_whitespace().next().unwrap();
        let output = scratch.run(&["actions", name]);
        assert!(output.stdout.starts_with(format!("## {name}\n").as_bytes()), "{name}");
    }
    assert!(list.contains("shell.run"), "{list}");
    let output = scratch.run(&["actions", "shell.fly"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("there is no action `shell.fly`"));
}

#[test]
fn wrong_parameters_are_found_before_anything_runs() {
    let scratch = Scratch::new("actions-validate");
    scratch.write(
        "m.asl.yaml",
        r#"StartAt: A
States:
  A:
    Type: Task
    Resource: arn:aws:states:::debian:shell.run
    Parameters:
      Command: [echo, 1]
      Cwd: ${Directory}
      Creates: ${File}
      Comand.$: $.x
    Next: B
  B:
    Type: Task
    QueryLanguage: JSONata
    Resource: arn:aws:states:::debian:undo
    Arguments: { Execution: "{% $states.context.Execution.Id %}", Checkpoint: x }
    Next: C
  C:
    Type: Task
    Resource: arn:aws:states:::debian:shell.rum
    End: true
"#,
    );
    let output = scratch.run(&["validate", "m.asl.yaml"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let told = stderr(&output);
    for part in [
        "error[INVALID_ACTION]: `Command.1` of shell.run must be a text at A/Parameters/Command/1",
        "m.asl.yaml:7:23",
        "m.asl.yaml:10:17",
        "shell.run has no parameter `Comand`",
        "undo takes only one of `Execution` and `Checkpoint`",
        "There is no action `shell.rum`",
        "1 definition: 4 errors; 1 is invalid.",
    ] {
        assert!(told.contains(part), "{part}\n{told}");
    }
}

#[test]
fn a_plan_changes_nothing_and_says_what_would_be() {
    let scratch = Scratch::new("actions-plan");
    maker(&scratch, &json!({ "Type": "Succeed" }));
    let output = scratch.run(&["plan", "m.asl.json"]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("A: shell.run\n  run [\"touch\", "), "{text}");
    assert!(text.ends_with("2 of 2 actions would change this machine.\n"), "{text}");
    assert!(!exists(&scratch, "a"));
    scratch.write("a", "");
    scratch.write("b", "");
    let output = scratch.run(&["plan", "m.asl.json", "--json"]);
    assert_eq!(
        stdout(&output),
        json!({ "Plan": [{ "State": "A", "Action": "shell.run", "Changes": [] },
            { "State": "B", "Action": "shell.run", "Changes": [] }] })
    );
}

#[test]
fn a_plan_ends_where_it_would_have_to_guess() {
    let scratch = Scratch::new("actions-plan-end");
    scratch.machine(json!({
        "L": { "Type": "Task", "Resource": "arn:aws:lambda:us-east-1:123456789012:function:F", "Next": "A",
            "Catch": [{ "ErrorEquals": ["States.ALL"], "Next": "A" }] },
        "A": { "Type": "Task", "Resource": SHELL, "Parameters": { "Script": "touch a" }, "End": true }
    }));
    scratch.write(
        "map.toml",
        "[[mapping]]\nresource = '*:function:F'\ncommand = ['touch', 'called']\n",
    );
    let output = scratch.run(&["plan", "m.asl.json", "--map", "map.toml"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("Mock the state `L`"), "{output:?}");
    scratch.write(
        "mocks.json",
        &json!({ "StateMachines": { "m": { "TestCases": { "Good": { "L": "One" } } } },
            "MockedResponses": { "One": { "0": { "Return": {} } } } })
        .to_string(),
    );
    let output = scratch.run(&["plan", "m.asl.json", "--map", "map.toml", "--mock", "mocks.json#Good"]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(!exists(&scratch, "a") && !exists(&scratch, "called"));
}

#[test]
fn a_failed_run_is_rolled_back_in_reverse_order() {
    let scratch = Scratch::new("actions-rollback");
    maker(&scratch, &json!({ "Type": "Fail", "Error": "Later" }));
    let log = "cat *.log; rm -f *.log";
    let output = scratch.run(&["run", "m.asl.json", "--checkpoints", "cp", "--rollback-on-failure"]);
    assert_eq!(output.status.code(), Some(1));
    let told = stderr(&output);
    let (b, a) = (
        told.find("undone: shell.run of state `B`"),
        told.find("undone: shell.run of state `A`"),
    );
    assert!(b.is_some() && b < a, "{told}");
    assert!(!exists(&scratch, "a") && !exists(&scratch, "b"), "{log}");

    // Without the option the way to undo it is told.
    let output = scratch.run(&["run", "m.asl.json", "--checkpoints", "cp", "--name", "mine"]);
    let told = stderr(&output);
    assert!(told.contains("undo it with: stepfn undo cp-"), "{told}");
    assert!(exists(&scratch, "a") && exists(&scratch, "b"));
    let list = scratch.run(&["undo", "--checkpoints", "cp"]);
    let list = String::from_utf8(list.stdout).unwrap();
    assert_eq!(list.matches("applied").count(), 2, "{list}");
    assert_eq!(list.matches("undone").count(), 2, "{list}");
    let arn = "arn:aws:states:us-east-1:123456789012:execution:m:mine";
    for _ in 0..2 {
        let output = scratch.run(&["undo", "--checkpoints", "cp", "--execution", arn]);
        assert!(output.status.success(), "{output:?}");
        assert!(!exists(&scratch, "a") && !exists(&scratch, "b"));
    }
    let output = scratch.run(&["undo", "--checkpoints", "cp", "cp-0000000000000000-1"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_definition_can_undo_what_it_did() {
    let scratch = Scratch::new("actions-undo");
    let undo = json!({ "Type": "Task", "Resource": UNDO, "Parameters": { "Execution.$": "$$.Execution.Id" },
        "End": true });
    maker(&scratch, &undo);
    let output = scratch.run(&["run", "m.asl.json", "--checkpoints", "cp"]);
    let undone = &stdout(&output)["Undone"];
    assert_eq!((&undone[0]["State"], &undone[1]["State"]), (&json!("B"), &json!("A")));
    assert!(!exists(&scratch, "a") && !exists(&scratch, "b"));
}

#[test]
fn a_configuration_is_found_checked_and_obeyed() {
    let scratch = Scratch::new("actions-config");
    maker(&scratch, &json!({ "Type": "Fail", "Error": "Later" }));
    let output = scratch.run(&["config", "check"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    scratch.write(
        "stepfn.toml",
        "[checkpoints]\ndirectory = 'kept'\nrollback_on_failure = true\n[actions]\ndeny = ['undo']\n",
    );
    let output = scratch.run(&["config", "check"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("deny: undo\ncheckpoints: kept\nrollback on failure: yes\n"),
        "{text}"
    );
    let output = scratch.run(&["run", "m.asl.json"]);
    assert!(stderr(&output).contains("undone: shell.run of state `A`"), "{output:?}");
    assert!(exists(&scratch, "kept"));
    scratch.machine(json!({ "U": { "Type": "Task", "Resource": UNDO, "End": true } }));
    let output = scratch.run_with_input(&json!({ "Checkpoint": "x" }), &[]);
    assert!(stderr(&output).contains("Debian.ActionNotAllowed"), "{output:?}");
    scratch.write("stepfn.toml", "[checkpoint]\n");
    for arguments in [&["config", "check"][..], &["run", "m.asl.json"]] {
        let output = scratch.run(arguments);
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains("unknown field `checkpoint`"), "{output:?}");
    }
}

#[test]
fn a_server_rolls_back_and_goes_on_with_it_after_a_crash() {
    let scratch = Scratch::new("actions-server");
    let (made, gate) = (scratch.0.join("made"), scratch.0.join("gate"));
    let definition = json!({ "StartAt": "A", "States": {
        "A": { "Type": "Task", "Resource": SHELL, "Next": "F", "Parameters": {
            "Command": ["touch", made], "Creates": made,
            // The undoing of the first server waits for ever.
            "Undo": format!("echo x >> {0}; while test ! -e {0}.open; do sleep 0.01; done; rm -f {1}", gate.display(), made.display())
        } },
        "F": { "Type": "Fail", "Error": "Later" } } });
    let server = serve_with_rollback(&scratch);
    start(&server, &definition, &json!({}));
    until(|| gate.exists());
    drop(server);
    assert!(made.exists());
    std::fs::write(scratch.0.join("gate.open"), "").unwrap();
    let server = serve_with_rollback(&scratch);
    until(|| !made.exists());
    drop(server);
}

#[test]
fn the_children_of_a_map_run_are_rolled_back_with_their_execution() {
    let scratch = Scratch::new("actions-children");
    let files: Vec<_> = (0..3).map(|n| scratch.0.join(format!("made-{n}"))).collect();
    let gate = scratch.0.join("gate");
    let definition = json!({ "StartAt": "M", "States": {
        "M": { "Type": "Map", "Next": "Wait", "Label": "L", "ItemsPath": "$.files", "ResultPath": null, "ItemProcessor": {
            "ProcessorConfig": { "Mode": "DISTRIBUTED", "ExecutionType": "STANDARD" },
            "StartAt": "Write", "States": { "Write": { "Type": "Task", "Resource": "arn:aws:states:::debian:file.write",
                "Parameters": { "Path.$": "$", "Content": "x" }, "End": true } } } },
        "Wait": { "Type": "Task", "Resource": SHELL, "Next": "F", "Parameters": {
            "Script": format!("echo waiting >&2; while test ! -e {}; do sleep 0.01; done", gate.display()) } },
        "F": { "Type": "Fail", "Error": "Later" } } });
    let server = serve_with_rollback(&scratch);
    start(&server, &definition, &json!({ "files": files }));
    until(|| files.iter().all(|file| file.exists()));
    std::fs::write(&gate, "").unwrap();
    until(|| files.iter().all(|file| !file.exists()));
    // It ends orderly, so that all that it said is there.
    let pid = i32::try_from(server.child.id()).unwrap();
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(pid).unwrap(),
        rustix::process::Signal::TERM,
    )
    .unwrap();
    let (_, said) = server.wait();
    for part in ["A task wrote a line.", "state=\"Wait\" line=\"waiting\""] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn a_server_starts_as_many_commands_as_it_has_descriptors_for() {
    let scratch = Scratch::new("actions-places");
    let task = json!({ "Type": "Task", "Resource": SHELL, "End": true, "OutputPath": "$.Stdout",
        "Parameters": { "Script": "cat", "Stdin.$": "$" } });
    // A Map alone runs forty at once.
    let map = |name: &str, state: Value| json!({ "StartAt": name, "States": { name: { "Type": "Map", "End": true, "ItemProcessor": state } } });
    let definition = map("M", map("N", json!({ "StartAt": "T", "States": { "T": task } })));
    let mut command = std::process::Command::new("sh");
    command
        .args([
            "-c",
            "ulimit -n 300; exec \"$0\" serve --listen 127.0.0.1:0 --data data",
        ])
        .arg(env!("CARGO_BIN_EXE_stepfn"))
        .current_dir(&scratch.0);
    let server = Server::start(command).unwrap();
    let mut client = server.client();
    let machine = client.must(
        "CreateStateMachine",
        &json!({ "name": "M", "definition": definition.to_string(), "type": "EXPRESS",
            "roleArn": "arn:aws:iam::123456789012:role/R" }),
    );
    let items = vec![(0..20).collect::<Vec<u32>>(); 20];
    let ended = client.must(
        "StartSyncExecution",
        &json!({ "stateMachineArn": machine["stateMachineArn"], "input": json!(items).to_string() }),
    );
    assert_eq!(ended["status"], json!("SUCCEEDED"), "{ended}");
    assert_eq!(ended["output"], json!(json!(items).to_string()));
}

fn start(server: &Server, definition: &Value, input: &Value) {
    let mut client = server.client();
    let machine = client.must(
        "CreateStateMachine",
        &json!({ "name": "M", "definition": definition.to_string(), "roleArn": "arn:aws:iam::123456789012:role/R" }),
    );
    client.must(
        "StartExecution",
        &json!({ "stateMachineArn": machine["stateMachineArn"], "name": "E", "input": input.to_string() }),
    );
}

fn serve_with_rollback(scratch: &Scratch) -> Server {
    let command = scratch.command(&[
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--data",
        "data",
        "--rollback-on-failure",
    ]);
    Server::start(command).unwrap()
}

/// Waits until something has happened in another process.
fn until(mut happened: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if happened() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("it does not happen");
}
