//! Redrives beside commits, crashes and clocks.

use super::*;
use crate::engine::machine::Revision;
use crate::engine::machine::StateMachine;
use crate::engine::redrive::RedriveError;

async fn machine(host: &Arc<Host>) {
    let machine = StateMachine {
        arn: MACHINE.into(),
        name: "M".into(),
        machine_type: MachineType::Standard,
        created: Timestamp(0),
        revision: Revision {
            id: None,
            updated: Timestamp(0),
            definition: "hash".into(),
            role_arn: "arn:aws:iam::123456789012:role/R".into(),
            logging: json!({}),
            tracing: json!({}),
            encryption: None,
            published_as: None,
        },
        versions: Vec::new(),
        last_version: 0,
        aliases: Default::default(),
        tags: Default::default(),
        is_deleting: false,
    };
    let edits = vec![Edit::PutMachine(Arc::new(machine))];
    host.edit(|_| Ok::<_, StoreError>(((), edits, Vec::new())))
        .await
        .unwrap();
}

/// A host with an execution whose activity task has failed.
async fn failed(store: &Arc<FakeStore>, state: serde_json::Value) -> (Arc<Host>, Arc<ExecutionRecord>) {
    let host = open(store);
    define(&host, state).await;
    machine(&host).await;
    let record = host.begin(Begin {
        input: Payload::parse("[1]").unwrap(),
        ..begin(&host, "one")
    });
    let (Begun::Fresh(record) | Begun::Known(record)) = record.await.unwrap();
    let token = take(&host).await.unwrap();
    let failure = Word::Failure(StatesError::named("E"));
    host.answer(&token, failure).await.unwrap();
    let record = host.ended(record.id).await.unwrap();
    settle().await;
    (host, record)
}

fn map_of_children() -> serde_json::Value {
    let processor = json!({ "ProcessorConfig": { "Mode": "DISTRIBUTED", "ExecutionType": "STANDARD" },
        "StartAt": "A", "States": activity_task() });
    json!({ "M": { "Type": "Map", "Label": "L", "ItemProcessor": processor, "End": true } })
}

#[tokio::test]
async fn a_redrive_and_its_token_survive_a_crash() {
    let store = Arc::new(FakeStore::default());
    let (host, record) = failed(&store, activity_task()).await;
    let at = host.redrive(&record, Some("t".into())).await.unwrap();
    settle().await;
    let store = Arc::new(store.reopen(0));
    let host = open(&store);
    assert_eq!(host.redrive(&record, Some("t".into())).await.unwrap(), at);
    let running = store.execution(record.id).unwrap().unwrap();
    let again = host.redrive(&running, Some("u".into())).await;
    assert!(matches!(again, Err(RedriveError::NotRedrivable(_))));
    let token = take(&host).await.unwrap();
    assert_eq!(take(&host).await, None);
    host.answer(&token, success()).await.unwrap();
    let record = store.execution(record.id).unwrap().unwrap();
    assert_eq!(
        (record.status, record.redrive_count, record.redriven),
        (ExecutionStatus::Succeeded, 1, Some(at))
    );
    settle().await;
    assert_eq!(host.n_live(), 0);
}

#[tokio::test]
async fn a_crash_before_the_commit_forgets_the_redrive_and_its_token() {
    let store = Arc::new(FakeStore::default());
    let (host, record) = failed(&store, activity_task()).await;
    store.hold();
    let redrive = tokio::spawn({
        let (host, record) = (Arc::clone(&host), Arc::clone(&record));
        async move { host.redrive(&record, Some("t".into())).await }
    });
    settle().await;
    assert!(!redrive.is_finished());
    let store = Arc::new(store.reopen(0));
    let host = open(&store);
    assert_eq!(status(&store, &record), ExecutionStatus::Failed);
    host.redrive(&record, Some("t".into())).await.unwrap();
    assert_eq!(store.execution(record.id).unwrap().unwrap().redrive_count, 1);
}

#[tokio::test]
async fn a_redrive_may_overtake_the_end() {
    let store = Arc::new(FakeStore::default());
    let host = open(&store);
    define(&host, activity_task()).await;
    machine(&host).await;
    let record = start(&host, "one").await;
    for _ in 0..3 {
        take(&host).await.unwrap();
        store.hold();
        let stop = tokio::spawn({
            let (host, id) = (Arc::clone(&host), record.id);
            async move { host.stop(id, StatesError::default()).await }
        });
        settle().await;
        store.release();
        // The end is safe, and nobody has taken it out of memory yet.
        let ended = store.execution(record.id).unwrap().unwrap();
        host.redrive(&ended, None).await.unwrap();
        stop.await.unwrap().unwrap();
        settle().await;
        assert_eq!(status(&store, &record), ExecutionStatus::Running);
    }
    let token = take(&host).await.unwrap();
    host.answer(&token, success()).await.unwrap();
    settle().await;
    assert_eq!(host.n_live(), 0);
}

#[tokio::test]
async fn a_child_is_redriven_after_a_crash_between_the_two_commits() {
    for n_safe in [0, 1] {
        let store = Arc::new(FakeStore::default());
        let (host, record) = failed(&store, map_of_children()).await;
        host.clock.skip_to(host.now().plus_millis(50));
        store.hold();
        let redrive = tokio::spawn({
            let (host, record) = (Arc::clone(&host), Arc::clone(&record));
            async move { host.redrive(&record, None).await }
        });
        settle().await;
        store.commit(1);
        settle().await;
        // The parent's redrive is safe, the child's is on its way.
        assert_eq!(store.n_queued(), 1);
        redrive.await.unwrap().unwrap();
        let store = Arc::new(store.reopen(n_safe));
        // This host's clock is behind the first one's.
        let host = open(&store);
        let _ = host.give(record.id, EventKind::TimePassed, None);
        let token = take(&host).await.unwrap();
        assert_eq!(take(&host).await, None);
        host.answer(&token, success()).await.unwrap();
        let ended = host.ended(record.id).await.unwrap();
        assert_eq!(
            (ended.status, ended.output.as_deref(), ended.redrive_count),
            (ExecutionStatus::Succeeded, Some("[1]"), 1)
        );
        settle().await;
        assert_eq!(host.n_live(), 0);
    }
}

#[tokio::test]
async fn obstacles_are_told_in_the_words_of_the_service() {
    let store = Arc::new(FakeStore::default());
    let (host, record) = failed(&store, activity_task()).await;
    let day = 24 * 60 * 60 * 1000;
    let ago = |days: i64| Timestamp(host.now().0 - days * day);
    let history = Some("Execution history event limit exceeded");
    let open = Some("Execution has exceeded the max execution time");
    let late = Some("Execution redrivable period exceeded");
    let gone = Some("State machine is in DELETING status");
    // Days since the start and since the end, history events, the machine.
    for (started, stopped, n_events, machine, expected) in [
        (0, 0, 24_998, MACHINE, None),
        (0, 0, 24_999, MACHINE, history),
        (364, 0, 6, MACHINE, None),
        (366, 0, 6, MACHINE, open),
        (16, 13, 6, MACHINE, None),
        (16, 15, 6, MACHINE, late),
        (0, 0, 6, "arn:aws:states:us-east-1:123456789012:stateMachine:N", gone),
    ] {
        let mut changed = (*record).clone();
        let facts = Arc::make_mut(&mut changed.facts);
        (facts.started, facts.machine_arn) = (ago(started), machine.into());
        (changed.stopped, changed.n_events) = (Some(ago(stopped)), n_events);
        let found = host.redrive_obstacle(&changed);
        assert_eq!(found.as_deref(), expected, "{started} {stopped} {n_events} {machine}");
    }
    // Fourteen days go by.
    host.clock.skip_to(host.now().plus_millis(15 * 86_400_000));
    let refused = host.redrive(&record, None).await;
    assert!(matches!(refused, Err(RedriveError::NotRedrivable(reason)) if Some(reason.as_str()) == late));
}

#[tokio::test]
async fn results_of_a_redrive_lie_beside_those_that_were_written() {
    let bucket = map_runs::numbers(3);
    let store = Arc::new(FakeStore::default());
    let host = open_with(&store, map_runs::buckets(&bucket.0));
    let fields = json!({ "MaxConcurrency": 1, "ResultWriter": {
        "Resource": "arn:aws:states:::s3:putObject",
        "Parameters": { "Bucket": "b", "Prefix": "out" },
        "WriterConfig": { "Transformation": "COMPACT", "OutputType": "JSON" },
    }});
    define(&host, map_runs::map("STANDARD", map_runs::activity(), fields)).await;
    machine(&host).await;
    let record = start(&host, "one").await;
    let answer = async |word| host.answer(&take(&host).await.unwrap(), word).await.unwrap();
    let output = |text: &str| Word::Success(Payload::parse(text).unwrap());
    answer(output("10")).await;
    answer(Word::Failure(StatesError::named("E"))).await;
    let failed = host.ended(record.id).await.unwrap();
    assert_eq!(failed.error.as_deref(), Some("States.ExceedToleratedFailureThreshold"));
    settle().await;
    host.clock.skip_to(host.now().plus_millis(5));
    host.redrive(&failed, None).await.unwrap();
    answer(output("11")).await;
    answer(output("12")).await;
    let ended = host.ended(record.id).await.unwrap();
    let output: serde_json::Value = serde_json::from_str(ended.output.as_deref().unwrap()).unwrap();
    let read = |key: &serde_json::Value| -> serde_json::Value {
        let text = std::fs::read_to_string(bucket.0.join(key.as_str().unwrap())).unwrap();
        serde_json::from_str(&text).unwrap()
    };
    let key = &output["ResultWriterDetails"]["Key"];
    assert!(key.as_str().unwrap().ends_with("/Redrive-1/manifest.json"), "{key}");
    let files = read(key)["ResultFiles"].clone();
    let succeeded: Vec<_> = files["SUCCEEDED"].as_array().unwrap().iter().collect();
    let mut results: Vec<_> = succeeded.iter().map(|file| read(&file["Key"])).collect();
    results[1]
        .as_array_mut()
        .unwrap()
        .sort_by_key(serde_json::Value::as_u64);
    assert_eq!(results, [json!([10]), json!([11, 12])]);
    assert_eq!(files["FAILED"], json!([]));
    let [run] = host.map_runs_of(&record.facts.arn).unwrap().try_into().unwrap();
    let run = run.record;
    assert_eq!(
        (run.redrive_count, run.redriven, run.items.succeeded, run.items.total()),
        (1, ended.redriven, 3, 3)
    );
}
