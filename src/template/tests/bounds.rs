use std::collections::BTreeMap;

use expect_test::expect;

use crate::template::find::Reason;
use crate::template::find::find;
use crate::template::find::may_hold;
use crate::template::tests::Memory;
use crate::template::tests::check;
use crate::template::tests::shown;

#[test]
fn a_plain_definition_is_itself() {
    let text = "{\"StartAt\": \"A\",\n \"States\": {\"A\": {\"Type\": \"Task\", \"Resource\": \"${Worker}\"}}}";
    check(
        "machines/order.asl.json",
        text,
        &[],
        expect![[r#"
        order in machines/order.asl.json
          2:18 <{"Type": "Task", "Resource": "${Worker}"> There should be one of the following fields: [Next, End] at /States/A
    "#]],
    );
    check(
        "order.yml",
        "StartAt: A\nStates: {A: {Type: Pass, End: 1}}\n",
        &[],
        expect![[r#"
            order in order.yml
              2:31 <1> Expected value of type [BOOLEAN] at /States/A/End
        "#]],
    );
}

#[test]
fn other_files_hold_nothing_but_named_ones_must() {
    let files = Memory(BTreeMap::new());
    for (path, text, reason, expected) in [
        (
            "a.json",
            r#"{"x": {"StartAt": 1, "States": 2}}"#,
            Reason::Walked,
            expect![[r#""#]],
        ),
        (
            "a.json",
            r#"{"x": 1}"#,
            Reason::Named,
            expect![[r#"
            a in a.json
              1:2 <"x"> Field 'x' is not supported at /
              1:1 <{"x": 1}> These fields are required: [States, StartAt] at /
        "#]],
        ),
        (
            "a.json",
            "{\"StartAt\": 1,\n \"States\"}",
            Reason::Named,
            expect![[r#"
                a in a.json
                  2:10 <}> Unexpected character ('}' (code 125)): was expecting a colon to separate field name and value
                 at [Source: (String)"{"StartAt": 1,
                 "States"}"; line: 2, column: 11] at [Source: (String)"{"StartAt": 1,
                 "States"}"; line: 2, column: 11]
            "#]],
        ),
        (
            "a.json",
            "{\"StartAt\": 1,\n \"States\"}",
            Reason::Walked,
            expect![[r#"
                warning INVALID_JSON_DESCRIPTION a.json 2:10 <}> Unexpected character ('}' (code 125)): was expecting a colon to separate field name and value
                 at [Source: (String)"{"StartAt": 1,
                 "States"}"; line: 2, column: 11]
            "#]],
        ),
        (
            "a.yaml",
            "a: AWS::StepFunctions::StateMachine\nb: [",
            Reason::Walked,
            expect![[r#"
                error INVALID_YAML_DESCRIPTION a.yaml 3:1 <> while parsing a node, did not find expected node content
            "#]],
        ),
        (
            "a.yaml",
            "Resources: {Q: {Type: 'AWS::SQS::Queue'}}",
            Reason::Named,
            expect![[r#""#]],
        ),
        (
            "stdin",
            "  {\"StartAt\": \"A\", \"States\": {}}",
            Reason::Named,
            expect![[r#"
                stdin in stdin
                  1:30 <{}> Value cannot be empty at /States
            "#]],
        ),
        (
            "a",
            "",
            Reason::Named,
            expect![[r#"
            a in a
              nowhere Definition must be a valid JSON object
        "#]],
        ),
    ] {
        expected.assert_eq(&shown(&find(path, text, reason, &files)));
    }
}

#[test]
fn the_first_look_is_never_wrong_when_it_says_no() {
    for (text, expected) in [
        ("Type: AWS::Serverless::StateMachine", true),
        ("StartAt: A\nStates:", true),
        ("stepFunctions:\n  stateMachines:", true),
        (r#""type": "aws_sfn_state_machine""#, true),
        ("StartAt: A", false),
        ("{}", false),
    ] {
        assert_eq!(may_hold(text), expected, "{text}");
    }
}

/// A template with one machine whose `DefinitionString` is `value`.
fn template(value: &str) -> String {
    format!(
        r#"{{"Resources": {{"M": {{"Type": "AWS::StepFunctions::StateMachine", "Properties": {{"DefinitionString": {value}}}}}}}}}"#
    )
}

#[test]
fn functions_that_double_one_another_end() {
    let mut value = r#""""#.to_owned();
    for _ in 0..100 {
        value = format!(r#"{{"Fn::Sub": ["${{a}}${{a}}", {{"a": {value}}}]}}"#);
    }
    check(
        "t.json",
        &template(&value),
        &[],
        expect![[r#"
        error TOO_COMPLEX t.json 1:101 <{"Fn::Sub": ["${a}${a}", {"a": {"Fn::Sub> The definition of 'M' is too intricate to be put together
    "#]],
    );
    let ones = r#"{"Fn::Join": ["x", [1, 1, 1, 1, 1, 1, 1, 1]]}"#.to_owned();
    let long = (0..9).fold(ones, |value, _| {
        format!(r#"{{"Fn::Sub": ["${{a}}${{a}}${{a}}${{a}}${{a}}${{a}}", {{"a": {value}}}]}}"#)
    });
    check(
        "t.json",
        &template(&long),
        &[],
        expect![[r#"
        error TOO_COMPLEX t.json 1:101 <{"Fn::Sub": ["${a}${a}${a}${a}${a}${a}",> The definition of 'M' is too intricate to be put together
    "#]],
    );
}

#[test]
fn deep_and_long_texts_end() {
    let files = Memory(BTreeMap::new());
    let deep = (0..160).fold("1".to_owned(), |value, _| format!(r#"{{"Fn::Join": ["", [{value}]]}}"#));
    let open = "${".repeat(20_000);
    let bang = "${!".repeat(20_000);
    let nested = "${a:".repeat(20_000);
    for text in [
        template(&deep),
        template(&format!(r#"{{"Fn::Sub": "{open}"}}"#)),
        template(&format!(r#"{{"Fn::Sub": "{bang}"}}"#)),
        template(&format!(r#"{{"Fn::Sub": "{nested}"}}"#)),
        format!("service: x\nstepFunctions: {{stateMachines: {{a: {{definition: '{nested}'}}}}}}"),
        format!("service: x\nstepFunctions: {{stateMachines: {{a: {{definition: {{b: '{nested}'}}}}}}}}"),
        format!("{{\"StartAt\": \"{nested}\"}}"),
    ] {
        for path in ["a.json", "a.yaml", "a.json.tftpl"] {
            shown(&find(path, &text, Reason::Named, &files));
        }
    }
}

#[test]
fn no_prefix_of_a_template_panics() {
    let files = Memory(BTreeMap::from([("a.json", "{\"StartAt\": \"${x}\"")]));
    let yaml = "Resources:\n  é:\n    Type: AWS::StepFunctions::StateMachine\n    Properties:\n      DefinitionSubstitutions: &s {x: !Sub 'ü${A}', y: *s}\n      DefinitionString: !Sub |\n        {\"é\": \"${x}${!y}\",\n        }\n  B:\n    Type: AWS::Serverless::StateMachine\n    Properties: {DefinitionUri: a.json, Definition: !If [a, !Sub [b, {c: d}], {Fn::Join: [',', [\"\\u00e9\\\"\"]]}]}\n";
    let json = template(
        r#"{"Fn::Join": ["", ["{\"StartAt\": \"\ud83d\ude00", {"Ref": "é"}, {"Fn::If": ["é", "\\", {"Fn::GetAtt": []}]}, "\"}"]]}"#,
    );
    for text in [yaml, json.as_str()] {
        for (end, _) in text.char_indices() {
            for path in ["a.yaml", "a.json", "a.tftpl"] {
                shown(&find(path, &text[..end], Reason::Named, &files));
            }
        }
    }
}
