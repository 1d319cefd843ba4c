//! What the rules say of definitions that other people wrote, counted by rule.
//!
//! The definitions lie beside the repository; without them the count has nothing to do and says so. Run with
//! `UPDATE_EXPECT=1` to write the table of `docs/lints.md` anew, with `--nocapture` to read every finding.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::path::PathBuf;

use expect_test::expect_file;
use stepfn::asl::load::Format;
use stepfn::asl::load::Options;
use stepfn::lint;
use stepfn::lint::rule::RULES;

const BEGIN: &str = "<!-- The table is written by tests/lints.rs. -->\n";
const END: &str = "<!-- End of the table. -->\n";

/// Returns the definitions: name, text, format.
fn definitions(root: &Path) -> Vec<(String, String, Format)> {
    let mut found = Vec::new();
    let mut directories = vec![root.to_path_buf()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
                continue;
            }
            let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
            let format = match path.extension().and_then(|extension| extension.to_str()) {
                Some("yaml" | "yml") => Format::Yaml,
                Some("json") => Format::Json,
                _ => continue,
            };
            if let Ok(text) = std::fs::read_to_string(&path)
                && text.contains("StartAt")
            {
                found.push((name, text, format));
            }
        }
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Counts the findings of each rule; prints them.
fn count(definitions: &[(String, String, Format)]) -> (usize, BTreeMap<&'static str, usize>) {
    let mut counts = BTreeMap::new();
    let mut n_definitions = 0;
    for (name, text, format) in definitions {
        let options = Options {
            format: *format,
            open_placeholders: true,
            ..Options::default()
        };
        let Ok(findings) = lint::check(text, &options) else {
            continue;
        };
        n_definitions += 1;
        for finding in findings {
            let line = finding
                .span
                .map_or(0, |span| text[..span.start as usize].lines().count());
            let place = finding.location.unwrap_or_default();
            eprintln!("{name}:{line}: {} {place}: {}", finding.rule, finding.message);
            *counts.entry(finding.rule).or_insert(0) += 1;
        }
    }
    (n_definitions, counts)
}

#[test]
fn findings_on_published_definitions_are_counted() {
    let corpus = repository().join("../shared/asl-corpus");
    if !corpus.exists() {
        eprintln!("skipped: {} is absent", corpus.display());
        return;
    }
    let (n_corpus, of_corpus) = count(&definitions(&corpus));
    let (n_fixtures, of_fixtures) = count(&definitions(&repository().join("fixtures")));
    let mut table = format!(
        "{n_corpus} published definitions and {n_fixtures} fixtures:\n\n\
         | Rule | Severity | Published | Fixtures |\n|---|---|---:|---:|\n"
    );
    let mut n_silent = 0;
    for rule in RULES {
        let n = |counts: &BTreeMap<&str, usize>| counts.get(rule.id).copied().unwrap_or(0);
        let (of_corpus, of_fixtures) = (n(&of_corpus), n(&of_fixtures));
        if of_corpus + of_fixtures == 0 {
            n_silent += 1;
            continue;
        }
        let _ = writeln!(
            table,
            "| `{}` | {:?} | {of_corpus} | {of_fixtures} |",
            rule.id, rule.severity
        );
    }
    let _ = writeln!(table, "\nThe other {n_silent} rules find nothing there.");
    let page = std::fs::read_to_string(repository().join("docs/lints.md")).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    expect_file!["../docs/lints.md"].assert_eq(&format!("{before}{BEGIN}{table}{END}{after}"));
}
