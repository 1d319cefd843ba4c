//! Stand-ins for placeholders that have no value.

use std::collections::BTreeMap;

use crate::asl::load::Options;
use crate::asl::load::compile;
use crate::asl::substitution_file::placeholders;
use crate::cli::source::Source;

/// What a placeholder may stand for, the likeliest first. Outside quotes it must be JSON.
const VALUES: &[&str] = &["1", "2026-01-02T00:00:00Z", "\"text\"", "{}", "[]", "true"];

/// Adds a stand-in for each placeholder that needs a value and has none; returns them.
pub(super) fn add(source: &Source, substitutions: &mut BTreeMap<String, String>) -> BTreeMap<String, String> {
    // Per name: which value it has.
    let mut added: BTreeMap<String, usize> = BTreeMap::new();
    // Each round gives values to some names, or better ones.
    for _ in 0..2 + VALUES.len() {
        let options = Options {
            format: source.format,
            substitutions: substitutions.clone(),
            open_placeholders: false,
            express: source.express,
        };
        let Err(findings) = compile(&source.text, &options) else {
            break;
        };
        let mut blamed: Vec<String> = Vec::new();
        for finding in findings {
            let span = finding.span.map(|span| (span.start as usize, span.end as usize));
            let written = span
                .and_then(|(start, end)| source.text.get(start..end))
                .unwrap_or_default();
            let names = placeholders(written).into_iter().map(str::to_owned);
            blamed.extend(names.filter(|name| added.contains_key(name) || !substitutions.contains_key(name)));
        }
        blamed.sort();
        blamed.dedup();
        if blamed.is_empty() {
            break;
        }
        for name in blamed {
            let round = added.entry(name.clone()).and_modify(|round| *round += 1).or_insert(0);
            let value = match *round {
                0 => first(&source.text, &name),
                n => VALUES.get(n - 1).copied().unwrap_or_default().to_owned(),
            };
            substitutions.insert(name, value);
        }
    }
    let names = added.into_keys();
    names
        .filter_map(|name| substitutions.get(&name).cloned().map(|value| (name, value)))
        .collect()
}

/// Returns the likeliest value: for what is a whole text an ARN, as most of them are.
fn first(text: &str, name: &str) -> String {
    let small = name.to_ascii_lowercase();
    let is_whole = [
        format!("\"${{{name}}}\""),
        format!(" ${{{name}}}\n"),
        format!("'${{{name}}}'"),
    ]
    .iter()
    .any(|whole| text.contains(whole.as_str()));
    if small.contains("partition") {
        "aws".to_owned()
    } else if small.contains("region") {
        "us-east-1".to_owned()
    } else if small.contains("account") {
        "123456789012".to_owned()
    } else if ["json", "parameters", "payload"]
        .iter()
        .any(|part| small.contains(part))
    {
        "{}".to_owned()
    } else if is_whole {
        let name: String = name
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || *c == '_')
            .collect();
        format!("arn:aws:lambda:us-east-1:123456789012:function:{name}")
    } else {
        "x".to_owned()
    }
}
