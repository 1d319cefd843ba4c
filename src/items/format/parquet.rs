//! Parquet: rows as JSON objects, column names as keys.

use std::io::BufReader;
use std::io::Read;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;

use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::reader::ChunkReader;
use parquet::file::reader::FileReader;
use parquet::file::reader::Length;
use parquet::file::serialized_reader::SerializedFileReader;
use parquet::record::reader::RowIter;

use crate::items::bucket::Buckets;
use crate::items::bucket::Object;
use crate::items::bucket::reader_failed;
use crate::items::format::Record;
use crate::items::format::Records;
use crate::items::text::source;
use crate::model::payload::Payload;
use crate::model::states_error::StatesError;

/// Largest footer, in bytes.
const FOOTER_BYTES_MAX: u32 = 5 * 1024 * 1024;
/// Largest row group, in bytes.
const ROW_GROUP_BYTES_MAX: i64 = 256 * 1024 * 1024;
/// The footer's length and `PAR1`.
const TAIL_BYTES: u64 = 8;

pub(super) struct ParquetRecords {
    rows: RowIter<'static>,
    source: String,
}

impl ParquetRecords {
    pub(super) fn open(buckets: &dyn Buckets, bucket: &str, key: &str) -> Result<Self, StatesError> {
        let object = buckets.open(bucket, key).map_err(|error| error.reader_failed())?;
        let source = source(bucket, key);
        let footer = footer_bytes(&*object);
        if footer.is_some_and(|bytes| bytes > FOOTER_BYTES_MAX) {
            return Err(reader_failed(format!(
                "{source} has a footer larger than {FOOTER_BYTES_MAX} bytes"
            )));
        }
        let rows = guarded(&source, || {
            let reader = SerializedFileReader::new(Chunks(object))?;
            let groups = reader.metadata().row_groups();
            if groups.iter().any(|group| group.total_byte_size() > ROW_GROUP_BYTES_MAX) {
                return Err(ParquetError::General(format!(
                    "a row group is larger than {ROW_GROUP_BYTES_MAX} bytes"
                )));
            }
            Ok(RowIter::from_file_into(Box::new(reader)))
        })?;
        Ok(Self { rows, source })
    }
}

impl Records for ParquetRecords {
    fn next(&mut self) -> Result<Option<Record>, StatesError> {
        let row = guarded(&self.source, || self.rows.next().transpose())?;
        Ok(row.map(|row| Record {
            key: None,
            value: Payload::new(row.to_json_value()),
        }))
    }
}

/// Reads; a damaged file is an error even where the crate only thought of whole ones.
fn guarded<T>(source: &str, read: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, StatesError> {
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(Ok(read)) => Ok(read),
        Ok(Err(error)) => Err(reader_failed(format!("{source} is not readable Parquet: {error}"))),
        Err(_) => Err(reader_failed(format!("{source} is damaged Parquet"))),
    }
}

fn footer_bytes(object: &dyn Object) -> Option<u32> {
    let mut tail = [0; 4];
    let start = object.bytes().checked_sub(TAIL_BYTES)?;
    object.read_from(start).read_exact(&mut tail).ok()?;
    Some(u32::from_le_bytes(tail))
}

/// An object as the crate wants to read it.
struct Chunks(Box<dyn Object>);

impl Length for Chunks {
    fn len(&self) -> u64 {
        self.0.bytes()
    }
}

impl ChunkReader for Chunks {
    type T = BufReader<Box<dyn Read + Send>>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        Ok(BufReader::new(self.0.read_from(start)))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        // The length stands in the file: it must not make us reserve more than there is.
        let left = self.0.bytes().saturating_sub(start);
        if length as u64 > left {
            return Err(ParquetError::EOF(format!("{length} bytes are wanted, {left} are left")));
        }
        let mut bytes = Vec::with_capacity(length);
        self.0.read_from(start).take(length as u64).read_to_end(&mut bytes)?;
        if bytes.len() < length {
            return Err(ParquetError::EOF("the object became shorter".to_owned()));
        }
        Ok(Bytes::from(bytes))
    }
}
