//! JSON Lines: one value a line. Blank lines are passed over.

use crate::items::format::Record;
use crate::items::format::Records;
use crate::items::text::Text;
use crate::model::payload::Payload;
use crate::model::states_error::StatesError;

pub(super) struct LineRecords {
    text: Text,
    buffer: Vec<u8>,
    n_lines: u64,
}

impl LineRecords {
    pub(super) fn new(text: Text) -> Self {
        Self {
            text,
            buffer: Vec::new(),
            n_lines: 0,
        }
    }

    /// Reads up to the next line that is not blank into the buffer.
    fn advance(&mut self) -> Result<bool, StatesError> {
        while let Some(line) = self.text.line(&mut self.buffer)? {
            self.n_lines += 1;
            if !line.trim_ascii().is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Records for LineRecords {
    fn next(&mut self) -> Result<Option<Record>, StatesError> {
        if !self.advance()? {
            return Ok(None);
        }
        let line = str::from_utf8(self.buffer.trim_ascii()).map_err(|_| self.text.not_utf8())?;
        let value = Payload::parse(line).map_err(|error| {
            let line = self.n_lines;
            self.text.error(format!("has a line {line} that is not JSON: {error}"))
        })?;
        Ok(Some(Record { key: None, value }))
    }

    fn skip(&mut self) -> Result<bool, StatesError> {
        self.advance()
    }
}
