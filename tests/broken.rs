//! Definitions with one defect each, and the finding that each must give at the right line.
//!
//! A file `broken/*.txt` holds many: `=== what is wrong`, then the definition. `#! CODE` at the end of a line says what
//! must be found there, and nothing else may be found; behind the title it says what has no place in the text.
//! Advice (severity information) does not count. `UPDATE_EXPECT=1 cargo test --test broken` writes the marks: read
//! them.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

use stepfn::asl::load::Options;
use stepfn::lint;
use stepfn::lint::finding::Severity;

const MARK: &str = "  #! ";
/// As many as were promised.
const N_DEFINITIONS_MIN: usize = 120;

struct Broken {
    title: String,
    text: String,
    /// What must be found by line; 0 is the title.
    expected: BTreeMap<u32, BTreeSet<String>>,
}

fn files() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/broken");
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries.collect();
    files.sort();
    files
}

fn read(text: &str) -> Vec<Broken> {
    let mut found: Vec<Broken> = Vec::new();
    let mut number = 0;
    for line in text.lines() {
        let (line, mark) = line.split_once(MARK).unwrap_or((line, ""));
        if let Some(title) = line.strip_prefix("=== ") {
            found.push(Broken {
                title: title.to_owned(),
                text: String::new(),
                expected: BTreeMap::new(),
            });
            number = 0;
        } else {
            number += 1;
        }
        let broken = found.last_mut().unwrap();
        if 0 < number {
            broken.text += line;
            broken.text.push('\n');
        }
        if !mark.is_empty() {
            let codes = mark.split(", ").map(str::to_owned);
            broken.expected.entry(number).or_default().extend(codes);
        }
    }
    found
}

fn write(all: &[Broken]) -> String {
    let mut output = String::new();
    for broken in all {
        let title = format!("=== {}", broken.title);
        for (number, line) in std::iter::once(title.as_str()).chain(broken.text.lines()).enumerate() {
            output += line;
            if let Some(codes) = broken.expected.get(&u32::try_from(number).unwrap()) {
                let codes: Vec<&str> = codes.iter().map(String::as_str).collect();
                let _ = write!(output, "{MARK}{}", codes.join(", "));
            }
            output.push('\n');
        }
    }
    output
}

fn findings(broken: &Broken) -> BTreeMap<u32, BTreeSet<String>> {
    let options = Options {
        // So begin the titles of what only EXPRESS machines cannot be.
        express: broken.title.starts_with("EXPRESS: "),
        ..Options::default()
    };
    let n_lines = u32::try_from(broken.text.lines().count()).unwrap();
    let mut found: BTreeMap<u32, BTreeSet<String>> = BTreeMap::new();
    let mut note = |span: Option<stepfn::model::span::Span>, code: &str| {
        // What ends too early is found behind the last line.
        let line = span.map_or(0, |span| span.line.min(n_lines));
        found.entry(line).or_default().insert(code.to_owned());
    };
    match lint::check(&broken.text, &options) {
        Ok(findings) => {
            for finding in findings {
                if Severity::Information < finding.severity {
                    note(finding.span, finding.rule);
                }
            }
        }
        Err(diagnostics) => {
            for diagnostic in diagnostics {
                note(diagnostic.span, diagnostic.code);
            }
        }
    }
    found
}

#[test]
fn each_defect_is_found_where_it_is_and_nothing_else() {
    let is_update = std::env::var_os("UPDATE_EXPECT").is_some();
    let mut wrong = Vec::new();
    let mut n_definitions = 0;
    for path in files() {
        let mut all = read(&fs::read_to_string(&path).unwrap());
        for broken in &mut all {
            n_definitions += 1;
            let found = findings(broken);
            if is_update {
                broken.expected = found;
            } else if broken.expected.is_empty() || found != broken.expected {
                let file = path.file_name().unwrap().to_string_lossy();
                wrong.push(format!(
                    "{file}: {}: expected {:?}, found {found:?}",
                    broken.title, broken.expected
                ));
            }
        }
        if is_update {
            fs::write(&path, write(&all)).unwrap();
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(N_DEFINITIONS_MIN <= n_definitions, "only {n_definitions} definitions");
}
