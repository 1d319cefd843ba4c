//! Annotations, as GitHub Actions reads them from the log.
//!
//! Source: GitHub's documentation, "Workflow commands for GitHub Actions"; the escapes are those of its toolkit's
//! `command.ts`.

use crate::cli::error::printable;
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
        vec![format!("::error file={}::{}\n", property(path), data(message))]
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
    let mut line = format!("::{command} file={}", property(&judged.path));
    if let Some(region) = &told.region {
        line += &format!(",line={},endLine={}", region.start_line, region.end_line);
        // GitHub takes columns within one line only.
        if region.start_line == region.end_line {
            line += &format!(",col={},endColumn={}", region.start_column, region.end_column);
        }
    }
    line += &format!(",title={}", property(finding.rule));
    let mut message = judged.sentence(finding);
    if let Some(hint) = &finding.hint {
        message += &format!("\n{hint}");
    }
    format!("{line}::{}\n", data(&message))
}

fn data(text: &str) -> String {
    printable(text).replace('%', "%25").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
