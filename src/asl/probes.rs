//! Every refusal whose words were seen on AWS, with a definition of our own for each, in AWS's order.

use crate::asl::load::Options;
use crate::asl::load::compile;

const MISSING: &str = "MISSING_TRANSITION_TARGET";
const NO_END: &str = "MISSING_END_STATE: Workflow has no terminal state at null";
const SCHEMA: &str = "SCHEMA_VALIDATION_FAILED";
const INVALID: &str = "INVALID_JSONATA_EXPRESSION";
const UNSUPPORTED: &str = "UNSUPPORTED_JSONATA_EXPRESSION";

#[track_caller]
fn check(definition: &str, expected: &[String]) {
    let found: Vec<String> = match compile(definition, &Options::default()) {
        Ok(_) => Vec::new(),
        Err(findings) => findings.iter().map(ToString::to_string).collect(),
    };
    assert_eq!(found, expected, "{definition}");
}

fn jsonpath(states: &str) -> String {
    format!(r#"{{"StartAt":"A","States":{{{states}}}}}"#)
}

fn jsonata(states: &str) -> String {
    format!(r#"{{"QueryLanguage":"JSONata","StartAt":"A","States":{{{states}}}}}"#)
}

/// One state `A` of a type with the fields that the type needs, and more.
fn state(kind: &str, more: &str) -> String {
    let needed = match kind {
        "Choice" => r#""Choices":[{"Variable":"$.a","IsNull":true,"Next":"Z"}],"Default":"Z""#,
        "Fail" | "Succeed" => r#""Comment":"c""#,
        "Map" => r#""End":true,"ItemProcessor":{"StartAt":"I","States":{"I":{"Type":"Succeed"}}}"#,
        "Parallel" => r#""End":true,"Branches":[{"StartAt":"B","States":{"B":{"Type":"Succeed"}}}]"#,
        "Task" => r#""End":true,"Resource":"arn:aws:states:::sqs:sendMessage""#,
        "Wait" => r#""End":true,"Seconds":1"#,
        _ => r#""End":true"#,
    };
    let end = if kind == "Choice" {
        r#","Z":{"Type":"Succeed"}"#
    } else {
        ""
    };
    let comma = if more.is_empty() { "" } else { "," };
    format!(r#""A":{{"Type":"{kind}",{needed}{comma}{more}}}{end}"#)
}

#[test]
fn graph_rules() {
    let choice = |next: &str, default: &str| {
        format!(
            r#""A":{{"Type":"Choice","Choices":[{{"Variable":"$.a","IsNull":true,"Next":"{next}"}}],"Default":"{default}"}}"#
        )
    };
    for (definition, expected) in [
        (jsonpath(r#""A":{"Type":"Pass","Next":"A"}"#), vec![NO_END.to_owned()]),
        (
            jsonpath(r#""A":{"Type":"Pass","Next":"A"},"Z":{"Type":"Pass","End":true}"#),
            vec![format!(r#"{MISSING}: State "Z" is not reachable. at /States/Z"#)],
        ),
        (
            jsonpath(r#""A":{"Type":"Pass","Next":"X"},"Z":{"Type":"Pass","Next":"Z"}"#),
            vec![
                format!("{MISSING}: Missing 'Next' target: X at /States/A/Next"),
                NO_END.to_owned(),
            ],
        ),
        (
            jsonpath(&format!(r#"{},"Z":{{"Type":"Succeed"}}"#, choice("Z", "X"))),
            vec![format!("{MISSING}: Missing 'Next' target: X at /States/A/Default")],
        ),
        (
            jsonpath(&format!(r#"{},"Z":{{"Type":"Succeed"}}"#, choice("X", "Z"))),
            vec![format!(
                "{MISSING}: Missing 'Next' target: X at /States/A/Choices[0]/Next"
            )],
        ),
        (
            jsonpath(&state("Task", r#""Catch":[{"ErrorEquals":["States.ALL"],"Next":"X"}]"#)),
            vec![format!(
                "{MISSING}: Missing 'Next' target: X at /States/A/Catch[0]/Next"
            )],
        ),
        (
            r#"{"StartAt":"X","States":{"A":{"Type":"Pass","Next":"B"},"B":{"Type":"Succeed"}}}"#.to_owned(),
            vec![
                format!("{MISSING}: Missing 'Next' target: X at /StartAt"),
                format!(r#"{MISSING}: State "A" is not reachable. at /States/A"#),
                format!(r#"{MISSING}: State "B" is not reachable. at /States/B"#),
            ],
        ),
        (
            jsonpath(r#""A":{"Type":"Pass","Next":"X"},"B":{"Type":"Succeed"}"#),
            vec![
                format!("{MISSING}: Missing 'Next' target: X at /States/A/Next"),
                format!(r#"{MISSING}: State "B" is not reachable. at /States/B"#),
            ],
        ),
        (
            jsonpath(
                r#""A":{"Type":"Map","Next":"Z","ItemProcessor":{"StartAt":"X","States":{"I":{"Type":"Pass","Next":"Z"}}}},"Z":{"Type":"Succeed"}"#,
            ),
            vec![
                format!("{MISSING}: Missing 'Next' target: X at /States/A/ItemProcessor/StartAt"),
                format!("{MISSING}: Missing 'Next' target: Z at /States/A/ItemProcessor/States/I/Next"),
                format!(r#"{MISSING}: State "I" is not reachable. at /States/A/ItemProcessor/States/I"#),
            ],
        ),
        (
            jsonpath(
                r#""A":{"Type":"Parallel","End":true,"Branches":[{"StartAt":"B","States":{"B":{"Type":"Pass","Next":"A"}}}]}"#,
            ),
            vec![format!(
                "{MISSING}: Missing 'Next' target: A at /States/A/Branches[0]/States/B/Next"
            )],
        ),
        (
            jsonpath(
                r#""A":{"Type":"Map","End":true,"Iterator":{"StartAt":"a/b","States":{"a/b":{"Type":"Pass","Next":"X"}}}}"#,
            ),
            vec![format!(
                "{MISSING}: Missing 'Next' target: X at /States/A/Iterator/States/a/b/Next"
            )],
        ),
        (
            jsonpath(
                r#""A":{"Type":"Map","End":true,"ItemProcessor":{"StartAt":"I","States":{"I":{"Type":"Pass","Next":"I"}}}}"#,
            ),
            vec![],
        ),
        (
            jsonpath(&format!(
                r#""A":{{"Type":"Pass","Next":"{0}"}},"{0}":{{"Type":"Succeed"}}"#,
                "n".repeat(81)
            )),
            vec![format!(
                "INVALID_STATE_NAME: Invalid State name: State '{0}' exceeds the 80-character limit allowed by the service at /States/{0}",
                "n".repeat(81)
            )],
        ),
    ] {
        check(&definition, &expected);
    }
}

#[test]
fn fields_of_state_types() {
    for field in ["TimeoutSeconds", "Catch", "Retry"] {
        let value = if field == "TimeoutSeconds" { "1" } else { "[]" };
        for (kind, is_refused) in [
            ("Pass", true),
            ("Wait", true),
            ("Choice", true),
            ("Succeed", true),
            ("Fail", true),
            ("Map", field == "TimeoutSeconds"),
            ("Parallel", field == "TimeoutSeconds"),
            ("Task", false),
        ] {
            let expected = format!("{SCHEMA}: Field '{field}' is not supported at /States/A");
            let expected = if is_refused { vec![expected] } else { Vec::new() };
            check(&jsonpath(&state(kind, &format!(r#""{field}":{value}"#))), &expected);
        }
    }
    for (kind, field) in [("Task", "MaxConcurrency"), ("Pass", "Resource"), ("Succeed", "End")] {
        let expected = format!("{SCHEMA}: Field '{field}' is not supported at /States/A");
        check(&jsonpath(&state(kind, &format!(r#""{field}":1"#))), &[expected]);
    }
}

#[test]
fn query_languages() {
    let not_here = |is: &str, field: &str, needed: &str| {
        format!(
            "{SCHEMA}: The QueryLanguage is set to '{is}', but field '{field}' is only supported for the '{needed}' QueryLanguage at /States/A"
        )
    };
    let of_values = "Value should be one of the following: [JSONPath, JSONata]";
    let mixed = format!(
        "{SCHEMA}: 'QueryLanguage' can not be 'JSONPath' if set to 'JSONata' for whole state machine at /States/A"
    );
    for (kind, field, value) in [
        ("Pass", "Output", "1"),
        ("Task", "Arguments", "{}"),
        ("Parallel", "Arguments", "{}"),
        ("Map", "Items", "[]"),
    ] {
        let expected = not_here("JSONPath", field, "JSONata");
        check(&jsonpath(&state(kind, &format!(r#""{field}":{value}"#))), &[expected]);
    }
    for (kind, field, value) in [
        ("Pass", "InputPath", r#""$""#),
        ("Pass", "OutputPath", "null"),
        ("Pass", "ResultPath", "null"),
        ("Pass", "Parameters", "{}"),
        ("Pass", "Result", "1"),
        ("Task", "ResultSelector", "{}"),
        ("Task", "TimeoutSecondsPath", r#""$.a""#),
        ("Task", "HeartbeatSecondsPath", r#""$.a""#),
        ("Map", "ItemsPath", r#""$.a""#),
        ("Map", "MaxConcurrencyPath", r#""$.a""#),
        ("Map", "ToleratedFailureCountPath", r#""$.a""#),
        ("Map", "ToleratedFailurePercentagePath", r#""$.a""#),
        ("Fail", "ErrorPath", r#""$.a""#),
        ("Fail", "CausePath", r#""$.a""#),
    ] {
        let expected = not_here("JSONata", field, "JSONPath");
        check(&jsonata(&state(kind, &format!(r#""{field}":{value}"#))), &[expected]);
    }
    for (definition, expected) in [
        (
            jsonata(&state(
                "Pass",
                r#""QueryLanguage":"JSONPath","Output":1,"InputPath":"$""#,
            )),
            vec![mixed.clone()],
        ),
        (
            jsonata(&state("Map", r#""QueryLanguage":"JSONPath","MaxConcurrency":-1"#)),
            vec![
                mixed,
                format!("{SCHEMA}: Minimum value is 0 at /States/A/MaxConcurrency"),
            ],
        ),
        (
            jsonata(&state("Pass", r#""QueryLanguage":"jsonpath""#)),
            vec![format!("{SCHEMA}: {of_values} at /States/A/QueryLanguage")],
        ),
        (
            jsonpath(&state("Pass", r#""QueryLanguage":5,"InputPath":"$""#)),
            vec![
                not_here("JSONata", "InputPath", "JSONPath"),
                format!("{SCHEMA}: Expected value of type [STRING] at /States/A/QueryLanguage"),
            ],
        ),
        (
            format!(
                r#"{{"QueryLanguage":"X",{}"#,
                &jsonpath(&state("Pass", r#""InputPath":"$""#))[1..]
            ),
            vec![
                format!("{SCHEMA}: {of_values} at /QueryLanguage"),
                not_here("JSONata", "InputPath", "JSONPath"),
            ],
        ),
        (
            jsonpath(
                r#""A":{"Type":"Map","End":true,"ItemProcessor":{"QueryLanguage":"JSONata","StartAt":"I","States":{"I":{"Type":"Succeed"}}}}"#,
            ),
            vec![format!(
                "{SCHEMA}: Field 'QueryLanguage' is not supported at /States/A/ItemProcessor"
            )],
        ),
        (
            jsonpath(
                r#""A":{"Type":"Map","End":true,"Iterator":{"QueryLanguage":"JSONata","StartAt":"I","States":{"I":{"Type":"Succeed"}}}}"#,
            ),
            vec![format!(
                "{SCHEMA}: Field 'QueryLanguage' is not supported at /States/A/Iterator"
            )],
        ),
        // A Map's own language covers its own fields, and the states inside have the machine's.
        (
            jsonpath(
                r#""A":{"Type":"Map","QueryLanguage":"JSONata","Items":[],"End":true,"ItemProcessor":{"StartAt":"I","States":{"I":{"Type":"Pass","InputPath":"$","End":true}}}}"#,
            ),
            vec![],
        ),
        (jsonpath(&state("Pass", r#""Assign":{"x":1}"#)), vec![]),
        (jsonata(&state("Pass", r#""Assign":{"x":1}"#)), vec![]),
    ] {
        check(&definition, &expected);
    }
}

/// A Distributed Map `A` with these fields; `reader` and `batcher` go into `ReaderConfig` and `ItemBatcher`.
fn distributed(map: &str, reader: &str, batcher: &str) -> String {
    format!(
        r#""A":{{"Type":"Map","End":true,{map}"ItemReader":{{"Resource":"arn:aws:states:::s3:getObject","ReaderConfig":{{"InputType":"JSON"{reader}}}}},"ItemBatcher":{{"MaxItemsPerBatch":1{batcher}}},"ItemProcessor":{{"ProcessorConfig":{{"Mode":"DISTRIBUTED","ExecutionType":"STANDARD"}},"StartAt":"I","States":{{"I":{{"Type":"Succeed"}}}}}}}}"#
    )
}

#[test]
fn numbers_of_a_map() {
    let reader = "/States/A/ItemReader/ReaderConfig";
    let batcher = "/States/A/ItemBatcher";
    for (map, config, batch, expected) in [
        ("MaxConcurrency", "", "", "/States/A"),
        ("ToleratedFailureCount", "", "", "/States/A"),
        ("ToleratedFailurePercentage", "", "", "/States/A"),
        ("", "MaxItems", "", reader),
        ("", "", "MaxInputBytesPerBatch", batcher),
    ] {
        let field = [map, config, batch].concat();
        let build = |suffix: &str, value: &str| {
            let member = |name: &str| match name {
                "" => String::new(),
                name => format!(r#""{name}{suffix}":{value}"#),
            };
            let lead = |text: String| if text.is_empty() { text } else { format!(",{text}") };
            let trail = |text: String| if text.is_empty() { text } else { format!("{text},") };
            jsonpath(&distributed(
                &trail(member(map)),
                &lead(member(config)),
                &lead(member(batch)),
            ))
        };
        let minimum = if field.ends_with("Percentage") { "0.0" } else { "0" };
        check(
            &build("", "-1"),
            &[format!("{SCHEMA}: Minimum value is {minimum} at {expected}/{field}")],
        );
        for path in [r#""$$.a""#, r#""$.a[*]""#, r#""$..a""#] {
            check(
                &build("Path", path),
                &[format!(
                    "{SCHEMA}: Value is not a Reference Path at {expected}/{field}Path"
                )],
            );
        }
        check(&build("Path", r#""$.a""#), &[]);
        check(&build("", "1.0"), &[]);
    }
    for (states, expected) in [
        (
            distributed(r#""ToleratedFailurePercentage":100.5,"#, "", ""),
            "Maximum value is 100.0 at /States/A/ToleratedFailurePercentage",
        ),
        (
            distributed("", r#","MaxItems":100000001"#, ""),
            "Maximum value is 100000000 at /States/A/ItemReader/ReaderConfig/MaxItems",
        ),
        (
            distributed("", r#","MaxItemsPath":"$.n","MaxItems":1"#, ""),
            "There should only be one of the following fields: [MaxItems, MaxItemsPath] at /States/A/ItemReader/ReaderConfig",
        ),
        (
            distributed("", "", r#","MaxItemsPerBatchPath":"$.n""#),
            "There should only be one of the following fields: [MaxItemsPerBatch, MaxItemsPerBatchPath] at /States/A/ItemBatcher",
        ),
    ] {
        check(&jsonpath(&states), &[format!("{SCHEMA}: {expected}")]);
    }
    check(
        &jsonpath(&distributed(r#""ItemsPath":"$$.Execution.Input.a","#, "", "")),
        &[],
    );
}

#[test]
fn expressions() {
    let top = |name: &str| {
        format!("{UNSUPPORTED}: Reference to '{name}' at the top level is not supported. at /States/A/Output")
    };
    let invalid = |message: &str| format!("{INVALID}: {message} at /States/A/Output");
    for (expression, expected) in [
        ("a[1,2)", vec![invalid(r#"Expected "]", got ",""#)]),
        (
            r#""unterminated"#,
            vec![invalid("String literal must be terminated by a matching quote")],
        ),
        ("1 +", vec![invalid("Unexpected end of expression")]),
        ("$x :=", vec![invalid("Unexpected end of expression")]),
        ("", vec![invalid("Unexpected end of expression")]),
        (
            r#"{"a":}"#,
            vec![invalid(r#"The symbol "}" cannot be used as a unary operator"#)],
        ),
        (
            "phone %.other",
            vec![invalid(r#"The symbol "." cannot be used as a unary operator"#)],
        ),
        (
            r#"$match("a", /abc"#,
            vec![invalid("No terminating / in regular expression")],
        ),
        ("phone", vec![top("phone")]),
        ("phone[0].n", vec![top("phone")]),
        ("(phone).x", vec![top("phone")]),
        ("[phone].x", vec![top("phone")]),
        ("-phone", vec![top("phone")]),
        ("aaa + bbb", vec![top("aaa"), top("bbb")]),
        ("aaa + aaa", vec![top("aaa")]),
        ("[a..b]", vec![top("a"), top("b")]),
        ("a in b", vec![top("a"), top("b")]),
        ("a & b", vec![top("a"), top("b")]),
        ("a ~> $count", vec![top("a")]),
        ("a ? b : c", vec![top("a"), top("b"), top("c")]),
        ("$count(phone)", vec![top("phone")]),
        ("phone(1)", vec![top("phone")]),
        ("[phone]", vec![top("phone")]),
        ("{phone: 1}", vec![top("phone")]),
        ("{'k': phone}", vec![top("phone")]),
        ("$x := phone", vec![top("phone")]),
        ("(a; b)", vec![top("a"), top("b")]),
        ("$map($states.input.a, function($y){ phone })", vec![top("phone")]),
        ("$", vec![top("$")]),
        (
            "$$",
            vec![format!(
                "{UNSUPPORTED}: Reference to '$$' is not supported. at /States/A/Output"
            )],
        ),
        (
            "$$.phone",
            vec![format!(
                "{UNSUPPORTED}: Reference to '$$' is not supported. at /States/A/Output"
            )],
        ),
        (
            "$states.errorOutput.Cause",
            vec![format!(
                "{UNSUPPORTED}: Field '$states.errorOutput' does not exist. at /States/A/Output"
            )],
        ),
        ("$states.input.a.b[c = 1]^(d){e: f}", vec![]),
        ("$states.input ~> |a|{'b': c}|", vec![]),
        ("**.phone", vec![]),
        ("{'k':1}.phone", vec![]),
        ("$states.input.a[$ > 1]", vec![]),
        ("'phone'", vec![]),
        ("$phone", vec![]),
        ("$states", vec![]),
        ("$eval('1')", vec![]),
    ] {
        let text = serde_json::json!(format!("{{% {expression} %}}"));
        check(&jsonata(&state("Pass", &format!(r#""Output":{text}"#))), &expected);
        // A JSONPath machine is not searched.
        check(&jsonpath(&state("Pass", &format!(r#""Result":{text}"#))), &[]);
    }
}

#[test]
fn where_expressions_are_searched() {
    let finding = |at: &str| {
        vec![format!(
            "{UNSUPPORTED}: Reference to 'p' at the top level is not supported. at /States/A/{at}"
        )]
    };
    for (kind, more, at) in [
        ("Pass", r#""Output":{"a":{"b":["{% p %}"]}}"#, "Output/a/b[0]"),
        ("Pass", r#""Assign":{"Next":"{% p %}"}"#, "Assign/Next"),
        (
            "Task",
            r#""Arguments":{"Payload":{"Comment":"{% p %}"}}"#,
            "Arguments/Payload/Comment",
        ),
        ("Task", r#""TimeoutSeconds":"{% p %}""#, "TimeoutSeconds"),
        ("Map", r#""Items":"{% p %}""#, "Items"),
        ("Map", r#""ItemSelector":{"a":"{% p %}"}"#, "ItemSelector/a"),
        (
            "Task",
            r#""Catch":[{"ErrorEquals":["States.ALL"],"Next":"A","Assign":{"Retry":"{% p %}"}}]"#,
            "Catch[0]/Assign/Retry",
        ),
        (
            "Task",
            r#""Catch":[{"ErrorEquals":["States.ALL"],"Next":"A","Output":"{% p & $states.errorOutput %}"}]"#,
            "Catch[0]/Output",
        ),
    ] {
        check(&jsonata(&state(kind, more)), &finding(at));
    }
    for (states, at) in [
        (r#""A":{"Type":"Wait","End":true,"Seconds":"{% p %}"}"#, "Seconds"),
        (r#""A":{"Type":"Fail","Cause":"{% p %}"}"#, "Cause"),
        (
            r#""A":{"Type":"Choice","Choices":[{"Condition":"{% p %}","Next":"Z"}],"Default":"Z"},"Z":{"Type":"Succeed"}"#,
            "Choices[0]/Condition",
        ),
        (
            r#""A":{"Type":"Map","End":true,"ItemProcessor":{"StartAt":"I","States":{"I":{"Type":"Pass","End":true,"Output":{"v":"{% p %}"}}}}}"#,
            "ItemProcessor/States/I/Output/v",
        ),
        (
            r#""A":{"Type":"Parallel","End":true,"Branches":[{"StartAt":"B","States":{"B":{"Type":"Pass","End":true,"Output":{"v":"{% p %}"}}}}]}"#,
            "Branches[0]/States/B/Output/v",
        ),
    ] {
        check(&jsonata(states), &finding(at));
    }
    check(
        &jsonata(&distributed("", "", r#","BatchInput":{"Comment":"{% p %}"}"#)),
        &finding("ItemBatcher/BatchInput/Comment"),
    );
    check(&jsonata(&distributed("", r#","CSVHeaders":["{% p %}"]"#, "")), &[]);
    check(
        &jsonata(&state(
            "Task",
            r#""Comment":"{% p %}","Retry":[{"ErrorEquals":["{% p %}"]}]"#,
        )),
        &[],
    );
}
