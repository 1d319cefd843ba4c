use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;

use expect_test::expect;

use super::anchor::Anchor;
use super::anchor::read_public_key;
use super::append::Appender;
use super::append::Entry;
use super::files;
use super::log::Audit;
use super::log::Options;
use super::read::Filter;
use super::read::Read;
use super::read::Reader;
use super::record::Event;
use super::record::Record;
use super::say::Subject;
use super::verify::Verified;
use super::verify::verify;
use crate::model::entropy::Entropy;
use crate::model::timestamp::Timestamp;

/// A directory of one test.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("stepfn-audit-{}-{number}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn log(&self) -> PathBuf {
        self.0.join("log")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn options(directory: PathBuf) -> Options {
    Options {
        journal: super::log::JournalCopies::None,
        ..Options::new(directory)
    }
}

fn record(number: u64) -> Record {
    let subject = Subject {
        execution: format!("arn:aws:states:us-east-1:123456789012:execution:M:{number}").into(),
        state_machine: "arn:aws:states:us-east-1:123456789012:stateMachine:M".into(),
        definition: None,
        state: "S".into(),
        task: 1,
        attempt: 1,
        resource: "arn:aws:states:::debian:shell.run".into(),
        started_by: None,
    };
    subject.intent()
}

/// Writes a log of so many records, in files of three.
fn write(directory: &Path, n: u64) {
    let mut appender = Appender::open(options(directory.to_owned()).keeping()).unwrap();
    for number in 1..=n {
        let mut entry = Entry::new(&record(number));
        // A file for each month.
        let month = 1 + (number - 1) / 3;
        entry.at = Timestamp::parse_rfc3339(&format!("2026-{month:02}-15T00:00:00Z")).unwrap();
        appender.append(&[entry], true).unwrap();
    }
}

fn told(found: &Verified) -> String {
    let lines = found.findings.iter().map(|finding| {
        let file = finding.file.get(6..18).unwrap_or(&finding.file).trim_start_matches('0');
        let seq = finding.seq.map_or_else(|| "-".to_owned(), |seq| seq.to_string());
        format!("{file}:{} {seq} {}\n", finding.line, finding.what)
    });
    lines.collect()
}

fn lines(path: &Path) -> Vec<String> {
    fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
}

fn put(path: &Path, lines: &[String]) {
    fs::write(path, lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
}

/// Hashes a line anew, as a forger does who knows how.
fn forged(line: &str) -> String {
    let open = &line[..line.len() - 75];
    let hash = super::chain::digest(&[open.as_bytes(), b"}"]);
    format!("{open},\"hash\":\"{hash}\"}}")
}

#[test]
fn every_tampering_is_found_at_its_place() {
    type Tampering = fn(&[PathBuf]);
    let table: [(&str, Tampering, expect_test::Expect); 11] = [
        ("nothing", |_| {}, expect![""]),
        (
            "edit",
            |files| {
                let mut all = lines(&files[1]);
                all[1] = all[1].replace("somebody", "nobodyyy");
                put(&files[1], &all);
            },
            expect![[r#"
                4:2 5 The record was edited: its bytes do not give its hash.
            "#]],
        ),
        (
            "edit with a fresh hash",
            |files| {
                let mut all = lines(&files[1]);
                all[1] = forged(&all[1].replace("somebody", "nobody"));
                put(&files[1], &all);
            },
            expect![[r#"
                4:3 6 It does not follow record 5: one of the two was replaced.
            "#]],
        ),
        (
            "deletion",
            |files| {
                let mut all = lines(&files[1]);
                all.remove(1);
                put(&files[1], &all);
            },
            expect![[r#"
                4:2 6 Record 5 is missing before it.
            "#]],
        ),
        (
            "reorder",
            |files| {
                let mut all = lines(&files[1]);
                all.swap(1, 2);
                put(&files[1], &all);
            },
            expect![[r#"
                4:2 6 Record 5 is missing before it.
                4:3 5 Record 5 stands after record 6: it was moved, or inserted.
                7:1 7 Record 6 is missing before it.
            "#]],
        ),
        (
            "a record put in",
            |files| {
                let mut all = lines(&files[1]);
                let forged = forged(&all[0].replace("somebody", "nobody"));
                all.insert(1, forged);
                put(&files[1], &all);
            },
            expect![[r#"
                4:2 4 Record 4 stands after record 4: it was moved, or inserted.
                4:3 5 It does not follow record 4: one of the two was replaced.
            "#]],
        ),
        (
            "a line that is no record",
            |files| {
                let mut all = lines(&files[1]);
                all[1] = "{}".to_owned();
                put(&files[1], &all);
            },
            expect![[r#"
                4:2 - The line is no record.
            "#]],
        ),
        (
            "the beginning cut off",
            |files| fs::remove_file(&files[0]).unwrap(),
            expect![[r#"
                4:1 4 The log begins with record 4, and no record says that what was before it was deleted after its time.
            "#]],
        ),
        (
            "a file deleted",
            |files| fs::remove_file(&files[1]).unwrap(),
            expect![[r#"
                7:1 7 Records 4 to 6 are missing before it.
            "#]],
        ),
        (
            "files in another order",
            |files| {
                let other = files[0].with_file_name("other");
                fs::rename(&files[0], &other).unwrap();
                fs::rename(&files[1], &files[0]).unwrap();
                fs::rename(&other, &files[1]).unwrap();
            },
            expect![[r#"
                1:1 4 The file's name says that it begins with record 1: it was renamed, or its beginning was changed.
                4:1 1 The file's name says that it begins with record 4: it was renamed, or its beginning was changed.
                4:1 1 Record 1 stands after record 6: it was moved, or inserted.
                7:1 7 Records 4 to 6 are missing before it.
                1:1 4 The log begins with record 4, and no record says that what was before it was deleted after its time.
            "#]],
        ),
        (
            "the end cut off, which only an anchor shows",
            |files| {
                let mut all = lines(&files[2]);
                all.pop();
                put(&files[2], &all);
            },
            expect![""],
        ),
    ];
    for (name, tamper, expected) in table {
        let scratch = Scratch::new();
        write(&scratch.log(), 9);
        let files: Vec<PathBuf> = files::list(&scratch.log())
            .unwrap()
            .into_iter()
            .map(|file| file.path)
            .collect();
        assert_eq!(files.len(), 3);
        tamper(&files);
        let found = verify(&scratch.log(), &[], None).unwrap();
        eprintln!("{name}:\n{}", told(&found));
        expected.assert_eq(&told(&found));
    }
}

#[test]
fn an_anchor_shows_a_cut_end_and_a_log_that_was_written_anew() {
    let scratch = Scratch::new();
    let mut options = options(scratch.log());
    options.anchors.file = Some(scratch.0.join("anchors"));
    let audit = Audit::open(options).unwrap();
    for number in 0..5 {
        audit.note(&record(number));
    }
    audit.close();
    let key = read_public_key(&scratch.log()).unwrap();
    let anchors: Vec<Anchor> = lines(&scratch.0.join("anchors"))
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!((anchors.len(), anchors[0].seq), (1, 5));
    let check = |anchors: &[Anchor]| verify(&scratch.log(), anchors, Some(&key)).unwrap();
    let found = check(&anchors);
    assert_eq!((found.findings.len(), found.n_anchors, found.n_records), (0, 1, 5));
    let file = files::list(&scratch.log()).unwrap().remove(0).path;
    let all = lines(&file);
    put(&file, &all[..4]);
    let what = &check(&anchors).findings[0].what;
    assert!(
        what.starts_with("The end was cut off: the log ends with record 4, but at "),
        "{what}"
    );
    let mut anew = all;
    anew[4] = forged(&anew[4].replace("somebody", "nobody"));
    put(&file, &anew);
    let what = &check(&anchors).findings[0].what;
    assert!(
        what.starts_with("Record 5 is not the one that the anchor of "),
        "{what}"
    );
    let mut unsigned = anchors;
    unsigned[0].seq = 4;
    let what = &check(&unsigned).findings[0].what;
    assert!(what.ends_with(" is not signed by the log's key."), "{what}");
}

#[test]
fn a_torn_end_is_kept_and_told() {
    let scratch = Scratch::new();
    write(&scratch.log(), 2);
    let file = files::list(&scratch.log()).unwrap().remove(0).path;
    let mut bytes = fs::read(&file).unwrap();
    bytes.extend_from_slice(b"{\"seq\":3,\"ts\"");
    fs::write(&file, bytes).unwrap();
    let notes = verify(&scratch.log(), &[], None).unwrap().notes;
    assert!(
        notes[0].contains("ends in 13 bytes of an unfinished record"),
        "{notes:?}"
    );
    let audit = Audit::open(options(scratch.log())).unwrap();
    audit.note(&record(4));
    audit.close();
    let found = verify(&scratch.log(), &[], None).unwrap();
    assert_eq!((told(&found).as_str(), found.n_records), ("", 4));
    assert!(
        found.notes[0].starts_with("Record 3: A crash had left 13 bytes after record 2"),
        "{:?}",
        found.notes
    );
    assert_eq!(
        fs::read(scratch.log().join("torn-after-2")).unwrap(),
        b"{\"seq\":3,\"ts\""
    );
}

#[test]
fn whatever_a_crash_leaves_the_chain_goes_on() {
    let seed = std::env::var("STEPFN_AUDIT_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| u64::from(std::process::id()));
    eprintln!("STEPFN_AUDIT_SEED={seed}");
    let mut chance = Entropy::new(seed);
    for _ in 0..100 {
        let scratch = Scratch::new();
        write(&scratch.log(), 1 + chance.next_u64() % 8);
        // What was not synced may be there in part, or as zeros.
        let file = files::list(&scratch.log()).unwrap().pop().unwrap().path;
        let mut bytes = fs::read(&file).unwrap();
        let n_cut = usize::try_from(chance.next_u64() % bytes.len() as u64).unwrap();
        let n_zeros = usize::try_from(chance.next_u64() % 100).unwrap();
        bytes.truncate(bytes.len() - n_cut);
        bytes.resize(bytes.len() + n_zeros, 0);
        fs::write(&file, &bytes).unwrap();
        let mut appender = Appender::open(options(scratch.log()).keeping()).unwrap();
        appender.append(&[Entry::new(&record(99))], true).unwrap();
        let found = verify(&scratch.log(), &[], None).unwrap();
        assert_eq!(told(&found), "", "seed {seed}");
    }
}

#[test]
fn one_process_at_a_time_writes_a_servers_log_and_runs_take_turns() {
    let scratch = Scratch::new();
    let audit = Audit::open(options(scratch.log())).unwrap();
    let refused = Audit::open(options(scratch.log())).err().unwrap().to_string();
    assert!(refused.contains("another process writes the audit log in"), "{refused}");
    audit.close();
    let runs = [(); 4].map(|()| {
        let mut options = options(scratch.log());
        options.is_shared = true;
        Audit::open(options).unwrap()
    });
    std::thread::scope(|scope| {
        for run in &runs {
            scope.spawn(|| {
                for number in 0..20 {
                    run.write(&record(number)).blocking_recv().unwrap().unwrap();
                }
                run.close();
            });
        }
    });
    let found = verify(&scratch.log(), &[], None).unwrap();
    assert_eq!((told(&found).as_str(), found.n_records), ("", 80));
}

static IS_FULL: AtomicBool = AtomicBool::new(false);

fn full_disk() -> io::Result<()> {
    match IS_FULL.load(Ordering::Relaxed) {
        true => Err(io::Error::from(io::ErrorKind::StorageFull)),
        false => Ok(()),
    }
}

#[test]
fn a_full_disk_holds_back_what_waits_until_there_is_room() {
    let scratch = Scratch::new();
    let mut options = options(scratch.log());
    options.fault = Some(full_disk);
    let audit = Audit::open(options).unwrap();
    audit.write(&record(1)).blocking_recv().unwrap().unwrap();
    IS_FULL.store(true, Ordering::Relaxed);
    let mut waiting = audit.write(&record(2));
    while audit.trouble().is_none() {
        std::thread::yield_now();
    }
    assert!(waiting.try_recv().is_err(), "it is not on the disk");
    IS_FULL.store(false, Ordering::Relaxed);
    waiting.blocking_recv().unwrap().unwrap();
    assert_eq!(audit.trouble(), None);
    audit.close();
    let found = verify(&scratch.log(), &[], None).unwrap();
    assert_eq!((told(&found).as_str(), found.n_records), ("", 2));
}

#[test]
fn old_files_go_and_the_chain_says_so() {
    let scratch = Scratch::new();
    write(&scratch.log(), 9);
    let mut options = options(scratch.log());
    options.keep_days = Some(1);
    // The months of the test are long past only when its clock is: so look from where the files are.
    let keeping = super::append::Keeping {
        now: Some(Timestamp::parse_rfc3339("2026-03-10T00:00:00Z").unwrap()),
        ..options.keeping()
    };
    drop(Appender::open(keeping).unwrap());
    let names: Vec<u64> = files::list(&scratch.log())
        .unwrap()
        .iter()
        .map(|file| file.first_seq)
        .collect();
    assert_eq!(names, [7]);
    let found = verify(&scratch.log(), &[], None).unwrap();
    assert_eq!((told(&found).as_str(), found.first, found.n_records), ("", 7, 4));
    assert_eq!(
        found.notes,
        ["Record 10: 2 files up to record 6 were deleted: they are older than 1 days."]
    );
}

#[test]
fn a_reader_follows_the_writer_from_file_to_file() {
    let scratch = Scratch::new();
    write(&scratch.log(), 4);
    let filter = Filter {
        execution: Some("4".to_owned()),
        events: vec![Event::TaskIntent],
        ..Filter::default()
    };
    let mut reader = Reader::open(&scratch.log(), filter).unwrap();
    let mut next = || match reader.read_next().unwrap() {
        Some(Read::Record(record, _)) => Some(record.seq),
        Some(Read::Broken(file)) => panic!("{file}"),
        None => None,
    };
    assert_eq!((next(), next()), (Some(4), None));
    let audit = Audit::open(options(scratch.log())).unwrap();
    audit.note(&record(5));
    audit.note(&record(4));
    audit.close();
    assert_eq!((next(), next()), (Some(6), None));
}
