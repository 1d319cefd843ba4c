//! The file of `--history`: the shape of `GetExecutionHistory`.

use std::fs::File;
use std::io;
use std::io::BufWriter;
use std::io::Write;
use std::path::Path;

use crate::model::history_event::HistoryEvent;

/// A history file that grows with the execution.
#[derive(Debug)]
pub(crate) struct HistoryFile {
    writer: BufWriter<File>,
    is_first: bool,
    error: Option<io::Error>,
}

impl HistoryFile {
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        let mut writer = BufWriter::new(File::create(path)?);
        writer.write_all(b"{\"events\":[")?;
        Ok(Self {
            writer,
            is_first: true,
            error: None,
        })
    }

    /// Adds an event. The first error is kept for `finish`.
    pub(crate) fn add(&mut self, event: &HistoryEvent) {
        if self.error.is_none()
            && let Err(error) = self.write(event)
        {
            self.error = Some(error);
        }
    }

    fn write(&mut self, event: &HistoryEvent) -> io::Result<()> {
        self.writer.write_all(if self.is_first { b"\n" } else { b",\n" })?;
        self.is_first = false;
        serde_json::to_writer(&mut self.writer, &event.to_api())?;
        Ok(())
    }

    pub(crate) fn finish(mut self) -> io::Result<()> {
        if let Some(error) = self.error {
            return Err(error);
        }
        self.writer.write_all(b"\n]}\n")?;
        self.writer.flush()
    }
}
