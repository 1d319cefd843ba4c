//! CSV in the dialect of the developer guide.
//!
//! Every value is text. A field in double quotation marks may hold delimiters and line feeds; `""` is one
//! quotation mark, outside of quotes, too. A backslash escapes a backslash, a quotation mark and the delimiter;
//! before anything else it disappears. Short rows are filled with `""`, fields beyond the header are dropped.
//! The crates for CSV know escapes only inside of quotes, so the parser is our own.

use serde_json::Map;
use serde_json::Value;

use crate::items::bucket::reader_failed;
use crate::items::format::Record;
use crate::items::format::Records;
use crate::items::text::ITEM_BYTES_MAX;
use crate::items::text::Text;
use crate::model::payload::Payload;
use crate::model::states_error::StatesError;

/// Longest header, in bytes.
pub const HEADER_BYTES_MAX: usize = 10 * 1024;

/// How a CSV file is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsvOptions {
    /// Between fields.
    pub delimiter: u8,
    /// The names of the columns; `None`: the first row has them.
    pub headers: Option<Vec<String>>,
}

pub(in crate::items) struct CsvRecords {
    rows: Rows,
    headers: Vec<String>,
}

impl CsvRecords {
    pub(in crate::items) fn open(text: Text, options: &CsvOptions) -> Result<Self, StatesError> {
        let mut rows = Rows::new(text, options.delimiter);
        let headers = match &options.headers {
            Some(headers) => headers.clone(),
            None if !rows.advance()? => Vec::new(),
            None => rows.fields()?.map(str::to_owned).collect(),
        };
        check_headers(&headers)?;
        Ok(Self { rows, headers })
    }
}

/// Checks names of columns.
pub(in crate::items) fn check_headers(headers: &[String]) -> Result<(), StatesError> {
    if headers.iter().map(String::len).sum::<usize>() > HEADER_BYTES_MAX {
        return Err(reader_failed(format!(
            "CSV headers cannot be longer than {HEADER_BYTES_MAX} bytes."
        )));
    }
    // Columns without a name are no duplicates (recorded): the last of them wins.
    let mut names: Vec<&String> = headers.iter().filter(|name| !name.is_empty()).collect();
    names.sort_unstable();
    if names.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(reader_failed("CSV headers cannot contain duplicates."));
    }
    Ok(())
}

impl Records for CsvRecords {
    fn next(&mut self) -> Result<Option<Record>, StatesError> {
        if !self.rows.advance()? {
            return Ok(None);
        }
        let mut object = Map::with_capacity(self.headers.len());
        let mut fields = self.rows.fields()?;
        for name in &self.headers {
            object.insert(name.clone(), Value::from(fields.next().unwrap_or_default()));
        }
        Ok(Some(Record {
            key: None,
            value: Payload::new(Value::Object(object)),
        }))
    }

    fn skip(&mut self) -> Result<bool, StatesError> {
        self.rows.advance()
    }
}

/// The rows of a CSV text.
pub(in crate::items) struct Rows {
    text: Text,
    delimiter: u8,
    /// The fields of the row, one behind the other.
    row: Vec<u8>,
    /// Where each field ends.
    ends: Vec<usize>,
}

#[derive(Clone, Copy, PartialEq)]
enum At {
    FieldStart,
    Plain,
    /// Behind a quotation mark in a plain field.
    PlainQuote,
    PlainEscape,
    Quoted,
    /// Behind a quotation mark in a quoted field: its end, or the first of two.
    QuotedQuote,
    QuotedEscape,
    RowEnd,
}

impl Rows {
    pub(in crate::items) fn new(text: Text, delimiter: u8) -> Self {
        Self {
            text,
            delimiter,
            row: Vec::new(),
            ends: Vec::new(),
        }
    }

    /// Returns the fields of the row.
    pub(in crate::items) fn fields(&self) -> Result<impl Iterator<Item = &str>, StatesError> {
        let row = str::from_utf8(&self.row).map_err(|_| self.text.not_utf8())?;
        let mut start = 0;
        // A field may end inside a character only where the whole row is UTF-8 by accident.
        if !self.ends.iter().all(|end| row.is_char_boundary(*end)) {
            return Err(self.text.not_utf8());
        }
        Ok(self
            .ends
            .iter()
            .map(move |end| &row[std::mem::replace(&mut start, *end)..*end]))
    }

    /// Goes to the next row that is not an empty line.
    pub(in crate::items) fn advance(&mut self) -> Result<bool, StatesError> {
        self.row.clear();
        self.ends.clear();
        let mut at = At::FieldStart;
        // A carriage return that stands bare at the end of the row belongs to the line feed.
        let mut bare_return = false;
        let mut has_quotes = false;
        loop {
            let piece = self.text.peek()?;
            if piece.is_empty() {
                return match at {
                    At::Quoted | At::QuotedEscape => Err(self.text.error("ends inside a quoted field")),
                    At::FieldStart if self.ends.is_empty() => Ok(false),
                    _ => {
                        if at == At::PlainQuote {
                            self.row.push(b'"');
                        }
                        if bare_return {
                            self.row.pop();
                        }
                        self.ends.push(self.row.len());
                        Ok(!self.is_empty_line(has_quotes))
                    }
                };
            }
            let mut n = 0;
            for byte in piece {
                n += 1;
                let was_return = std::mem::replace(&mut bare_return, false);
                let (next, push) = match (at, *byte) {
                    (At::Quoted, b'"') => (At::QuotedQuote, false),
                    (At::Quoted, b'\\') => (At::QuotedEscape, false),
                    (At::Quoted | At::QuotedEscape, _) => (At::Quoted, true),
                    (At::QuotedQuote, b'"') => (At::Quoted, true),
                    (At::PlainEscape, byte) if byte == self.delimiter => (At::Plain, true),
                    (At::PlainEscape, b'\\' | b'"') => (At::Plain, true),
                    (At::PlainQuote, b'"') => (At::Plain, true),
                    (at, byte) => {
                        if at == At::PlainQuote {
                            self.row.push(b'"');
                        }
                        match byte {
                            byte if byte == self.delimiter => {
                                self.ends.push(self.row.len());
                                (At::FieldStart, false)
                            }
                            b'\n' => {
                                if was_return {
                                    self.row.pop();
                                }
                                self.ends.push(self.row.len());
                                (At::RowEnd, false)
                            }
                            b'"' if at == At::FieldStart => {
                                has_quotes = true;
                                (At::Quoted, false)
                            }
                            b'"' => (At::PlainQuote, false),
                            b'\\' => (At::PlainEscape, false),
                            byte => {
                                bare_return = byte == b'\r';
                                (At::Plain, true)
                            }
                        }
                    }
                };
                at = next;
                if push {
                    self.row.push(*byte);
                }
                if at == At::RowEnd {
                    break;
                }
            }
            self.text.take(n);
            if self.row.len() + self.ends.len() > ITEM_BYTES_MAX {
                return Err(self.text.too_large());
            }
            if at == At::RowEnd {
                if !self.is_empty_line(has_quotes) {
                    return Ok(true);
                }
                self.row.clear();
                self.ends.clear();
                at = At::FieldStart;
            }
        }
    }

    fn is_empty_line(&self, has_quotes: bool) -> bool {
        self.ends == [0] && !has_quotes
    }
}
