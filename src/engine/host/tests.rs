use std::time::Duration;

use serde_json::json;

use super::*;
use crate::engine::machine::Activity;
use crate::engine::start::Begin;
use crate::engine::start::Begun;
use crate::engine::start::TokenError;
use crate::engine::start::Word;
use crate::items::directory::DirectoryBuckets;
use crate::model::execution_record::ExecutionFacts;
use crate::model::execution_record::ExecutionStatus;
use crate::model::payload::Payload;
use crate::model::states_error::StatesError;
use crate::model::timestamp::Timestamp;
use crate::store::change::HistoryQuery;
use crate::store::fake::FakeStore;
use crate::worker::lambda::invoke::Lambdas;
use crate::worker::mapping::Mappings;
use crate::worker::nursery::Nursery;

mod redrive;

const ACTIVITY: &str = "arn:aws:states:us-east-1:123456789012:activity:A";
const MACHINE: &str = "arn:aws:states:us-east-1:123456789012:stateMachine:M";

mod map_runs;

fn open(store: &Arc<FakeStore>) -> Arc<Host> {
    open_with(store, DirectoryBuckets::default())
}

fn open_with(store: &Arc<FakeStore>, buckets: DirectoryBuckets) -> Arc<Host> {
    let options = HostOptions {
        site: Arc::new(Site {
            mappings: Mappings::default(),
            actions: crate::worker::action::ActionSite::default(),
            nursery: Arc::new(Nursery::default()),
            audit: None,
            region: Arc::from("us-east-1"),
            account: Arc::from("123456789012"),
            has_callbacks: true,
            tokens: None,
            sfn: std::sync::OnceLock::new(),
            lambdas: Lambdas::default(),
        }),
        quotas: Quotas::Aws,
        answering: None,
        logs: None,
        wait_scale: 1.0,
        skip_time: false,
        buckets: Arc::new(buckets),
    };
    let (host, feeds) = Host::open(Arc::clone(store) as Arc<dyn Store>, options).unwrap();
    host.recover().unwrap();
    host.serve(feeds);
    host
}

async fn define(host: &Arc<Host>, states: serde_json::Value) {
    let start = states.as_object().unwrap().keys().next().unwrap().clone();
    let change = Change::PutDefinition {
        hash: "hash".into(),
        text: json!({ "StartAt": start, "States": states }).to_string().into(),
    };
    host.edit(|_| Ok::<_, StoreError>(((), Vec::new(), vec![change])))
        .await
        .unwrap();
}

fn begin(host: &Host, name: &str) -> Begin {
    Begin {
        facts: ExecutionFacts {
            arn: format!("arn:aws:states:us-east-1:123456789012:execution:M:{name}").into(),
            name: name.into(),
            machine_arn: MACHINE.into(),
            machine_type: MachineType::Standard,
            version_arn: None,
            alias_arn: None,
            revision_id: None,
            revision_date: Timestamp(0),
            definition: "hash".into(),
            role_arn: "arn:aws:iam::123456789012:role/R".into(),
            child_of: None,
            trace_header: None,
            mock_case: None,
            started_by: None,
            started: Timestamp(0),
        },
        machine_name: "M".into(),
        definition: host.definition("hash", false).unwrap(),
        input: Payload::parse("{}").unwrap(),
        is_named: true,
        is_synchronous: false,
        decision: None,
    }
}

async fn start(host: &Arc<Host>, name: &str) -> Arc<ExecutionRecord> {
    match host.begin(begin(host, name)).await.unwrap() {
        Begun::Fresh(record) | Begun::Known(record) => record,
    }
}

async fn take(host: &Arc<Host>) -> Option<String> {
    let activity = ACTIVITY.into();
    let assignment = host.take_activity_task(&activity, None, Duration::from_millis(100));
    assignment.await.unwrap().map(|assignment| assignment.token.to_string())
}

/// Lets everything that can go on go on.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

fn activity_task() -> serde_json::Value {
    json!({ "A": { "Type": "Task", "Resource": ACTIVITY, "End": true } })
}

fn success() -> Word {
    Word::Success(Payload::parse("1").unwrap())
}

fn status(store: &FakeStore, record: &ExecutionRecord) -> ExecutionStatus {
    store.execution(record.id).unwrap().unwrap().status
}

#[tokio::test]
async fn what_has_ended_is_not_open_before_the_store_knows() {
    let store = Arc::new(FakeStore::default());
    let host = open(&store);
    define(&host, activity_task()).await;
    let record = start(&host, "one").await;
    let token = take(&host).await.unwrap();
    store.hold();
    let answer = |word| {
        let (host, token) = (Arc::clone(&host), token.clone());
        tokio::spawn(async move { host.answer(&token, word).await })
    };
    let (first, second) = (answer(success()), answer(success()));
    let stop = {
        let (host, id) = (Arc::clone(&host), record.id);
        tokio::spawn(async move { host.stop(id, StatesError::default()).await })
    };
    settle().await;
    // Nobody is told anything that the store does not have.
    assert!(!first.is_finished() && !second.is_finished() && !stop.is_finished());
    assert_eq!(status(&store, &record), ExecutionStatus::Running);
    store.release();
    assert!(first.await.unwrap().is_ok());
    assert!(matches!(second.await.unwrap(), Err(TokenError::Over(_))));
    assert_eq!(stop.await.unwrap().unwrap().unwrap().status, ExecutionStatus::Succeeded);
    settle().await;
    assert_eq!(host.n_live(), 0);
}

#[tokio::test]
async fn a_caller_that_hangs_up_keeps_its_name() {
    let store = Arc::new(FakeStore::default());
    let host = open(&store);
    define(&host, activity_task()).await;
    store.hold();
    let first = {
        let host = Arc::clone(&host);
        tokio::spawn(async move { host.begin(begin(&host, "one")).await })
    };
    settle().await;
    first.abort();
    let second = {
        let host = Arc::clone(&host);
        tokio::spawn(async move { host.begin(begin(&host, "one")).await })
    };
    settle().await;
    store.release();
    assert!(matches!(second.await.unwrap().unwrap(), Begun::Known(_)));
}

#[tokio::test]
async fn a_caller_that_hangs_up_has_changed_the_resource() {
    let store = Arc::new(FakeStore::default());
    let host = open(&store);
    store.hold();
    let activity = Arc::new(Activity {
        arn: ACTIVITY.into(),
        name: "A".into(),
        created: host.now(),
        tags: Default::default(),
        encryption: None,
    });
    let edit = {
        let host = Arc::clone(&host);
        tokio::spawn(async move {
            let edits = vec![Edit::PutActivity(activity)];
            host.edit(|_| Ok::<_, StoreError>(((), edits, Vec::new()))).await
        })
    };
    settle().await;
    edit.abort();
    assert!(host.registry.activity(ACTIVITY).is_none());
    store.release();
    assert!(host.registry.activity(ACTIVITY).is_some());
}

#[tokio::test]
async fn nothing_leaves_after_a_failed_commit() {
    let store = Arc::new(FakeStore::default());
    let host = open(&store);
    define(&host, activity_task()).await;
    store.fail();
    let begun = host.begin(begin(&host, "one")).await;
    assert!(matches!(begun, Err(StoreError::Stopped(_))));
    assert!(matches!(host.failed().await, StoreError::Stopped(_)));
    settle().await;
    assert_eq!(host.n_waiting_activities(), 0);
}

#[tokio::test]
async fn a_task_is_offered_once_after_a_restart() {
    let store = Arc::new(FakeStore::default());
    let host = open(&store);
    define(&host, activity_task()).await;
    let record = start(&host, "one").await;
    settle().await;
    let store = Arc::new(store.reopen(0));
    let host = open(&store);
    // Whatever reaches it first brings it back, with its work.
    assert!(host.answer("no token", success()).await.is_err());
    let _ = host.give(record.id, EventKind::TimePassed, None);
    let token = take(&host).await.unwrap();
    assert_eq!(take(&host).await, None);
    host.answer(&token, success()).await.unwrap();
    assert_eq!(status(&store, &record), ExecutionStatus::Succeeded);
}

#[tokio::test]
async fn heartbeats_begin_anew_after_a_restart() {
    let store = Arc::new(FakeStore::default());
    let host = open(&store);
    let task = json!({ "Type": "Task", "Resource": ACTIVITY, "HeartbeatSeconds": 3600, "End": true });
    define(&host, json!({ "A": task })).await;
    let record = start(&host, "one").await;
    take(&host).await.unwrap();
    let stored = store.load(record.id).unwrap().unwrap().deadline.unwrap();
    let host = open(&Arc::new(store.reopen(0)));
    let _ = host.give(record.id, EventKind::TimePassed, None);
    let shard = host.shard(record.id);
    assert!(stored <= shard.live[&record.id].execution.next_deadline().unwrap());
    assert!(!shard.live[&record.id].is_idle());
}

#[tokio::test]
async fn a_refused_event_leaves_nothing_in_memory() {
    let store = Arc::new(FakeStore::default());
    let host = open(&store);
    define(&host, activity_task()).await;
    let record = start(&host, "one").await;
    settle().await;
    assert_eq!(host.n_live(), 0);
    let task = crate::model::id::TaskId(7);
    assert!(host.give(record.id, EventKind::TaskHeartbeat { task }, None).is_err());
    host.give(record.id, EventKind::TimePassed, None).unwrap();
    assert_eq!(host.n_live(), 0);
}

#[tokio::test]
async fn steps_reach_the_store_in_their_order() {
    let store = Arc::new(FakeStore::default());
    let host = open(&store);
    define(&host, activity_task()).await;
    let record = start(&host, "one").await;
    store.hold();
    // Two steps of one execution wait for the same sync.
    let token = tokio::spawn({
        let host = Arc::clone(&host);
        async move { take(&host).await }
    });
    settle().await;
    let stop = tokio::spawn({
        let (host, id) = (Arc::clone(&host), record.id);
        async move { host.stop(id, StatesError::default()).await }
    });
    settle().await;
    assert_eq!(store.n_queued(), 2);
    store.release();
    assert!(token.await.unwrap().is_some());
    assert_eq!(stop.await.unwrap().unwrap().unwrap().status, ExecutionStatus::Aborted);
    let history = store
        .history(&HistoryQuery {
            execution: record.id,
            from: 1,
            limit: 100,
            reverse: false,
        })
        .unwrap();
    let ids: Vec<u64> = history.iter().map(|event| event["id"].as_u64().unwrap()).collect();
    assert_eq!(ids, (1..=ids.len() as u64).collect::<Vec<_>>());
}

#[tokio::test]
async fn old_executions_are_forgotten() {
    let store = Arc::new(FakeStore::default());
    let host = open(&store);
    define(&host, json!({ "S": { "Type": "Succeed" } })).await;
    let mut records = Vec::new();
    for number in 0..250 {
        records.push(start(&host, &format!("n{number}")).await);
    }
    let is_kept = |record: &Arc<ExecutionRecord>| store.execution(record.id).unwrap().is_some();
    host.forget(Timestamp(0)).await.unwrap();
    assert!(records.iter().all(is_kept));
    host.forget(host.now().plus_millis(1)).await.unwrap();
    // The last number stays, so that it is not given again.
    assert_eq!(records.iter().filter(|record| is_kept(record)).count(), 1);
    assert_eq!(Arc::new(store.reopen(0)).last_execution().unwrap(), records[249].id);
}
