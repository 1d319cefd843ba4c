use expect_test::expect;

use crate::template::tests::check;

#[test]
fn a_service_with_all_forms() {
    let service = r#"service: shop
frameworkVersion: '4'
provider:
  name: aws
  stage: ${opt:stage, 'dev'}
plugins: [serverless-step-functions]
functions:
  hello: {handler: handler.hello}
stepFunctions:
  validate: true
  stateMachines:
    order:
      name: order-${self:provider.stage}
      type: EXPRESS
      events:
        - http: {path: order, method: POST}
      definition:
        Comment: "for ${sls:stage}"
        StartAt: Hello
        States:
          Hello:
            Type: Task
            Resource:
              Fn::GetAtt: [hello, Arn]
            TimeoutSeconds: ${self:custom.timeout, 5}
            HeartbeatSeconds: '${env:BEAT}'
            Retry: ${file(retry.yml):standard}
            Next: Send
          Send:
            Type: Task
            Resource: arn:aws:states:::sqs:sendMessage
            Parameters:
              QueueUrl: !Ref Queue
              MessageBody: "${opt:a, 'b'} and ${file(x.txt)}"
            ResultPath: ${x}
            Nxt: Done
          Done: {Type: Succeed}
    filed:
      definition: ${file(machines/filed.asl.yml)}
    keyed: ${file(machines/all.yml):keyed}
    scripted:
      definition: ${file(machine.js):build}
    gone:
      definition: ${file(gone.json)}
    lost: ${file(machines/all.yml):lost.inner}
    circle:
      definition: ${file(circle.yml)}
    staged:
      definition: ${file(machines/${self:provider.stage}.yml)}
    empty: {name: x}
    jsonata:
      definition:
        QueryLanguage: JSONata
        StartAt: A
        States:
          A:
            Type: Pass
            Output: '{% $states.input.items{ "a": 1 } ~> $x %}'
            Assign: {x: "{% ${self:custom.n} + %}"}
            End: true
resources:
  - Resources:
      Queue: {Type: 'AWS::SQS::Queue'}
      Raw:
        Type: AWS::StepFunctions::StateMachine
        Properties:
          DefinitionString: !Sub '{"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "${Worker.Arn}-${opt:stage, ''x''}", "Next": "B"}}}'
"#;
    check(
        "serverless.yml",
        service,
        &[
            (
                "machines/filed.asl.yml",
                "StartAt: A\nStates:\n  A:\n    Type: Task\n    Resource: !GetAtt hello.Arn\n    Next: ${self:custom.next}\n  B: {Type: Fail, Eror: x}\n",
            ),
            (
                "machines/all.yml",
                "keyed:\n  type: EXPRESS\n  definition:\n    StartAt: A\n    States:\n      A: {Type: Succeed, Next: B}\n",
            ),
            ("circle.yml", "${file(circle.yml)}"),
        ],
        expect![[r#"
            Raw in serverless.yml
              67:142 <"B"> Missing 'Next' target: B at /States/A/Next
              nowhere Workflow has no terminal state
            order in serverless.yml EXPRESS
              36:13 <Nxt> Field 'Nxt' is not supported at /States/Send
              30:13 <Type: Task> There should be one of the following fields: [Next, End] at /States/Send
            filed in machines/filed.asl.yml
              7:19 <Eror> Field 'Eror' is not supported at /States/B
            keyed in machines/all.yml EXPRESS
              6:26 <Next> Field 'Next' is not supported at /States/A
            jsonata in serverless.yml
              59:25 <"{% ${self:custom.n} + %}"> Unexpected end of expression at /States/A/Assign/x
            warning UNCHECKED_DEFINITION serverless.yml 42:19 <${file(machine.js):build}> `machine.js` is neither JSON nor YAML: what it holds is not checked
            error UNREADABLE_DEFINITION serverless.yml 44:19 <${file(gone.json)}> The file 'gone.json' can not be read: there is no such file
            error UNREADABLE_DEFINITION serverless.yml 45:11 <${file(machines/all.yml):lost.inner}> The file 'machines/all.yml' has no 'lost.inner'
            error UNREADABLE_DEFINITION circle.yml 1:1 <${file(circle.yml)}> More than 8 files name one another here
            warning UNCHECKED_DEFINITION serverless.yml 49:19 <${file(machines/${self:provider.stage}.y> `machines/${self:provider.stage}.yml` is a path that is known at deployment only: what it holds is not checked
            error MISSING_DEFINITION serverless.yml 50:12 <{name: x}> The state machine 'empty' has no definition
        "#]],
    );
}

#[test]
fn machines_may_be_listed_or_filed() {
    let machine = "a:\n  definition: {StartAt: A, States: {A: {Type: Nope, End: true}}}\n";
    check(
        "serverless.yml",
        "service: x\nstepFunctions:\n  stateMachines:\n    - ${file(a.yml)}\n    - b:\n        definition: {StartAt: A, States: {A: {Type: Succeed}}}\n",
        &[("a.yml", machine)],
        expect![[r#"
            a in a.yml
              2:47 <Nope> The field 'Type' should have one of these values: [Task, Wait, Pass, Succeed, Fail, Choice, Parallel, Map] at /States/A/Type
            b in serverless.yml
        "#]],
    );
    check(
        "serverless.yml",
        "service: x\nstepFunctions: ${file(all.yml)}\n",
        &[("all.yml", "stateMachines: ${file(a.yml)}\n"), ("a.yml", machine)],
        expect![[r#"
            a in a.yml
              2:47 <Nope> The field 'Type' should have one of these values: [Task, Wait, Pass, Succeed, Fail, Choice, Parallel, Map] at /States/A/Type
        "#]],
    );
    check(
        "serverless.yml",
        "service: x\nstepFunctions: {stateMachines: '${file(a.yml)}'}\n",
        &[("a.yml", "a: [")],
        expect![[r#"
            error INVALID_YAML_DESCRIPTION a.yml 2:1 <> while parsing a node, did not find expected node content
        "#]],
    );
}
