//! The S3 buckets of a case, as local directories.
//!
//! The recordings name the objects that a case puts into its bucket, but their bytes were streamed and are not in
//! them. Where the children of a Distributed Map hand their items through, the recorded output has the items, so
//! the file is written back from it: what such a case shows is everything but the text of the file.

use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use serde_json::Map;
use serde_json::Value;
use stepfn::items::directory::DirectoryBuckets;

use crate::case::Case;

/// The directories of one case's buckets; they go when it is dropped.
pub struct CaseBuckets {
    root: PathBuf,
    directories: BTreeMap<String, PathBuf>,
}

impl CaseBuckets {
    /// Makes the buckets of a case and fills them.
    ///
    /// # Errors
    /// An object cannot be derived from the case, or cannot be written.
    pub fn of(case: &Case) -> Result<Self, String> {
        static N_MADE: AtomicU64 = AtomicU64::new(0);
        let number = N_MADE.fetch_add(1, Ordering::Relaxed);
        let root = std::env::temp_dir().join(format!("asl-conformance-buckets-{}-{number}", std::process::id()));
        let mut this = Self {
            root,
            directories: BTreeMap::new(),
        };
        let calls = case.json.get("service_calls_by_test").and_then(Value::as_array);
        for call in calls.into_iter().flatten().filter(|call| call["service"] == "s3") {
            let text = |name: &str| call["params"][name].as_str();
            let bucket = text("Bucket").ok_or("a call of S3 names no bucket")?;
            let directory = this.root.join(bucket);
            std::fs::create_dir_all(&directory).map_err(|error| failed(&directory, &error))?;
            this.directories.insert(bucket.to_owned(), directory.clone());
            match call["op"].as_str() {
                Some("CreateBucket") => {}
                Some("PutObject") => {
                    let file = directory.join(text("Key").ok_or("PutObject names no key")?);
                    let body = text("Body").map_or_else(|| derived(case), |body| Ok(body.to_owned()))?;
                    std::fs::write(&file, body).map_err(|error| failed(&file, &error))?;
                }
                _ => return Err(format!("the call {} of S3 cannot be repeated", call["op"])),
            }
        }
        Ok(this)
    }

    /// Returns the buckets for a server.
    pub fn directories(&self) -> DirectoryBuckets {
        DirectoryBuckets::new(self.directories.clone())
    }
}

impl Drop for CaseBuckets {
    fn drop(&mut self) {
        // Whatever stays is in the system's directory for such files.
        let _ = std::fs::remove_dir_all(&self.root);
    }
}

fn failed(path: &Path, error: &std::io::Error) -> String {
    format!("failed to write `{}`: {error}", path.display())
}

/// Writes the file back from the items in the output.
fn derived(case: &Case) -> Result<String, String> {
    let unknown = || "the case has no items that its file could be derived from".to_owned();
    let reader = case.json.get("definition").and_then(reader).ok_or_else(unknown)?;
    let output = case.json.get("expect").and_then(|expect| expect["output"].as_str());
    let output: Vec<Value> = serde_json::from_str(output.ok_or_else(unknown)?).map_err(|_| unknown())?;
    let mut items: Vec<Value> = Vec::new();
    for child in output {
        match child.get("Items").and_then(Value::as_array) {
            Some(batch) => items.extend(batch.iter().cloned()),
            None => items.push(child),
        }
    }
    let config = &reader["ReaderConfig"];
    // A file with no more items than the limit would not show the limit.
    if config["MaxItems"].as_u64() == u64::try_from(items.len()).ok() {
        items.extend(items.last().cloned());
    }
    match config["InputType"].as_str() {
        Some("JSON") => Ok(Value::Array(items).to_string()),
        Some("CSV") => {
            let rows = items.iter().map(Value::as_object).collect::<Option<Vec<_>>>();
            csv(&rows.ok_or_else(unknown)?, config["CSVHeaderLocation"] == "FIRST_ROW").ok_or_else(unknown)
        }
        _ => Err(unknown()),
    }
}

/// Finds the only kind of state that reads from S3.
fn reader(value: &Value) -> Option<&Value> {
    let object = value.as_object()?;
    object.get("ItemReader").or_else(|| object.values().find_map(reader))
}

fn csv(rows: &[&Map<String, Value>], with_header: bool) -> Option<String> {
    let mut text = String::new();
    if with_header {
        let header: Vec<String> = rows.first()?.keys().map(|name| cell(name)).collect();
        text += &(header.join(",") + "\n");
    }
    for row in rows {
        let cells: Option<Vec<String>> = row.values().map(|value| value.as_str().map(cell)).collect();
        text += &(cells?.join(",") + "\n");
    }
    Some(text)
}

fn cell(text: &str) -> String {
    match text.contains(['"', ',', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}
