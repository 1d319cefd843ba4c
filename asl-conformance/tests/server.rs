//! The same cases over HTTP give the same results as on the kernel, over each store.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use asl_conformance::report::Report;
use asl_conformance::report::run_dirs;
use asl_conformance::runner::Options;
use asl_conformance::server::Server;

fn here() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn dirs() -> Vec<PathBuf> {
    let recorded = here().join("../../shared/conformance");
    let mut dirs = vec![here().join("cases")];
    match recorded.is_dir() {
        true => dirs.push(recorded),
        false => eprintln!("The recorded cases are not there: only our own cases are run over HTTP."),
    }
    dirs
}

fn over_http(directory: Option<PathBuf>) -> Report {
    let server = Server::start(directory.as_deref()).unwrap();
    let options = Options {
        server: Some(Arc::new(server)),
        ..Options::default()
    };
    run_dirs(&dirs(), &options)
}

/// Cases that show nothing over HTTP (an EXPRESS execution that nobody waits for leaves neither result nor history), or
/// need a clock that starts in 2026 or jumps; sorted as they are run.
const ONLY_ON_THE_KERNEL: &[&str] = &[
    "express/express.express_async.catch",
    "express/express.express_async.query_runtime_memory",
    "context_object/times",
    "errors/history_limit",
    "errors/wait_too_long",
    "express/a_long_history",
    "express/five_minutes_and_no_more",
    "express/pass",
    "map/forty_iterations_at_once",
];

fn same_as_on_the_kernel(report: &Report) {
    assert!(report.failed.is_empty(), "{report}");
    let kernel = run_dirs(&dirs(), &Options::default());
    // What only the kernel can show is skipped, with its reason.
    let passed: BTreeSet<&String> = report.passed.iter().collect();
    let missing: Vec<&str> = kernel
        .passed
        .iter()
        .filter(|name| !passed.contains(name))
        .map(String::as_str)
        .collect();
    // Without Lambda's runtime for Python the kernel skips those cases, too.
    let on_the_kernel: BTreeSet<&str> = kernel.passed.iter().map(String::as_str).collect();
    let expected: Vec<&str> = ONLY_ON_THE_KERNEL
        .iter()
        .copied()
        .filter(|name| on_the_kernel.contains(name))
        .collect();
    assert_eq!(missing, expected, "{:?}", report.skipped);
}

#[test]
fn cases_pass_over_a_store_in_memory() {
    same_as_on_the_kernel(&over_http(None));
}

#[test]
fn cases_pass_over_sqlite() {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("conformance-{}", std::process::id()));
    let report = over_http(Some(directory.clone()));
    std::fs::remove_dir_all(&directory).unwrap();
    same_as_on_the_kernel(&report);
}
