//! For people: each finding with its line.

use crate::cli::error::printable;
use crate::cli::excerpt;
use crate::cli::validate::policy::Judged;
use crate::cli::validate::report::Report;
use crate::cli::validate::totals::Totals;
use crate::lint::finding::Finding;

/// Findings with excerpts.
#[derive(Debug)]
pub(crate) struct Human {
    /// Without colors, whatever stderr takes.
    pub(crate) is_plain: bool,
}

impl Report for Human {
    fn begin(&self) -> String {
        String::new()
    }

    fn definition(&self, judged: &Judged) -> Vec<String> {
        let findings = judged.told.iter().map(|told| Finding {
            location: judged.place(&told.finding),
            ..told.finding.clone()
        });
        let findings: Vec<Finding> = findings.collect();
        let text = match self.is_plain {
            true => excerpt::render_plain(&judged.path, &judged.text, &findings),
            false => excerpt::render(&judged.path, &judged.text, &findings),
        };
        vec![text]
    }

    fn unreadable(&self, _: &str, message: &str) -> Vec<String> {
        match self.is_plain {
            true => vec![format!("error: {}\n\n", printable(message))],
            // It is told on stderr as any error is.
            false => Vec::new(),
        }
    }

    fn between(&self) -> &'static str {
        ""
    }

    fn end(&self, totals: &Totals) -> String {
        totals.summary()
    }
}
