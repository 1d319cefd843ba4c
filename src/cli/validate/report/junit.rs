//! JUnit's XML: a suite for each definition, a case for each finding; errors are failures.

use std::fmt::Write;

use crate::cli::report::junit;
use crate::cli::report::junit::xml;
use crate::cli::validate::policy::Judged;
use crate::cli::validate::policy::Told;
use crate::cli::validate::report;
use crate::cli::validate::report::Report;
use crate::cli::validate::totals::Totals;
use crate::lint::finding::Severity;

/// `<testsuites><testsuite><testcase><failure>`
#[derive(Debug)]
pub(super) struct Junit;

impl Report for Junit {
    fn begin(&self) -> String {
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"stepfn validate\">\n".to_owned()
    }

    fn definition(&self, judged: &Judged) -> Vec<String> {
        let path = xml(&judged.path);
        let name = match &judged.name {
            Some(name) => format!("{path} {}", xml(name)),
            None => path.clone(),
        };
        let is_failure = |told: &&Told| told.finding.severity == Severity::Error;
        let mut text = format!(
            "  <testsuite name=\"{name}\" tests=\"{}\" failures=\"{}\" errors=\"0\" skipped=\"0\" time=\"0\">\n",
            judged.told.len().max(1),
            judged.told.iter().filter(is_failure).count()
        );
        if judged.told.is_empty() {
            let _ = writeln!(
                text,
                "    <testcase name=\"validate\" classname=\"{name}\" file=\"{path}\" line=\"1\" time=\"0\"/>"
            );
        }
        for told in &judged.told {
            let finding = &told.finding;
            let location = finding.location.as_deref().unwrap_or("/");
            let line = told.region.as_ref().map_or(1, |region| region.start_line);
            let _ = writeln!(
                text,
                "    <testcase name=\"{} {}\" classname=\"{name}\" file=\"{path}\" line=\"{line}\" time=\"0\">",
                xml(finding.rule),
                xml(location),
            );
            let mut whole = format!("{}:{line}: {}.", judged.path, judged.sentence(finding));
            if let Some(hint) = &finding.hint {
                let _ = write!(whole, "\nHint: {hint}.");
            }
            let _ = match is_failure(&told) {
                true => writeln!(
                    text,
                    "      <failure type=\"{}\" message=\"{}\">{}</failure>",
                    xml(finding.rule),
                    xml(&finding.message),
                    xml(&whole)
                ),
                false => writeln!(
                    text,
                    "      <system-out>{}: {}</system-out>",
                    report::severity(finding.severity),
                    xml(&whole)
                ),
            };
            text += "    </testcase>\n";
        }
        vec![text + "  </testsuite>\n"]
    }

    fn unreadable(&self, path: &str, message: &str) -> Vec<String> {
        vec![junit::unreadable(path, message)]
    }

    fn between(&self) -> &'static str {
        ""
    }

    fn end(&self, _: &Totals) -> String {
        "</testsuites>\n".to_owned()
    }
}
