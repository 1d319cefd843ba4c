//! What the rules find, and what they leave alone.

use super::*;
use crate::asl::load::Options;

#[test]
fn the_examples_show_what_they_should() {
    for rule in RULES {
        assert!(!rule.examples.is_empty(), "{} has no example", rule.id);
        for example in rule.examples {
            let locations = |text: &str| -> Vec<String> {
                let findings = crate::lint::check(text, &Options::default());
                let findings = findings.unwrap_or_else(|refused| panic!("{}: {refused:?}\n{text}", rule.id));
                let own = findings.into_iter().filter(|finding| finding.rule == rule.id);
                own.map(|finding| finding.location.unwrap_or_default()).collect()
            };
            assert_eq!(
                locations(example.bad),
                [example.location],
                "{}: {}",
                rule.id,
                example.bad
            );
            assert_eq!(
                locations(example.good),
                Vec::<String>::new(),
                "{}: {}",
                rule.id,
                example.good
            );
        }
    }
}

#[test]
fn fixes_mend_what_they_belong_to() {
    let mut fixed = Vec::new();
    for (rule, example) in RULES
        .iter()
        .flat_map(|rule| rule.examples.iter().map(move |example| (rule, example)))
    {
        let check = |text: &str| crate::lint::check(text, &Options::default());
        let findings = check(example.bad).unwrap();
        let mut own = findings.into_iter().filter(|finding| finding.rule == rule.id);
        let Some(fix) = own.find_map(|finding| finding.fix) else {
            continue;
        };
        let mut text = example.bad.to_owned();
        for (span, new) in fix.edits.iter().rev() {
            text.replace_range(span.start as usize..span.end as usize, new);
        }
        let left = check(&text).unwrap_or_else(|refused| panic!("{}: {refused:?}\n{text}", rule.id));
        assert!(
            left.iter().all(|finding| finding.rule != rule.id),
            "{}: {text}",
            rule.id
        );
        fixed.push(rule.id);
    }
    fixed.dedup();
    assert_eq!(
        fixed,
        [
            "catch/no-exception-ending",
            "catch/unknown-error",
            "resource/action-case",
            "resource/deprecated-iterator",
            "resource/deprecated-map-parameters",
            "resource/unknown-parameter",
            "retry/no-exception-ending",
            "retry/unknown-error",
        ]
    );
}

#[test]
fn ids_are_in_order_and_sentences_have_no_stop() {
    assert!(RULES.is_sorted_by(|a, b| a.id < b.id));
    for rule in RULES {
        assert!(!rule.summary.ends_with('.'), "{}", rule.id);
        assert!(rule.explanation.ends_with('.'), "{}", rule.id);
        assert_eq!(named(rule.id).map(|found| found.id), Some(rule.id));
    }
}

/// Returns the rules that a machine of one state meets, those of `ignored` aside.
fn of_state(state: &str) -> Vec<&'static str> {
    let ignored = [
        "operation/no-machine-timeout",
        "time/no-timeout",
        "retry/lambda-transient",
    ];
    let text = format!(
        r#"{{"StartAt":"S","States":{{"S":{{{state},"Next":"E"}},"F":{{"Type":"Fail","Error":"States.Own"}},"E":{{"Type":"Choice","Choices":[{{"Variable":"$.x","IsPresent":true,"Next":"F"}}],"Default":"G"}},"G":{{"Type":"Succeed"}}}}}}"#
    );
    let findings = crate::lint::check(&text, &Options::default());
    let findings = findings.unwrap_or_else(|refused| panic!("{refused:?}\n{text}"));
    let rules = findings.into_iter().map(|finding| finding.rule);
    rules.filter(|rule| !ignored.contains(rule)).collect()
}

fn task(resource: &str, fields: &str) -> String {
    format!(r#""Type":"Task","Resource":"arn:aws:states:::{resource}",{fields}"#)
}

#[test]
fn a_repeated_call_is_reported_only_where_it_does_more() {
    let all = r#""Retry":[{"ErrorEquals":["States.ALL"]}]"#;
    let (quiet, loud): (&[&str], &[&str]) = (&[], &["retry/not-idempotent"]);
    let http = r#""ApiEndpoint":"https://example.com","Authentication":{"ConnectionArn":"c"}"#;
    let post = format!(r#""Parameters":{{{http},"Method":"POST"}}"#);
    let keyed = format!(r#""Parameters":{{{http},"Method":"POST","Headers":{{"idempotency-key.$":"$.id"}}}}"#);
    let put = format!(r#""Parameters":{{{http},"Method":"PUT"}}"#);
    for (resource, parameters, expected) in [
        (
            "sqs:sendMessage",
            r#""Parameters":{"QueueUrl":"q","MessageBody":"m"}"#,
            loud,
        ),
        (
            "sqs:sendMessage",
            r#""Parameters":{"QueueUrl":"q.fifo","MessageBody":"m"}"#,
            quiet,
        ),
        (
            "sqs:sendMessage.waitForTaskToken",
            r#""Parameters":{"QueueUrl":"q","MessageBody.$":"$$.Task"}"#,
            quiet,
        ),
        (
            "aws-sdk:athena:startQueryExecution",
            r#""Parameters":{"QueryString":"q","ClientRequestToken":"t"}"#,
            &["resource/optimized-exists"],
        ),
        ("glue:startJobRun.sync", r#""Parameters":{"JobName":"j"}"#, quiet),
        ("glue:startJobRun", r#""Parameters":{"JobName":"j"}"#, loud),
        (
            "dynamodb:putItem",
            r#""Parameters":{"TableName":"t","Item":{"k":{"S":"v"}}}"#,
            quiet,
        ),
        ("lambda:invoke", r#""Parameters":{"FunctionName":"f"}"#, quiet),
        (
            "aws-sdk:s3:getObject",
            r#""Parameters":{"Bucket":"b","Key":"k"}"#,
            quiet,
        ),
        ("http:invoke", &post, loud),
        ("http:invoke", &keyed, quiet),
        ("http:invoke", &put, quiet),
    ] {
        let state = task(resource, &format!("{parameters},{all}"));
        assert_eq!(of_state(&state), expected, "{state}");
    }
    let named =
        r#""Parameters":{"QueueUrl":"q","MessageBody":"m"},"Retry":[{"ErrorEquals":["SQS.ThrottledException"]}]"#;
    assert_eq!(of_state(&task("sqs:sendMessage", named)), Vec::<&str>::new());
}

#[test]
fn names_of_errors_are_judged_by_the_task() {
    for (resource, names, expected) in [
        (
            "aws-sdk:sqs:listQueues",
            r#""Sqs.SqsException","Sqs.SdkClientException""#,
            &[][..],
        ),
        (
            "aws-sdk:sqs:listQueues",
            r#""SQS.AmazonSQSException""#,
            &["retry/other-service"],
        ),
        ("sns:publish.waitForTaskToken", r#""Lambda.Mine","DynamoDb.Mine""#, &[]),
        (
            "lambda:invoke",
            r#""S3.NoSuchKey","States.Own","Runtime.ExitError""#,
            &[],
        ),
        ("lambda:invoke", r#""States.Others""#, &["retry/unknown-error"]),
        ("lambda:invoke", r#""states.timeout""#, &["retry/unknown-error"]),
        (
            "lambda:invoke",
            r#""States.Permissions","States.QueryEvaluationError""#,
            &[],
        ),
        ("lambda:invoke", r#""States.ItemReaderFailed""#, &["retry/futile-error"]),
        (
            "http:invoke",
            r#""States.Http.StatusCode.503","States.Http.Socket""#,
            &[],
        ),
        (
            "http:invoke",
            r#""States.Http.StatusCode.5xx""#,
            &["retry/unknown-error"],
        ),
        (
            "states:startExecution.sync:2",
            r#""StepFunctions.ExecutionLimitExceeded","States.TaskFailed""#,
            &[],
        ),
        (
            "states:startExecution.sync:2",
            r#""Lambda.ServiceException""#,
            &["retry/nested-error"],
        ),
        ("states:startExecution", r#""Mine""#, &[]),
    ] {
        let token = if resource.ends_with("Token") {
            r#""Parameters":{"Message.$":"$$.Task.Token","TopicArn":"t"},"#
        } else {
            ""
        };
        let state = task(resource, &format!(r#"{token}"Retry":[{{"ErrorEquals":[{names}]}}]"#));
        assert_eq!(of_state(&state), expected, "{state}");
    }
}

#[test]
fn texts_that_other_tools_fill_are_not_judged() {
    for state in [
        task(
            "dynamodb:putItem",
            r#""Parameters":{"TableName":"t","Item":{"password":{"S":"${pw[0].value}"}}}"#,
        ),
        task(
            "http:invoke",
            r#""Parameters":{"ApiEndpoint":"${u[0]}","Method":"GET","Authentication":{"ConnectionArn":"c"}}"#,
        ),
        task(
            "lambda:invoke",
            r#""Parameters":{"FunctionName":"arn:aws:lambda:<region>:<account>:function:<name>"}"#,
        ),
        task(
            "apigateway:invoke",
            r#""Parameters":{"ApiEndpoint":"x","Method":"GET","Headers":{"A":"${a[0]}"}}"#,
        ),
    ] {
        assert_eq!(of_state(&state), Vec::<&str>::new(), "{state}");
    }
}
