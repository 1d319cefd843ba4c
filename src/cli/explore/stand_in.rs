//! Stand-ins for placeholders that have no value.

use std::collections::BTreeMap;

use crate::asl::load::Options;
use crate::asl::load::compile;
use crate::asl::load::placeholders;
use crate::cli::source::Source;

/// What may stand outside quotes.
const BARE: &[&str] = &["1", "\"text\"", "{}", "[]", "true"];

/// Adds a stand-in for each placeholder that needs a value and has none; returns a sentence for each.
pub(super) fn add(source: &Source, substitutions: &mut BTreeMap<String, String>) -> Vec<String> {
    let options = |substitutions: &BTreeMap<String, String>| Options {
        format: source.format,
        substitutions: substitutions.clone(),
        open_placeholders: false,
        express: source.express,
    };
    let Err(findings) = compile(&source.text, &options(substitutions)) else {
        return Vec::new();
    };
    let mut bare = Vec::new();
    let mut added = BTreeMap::new();
    for finding in findings {
        let Some(span) = finding.span.filter(|_| finding.code == "MISSING_SUBSTITUTION") else {
            continue;
        };
        let (start, end) = (span.start as usize, span.end as usize);
        let written = source.text.get(start..end).unwrap_or_default();
        let is_bare = written.starts_with("${");
        let is_whole =
            written.trim_matches(['"', '\'']).starts_with("${") && written.trim_matches(['"', '\'']).ends_with('}');
        for name in placeholders(written) {
            if substitutions.contains_key(name) || added.contains_key(name) && !is_whole {
                continue;
            }
            added.insert(name.to_owned(), quoted(name, is_whole && !is_bare));
            if is_bare {
                bare.push(name.to_owned());
            }
        }
    }
    substitutions.extend(added.clone());
    for value in BARE {
        for name in &bare {
            substitutions.insert(name.clone(), (*value).to_owned());
        }
        if bare.is_empty() || compile(&source.text, &options(substitutions)).is_ok() {
            break;
        }
    }
    added
        .keys()
        .map(|name| format!("`${{{name}}}` has no value; `{}` stands for it", substitutions[name]))
        .collect()
}

/// Returns what may stand in quotes: for a whole text an ARN, as most of them are.
fn quoted(name: &str, is_whole: bool) -> String {
    let small = name.to_ascii_lowercase();
    if small.contains("partition") {
        "aws".to_owned()
    } else if small.contains("region") {
        "us-east-1".to_owned()
    } else if small.contains("account") {
        "123456789012".to_owned()
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
