//! Our own cases must all pass; of the recorded ones at least as many as `floor.txt` says.

use std::path::Path;
use std::path::PathBuf;

use asl_conformance::report::run_dirs;
use asl_conformance::runner::Options;

fn here() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn replaying() -> Options {
    Options {
        replay: true,
        ..Options::default()
    }
}

#[test]
fn our_own_cases_pass() {
    let report = run_dirs(&[here().join("cases")], &replaying());
    assert!(report.failed.is_empty(), "{report}");
    assert_eq!(report.n_skipped(), 0, "{:?}", report.skipped);
    assert!(report.passed.len() >= 150, "{report}");
}

#[test]
fn the_recorded_cases_pass_up_to_the_floor() {
    let floor = std::fs::read_to_string(here().join("floor.txt")).unwrap();
    let floor: usize = floor.trim().parse().unwrap();
    let recorded = here().join("../../shared/conformance");
    if !Path::new(&recorded).is_dir() {
        eprintln!(
            "The recorded cases are not there ({}): only our own cases are checked.",
            recorded.display()
        );
        return;
    }
    let report = run_dirs(&[recorded], &replaying());
    assert!(report.passed.len() >= floor, "the floor is {floor}\n{report}");
}
