//! Verifies a log: every line's hash, the chain from line to line and from file to file, and the anchors.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::io::Read;
use std::path::Path;

use crate::audit::anchor::Anchor;
use crate::audit::chain::GENESIS;
use crate::audit::chain::Hash;
use crate::audit::chain::Link;
use crate::audit::files;
use crate::audit::record::Record;

/// Bytes that are read and given to the threads at a time.
const BLOCK_BYTES: usize = 16 * 1024 * 1024;
/// The longest line that is taken for one.
const LINE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Findings that are told.
const FINDINGS_MAX: usize = 100;
/// Where a record's event stands: within so many bytes.
const HEAD_BYTES: usize = 128;

/// Something that is not as the log was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file's name; empty when it concerns none.
    pub file: String,
    /// The line, from 1; 0 when it concerns none.
    pub line: u64,
    /// The record's number, where there is one.
    pub seq: Option<u64>,
    /// What it is, as a sentence.
    pub what: String,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Verified {
    /// How many records there are.
    pub n_records: u64,
    /// How many bytes.
    pub n_bytes: u64,
    /// The first record's number.
    pub first: u64,
    /// The last record's number and hash.
    pub last: Option<(u64, Hash)>,
    /// What is wrong, at most 100.
    pub findings: Vec<Finding>,
    /// What is told but is not wrong.
    pub notes: Vec<String>,
    /// How many anchors were compared.
    pub n_anchors: u64,
}

/// Verifies the log in a directory. `anchors` are compared when there is a key for them, 32 bytes.
///
/// # Errors
/// The files cannot be read.
pub fn verify(directory: &Path, anchors: &[Anchor], key: Option<&[u8]>) -> io::Result<Verified> {
    let files = files::list(directory)?;
    let mut check = Check {
        wanted: anchors.iter().map(|anchor| (anchor.seq, None)).collect(),
        verified: Verified::default(),
        before: None,
        first: None,
        retained: Vec::new(),
    };
    let n_files = files.len();
    for (index, file) in files.iter().enumerate() {
        check.file(&file.path, &file.name(), file.first_seq, index + 1 == n_files)?;
    }
    check.beginning();
    check.anchors(anchors, key);
    check.verified.findings.truncate(FINDINGS_MAX);
    Ok(check.verified)
}

/// Where the chain stands between two lines.
#[derive(Clone, Copy)]
struct Before {
    seq: u64,
    /// Unknown behind a line that is no record.
    hash: Option<Hash>,
}

struct Check {
    /// The hashes of the records that anchors name.
    wanted: BTreeMap<u64, Option<Hash>>,
    verified: Verified,
    before: Option<Before>,
    first: Option<(Link, String)>,
    /// The last record of what was deleted, with its hash.
    retained: Vec<(u64, String)>,
}

/// What one thread found in some lines.
#[derive(Default)]
struct Part {
    first: Option<Link>,
    before: Option<Before>,
    n_lines: u64,
    n_records: u64,
    /// Lines count from 0 within the part.
    findings: Vec<Finding>,
    marks: Vec<String>,
    hashes: Vec<(u64, Hash)>,
}

impl Check {
    fn file(&mut self, path: &Path, name: &str, first_seq: u64, is_last: bool) -> io::Result<()> {
        let mut file = File::open(path)?;
        let n_threads = std::thread::available_parallelism().map_or(1, usize::from);
        let (mut rest, mut n_lines, mut is_first) = (Vec::new(), 0, true);
        loop {
            let n_before = rest.len();
            let n_read = (&mut file).take(BLOCK_BYTES as u64).read_to_end(&mut rest)?;
            self.verified.n_bytes += n_read as u64;
            let end = rest[n_before..].iter().rposition(|byte| *byte == b'\n');
            let Some(end) = end.map(|end| n_before + end + 1) else {
                if n_read == 0 || LINE_BYTES_MAX < rest.len() {
                    break;
                }
                continue;
            };
            let wanted = &self.wanted;
            let parts = std::thread::scope(|scope| {
                let threads: Vec<_> = split(&rest[..end], n_threads)
                    .into_iter()
                    .map(|lines| scope.spawn(move || part(lines, wanted)))
                    .collect();
                threads
                    .into_iter()
                    .filter_map(|thread| thread.join().ok())
                    .collect::<Vec<_>>()
            });
            for part in parts {
                if is_first && let Some(first) = part.first {
                    is_first = false;
                    if first.seq != first_seq {
                        let what = format!(
                            "The file's name says that it begins with record {first_seq}: it was renamed, or its beginning was changed."
                        );
                        self.find(name, 1, Some(first.seq), what);
                    }
                }
                n_lines += self.join(part, name, n_lines);
            }
            rest.drain(..end);
        }
        match (rest.len(), is_last) {
            (0, _) => {}
            (n, true) => self.verified.notes.push(format!(
                "`{name}` ends in {n} bytes of an unfinished record: a writer is at it, or a crash left them."
            )),
            (_, false) => self.find(name, n_lines + 1, None, "The line is no record.".to_owned()),
        }
        Ok(())
    }

    /// Joins the lines of a part to those before; returns their number.
    fn join(&mut self, part: Part, name: &str, n_lines: u64) -> u64 {
        if let Some(first) = part.first {
            if let Some(what) = self.before.and_then(|before| follows(before, &first)) {
                self.find(name, n_lines + 1, Some(first.seq), what);
            }
            self.first.get_or_insert_with(|| (first, name.to_owned()));
        }
        for finding in part.findings {
            self.find(name, n_lines + 1 + finding.line, finding.seq, finding.what);
        }
        for (seq, hash) in part.hashes {
            self.wanted.insert(seq, Some(hash));
        }
        for mark in part.marks {
            self.mark(&mark);
        }
        self.verified.n_records += part.n_records;
        if let Some(before) = part.before {
            self.before = Some(match self.before {
                // Lines that are no records, at a part's beginning, count on from what was before it.
                Some(known) if part.first.is_none() => Before {
                    seq: known.seq + before.seq,
                    hash: None,
                },
                _ => before,
            });
            if let (Before { seq, hash: Some(hash) }, true) = (before, part.first.is_some()) {
                self.verified.last = Some((seq, hash));
            }
        }
        part.n_lines
    }

    fn mark(&mut self, line: &str) {
        let Ok(record) = serde_json::from_str::<Record>(line) else {
            return;
        };
        self.verified
            .notes
            .push(format!("Record {}: {}", record.seq, record.say));
        let (seq, hash) = (record.facts.get("last_seq"), record.facts.get("last_hash"));
        if let (Some(seq), Some(hash)) = (seq.and_then(|seq| seq.as_u64()), hash.and_then(|hash| hash.as_str())) {
            self.retained.push((seq, hash.to_owned()));
        }
    }

    fn find(&mut self, file: &str, line: u64, seq: Option<u64>, what: String) {
        if self.verified.findings.len() < FINDINGS_MAX {
            self.verified.findings.push(Finding {
                file: file.to_owned(),
                line,
                seq,
                what,
            });
        }
    }

    /// Checks that nothing is missing before the first record.
    fn beginning(&mut self) {
        let Some((first, name)) = self.first.take() else {
            return;
        };
        self.verified.first = first.seq;
        let is_whole = first.seq == 1 && first.prev == GENESIS;
        let is_retained = self
            .retained
            .iter()
            .any(|(seq, hash)| *seq + 1 == first.seq && hash == first.prev.as_str());
        if !is_whole && !is_retained {
            let what = format!(
                "The log begins with record {}, and no record says that what was before it was deleted after its time.",
                first.seq
            );
            self.find(&name, 1, Some(first.seq), what);
        }
    }

    fn anchors(&mut self, anchors: &[Anchor], key: Option<&[u8]>) {
        let last = self.verified.last.map_or(0, |(seq, _)| seq);
        for anchor in anchors {
            let Anchor { seq, ts, .. } = anchor;
            self.verified.n_anchors += 1;
            let what = if key.is_some_and(|key| !anchor.is_signed_by(key)) {
                format!("The anchor of record {seq} of {ts} is not signed by the log's key.")
            } else if last < *seq {
                format!("The end was cut off: the log ends with record {last}, but at {ts} it had record {seq}.")
            } else {
                match self.wanted.get(seq).copied().flatten() {
                    Some(hash) if hash.as_str() == anchor.hash => continue,
                    // Deleted after its time.
                    None if *seq < self.verified.first => continue,
                    _ => format!(
                        "Record {seq} is not the one that the anchor of {ts} names: the log was written anew from \
                         there or before."
                    ),
                }
            };
            self.find("", 0, Some(*seq), what);
        }
    }
}

/// Cuts lines into about `n` parts.
fn split(bytes: &[u8], n: usize) -> Vec<&[u8]> {
    let mut parts = Vec::with_capacity(n);
    let mut rest = bytes;
    for left in (1..=n).rev() {
        let at = rest.len() / left;
        let end = rest[at.saturating_sub(1)..].iter().position(|byte| *byte == b'\n');
        let (part, behind) = rest.split_at(end.map_or(rest.len(), |end| at.saturating_sub(1) + end + 1));
        if !part.is_empty() {
            parts.push(part);
        }
        rest = behind;
        if rest.is_empty() {
            break;
        }
    }
    parts
}

/// Checks whole lines.
fn part(bytes: &[u8], wanted: &BTreeMap<u64, Option<Hash>>) -> Part {
    let mut part = Part::default();
    let (mut before, mut n_bad): (Option<Before>, u64) = (None, 0);
    for line in bytes[..bytes.len().saturating_sub(1)].split(|byte| *byte == b'\n') {
        let number = part.n_lines;
        part.n_lines += 1;
        let mut find = |seq, what: String| {
            if part.findings.len() < FINDINGS_MAX {
                part.findings.push(Finding {
                    file: String::new(),
                    line: number,
                    seq,
                    what,
                });
            }
        };
        let Some(link) = Link::of(line) else {
            find(None, "The line is no record.".to_owned());
            match &mut before {
                Some(before) => {
                    before.seq += 1;
                    before.hash = None;
                }
                None => n_bad += 1,
            }
            continue;
        };
        if !link.is_true {
            let what = "The record was edited: its bytes do not give its hash.";
            find(Some(link.seq), what.to_owned());
        }
        if let Some(what) = before.and_then(|before| follows(before, &link)) {
            find(Some(link.seq), what);
        }
        if part.first.is_none() {
            part.first = Some(link);
        }
        before = Some(Before {
            seq: link.seq,
            hash: Some(link.hash),
        });
        part.n_records += 1;
        if !wanted.is_empty() && wanted.contains_key(&link.seq) {
            part.hashes.push((link.seq, link.hash));
        }
        let head = &line[..line.len().min(HEAD_BYTES)];
        let is_mark = |event: &[u8]| head.windows(event.len()).any(|window| window == event);
        if link.seq != 0 && is_mark(b"\"event\":\"log.") {
            part.marks.extend(str::from_utf8(line).ok().map(str::to_owned));
        }
    }
    part.before = before.or((n_bad != 0).then_some(Before { seq: n_bad, hash: None }));
    part
}

/// Tells what is wrong with a record after the one before.
fn follows(before: Before, link: &Link) -> Option<String> {
    let expected = before.seq + 1;
    let is_next = before.hash.is_none_or(|hash| hash == link.prev);
    match (is_next, link.seq) {
        (true, seq) if seq == expected => None,
        (_, seq) if expected + 1 == seq => Some(format!("Record {expected} is missing before it.")),
        (_, seq) if expected < seq => Some(format!("Records {expected} to {} are missing before it.", seq - 1)),
        (_, seq) if seq < expected => Some(format!(
            "Record {seq} stands after record {}: it was moved, or inserted.",
            before.seq
        )),
        _ => Some(format!(
            "It does not follow record {}: one of the two was replaced.",
            before.seq
        )),
    }
}
