//! Keeps secrets out of what is shown and stored: streams, texts and JSON.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use aho_corasick::AhoCorasick;
use aho_corasick::AhoCorasickKind;
use aho_corasick::BuildError;
use serde_json::Value;
use zeroize::Zeroize;
use zeroize::Zeroizing;

use crate::secret::encoding;

/// Above so many bytes of forms, a table of all states would be too large.
const TABLE_BYTES_MAX: usize = 16 * 1024;

/// What is to be hidden. In the place of a secret stands `[secret NAME]`.
#[derive(Default)]
pub struct Scrubber {
    search: Option<Search>,
}

struct Search {
    automaton: AhoCorasick,
    /// Sorted.
    forms: Vec<Zeroizing<Vec<u8>>>,
    /// What stands in the place of each form.
    marks: Vec<Arc<str>>,
    /// Which bytes forms begin with.
    begins: Box<[bool; 256]>,
    bytes_max: usize,
}

impl Scrubber {
    /// Makes one that hides values by name. A value that is too short to be told from other text is not hidden.
    ///
    /// # Errors
    /// They are too many or too long to look for.
    pub fn new<'a>(secrets: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Result<Self, BuildError> {
        let mut rows: Vec<(Zeroizing<Vec<u8>>, Arc<str>)> = Vec::new();
        for (name, value) in secrets {
            let mark: Arc<str> = format!("[secret {name}]").into();
            rows.extend(encoding::forms(value).into_iter().map(|form| (form, Arc::clone(&mark))));
        }
        rows.sort_by(|one, other| one.0.as_slice().cmp(&other.0));
        rows.dedup_by(|one, other| *one.0 == *other.0);
        if rows.is_empty() {
            return Ok(Self::default());
        }
        let (forms, marks): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
        let n_bytes: usize = forms.iter().map(|form| form.len()).sum();
        let kind = match n_bytes <= TABLE_BYTES_MAX {
            true => AhoCorasickKind::DFA,
            false => AhoCorasickKind::ContiguousNFA,
        };
        let automaton = AhoCorasick::builder()
            .kind(Some(kind))
            .build(forms.iter().map(|form| form.as_slice()))?;
        let mut begins = Box::new([false; 256]);
        for form in &forms {
            begins[usize::from(form[0])] = true;
        }
        let bytes_max = forms.iter().map(|form| form.len()).max().unwrap_or_default();
        Ok(Self {
            search: Some(Search {
                automaton,
                forms,
                marks,
                begins,
                bytes_max,
            }),
        })
    }

    /// Tells whether there is nothing to hide.
    pub fn is_idle(&self) -> bool {
        self.search.is_none()
    }

    /// Returns a text without secrets.
    pub fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let Some(search) = &self.search else {
            return Cow::Borrowed(text);
        };
        if !search.automaton.is_match(text) {
            return Cow::Borrowed(text);
        }
        let mut hidden = Vec::new();
        let mut open = Open::default();
        search.push(&mut open, text.as_bytes(), &mut hidden);
        search.finish(&mut open, &mut hidden);
        Cow::Owned(String::from_utf8_lossy(&hidden).into_owned())
    }

    /// Takes secrets out of JSON: out of texts, names of members, and numbers.
    pub fn value(&self, value: &mut Value) {
        if self.is_idle() {
            return;
        }
        let mut open = vec![value];
        while let Some(value) = open.pop() {
            match value {
                Value::String(text) => {
                    if let Cow::Owned(hidden) = self.text(text) {
                        text.zeroize();
                        *text = hidden;
                    }
                }
                Value::Number(number) => {
                    if let Cow::Owned(hidden) = self.text(&number.to_string()) {
                        *value = Value::from(hidden);
                    }
                }
                Value::Array(items) => open.extend(items),
                Value::Object(members) => {
                    if members.keys().any(|name| matches!(self.text(name), Cow::Owned(_))) {
                        let old = std::mem::take(members);
                        members.extend(
                            old.into_iter()
                                .map(|(name, value)| (self.text(&name).into_owned(), value)),
                        );
                    }
                    open.extend(members.values_mut());
                }
                Value::Null | Value::Bool(_) => {}
            }
        }
    }
}

impl fmt::Debug for Scrubber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n_forms = self.search.as_ref().map_or(0, |search| search.forms.len());
        f.debug_struct("Scrubber").field("n_forms", &n_forms).finish()
    }
}

/// Hides secrets in a stream, wherever its pieces are cut. What cannot be the beginning of one is passed on at once.
#[derive(Debug)]
pub struct Stream {
    scrubber: Arc<Scrubber>,
    open: Open,
}

/// What was taken and not yet passed on.
#[derive(Debug, Default)]
struct Open {
    bytes: Zeroizing<Vec<u8>>,
    /// How many of them are hidden already: the end of one secret may be the beginning of another.
    n_hidden: usize,
}

impl Stream {
    /// Begins a stream.
    pub fn new(scrubber: Arc<Scrubber>) -> Self {
        Self {
            scrubber,
            open: Open::default(),
        }
    }

    /// Takes the next bytes, and returns what can be passed on.
    pub fn push<'a>(&mut self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        let Some(search) = &self.scrubber.search else {
            return Cow::Borrowed(bytes);
        };
        let mut passed = Vec::with_capacity(bytes.len());
        search.push(&mut self.open, bytes, &mut passed);
        Cow::Owned(passed)
    }

    /// How many bytes wait for those that follow.
    pub fn n_waiting(&self) -> usize {
        self.open.bytes.len()
    }

    /// Ends the stream, and returns the rest.
    pub fn finish(&mut self) -> Vec<u8> {
        let mut passed = Vec::new();
        if let Some(search) = &self.scrubber.search {
            search.finish(&mut self.open, &mut passed);
        }
        passed
    }
}

impl Search {
    fn push(&self, open: &mut Open, bytes: &[u8], passed: &mut Vec<u8>) {
        open.bytes.extend_from_slice(bytes);
        let keep = self.undecided(&open.bytes);
        self.pass(open, keep, passed);
    }

    fn finish(&self, open: &mut Open, passed: &mut Vec<u8>) {
        let end = open.bytes.len();
        self.pass(open, end, passed);
    }

    /// Passes on what stands before `keep`, and what is hidden though it goes beyond.
    fn pass(&self, open: &mut Open, keep: usize, passed: &mut Vec<u8>) {
        let mut at = open.n_hidden;
        for (range, mark) in self.found(&open.bytes) {
            if keep <= range.start {
                break;
            }
            if range.start < at {
                // Part of what is hidden already, or its end goes further.
                at = at.max(range.end);
                continue;
            }
            passed.extend_from_slice(&open.bytes[at..range.start]);
            passed.extend_from_slice(mark.as_bytes());
            at = range.end;
        }
        if at < keep {
            passed.extend_from_slice(&open.bytes[at..keep]);
            at = keep;
        }
        let length = open.bytes.len();
        open.bytes.copy_within(keep.., 0);
        open.bytes[length - keep..].zeroize();
        open.bytes.truncate(length - keep);
        open.n_hidden = at - keep;
    }

    /// Returns all that is found, by its beginning, the longest first.
    fn found(&self, bytes: &[u8]) -> Vec<(Range<usize>, &Arc<str>)> {
        if !self.automaton.is_match(bytes) {
            return Vec::new();
        }
        let mut found: Vec<_> = self
            .automaton
            .find_overlapping_iter(bytes)
            .map(|found| (found.range(), &self.marks[found.pattern().as_usize()]))
            .collect();
        found.sort_by_key(|(range, _)| (range.start, usize::MAX - range.end));
        found
    }

    /// Returns where the longest end begins that may be the beginning of a secret.
    fn undecided(&self, bytes: &[u8]) -> usize {
        let first = (bytes.len() + 1).saturating_sub(self.bytes_max);
        (first..bytes.len())
            .find(|&at| {
                let end = &bytes[at..];
                self.begins[usize::from(end[0])] && {
                    let next = self.forms.partition_point(|form| form.as_slice() <= end);
                    self.forms.get(next).is_some_and(|form| form.starts_with(end))
                }
            })
            .unwrap_or(bytes.len())
    }
}
