//! One JSON document.

use serde_json::Value;
use serde_json::json;

use crate::cli::validate::policy::Judged;
use crate::cli::validate::policy::Told;
use crate::cli::validate::policy::Why;
use crate::cli::validate::report;
use crate::cli::validate::report::Report;
use crate::cli::validate::totals::Totals;
use crate::model::span::Span;

/// `{"version": 1, "definitions": […], "summary": {…}}`, a definition a line.
#[derive(Debug)]
pub(super) struct Json;

impl Report for Json {
    fn begin(&self) -> String {
        "{\"version\":1,\"definitions\":[\n".to_owned()
    }

    fn definition(&self, judged: &Judged) -> Vec<String> {
        let suppressed = judged.suppressed.iter().map(|(told, why)| {
            let mut told = finding(told);
            told["suppressedBy"] = match why {
                Why::Baseline => json!("baseline"),
                Why::Comment(_) => json!("comment"),
                Why::Level => json!("level"),
            };
            if let Why::Comment(reason) = why {
                told["reason"] = json!(reason);
            }
            told
        });
        let definition = json!({
            "path": judged.path,
            "machine": judged.name,
            "valid": !judged.told.iter().any(Told::is_refusal),
            "findings": judged.told.iter().map(finding).collect::<Vec<_>>(),
            "suppressed": suppressed.collect::<Vec<_>>(),
            "hidden": judged.n_hidden,
        });
        vec![definition.to_string()]
    }

    fn unreadable(&self, path: &str, message: &str) -> Vec<String> {
        vec![json!({ "path": path, "unreadable": message }).to_string()]
    }

    fn between(&self) -> &'static str {
        ",\n"
    }

    fn end(&self, totals: &Totals) -> String {
        let summary = json!({
            "definitions": totals.n_definitions,
            "invalid": totals.n_invalid,
            "errors": totals.n_errors,
            "warnings": totals.n_warnings,
            "information": totals.n_information,
            "hidden": totals.n_hidden,
            "suppressed": { "baseline": totals.n_known, "comment": totals.n_ignored, "level": totals.n_allowed },
            "unreadable": totals.unreadable.len(),
        });
        format!("\n],\"summary\":{summary}}}\n")
    }
}

fn finding(told: &Told) -> Value {
    let finding = &told.finding;
    let fix = finding.fix.as_ref().map(|fix| {
        let edits = fix.edits.iter();
        let edits = edits.map(|(span, text)| json!({ "range": range(*span), "text": text }));
        edits.collect::<Vec<_>>()
    });
    let region = told.region.as_ref().map(|region| {
        json!({
            "startLine": region.start_line,
            "startColumn": region.start_column,
            "endLine": region.end_line,
            "endColumn": region.end_column,
        })
    });
    json!({
        "rule": finding.rule,
        "severity": report::severity(finding.severity),
        "denied": told.denied,
        "confidence": report::confidence(finding.confidence),
        "message": finding.message,
        "hint": finding.hint,
        "location": finding.location,
        "region": region,
        "range": finding.span.map(range),
        "fix": fix,
        "fingerprint": told.fingerprint,
    })
}

/// The bytes of the file, the end not included.
fn range(span: Span) -> Value {
    json!([span.start, span.end])
}
