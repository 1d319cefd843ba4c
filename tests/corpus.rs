//! Definitions that other people wrote must compile, and AWS's recorded refusals must be ours.
//!
//! The data lies beside the repository; without it the tests have nothing to do and say so.

use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;

use serde_json::Value;
use stepfn::asl::load::Format;
use stepfn::asl::load::Options;
use stepfn::asl::load::compile;

/// The two of the corpus that AWS would refuse.
const REFUSED: [&str; 2] = ["sfn-iot-data-analytics-dataset", "shared-fallback-state-jsonata"];

fn shared(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared").join(name);
    if !path.exists() {
        eprintln!("skipped: {} is absent", path.display());
        return None;
    }
    Some(path)
}

fn read_json(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Finds a plausible value for every placeholder of a text.
fn plausible(text: &str) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    for piece in text.split("${").skip(1) {
        let Some((name, rest)) = piece.split_once('}') else {
            continue;
        };
        let is_bare_number = name.to_lowercase().contains("timeout") || name.to_lowercase().contains("seconds");
        let is_whole = rest.starts_with('"') || rest.starts_with('\n');
        let value = if is_bare_number {
            "60".to_owned()
        } else if is_whole && !name.contains("Partition") {
            format!("arn:aws:lambda:us-east-1:123456789012:function:{name}")
        } else if name.contains("Partition") {
            "aws".to_owned()
        } else {
            name.to_owned()
        };
        values.entry(name.to_owned()).or_insert(value);
    }
    values
}

fn findings(text: &str, options: &Options) -> Vec<String> {
    match compile(text, options) {
        Ok(_) => Vec::new(),
        Err(findings) => findings.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn every_definition_of_the_corpus_compiles() {
    let Some(root) = shared("asl-corpus") else {
        return;
    };
    let mut wrong = Vec::new();
    for entry in read_json(&root.join("index.json")).as_array().unwrap() {
        let path = entry["path"].as_str().unwrap();
        let text = std::fs::read_to_string(root.join(path)).unwrap();
        let format = match entry["format"].as_str() {
            Some("yaml") => Format::Yaml,
            _ => Format::Json,
        };
        let filled = Options {
            format,
            substitutions: plausible(&text),
            ..Options::default()
        };
        let open = Options {
            format,
            open_placeholders: true,
            ..Options::default()
        };
        let is_refused = REFUSED.iter().any(|name| path.contains(name));
        for (way, options) in [("filled", filled), ("open", open)] {
            let findings = findings(&text, &options);
            if is_refused == findings.is_empty() {
                wrong.push(format!("{path} ({way}): {findings:#?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_recorded_execution_has_a_definition_that_compiles() {
    let Some(root) = shared("conformance") else {
        return;
    };
    let mut wrong = Vec::new();
    let mut n_cases = 0;
    for case in cases(&root) {
        if case["kind"] != "execution" {
            continue;
        }
        n_cases += 1;
        let text = match &case["definition"] {
            Value::String(text) => text.clone(),
            definition => definition.to_string(),
        };
        let options = Options {
            express: case["type"] == "EXPRESS",
            ..Options::default()
        };
        let findings = findings(&text, &options);
        if !findings.is_empty() {
            wrong.push(format!("{}: {findings:#?}", case["id"]));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {n_cases} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn recorded_refusals_are_ours() {
    let Some(root) = shared("conformance") else {
        return;
    };
    let mut wrong = Vec::new();
    let mut n_cases = 0;
    for case in cases(&root) {
        if case["kind"] != "validation" {
            continue;
        }
        for call in case["calls"].as_array().unwrap() {
            let Some(expected) = expected(call) else {
                continue;
            };
            let text = match &call["params"]["definition"] {
                Value::String(text) => text.clone(),
                definition => definition.to_string(),
            };
            n_cases += 1;
            let options = Options {
                express: call["params"]["type"] == "EXPRESS",
                ..Options::default()
            };
            let findings = findings(&text, &options);
            if findings.join(", ") != expected {
                wrong.push(format!("{}:\n  {findings:?}\n  {expected}", case["id"]));
            }
        }
    }
    eprintln!("{} of {n_cases} recorded refusals agree", n_cases - wrong.len());
    assert!(
        wrong.is_empty(),
        "{} of {n_cases} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// Returns what AWS said, the findings joined as it joins them.
fn expected(call: &Value) -> Option<String> {
    if let Some(diagnostics) = call["response"]["diagnostics"].as_array() {
        let shown = diagnostics.iter().map(|diagnostic| {
            format!(
                "{}: {} at {}",
                diagnostic["code"].as_str().unwrap(),
                diagnostic["message"].as_str().unwrap(),
                diagnostic["location"].as_str().unwrap_or("null")
            )
        });
        return Some(shown.collect::<Vec<_>>().join(", "));
    }
    let message = call["exception"]["message"].as_str()?;
    let findings = message.strip_prefix("Invalid State Machine Definition: '")?;
    Some(findings.strip_suffix('\'')?.to_owned())
}

fn cases(root: &Path) -> Vec<Value> {
    let index = read_json(&root.join("index.json"));
    let entries = index.as_array().or_else(|| index["cases"].as_array()).unwrap();
    entries
        .iter()
        .map(|entry| read_json(&root.join(entry["file"].as_str().unwrap())))
        .collect()
}
