//! What to do about a finding: a sentence for people, beside AWS's own.

use crate::asl::diagnostic::Diagnostic;
use crate::lint::finding::Finding;
use crate::lint::finding::Severity;

/// Begins of messages, and what to do then. The first that fits counts.
const BY_MESSAGE: &[(&str, &str)] = &[
    (
        "Missing 'Next' target",
        "name a state of the same `States` object: nothing leads into a branch or an item processor, or out of it",
    ),
    (
        "State \"",
        "let a `Next`, `Default`, choice rule or catcher lead to it, or remove it",
    ),
    (
        "Workflow has no terminal state",
        "write `\"End\": true` in a state, or add one of type Succeed or Fail",
    ),
    (
        "Duplicate State name",
        "a name counts for the whole definition, branches and item processors included",
    ),
    (
        "There should be one of the following fields: [Next, End]",
        "write `\"Next\"` with the name of the state that follows, or `\"End\": true`",
    ),
    (
        "The QueryLanguage is set to 'JSONPath'",
        "write `\"QueryLanguage\": \"JSONata\"` in the state or the machine, or use the field's JSONPath counterpart",
    ),
    (
        "The resource provided",
        "a Task takes a Lambda function's ARN, an activity's, or one like `arn:aws:states:::sqs:sendMessage`",
    ),
    (
        "Reference to '",
        "an expression has no input of its own: begin with `$states.input` or a variable",
    ),
    (
        "Field '$states.errorOutput'",
        "only the `Output` and `Assign` of a catcher know it",
    ),
    (
        "Field '$states.result'",
        "only the `Output` and `Assign` of a Task, Parallel or Map know it",
    ),
    (
        "Unexpected character ('}' (code 125)): was expecting double-quote",
        "remove the comma before it",
    ),
    (
        "Unexpected character (']' (code 93)): expected a valid value",
        "remove the comma before it",
    ),
    ("Unexpected character (''' (code 39))", "JSON has double quotes only"),
    (
        "Unexpected character ('/' (code 47))",
        "JSON has no comments: use the field `Comment`",
    ),
    (
        "Unexpected character ('\u{feff}'",
        "the file begins with a byte order mark: save it as UTF-8 without one",
    ),
    (
        "Unrecognized token '",
        "if this is YAML, the name of the file must end in `.yaml` or `.yml`",
    ),
    ("tabs disallowed", "indent with spaces"),
    (
        "Definition must not be larger",
        "move data out of it: an input, S3, or a nested state machine",
    ),
];

/// Makes a finding of what AWS refuses: with advice, and without a repetition of the text.
pub(crate) fn finding(mut refused: Diagnostic) -> Finding {
    let hint = advice(&refused).map(str::to_owned);
    // For unreadable text AWS repeats the whole source in message and location; people see the place itself.
    if let Some((message, _)) = refused.message.split_once("\n at [Source: ") {
        refused.message = without_source(message);
        refused.location = None;
    }
    Finding {
        hint,
        ..Finding::of_aws(refused, Severity::Error)
    }
}

/// Shortens `(start marker at [Source: (String)"…"; line: 1, column: 2])` to its line and column.
fn without_source(message: &str) -> String {
    match (message.split_once("[Source: "), message.rsplit_once("; line: ")) {
        (Some((before, _)), Some((_, after))) => format!("{before}line {}", after.replacen([':', ']'], "", 2)),
        _ => message.to_owned(),
    }
}

fn advice(refused: &Diagnostic) -> Option<&'static str> {
    let found = BY_MESSAGE.iter().find(|(begin, _)| refused.message.starts_with(begin));
    found.map(|(_, advice)| *advice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asl::load::Format;
    use crate::asl::load::Options;
    use crate::asl::load::compile;

    #[test]
    fn every_advice_is_given_to_some_definition() {
        let large = format!(r#"{{"Comment":"{}"}}"#, "x".repeat(1 << 20));
        let mut given: Vec<&str> = Vec::new();
        for (format, text) in [
            (
                Format::Json,
                r#"{"StartAt":"A","States":{"A":{"Type":"Pass","Next":"B"}}}"#,
            ),
            (
                Format::Json,
                r#"{"StartAt":"A","States":{"A":{"Type":"Succeed"},"B":{"Type":"Succeed"},"C":{"Type":"Pass"}}}"#,
            ),
            (
                Format::Json,
                r#"{"StartAt":"A","States":{"A":{"Type":"Parallel","End":true,"Output":1,"Branches":[{"StartAt":"A","States":{"A":{"Type":"Succeed"}}}]}}}"#,
            ),
            (
                Format::Json,
                r#"{"StartAt":"A","QueryLanguage":"JSONata","States":{"A":{"Type":"Task","Resource":"x","Arguments":"{% [a, $states.result, $states.errorOutput] %}","End":true}}}"#,
            ),
            (Format::Json, r#"{"a":1,}"#),
            (Format::Json, "[1,]"),
            (Format::Json, "{'a':1}"),
            (Format::Json, "// x"),
            (Format::Json, "\u{feff}{}"),
            (Format::Json, "StartAt: A"),
            (Format::Json, large.as_str()),
            (Format::Yaml, "a:\n\tb: 1"),
        ] {
            let options = Options {
                format,
                ..Options::default()
            };
            given.extend(compile(text, &options).unwrap_err().iter().filter_map(advice));
        }
        for (begin, advice) in BY_MESSAGE {
            assert!(given.contains(advice), "{begin}");
        }
    }
}
