//! What reading and writing a million items costs: `cargo bench --bench items`.
//!
//! Prints items per second and the peak of resident memory over that of the process before.
#![expect(clippy::print_stdout, reason = "the table is the result")]

use std::collections::BTreeMap;
use std::fs;
use std::fs::File;
use std::io::BufWriter;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use serde_json::Value;
use serde_json::json;
use stepfn::items::bucket::Buckets;
use stepfn::items::directory::DirectoryBuckets;
use stepfn::items::reader;
use stepfn::items::record::ChildEnd;
use stepfn::items::record::ChildRecord;
use stepfn::items::spec::ReaderSpec;
use stepfn::items::writer::FILE_BYTES_MAX;
use stepfn::items::writer::ResultWriter;
use stepfn::items::writer::WriterSpec;
use stepfn::model::timestamp::Timestamp;

const ITEMS: u64 = 1_000_000;

fn main() {
    let directory = std::env::temp_dir().join(format!("stepfn-bench-items-{}", std::process::id()));
    fs::create_dir_all(&directory).expect("a directory");
    let buckets: Arc<dyn Buckets> = Arc::new(DirectoryBuckets::new(BTreeMap::from([(
        "b".to_owned(),
        directory.clone(),
    )])));
    println!("| {ITEMS} items | items/s | MB/s | peak RSS over start |");
    println!("|---|---:|---:|---:|");
    let csv = json!({"InputType": "CSV", "CSVHeaderLocation": "FIRST_ROW"});
    for (name, start, item, end, config) in [
        ("JSONL", "", json_line as Line, "", json!({"InputType": "JSONL"})),
        ("JSON", "[0", json_element, "]", json!({"InputType": "JSON"})),
        ("CSV", "rating,movieId,userId,timestamp\n", csv_line, "", csv),
    ] {
        let path = directory.join(name);
        let bytes = generate(&path, start, item, end);
        let spec = ReaderSpec::parse(
            "arn:aws:states:::s3:getObject",
            &json!({"Bucket": "b", "Key": name}),
            Some(&config),
        );
        let spec = spec.expect("good");
        measure(name, bytes, || read(&spec, &buckets, 0));
        measure(&format!("{name}, passed over"), bytes, || read(&spec, &buckets, ITEMS));
        fs::remove_file(path).expect("a file");
    }
    measure("result files", 0, || write(&buckets));
    fs::remove_dir_all(directory).expect("a directory");
}

type Line = fn(u64) -> String;

fn json_line(n: u64) -> String {
    format!("{{\"rating\":3.5,\"movieId\":{n},\"userId\":\"user {n}\",\"timestamp\":1256677221}}\n")
}

fn json_element(n: u64) -> String {
    format!(",\n{}", json_line(n))
}

fn csv_line(n: u64) -> String {
    format!("3.5,{n},\"user, {n}\",1256677221\n")
}

fn generate(path: &Path, start: &str, item: Line, end: &str) -> u64 {
    let mut file = BufWriter::new(File::create(path).expect("a file"));
    file.write_all(start.as_bytes()).expect("space");
    (0..ITEMS).for_each(|n| file.write_all(item(n).as_bytes()).expect("space"));
    file.write_all(end.as_bytes()).expect("space");
    file.flush().expect("space");
    fs::metadata(path).expect("a file").len()
}

fn read(spec: &ReaderSpec, buckets: &Arc<dyn Buckets>, after: u64) {
    let items = reader::open(spec, Arc::clone(buckets)).and_then(|items| items.after(after));
    let n = items
        .expect("it opens")
        .inspect(|item| assert!(item.is_ok(), "good"))
        .count() as u64;
    assert!(n + after >= ITEMS);
}

fn write(buckets: &Arc<dyn Buckets>) {
    let spec = WriterSpec::parse(&json!({"Bucket": "b", "Prefix": "out"}), None).expect("good");
    let arn = "arn:aws:states:us-east-1:123456789012:mapRun:M/L:0f1e";
    let mut writer = ResultWriter::new(spec, arn, 0, Arc::clone(buckets), FILE_BYTES_MAX).expect("it begins");
    for n in 0..ITEMS {
        let text = json_line(n);
        let child = ChildRecord {
            execution_arn: "arn:aws:states:us-east-1:123456789012:execution:M/L:6a4a0d30-0c0a-4e0a-9d0b-0d0d0d0d0d0d",
            name: "6a4a0d30-0c0a-4e0a-9d0b-0d0d0d0d0d0d",
            state_machine_arn: "arn:aws:states:us-east-1:123456789012:stateMachine:M/L",
            input: &text,
            end: ChildEnd::Succeeded { output: &text },
            redrive_count: 0,
            started: Some(Timestamp(1_738_633_790_099)),
            stopped: Some(Timestamp(1_738_633_791_000)),
        };
        writer.write(&child).expect("it is written");
    }
    let result: Value = writer.finish().expect("it ends");
    assert!(result["ResultWriterDetails"]["Key"].is_string());
}

fn measure(name: &str, bytes: u64, work: impl FnOnce()) {
    // Makes the peak what is resident now.
    fs::write("/proc/self/clear_refs", "5").expect("Linux");
    let before = peak_kib();
    let start = Instant::now();
    work();
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "| {name} | {:.0} | {:.0} | {:.1} MiB |",
        ITEMS as f64 / seconds,
        bytes as f64 / seconds / 1e6,
        (peak_kib() - before) as f64 / 1024.0
    );
}

fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("a peak");
    let digits = line.split_ascii_whitespace().nth(1).expect("a number");
    digits.parse().expect("a number")
}
