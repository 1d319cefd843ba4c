//! Handlers in Python and JavaScript, with the runtimes that are here.

use std::path::Path;
use std::path::PathBuf;

use serde_json::json;

use crate::Scratch;

/// A Python with AWS's runtime, if there is one.
fn python() -> Option<PathBuf> {
    let named = std::env::var_os("STEPFN_PYTHON").map(PathBuf::from);
    let usual = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/venv/bin/python");
    let python = named.unwrap_or(usual);
    // Looked for as a file: a child of this test would not be the nursery's.
    let libraries = python.parent()?.parent()?.join("lib");
    let versions = std::fs::read_dir(libraries).ok()?;
    let mut packages = versions.map(|version| version.unwrap().path().join("site-packages/awslambdaric"));
    packages.any(|package| package.is_dir()).then_some(python)
}

#[tokio::test(flavor = "multi_thread")]
async fn python_handlers_run_with_the_runtime_of_aws() {
    let Some(python) = python() else {
        assert!(std::env::var_os("CI").is_none(), "there is no Python with awslambdaric");
        eprintln!("There is no Python with awslambdaric: handlers in Python are not tried.");
        return;
    };
    let source = r#"
import os, sys
class CustomError(Exception):
    pass
def handler(event, context):
    return {"event": event, "memory": context.memory_limit_in_mb, "arn": context.invoked_function_arn}
def fails(event, context):
    raise CustomError("wrong \u00e9")
def exits(event, context):
    sys.exit(4)
def bytes_(event, context):
    return b"[1]"
def set_(event, context):
    return {1, 2}
"#;
    let directory = |name: &str| {
        let name = format!("lambda-{}-python-{name}", std::process::id());
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
    };
    for (handler, expected) in [
        (
            "app.handler",
            r#"{"event": {"a": 1}, "memory": "128", "arn": "arn:aws:lambda:eu-west-1:123456789012:function:F"}"#.to_owned(),
        ),
        (
            "app.fails",
            format!(
                r#"failed {{"errorMessage": "wrong é", "errorType": "CustomError", "requestId": "ID", "stackTrace": ["  File \"{}/app.py\", line 8, in fails\n    raise CustomError(\"wrong \\u00e9\")\n"]}}"#,
                directory("app.fails").display()
            ),
        ),
        (
            "app.exits",
            r#"failed {"errorType":"Runtime.ExitError","errorMessage":"RequestId: ID Error: Runtime exited with error: exit status 4"}"#.to_owned(),
        ),
        ("app.bytes_", "[1]".to_owned()),
        (
            "app.set_",
            r#"failed {"errorMessage": "Unable to marshal response: Object of type set is not JSON serializable", "errorType": "Runtime.MarshalError", "requestId": "ID", "stackTrace": []}"#.to_owned(),
        ),
        (
            "app.none",
            r#"failed {"errorMessage": "Handler 'none' missing on module 'app'", "errorType": "Runtime.HandlerNotFound", "requestId": "", "stackTrace": []}"#.to_owned(),
        ),
        (
            "none.handler",
            r#"failed {"errorMessage": "Unable to import module 'none': No module named 'none'", "errorType": "Runtime.ImportModuleError", "requestId": "", "stackTrace": []}"#.to_owned(),
        ),
    ] {
        let keys = format!(
            "runtime = 'python3.12'\nhandler = '{handler}'\ntimeout = 60\ninterpreter = '{}'",
            python.display()
        );
        let scratch = Scratch::new(&format!("python-{handler}"), &[("app.py", source)], &keys, |_| {});
        assert_eq!(scratch.told(json!({ "a": 1 })).await, expected, "{handler}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_python_without_the_runtime_of_aws_says_so() {
    // The system's own is not touched by pip.
    if !Path::new("/usr/bin/python3").exists() {
        eprintln!("There is no /usr/bin/python3: its lack of awslambdaric is not tried.");
        return;
    }
    let keys = "runtime = 'python3.12'\nhandler = 'app.handler'\ninterpreter = '/usr/bin/python3'\n\
                environment = { PYTHONNOUSERSITE = '1', PYTHONPATH = '' }";
    let scratch = Scratch::new("python-bare", &[("app.py", "")], keys, |_| {});
    let told = scratch.told(json!({})).await;
    assert!(
        told.starts_with("Debian.LambdaStartFailed The Python interpreter `/usr/bin/python3` lacks the package"),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn node_handlers_run_with_the_bootstrap_inside() {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if !std::env::split_paths(&path).any(|directory| directory.join("node").is_file()) {
        eprintln!("There is no node: handlers in JavaScript are not tried.");
        return;
    }
    let source = r#"
class CustomError extends Error { constructor(text) { super(text); this.name = "CustomError"; } }
export const handler = async (event, context) => ({ event, memory: context.memoryLimitInMB, arn: context.invokedFunctionArn });
export const fails = async () => { throw new CustomError("wrong é"); };
export const throwsText = async () => { throw "text"; };
export const callback = (event, context, done) => { setTimeout(() => done(null, [event.a]), 5); };
export const callbackFails = (event, context, done) => done(new CustomError("called back"));
export const nothing = () => 5;
export const succeed = (event, context) => { setTimeout(() => context.succeed("later"), 5); };
export const undefined_ = async () => {};
export const exits = async () => process.exit(4);
export const uncaught = () => new Promise(() => setTimeout(() => { throw new CustomError("uncaught"); }, 1));
export const nested = { deep: { handler: async () => "deep" } };
export const value = 1;
"#;
    let common = "exports.handler = async (event) => ({ common: event.a });";
    for (handler, expected) in [
        (
            "app.handler",
            r#"{"event":{"a":1},"memory":"128","arn":"arn:aws:lambda:eu-west-1:123456789012:function:F"}"#,
        ),
        (
            "app.fails",
            r#"failed {"errorType":"CustomError","errorMessage":"wrong é","trace":["CustomError: wrong é","#,
        ),
        (
            "app.throwsText",
            r#"failed {"errorType":"string","errorMessage":"text","trace":[]}"#,
        ),
        ("app.callback", "[1]"),
        (
            "app.callbackFails",
            r#"failed {"errorType":"CustomError","errorMessage":"called back","#,
        ),
        // AWS gives null, too: it waits for a callback, and what the function returns is no promise.
        ("app.nothing", "null"),
        ("app.succeed", r#""later""#),
        ("app.undefined_", "null"),
        (
            "app.exits",
            r#"failed {"errorType":"Runtime.ExitError","errorMessage":"RequestId: ID Error: Runtime exited with error: exit status 4"}"#,
        ),
        (
            "app.uncaught",
            r#"failed {"errorType":"CustomError","errorMessage":"uncaught","#,
        ),
        ("app.nested.deep.handler", r#""deep""#),
        (
            "app.none",
            r#"failed {"errorType":"Runtime.HandlerNotFound","errorMessage":"app.none is undefined or not exported","#,
        ),
        (
            "app.value",
            r#"failed {"errorType":"Runtime.HandlerNotFound","errorMessage":"app.value is not a function","#,
        ),
        (
            "none.handler",
            r#"failed {"errorType":"Runtime.ImportModuleError","errorMessage":"Error: Cannot find module 'none'","#,
        ),
        (
            "broken.handler",
            r#"failed {"errorType":"Runtime.UserCodeSyntaxError","errorMessage":"SyntaxError: "#,
        ),
        ("common.handler", r#"{"common":1}"#),
    ] {
        let files = [
            ("app.mjs", source),
            ("broken.mjs", "export const"),
            ("common.cjs", common),
        ];
        let keys = format!("runtime = 'nodejs20.x'\nhandler = '{handler}'\ntimeout = 30");
        let scratch = Scratch::new(&format!("node-{handler}"), &files, &keys, |_| {});
        let told = scratch.told(json!({ "a": 1 })).await;
        assert!(told.starts_with(expected), "{handler}: {told}");
    }
}
