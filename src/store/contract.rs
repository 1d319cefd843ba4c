//! What every store must do: one suite, run over each of them.

use std::sync::Arc;
use std::sync::mpsc;

use serde_json::Value;
use serde_json::json;

use crate::model::execution_record::ChildOf;
use crate::model::execution_record::ExecutionFacts;
use crate::model::execution_record::ExecutionId;
use crate::model::execution_record::ExecutionRecord;
use crate::model::execution_record::ExecutionStatus;
use crate::model::execution_record::MachineType;
use crate::model::history_event::HistoryEvent;
use crate::model::history_event::HistoryEventKind;
use crate::model::id::EventId;
use crate::model::states_error::StatesError;
use crate::model::timestamp::Timestamp;
use crate::store::Store;
use crate::store::change::Change;
use crate::store::change::HistoryQuery;
use crate::store::change::ListOf;
use crate::store::change::ListQuery;
use crate::store::change::Resource;
use crate::store::change::Transition;
use crate::store::memory::MemoryStore;
use crate::store::sqlite::SqliteStore;
use crate::store::sqlite::scratch::Scratch;

/// Runs a check over every store. It gets the store and a way to open it anew: `None` when nothing outlives it.
/// Opens the store again, if it is one that keeps what it has.
type Reopen<'a> = &'a dyn Fn() -> Option<Box<dyn Store>>;

fn check_all(check: fn(Box<dyn Store>, Reopen<'_>)) {
    check(Box::<MemoryStore>::default(), &|| None);
    let scratch = Scratch::new();
    let open = || SqliteStore::open(&scratch.0).unwrap();
    check(Box::new(open()), &|| Some(Box::new(open())));
}

pub(super) fn commit(store: &dyn Store, batch: Vec<Change>) {
    let (sender, receiver) = mpsc::channel();
    store.submit(batch, Box::new(move |result| sender.send(result).unwrap()));
    receiver.recv().unwrap().unwrap();
}

pub(super) fn record(id: u64) -> ExecutionRecord {
    ExecutionRecord {
        id: ExecutionId(id),
        facts: Arc::new(ExecutionFacts {
            arn: format!("arn:execution:{id}").into(),
            name: format!("{id}").into(),
            machine_arn: "arn:machine".into(),
            machine_type: MachineType::Standard,
            version_arn: None,
            alias_arn: None,
            revision_id: None,
            revision_date: Timestamp(0),
            definition: "hash".into(),
            role_arn: "arn:role".into(),
            child_of: None,
            trace_header: None,
            mock_case: None,
            started_by: None,
            started: Timestamp(1_000),
        }),
        status: ExecutionStatus::Running,
        stopped: None,
        input: "{\"ä\": 1}".into(),
        output: None,
        error: None,
        cause: None,
        redrive_count: 0,
        redriven: None,
        version: 1,
        n_events: 0,
    }
}

fn facts(record: &mut ExecutionRecord) -> &mut ExecutionFacts {
    Arc::make_mut(&mut record.facts)
}

/// The next step of an execution, with so many history events.
pub(super) fn step(record: &ExecutionRecord, n_events: u64) -> Transition {
    let history = (record.n_events + 1..=record.n_events + n_events).map(|id| HistoryEvent {
        id: EventId(id),
        previous: EventId(id - 1),
        at: Timestamp(1_000 + i64::try_from(id).unwrap()),
        kind: HistoryEventKind::ExecutionFailed(StatesError::named(format!("E{id}"))),
    });
    Transition {
        journal: format!("[{}]", record.version),
        history: history.collect(),
        record: Arc::new(ExecutionRecord {
            n_events: record.n_events + n_events,
            ..record.clone()
        }),
        deadline: None,
        is_busy: false,
        snapshot: None,
    }
}

pub(super) fn change(transition: Transition) -> Change {
    Change::Transition(Box::new(transition))
}

fn put(store: &dyn Store, record: &ExecutionRecord) {
    commit(store, vec![change(step(record, 1))]);
}

/// Writes an execution with so many events in each step.
fn with_chunks(store: &dyn Store, id: u64, chunks: &[u64]) {
    let mut now = record(id);
    for n_events in chunks {
        let next = step(&now, *n_events);
        now = ExecutionRecord {
            version: now.version + 1,
            ..(*next.record).clone()
        };
        commit(store, vec![change(next)]);
    }
}

fn ids(records: &[Arc<ExecutionRecord>]) -> Vec<u64> {
    records.iter().map(|record| record.id.0).collect()
}

fn all_of(machine: &str) -> ListQuery {
    ListQuery {
        of: ListOf::Machine(machine.into()),
        status: None,
        version_arn: None,
        alias_arn: None,
        redriven: None,
        after: None,
        limit: 100,
    }
}

#[test]
fn the_last_step_of_an_execution_is_found() {
    check_all(|store, _| {
        let store = &*store;
        assert_eq!(store.last_execution().unwrap(), ExecutionId(0));
        assert_eq!(store.execution(ExecutionId(7)).unwrap(), None);
        assert_eq!(store.find("arn:execution:7").unwrap(), None);
        let first = record(7);
        put(store, &first);
        let last = ExecutionRecord {
            status: ExecutionStatus::Failed,
            stopped: Some(Timestamp(5_000)),
            output: Some("[]".into()),
            error: Some("E".into()),
            cause: Some("C".into()),
            redrive_count: 2,
            redriven: Some(Timestamp(4_000)),
            version: 2,
            n_events: 1,
            ..first
        };
        put(store, &last);
        let last = Some(Arc::new(ExecutionRecord { n_events: 2, ..last }));
        assert_eq!(store.execution(ExecutionId(7)).unwrap(), last);
        assert_eq!(store.find("arn:execution:7").unwrap(), last);
        assert_eq!(store.last_execution().unwrap(), ExecutionId(7));
        assert_eq!(store.n_queued(), 0);
    });
}

#[test]
fn answers_come_in_the_order_of_submission() {
    check_all(|store, _| {
        let (sender, receiver) = mpsc::channel();
        for index in 0..3_000 {
            let sender = sender.clone();
            let batch = match index % 3 {
                0 => Vec::new(),
                _ => vec![change(step(&record(index), 1))],
            };
            store.submit(
                batch,
                Box::new(move |result| sender.send((index, result.is_ok())).unwrap()),
            );
        }
        drop(sender);
        let answers: Vec<(u64, bool)> = receiver.iter().collect();
        assert_eq!(answers, (0..3_000).map(|index| (index, true)).collect::<Vec<_>>());
    });
}

#[test]
fn lists_are_filtered_and_paged_newest_first() {
    check_all(|store, _| {
        let store = &*store;
        for id in 1..=40 {
            let mut record = record(id);
            // Several start in the same millisecond; a clock may have been put back between two servers.
            let started = [3_000, 1_000, 2_000, 2_000][usize::try_from(id % 4).unwrap()];
            let facts = facts(&mut record);
            facts.started = Timestamp(started);
            facts.version_arn = (id % 5 == 0).then(|| "arn:machine:1".into());
            facts.alias_arn = (id % 10 == 0).then(|| "arn:machine:live".into());
            if id % 8 == 0 {
                facts.machine_arn = "arn:machine/Label".into();
                facts.child_of = Some(ChildOf {
                    parent: ExecutionId(1),
                    child: id,
                    map_run_arn: "arn:run".into(),
                    n_items: 1,
                    block: 1,
                });
            }
            if id % 3 == 0 {
                record.status = ExecutionStatus::Succeeded;
                record.stopped = Some(Timestamp(9_000));
            }
            record.redrive_count = u32::from(id % 7 == 0);
            put(store, &record);
        }
        let all = store.list(&all_of("arn:machine")).unwrap();
        assert_eq!(all.len(), 35);
        assert!(all.is_sorted_by_key(|record| std::cmp::Reverse((record.facts.started, record.id))));
        type Filter = fn(&mut ListQuery);
        let filters: [(Filter, usize); 8] = [
            (|_| {}, 35),
            (|query| query.of = ListOf::MapRun("arn:run".into()), 5),
            (|query| query.of = ListOf::Machine("arn:other".into()), 0),
            (|query| query.status = Some(ExecutionStatus::Succeeded), 12),
            (|query| query.status = Some(ExecutionStatus::Aborted), 0),
            (|query| query.version_arn = Some("arn:machine:1".into()), 7),
            (|query| query.alias_arn = Some("arn:machine:live".into()), 3),
            (|query| query.redriven = Some(true), 5),
        ];
        for (index, (filter, n_found)) in filters.into_iter().enumerate() {
            let mut query = all_of("arn:machine");
            filter(&mut query);
            let whole = ids(&store.list(&query).unwrap());
            assert_eq!(whole.len(), n_found, "filter {index}");
            // Pages of every size give the same.
            for limit in 1..=7 {
                query.limit = limit;
                query.after = None;
                let mut paged = Vec::new();
                loop {
                    let page = store.list(&query).unwrap();
                    assert!(page.len() <= limit);
                    let Some(last) = page.last() else {
                        break;
                    };
                    query.after = Some((last.facts.started, last.id));
                    paged.extend(ids(&page));
                }
                assert_eq!(paged, whole, "filter {index}, pages of {limit}");
            }
            query.limit = 0;
            assert_eq!(ids(&store.list(&query).unwrap()), Vec::<u64>::new());
        }
    });
}

#[test]
fn histories_are_paged_forwards_and_backwards() {
    check_all(|store, _| {
        let store = &*store;
        with_chunks(store, 4, &[9]);
        with_chunks(store, 5, &[3, 1, 0, 0, 40, 0, 2, 1, 0]);
        with_chunks(store, 6, &[9]);
        let history = |from, limit, reverse| {
            let page = store.history(&HistoryQuery {
                execution: ExecutionId(5),
                from,
                limit,
                reverse,
            });
            let ids = page.unwrap().into_iter().map(|event| event["id"].as_u64().unwrap());
            ids.collect::<Vec<u64>>()
        };
        for limit in [0, 1, 2, 3, 5, 39, 40, 41, 47, 100] {
            for from in 0..=49 {
                let forwards: Vec<u64> = (from.max(1)..=47).take(limit).collect();
                assert_eq!(history(from, limit, false), forwards, "{limit} from {from}");
                let backwards: Vec<u64> = (1..=from.min(47)).rev().take(limit).collect();
                assert_eq!(history(from, limit, true), backwards, "{limit} back from {from}");
            }
        }
        let query = HistoryQuery {
            execution: ExecutionId(99),
            from: 1,
            limit: 10,
            reverse: false,
        };
        assert_eq!(store.history(&query).unwrap(), Vec::<Value>::new());
        let event = json!({ "timestamp": 1.001, "type": "ExecutionFailed", "id": 1, "previousEventId": 0,
            "executionFailedEventDetails": { "error": "E1" } });
        let query = HistoryQuery {
            execution: ExecutionId(6),
            limit: 1,
            ..query
        };
        assert_eq!(store.history(&query).unwrap(), [event]);
    });
}

#[test]
fn timers_come_in_their_order_and_move() {
    check_all(|store, _| {
        let store = &*store;
        let due = |until, limit| {
            let due = store.due_timers(Timestamp(until), limit).unwrap();
            due.into_iter().map(|(at, id)| (at.0, id.0)).collect::<Vec<_>>()
        };
        let set = |id, version, deadline: Option<i64>| {
            let record = ExecutionRecord {
                version,
                n_events: version - 1,
                ..record(id)
            };
            let transition = Transition {
                deadline: deadline.map(Timestamp),
                ..step(&record, 1)
            };
            commit(store, vec![change(transition)]);
        };
        set(1, 1, Some(30));
        set(2, 1, Some(10));
        set(3, 1, Some(20));
        set(4, 1, None);
        assert_eq!(due(30, 9), [(10, 2), (20, 3), (30, 1)]);
        assert_eq!(due(29, 9), [(10, 2), (20, 3)]);
        assert_eq!(due(29, 1), [(10, 2)]);
        set(2, 2, Some(40));
        set(3, 2, None);
        set(4, 2, Some(5));
        assert_eq!(due(99, 9), [(5, 4), (30, 1), (40, 2)]);
        assert_eq!(
            store.load(ExecutionId(2)).unwrap().unwrap().deadline,
            Some(Timestamp(40))
        );
    });
}

#[test]
fn resources_and_definitions_are_kept_by_key() {
    check_all(|store, reopen| {
        let resource = |kind, key: &str, value| Resource {
            kind,
            key: key.into(),
            value,
        };
        let definition = |text: &str| Change::PutDefinition {
            hash: "hash".into(),
            text: text.into(),
        };
        commit(
            &*store,
            vec![
                definition("{}"),
                definition("never changes"),
                Change::PutResource(resource("machine", "b", json!(1))),
                Change::PutResource(resource("machine", "a", json!({ "z": 1, "a": "ü" }))),
                Change::PutResource(resource("activity", "a", json!(3))),
                Change::PutResource(resource("machine", "b", json!(2))),
                Change::PutResource(resource("machine", "c", json!(4))),
                Change::DeleteResource {
                    kind: "machine",
                    key: "c".into(),
                },
            ],
        );
        let check = |store: &dyn Store| {
            let machines = [
                resource("machine", "a", json!({ "z": 1, "a": "ü" })),
                resource("machine", "b", json!(2)),
            ];
            assert_eq!(store.resources("machine").unwrap(), machines);
            assert_eq!(store.resources("map_run").unwrap(), []);
            assert_eq!(store.definition("hash").unwrap().as_deref(), Some("{}"));
            assert_eq!(store.definition("other").unwrap(), None);
        };
        check(&*store);
        drop(store);
        reopen().iter().for_each(|store| check(&**store));
    });
}

#[test]
fn an_execution_is_forgotten_once_it_is_old() {
    check_all(|store, _| {
        let store = &*store;
        for (id, stopped) in [(1, Some(2_000)), (2, None), (3, Some(3_000)), (4, Some(2_000))] {
            let mut record = record(id);
            record.stopped = stopped.map(Timestamp);
            if stopped.is_some() {
                record.status = ExecutionStatus::Failed;
            }
            put(store, &record);
        }
        let forget = |id| Change::Forget {
            execution: ExecutionId(id),
            stopped_before: Timestamp(2_500),
        };
        let old = |after, limit| {
            let old = store.old(Timestamp(2_500), ExecutionId(after), limit).unwrap();
            old.into_iter().map(|(id, _)| id.0).collect::<Vec<_>>()
        };
        // The last number is never given again, so its execution stays.
        assert_eq!(old(0, 10), [1]);
        assert_eq!(old(0, 0), Vec::<u64>::new());
        assert_eq!(old(1, 10), Vec::<u64>::new());
        commit(store, (1..=4).map(forget).collect());
        assert_eq!(ids(&store.list(&all_of("arn:machine")).unwrap()), [4, 3, 2]);
        assert_eq!(store.find("arn:execution:1").unwrap(), None);
        let query = HistoryQuery {
            execution: ExecutionId(1),
            from: 1,
            limit: 10,
            reverse: false,
        };
        assert_eq!(store.history(&query).unwrap(), Vec::<Value>::new());
        // Its name is free again.
        let mut again = record(5);
        facts(&mut again).arn = "arn:execution:1".into();
        put(store, &again);
        assert_eq!(store.find("arn:execution:1").unwrap().unwrap().id, ExecutionId(5));
    });
}

#[test]
fn open_executions_come_back_with_their_journal() {
    check_all(|store, reopen| {
        let write = |id, version, is_busy, snapshot: Option<&[u8]>| {
            let record = ExecutionRecord {
                version,
                n_events: version - 1,
                ..record(id)
            };
            let transition = Transition {
                is_busy,
                deadline: Some(Timestamp(i64::try_from(version).unwrap())),
                snapshot: snapshot.map(Into::into),
                ..step(&record, 1)
            };
            commit(&*store, vec![change(transition)]);
        };
        for id in 1..=9 {
            write(id, 1, id % 2 == 0, None);
            write(id, 2, id % 3 == 0, (id == 6).then_some(b"two".as_slice()));
            write(id, 3, id % 3 == 0, None);
        }
        assert!(store.load(ExecutionId(99)).unwrap().is_none());
        let is_durable = store.is_durable();
        drop(store);
        let Some(store) = reopen() else {
            assert!(!is_durable);
            return;
        };
        assert_eq!(store.busy(ExecutionId(0), 10).unwrap(), [3, 6, 9].map(ExecutionId));
        assert_eq!(store.busy(ExecutionId(3), 1).unwrap(), [ExecutionId(6)]);
        assert_eq!(store.last_execution().unwrap(), ExecutionId(9));
        let loaded = store.load(ExecutionId(5)).unwrap().unwrap();
        assert_eq!(loaded.journal, ["[1]", "[2]", "[3]"]);
        assert_eq!(loaded.snapshot, None);
        assert_eq!((loaded.record.version, loaded.record.n_events), (3, 3));
        assert_eq!(loaded.record.facts, record(5).facts);
        assert_eq!(loaded.deadline, Some(Timestamp(3)));
        let loaded = store.load(ExecutionId(6)).unwrap().unwrap();
        assert_eq!(loaded.journal, ["[3]"]);
        assert_eq!(loaded.snapshot.as_deref(), Some(b"two".as_slice()));
    });
}

#[test]
fn a_record_without_steps_takes_the_place_of_the_one_of_its_arn() {
    check_all(|store, _| {
        let alone = |id: u64, started: i64| {
            let mut record = ExecutionRecord {
                version: 0,
                status: ExecutionStatus::Failed,
                stopped: Some(Timestamp(started + 1)),
                ..record(id)
            };
            facts(&mut record).arn = "arn:child".into();
            facts(&mut record).started = Timestamp(started);
            change(Transition {
                journal: String::new(),
                ..step(&record, 0)
            })
        };
        commit(&*store, vec![alone(1, 1_000)]);
        commit(&*store, vec![alone(2, 2_000)]);
        assert_eq!(store.find("arn:child").unwrap().unwrap().id, ExecutionId(2));
        assert_eq!(ids(&store.list(&all_of("arn:machine")).unwrap()), [2]);
        assert!(store.execution(ExecutionId(1)).unwrap().is_none());
    });
}
