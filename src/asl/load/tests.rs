//! What the loader accepts, refuses and says.

use super::*;

fn findings_with(text: &str, options: &Options) -> Vec<String> {
    match compile(text, options) {
        Ok(_) => Vec::new(),
        Err(findings) => findings.iter().map(ToString::to_string).collect(),
    }
}

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    assert_eq!(findings_with(text, &Options::default()), expected, "{text}");
}

/// Wraps states into a machine that starts at `A`.
fn machine(states: &str) -> String {
    format!(r#"{{"StartAt":"A","States":{{{states}}}}}"#)
}

fn jsonata(states: &str) -> String {
    format!(r#"{{"QueryLanguage":"JSONata","StartAt":"A","States":{{{states}}}}}"#)
}

#[test]
fn a_machine_needs_its_fields() {
    for (text, expected) in [
        (
            "{}",
            vec!["SCHEMA_VALIDATION_FAILED: These fields are required: [States, StartAt] at /"],
        ),
        (
            "",
            vec!["SCHEMA_VALIDATION_FAILED: Definition must be a valid JSON object at null"],
        ),
        (
            "[]",
            vec!["SCHEMA_VALIDATION_FAILED: Definition must be a valid JSON object at null"],
        ),
        (
            r#"{"StartAt":"A","States":{}}"#,
            vec!["SCHEMA_VALIDATION_FAILED: Value cannot be empty at /States"],
        ),
        (
            r#"{"StartAt":"A","States":{"A":{"Type":"Succeed"}},"X":1,"QueryLanguage":5,"TimeoutSeconds":0}"#,
            vec![
                "SCHEMA_VALIDATION_FAILED: Field 'X' is not supported at /",
                "SCHEMA_VALIDATION_FAILED: Expected value of type [STRING] at /QueryLanguage",
                "SCHEMA_VALIDATION_FAILED: Minimum value is 1 at /TimeoutSeconds",
            ],
        ),
    ] {
        check(text, &expected);
    }
}

#[test]
fn targets_ends_and_reachability_are_checked() {
    for (states, expected) in [
        (
            r#""A":{"Type":"Pass","Next":"Z"}"#,
            vec![
                "MISSING_TRANSITION_TARGET: Missing 'Next' target: Z at /States/A/Next",
                "MISSING_END_STATE: Workflow has no terminal state at null",
            ],
        ),
        (
            r#""A":{"Type":"Pass","Next":"A"},"B":{"Type":"Pass","Next":"A"}"#,
            vec!["MISSING_END_STATE: Workflow has no terminal state at null"],
        ),
        (
            r#""A":{"Type":"Pass","Next":"A"},"B":{"Type":"Succeed"}"#,
            vec!["MISSING_TRANSITION_TARGET: State \"B\" is not reachable. at /States/B"],
        ),
        (
            r#""A":{"Type":"Choice","Choices":[{"Variable":"$.a","IsNull":true,"Next":"Y"}],"Default":"Z"},"B":{"Type":"Succeed"}"#,
            vec![
                "MISSING_TRANSITION_TARGET: Missing 'Next' target: Z at /States/A/Default",
                "MISSING_TRANSITION_TARGET: Missing 'Next' target: Y at /States/A/Choices[0]/Next",
                "MISSING_TRANSITION_TARGET: State \"B\" is not reachable. at /States/B",
            ],
        ),
        (
            r#""A":{"Type":"Parallel","End":true,"Branches":[{"StartAt":"Q","States":{"A":{"Type":"Succeed"}}}]}"#,
            vec![
                "DUPLICATE_STATE_NAME: Duplicate State name: A at /States/A/Branches[0]/States/A",
                "MISSING_TRANSITION_TARGET: Missing 'Next' target: Q at /States/A/Branches[0]/StartAt",
                "MISSING_TRANSITION_TARGET: State \"A\" is not reachable. at /States/A/Branches[0]/States/A",
            ],
        ),
        (
            r#""A":{"Type":"Map","End":true,"ItemProcessor":{"StartAt":"I","States":{"I":{"Type":"Pass","Next":"I"}}}}"#,
            vec![],
        ),
    ] {
        check(&machine(states), &expected);
    }
}

#[test]
fn fields_are_checked_where_they_stand() {
    let name = "n".repeat(81);
    let long = format!(r#"{{"StartAt":"{name}","States":{{"{name}":{{"Type":"Succeed"}}}}}}"#);
    check(
        &long,
        &[&format!(
            "INVALID_STATE_NAME: Invalid State name: State '{name}' exceeds the 80-character limit allowed by the service at /States/{name}"
        )],
    );
    for (states, expected) in [
        (
            r#""A":{"Type":"Nope","End":true}"#,
            vec![
                "The field 'Type' should have one of these values: [Task, Wait, Pass, Succeed, Fail, Choice, Parallel, Map] at /States/A/Type",
            ],
        ),
        (
            r#""A":{"Type":"Pass","End":true,"TimeoutSeconds":1,"Catch":[]}"#,
            vec![
                "Field 'TimeoutSeconds' is not supported at /States/A",
                "Field 'Catch' is not supported at /States/A",
            ],
        ),
        (
            r#""A":{"Type":"Pass","End":true,"Output":1}"#,
            vec![
                "The QueryLanguage is set to 'JSONPath', but field 'Output' is only supported for the 'JSONata' QueryLanguage at /States/A",
            ],
        ),
        (
            r#""A":{"Type":"Pass","End":true,"QueryLanguage":"jsonpath","InputPath":"$"}"#,
            vec![
                "The QueryLanguage is set to 'JSONata', but field 'InputPath' is only supported for the 'JSONPath' QueryLanguage at /States/A",
                "Value should be one of the following: [JSONPath, JSONata] at /States/A/QueryLanguage",
            ],
        ),
        (
            r#""A":{"Type":"Pass","Next":5}"#,
            vec!["Expected value of type [STRING] at /States/A/Next"],
        ),
        (
            r#""A":{"Type":"Pass","End":"true"}"#,
            vec!["Expected value of type [BOOLEAN] at /States/A/End"],
        ),
        (r#""A":[]"#, vec!["Expected value of type [OBJECT] at /States/A"]),
        (
            r#""A":{"Type":"Parallel","End":true,"Parameters":"$.a","ResultSelector":null,"Branches":[{"StartAt":"B","States":{"B":{"Type":"Pass","Parameters":[],"End":true}}}]}"#,
            vec![
                "Expected value of type [OBJECT] at /States/A/Parameters",
                "Expected value of type [OBJECT] at /States/A/ResultSelector",
                "Expected value of type [OBJECT] at /States/A/Branches[0]/States/B/Parameters",
            ],
        ),
        (
            r#""A":{"Type":"Parallel","End":true,"Branches":[]}"#,
            vec!["Value cannot be empty at /States/A/Branches"],
        ),
        (
            r#""A":{"Type":"Parallel","End":true,"Branches":[{"QueryLanguage":"JSONata","StartAt":"B","States":{"B":{"Type":"Succeed"}}}]}"#,
            vec!["Field 'QueryLanguage' is not supported at /States/A/Branches[0]"],
        ),
        (
            r#""A":{"Type":"Wait","End":true,"Timestamp":"2020"}"#,
            vec!["String does not match RFC3339 timestamp at /States/A/Timestamp"],
        ),
        (
            r#""A":{"Type":"Wait","End":true,"Seconds":-1}"#,
            vec!["Minimum value is 0 at /States/A/Seconds"],
        ),
        (
            r#""A":{"Type":"Task","End":true,"Resource":"arn:aws:states:::dynamodb:query","Credentials":{}}"#,
            vec![
                "The resource provided arn:aws:states:::dynamodb:query is not recognized. The value is not a valid resource ARN, or the resource is not available in this region. at /States/A/Resource",
                "The field 'RoleArn' is required but was missing at /States/A/Credentials",
            ],
        ),
        (
            r#""A":{"Type":"Map","End":true,"MaxConcurrency":-1,"ToleratedFailurePercentage":101,"ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"STANDARD","X":1},"StartAt":"B","States":{"B":{"Type":"Succeed"}}},"ItemReader":{"Resource":"arn:aws:states:::s3:getObject","ReaderConfig":{"InputType":"JSON","MaxItems":1,"MaxItemsPath":"$.n"}}}"#,
            vec![
                "Field 'X' is not supported at /States/A/ItemProcessor/ProcessorConfig",
                "There should only be one of the following fields: [MaxItems, MaxItemsPath] at /States/A/ItemReader/ReaderConfig",
                "Minimum value is 0 at /States/A/MaxConcurrency",
                "Maximum value is 100.0 at /States/A/ToleratedFailurePercentage",
            ],
        ),
        (
            r#""A":{"Type":"Map","End":true,"MaxConcurrencyPath":"$$.x","ToleratedFailureCountPath":"$.a[*]","ItemProcessor":{"StartAt":"B","States":{"B":{"Type":"Succeed"}}}}"#,
            vec![
                "Value is not a Reference Path at /States/A/MaxConcurrencyPath",
                "Value is not a Reference Path at /States/A/ToleratedFailureCountPath",
            ],
        ),
        (
            r#""A":{"Type":"Task","End":true,"Resource":"arn:aws:states:::sqs:sendMessage","ResultPath":"$$.a","Retry":[{"ErrorEquals":["States.ALL","X"],"BackoffRate":0.5},{"ErrorEquals":[],"MaxAttempts":"1"}],"Catch":[{"ErrorEquals":["X"],"Next":"A","Output":1}]}"#,
            vec![
                "Value is not a Reference Path at /States/A/ResultPath",
                "Minimum value is 1.0 at /States/A/Retry[0]/BackoffRate",
                "'States.ALL' can not be used with other error names at /States/A/Retry[0]/ErrorEquals",
                "'States.ALL' can only be used in the last element at /States/A/Retry[0]/ErrorEquals",
                "Expected value of type [INTEGER] at /States/A/Retry[1]/MaxAttempts",
                "Value cannot be empty at /States/A/Retry[1]/ErrorEquals",
                "The QueryLanguage is set to 'JSONPath', but field 'Output' is only supported for the 'JSONata' QueryLanguage at /States/A/Catch[0]",
            ],
        ),
        (
            r#""A":{"Type":"Choice","Default":"B","Choices":[{"And":[],"Next":"B"},{"Variable":"$.a","StringEquals":"a","IsNull":true,"Next":"B"},{"Not":{"Variable":"$.a","NumericEquals":"1","Next":"B"},"Next":"B"}]},"B":{"Type":"Fail","Error":"a","ErrorPath":"$.a"}"#,
            vec![
                "Value cannot be empty at /States/A/Choices[0]/And",
                "There should only be one of the following fields: [StringEquals, IsNull] at /States/A/Choices[1]",
                "Field 'Next' is not supported at /States/A/Choices[2]/Not",
                "Expected value of type [NUMBER] at /States/A/Choices[2]/Not/NumericEquals",
                "There should only be one of the following fields: [Error, ErrorPath] at /States/B",
            ],
        ),
    ] {
        let expected: Vec<String> = expected
            .iter()
            .map(|message| format!("SCHEMA_VALIDATION_FAILED: {message}"))
            .collect();
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        check(&machine(states), &expected);
    }
}

#[test]
fn jsonata_is_checked_at_creation() {
    for (states, expected) in [
        (
            r#""A":{"Type":"Wait","End":true,"QueryLanguage":"JSONPath","Seconds":-1,"Output":1}"#,
            vec![
                "SCHEMA_VALIDATION_FAILED: 'QueryLanguage' can not be 'JSONPath' if set to 'JSONata' for whole state machine at /States/A",
                "SCHEMA_VALIDATION_FAILED: Minimum value is 0 at /States/A/Seconds",
            ],
        ),
        (
            r#""A":{"Type":"Wait","End":true,"Seconds":"{% phone %}"}"#,
            vec![
                "UNSUPPORTED_JSONATA_EXPRESSION: Reference to 'phone' at the top level is not supported. at /States/A/Seconds",
            ],
        ),
        (
            r#""A":{"Type":"Choice","Default":"B","Choices":[{"Condition":"{% 1 + %}","Next":"B"},{"Condition":true,"Next":"B"}]},"B":{"Type":"Succeed"}"#,
            vec!["INVALID_JSONATA_EXPRESSION: Unexpected end of expression at /States/A/Choices[0]/Condition"],
        ),
    ] {
        check(&jsonata(states), &expected);
    }
}

#[test]
fn a_field_full_of_bad_expressions_is_read_in_a_straight_line() {
    let members: Vec<String> = (0..40_000).map(|n| format!(r#""k{n}":"{{% a %}}""#)).collect();
    let states = format!(r#""A":{{"Type":"Succeed","Output":{{{}}}}}"#, members.join(","));
    let findings = compile(&jsonata(&states), &Options::default()).unwrap_err();
    assert_eq!(findings.len(), 40_000);
    assert_eq!(findings[39_999].location.as_deref(), Some("/States/A/Output/k39999"));
}

#[test]
fn express_machines_refuse_what_waits() {
    let options = Options {
        express: true,
        ..Options::default()
    };
    for (resource, expected) in [
        (
            "arn:aws:states:::ecs:runTask.sync",
            "Express state machine does not support '.sync' service integration",
        ),
        (
            "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
            "Express state machine does not support '.waitForTaskToken' service integration ",
        ),
        (
            "arn:aws:states:us-east-1:1:activity:a",
            "Express state machine does not support Activity ARN",
        ),
    ] {
        let text = machine(&format!(r#""A":{{"Type":"Task","End":true,"Resource":"{resource}"}}"#));
        let expected = format!("SCHEMA_VALIDATION_FAILED: {expected} at /States/A/Resource");
        assert_eq!(findings_with(&text, &options), [expected]);
    }
}

#[test]
fn labels_are_checked() {
    let map = |name: &str, label: &str, rest: &str| {
        format!(
            r#""{name}":{{"Type":"Map","Label":"{label}",{rest},"ItemProcessor":{{"ProcessorConfig":{{"Mode":"DISTRIBUTED","ExecutionType":"STANDARD"}},"StartAt":"{name}I","States":{{"{name}I":{{"Type":"Succeed"}}}}}}}}"#
        )
    };
    let states = [
        map("A", "x", r#""Next":"B""#),
        map("B", "x", r#""Next":"C""#),
        map("C", "a b", r#""End":true"#),
    ];
    check(
        &machine(&states.join(",")),
        &[
            "DUPLICATE_LABEL_NAME: Duplicate Label name: x at /States/B/Label",
            "INVALID_LABEL_NAME: Invalid Label name: a b at /States/C/Label",
        ],
    );
}

#[test]
fn a_hundred_nested_parallels_compile_and_a_thousand_are_refused() {
    let nested = |depth: usize| {
        let mut text = r#"{"StartAt":"Z","States":{"Z":{"Type":"Succeed"}}}"#.to_owned();
        for n in 0..depth {
            text = format!(
                r#"{{"StartAt":"P{n}","States":{{"P{n}":{{"Type":"Parallel","End":true,"Branches":[{text}]}}}}}}"#
            );
        }
        text
    };
    let definition = compile(&nested(100), &Options::default()).unwrap();
    assert_eq!((definition.blocks.len(), definition.states.len()), (101, 101));
    let refused = compile(&nested(1000), &Options::default()).unwrap_err();
    assert_eq!(refused[0].code, "TOO_DEEPLY_NESTED");
    let rule = |depth: usize| {
        let open = r#"{"Not":"#.repeat(depth);
        format!(
            r#""A":{{"Type":"Choice","Default":"B","Choices":[{{"Next":"B","Not":{open}{{"Variable":"$.a","IsNull":true}}{}}}]}},"B":{{"Type":"Succeed"}}"#,
            "}".repeat(depth)
        )
    };
    assert!(compile(&machine(&rule(490)), &Options::default()).is_ok());
}

#[test]
fn yaml_means_the_same_as_json() {
    let text = "StartAt: A\nStates:\n  A:\n    Type: Wait\n    Seconds: ${Pause}\n    End: true\n    Next: ${After}\n";
    let options = |open_placeholders: bool| Options {
        format: Format::Yaml,
        substitutions: BTreeMap::from([("Pause".to_owned(), "5".to_owned())]),
        open_placeholders,
        ..Options::default()
    };
    assert_eq!(
        findings_with(text, &options(false)),
        ["MISSING_SUBSTITUTION: The placeholder '${After}' has no value at null"]
    );
    let finding = compile(text, &options(true)).unwrap_err().remove(0);
    assert_eq!(
        finding.to_string(),
        "SCHEMA_VALIDATION_FAILED: There should only be one of the following fields: [Next, End] at /States/A"
    );
    let span = finding.span.unwrap();
    assert_eq!((span.line, span.column), (4, 5));
    assert_eq!(
        text.get(span.start as usize..)
            .map(|rest| rest.starts_with("Type: Wait")),
        Some(true)
    );
}

#[test]
fn open_placeholders_may_stand_for_objects_and_lists() {
    let options = Options {
        open_placeholders: true,
        ..Options::default()
    };
    for text in [
        r#"{"StartAt":"A","States":${S}}"#.to_owned(),
        r#"{"StartAt":"${A}","Comment":${C},"TimeoutSeconds":${T},"States":{"${A}":{"Type":"Succeed"}}}"#.to_owned(),
        machine(r#""A":${A},"B":{"Type":"Succeed"}"#),
        machine(r#""A":{"Type":"Choice","Choices":${C}},"B":{"Type":"Succeed"}"#),
        machine(r#""A":{"Type":"Choice","Choices":[${C}]}"#),
        machine(r#""A":{"Type":"Parallel","Branches":${B},"Next":"B"},"B":{"Type":"Succeed"}"#),
        machine(r#""A":{"Type":"Map","ItemProcessor":${P},"End":true}"#),
        machine(
            r#""A":{"Type":"Task","Resource":${R},"Parameters":${P},"ResultSelector":${S},"Credentials":${C},"Assign":${A},"Retry":${Y},"Catch":[${K}],"TimeoutSeconds":${T},"ResultPath":${X},"End":${E}}"#,
        ),
    ] {
        assert_eq!(findings_with(&text, &options), Vec::<String>::new(), "{text}");
    }
    // What does not depend on the placeholder is found all the same.
    assert_eq!(
        findings_with(
            &machine(r#""A":{"Type":"Map","ItemProcessor":${P},"Nxt":1,"End":true}"#),
            &options
        ),
        ["SCHEMA_VALIDATION_FAILED: Field 'Nxt' is not supported at /States/A"]
    );
}

#[test]
fn variables_belong_to_one_scope() {
    let parallel = |catch: &str, inner: &str| {
        machine(&format!(
            r#""A":{{"Type":"Pass","Assign":{{"x":1}},"Next":"P"}},"P":{{"Type":"Parallel","End":true{catch},"Branches":[{{"StartAt":"B","States":{{"B":{{"Type":"Pass","End":true,"Assign":{{"{inner}":1}}}}}}}}]}}"#
        ))
    };
    check(
        &parallel("", "x"),
        &[
            "SCHEMA_VALIDATION_FAILED: The variable 'x' can not be assigned because an outer scope assigns it at /States/P/Branches[0]/States/B/Assign",
        ],
    );
    check(&parallel(r#","Assign":{"y":1}"#, "y"), &[]);
    check(
        &parallel("", "states"),
        &[
            "SCHEMA_VALIDATION_FAILED: The variable 'states' is reserved and can not be assigned at /States/P/Branches[0]/States/B/Assign",
        ],
    );
}
