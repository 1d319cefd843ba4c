//! SARIF 2.1.0.

use serde_json::Value;
use serde_json::json;

use crate::cli::report::path::uri;
use crate::cli::report::sarif;
use crate::cli::validate::policy::Judged;
use crate::cli::validate::policy::Told;
use crate::cli::validate::policy::Why;
use crate::cli::validate::region::Region;
use crate::cli::validate::report;
use crate::cli::validate::report::Report;
use crate::cli::validate::totals::Totals;
use crate::lint::catalog;
use crate::lint::catalog::Entry;
use crate::lint::finding::Fix;
use crate::lint::finding::Severity;

/// One run, a result a line.
#[derive(Debug)]
pub(super) struct Sarif;

impl Report for Sarif {
    fn begin(&self) -> String {
        sarif::begin(&catalog::entries().map(|entry| rule(&entry)).collect::<Vec<_>>())
    }

    fn definition(&self, judged: &Judged) -> Vec<String> {
        let suppressed = judged.suppressed.iter().map(|(told, why)| {
            let mut result = result(judged, told);
            result["suppressions"] = json!([suppression(why)]);
            result
        });
        let told = judged.told.iter().map(|told| result(judged, told));
        told.chain(suppressed).map(|result| result.to_string()).collect()
    }

    fn unreadable(&self, _: &str, _: &str) -> Vec<String> {
        // It is no result: the end tells it.
        Vec::new()
    }

    fn between(&self) -> &'static str {
        sarif::BETWEEN
    }

    fn end(&self, totals: &Totals) -> String {
        let unreadable = totals.unreadable.iter();
        sarif::end(unreadable.map(|(path, message)| (path.as_str(), message.as_str())))
    }
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Information => "note",
        Severity::Warning => "warning",
    }
}

fn rule(entry: &Entry) -> Value {
    let mut markdown = entry.explanation.to_owned();
    for example in entry.examples {
        markdown += &format!(
            "\n\nBad:\n```json\n{}\n```\nGood:\n```json\n{}\n```",
            example.bad, example.good
        );
    }
    json!({
        "id": entry.id,
        "shortDescription": { "text": format!("{}.", entry.summary) },
        "fullDescription": { "text": entry.explanation },
        "help": { "text": entry.explanation, "markdown": markdown },
        "defaultConfiguration": { "level": level(entry.severity) },
        "properties": {
            "precision": match report::confidence(entry.confidence) {
                "heuristic" => "medium",
                "path" => "high",
                _ => "very-high",
            },
            "problem.severity": match entry.severity {
                Severity::Error => "error",
                Severity::Information => "recommendation",
                Severity::Warning => "warning",
            },
        },
    })
}

fn result(judged: &Judged, told: &Told) -> Value {
    let finding = &told.finding;
    let place = judged.place(finding);
    let location = sarif::location(&judged.path, told.region.as_ref().map(region), place.as_deref());
    let message = match &finding.hint {
        Some(hint) => format!("{}. To mend it: {hint}.", finding.message),
        None => format!("{}.", finding.message),
    };
    let mut result = json!({
        "ruleId": finding.rule,
        "level": level(finding.severity),
        "message": { "text": message },
        "locations": [location],
        "partialFingerprints": { "stepfnFinding/v1": told.fingerprint },
    });
    if let Some(index) = catalog::entries().position(|entry| entry.id == finding.rule) {
        result["ruleIndex"] = json!(index);
    }
    if let Some(fix) = &finding.fix {
        result["fixes"] = json!([self::fix(judged, fix)]);
    }
    result
}

fn region(region: &Region) -> Value {
    json!({
        "startLine": region.start_line,
        "startColumn": region.start_column,
        "endLine": region.end_line,
        "endColumn": region.end_column,
    })
}

fn fix(judged: &Judged, fix: &Fix) -> Value {
    let replacements = fix.edits.iter().map(|(span, text)| {
        json!({
            "deletedRegion": region(&Region::of(&judged.text, *span)),
            "insertedContent": { "text": text },
        })
    });
    json!({
        "artifactChanges": [{
            "artifactLocation": { "uri": uri(&judged.path) },
            "replacements": replacements.collect::<Vec<_>>(),
        }],
    })
}

fn suppression(why: &Why) -> Value {
    match why {
        Why::Baseline => json!({ "kind": "external", "justification": "It is in the baseline." }),
        Why::Comment(reason) if reason.is_empty() => json!({ "kind": "inSource" }),
        Why::Comment(reason) => json!({ "kind": "inSource", "justification": reason }),
        Why::Level => json!({ "kind": "external", "justification": "Its level is `allow`." }),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use serde_json::Value;

    use crate::cli::validate::report::Format;
    use crate::cli::validate::report::tests::whole;

    #[test]
    fn results_have_regions_fingerprints_and_suppressions() {
        let text = whole(Format::Sarif, ["a b.json", "/c.json"]);
        let mut log: Value = serde_json::from_str(&text).unwrap();
        let run = &mut log["runs"][0];
        let rules = run["tool"]["driver"]["rules"].as_array().unwrap().clone();
        for result in run["results"].as_array_mut().unwrap() {
            // A new rule moves the others: the snapshot does not have the index.
            let index = result.as_object_mut().unwrap().remove("ruleIndex").unwrap();
            let index = usize::try_from(index.as_u64().unwrap()).unwrap();
            assert_eq!(rules[index]["id"], result["ruleId"]);
        }
        expect![[r#"
            [
              {
                "ruleId": "NO_DOLLAR",
                "level": "warning",
                "message": {
                  "text": "The value of the field 'é' looks like a path or an intrinsic function call, but the name does not end in '.$'."
                },
                "locations": [
                  {
                    "physicalLocation": {
                      "artifactLocation": {
                        "uri": "a%20b.json"
                      },
                      "region": {
                        "startLine": 5,
                        "startColumn": 49,
                        "endLine": 5,
                        "endColumn": 54
                      }
                    },
                    "logicalLocations": [
                      {
                        "fullyQualifiedName": "/States/A/Parameters/é"
                      }
                    ]
                  }
                ],
                "partialFingerprints": {
                  "stepfnFinding/v1": "d780b5d1360d0046b38cbe0b09e27dbd"
                }
              },
              {
                "ruleId": "NO_DOLLAR",
                "level": "warning",
                "message": {
                  "text": "The value of the field 'a' looks like a path or an intrinsic function call, but the name does not end in '.$'."
                },
                "locations": [
                  {
                    "physicalLocation": {
                      "artifactLocation": {
                        "uri": "a%20b.json"
                      },
                      "region": {
                        "startLine": 6,
                        "startColumn": 101,
                        "endLine": 6,
                        "endColumn": 106
                      }
                    },
                    "logicalLocations": [
                      {
                        "fullyQualifiedName": "/States/B/Parameters/a"
                      }
                    ]
                  }
                ],
                "partialFingerprints": {
                  "stepfnFinding/v1": "47539b56bb09713fceddeb832a0b24b3"
                },
                "suppressions": [
                  {
                    "kind": "inSource",
                    "justification": "<it> is a text"
                  }
                ]
              },
              {
                "ruleId": "SCHEMA_VALIDATION_FAILED",
                "level": "error",
                "message": {
                  "text": "These fields are required: [States]."
                },
                "locations": [
                  {
                    "physicalLocation": {
                      "artifactLocation": {
                        "uri": "file:///c.json"
                      },
                      "region": {
                        "startLine": 1,
                        "startColumn": 1,
                        "endLine": 2,
                        "endColumn": 24
                      }
                    },
                    "logicalLocations": [
                      {
                        "fullyQualifiedName": "/"
                      }
                    ]
                  }
                ],
                "partialFingerprints": {
                  "stepfnFinding/v1": "898d3f8d028ae952a92c6abead237e9e"
                }
              },
              {
                "ruleId": "SCHEMA_VALIDATION_FAILED",
                "level": "error",
                "message": {
                  "text": "Field 'X' is not supported."
                },
                "locations": [
                  {
                    "physicalLocation": {
                      "artifactLocation": {
                        "uri": "file:///c.json"
                      },
                      "region": {
                        "startLine": 2,
                        "startColumn": 17,
                        "endLine": 2,
                        "endColumn": 20
                      }
                    },
                    "logicalLocations": [
                      {
                        "fullyQualifiedName": "/"
                      }
                    ]
                  }
                ],
                "partialFingerprints": {
                  "stepfnFinding/v1": "42e72e1416de0530aec48e1c1baf750c"
                }
              }
            ]
            [
              {
                "executionSuccessful": false,
                "toolExecutionNotifications": [
                  {
                    "level": "error",
                    "message": {
                      "text": "failed to read `c.json`: \u0001"
                    },
                    "locations": [
                      {
                        "physicalLocation": {
                          "artifactLocation": {
                            "uri": "c.json"
                          }
                        }
                      }
                    ]
                  }
                ]
              }
            ]
        "#]].assert_eq(&format!("{:#}\n{:#}\n", run["results"], run["invocations"]));
    }
}
