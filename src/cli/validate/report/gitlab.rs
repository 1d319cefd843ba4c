//! GitLab's code quality: a list of issues.
//!
//! Source: GitLab's documentation, "Code Quality report format".

use serde_json::json;

use crate::cli::validate::policy::Judged;
use crate::cli::validate::policy::Told;
use crate::cli::validate::report::Report;
use crate::cli::validate::totals::Totals;
use crate::lint::finding::Severity;

/// `[{"description", "check_name", "fingerprint", "severity", "location": {"path", "positions"}}]`
#[derive(Debug)]
pub(super) struct Gitlab;

impl Report for Gitlab {
    fn begin(&self) -> String {
        "[\n".to_owned()
    }

    fn definition(&self, judged: &Judged) -> Vec<String> {
        judged.told.iter().map(|told| issue(judged, told)).collect()
    }

    fn unreadable(&self, path: &str, message: &str) -> Vec<String> {
        let issue = json!({
            "description": message,
            "check_name": "unreadable",
            "fingerprint": format!("unreadable {path}"),
            "severity": "blocker",
            "location": { "path": path, "lines": { "begin": 1 } },
        });
        vec![issue.to_string()]
    }

    fn between(&self) -> &'static str {
        ",\n"
    }

    fn end(&self, _: &Totals) -> String {
        "\n]\n".to_owned()
    }
}

fn issue(judged: &Judged, told: &Told) -> String {
    let finding = &told.finding;
    let severity = match finding.severity {
        Severity::Error if told.is_refusal() => "blocker",
        Severity::Error => "critical",
        Severity::Information => "info",
        Severity::Warning => "minor",
    };
    let lines = told.region.as_ref();
    let issue = json!({
        "description": judged.sentence(finding),
        "check_name": finding.rule,
        "fingerprint": told.fingerprint,
        "severity": severity,
        "location": {
            "path": judged.path,
            "lines": {
                "begin": lines.map_or(1, |region| region.start_line),
                "end": lines.map_or(1, |region| region.end_line),
            },
        },
    });
    issue.to_string()
}
