//! What `stepfn explore` tells.

use std::fmt::Write;

use serde_json::Value;
use serde_json::json;

use crate::cli::error::printable;
use crate::cli::explore::Told;
use crate::explore::report::Level;
use crate::explore::report::flow;
use crate::suite::coverage::Coverage;

/// Longest line for an input or a mock, in characters.
const SHOWN_MAX: usize = 200;
/// States of a way that are shown, at most.
const WAY_MAX: usize = 14;

/// For people.
pub(super) fn human(told: &Told<'_>) -> String {
    let mut text = String::new();
    let report = told.report;
    let path = told.arguments.file.display();
    for (finding, file) in report.findings.iter().zip(&told.files) {
        let level = level(finding.kind.level());
        let _ = writeln!(
            text,
            "{path}:{}:{}: {level}: {} [{}]",
            finding.span.line,
            finding.span.column,
            printable(&finding.message),
            finding.kind.name()
        );
        let _ = writeln!(text, "    {}", printable(&finding.explanation));
        if !finding.way.is_empty() {
            let mut way: Vec<&str> = finding.way.iter().take(WAY_MAX).map(String::as_str).collect();
            if WAY_MAX < finding.way.len() {
                way.push("…");
            }
            let _ = writeln!(text, "    way:   {}", printable(&way.join(" → ")));
        }
        if let Some(reproduction) = &finding.reproduction {
            let _ = writeln!(text, "    input: {}", shown(reproduction.input()));
            for (state, mock) in reproduction.mocks() {
                let _ = writeln!(text, "    mock:  {} {}", printable(state), shown(mock));
            }
        }
        if let Some(file) = file {
            let _ = writeln!(text, "    test:  {file}");
        }
        text.push('\n');
    }
    for note in &told.notes {
        let _ = writeln!(text, "note: {}", printable(note));
    }
    let seconds = told.elapsed.as_secs_f64();
    let _ = writeln!(
        text,
        "{} runs in {seconds:.1} s ({:.0} a second), seed {}",
        report.n_runs,
        report.n_runs as f64 / seconds.max(0.001),
        told.arguments.seed
    );
    for (what, (covered, all)) in kinds(&report.coverage) {
        if let (covered, all @ 1..) = (covered, all) {
            let _ = writeln!(
                text,
                "  {what:12} {covered:>4} of {all:<4} {:>3} %",
                covered * 100 / all
            );
        }
    }
    for missing in report.coverage.missing() {
        let _ = writeln!(text, "  not reached in {} runs: {}", report.n_runs, printable(&missing));
    }
    let findings = if report.findings.len() == 1 {
        "finding"
    } else {
        "findings"
    };
    let _ = write!(text, "{} {findings}", report.findings.len());
    if 0 < report.n_hidden {
        let _ = write!(text, "; --level information shows {} more", report.n_hidden);
    }
    text.push('\n');
    text
}

/// For programs.
pub(super) fn json(told: &Told<'_>) -> Value {
    let report = told.report;
    let findings: Vec<Value> = report
        .findings
        .iter()
        .zip(&told.files)
        .map(|(finding, file)| {
            json!({
                "kind": finding.kind.name(),
                "level": level(finding.kind.level()),
                "state": finding.state,
                "line": finding.span.line,
                "column": finding.span.column,
                "message": finding.message,
                "explanation": finding.explanation,
                "way": finding.way,
                "input": finding.reproduction.as_ref().map(|reproduction| reproduction.input()),
                "mocks": finding.reproduction.as_ref().map(|reproduction| reproduction.mocks()),
                "test": file,
            })
        })
        .collect();
    let coverage = kinds(&report.coverage)
        .map(|(what, (covered, all))| (what.replace(' ', "_"), json!({ "covered": covered, "all": all })));
    json!({
        "definition": told.arguments.file.display().to_string(),
        "runs": report.n_runs,
        "seed": told.arguments.seed,
        "findings": findings,
        "hidden": report.n_hidden,
        "coverage": serde_json::Map::from_iter(coverage),
        "notReached": report.coverage.missing(),
        "notes": told.notes,
    })
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Information => "information",
        Level::Warning => "warning",
    }
}

fn kinds(coverage: &Coverage) -> [(&'static str, (usize, usize)); 5] {
    [
        ("states", coverage.states()),
        ("transitions", coverage.transitions()),
        ("choice rules", coverage.rules()),
        ("retriers", coverage.retriers()),
        ("catchers", coverage.catchers()),
    ]
}

fn shown(value: &Value) -> String {
    let text = printable(&flow(value));
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
