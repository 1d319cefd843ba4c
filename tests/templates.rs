//! `stepfn validate` on templates, directories and stdin.
#![cfg(feature = "runtime")]

mod scratch;

use std::io::Write;
use std::process::Stdio;

use crate::scratch::Scratch;
use crate::scratch::stderr;

const TEMPLATE: &str = r#"Transform: AWS::Serverless-2016-10-31
Resources:
  Worker:
    Type: AWS::Serverless::Function
    Properties: {Handler: app.handler, Runtime: python3.12}
  Filed:
    Type: AWS::Serverless::StateMachine
    Properties:
      Type: EXPRESS
      DefinitionUri: machines/order.asl.json
      DefinitionSubstitutions:
        WorkerArn: !GetAtt Worker.Arn
        Unused: 1
  Again:
    Type: AWS::Serverless::StateMachine
    Properties:
      DefinitionUri: machines/order.asl.json
      DefinitionSubstitutions: {WorkerArn: !GetAtt Worker.Arn}
  Inline:
    Type: AWS::StepFunctions::StateMachine
    Properties:
      DefinitionString: !Sub |
        {
          "StartAt": "Work",
          "States": {
            "Work": {"Type": "Task", "Resource": "${Worker.Arn}", "Next": "Nowhere"}
          }
        }
"#;

#[test]
fn findings_stand_in_the_template_or_in_the_file_that_it_names() {
    let scratch = Scratch::new("validate-template");
    std::fs::create_dir(scratch.0.join("machines")).unwrap();
    scratch.write("template.yaml", TEMPLATE);
    scratch.write(
        "machines/order.asl.json",
        "{\n \"StartAt\": \"A\",\n \"States\": {\n  \"A\": {\"Type\": \"Task\", \"Resource\": \"${WorkerArn}\", \"Next\": \"Lost\"}\n }\n}\n",
    );
    for path in ["template.yaml", "."] {
        let output = scratch.run(&["validate", path]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let text = stderr(&output);
        for (part, n) in [
            ("warning[UNUSED_SUBSTITUTION]", 1),
            ("template.yaml:13:9", 1),
            ("Missing 'Next' target: Lost at /States/A/Next", 1),
            ("machines/order.asl.json:4:61", 1),
            ("Missing 'Next' target: Nowhere at Inline /States/Work/Next", 1),
            ("template.yaml:26:75", 1),
            ("3 definitions: 6 errors, 1 warning; 3 are invalid.", 1),
        ] {
            assert_eq!(text.matches(part).count(), n, "{part} in\n{text}");
        }
    }
}

#[test]
fn warnings_alone_are_no_failure_but_nothing_at_all_is() {
    let scratch = Scratch::new("validate-nothing");
    scratch.write("package.json", "{}");
    scratch.write(
        "s3.json",
        r#"{"Resources": {"M": {"Type": "AWS::StepFunctions::StateMachine", "Properties": {"DefinitionS3Location": {"Bucket": "b", "Key": "k"}}}}}"#,
    );
    let output = scratch.run(&["validate", "."]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(stderr(&output).contains("warning[UNCHECKED_DEFINITION]: The definition of 'M' is in S3"));
    scratch.write("s3.json", "{}");
    let output = scratch.run(&["validate", "."]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(stderr(&output).contains("there is no state machine definition"));
}

#[test]
fn one_bad_file_does_not_hide_the_others() {
    let scratch = Scratch::new("validate-others");
    scratch.write("a.asl.json", "{\"StartAt\": ");
    scratch.write("b.yaml", "Type: AWS::StepFunctions::StateMachine\nx: [");
    scratch.write("c.asl.yaml", "StartAt: A\nStates: {A: {Type: Pass}}\n");
    let output = scratch.run(&["validate", "none.json", ".", "*.yml"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let text = stderr(&output);
    for part in ["none.json", "`*.yml`", "a.asl.json:1", "b.yaml:", "c.asl.yaml:2"] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
}

#[test]
fn stdin_is_read() {
    let scratch = Scratch::new("validate-stdin");
    for (text, part) in [
        ("{\"StartAt\": \"A\",\n \"States\": {}}", "stdin:2:12"),
        ("StartAt: A\nStates:\n  A: {Type: Nope}\n", "stdin:3:13"),
        (TEMPLATE, "UNREADABLE_DEFINITION"),
    ] {
        let mut command = scratch.command(&["validate", "-"]);
        let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(stderr(&output).contains(part), "{part} in {}", stderr(&output));
    }
}
