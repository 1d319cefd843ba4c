//! What calling a Lambda function costs that is a process here: `cargo bench --bench lambda` prints the table.
//!
//! One caller, one process: from the request to the function's answer. `STEPFN_PYTHON` names a Python that has
//! `awslambdaric`; a runtime that is not there is left out.

#![expect(clippy::print_stdout, reason = "the table is what it is for")]

use std::path::Path;
use std::path::PathBuf;
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

const N_COLD: usize = 10;
const N_WARM: usize = 5_000;
const PYTHON: &str = "def handler(event, context):\n    return event\n";
const NODE: &str = "export const handler = async (event) => event;\n";

fn main() {
    let directory = std::env::temp_dir().join(format!("stepfn-bench-lambda-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("there is room");
    std::fs::write(directory.join("app.py"), PYTHON).expect("there is room");
    std::fs::write(directory.join("app.mjs"), NODE).expect("there is room");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("there is a runtime");
    println!("| one invocation | first, median | warm p50 | p95 | p99 | warm/s |");
    println!("|---|---:|---:|---:|---:|---:|");
    let nursery = Arc::new(Nursery::default());
    for (name, keys) in [("Python, awslambdaric", python()), ("Node", node())] {
        let Some(keys) = keys else {
            eprintln!("note: there is no {name} here");
            continue;
        };
        runtime.block_on(row(name, &keys, &directory, &nursery));
    }
    runtime.block_on(nursery.end_all());
    std::fs::remove_dir_all(&directory).expect("it is there");
}

fn python() -> Option<String> {
    let python = PathBuf::from(std::env::var_os("STEPFN_PYTHON")?);
    let python = std::path::absolute(python).ok()?;
    Some(format!(
        "runtime = 'python3.12'\nhandler = 'app.handler'\ninterpreter = '{}'",
        python.display()
    ))
}

fn node() -> Option<String> {
    let path = std::env::var_os("PATH")?;
    let has_node = std::env::split_paths(&path).any(|directory| directory.join("node").is_file());
    has_node.then(|| "runtime = 'nodejs22.x'\nhandler = 'app.handler'".to_owned())
}

async fn row(name: &str, keys: &str, directory: &Path, nursery: &Arc<Nursery>) {
    let mappings = Mappings::parse(&format!("[lambda.F]\n{keys}\n"), directory).expect("the table is right");
    let function = FunctionName::parse("F", "us-east-1", "123456789012");
    let Some((_, Function::Process(process))) = mappings.functions().find(&function) else {
        return;
    };
    let pool = Arc::new(Pool::new(process.clone(), Arc::clone(nursery)));
    let mut cold = Vec::new();
    for _ in 0..N_COLD {
        pool.close().await;
        cold.push(invoke(&pool).await);
    }
    let begin = Instant::now();
    let mut warm = Vec::new();
    for _ in 0..N_WARM {
        warm.push(invoke(&pool).await);
    }
    let rate = N_WARM as f64 / begin.elapsed().as_secs_f64();
    pool.close().await;
    cold.sort_unstable();
    warm.sort_unstable();
    let millis = |duration: Duration| format!("{:.2} ms", duration.as_secs_f64() * 1000.0);
    let share = |hundredths: usize| millis(warm[warm.len() * hundredths / 100]);
    println!(
        "| {name} | {} | {} | {} | {} | {rate:.0} |",
        millis(cold[cold.len() / 2]),
        share(50),
        share(95),
        share(99)
    );
}

async fn invoke(pool: &Arc<Pool>) -> Duration {
    let payload = r#"{"id": 7, "text": "some text"}"#;
    let request = Arc::new(Request {
        name: FunctionName::parse("F", "us-east-1", "123456789012"),
        payload: payload.into(),
        invocation_type: InvocationType::RequestResponse,
        wants_log: false,
        client_context: None,
    });
    let begin = Instant::now();
    let answer = pool.invoke(request, None, std::future::pending()).await;
    let elapsed = begin.elapsed();
    assert!(answer.is_ok_and(|answer| !answer.is_function_error), "it answers");
    elapsed
}
