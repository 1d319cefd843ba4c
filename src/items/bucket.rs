//! The doors to buckets, whatever they are made of.

use std::io;
use std::io::Read;
use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::model::states_error::StatesError;
use crate::model::timestamp::Timestamp;

/// Longest key, in bytes.
pub const KEY_BYTES_MAX: usize = 1024;

/// Buckets by name.
pub trait Buckets: Send + Sync {
    /// Opens an object.
    fn open(&self, bucket: &str, key: &str) -> Result<Box<dyn Object>, BucketError>;
    /// Lists the objects whose keys begin with `prefix`, in the byte order of their keys.
    fn list(&self, bucket: &str, prefix: &str) -> Result<Listing, BucketError>;
    /// Returns the entity tag of a listed object, with its quotes. It may have to read the object.
    fn etag(&self, bucket: &str, object: &ObjectInfo) -> Result<String, BucketError>;
    /// Begins an object. It is there, whole, once it is finished; until then its key shows what was there before.
    fn create(&self, bucket: &str, key: &str) -> Result<Box<dyn NewObject>, BucketError>;
}

/// Objects being listed.
pub type Listing = Box<dyn Iterator<Item = Result<ObjectInfo, BucketError>> + Send>;

/// An object that is open for reading.
pub trait Object: Send + Sync {
    /// Returns its size in bytes.
    fn bytes(&self) -> u64;
    /// Reads from a place on. Readers of one object do not disturb one another.
    fn read_from(&self, offset: u64) -> Box<dyn Read + Send>;
}

/// An object being written. Dropped, it leaves nothing behind.
pub trait NewObject: Write + Send {
    /// Makes what was written durable and visible.
    fn finish(self: Box<Self>) -> Result<(), BucketError>;
}

/// What a listing tells about an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Its key.
    pub key: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// When it was written.
    pub modified: Timestamp,
}

/// Why a bucket did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum BucketError {
    /// S3 itself refuses, in the sentence of its SDK.
    #[error("{0}")]
    Service(String),
    /// S3 could, a directory cannot.
    #[error("the key `{0}` cannot be a file of a bucket that is a directory")]
    Key(String),
    /// The file system refuses.
    #[error("s3://{bucket}/{key}: {source}")]
    Io {
        /// Which bucket.
        bucket: String,
        /// Which key.
        key: String,
        /// Why.
        source: io::Error,
    },
}

impl BucketError {
    /// There is no such bucket.
    pub fn no_such_bucket() -> Self {
        Self::service("The specified bucket does not exist", 404)
    }

    /// There is no such key.
    pub fn no_such_key() -> Self {
        Self::service("The specified key does not exist.", 404)
    }

    /// There is no such version of the object.
    pub fn no_such_version() -> Self {
        Self::service("The specified version does not exist.", 404)
    }

    /// The process may not do that.
    pub fn access_denied() -> Self {
        Self::service("Access Denied", 403)
    }

    fn service(sentence: &str, status: u16) -> Self {
        let mut random = [0_u8; 64];
        // The ids only have to look like S3's; without chance they are all zeros.
        let _ = getrandom::fill(&mut random);
        let request: String = random[..8].iter().map(|byte| format!("{byte:02X}")).collect();
        let extended = STANDARD.encode(&random[8..]);
        Self::Service(format!(
            "{sentence} (Service: S3, Status Code: {status}, Request ID: {request}, Extended Request ID: {extended})"
        ))
    }

    /// Returns the error of a Map Run that could not read its items.
    pub fn reader_failed(&self) -> StatesError {
        reader_failed(self.to_string())
    }

    /// Returns the error of a Map Run that could not write its results.
    pub fn writer_failed(&self) -> StatesError {
        StatesError::new("States.ResultWriterFailed", self.to_string())
    }
}

/// Returns `States.ItemReaderFailed`.
pub(super) fn reader_failed(cause: impl Into<String>) -> StatesError {
    StatesError::new("States.ItemReaderFailed", cause)
}
