//! Distributed Maps, from their files to their results.

use std::collections::BTreeMap;
use std::path::Path;

use super::*;
use crate::engine::map_runs::UpdateError;
use crate::model::map_run_record::MapRunStatus;
use crate::store::change::ListOf;
use crate::store::change::ListQuery;
use crate::store::sqlite::scratch::Scratch;

pub(super) fn buckets(directory: &Path) -> DirectoryBuckets {
    DirectoryBuckets::new(BTreeMap::from([("b".to_owned(), directory.to_owned())]))
}

/// A bucket with `items.jsonl`: so many numbers from 0.
pub(super) fn numbers(n: u32) -> Scratch {
    let scratch = Scratch::new();
    let lines: String = (0..n).map(|number| format!("{number}\n")).collect();
    std::fs::write(scratch.0.join("items.jsonl"), lines).unwrap();
    scratch
}

/// A Map `M` over that file whose children have one state.
pub(super) fn map(execution_type: &str, state: serde_json::Value, fields: serde_json::Value) -> serde_json::Value {
    let mut map = json!({
        "Type": "Map",
        "Label": "L",
        "ItemReader": {
            "Resource": "arn:aws:states:::s3:getObject",
            "ReaderConfig": { "InputType": "JSONL" },
            "Parameters": { "Bucket": "b", "Key": "items.jsonl" },
        },
        "ItemProcessor": {
            "ProcessorConfig": { "Mode": "DISTRIBUTED", "ExecutionType": execution_type },
            "StartAt": "S",
            "States": { "S": state },
        },
        "End": true,
    });
    for (name, value) in fields.as_object().unwrap() {
        map[name] = value.clone();
    }
    json!({ "M": map })
}

fn pass() -> serde_json::Value {
    json!({ "Type": "Pass", "End": true })
}

pub(super) fn activity() -> serde_json::Value {
    json!({ "Type": "Task", "Resource": ACTIVITY, "End": true })
}

async fn run(host: &Arc<Host>, states: serde_json::Value) -> Arc<ExecutionRecord> {
    define(host, states).await;
    let record = start(host, "one").await;
    host.ended(record.id).await.unwrap()
}

fn children(store: &FakeStore, arn: &Arc<str>) -> Vec<Arc<ExecutionRecord>> {
    let query = ListQuery {
        of: ListOf::MapRun(Arc::clone(arn)),
        status: None,
        version_arn: None,
        alias_arn: None,
        redriven: None,
        after: None,
        limit: 10_000,
    };
    let mut children = store.list(&query).unwrap();
    children.reverse();
    children
}

#[tokio::test]
async fn the_results_of_a_file_come_in_its_order() {
    for execution_type in ["EXPRESS", "STANDARD"] {
        let bucket = numbers(250);
        let store = Arc::new(FakeStore::default());
        let host = open_with(&store, buckets(&bucket.0));
        let record = run(&host, map(execution_type, pass(), json!({ "MaxConcurrency": 7 }))).await;
        let expected: Vec<u32> = (0..250).collect();
        assert_eq!(record.output.as_deref(), Some(json!(expected).to_string().as_str()));
        let [run] = host.map_runs_of(&record.facts.arn).unwrap().try_into().unwrap();
        assert_eq!(run.record.status, MapRunStatus::Succeeded);
        assert_eq!((run.record.items.succeeded, run.record.items.total()), (250, 250));
        let children = children(&store, &run.record.arn);
        assert_eq!(children.len(), 250);
        for child in children {
            assert_eq!(child.status, ExecutionStatus::Succeeded);
            assert_eq!(child.output.as_ref(), Some(&child.input));
            assert_eq!(store.find(&child.facts.arn).unwrap().unwrap().id, child.id);
        }
        settle().await;
        assert_eq!(host.n_live(), 0);
    }
}

#[tokio::test]
async fn batches_count_their_items() {
    let bucket = numbers(25);
    let store = Arc::new(FakeStore::default());
    let host = open_with(&store, buckets(&bucket.0));
    let fields = json!({ "ItemBatcher": { "MaxItemsPerBatch": 10 } });
    let record = run(&host, map("EXPRESS", pass(), fields)).await;
    assert_eq!(record.status, ExecutionStatus::Succeeded);
    let [run] = host.map_runs_of(&record.facts.arn).unwrap().try_into().unwrap();
    assert_eq!((run.record.items.total(), run.record.executions.total()), (25, 3));
    let mut n_items: Vec<u64> = children(&store, &run.record.arn)
        .iter()
        .map(|child| child.facts.child_of.as_ref().unwrap().n_items)
        .collect();
    n_items.sort_unstable();
    assert_eq!(n_items, [5, 10, 10]);
}

#[tokio::test]
async fn what_cannot_be_read_fails_the_map_run() {
    let store = Arc::new(FakeStore::default());
    let host = open(&store);
    let record = run(&host, map("EXPRESS", pass(), json!({}))).await;
    assert_eq!(record.error.as_deref(), Some("States.ItemReaderFailed"));
    let cause = record.cause.as_deref().unwrap();
    assert!(
        cause.starts_with("The specified bucket does not exist (Service: S3"),
        "{cause}"
    );
    let [run] = host.map_runs_of(&record.facts.arn).unwrap().try_into().unwrap();
    assert_eq!(run.record.status, MapRunStatus::Failed);
}

#[tokio::test]
async fn results_are_exported() {
    let bucket = numbers(30);
    let store = Arc::new(FakeStore::default());
    let host = open_with(&store, buckets(&bucket.0));
    let writer = json!({ "ResultWriter": {
        "Resource": "arn:aws:states:::s3:putObject",
        "Parameters": { "Bucket": "b", "Prefix": "out" },
        "WriterConfig": { "Transformation": "COMPACT", "OutputType": "JSON" },
    }});
    let record = run(&host, map("EXPRESS", pass(), writer)).await;
    let output: serde_json::Value = serde_json::from_str(record.output.as_deref().unwrap()).unwrap();
    let [run] = host.map_runs_of(&record.facts.arn).unwrap().try_into().unwrap();
    assert_eq!(output["MapRunArn"], json!(&*run.record.arn));
    let read = |key: &serde_json::Value| -> serde_json::Value {
        let text = std::fs::read_to_string(bucket.0.join(key.as_str().unwrap())).unwrap();
        serde_json::from_str(&text).unwrap()
    };
    let manifest = read(&output["ResultWriterDetails"]["Key"]);
    let mut results = read(&manifest["ResultFiles"]["SUCCEEDED"][0]["Key"]);
    let results = results.as_array_mut().unwrap();
    results.sort_by_key(serde_json::Value::as_u64);
    assert_eq!(*results, (0..30).map(|number| json!(number)).collect::<Vec<_>>());
}

#[tokio::test]
async fn results_that_are_too_large_fail_the_state() {
    let bucket = numbers(300);
    let store = Arc::new(FakeStore::default());
    let host = open_with(&store, buckets(&bucket.0));
    let state = json!({ "Type": "Pass", "Result": "x".repeat(1_000), "End": true });
    let record = run(&host, map("EXPRESS", state, json!({ "ResultPath": null }))).await;
    assert_eq!(record.error.as_deref(), Some("States.DataLimitExceeded"));
    let [run] = host.map_runs_of(&record.facts.arn).unwrap().try_into().unwrap();
    assert_eq!(run.record.items.succeeded, 300);
}

#[tokio::test]
async fn a_map_run_can_be_updated_while_it_runs() {
    let bucket = numbers(3);
    let store = Arc::new(FakeStore::default());
    let host = open_with(&store, buckets(&bucket.0));
    define(&host, map("STANDARD", activity(), json!({ "MaxConcurrency": 1 }))).await;
    let record = start(&host, "one").await;
    let first = take(&host).await.unwrap();
    assert_eq!(take(&host).await, None);
    let [run] = host.map_runs_of(&record.facts.arn).unwrap().try_into().unwrap();
    assert_eq!(run.record.status, MapRunStatus::Running);
    assert_eq!((run.record.items.running, run.record.items.pending), (1, 2));
    host.update_map_run(&run, Some(3), Some(1), None).await.unwrap();
    let (second, third) = (take(&host).await.unwrap(), take(&host).await.unwrap());
    host.answer(&first, Word::Failure(StatesError::named("E")))
        .await
        .unwrap();
    for token in [second, third] {
        host.answer(&token, success()).await.unwrap();
    }
    let ended = host.ended(record.id).await.unwrap();
    assert_eq!(ended.output.as_deref(), Some("[1,1]"));
    let run = host.map_run(&run.record.arn).unwrap().unwrap();
    assert_eq!((run.record.max_concurrency, run.record.tolerated_failure_count), (3, 1));
    assert_eq!((run.record.items.succeeded, run.record.items.failed), (2, 1));
    let update = host.update_map_run(&run, Some(1), None, None).await;
    assert!(matches!(update, Err(UpdateError::Ended)));
}

#[tokio::test]
async fn children_of_a_stopped_execution_are_stopped() {
    for execution_type in ["EXPRESS", "STANDARD"] {
        let bucket = numbers(3);
        let store = Arc::new(FakeStore::default());
        let host = open_with(&store, buckets(&bucket.0));
        let wait = json!({ "Type": "Wait", "Seconds": 250, "End": true });
        define(&host, map(execution_type, wait, json!({ "MaxConcurrency": 2 }))).await;
        let record = start(&host, "one").await;
        // A STANDARD child that waits long is in the store, not in memory.
        let is_waiting = || {
            let runs = host.map_runs_of(&record.facts.arn).unwrap();
            let stored = runs.first().map_or(0, |run| children(&store, &run.record.arn).len());
            stored == 2 || host.n_live() == 3
        };
        while !is_waiting() {
            tokio::task::yield_now().await;
        }
        host.stop(record.id, StatesError::default()).await.unwrap();
        let [run] = host.map_runs_of(&record.facts.arn).unwrap().try_into().unwrap();
        assert_eq!(run.record.status, MapRunStatus::Aborted);
        assert_eq!((run.record.items.aborted, run.record.items.pending), (2, 1));
        while children(&store, &run.record.arn).len() < 2 || 0 < host.n_live() {
            tokio::task::yield_now().await;
        }
        for child in children(&store, &run.record.arn) {
            assert_eq!(child.status, ExecutionStatus::Aborted);
        }
        let query = HistoryQuery {
            execution: record.id,
            from: 1,
            limit: 100,
            reverse: false,
        };
        let history = store.history(&query).unwrap();
        let types: Vec<&str> = history.iter().filter_map(|event| event["type"].as_str()).collect();
        assert_eq!(
            types[types.len() - 3..],
            ["MapRunStarted", "MapRunAborted", "ExecutionAborted"]
        );
    }
}

#[tokio::test]
async fn a_restart_goes_on_where_the_file_was_left() {
    let bucket = numbers(6);
    let store = Arc::new(FakeStore::default());
    let record = {
        let host = open_with(&store, buckets(&bucket.0));
        define(&host, map("STANDARD", activity(), json!({ "MaxConcurrency": 2 }))).await;
        let record = start(&host, "one").await;
        let token = take(&host).await.unwrap();
        host.answer(&token, success()).await.unwrap();
        record
    };
    let store = Arc::new(store.reopen(usize::MAX));
    let host = open_with(&store, buckets(&bucket.0));
    let mut n_answered = 1;
    while n_answered < 6 {
        if let Some(token) = take(&host).await {
            host.answer(&token, success()).await.unwrap();
            n_answered += 1;
        }
    }
    let ended = host.ended(record.id).await.unwrap();
    assert_eq!(ended.output.as_deref(), Some("[1,1,1,1,1,1]"));
    let [run] = host.map_runs_of(&record.facts.arn).unwrap().try_into().unwrap();
    let names: std::collections::BTreeSet<Arc<str>> = children(&store, &run.record.arn)
        .iter()
        .map(|child| child.facts.arn.clone())
        .collect();
    assert_eq!(names.len(), 6);
}

#[tokio::test]
async fn a_child_that_is_called_off_at_once_never_begins() {
    for execution_type in ["EXPRESS", "STANDARD"] {
        let bucket = numbers(2);
        let store = Arc::new(FakeStore::default());
        let host = open_with(&store, buckets(&bucket.0));
        let wait = json!({ "Type": "Wait", "Seconds": 20, "End": true });
        let selector = json!({ "x.$": "States.ArrayGetItem(States.Array(1), $$.Map.Item.Value)" });
        let record = run(&host, map(execution_type, wait, json!({ "ItemSelector": selector }))).await;
        assert_eq!(record.error.as_deref(), Some("States.Runtime"));
        settle().await;
        let [run] = host.map_runs_of(&record.facts.arn).unwrap().try_into().unwrap();
        assert!(children(&store, &run.record.arn).is_empty());
        assert_eq!((host.n_live(), host.n_waiting_activities()), (0, 0));
    }
}
