//! One JSON text whose elements are found without reading the whole: a scanner finds where values begin and
//! end, only the items themselves are parsed.

use crate::items::bucket::reader_failed;
use crate::items::format::Record;
use crate::items::format::Records;
use crate::items::text::ITEM_BYTES_MAX;
use crate::items::text::Text;
use crate::model::payload::Payload;
use crate::model::states_error::StatesError;

/// The `ItemsPointer`'s target begins within so many bytes.
const POINTER_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// AWS's sentence when there is nothing to iterate.
const NOT_ITERABLE: &str = "Attempting to map over non-iterable node.";

pub(super) struct JsonRecords {
    scanner: Scanner,
    close: u8,
    /// Nothing may follow the root.
    is_root: bool,
    n_items: u64,
    ended: bool,
    buffer: Vec<u8>,
}

impl JsonRecords {
    pub(super) fn open(text: Text, pointer: &[String]) -> Result<Self, StatesError> {
        let mut scanner = Scanner { text };
        for step in pointer {
            if !scanner.find(step)? {
                return Err(reader_failed(NOT_ITERABLE));
            }
        }
        let open = scanner.token()?;
        if !pointer.is_empty() && scanner.text.offset() > POINTER_BYTES_MAX {
            let what = format!("has the target of ItemsPointer behind its first {POINTER_BYTES_MAX} bytes");
            return Err(scanner.text.error(what));
        }
        let close = match open {
            b'[' => b']',
            b'{' => b'}',
            _ => {
                let mut scalar = Vec::new();
                scanner.value(Some(&mut scalar))?;
                return Err(match serde_json::from_slice::<serde::de::IgnoredAny>(&scalar) {
                    Ok(_) => reader_failed(NOT_ITERABLE),
                    Err(error) => scanner.not_json(&error),
                });
            }
        };
        scanner.text.take(1);
        Ok(Self {
            scanner,
            close,
            is_root: pointer.is_empty(),
            n_items: 0,
            ended: false,
            buffer: Vec::new(),
        })
    }

    /// Goes to the next element or pair.
    fn advance(&mut self) -> Result<bool, StatesError> {
        if self.ended {
            return Ok(false);
        }
        if !self.scanner.more(self.n_items == 0, self.close)? {
            if self.is_root && self.scanner.blank()?.is_some() {
                return Err(self.scanner.not_json(&"there is text behind the end of the value"));
            }
            self.ended = true;
            return Ok(false);
        }
        self.n_items += 1;
        Ok(true)
    }
}

impl Records for JsonRecords {
    fn next(&mut self) -> Result<Option<Record>, StatesError> {
        if !self.advance()? {
            return Ok(None);
        }
        let key = match self.close {
            b'}' => Some(self.scanner.name()?),
            _ => None,
        };
        self.buffer.clear();
        self.scanner.value(Some(&mut self.buffer))?;
        let text = str::from_utf8(&self.buffer).map_err(|_| self.scanner.text.not_utf8())?;
        let value = Payload::parse(text).map_err(|error| self.scanner.not_json(&error))?;
        Ok(Some(Record { key, value }))
    }

    fn skip(&mut self) -> Result<bool, StatesError> {
        let more = self.advance()?;
        if more && self.close == b'}' {
            self.scanner.name()?;
        }
        if more {
            self.scanner.value(None)?;
        }
        Ok(more)
    }
}

/// Finds the ends of values by quotes and brackets; what lies between is not looked at.
struct Scanner {
    text: Text,
}

impl Scanner {
    /// Passes over white space and returns the byte behind it, or `None` at the end.
    fn blank(&mut self) -> Result<Option<u8>, StatesError> {
        loop {
            let piece = self.text.peek()?;
            let Some(n) = piece.iter().position(|byte| !is_blank(*byte)) else {
                let n = piece.len();
                if n == 0 {
                    return Ok(None);
                }
                self.text.take(n);
                continue;
            };
            let byte = piece[n];
            self.text.take(n);
            return Ok(Some(byte));
        }
    }

    /// Returns the byte at which the next token begins.
    fn token(&mut self) -> Result<u8, StatesError> {
        let byte = self.blank()?;
        byte.ok_or_else(|| self.not_json(&"it ends too early"))
    }

    fn expect(&mut self, wanted: u8) -> Result<(), StatesError> {
        if self.token()? != wanted {
            return Err(self.not_json(&format_args!("`{}` is missing", char::from(wanted))));
        }
        self.text.take(1);
        Ok(())
    }

    /// Goes to the next element of an open array or object, or behind its end.
    fn more(&mut self, is_first: bool, close: u8) -> Result<bool, StatesError> {
        if self.token()? == close {
            self.text.take(1);
            return Ok(false);
        }
        if !is_first {
            self.expect(b',')?;
        }
        Ok(true)
    }

    /// Goes to the value that one step of a pointer names. `false` when there is none.
    fn find(&mut self, step: &str) -> Result<bool, StatesError> {
        let open = self.token()?;
        let close = match open {
            b'[' => b']',
            b'{' => b'}',
            _ => return Ok(false),
        };
        self.text.take(1);
        // RFC 6901: digits without leading zeros.
        let is_index = step == "0" || !step.starts_with('0') && step.bytes().all(|byte| byte.is_ascii_digit());
        let index = step.parse::<u64>().ok().filter(|_| is_index);
        let mut n = 0;
        while self.more(n == 0, close)? {
            let found = match open {
                b'{' => self.name()? == step,
                _ => index == Some(n),
            };
            if found {
                return Ok(true);
            }
            self.value(None)?;
            if self.text.offset() > POINTER_BYTES_MAX {
                let what = format!("has no target of ItemsPointer within its first {POINTER_BYTES_MAX} bytes");
                return Err(self.text.error(what));
            }
            n += 1;
        }
        Ok(false)
    }

    /// Reads the name of a pair and its colon.
    fn name(&mut self) -> Result<String, StatesError> {
        if self.token()? != b'"' {
            return Err(self.not_json(&"a name is missing"));
        }
        let mut name = Vec::new();
        self.value(Some(&mut name))?;
        let name = serde_json::from_slice(&name).map_err(|error| self.not_json(&error))?;
        self.expect(b':')?;
        Ok(name)
    }

    /// Passes over one value and copies it.
    fn value(&mut self, mut copy: Option<&mut Vec<u8>>) -> Result<(), StatesError> {
        self.token()?;
        let mut inside = Inside::default();
        let mut n_bytes = 0;
        loop {
            let piece = self.text.peek()?;
            if piece.is_empty() {
                // A number may end with the text.
                return match inside.is_open() || n_bytes == 0 {
                    true => Err(self.not_json(&"it ends too early")),
                    false => Ok(()),
                };
            }
            let end = inside.pass(piece, n_bytes == 0);
            let n = end.unwrap_or(piece.len());
            n_bytes += n;
            if let Some(copy) = copy.as_deref_mut() {
                if n_bytes > ITEM_BYTES_MAX {
                    return Err(self.text.too_large());
                }
                copy.extend_from_slice(&piece[..n]);
            }
            self.text.take(n);
            match end {
                Some(_) if n_bytes == 0 => return Err(self.not_json(&"a value is missing")),
                Some(_) => return Ok(()),
                None => {}
            }
        }
    }

    fn not_json(&self, why: &dyn std::fmt::Display) -> StatesError {
        self.text
            .error(format!("is not JSON before byte {}: {why}", self.text.offset() + 1))
    }
}

/// Where in a value the scanner is, piece after piece.
#[derive(Default)]
struct Inside {
    depth: u64,
    string: bool,
    escape: bool,
}

impl Inside {
    fn is_open(&self) -> bool {
        self.depth > 0 || self.string
    }

    /// Passes over a piece and returns where in it the value ends.
    fn pass(&mut self, piece: &[u8], is_start: bool) -> Option<usize> {
        for (at, byte) in piece.iter().enumerate() {
            if self.string {
                match byte {
                    _ if self.escape => self.escape = false,
                    b'\\' => self.escape = true,
                    b'"' => {
                        self.string = false;
                        if self.depth == 0 {
                            return Some(at + 1);
                        }
                    }
                    _ => {}
                }
                continue;
            }
            match byte {
                // Behind a number or word.
                b'"' | b'[' | b'{' if self.depth == 0 && !(is_start && at == 0) => return Some(at),
                b'"' => self.string = true,
                b'[' | b'{' => self.depth += 1,
                b']' | b'}' if self.depth == 0 => return Some(at),
                b']' | b'}' => {
                    self.depth -= 1;
                    if self.depth == 0 {
                        return Some(at + 1);
                    }
                }
                byte if self.depth == 0 && (is_blank(*byte) || matches!(byte, b',' | b':')) => return Some(at),
                _ => {}
            }
        }
        None
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// Cuts an array's text into the texts of its elements; `None` when it is no array.
pub fn elements(text: &str) -> Result<Option<Vec<String>>, StatesError> {
    let bytes = std::io::Cursor::new(text.as_bytes().to_vec());
    let mut scanner = Scanner {
        text: Text::new(Box::new(bytes), "an output".to_owned())?,
    };
    if scanner.token()? != b'[' {
        return Ok(None);
    }
    scanner.text.take(1);
    let mut elements = Vec::new();
    while scanner.more(elements.is_empty(), b']')? {
        let mut element = Vec::new();
        scanner.value(Some(&mut element))?;
        elements.push(String::from_utf8(element).map_err(|_| scanner.text.not_utf8())?);
    }
    Ok(Some(elements))
}
