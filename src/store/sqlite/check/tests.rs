use super::*;
use crate::model::timestamp::Timestamp;
use crate::store::Store;
use crate::store::change::Change;
use crate::store::change::Resource;
use crate::store::contract::change;
use crate::store::contract::commit;
use crate::store::contract::record;
use crate::store::contract::step;
use crate::store::sqlite::SqliteStore;
use crate::store::sqlite::backup::backup;
use crate::store::sqlite::scratch::Scratch;

/// Two executions: 1 has failed in its third step, 2 is open.
fn fill(scratch: &Scratch) {
    let store = SqliteStore::open(&scratch.0).unwrap();
    let first = step(&record(1), 2);
    let second = step(
        &ExecutionRecord {
            version: 2,
            ..(*first.record).clone()
        },
        0,
    );
    let mut third = step(
        &ExecutionRecord {
            version: 3,
            status: ExecutionStatus::Failed,
            stopped: Some(Timestamp(2_000)),
            ..(*second.record).clone()
        },
        1,
    );
    third.snapshot = Some(b"three".to_vec());
    let mut open = step(&record(2), 1);
    open.deadline = Some(Timestamp(9_000));
    let definition = Change::PutDefinition {
        hash: "hash".into(),
        text: "{}".into(),
    };
    let resource = Change::PutResource(Resource {
        kind: "machine",
        key: "arn:machine".into(),
        value: Value::from(1),
    });
    let mut batch = vec![definition, resource];
    batch.extend([first, second, third, open].map(change));
    commit(&store, batch);
    assert_eq!(store.last_execution().unwrap(), ExecutionId(2));
}

fn check_here(scratch: &Scratch) -> Report {
    check(&scratch.0, &mut |replayable| match &*replayable.definition {
        "{}" => Ok(()),
        _ => Err("its status is not what its journal gives".to_owned()),
    })
    .unwrap()
}

#[test]
fn everything_that_breaks_an_invariant_is_found() {
    let whole: (&str, &[&str]) = ("", &[]);
    let tables: [(&str, &[&str]); 16] = [
        whole,
        ("UPDATE execution SET version = 4 WHERE id = 1", &["execution 1: "]),
        (
            "UPDATE execution SET n_events = 4 WHERE id = 1",
            &["execution 1: it has 3 history events and counts 4"],
        ),
        (
            "UPDATE execution SET status = 'ABORTED' WHERE id = 1",
            &["execution 1: it is ABORTED after ExecutionFailed"],
        ),
        ("UPDATE execution SET status = 'LOST' WHERE id = 1", &["execution 1: "]),
        (
            "UPDATE execution SET stopped = NULL WHERE id = 1",
            &["execution 1: it is FAILED and its end does not fit"],
        ),
        (
            "UPDATE execution SET stopped = 1 WHERE id = 2",
            &["execution 2: it is RUNNING and its end does not fit"],
        ),
        (
            "UPDATE execution SET deadline = 1 WHERE id = 1",
            &["execution 1: it is FAILED and has a deadline"],
        ),
        (
            "UPDATE execution SET arn = 'x' WHERE id = 1",
            &["execution 1: its columns differ from its facts"],
        ),
        (
            "UPDATE execution SET started = 1 WHERE id = 2",
            &["execution 2: its columns differ from its facts"],
        ),
        (
            "DELETE FROM chunk WHERE id = (1 << 24) + 2",
            &["execution 1: the row of transition 2 is missing"],
        ),
        (
            "UPDATE chunk SET first_event = 2 WHERE id = (1 << 24) + 1",
            &["execution 1: the events of transition 1 do not follow 0"],
        ),
        (
            "UPDATE chunk SET history = '[' WHERE id = (1 << 24) + 1",
            &["execution 1: the history of transition 1: "],
        ),
        (
            "DELETE FROM execution WHERE id = 1",
            &[
                "execution 1: it is gone, its journal is not",
                "execution 1: it is gone, its snapshot is not",
            ],
        ),
        (
            "UPDATE definition SET text = ''",
            &["execution 1: its status is", "execution 2: its status is"],
        ),
        ("UPDATE resource SET value = '{'", &["the machine `arn:machine`: "]),
    ];
    for (damage, findings) in tables {
        let scratch = Scratch::new();
        fill(&scratch);
        let connection = Connection::open(scratch.0.join(FILE_NAME)).unwrap();
        connection.execute_batch(damage).unwrap();
        let found = check_here(&scratch).findings;
        let fits = |(found, wanted): (&String, &&str)| found.starts_with(wanted);
        assert!(
            found.len() == findings.len() && found.iter().zip(findings).all(fits),
            "{damage}: {found:#?}"
        );
    }
}

#[test]
fn a_damaged_page_is_found() {
    use std::os::unix::fs::FileExt;
    let scratch = Scratch::new();
    fill(&scratch);
    let path = scratch.0.join(FILE_NAME);
    let connection = Connection::open(&path).unwrap();
    let number = |sql| connection.query_row(sql, [], |row| row.get::<_, u64>(0)).unwrap();
    let size = number("PRAGMA page_size");
    let page = number("SELECT rootpage FROM sqlite_schema WHERE name = 'execution_timer'");
    drop(connection);
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.write_at(&[0x55; 64], (page - 1) * size).unwrap();
    assert_ne!(check_here(&scratch).findings, Vec::<String>::new());
}

#[test]
fn a_backup_is_the_store_at_one_instant() {
    let (scratch, target) = (Scratch::new(), Scratch::new());
    fill(&scratch);
    // The server goes on writing.
    let store = SqliteStore::open(&scratch.0).unwrap();
    commit(&store, vec![change(step(&record(3), 1))]);
    backup(&scratch.0, &target.0).unwrap();
    commit(&store, vec![change(step(&record(4), 1))]);
    let report = check_here(&target);
    assert_eq!(report.findings, Vec::<String>::new());
    assert_eq!((report.n_executions, report.n_resources), (3, 1));
    assert_eq!(check_here(&scratch).n_executions, 4);
    let copy = SqliteStore::open(&target.0).unwrap();
    assert_eq!(
        copy.find("arn:execution:3").unwrap(),
        store.find("arn:execution:3").unwrap()
    );
    let error = backup(&scratch.0, &target.0).unwrap_err().to_string();
    assert!(error.ends_with("there is a store already"), "{error}");
    assert!(backup(&target.0.join("nothing"), &scratch.0).is_err());
}
