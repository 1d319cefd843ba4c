//! Annotations, as GitHub Actions reads them from the log.

use crate::cli::report::github;
use crate::cli::validate::policy::Judged;
use crate::cli::validate::policy::Told;
use crate::cli::validate::report::Report;
use crate::cli::validate::totals::Totals;
use crate::lint::finding::Severity;

/// Lines like `::warning file=a.json,line=3::The task waits`.
#[derive(Debug)]
pub(super) struct Github;

impl Report for Github {
    fn begin(&self) -> String {
        String::new()
    }

    fn definition(&self, judged: &Judged) -> Vec<String> {
        judged.told.iter().map(|told| annotation(judged, told)).collect()
    }

    fn unreadable(&self, path: &str, message: &str) -> Vec<String> {
        vec![github::annotation("error", path, &[], None, message)]
    }

    fn between(&self) -> &'static str {
        ""
    }

    fn end(&self, _: &Totals) -> String {
        String::new()
    }
}

fn annotation(judged: &Judged, told: &Told) -> String {
    let finding = &told.finding;
    let command = match finding.severity {
        Severity::Error => "error",
        Severity::Information => "notice",
        Severity::Warning => "warning",
    };
    let mut place = Vec::new();
    if let Some(region) = &told.region {
        place.extend([("line", region.start_line), ("endLine", region.end_line)]);
        // GitHub takes columns within one line only.
        if region.start_line == region.end_line {
            place.extend([("col", region.start_column), ("endColumn", region.end_column)]);
        }
    }
    let mut message = judged.sentence(finding);
    if let Some(hint) = &finding.hint {
        message += &format!("\n{hint}");
    }
    github::annotation(command, &judged.path, &place, Some(finding.rule), &message)
}
