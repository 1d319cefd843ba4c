//! What `stepfn test` tells: people, GitHub, JUnit, LCOV, SARIF, JSON.

pub(super) mod sarif;

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::json;

use crate::cli::error::printable;
use crate::cli::report::github;
use crate::cli::report::junit;
use crate::cli::report::junit::xml;
use crate::cli::report::path::told;
use crate::cli::test::Arguments;
use crate::cli::test::Outcome;
use crate::cli::test::Results;
use crate::suite::check::seconds;
use crate::suite::coverage::Coverage;

/// For people.
pub(super) fn human(arguments: &Arguments, results: &Results<'_>) -> String {
    let mut text = String::new();
    for outcome in &results.outcomes {
        let (path, name) = (outcome.suite.path.display(), printable(&outcome.case.name));
        if !outcome.is_failure() {
            let is_fresh = results.fresh.is_none_or(|fresh| fresh.contains(&outcome.suite.path));
            if !arguments.quiet && is_fresh {
                let n_states = outcome.ran.visited.len();
                let took = seconds(outcome.ran.elapsed_millis);
                let _ = writeln!(text, "ok    {path}: {name} ({n_states} states, {took} s)");
            }
            continue;
        }
        let line = outcome.case.place.line;
        let _ = writeln!(text, "FAIL  {path}:{line}: {name}");
        for failure in &outcome.failures {
            let _ = writeln!(text, "      {}", printable(failure));
        }
    }
    if arguments.coverage {
        for (suite, coverage) in results.coverages.values() {
            let machine = &suite.machine;
            let _ = writeln!(text, "\n{}", machine.path.display());
            for (what, covered) in kinds(coverage) {
                if let (covered, all @ 1..) = covered {
                    let _ = writeln!(
                        text,
                        "  {what:12} {covered:>4} of {all:<4} {:>3} %",
                        covered * 100 / all
                    );
                }
            }
            for missing in coverage.missing() {
                let _ = writeln!(text, "  not run: {missing}");
            }
        }
    }
    let n_failed = results.outcomes.iter().filter(|outcome| outcome.is_failure()).count();
    let _ = write!(
        text,
        "\n{} passed, {n_failed} failed",
        results.outcomes.len() - n_failed
    );
    match results.broken.len() {
        0 => text + "\n",
        1 => text + ", 1 file cannot be used\n",
        n => text + &format!(", {n} files cannot be used\n"),
    }
}

/// Returns (covered, all) of each kind of thing that can be run.
pub(super) fn kinds(coverage: &Coverage) -> [(&'static str, (usize, usize)); 5] {
    [
        ("states", coverage.states()),
        ("transitions", coverage.transitions()),
        ("choice rules", coverage.rules()),
        ("retriers", coverage.retriers()),
        ("catchers", coverage.catchers()),
    ]
}

/// For programs.
pub(super) fn json(results: &Results<'_>) -> String {
    let cases: Vec<_> = results
        .outcomes
        .iter()
        .map(|outcome| {
            json!({
                "file": outcome.suite.path.display().to_string(),
                "line": outcome.case.place.line,
                "name": outcome.case.name,
                "passed": !outcome.is_failure(),
                "failures": outcome.failures,
                "status": outcome.ran.status_name(),
                "visited": outcome.ran.visited,
                "virtualSeconds": outcome.ran.elapsed_millis as f64 / 1000.0,
            })
        })
        .collect();
    let coverages: Vec<_> = results
        .coverages
        .values()
        .map(|(suite, coverage)| {
            let machine = &suite.machine;
            let kinds = kinds(coverage)
                .map(|(what, (covered, all))| (what.replace(' ', "_"), json!({ "covered": covered, "all": all })));
            json!({
                "definition": machine.path.display().to_string(),
                "coverage": serde_json::Map::from_iter(kinds),
                "missing": coverage.missing(),
            })
        })
        .collect();
    let unusable: Vec<_> = results
        .broken
        .iter()
        .map(|broken| json!({ "file": broken.path.display().to_string(), "message": broken.fault.message }))
        .collect();
    format!(
        "{:#}\n",
        json!({ "cases": cases, "definitions": coverages, "unusable": unusable })
    )
}

/// Annotations of GitHub Actions.
pub(super) fn github(results: &Results<'_>) -> String {
    let failed = results.outcomes.iter().filter(|outcome| outcome.is_failure());
    let failed = failed.map(|outcome| {
        let path = told(&outcome.suite.path);
        let place = [("line", outcome.case.place.line)];
        let message = outcome.failures.join("\n");
        github::annotation("error", &path, &place, Some(&outcome.case.name), &message)
    });
    let broken = results.broken.iter();
    let broken =
        broken.map(|broken| github::annotation("error", &told(&broken.path), &[], None, &broken.fault.message));
    failed.chain(broken).collect()
}

/// JUnit's XML: a suite per test file.
pub(super) fn junit(results: &Results<'_>) -> String {
    let mut suites: BTreeMap<String, Vec<&Outcome<'_>>> = BTreeMap::new();
    for outcome in &results.outcomes {
        suites.entry(told(&outcome.suite.path)).or_default().push(outcome);
    }
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for (path, outcomes) in suites {
        let n_failed = outcomes.iter().filter(|outcome| outcome.is_failure()).count();
        let _ = writeln!(
            text,
            "  <testsuite name=\"{0}\" tests=\"{1}\" failures=\"{n_failed}\" errors=\"0\" skipped=\"0\">",
            xml(&path),
            outcomes.len()
        );
        for outcome in outcomes {
            let _ = write!(
                text,
                "    <testcase name=\"{}\" classname=\"{}\" file=\"{}\" line=\"{}\" time=\"0\"",
                xml(&outcome.case.name),
                xml(&outcome.suite.machine.name),
                xml(&path),
                outcome.case.place.line
            );
            match outcome.failures.first() {
                None => text.push_str("/>\n"),
                Some(first) => {
                    let _ = write!(
                        text,
                        ">\n      <failure message=\"{}\">{}</failure>\n    </testcase>\n",
                        xml(first),
                        xml(&outcome.failures.join("\n"))
                    );
                }
            }
        }
        text.push_str("  </testsuite>\n");
    }
    for broken in results.broken {
        text += &junit::unreadable(&told(&broken.path), &broken.fault.message);
    }
    text.push_str("</testsuites>\n");
    text
}

/// LCOV: a line per state, a branch per way out of it.
pub(super) fn lcov(results: &Results<'_>) -> String {
    let mut text = String::new();
    for (suite, coverage) in results.coverages.values() {
        let machine = &suite.machine;
        let _ = writeln!(text, "TN:\nSF:{}", told(&machine.path));
        let mut lines: BTreeMap<u32, u64> = BTreeMap::new();
        let mut n_branches = BTreeMap::new();
        for point in &coverage.points {
            let line = machine.definition.state(point.state).span.line;
            match point.way {
                None => *lines.entry(line).or_default() += point.count,
                Some(_) => {
                    let number: &mut usize = n_branches.entry(point.state).or_default();
                    let entered = coverage
                        .points
                        .iter()
                        .any(|other| other.state == point.state && other.way.is_none() && other.count > 0);
                    // A branch of a line that was never reached has no count.
                    let count = if entered {
                        point.count.to_string()
                    } else {
                        "-".to_owned()
                    };
                    let _ = writeln!(text, "BRDA:{line},{},{number},{count}", point.state.index());
                    *number += 1;
                }
            }
        }
        let ways = || coverage.points.iter().filter(|point| point.way.is_some());
        let _ = writeln!(
            text,
            "BRF:{}\nBRH:{}",
            ways().count(),
            ways().filter(|point| point.count > 0).count()
        );
        for (line, count) in &lines {
            let _ = writeln!(text, "DA:{line},{count}");
        }
        let n_hit = lines.values().filter(|count| **count > 0).count();
        let _ = writeln!(text, "LF:{}\nLH:{n_hit}\nend_of_record", lines.len());
    }
    text
}
