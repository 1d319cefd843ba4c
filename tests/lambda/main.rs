//! Functions of Lambda as processes: what they are told, what becomes of what they do, and their certain end.

mod runtimes;

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::OnceLock;
use std::time::Duration;
use std::time::Instant;

use serde_json::Value;
use serde_json::json;
use stepfn::worker::lambda::answer::Answer;
use stepfn::worker::lambda::function::Function;
use stepfn::worker::lambda::function::FunctionName;
use stepfn::worker::lambda::function::Functions;
use stepfn::worker::lambda::function::ProcessFunction;
use stepfn::worker::lambda::pool::Pool;
use stepfn::worker::lambda::request::InvocationType;
use stepfn::worker::lambda::request::Request;
use stepfn::worker::mapping::Mappings;
use stepfn::worker::nursery::Nursery;

/// A runtime of its own kind, which does what the payload says.
const BOOTSTRAP: &str = r#"#!/usr/bin/env python3
import http.client, json, os, signal, subprocess, sys, time
api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
def call(method, path, body=None):
    api.request(method, "/2018-06-01/runtime" + path, body)
    answer = api.getresponse()
    return answer, answer.read()
init = os.environ.get("INIT")
if init == "error":
    call("POST", "/init/error", json.dumps({"errorType": "Runtime.Unready", "errorMessage": "not today"}))
    sys.exit(1)
if init == "exit":
    print("cannot begin")
    sys.exit(7)
if init == "sleep":
    time.sleep(600)
def orphan():
    code = "import os, time; os.setsid(); open('orphan', 'w').write(str(os.getpid())); time.sleep(600)"
    subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not os.path.exists("orphan") or not open("orphan").read():
        time.sleep(0.001)
if init == "orphan":
    orphan()
number = 0
while True:
    head, body = call("GET", "/invocation/next")
    id = head.headers["Lambda-Runtime-Aws-Request-Id"]
    event = json.loads(body)
    number += 1
    out = {"pid": os.getpid(), "number": number}
    for word, value in event.items():
        if word == "print":
            print(value, flush=True)
        if word == "environment":
            out["environment"] = dict(os.environ)
        if word == "headers":
            out["headers"] = {name: text for name, text in head.headers.items() if name.startswith("Lambda-")}
        if word == "orphan":
            orphan()
        if word == "meet":
            open(f"met-{os.getpid()}", "w").close()
            while sum(name.startswith("met-") for name in os.listdir(".")) < value:
                time.sleep(0.001)
        if word == "exit":
            sys.exit(value)
        if word == "kill":
            os.kill(os.getpid(), value)
        if word == "ignore":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if word == "sleep":
            time.sleep(value)
        if word == "again":
            out["again"] = call("GET", "/invocation/next")[0].status
        if word == "other":
            out["other"] = call("POST", "/invocation/none/response", "1")[0].status
    if "error" in event:
        call("POST", f"/invocation/{id}/error", event["error"])
    elif "raw" in event:
        call("POST", f"/invocation/{id}/response", event["raw"].encode("latin-1"))
    elif "long" in event:
        call("POST", f"/invocation/{id}/response", json.dumps("x" * event["long"]))
    else:
        call("POST", f"/invocation/{id}/response", json.dumps(out))
    if "last" in event:
        sys.exit(0)
"#;

/// All tests of this process share one: it takes its children for its own.
fn nursery() -> &'static Arc<Nursery> {
    static NURSERY: OnceLock<Arc<Nursery>> = OnceLock::new();
    NURSERY.get_or_init(Arc::default)
}

/// A function in a directory of its own.
struct Scratch {
    directory: PathBuf,
    pool: Arc<Pool>,
}

impl Scratch {
    fn new(name: &str, files: &[(&str, &str)], keys: &str, change: impl FnOnce(&mut ProcessFunction)) -> Self {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("lambda-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(&directory).unwrap();
        for (file, text) in files {
            std::fs::write(directory.join(file), text).unwrap();
        }
        let functions = Mappings::parse(&format!("[lambda.F]\n{keys}\n"), &directory).unwrap();
        let mut function = the_function(functions.functions());
        change(&mut function);
        Self {
            pool: Arc::new(Pool::new(function, Arc::clone(nursery()))),
            directory,
        }
    }

    fn own(name: &str, keys: &str, change: impl FnOnce(&mut ProcessFunction)) -> Self {
        let this = Self::new(
            name,
            &[("bootstrap", BOOTSTRAP)],
            &format!("runtime = 'provided'\n{keys}"),
            change,
        );
        let bootstrap = this.directory.join("bootstrap");
        let mut permissions = std::fs::metadata(&bootstrap).unwrap().permissions();
        std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o755);
        std::fs::set_permissions(&bootstrap, permissions).unwrap();
        this
    }

    async fn answer(&self, payload: Value) -> Answer {
        self.request(payload, |_| {}).await.unwrap()
    }

    async fn request(
        &self,
        payload: Value,
        change: impl FnOnce(&mut Request),
    ) -> Result<Answer, stepfn::model::states_error::StatesError> {
        let mut request = request(&payload);
        change(&mut request);
        self.pool.invoke(Arc::new(request), None, std::future::pending()).await
    }

    /// What came of an invocation, with the request's id replaced.
    async fn told(&self, payload: Value) -> String {
        match self.request(payload, |_| {}).await {
            Ok(answer) => {
                let body = String::from_utf8_lossy(&answer.body).replace(&answer.request_id, "ID");
                let failed = if answer.is_function_error { "failed " } else { "" };
                format!("{failed}{body}")
            }
            Err(error) => format!("{} {}", error.name.unwrap_or_default(), error.cause.unwrap_or_default()),
        }
    }

    async fn pid(&self, payload: Value) -> i64 {
        let answer = self.answer(payload).await;
        serde_json::from_slice::<Value>(&answer.body).unwrap()["pid"]
            .as_i64()
            .unwrap()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

fn the_function(functions: &Functions) -> ProcessFunction {
    match functions.find(&name()) {
        Some((_, Function::Process(function))) => function.clone(),
        other => panic!("{other:?}"),
    }
}

fn name() -> FunctionName {
    FunctionName::parse("F", "eu-west-1", "123456789012")
}

fn request(payload: &Value) -> Request {
    Request {
        name: name(),
        payload: payload.to_string().into(),
        invocation_type: InvocationType::RequestResponse,
        wants_log: false,
        client_context: None,
    }
}

fn lives(pid: i64) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

/// Waits until it is so; what does not come is a failure.
async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < Duration::from_secs(20), "{what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_told_as_lambda_tells_them() {
    let scratch = Scratch::own("failures", "timeout = 60", |_| {});
    let error = r#"{"errorMessage": "m", "errorType": "Boom"}"#;
    for (payload, expected) in [
        (json!({ "error": error }), format!("failed {error}")),
        (json!({ "error": "no JSON" }), "failed no JSON".to_owned()),
        (
            json!({ "exit": 3 }),
            r#"failed {"errorType":"Runtime.ExitError","errorMessage":"RequestId: ID Error: Runtime exited with error: exit status 3"}"#.to_owned(),
        ),
        (
            json!({ "exit": 0 }),
            r#"failed {"errorType":"Runtime.ExitError","errorMessage":"RequestId: ID Error: Runtime exited without providing a reason"}"#.to_owned(),
        ),
        (
            json!({ "kill": 9 }),
            r#"failed {"errorType":"Runtime.ExitError","errorMessage":"RequestId: ID Error: Runtime exited with error: signal: killed"}"#.to_owned(),
        ),
        (
            json!({ "long": 6_291_555 }),
            r#"failed {"errorType":"Function.ResponseSizeTooLarge","errorMessage":"Response payload size exceeded maximum allowed payload size (6291556 bytes)."}"#.to_owned(),
        ),
        (json!({ "raw": "{" }), "{".to_owned()),
        (json!({ "raw": "null" }), "null".to_owned()),
    ] {
        assert_eq!(scratch.told(payload.clone()).await, expected, "{payload}");
    }
    let short = |function: &mut ProcessFunction| function.timeout = Duration::from_millis(300);
    let scratch = Scratch::own("timeout", "", short);
    assert_eq!(
        scratch.told(json!({ "sleep": 600 })).await,
        r#"failed {"errorType":"Sandbox.Timedout","errorMessage":"RequestId: ID Error: Task timed out after 0.30 seconds"}"#
    );
    let scratch = Scratch::own("bytes", "timeout = 60", |_| {});
    let bytes = scratch.answer(json!({ "raw": "\u{ff}\u{0}" })).await;
    assert_eq!(&bytes.body[..], [0xff, 0x00]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_cannot_begin_says_why() {
    let timeout = |function: &mut ProcessFunction| {
        function.timeout = Duration::from_millis(200);
        function.begin_time_max = Duration::from_millis(200);
    };
    for (init, expected) in [
        (
            "error",
            r#"failed {"errorType": "Runtime.Unready", "errorMessage": "not today"}"#,
        ),
        (
            "exit",
            r#"failed {"errorType":"Runtime.ExitError","errorMessage":"RequestId: ID Error: Runtime exited with error: exit status 7"}"#,
        ),
        (
            "sleep",
            r#"failed {"errorType":"Sandbox.Timedout","errorMessage":"RequestId: ID Error: Task timed out after 0.20 seconds"}"#,
        ),
    ] {
        let change = |function: &mut ProcessFunction| {
            if init == "sleep" {
                timeout(function);
            }
        };
        let scratch = Scratch::own(
            &format!("init-{init}"),
            &format!("environment = {{ INIT = '{init}' }}"),
            change,
        );
        assert_eq!(scratch.told(json!({})).await, expected);
        assert_eq!(scratch.told(json!({})).await, expected, "and again");
    }
    let missing = Scratch::new("missing", &[], "runtime = 'provided'", |_| {});
    let told = missing.told(json!({})).await;
    assert!(
        told.starts_with("Debian.LambdaStartFailed The function `F` cannot be started with"),
        "{told}"
    );
    assert!(told.contains("there is no such program"), "{told}");
    std::fs::remove_dir_all(&missing.directory).unwrap();
    let told = missing.told(json!({})).await;
    assert!(told.contains("there is no directory"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_are_reused_until_they_end() {
    let scratch = Scratch::own("reuse", "", |_| {});
    let pid = scratch.pid(json!({})).await;
    assert_eq!(scratch.pid(json!({})).await, pid);
    // A handler's error is no reason to begin anew.
    scratch.told(json!({ "error": "{}" })).await;
    assert_eq!(scratch.pid(json!({})).await, pid);
    // One that ends after its answer is replaced, and the next invocation does not notice.
    assert_eq!(scratch.pid(json!({ "last": true })).await, pid);
    let next = scratch.pid(json!({})).await;
    assert_ne!(next, pid);
    scratch.told(json!({ "exit": 1 })).await;
    assert_ne!(scratch.pid(json!({})).await, next);
}

#[tokio::test(flavor = "multi_thread")]
async fn invocations_run_at_the_same_time_up_to_the_bound() {
    // Each waits until all eight are there.
    let scratch = Scratch::own("parallel", "concurrency = 8\ntimeout = 60", |_| {});
    let calls = (0..8).map(|_| scratch.pid(json!({ "meet": 8 })));
    let mut pids = join_all(calls).await;
    pids.sort_unstable();
    pids.dedup();
    assert_eq!(pids.len(), 8);
    let bounded = Scratch::own("bounded", "concurrency = 2", |_| {});
    let mut pids = join_all((0..12).map(|_| bounded.pid(json!({ "sleep": 0.005 })))).await;
    pids.sort_unstable();
    pids.dedup();
    assert!(pids.len() <= 2, "{pids:?}");
}

async fn join_all<T>(futures: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut futures: Vec<_> = futures.map(|future| (Some(Box::pin(future)), None)).collect();
    std::future::poll_fn(|context| {
        for (open, done) in &mut futures {
            if let Some(future) = open
                && let std::task::Poll::Ready(value) = future.as_mut().poll(context)
            {
                *done = Some(value);
                *open = None;
            }
        }
        match futures.iter().all(|(_, done)| done.is_some()) {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        }
    })
    .await;
    futures.into_iter().filter_map(|(_, done)| done).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_process_started_ends_with_it() {
    let orphan = |scratch: &Scratch| -> i64 {
        let text = std::fs::read_to_string(scratch.directory.join("orphan")).unwrap();
        text.parse().unwrap()
    };
    // It ignores SIGTERM, and its orphan has a session of its own.
    let short = |function: &mut ProcessFunction| function.timeout = Duration::from_millis(300);
    let scratch = Scratch::own("orphan-timeout", "environment = { INIT = 'orphan' }", short);
    let told = scratch.told(json!({ "ignore": true, "sleep": 600 })).await;
    assert!(told.contains("Sandbox.Timedout"), "{told}");
    assert!(!lives(orphan(&scratch)));

    let scratch = Scratch::own("orphan-cancelled", "timeout = 60", |_| {});
    let file = scratch.directory.join("orphan");
    let is_there = async {
        until("the orphan writes its id", || {
            std::fs::read_to_string(&file).is_ok_and(|text| !text.is_empty())
        })
        .await;
    };
    let payload = json!({ "orphan": true, "sleep": 600 });
    let cancelled = scratch.pool.invoke(Arc::new(request(&payload)), None, is_there).await;
    assert_eq!(
        cancelled.unwrap_err(),
        stepfn::model::states_error::StatesError::default()
    );
    assert!(!lives(orphan(&scratch)));

    // While the process is warm, what it started may go on, as in Lambda.
    let scratch = Scratch::own("orphan-idle", "timeout = 60", |function| {
        function.idle = Duration::from_millis(1)
    });
    let pid = scratch.pid(json!({ "orphan": true })).await;
    let orphan = orphan(&scratch);
    until("idle processes end", || !lives(pid) && !lives(orphan)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_is_told_what_lambda_tells_and_no_more() {
    // With the system's interpreter: one in front of it may add variables of its own.
    let keys = "memory = 256\nenvironment = { STAGE = 'test', PATH = '/usr/bin:/bin' }";
    let scratch = Scratch::own("told", keys, |_| {});
    let answer = scratch
        .request(
            json!({ "environment": 1, "headers": 1, "again": 1, "other": 1 }),
            |request| {
                request.name.qualifier = Some("live".to_owned());
                request.client_context = Some(r#"{"a":"é"}"#.to_owned());
            },
        )
        .await
        .unwrap();
    let told: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!((&told["again"], &told["other"]), (&json!(403), &json!(400)));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let names: Vec<String> = told["environment"].as_object().unwrap().keys().cloned().collect();
    let expected = "AWS_DEFAULT_REGION AWS_LAMBDA_FUNCTION_MEMORY_SIZE AWS_LAMBDA_FUNCTION_NAME \
                    AWS_LAMBDA_FUNCTION_VERSION AWS_LAMBDA_INITIALIZATION_TYPE AWS_LAMBDA_LOG_GROUP_NAME \
                    AWS_LAMBDA_LOG_STREAM_NAME AWS_LAMBDA_RUNTIME_API AWS_REGION LAMBDA_TASK_ROOT LANG PATH STAGE \
                    STEPFN_TASK TZ _HANDLER";
    let mut sorted = names;
    // What the interpreter itself adds.
    sorted.retain(|name| !["LC_CTYPE", "__CF_USER_TEXT_ENCODING"].contains(&name.as_str()));
    sorted.sort();
    assert_eq!(sorted.join(" "), expected);
    let environment = &told["environment"];
    assert_eq!(environment["AWS_REGION"], "eu-west-1");
    assert_eq!(environment["AWS_LAMBDA_FUNCTION_NAME"], "F");
    assert_eq!(environment["AWS_LAMBDA_FUNCTION_VERSION"], "$LATEST");
    assert_eq!(environment["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"], "256");
    assert_eq!(
        text(&environment["LAMBDA_TASK_ROOT"]),
        scratch.directory.to_string_lossy()
    );
    let headers = &told["headers"];
    assert_eq!(headers["Lambda-Runtime-Aws-Request-Id"], json!(answer.request_id));
    assert_eq!(
        headers["Lambda-Runtime-Invoked-Function-Arn"],
        "arn:aws:lambda:eu-west-1:123456789012:function:F:live"
    );
    assert!(
        headers["Lambda-Runtime-Client-Context"]
            .as_str()
            .unwrap()
            .contains(r#"{"a":""#)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_that_of_the_invocation() {
    let scratch = Scratch::own("log", "", |_| {});
    scratch.answer(json!({ "print": "before" })).await;
    let wants_log = |request: &mut Request| request.wants_log = true;
    let answer = scratch.request(json!({ "print": "hello" }), wants_log).await.unwrap();
    let log = String::from_utf8(answer.log.unwrap().to_vec()).unwrap();
    let lines: Vec<&str> = log.lines().collect();
    let id = &answer.request_id;
    assert_eq!(lines[0], format!("START RequestId: {id} Version: $LATEST"));
    assert_eq!(&lines[1..3], ["hello", &format!("END RequestId: {id}")]);
    assert!(
        lines[3].starts_with(&format!("REPORT RequestId: {id}\tDuration: ")),
        "{log}"
    );
    assert!(lines[3].contains("\tMemory Size: 128 MB\tMax Memory Used: "), "{log}");
    let answer = scratch
        .request(json!({ "print": "x".repeat(100_000) }), wants_log)
        .await
        .unwrap();
    assert_eq!(answer.log.unwrap().len(), 4096);
}
