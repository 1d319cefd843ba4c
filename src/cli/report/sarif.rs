//! SARIF 2.1.0: a log of one run, a result a line.
//!
//! Source: OASIS, "Static Analysis Results Interchange Format (SARIF) Version 2.1.0".

use serde_json::Value;
use serde_json::json;

use crate::cli::report::path::uri;

/// The schema that the document follows.
const SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";
/// What stands between two results.
pub(crate) const BETWEEN: &str = ",\n";

/// Writes what stands before the results. Columns count characters.
pub(crate) fn begin(rules: &[Value]) -> String {
    let driver = json!({
        "name": "stepfn",
        "semanticVersion": env!("CARGO_PKG_VERSION"),
        "rules": rules,
    });
    format!(
        "{{\"$schema\":\"{SCHEMA}\",\"version\":\"2.1.0\",\"runs\":[{{\"tool\":{{\"driver\":{driver}}},\
         \"columnKind\":\"unicodeCodePoints\",\"results\":[\n"
    )
}

/// Writes what stands behind the results: the files that could not be read, each with its message.
pub(crate) fn end<'a>(unreadable: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let notifications: Vec<Value> = unreadable
        .map(|(path, message)| {
            json!({
                "level": "error",
                "message": { "text": message },
                "locations": [location(path, None, None)],
            })
        })
        .collect();
    let invocation = json!({
        "executionSuccessful": notifications.is_empty(),
        "toolExecutionNotifications": notifications,
    });
    format!("\n],\"invocations\":[{invocation}]}}]}}\n")
}

/// Returns a place: a file, a region in it, the name of what stands there.
pub(crate) fn location(path: &str, region: Option<Value>, name: Option<&str>) -> Value {
    let mut physical = json!({ "artifactLocation": { "uri": uri(path) } });
    if let Some(region) = region {
        physical["region"] = region;
    }
    let mut location = json!({ "physicalLocation": physical });
    if let Some(name) = name {
        location["logicalLocations"] = json!([{ "fullyQualifiedName": name }]);
    }
    location
}
