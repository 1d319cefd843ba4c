//! SARIF 2.1.0: a result for each failed case.

use serde_json::Value;
use serde_json::json;

use crate::cli::report::fingerprint::fingerprint;
use crate::cli::report::path::told;
use crate::cli::report::sarif;
use crate::cli::test::Outcome;
use crate::cli::test::Results;
use crate::model::span::Span;

/// The one rule.
const RULE: &str = "test/failed-case";

/// Writes the log.
pub(crate) fn log(results: &Results<'_>) -> String {
    let failed = results.outcomes.iter().filter(|outcome| outcome.is_failure());
    let failed: Vec<String> = failed.map(|outcome| result(outcome).to_string()).collect();
    let broken: Vec<(String, &str)> = results
        .broken
        .iter()
        .map(|broken| (told(&broken.path), broken.fault.message.as_str()))
        .collect();
    let broken = broken.iter().map(|(path, message)| (path.as_str(), *message));
    sarif::begin(&[rule()]) + &failed.join(sarif::BETWEEN) + &sarif::end(broken)
}

fn rule() -> Value {
    let text = "A case of a test file does not give what it expects. Either the definition does not do what is wanted, \
        or the case, its mocks or its history do not follow a change of the definition.";
    json!({
        "id": RULE,
        "shortDescription": { "text": "A test of a state machine failed." },
        "fullDescription": { "text": text },
        "help": { "text": text },
        "defaultConfiguration": { "level": "error" },
        "properties": { "precision": "very-high", "problem.severity": "error" },
    })
}

fn result(outcome: &Outcome<'_>) -> Value {
    let (suite, case) = (outcome.suite, outcome.case);
    let path = told(&suite.path);
    let mut text = format!("{}: {}", case.name, outcome.failures.join("\n"));
    let mut result = json!({
        "ruleId": RULE,
        "ruleIndex": 0,
        "level": "error",
        "locations": [sarif::location(&path, Some(region(case.place)), Some(&case.name))],
        "partialFingerprints": { "stepfnCase/v1": fingerprint(&[&path, &case.name]) },
    });
    let states = &suite.machine.definition.states;
    let failed = outcome.ran.failed_state.as_ref();
    if let Some(state) = failed.and_then(|name| states.iter().find(|state| state.name == *name)) {
        let mut related = sarif::location(&told(&suite.machine.path), Some(region(state.span)), Some(&state.name));
        related["id"] = json!(1);
        related["message"] = json!({ "text": format!("The state `{}`.", state.name) });
        result["relatedLocations"] = json!([related]);
        // Code scanning shows what the message links to.
        let name = state.name.replace('\\', "\\\\").replace('[', "\\[").replace(']', "\\]");
        text += &format!("\nIt ends in the state [{name}](1).");
    }
    result["message"] = json!({ "text": text });
    result
}

fn region(span: Span) -> Value {
    json!({ "startLine": span.line.max(1), "startColumn": span.column.max(1) })
}
