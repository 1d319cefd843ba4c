use expect_test::expect;

use crate::template::find::Reason;
use crate::template::find::find;
use crate::template::tests::Memory;
use crate::template::tests::check;
use crate::template::tests::shown;

#[test]
fn a_plan_with_modules() {
    let plan = r#"{
  "format_version": "1.2", "terraform_version": "1.9.5",
  "planned_values": {"root_module": {
    "resources": [
      {"address": "aws_sfn_state_machine.order", "mode": "managed", "type": "aws_sfn_state_machine", "name": "order",
       "values": {"name": "order", "type": "EXPRESS", "definition": "{\n  \"StartAt\": \"A\",\n  \"States\": {\n    \"A\": {\"Type\": \"Task\", \"Resource\": \"arn:aws:states:::sqs:sendMessage.waitForTaskToken\", \"End\": true}}}"}},
      {"address": "data.aws_sfn_state_machine.old", "mode": "data", "type": "aws_sfn_state_machine", "values": {"definition": "{}"}},
      {"address": "aws_sfn_state_machine.later", "mode": "managed", "type": "aws_sfn_state_machine", "values": {"name": "later"}},
      {"address": "aws_iam_role.r", "mode": "managed", "type": "aws_iam_role", "values": {}}
    ],
    "child_modules": [
      {"address": "module.a", "child_modules": [{"address": "module.a.module.b", "resources": [
        {"address": "module.a.module.b.aws_sfn_state_machine.m[0]", "mode": "managed", "type": "aws_sfn_state_machine",
         "values": {"type": "STANDARD", "definition": "{\"StartAt\":\"Z\",\"States\":{\"A\":{\"Type\":\"Task\",\"Resource\":\"${worker}\",\"End\":true}}}"}}]}]}
    ]}}
}"#;
    check(
        "plan.json",
        plan,
        &[],
        expect![[r#"
            aws_sfn_state_machine.order in plan.json EXPRESS
              6:159 <\"arn:aws:states:::sqs:sendMessage.waitF> Express state machine does not support '.waitForTaskToken' service integration  at /States/A/Resource
            module.a.module.b.aws_sfn_state_machine.m[0] in plan.json
              14:69 <\"Z\"> Missing 'Next' target: Z at /StartAt
              14:93 <{\"Type\":\"Task\",\"Resource\":\"${work> State "A" is not reachable. at /States/A
            warning UNCHECKED_DEFINITION plan.json 8:7 <{"address": "aws_sfn_state_machine.later> The definition of 'aws_sfn_state_machine.later' is known after `terraform apply` only: it is not checked
            error MISSING_SUBSTITUTION plan.json 14:125 <\"${worker}\"> The placeholder '${worker}' has no value: Terraform leaves it to 'module.a.module.b.aws_sfn_state_machine.m[0]' as it is
        "#]],
    );
}

#[test]
fn template_files_have_placeholders_on_both_sides_of_the_quotes() {
    let text = r#"{
  "StartAt": "A", "Comment": "$${kept} 5 % $ %%{x}",
  "States": {
    "A": {"Type": "Task", "Resource": "${worker_arn}", "TimeoutSeconds": ${timeout}, "Next": "B"},
    "B": {"Type": "Task", "Resource": "${replace(x, "a}", "b")}", "Parameters": ${jsonencode({a = 1})}, "Next": "C"},
    "D": {"Type": "Succeed"}
  }
}
"#;
    check(
        "order.asl.json.tftpl",
        text,
        &[],
        expect![[r#"
        order in order.asl.json.tftpl
          5:113 <"C"> Missing 'Next' target: C at /States/B/Next
          6:10 <{"Type": "Succeed"}> State "D" is not reachable. at /States/D
    "#]],
    );
    check(
        "order.yaml.tpl",
        "StartAt: ${first}\nStates:\n  A:\n    Type: Wait\n    Seconds: ${n}\n    End: yes\n",
        &[],
        expect![[r#"
            order in order.yaml.tpl
              6:10 <yes> Expected value of type [BOOLEAN] at /States/A/End
        "#]],
    );
}

#[test]
fn directives_and_open_ends_are_named() {
    let files = Memory(Default::default());
    let directive = "{\"StartAt\": \"A\",\n \"States\": {\n %{ if x ~}\n \"A\": {} %{ endif ~}\n}}";
    for (path, text, reason, expected) in [
        (
            "a.asl.json.tftpl",
            directive,
            Reason::Named,
            expect![[r#"
            error TEMPLATE_DIRECTIVE a.asl.json.tftpl 3:2 <%{> The template has a directive `%{ … }` in line 3: what it makes is not known, so the definition is not checked. Check what Terraform makes of it with `terraform show -json`
        "#]],
        ),
        (
            "a.json.tpl",
            directive,
            Reason::Walked,
            expect![[r#"
            warning TEMPLATE_DIRECTIVE a.json.tpl 3:2 <%{> The template has a directive `%{ … }` in line 3: what it makes is not known, so the definition is not checked. Check what Terraform makes of it with `terraform show -json`
        "#]],
        ),
        (
            "a.json.tftpl",
            "{\"StartAt\": \"A\",\n \"States\": \"${x\"}",
            Reason::Walked,
            expect![[r#"
                error INVALID_TEMPLATE a.json.tftpl 2:13 <${> The expression that begins here with `${` has no end: write `$${` for the two characters themselves
            "#]],
        ),
        (
            "user-data.sh.tpl",
            "# StartAt States\necho ${x}",
            Reason::Walked,
            expect![[r#""#]],
        ),
        (
            "a.json.tpl",
            "{}",
            Reason::Named,
            expect![[r#"
            a in a.json.tpl
              1:1 <{}> These fields are required: [States, StartAt] at /
        "#]],
        ),
    ] {
        expected.assert_eq(&shown(&find(path, text, reason, &files)));
    }
}
