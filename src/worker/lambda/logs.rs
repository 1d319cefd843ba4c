//! What a function's process writes: shown line by line, and its end kept for `LogType: Tail`.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use tokio::net::unix::pipe;

use crate::worker::Reports;

/// How much of the log an answer shows, as Lambda has it.
const TAIL_BYTES_MAX: usize = 4096;
/// Longest line that is shown.
const LINE_BYTES_MAX: usize = 4096;
/// How much is read in one go: what a pipe holds at most.
const PUMP_BYTES_MAX: usize = 1 << 20;

/// The stream of one process: its stdout and stderr in the order they were written.
pub struct Logs {
    pipe: pipe::Receiver,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    tail: Vec<u8>,
    line: Vec<u8>,
    /// Who is shown the lines: the task that runs in the process.
    reports: Option<Reports>,
}

impl Logs {
    /// Takes the reading end of a pipe.
    ///
    /// # Errors
    /// It cannot be watched.
    pub fn new(reader: OwnedFd) -> io::Result<Self> {
        Ok(Self {
            pipe: pipe::Receiver::from_owned_fd(reader)?,
            inner: Mutex::default(),
        })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows the lines to a task from now on, and begins its log.
    pub fn begin(&self, reports: Option<Reports>) {
        self.pump();
        let mut inner = self.inner();
        inner.tail.clear();
        inner.reports = reports;
    }

    /// Reads what was written so far and stops showing it. Returns the end of the log.
    pub fn finish(&self) -> Vec<u8> {
        self.pump();
        let mut inner = self.inner();
        inner.show_line();
        inner.reports = None;
        inner.tail.clone()
    }

    /// Returns the end of the log so far.
    pub fn tail(&self) -> Vec<u8> {
        self.pump();
        self.inner().tail.clone()
    }

    /// Reads until every process that writes has ended.
    pub async fn read(&self) {
        loop {
            if self.pipe.readable().await.is_err() || self.pump() {
                return;
            }
            // Lines are kept until they are shown: one buffer of them at a time.
            tokio::task::yield_now().await;
        }
    }

    /// Reads what is there. Tells whether that was the end.
    fn pump(&self) -> bool {
        let mut buffer = [0; 8192];
        let mut n_read = 0;
        while n_read < PUMP_BYTES_MAX {
            let mut inner = self.inner();
            match self.pipe.try_read(&mut buffer) {
                Ok(0) => return true,
                Ok(length) => {
                    n_read += length;
                    inner.push(&buffer[..length]);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                Err(_) => return true,
            }
        }
        false
    }
}

impl Inner {
    fn push(&mut self, bytes: &[u8]) {
        self.tail.extend_from_slice(bytes);
        let extra = self.tail.len().saturating_sub(TAIL_BYTES_MAX);
        self.tail.drain(..extra);
        if self.reports.is_none() {
            return;
        }
        for &byte in bytes {
            if byte == b'\n' || LINE_BYTES_MAX <= self.line.len() {
                self.show_line();
            }
            if byte != b'\n' {
                self.line.push(byte);
            }
        }
    }

    fn show_line(&mut self) {
        if let Some(reports) = &self.reports
            && !self.line.is_empty()
        {
            reports.log(String::from_utf8_lossy(&self.line).into_owned());
        }
        self.line.clear();
    }
}
