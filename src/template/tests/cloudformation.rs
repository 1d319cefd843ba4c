use expect_test::expect;

use crate::template::tests::check;

#[test]
fn a_sam_template_with_all_forms() {
    let template = r#"AWSTemplateFormatVersion: '2010-09-09'
Transform: AWS::Serverless-2016-10-31
Parameters:
  Stage: {Type: String, Default: dev}
Conditions:
  IsProd: !Equals [!Ref Stage, prod]
Resources:
  Worker:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.handler
      Runtime: python3.12
  FromFile:
    Type: AWS::Serverless::StateMachine
    Properties:
      DefinitionUri: machines/order.asl.json
      DefinitionSubstitutions:
        WorkerArn: !GetAtt Worker.Arn
        Pause: 7
        Put: !Sub arn:${AWS::Partition}:states:::dynamodb:putItem
        Region: !Ref AWS::Region
        Nobody: x
      Policies:
        - LambdaInvokePolicy: {FunctionName: !Ref Worker}
  Inline:
    Type: AWS::Serverless::StateMachine
    Properties:
      Type: EXPRESS
      Definition:
        StartAt: Work
        States:
          Work:
            Type: Task
            Resource: !GetAtt Worker.Arn
            TimeoutSeconds: !If [IsProd, 60, 5]
            Retry: !FindInMap [Retries, !Ref Stage, List]
            Parameters:
              Bucket: !Ref Bucket
              Url: !Sub "https://${Api}.execute-api.${AWS::Region}.${AWS::URLSuffix}/x"
            Next: Job
          Job:
            Type: Task
            Comment: !Ref AWS::NoValue
            Resource: !Sub arn:${AWS::Partition}:states:::ecs:runTask.sync
            Next: Nowhere
          Done: {Type: Succeed}
  InS3:
    Type: AWS::Serverless::StateMachine
    Condition: IsProd
    Properties:
      DefinitionUri: {Bucket: b, Key: k}
  Gone:
    Type: AWS::Serverless::StateMachine
    Properties:
      DefinitionUri: machines/gone.asl.json
  Empty:
    Type: AWS::Serverless::StateMachine
    Properties:
      Role: !GetAtt Role.Arn
Outputs:
  Arn:
    Value: !Ref Inline
"#;
    let order = r#"{
  "StartAt": "Work",
  "States": {
    "Work": {"Type": "Task", "Resource": "${WorkerArn}", "TimeoutSeconds": ${Pause}, "Next": "Put"},
    "Put": {"Type": "Task", "Resource": "${Put}", "Next": "Lost"},
    "Lost": {"Type": "Task", "Resource": "${LostArn}", "Parameters": {"a": "echo ${HOME}"}, "Next": "Quit"},
    "Far": {"Type": "Task", "Resource": "arn:aws:sqs:${Region}:${Account}:q", "End": true}
  }
}"#;
    check(
        "template.yaml",
        template,
        &[("machines/order.asl.json", order)],
        expect![[r#"
            FromFile in machines/order.asl.json Nobody=x Pause=7 Put=arn:aws:states:::dynamodb:putItem
              6:101 <"Quit"> Missing 'Next' target: Quit at /States/Lost/Next
              7:12 <{"Type": "Task", "Resource": "arn:aws:sq> State "Far" is not reachable. at /States/Far
            Inline in template.yaml EXPRESS
              44:28 <arn:${AWS::Partition}:states:::ecs:runTa> Express state machine does not support '.sync' service integration at /States/Job/Resource
              45:19 <Nowhere> Missing 'Next' target: Nowhere at /States/Job/Next
            error MISSING_SUBSTITUTION machines/order.asl.json 6:42 <"${LostArn}"> The placeholder '${LostArn}' has no value: it is not among the DefinitionSubstitutions of 'FromFile' in template.yaml
            error MISSING_SUBSTITUTION machines/order.asl.json 7:41 <"arn:aws:sqs:${Region}:${Account}:q"> The placeholder '${Account}' has no value: it is not among the DefinitionSubstitutions of 'FromFile' in template.yaml
            warning UNUSED_SUBSTITUTION template.yaml 22:9 <Nobody> The definition of 'FromFile' has no placeholder '${Nobody}'
            warning UNCHECKED_DEFINITION template.yaml 51:22 <{Bucket: b, Key: k}> The definition of 'InS3' is in S3, which is not looked at: it is not checked
            error UNREADABLE_DEFINITION template.yaml 55:22 <machines/gone.asl.json> The definition of 'Gone' can not be read from 'machines/gone.asl.json': there is no such file
            error MISSING_DEFINITION template.yaml 57:5 <Type: AWS::Serverless::StateMachine> The state machine 'Empty' has no definition
        "#]],
    );
}

#[test]
fn definition_strings_of_all_styles_are_followed() {
    let template = r#"Resources:
  Literal:
    Type: AWS::StepFunctions::StateMachine
    Properties:
      StateMachineType: EXPRESS
      DefinitionString: !Sub |
        {
          "StartAt": "A",
          "States": {
            "A": {
              "Type": "Task",
              "Resource": "arn:${AWS::Partition}:states:::sqs:sendMessage.waitForTaskToken",
              "Parameters": {"QueueUrl": "${Queue}", "Shell": "${!HOME}"},
              "TimeoutSeconds": ${Seconds},
              "Nxt": "B",
              "End": true
            }
          }
        }
  Folded:
    Type: AWS::StepFunctions::StateMachine
    Properties:
      DefinitionString:
        Fn::Sub:
          - >-
            {"StartAt": "A",
             "States": {
               "A": {"Type": "Wait", "Seconds": ${Pause}, "Next": "${After}"},

               "Ende": {"Type": "Succeed"}}}
          - Pause: 5
            After: !Join ['', [En, 'd']]
  Double:
    Type: AWS::StepFunctions::StateMachine
    Properties:
      DefinitionString: "{\"StartAt\": \"A\",\n
        \"States\": {\"A\": {\"Type\": \"Pass\", \"Comment\": \"\\\"\u00e9\", \
        \"End\": \"yes\"}}}"
  Single:
    Type: AWS::StepFunctions::StateMachine
    Properties:
      DefinitionString: '{"StartAt": "A", "Comment": "it''s",
        "States": {"A": {"Type": "Pass", "Next": "it''s not"}}}'
  Broken:
    Type: AWS::StepFunctions::StateMachine
    Properties:
      DefinitionString: |
        {
          "StartAt": "A",
          "States": {
            "A": {"Type": "Succeed"},
          }
        }
  Unfilled:
    Type: AWS::StepFunctions::StateMachine
    Properties:
      DefinitionSubstitutions: {Role: a}
      DefinitionString: |
        {"StartAt": "A", "States": {
          "A": {"Type": "Task", "Resource": "${Worker.Arn}", "End": true}}}
"#;
    check(
        "template.yml",
        template,
        &[],
        expect![[r#"
            Literal in template.yml EXPRESS
              15:15 <"Nxt"> Field 'Nxt' is not supported at /States/A
              12:27 <"arn:${AWS::Partition}:states:::sqs:send> Express state machine does not support '.waitForTaskToken' service integration  at /States/A/Resource
            Folded in template.yml
              28:67 <"${After}"> Missing 'Next' target: End at /States/A/Next
              30:24 <{"Type": "Succeed"}> State "Ende" is not reachable. at /States/Ende
            Double in template.yml
              38:18 <\"yes\"> Expected value of type [BOOLEAN] at /States/A/End
            Single in template.yml
              43:50 <"it''s not"> Missing 'Next' target: it's not at /States/A/Next
              nowhere Workflow has no terminal state
            Broken in template.yml
              52:11 <}> Unexpected character ('}' (code 125)): was expecting double-quote to start field name
            Unfilled in template.yml Role=a
            error MISSING_SUBSTITUTION template.yml 60:45 <"${Worker.Arn}"> The placeholder '${Worker.Arn}' has no value: it is not among the DefinitionSubstitutions of 'Unfilled' in template.yml
            warning UNUSED_SUBSTITUTION template.yml 57:33 <Role> The definition of 'Unfilled' has no placeholder '${Role}'
        "#]],
    );
}

#[test]
fn what_the_cdk_makes_is_followed() {
    let template = r#"{
 "Resources": {
  "MachineRoleE1": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {"Version": "2012-10-17"}}},
  "Machine2E01": {
   "Type": "AWS::StepFunctions::StateMachine",
   "Properties": {
    "DefinitionString": {
     "Fn::Join": [
      "",
      [
       "{\"StartAt\":\"Submit Job\",\"States\":{\"Submit Job\":{\"Next\":\"Wait\",\"Retry\":[{\"ErrorEquals\":[\"Lambda.ServiceException\"],\"IntervalSeconds\":2,\"MaxAttempts\":6,\"BackoffRate\":2}],\"Type\":\"Task\",\"Resource\":\"arn:",
       {"Ref": "AWS::Partition"},
       ":states:::lambda:invok\",\"Parameters\":{\"FunctionName\":\"",
       {"Fn::GetAtt": ["SubmitLambda", "Arn"]},
       "\",\"Payload.$\":\"$\"}},\"Wait\":{\"Type\":\"Wait\",\"Seconds\":",
       {"Ref": "Seconds"},
       ",\"Next\":\"Gone\"}},\"TimeoutSeconds\":0}"
      ]
     ]
    },
    "RoleArn": {"Fn::GetAtt": ["MachineRoleE1", "Arn"]},
    "StateMachineType": "EXPRESS"
   },
   "DependsOn": ["MachineRoleE1"]
  },
  "FromAsset": {
   "Type": "AWS::StepFunctions::StateMachine",
   "Properties": {"DefinitionS3Location": {"Bucket": {"Fn::Sub": "cdk-${AWS::AccountId}"}, "Key": "0a1b.json"}}
  }
 },
 "Parameters": {"Seconds": {"Type": "Number"}}
}"#;
    let asset = r#"{"StartAt": "A", "States": {"A": {"Type": "Done"}}}"#;
    check(
        "cdk.out/App.template.json",
        template,
        &[("asset.0a1b.json", asset)],
        expect![[r#"
            Machine2E01 in cdk.out/App.template.json EXPRESS
              17:49 <0> Minimum value is 1 at /TimeoutSeconds
              11:232 <\"arn:",> The resource provided arn:aws:states:::lambda:invok is not recognized. The value is not a valid resource ARN, or the resource is not available in this region. at /States/Submit Job/Resource
              17:19 <\"Gone\"> Missing 'Next' target: Gone at /States/Wait/Next
              nowhere Workflow has no terminal state
            FromAsset in asset.0a1b.json
              1:43 <"Done"> The field 'Type' should have one of these values: [Task, Wait, Pass, Succeed, Fail, Choice, Parallel, Map] at /States/A/Type
        "#]],
    );
}

#[test]
fn functions_around_the_definition() {
    let template = r#"
Transform: [AWS::LanguageExtensions, AWS::Serverless-2016-10-31]
Resources:
  Either:
    Type: AWS::StepFunctions::StateMachine
    Properties:
      DefinitionString: !If
        - IsProd
        - '{"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}'
        - !Sub '{"StartAt": "B", "States": {"A": {"Type": "Succeed"}}}'
  Spelled:
    Type: AWS::StepFunctions::StateMachine
    Properties:
      DefinitionString:
        Fn::ToJsonString:
          StartAt: A
          States:
            A: {Type: Pass, End: 1, Result: {Ref: [1], Text: "a\"\\\n\u0007", Url: !Join ['"', [a, b]]}}
  Given:
    Type: AWS::StepFunctions::StateMachine
    Properties:
      DefinitionString: !Ref Definition
  Included:
    Type: AWS::StepFunctions::StateMachine
    Properties:
      Definition:
        Fn::Transform: {Name: 'AWS::Include', Parameters: {Location: s3://b/k}}
  Torn:
    Type: AWS::StepFunctions::StateMachine
    Properties:
      DefinitionString: !Sub '{"StartAt": "A", ${More}, "States": {"A": {"Type": "Succeed"}}}'
  Listed:
    Type: AWS::StepFunctions::StateMachine
    Properties:
      DefinitionString: {StartAt: A}
  Uri:
    Type: AWS::Serverless::StateMachine
    Properties:
      DefinitionUri: !Sub '${Stage}.asl.json'
  Far:
    Type: AWS::Serverless::StateMachine
    Properties:
      DefinitionUri: s3://bucket/key
  Local:
    Type: AWS::StepFunctions::StateMachine
    Properties:
      DefinitionS3Location: a.asl.yaml
  'Fn::ForEach::Machines':
    - Name
    - [One, Two]
    - 'Machine${Name}':
        Type: AWS::StepFunctions::StateMachine
        Properties:
          Definition:
            StartAt: ${Name}
            States: {"${Name}": {Type: Task, Resource: '${Name}', Next: Z}}
"#;
    let yaml = "StartAt: A\nStates:\n  A:\n    Type: Pass\n    Resource: !GetAtt A.B\n    End: true\n";
    check(
        "t.template",
        template,
        &[("a.asl.yaml", yaml)],
        expect![[r#"
        Either (if IsProd) in t.template
        Either (unless IsProd) in t.template
          10:29 <"B"> Missing 'Next' target: B at /StartAt
          10:50 <{"Type": "Succeed"}> State "A" is not reachable. at /States/A
        Spelled in t.template
          18:34 <1> Expected value of type [BOOLEAN] at /States/A/End
        Local in a.asl.yaml
          5:23 <A.B> The tag '!GetAtt' is not supported in a definition, which knows no template functions: write a placeholder like '${Name}'
        Machine${Name} in t.template
          56:73 <Z> Missing 'Next' target: Z at /States/${Name}/Next
        warning UNCHECKED_DEFINITION t.template 22:30 <Definition> The definition of 'Given' is known at deployment only: it is not checked
        warning UNCHECKED_DEFINITION t.template 27:9 <Fn::Transform: {Name: 'AWS::Include', Pa> The definition of 'Included' is known at deployment only: it is not checked
        warning UNCHECKED_DEFINITION t.template 31:30 <'{"StartAt": "A", ${More}, "States": {"A> The definition of 'Torn' has parts that are known at deployment only: it is not checked
        error INVALID_TEMPLATE t.template 35:25 <{StartAt: A}> The definition of 'Listed' must be a text
        warning UNCHECKED_DEFINITION t.template 39:27 <'${Stage}.asl.json'> The definition of 'Uri' is in a file whose name is known at deployment only: it is not checked
        warning UNCHECKED_DEFINITION t.template 43:22 <s3://bucket/key> The definition of 'Far' is in S3, which is not looked at: it is not checked
    "#]],
    );
}

#[test]
fn placeholders_of_macros_and_of_partial_values_are_not_missed() {
    let machine = "Type: AWS::Serverless::StateMachine
    Properties:
      DefinitionUri: a.json
";
    let file = r#"{"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "${Worker}", "End": true}}}"#;
    let text = format!("Transform: [AWS::Serverless-2016-10-31, Own]\nResources:\n  A:\n    {machine}");
    check(
        "t.yaml",
        &text,
        &[("a.json", file)],
        expect![[r#"
        A in a.json
    "#]],
    );
    let text = format!("Resources:\n  A:\n    {machine}      DefinitionSubstitutions: !If [A, {{Worker: x}}, {{}}]\n");
    check(
        "t.yaml",
        &text,
        &[("a.json", file)],
        expect![[r#"
        A in a.json
    "#]],
    );
    let text = format!(
        "Resources:\n  A:\n    {machine}      DefinitionSubstitutions: {{'Fn::Transform': {{Name: X}}, B: 1}}\n"
    );
    check(
        "t.yaml",
        &text,
        &[("a.json", file)],
        expect![[r#"
        A in a.json B=1
        warning UNUSED_SUBSTITUTION t.yaml 6:61 <B> The definition of 'A' has no placeholder '${B}'
    "#]],
    );
}
