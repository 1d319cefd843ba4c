//! Bad input is a clear error, and costs no memory.

use std::fs;
use std::io;
use std::io::Read;
use std::io::Write;

use serde_json::Value;
use serde_json::json;

use crate::items::format::Records;
use crate::items::format::csv::CsvOptions;
use crate::items::format::csv::CsvRecords;
use crate::items::format::json::JsonRecords;
use crate::items::format::jsonl::LineRecords;
use crate::items::testing::Bucket;
use crate::items::testing::show;
use crate::items::text::ITEM_BYTES_MAX;
use crate::items::text::Text;
use crate::model::states_error::StatesError;

const MB: usize = 1024 * 1024;

fn configs() -> [Value; 3] {
    [
        json!({"InputType": "JSONL"}),
        json!({"InputType": "JSON"}),
        json!({"InputType": "CSV", "CSVHeaderLocation": "GIVEN", "CSVHeaders": ["a"]}),
    ]
}

#[test]
fn a_cut_gzip_file_gives_its_items_and_an_error() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut text = String::from("[1");
    (0..50_000).for_each(|n| text.push_str(&format!(",\n{n}")));
    encoder.write_all(text.as_bytes()).expect("memory");
    let packed = encoder.finish().expect("memory");
    let bucket = Bucket::with(&[("f.gz", &packed[..packed.len() / 2])]);
    let shown = show(bucket.open("f.gz", json!({"InputType": "JSON"})));
    assert!(shown.starts_with("1\n0\n1\n2\n"));
    let last = shown.lines().last().expect("a line");
    assert_eq!(
        last,
        "States.ItemReaderFailed: S3://b/f.gz cannot be read: incomplete deflate stream"
    );
    bucket.put("plain.gz", b"[1,2,3,4,5,6,7,8,9]");
    let shown = show(bucket.open("plain.gz", json!({"InputType": "JSON"})));
    assert_eq!(
        shown,
        "States.ItemReaderFailed: S3://b/plain.gz cannot be read: invalid gzip header\n"
    );
}

#[test]
fn text_that_is_not_utf8_is_an_error() {
    let bucket = Bucket::with(&[("f", b"[\"\xFF\"]")]);
    for config in configs() {
        let shown = show(bucket.open("f", config));
        assert!(
            shown.starts_with("States.ItemReaderFailed: S3://b/f is not UTF-8 before byte "),
            "{shown}"
        );
    }
    // Two halves of a character in two fields are no character.
    let bucket = Bucket::with(&[("f", b"\xC3,\xA9\n")]);
    let config = json!({"InputType": "CSV", "CSVHeaderLocation": "GIVEN", "CSVHeaders": ["a", "b"]});
    assert!(show(bucket.open("f", config)).contains("is not UTF-8"));
}

#[test]
fn an_item_has_at_most_8_mb() {
    let bucket = Bucket::new();
    bucket.put("f", format!("[\"{}\"]", "x".repeat(10 * MB)).as_bytes());
    for config in configs() {
        let shown = show(bucket.open("f", config));
        assert!(
            shown.contains("that is larger than 8388608 bytes"),
            "{}",
            &shown[..200.min(shown.len())]
        );
    }
    bucket.put("f", format!("[\"{}\"]", "x".repeat(7 * MB)).as_bytes());
    for config in configs() {
        assert_eq!(show(bucket.open("f", config)).lines().count(), 1);
    }
}

#[test]
fn deep_json_is_an_error() {
    let deep = "[".repeat(100_000);
    let bucket = Bucket::with(&[("open", deep.as_bytes())]);
    bucket.put("closed", format!("{deep}{}", "]".repeat(100_000)).as_bytes());
    bucket.put(
        "object",
        format!("{{\"a\":{deep}{},\"b\":[1]}}", "]".repeat(100_000)).as_bytes(),
    );
    for key in ["open", "closed"] {
        for input_type in ["JSON", "JSONL"] {
            let shown = show(bucket.open(key, json!({"InputType": input_type})));
            assert!(shown.starts_with("States.ItemReaderFailed: S3://b/"), "{shown}");
        }
    }
    // What is only passed over may be as deep as it likes.
    let shown = show(bucket.open("object", json!({"InputType": "JSON", "ItemsPointer": "/b"})));
    assert_eq!(shown, "1\n");
}

/// Bytes without end; counts what was taken.
struct Endless<'c> {
    byte: u8,
    n: &'c std::sync::atomic::AtomicUsize,
}

impl Read for Endless<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        buffer.fill(self.byte);
        let n = self.n.fetch_add(buffer.len(), std::sync::atomic::Ordering::Relaxed);
        assert!(n < 4 * ITEM_BYTES_MAX, "the reader does not stop");
        Ok(buffer.len())
    }
}

#[test]
fn a_line_without_end_ends_at_the_limit() {
    static N: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    type Open = fn(Text) -> Result<Box<dyn Records>, StatesError>;
    let csv: Open = |text| {
        let options = CsvOptions {
            delimiter: b',',
            headers: None,
        };
        Ok(Box::new(CsvRecords::open(text, &options)?))
    };
    let lines: Open = |text| Ok(Box::new(LineRecords::new(text)));
    let json: Open = |text| Ok(Box::new(JsonRecords::open(text, &[])?));
    let opens: [(Open, &[u8]); 5] = [
        (csv, b"x,"),
        (csv, b"\"x"),
        (lines, b"x"),
        (json, b"[\"x"),
        (json, b"[[["),
    ];
    for (open, bytes) in opens {
        for byte in bytes {
            N.store(0, std::sync::atomic::Ordering::Relaxed);
            let start = io::Cursor::new(bytes.to_vec());
            let text = Text::new(Box::new(start.chain(Endless { byte: *byte, n: &N })), "it".to_owned()).expect("text");
            let mut records = match open(text) {
                Ok(records) => records,
                Err(error) => {
                    assert!(error.cause.is_some_and(|cause| cause.starts_with("it ")));
                    continue;
                }
            };
            let error = loop {
                match records.next() {
                    Ok(Some(_)) => {}
                    Ok(None) => panic!("there is no end"),
                    Err(error) => break error,
                }
            };
            assert!(error.cause.is_some_and(|cause| cause.starts_with("it ")));
        }
    }
}

#[test]
fn a_named_pipe_is_no_object() {
    let bucket = Bucket::with(&[("f", b"1")]);
    let path = bucket.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    assert!(made.is_ok_and(|status| status.success()));
    let shown = show(bucket.open("pipe", json!({"InputType": "JSONL"})));
    assert!(shown.contains("The specified key does not exist."), "{shown}");
    assert_eq!(show(bucket.list("", json!({}))).lines().count(), 1);
    assert!(fs::metadata(path).is_ok());
}
