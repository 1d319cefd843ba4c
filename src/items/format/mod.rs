//! One file per format of data: from the bytes of an object to records.

pub mod csv;
pub mod json;
pub mod jsonl;
pub mod parquet;

use crate::items::bucket::Buckets;
use crate::items::format::csv::CsvOptions;
use crate::items::text::Text;
use crate::model::payload::Payload;
use crate::model::states_error::StatesError;

/// One record of an object.
pub(super) struct Record {
    /// The name of a pair, where an object is iterated.
    pub(super) key: Option<String>,
    /// The value.
    pub(super) value: Payload,
}

/// Records in the order of the file.
pub(super) trait Records: Send {
    /// Reads the next one.
    fn next(&mut self) -> Result<Option<Record>, StatesError>;

    /// Passes over the next one, which may cost less than reading it. `false` at the end.
    fn skip(&mut self) -> Result<bool, StatesError> {
        Ok(self.next()?.is_some())
    }
}

/// The formats of data files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// `CSV`.
    Csv(CsvOptions),
    /// `JSON`, with the steps of its `ItemsPointer`.
    Json {
        /// Names and indices, unescaped.
        pointer: Vec<String>,
    },
    /// `JSONL`.
    JsonLines,
    /// `PARQUET`.
    Parquet,
}

impl Format {
    /// Opens an object of this format.
    pub(super) fn open(&self, buckets: &dyn Buckets, bucket: &str, key: &str) -> Result<Box<dyn Records>, StatesError> {
        let text = || Text::open(buckets, bucket, key);
        Ok(match self {
            Self::Csv(options) => Box::new(csv::CsvRecords::open(text()?, options)?),
            Self::Json { pointer } => Box::new(json::JsonRecords::open(text()?, pointer)?),
            Self::JsonLines => Box::new(jsonl::LineRecords::new(text()?)),
            Self::Parquet => Box::new(parquet::ParquetRecords::open(buckets, bucket, key)?),
        })
    }
}
