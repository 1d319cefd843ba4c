//! A thousand invocations leave nothing behind: alone in its process, because it counts what the process has.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use stepfn::worker::lambda::function::Function;
use stepfn::worker::lambda::function::FunctionName;
use stepfn::worker::lambda::pool::Pool;
use stepfn::worker::lambda::request::InvocationType;
use stepfn::worker::lambda::request::Request;
use stepfn::worker::mapping::Mappings;
use stepfn::worker::nursery::Nursery;

const N_INVOCATIONS: usize = 1_000;
/// Every so many, the process ends instead of answering.
const CRASH_EVERY: usize = 50;

const BOOTSTRAP: &str = r#"#!/usr/bin/env python3
import http.client, os
api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
def call(method, path, body=None):
    api.request(method, "/2018-06-01/runtime/invocation/" + path, body)
    answer = api.getresponse()
    return answer.headers["Lambda-Runtime-Aws-Request-Id"], answer.read()
while True:
    id, event = call("GET", "next")
    if event == b'"end"':
        os._exit(1)
    call("POST", id + "/response", event)
"#;

fn n_open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn n_children() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let lists = tasks.filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("children")).ok());
    lists.map(|list| list.split_ascii_whitespace().count()).sum()
}

fn request(payload: &str) -> Arc<Request> {
    Arc::new(Request {
        name: FunctionName::parse("F", "us-east-1", "123456789012"),
        payload: payload.to_owned().into(),
        invocation_type: InvocationType::RequestResponse,
        wants_log: false,
        client_context: None,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_invocations_leave_nothing_behind() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("lambda-leaks-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let bootstrap = directory.join("bootstrap");
    std::fs::write(&bootstrap, BOOTSTRAP).unwrap();
    std::fs::set_permissions(&bootstrap, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let table = "[lambda.F]\nruntime = 'provided'\nconcurrency = 8\ntimeout = 60";
    let mappings = Mappings::parse(table, &directory).unwrap();
    let Some((_, Function::Process(function))) = mappings.functions().find(&request("").name) else {
        panic!("the table has the function");
    };
    let pool = Arc::new(Pool::new(function.clone(), Arc::new(Nursery::default())));
    // The first one opens what the runtime keeps for children and sockets.
    pool.invoke(request("0"), None, std::future::pending()).await.unwrap();
    pool.close().await;
    let before = (n_open_files(), n_children());
    let mut running = tokio::task::JoinSet::new();
    for n in 0..N_INVOCATIONS {
        let pool = Arc::clone(&pool);
        running.spawn(async move {
            let crashes = n % CRASH_EVERY == 0;
            let payload = if crashes { "\"end\"".to_owned() } else { n.to_string() };
            let answer = pool
                .invoke(request(&payload), None, std::future::pending())
                .await
                .unwrap();
            assert_eq!(answer.is_function_error, crashes);
            if !crashes {
                assert_eq!(answer.body, payload);
            }
        });
    }
    while let Some(done) = running.join_next().await {
        done.unwrap();
    }
    pool.close().await;
    // The last connections close a moment later.
    let begin = Instant::now();
    loop {
        let now = (n_open_files(), n_children());
        if now.0 <= before.0 && now.1 == before.1 {
            break;
        }
        assert!(begin.elapsed() < Duration::from_secs(20), "{before:?} became {now:?}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    std::fs::remove_dir_all(&directory).unwrap();
}
