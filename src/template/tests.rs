//! Shows what is found in a file, and where the compiler's findings point to.

mod bounds;
mod cloudformation;
mod serverless;
mod terraform;

use std::collections::BTreeMap;
use std::fmt::Write;

use expect_test::Expect;

use crate::asl::load::compile;
use crate::model::span::Span;
use crate::template::find::File;
use crate::template::find::Files;
use crate::template::find::Reason;
use crate::template::find::Search;
use crate::template::find::Severity;
use crate::template::find::find;
use crate::template::origin::Origin;

/// Files by the path that a template names.
struct Memory(BTreeMap<&'static str, &'static str>);

impl Files for Memory {
    fn read(&self, path: &str) -> Result<File, String> {
        let text = self.0.get(path).ok_or("there is no such file")?;
        Ok(File {
            path: path.to_owned(),
            text: (*text).to_owned(),
        })
    }
}

#[track_caller]
fn check(path: &str, text: &str, files: &[(&'static str, &'static str)], expected: Expect) {
    let files = Memory(files.iter().copied().collect());
    expected.assert_eq(&shown(&find(path, text, Reason::Walked, &files)));
}

/// Each definition: its name, type, values; then what the compiler says of it. Then the notices.
fn shown(search: &Search) -> String {
    let mut out = String::new();
    for found in &search.definitions {
        let _ = write!(out, "{} in {}", found.name, found.origin.path);
        if found.express {
            out.push_str(" EXPRESS");
        }
        for (name, value) in &found.substitutions {
            let _ = write!(out, " {name}={value}");
        }
        out.push('\n');
        for finding in compile(&found.text, &found.options()).err().unwrap_or_default() {
            let finding = found.place(finding);
            let at = place(&found.origin, finding.span);
            let location = finding
                .location
                .map(|location| format!(" at {location}"))
                .unwrap_or_default();
            let _ = writeln!(out, "  {at} {}{location}", finding.message);
        }
    }
    for notice in &search.notices {
        let severity = match notice.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let at = place(&notice.origin, notice.diagnostic.span);
        let _ = writeln!(
            out,
            "{severity} {} {} {at} {}",
            notice.diagnostic.code, notice.origin.path, notice.diagnostic.message
        );
    }
    out
}

/// Shows line, column and the first line of the text there.
fn place(origin: &Origin, span: Option<Span>) -> String {
    let Some(span) = span else {
        return "nowhere".to_owned();
    };
    // The JSON reader stands behind the end when the text stops too early.
    let end = origin.text.len().min(span.end as usize);
    let text = &origin.text[span.start as usize..end];
    let recounted = origin.text[..span.start as usize].matches('\n').count() + 1;
    // The YAML reader counts a line more at the end of a text.
    if (span.start as usize) < origin.text.len() {
        assert_eq!(span.line as usize, recounted);
    }
    let line: String = text.lines().next().unwrap_or_default().chars().take(40).collect();
    format!("{}:{} <{line}>", span.line, span.column)
}
