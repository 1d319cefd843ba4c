//! The files of a log: their names, their order, and where the next record goes.

use std::fs::File;
use std::io;
use std::io::Read;
use std::io::Seek;
use std::io::SeekFrom;
use std::path::Path;
use std::path::PathBuf;

use crate::audit::chain::GENESIS;
use crate::audit::chain::Hash;
use crate::audit::chain::Link;
use crate::model::timestamp::Timestamp;

/// The longest unfinished end that is cut off after a crash: more than one write.
const TORN_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// One file: `audit-FIRSTSEQ-YYYY-MM.jsonl`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogFile {
    /// The number of its first record.
    pub first_seq: u64,
    /// Its month: `2026-11`.
    pub month: String,
    /// Where it is.
    pub path: PathBuf,
}

impl LogFile {
    pub(super) fn new(directory: &Path, first_seq: u64, month: &str) -> Self {
        Self {
            first_seq,
            month: month.to_owned(),
            path: directory.join(format!("audit-{first_seq:012}-{month}.jsonl")),
        }
    }

    fn read(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?.strip_prefix("audit-")?;
        let (first_seq, month) = name.strip_suffix(".jsonl")?.split_once('-')?;
        let is_month = month.len() == 7 && month.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
        Some(Self {
            first_seq: first_seq.parse().ok().filter(|_| is_month)?,
            month: month.to_owned(),
            path: path.to_owned(),
        })
    }

    /// Returns the file's name.
    pub fn name(&self) -> String {
        let name = self.path.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    /// Returns an instant that none of its records is later than, by its month.
    pub(super) fn end(&self) -> Option<Timestamp> {
        let (year, month) = self.month.split_once('-')?;
        let (year, month): (u32, u32) = (year.parse().ok()?, month.parse().ok()?);
        let (year, month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
        Timestamp::parse_rfc3339(&format!("{year:04}-{month:02}-01T00:00:00Z"))
    }
}

/// Returns the month of an instant: `2026-11`.
pub(super) fn month(at: Timestamp) -> String {
    at.to_string().chars().take(7).collect()
}

/// Lists the files of a log, in the order of their records.
///
/// # Errors
/// The directory cannot be read.
pub fn list(directory: &Path) -> io::Result<Vec<LogFile>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        files.extend(LogFile::read(&entry?.path()));
    }
    files.sort_unstable();
    Ok(files)
}

/// Where a log ends.
pub(super) struct Tail {
    /// The last file, its length without what is torn.
    pub(super) file: Option<(LogFile, u64)>,
    /// The last record's number; 0 before the first.
    pub(super) seq: u64,
    /// Its hash.
    pub(super) hash: Hash,
    /// What stands behind the last whole record.
    pub(super) torn: Vec<u8>,
}

/// Finds the end of a log.
///
/// # Errors
/// The files cannot be read, or the last one ends in more than a crash can leave.
pub(super) fn tail(directory: &Path) -> io::Result<Tail> {
    let mut files = list(directory)?;
    let mut tail = Tail {
        file: None,
        seq: 0,
        hash: GENESIS,
        torn: Vec::new(),
    };
    // A crash can leave a file without a record.
    while let Some(log_file) = files.pop() {
        let mut file = File::open(&log_file.path)?;
        let length = file.metadata()?.len();
        let from = length.saturating_sub(TORN_BYTES_MAX);
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let found = last_record(&bytes);
        let whole = found.map_or(0, |(_, end)| end);
        if tail.file.is_none() {
            tail.torn = bytes.split_off(whole);
            tail.file = Some((log_file.clone(), from + whole as u64));
        }
        if let Some((link, _)) = found {
            (tail.seq, tail.hash) = (link.seq, link.hash);
            return Ok(tail);
        }
        if from != 0 || (length != 0 && log_file.first_seq != 1 && files.is_empty()) {
            let message = format!("no record is whole at the end of `{}`", log_file.path.display());
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
    }
    Ok(tail)
}

/// Finds the last line that is a record, and where it ends.
fn last_record(bytes: &[u8]) -> Option<(Link, usize)> {
    let mut end = bytes.len();
    while let Some(feed) = bytes[..end].iter().rposition(|byte| *byte == b'\n') {
        let begin = bytes[..feed]
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        match Link::of(&bytes[begin..feed]) {
            Some(link) if link.is_true => return Some((link, feed + 1)),
            _ => end = feed,
        }
    }
    None
}
