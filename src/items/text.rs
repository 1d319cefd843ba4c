//! Objects as text: unpacked by extension, read in pieces of bounded size.

use std::io;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Cursor;
use std::io::Read;

use flate2::bufread::MultiGzDecoder;

use crate::items::bucket::Buckets;
use crate::items::bucket::reader_failed;
use crate::model::states_error::StatesError;

/// Largest item, in bytes of the file. AWS's quota; it also bounds the memory of a reader.
pub const ITEM_BYTES_MAX: usize = 8 * 1024 * 1024;

/// How much is read at once.
const PIECE: usize = 64 * 1024;

/// The (unpacked) bytes of an object.
pub(super) struct Text {
    reader: BufReader<Box<dyn Read + Send>>,
    /// `S3://bucket/key`.
    source: String,
    offset: u64,
}

/// Where items of an object say that they come from.
pub(super) fn source(bucket: &str, key: &str) -> String {
    format!("S3://{bucket}/{key}")
}

impl Text {
    /// Opens an object; `.gz` and `.zst` or `.zstd` are unpacked.
    pub(super) fn open(buckets: &dyn Buckets, bucket: &str, key: &str) -> Result<Self, StatesError> {
        let object = buckets.open(bucket, key).map_err(|error| error.reader_failed())?;
        let packed = BufReader::with_capacity(PIECE, object.read_from(0));
        let extension = key.rsplit_once('.').map_or("", |(_, extension)| extension);
        let plain: Box<dyn Read + Send> = match extension.to_ascii_lowercase().as_str() {
            "gz" | "gzip" => Box::new(MultiGzDecoder::new(packed)),
            "zst" | "zstd" => Box::new(
                zstd::Decoder::with_buffer(packed)
                    .map_err(|error| reader_failed(format!("{} cannot be read: {error}", source(bucket, key))))?,
            ),
            _ => Box::new(packed),
        };
        Self::new(plain, source(bucket, key))
    }

    /// Reads from anywhere. A byte order mark at the beginning is no part of the text.
    pub(super) fn new(mut plain: Box<dyn Read + Send>, source: String) -> Result<Self, StatesError> {
        let mut start = Vec::with_capacity(3);
        let begun = plain.by_ref().take(3).read_to_end(&mut start);
        if start == b"\xEF\xBB\xBF" {
            start.clear();
        }
        let reader: Box<dyn Read + Send> = Box::new(Cursor::new(start).chain(plain));
        let text = Self {
            reader: BufReader::with_capacity(PIECE, reader),
            source,
            offset: 0,
        };
        match begun {
            Ok(_) => Ok(text),
            Err(error) => Err(text.unreadable(&error)),
        }
    }

    /// Returns the next bytes without taking them; empty at the end.
    pub(super) fn peek(&mut self) -> Result<&[u8], StatesError> {
        loop {
            match self.reader.fill_buf() {
                Ok(_) => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.unreadable(&error)),
            }
        }
        Ok(self.reader.buffer())
    }

    /// Takes bytes that were seen.
    pub(super) fn take(&mut self, n: usize) {
        self.reader.consume(n);
        self.offset += n as u64;
    }

    /// Returns how many bytes were taken.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Reads a line without its line feed; `None` at the end.
    pub(super) fn line<'b>(&mut self, buffer: &'b mut Vec<u8>) -> Result<Option<&'b [u8]>, StatesError> {
        buffer.clear();
        loop {
            let piece = self.peek()?;
            if piece.is_empty() {
                let has_line = !buffer.is_empty();
                return Ok(has_line.then_some(buffer));
            }
            let end = piece.iter().position(|byte| *byte == b'\n');
            let n = end.unwrap_or(piece.len());
            if buffer.len() + n > ITEM_BYTES_MAX {
                return Err(self.too_large());
            }
            buffer.extend_from_slice(&piece[..n]);
            self.take(n + usize::from(end.is_some()));
            if end.is_some() {
                return Ok(Some(buffer));
            }
        }
    }

    /// Reads everything, if that is at most `max` bytes.
    pub(super) fn whole(mut self, max: usize) -> Result<Vec<u8>, StatesError> {
        let mut bytes = Vec::new();
        let read = self.reader.by_ref().take(max as u64 + 1).read_to_end(&mut bytes);
        match read {
            Err(error) => Err(self.unreadable(&error)),
            Ok(n) if n > max => Err(self.error(format!("is larger than {max} bytes"))),
            Ok(_) => Ok(bytes),
        }
    }

    /// Makes an error that begins with the object's name.
    pub(super) fn error(&self, what: impl std::fmt::Display) -> StatesError {
        reader_failed(format!("{} {what}", self.source))
    }

    /// An item is larger than `ITEM_BYTES_MAX`.
    pub(super) fn too_large(&self) -> StatesError {
        let at = self.offset;
        self.error(format!(
            "has an item at byte {at} that is larger than {ITEM_BYTES_MAX} bytes"
        ))
    }

    /// A part of the text is not UTF-8.
    pub(super) fn not_utf8(&self) -> StatesError {
        self.error(format!("is not UTF-8 before byte {}", self.offset))
    }

    fn unreadable(&self, error: &io::Error) -> StatesError {
        self.error(format!("cannot be read: {error}"))
    }
}
