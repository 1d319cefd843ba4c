//! Our own cases must all pass; of the recorded ones at least as many as `floor.txt` says.

use std::path::Path;
use std::path::PathBuf;

use asl_conformance::case::Case;
use asl_conformance::lambdas;
use asl_conformance::report::case_files;
use asl_conformance::report::run_dirs;
use asl_conformance::runner::Options;
use asl_conformance::runner::Verdict;
use asl_conformance::runner::run_case;
use serde_json::Value;
use serde_json::json;

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
    assert!(report.passed.len() >= 540, "{report}");
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
    let without_python = report
        .skipped
        .iter()
        .filter(|(reason, _)| reason.contains("awslambdaric"));
    let n_without_python: u64 = without_python.map(|(_, n)| n).sum();
    if n_without_python != 0 {
        eprintln!("There is no Python with awslambdaric: {n_without_python} cases with functions are not checked.");
    }
    let n_passed = report.passed.len() + usize::try_from(n_without_python).unwrap();
    assert!(n_passed >= floor, "the floor is {floor}\n{report}");
}

/// No expectation is idle: a case with a changed one must fail.
#[test]
fn a_changed_expectation_fails() {
    let mut dirs = vec![here().join("cases")];
    let recorded = here().join("../../shared/conformance");
    dirs.extend(recorded.is_dir().then_some(recorded));
    let mut n_changed = 0;
    let mut idle = Vec::new();
    for path in case_files(&dirs) {
        let Ok(Some(case)) = Case::read(&path) else {
            continue;
        };
        if lambdas::are_called(&case) {
            // The comparison is the same, but each run starts processes: one changed case stands for all.
            if case.name != "services/services.lambda_task_service.invoke" {
                continue;
            }
        }
        if run_case(&case, &Options::default()) != Verdict::Passed {
            continue;
        }
        for (what, json) in changed(&case) {
            n_changed += 1;
            let changed = Case::from_json(json).unwrap();
            if run_case(&changed, &Options::default()) == Verdict::Passed {
                idle.push(format!("{}: {what}", case.name));
            }
        }
    }
    assert!(n_changed > 2_000, "{n_changed}");
    assert!(idle.is_empty(), "{idle:#?}");
}

/// The case with one expectation changed, in every way that it can notice.
fn changed(case: &Case) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    let mut change = |what: &str, change: &dyn Fn(&mut Value)| {
        let mut json = Value::Object(case.json.clone());
        change(&mut json["expect"]);
        all.push((what.to_owned(), json));
    };
    let expect = &case.json["expect"];
    // A recording of a running execution stopped early; its last events and its end are not compared.
    let stopped = case.is_recorded() && expect["status"] == "RUNNING";
    if !stopped {
        change("status", &|expect| expect["status"] = "NONE".into());
        for name in ["output", "error", "cause"] {
            change(name, &|expect| match expect[name].is_null() {
                true => expect[name] = "none".into(),
                false => expect[name] = Value::Null,
            });
        }
    }
    if let Some(lines) = expect["history"].as_array() {
        let last = lines.len() - 1;
        change("history", &|expect| expect["history"][last / 2] = "0<0 None".into());
        change("history's end", &|expect| {
            expect["history"].as_array_mut().unwrap().pop();
        });
    }
    let synchronous =
        case.json.get("type") == Some(&json!("EXPRESS")) || case.json.get("start") == Some(&json!("sync"));
    let Some(events) = expect["events"].as_array().filter(|_| !synchronous) else {
        return all;
    };
    for at in [0, events.len() / 2, events.len() - 1] {
        change("type", &|expect| expect["events"][at]["type"] = "None".into());
        if expect["events_partly_unordered"] != true {
            change("link", &|expect| expect["events"][at]["previousEventId"] = 9_999.into());
        }
        if events[at]["details"].is_object() {
            change("details", &|expect| expect["events"][at]["details"]["none"] = 1.into());
        }
    }
    if !stopped {
        change("last event", &|expect| {
            expect["events"].as_array_mut().unwrap().pop();
        });
    }
    all
}
