//! A bucket for tests: a directory of its own that is removed with it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;

use crate::items::bucket::Buckets;
use crate::items::directory::DirectoryBuckets;
use crate::items::reader;
use crate::items::reader::Item;
use crate::items::reader::Items;
use crate::items::spec::ReaderSpec;
use crate::model::states_error::StatesError;

/// A directory with the bucket `b` in it.
pub(super) struct Bucket {
    root: PathBuf,
}

impl Bucket {
    pub(super) fn new() -> Self {
        let mut random = [0; 8];
        getrandom::fill(&mut random).expect("there is chance");
        let root = std::env::temp_dir().join(format!("stepfn-items-{:016x}", u64::from_ne_bytes(random)));
        fs::create_dir_all(root.join("b")).expect("a directory");
        Self { root }
    }

    pub(super) fn with(files: &[(&str, &[u8])]) -> Self {
        let bucket = Self::new();
        for (key, bytes) in files {
            bucket.put(key, bytes);
        }
        bucket
    }

    /// The directory of the bucket.
    pub(super) fn path(&self) -> PathBuf {
        self.root.join("b")
    }

    /// The directory around it.
    pub(super) fn around(&self) -> &Path {
        &self.root
    }

    pub(super) fn put(&self, key: &str, bytes: &[u8]) {
        let path = self.path().join(key);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        fs::write(path, bytes).expect("a file");
    }

    pub(super) fn get(&self, key: &str) -> String {
        fs::read_to_string(self.path().join(key)).unwrap_or_else(|error| panic!("{key}: {error}"))
    }

    pub(super) fn buckets(&self) -> Arc<dyn Buckets> {
        Arc::new(DirectoryBuckets::new(BTreeMap::from([("b".to_owned(), self.path())])))
    }

    /// Opens `key` as `config` says.
    pub(super) fn open(&self, key: &str, config: Value) -> Result<Items, StatesError> {
        let parameters = serde_json::json!({"Bucket": "b", "Key": key});
        let spec = ReaderSpec::parse("arn:aws:states:::s3:getObject", &parameters, Some(&config))?;
        reader::open(&spec, self.buckets())
    }

    /// Lists `prefix` as `config` says.
    pub(super) fn list(&self, prefix: &str, config: Value) -> Result<Items, StatesError> {
        let parameters = serde_json::json!({"Bucket": "b", "Prefix": prefix});
        let spec = ReaderSpec::parse("arn:aws:states:::s3:listObjectsV2", &parameters, Some(&config))?;
        reader::open(&spec, self.buckets())
    }
}

impl Drop for Bucket {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.root);
    }
}

/// Shows items one a line, and how they ended.
pub(super) fn show(items: Result<Items, StatesError>) -> String {
    let line = |item: Result<Item, StatesError>| match item {
        Ok(item) => match item.key {
            Some(key) => format!("{key}: {}\n", item.value.text()),
            None => format!("{}\n", item.value.text()),
        },
        Err(error) => format!(
            "{}: {}\n",
            error.name.unwrap_or_default(),
            error.cause.unwrap_or_default()
        ),
    };
    match items {
        Ok(items) => items.map(line).collect(),
        Err(error) => line(Err(error)),
    }
}
