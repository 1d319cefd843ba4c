//! The built program with tasks: who does them, what they get, what they give.
#![cfg(feature = "runtime")]

mod scratch;

use std::fs;

use serde_json::json;

use crate::scratch::SHELL;
use crate::scratch::Scratch;
use crate::scratch::stderr;
use crate::scratch::stdout;

#[test]
fn shell_run_has_a_clean_environment_and_parses_json() {
    let scratch = Scratch::new("shell");
    scratch.task("arn:aws:states:::debian:shell.run");
    fs::create_dir(scratch.0.join("sub")).unwrap();
    for (input, expected) in [
        (
            json!({ "Script": "echo '{\"a\": 1}'; echo note >&2" }),
            json!({ "ExitCode": 0, "Stdout": { "a": 1 }, "Stderr": "note", "Changed": true }),
        ),
        (
            json!({ "Command": ["echo", "a b", "*"] }),
            json!({ "ExitCode": 0, "Stdout": "a b *", "Stderr": "", "Changed": true }),
        ),
        (
            json!({ "Command": ["cat"], "Stdin": "plain text" }),
            json!({ "ExitCode": 0, "Stdout": "plain text", "Stderr": "", "Changed": true }),
        ),
        (
            json!({ "Command": ["cat"], "Stdin": { "a": [] } }),
            json!({ "ExitCode": 0, "Stdout": { "a": [] }, "Stderr": "", "Changed": true }),
        ),
        (
            json!({ "Script": "basename $PWD; echo $X", "Cwd": "sub", "Env": { "X": "é" } }),
            json!({ "ExitCode": 0, "Stdout": "sub\né", "Stderr": "", "Changed": true }),
        ),
        (
            json!({ "Script": "env | cut -d= -f1 | grep -v '^_$\\|^PWD$\\|^STEPFN_TASK$\\|^SHLVL$\\|^OLDPWD$' | sort | tr '\\n' ' '" }),
            json!({ "ExitCode": 0, "Stdout": "HOME LANG PATH USER ", "Stderr": "", "Changed": true }),
        ),
    ] {
        let output = scratch.run_with_input(&input, &[]);
        assert_eq!(stdout(&output), expected, "{input}");
    }
    // The form that AWS takes, too.
    scratch.task(SHELL);
    for (input, part) in [
        (
            json!({ "Script": "echo a; echo b >&2; exit 7" }),
            "Shell.NonZeroExit\ncause: {\"ExitCode\":7,\"Stdout\":\"a\",\"Stderr\":\"b\"}",
        ),
        (json!({ "Script": "false; echo on" }), "Shell.NonZeroExit"),
        (
            json!({ "Script": "kill -9 $$" }),
            "Shell.Killed\ncause: The process was killed by signal 9.",
        ),
        (json!({ "Command": ["/no/such"] }), "Shell.StartFailed"),
        (
            json!({ "Command": ["ls"], "Cwd": "/no/such" }),
            "Shell.StartFailed\ncause: `ls` cannot be started: there is no directory `/no/such`.",
        ),
        (
            json!({ "Comand": ["ls"] }),
            "Shell.InvalidParameters\ncause: shell.run has no parameter `Comand`",
        ),
        (json!({ "Script": "yes" }), "States.DataLimitExceeded"),
        (
            json!({ "Script": "head -c 300000 /dev/zero" }),
            "States.DataLimitExceeded",
        ),
    ] {
        let output = scratch.run_with_input(&input, &[]);
        assert_eq!(output.status.code(), Some(1), "{input}");
        assert!(stderr(&output).contains(part), "{input} {}", stderr(&output));
    }
}

#[test]
fn a_mapping_binds_a_command() {
    let scratch = Scratch::new("mapping");
    fs::create_dir(scratch.0.join("conf")).unwrap();
    scratch.write(
        "conf/map.toml",
        r#"
        [[mapping]]
        resource = "arn:aws:lambda:*:*:function:Double*"
        command = ["sh", "double.sh"]
        env = { FACTOR = "2" }
        [[mapping]]
        resource = "arn:aws:lambda:*:*:function:Raise"
        command = ["sh", "-c", "echo '{\"errorMessage\": \"no\", \"errorType\": \"ValueError\"}'; exit 1"]
        [[mapping]]
        resource = "arn:aws:lambda:*:*:function:Crash"
        command = ["sh", "-c", "echo broken >&2; exit 1"]
        error = "My.Error"
        [[mapping]]
        resource = "arn:aws:lambda:*:*:function:Silent"
        command = ["true"]
        [[mapping]]
        resource = "arn:aws:lambda:*:*:function:Chatty"
        command = ["echo", "hello"]
        [[mapping]]
        resource = "arn:aws:states:::sqs:sendMessage"
        command = ["cat"]
        "#,
    );
    scratch.write("conf/double.sh", "read n; echo working >&2; echo $((n * FACTOR))");
    let lambda = |name: &str| format!("arn:aws:lambda:eu-west-1:1:function:{name}").replace(":1:", ":111122223333:");
    let map = ["--map", "conf/map.toml"];
    for (resource, input, expected) in [
        (lambda("DoubleIt"), json!(21), json!(42)),
        (lambda("Silent"), json!(21), json!(null)),
        (
            "arn:aws:states:::sqs:sendMessage".to_owned(),
            json!({ "QueueUrl": "q", "MessageBody": "b" }),
            json!({ "QueueUrl": "q", "MessageBody": "b" }),
        ),
    ] {
        scratch.task(&resource);
        let output = scratch.run_with_input(&input, &map);
        assert_eq!(stdout(&output), expected, "{resource} {}", stderr(&output));
    }
    for (resource, part) in [
        (
            lambda("Raise"),
            "ValueError\ncause: {\"errorMessage\":\"no\",\"errorType\":\"ValueError\"}",
        ),
        (lambda("Crash"), "My.Error\ncause: broken"),
        (
            lambda("Chatty"),
            "Lambda.Unknown\ncause: The command `echo` succeeded, but what it wrote to stdout is not JSON: expected value at \
             line 1 column 1. It begins with \"hello\".",
        ),
        (
            lambda("Other"),
            "Lambda.ResourceNotFoundException\ncause: Function not found: \
             arn:aws:lambda:eu-west-1:111122223333:function:Other:$LATEST (Service: AWSLambda; Status Code: 404; ",
        ),
    ] {
        scratch.task(&resource);
        let output = scratch.run_with_input(&json!(1), &map);
        assert_eq!(output.status.code(), Some(1), "{resource}");
        assert!(stderr(&output).contains(part), "{resource} {}", stderr(&output));
    }
    scratch.task(&lambda("DoubleIt"));
    let output = scratch.run_with_input(&json!(1), &map);
    assert!(stderr(&output).contains("T | working\n"), "{output:?}");
    scratch.write("bad.toml", "[[mapping]]\nresource = 1\n");
    let output = scratch.run_with_input(&json!(1), &["--map", "bad.toml"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("error: failed to read the mappings of `bad.toml`"),
        "{output:?}"
    );
}

#[test]
fn lambda_invoke_has_its_envelope() {
    let scratch = Scratch::new("invoke");
    scratch.write(
        "map.toml",
        "[[mapping]]\nresource = 'arn:aws:lambda:*:*:function:Echo'\ncommand = ['cat']\n",
    );
    let full = "arn:aws:lambda:us-east-1:123456789012:function:Echo";
    let qualified = format!("{full}:live");
    for function in ["Echo", "Echo:live", "123456789012:function:Echo", full, &qualified] {
        scratch.machine(json!({ "T": {
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke",
            "Parameters": { "FunctionName": function, "Payload.$": "$" },
            "End": true
        } }));
        let output = scratch.run_with_input(&json!({ "a": 1 }), &["--map", "map.toml"]);
        let answer = stdout(&output);
        let members: Vec<&String> = answer.as_object().unwrap().keys().collect();
        let expected = [
            "ExecutedVersion",
            "Payload",
            "SdkHttpMetadata",
            "SdkResponseMetadata",
            "StatusCode",
        ];
        assert_eq!(members, expected, "{function}");
        assert_eq!(
            (&answer["ExecutedVersion"], &answer["Payload"]),
            (&json!("$LATEST"), &json!({ "a": 1 }))
        );
        let id = &answer["SdkResponseMetadata"]["RequestId"];
        assert_eq!(&answer["SdkHttpMetadata"]["HttpHeaders"]["x-amzn-RequestId"], id);
    }
    scratch.task(&qualified);
    let output = scratch.run_with_input(&json!([1]), &["--map", "map.toml"]);
    assert_eq!(stdout(&output), json!([1]));
}

#[test]
fn mocks_replace_tasks() {
    let scratch = Scratch::new("mock");
    scratch.task("arn:aws:lambda:us-east-1:123456789012:function:F");
    scratch.write(
        "mocks.json",
        &json!({
            "StateMachines": { "m": { "TestCases": { "Good": { "T": "Good" }, "Bad": { "T": "Bad" }, "Typo": { "TT": "Good" } } } },
            "MockedResponses": {
                "Good": { "0": { "Return": { "a": 1 } } },
                "Bad": { "0": { "Throw": { "Error": "E", "Cause": "c" } } }
            }
        })
        .to_string(),
    );
    let output = scratch.run(&["run", "m.asl.json", "--mock", "mocks.json#Good"]);
    assert_eq!(stdout(&output), json!({ "a": 1 }));
    let output = scratch.run(&["run", "m.asl.json", "--mock", "mocks.json#Bad"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("the execution failed: E\ncause: c\nstate: `T` at "),
        "{output:?}"
    );
    for (case, message) in [
        (
            "None",
            "error: failed to read the mocks of `mocks.json`: state machine `m` has no test case `None`\n\
             hint: the file has `Bad`, `Good`, `Typo`\n",
        ),
        (
            "Typo",
            "error: `mocks.json#Typo` mocks the state `TT`, but no Task of the definition has this name\n",
        ),
    ] {
        let output = scratch.run(&["run", "m.asl.json", "--mock", &format!("mocks.json#{case}")]);
        assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(2), message));
    }
}

#[test]
fn a_caught_failure_is_not_blamed_for_a_later_one() {
    let scratch = Scratch::new("blame");
    scratch.machine(json!({
        "A": {
            "Type": "Task",
            "Resource": SHELL,
            "Parameters": { "Command": ["false"] },
            "Catch": [{ "ErrorEquals": ["States.ALL"], "Next": "P" }],
            "End": true
        },
        "P": {
            "Type": "Map",
            "ItemsPath": "$.nope",
            "ItemProcessor": { "StartAt": "I", "States": { "I": { "Type": "Succeed" } } },
            "End": true
        }
    }));
    let output = scratch.run(&["run", "m.asl.json"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("state: `P` at "), "{output:?}");
}

#[test]
fn an_endless_input_is_refused() {
    let scratch = Scratch::new("endless");
    scratch.machine(json!({ "S": { "Type": "Succeed" } }));
    let output = scratch.run(&["run", "m.asl.json", "--input", "@/dev/zero"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("`/dev/zero` has more than 256 MiB"),
        "{output:?}"
    );
}
