//! What the result writer leaves behind.

use std::fs;

use expect_test::expect;
use serde_json::Value;
use serde_json::json;

use crate::items::record::ChildEnd;
use crate::items::record::ChildRecord;
use crate::items::record::Transformation;
use crate::items::record::state_output;
use crate::items::testing::Bucket;
use crate::items::writer::FILE_BYTES_MAX;
use crate::items::writer::ResultWriter;
use crate::items::writer::WriterSpec;
use crate::model::execution_record::ExecutionStatus;
use crate::model::states_error::StatesError;
use crate::model::timestamp::Timestamp;

const ARN: &str = "arn:aws:states:us-east-1:123456789012:mapRun:M/Label:0f1e";

fn child<'a>(end: ChildEnd<'a>) -> ChildRecord<'a> {
    ChildRecord {
        execution_arn: "arn:aws:states:us-east-1:123456789012:execution:M/Label:c1",
        name: "c1",
        state_machine_arn: "arn:aws:states:us-east-1:123456789012:stateMachine:M/Label",
        input: "{\"n\": 1}",
        started: (end != ChildEnd::Pending).then_some(Timestamp(1_738_633_790_099)),
        stopped: (end != ChildEnd::Pending).then_some(Timestamp(1_738_633_791_000)),
        redrive_count: 0,
        end,
    }
}

fn succeeded(output: &str) -> ChildRecord<'_> {
    child(ChildEnd::Succeeded { output })
}

fn write(
    bucket: &Bucket,
    prefix: &str,
    config: Value,
    bytes_max: u64,
    redrive: u32,
    children: &[ChildRecord<'_>],
) -> Value {
    let parameters = json!({"Bucket": "b", "Prefix": prefix});
    let spec = WriterSpec::parse(&parameters, Some(&config)).expect("good");
    let mut writer = ResultWriter::new(spec, ARN, redrive, bucket.buckets(), bytes_max).expect("it begins");
    children
        .iter()
        .for_each(|child| writer.write(child).expect("it is written"));
    writer.finish().expect("it ends")
}

/// Shows all files of a bucket.
fn files(bucket: &Bucket) -> String {
    let listing = bucket.buckets().list("b", "").expect("it lists");
    listing
        .map(|object| object.expect("good").key)
        .map(|key| format!("{key}\n{}\n", bucket.get(&key)))
        .collect()
}

#[test]
fn an_export_has_the_shape_that_was_recorded() {
    let bucket = Bucket::new();
    let error = StatesError::new("Boom", "it broke");
    let nameless = StatesError::default();
    let children = [
        succeeded("1"),
        child(ChildEnd::Failed {
            status: ExecutionStatus::Failed,
            error: &error,
        }),
        child(ChildEnd::Failed {
            status: ExecutionStatus::TimedOut,
            error: &nameless,
        }),
        child(ChildEnd::Pending),
        succeeded("{\"a\": [1]}"),
    ];
    let result = write(&bucket, "jobs", json!({}), FILE_BYTES_MAX, 0, &children);
    assert_eq!(
        result.to_string(),
        json!({"MapRunArn": ARN, "ResultWriterDetails": {"Bucket": "b", "Key": "jobs/0f1e/manifest.json"}}).to_string()
    );
    expect![[r#"
        jobs/0f1e/FAILED_0.json
        [{"Cause":"it broke","Error":"Boom","ExecutionArn":"arn:aws:states:us-east-1:123456789012:execution:M/Label:c1","Input":"{\"n\": 1}","InputDetails":{"Included":true},"Name":"c1","RedriveCount":0,"RedriveStatus":"REDRIVABLE_BY_MAP_RUN","StartDate":"2025-02-04T01:49:50.099Z","StateMachineArn":"arn:aws:states:us-east-1:123456789012:stateMachine:M/Label","Status":"FAILED","StopDate":"2025-02-04T01:49:51.000Z"},{"ExecutionArn":"arn:aws:states:us-east-1:123456789012:execution:M/Label:c1","Input":"{\"n\": 1}","InputDetails":{"Included":true},"Name":"c1","RedriveCount":0,"RedriveStatus":"REDRIVABLE_BY_MAP_RUN","StartDate":"2025-02-04T01:49:50.099Z","StateMachineArn":"arn:aws:states:us-east-1:123456789012:stateMachine:M/Label","Status":"TIMED_OUT","StopDate":"2025-02-04T01:49:51.000Z"}]
        jobs/0f1e/PENDING_0.json
        [{"ExecutionArn":"arn:aws:states:us-east-1:123456789012:execution:M/Label:c1","Input":"{\"n\": 1}","InputDetails":{"Included":true},"Name":"c1","RedriveCount":0,"RedriveStatus":"REDRIVABLE_BY_MAP_RUN","StateMachineArn":"arn:aws:states:us-east-1:123456789012:stateMachine:M/Label","Status":"PENDING"}]
        jobs/0f1e/SUCCEEDED_0.json
        [{"ExecutionArn":"arn:aws:states:us-east-1:123456789012:execution:M/Label:c1","Input":"{\"n\": 1}","InputDetails":{"Included":true},"Name":"c1","Output":"1","OutputDetails":{"Included":true},"RedriveCount":0,"RedriveStatus":"NOT_REDRIVABLE","RedriveStatusReason":"Execution is SUCCEEDED and cannot be redriven","StartDate":"2025-02-04T01:49:50.099Z","StateMachineArn":"arn:aws:states:us-east-1:123456789012:stateMachine:M/Label","Status":"SUCCEEDED","StopDate":"2025-02-04T01:49:51.000Z"},{"ExecutionArn":"arn:aws:states:us-east-1:123456789012:execution:M/Label:c1","Input":"{\"n\": 1}","InputDetails":{"Included":true},"Name":"c1","Output":"{\"a\": [1]}","OutputDetails":{"Included":true},"RedriveCount":0,"RedriveStatus":"NOT_REDRIVABLE","RedriveStatusReason":"Execution is SUCCEEDED and cannot be redriven","StartDate":"2025-02-04T01:49:50.099Z","StateMachineArn":"arn:aws:states:us-east-1:123456789012:stateMachine:M/Label","Status":"SUCCEEDED","StopDate":"2025-02-04T01:49:51.000Z"}]
        jobs/0f1e/manifest.json
        {"DestinationBucket":"b","MapRunArn":"arn:aws:states:us-east-1:123456789012:mapRun:M/Label:0f1e","ResultFiles":{"FAILED":[{"Key":"jobs/0f1e/FAILED_0.json","Size":788}],"PENDING":[{"Key":"jobs/0f1e/PENDING_0.json","Size":300}],"SUCCEEDED":[{"Key":"jobs/0f1e/SUCCEEDED_0.json","Size":988}]}}
    "#]].assert_eq(&files(&bucket));
}

#[test]
fn files_end_before_the_limit() {
    let outputs: Vec<String> = (0..20).map(|n| format!("\"output {n:03}\"")).collect();
    let children: Vec<ChildRecord<'_>> = outputs.iter().map(|output| succeeded(output)).collect();
    for (config, n_files) in [
        (json!({"Transformation": "COMPACT"}), 5),
        (json!({"Transformation": "FLATTEN", "OutputType": "JSONL"}), 5),
    ] {
        let bucket = Bucket::new();
        write(&bucket, "", config.clone(), 60, 0, &children);
        let manifest: Value = serde_json::from_str(&bucket.get("0f1e/manifest.json")).expect("JSON");
        let written = manifest["ResultFiles"]["SUCCEEDED"].as_array().expect("files");
        assert_eq!(written.len(), n_files, "{manifest}");
        let mut read = Vec::new();
        for (n, file) in written.iter().enumerate() {
            let key = file["Key"].as_str().expect("a key");
            assert_eq!(key, format!("0f1e/SUCCEEDED_{n}.json"));
            let text = bucket.get(key);
            assert_eq!(file["Size"], text.len());
            assert!(text.len() <= 60);
            match config.get("OutputType") {
                None => read.extend(serde_json::from_str::<Vec<String>>(&text).expect("an array")),
                Some(_) => read.extend(
                    text.lines()
                        .map(|line| serde_json::from_str::<String>(line).expect("a line")),
                ),
            }
        }
        assert_eq!(read.len(), 20);
        assert_eq!(read[19], "output 019");
    }
}

#[test]
fn transformations_change_what_succeeded() {
    let outputs = ["[1, 2]", "{\"a\":\n1}", "[]", "[[3]]", "null"];
    let error = StatesError::named("Boom");
    let mut children: Vec<ChildRecord<'_>> = outputs.iter().map(|output| succeeded(output)).collect();
    children.insert(
        1,
        child(ChildEnd::Failed {
            status: ExecutionStatus::Aborted,
            error: &error,
        }),
    );
    let inline = |transformation| {
        state_output(children.clone(), transformation)
            .expect("JSON")
            .text()
            .to_owned()
    };
    assert_eq!(inline(Transformation::Compact), "[[1, 2],{\"a\":\n1},[],[[3]],null]");
    assert_eq!(inline(Transformation::Flatten), "[1,2,{\"a\":\n1},[3],null]");
    let whole: Value = serde_json::from_str(&inline(Transformation::None)).expect("JSON");
    assert_eq!(
        (whole[0]["Output"].as_str(), whole[1]["Status"].as_str()),
        (Some("[1, 2]"), Some("ABORTED"))
    );
    assert_eq!(state_output([], Transformation::None).expect("JSON").text(), "[]");
    for (config, wanted) in [
        (
            json!({"Transformation": "COMPACT"}),
            "[[1, 2],{\"a\":\n1},[],[[3]],null]",
        ),
        (
            json!({"Transformation": "COMPACT", "OutputType": "JSONL"}),
            "[1, 2]\n{\"a\":1}\n[]\n[[3]]\nnull\n",
        ),
        (json!({"Transformation": "FLATTEN"}), "[1,2,{\"a\":\n1},[3],null]"),
        (
            json!({"Transformation": "FLATTEN", "OutputType": "JSONL"}),
            "1\n2\n{\"a\":1}\n[3]\nnull\n",
        ),
    ] {
        let bucket = Bucket::new();
        write(&bucket, "p/", config.clone(), FILE_BYTES_MAX, 0, &children);
        assert_eq!(bucket.get("p/0f1e/SUCCEEDED_0.json"), wanted, "{config}");
        assert!(bucket.get("p/0f1e/FAILED_0.json").contains("\"Status\":\"ABORTED\""));
    }
}

#[test]
fn a_redrive_keeps_what_succeeded_before() {
    let bucket = Bucket::new();
    let error = StatesError::named("Boom");
    let failed = child(ChildEnd::Failed {
        status: ExecutionStatus::Failed,
        error: &error,
    });
    write(
        &bucket,
        "p",
        json!({}),
        FILE_BYTES_MAX,
        0,
        &[succeeded("1"), failed.clone()],
    );
    write(&bucket, "p", json!({}), FILE_BYTES_MAX, 1, &[failed]);
    let result = write(&bucket, "p", json!({}), FILE_BYTES_MAX, 2, &[succeeded("2")]);
    assert_eq!(result["ResultWriterDetails"]["Key"], "p/0f1e/Redrive-2/manifest.json");
    let manifest: Value = serde_json::from_str(&bucket.get("p/0f1e/Redrive-2/manifest.json")).expect("JSON");
    let keys = |kind: &str| -> Vec<String> {
        let files = manifest["ResultFiles"][kind].as_array().expect("files");
        files
            .iter()
            .map(|file| file["Key"].as_str().expect("a key").to_owned())
            .collect()
    };
    assert_eq!(
        keys("SUCCEEDED"),
        ["p/0f1e/SUCCEEDED_0.json", "p/0f1e/Redrive-2/SUCCEEDED_0.json"]
    );
    assert_eq!(keys("FAILED"), Vec::<String>::new());
}

#[test]
fn what_cannot_be_written_is_an_error_of_the_writer() {
    let bucket = Bucket::new();
    let parse = |parameters: Value, config: Value| WriterSpec::parse(&parameters, Some(&config));
    let show = |error: StatesError| {
        format!(
            "{}: {}",
            error.name.unwrap_or_default(),
            error.cause.unwrap_or_default()
        )
    };
    for (parameters, config, wanted) in [
        (json!({}), json!({}), "Parameters has no Bucket"),
        (
            json!({"Bucket": "b"}),
            json!({"OutputType": "CSV"}),
            "`CSV` is no OutputType",
        ),
        (
            json!({"Bucket": "b"}),
            json!({"Transformation": "X"}),
            "`X` is no Transformation",
        ),
    ] {
        let error = parse(parameters, config).expect_err("it is wrong");
        assert_eq!(show(error), format!("States.ResultWriterFailed: {wanted}"));
    }
    for (name, prefix, wanted) in [
        (
            "other",
            "p",
            "States.ResultWriterFailed: The specified bucket does not exist (Service: S3, ",
        ),
        (
            "b",
            "../p",
            "States.ResultWriterFailed: the key `../p/0f1e/SUCCEEDED_0.json` cannot be a file",
        ),
    ] {
        let spec = parse(json!({"Bucket": name, "Prefix": prefix}), json!({})).expect("good");
        let mut writer = ResultWriter::new(spec, ARN, 0, bucket.buckets(), FILE_BYTES_MAX).expect("it begins");
        let shown = show(writer.write(&succeeded("1")).expect_err("it is wrong"));
        assert!(shown.starts_with(wanted), "{shown}");
    }
    assert_eq!(fs::read_dir(bucket.around()).expect("a directory").count(), 1);
}
