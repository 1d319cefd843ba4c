//! A file that definitions are found in, and the places in it.

use std::sync::Arc;

use crate::model::span::Span;

/// Bytes between two marks of `n_chars`.
const STRIDE: usize = 1024;

/// A file's path and text.
#[derive(Debug)]
pub struct Origin {
    /// The path as it is shown.
    pub path: String,
    /// The whole text.
    pub text: Arc<str>,
    /// Byte offset of the first character of each line.
    lines: Vec<u32>,
    /// The characters before every `STRIDE`th byte, so that a column in a line of ten megabytes costs nothing.
    n_chars: Vec<u32>,
}

impl Origin {
    /// Takes a file's text.
    pub fn new(path: impl Into<String>, text: impl Into<Arc<str>>) -> Arc<Self> {
        let text = text.into();
        let newlines = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let lines = std::iter::once(0)
            .chain(newlines.map(|(at, _)| offset(at + 1)))
            .collect();
        let mut n_chars = Vec::with_capacity(text.len() / STRIDE + 1);
        let mut n = 0;
        for piece in text.as_bytes().chunks(STRIDE) {
            n_chars.push(offset(n));
            n += count(piece);
        }
        Arc::new(Self {
            path: path.into(),
            text,
            lines,
            n_chars,
        })
    }

    /// Returns the span of two byte offsets.
    pub fn span(&self, start: u32, end: u32) -> Span {
        let line = self.lines.partition_point(|line| *line <= start).saturating_sub(1);
        let line_start = self.lines.get(line).copied().unwrap_or_default();
        let column = self.chars_before(start).saturating_sub(self.chars_before(line_start));
        Span {
            line: offset(line).saturating_add(1),
            column: column.saturating_add(1),
            start,
            end: end.max(start),
        }
    }

    fn chars_before(&self, at: u32) -> u32 {
        let at = (at as usize).min(self.text.len());
        let mark = at / STRIDE;
        let rest = self.text.as_bytes().get(mark * STRIDE..at).unwrap_or_default();
        match self.n_chars.get(mark) {
            Some(n) => n.saturating_add(offset(count(rest))),
            // The text ends at a mark.
            None => offset(self.text.chars().count()),
        }
    }
}

/// Counts characters: every byte but those that go on with one.
fn count(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte & 0xc0 != 0x80).count()
}

/// Returns a byte offset as spans hold it.
pub(crate) fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_in_lines_and_characters() {
        let long = format!("{}\nä{}ö x", "ü".repeat(3_000), "y".repeat(2_000));
        for text in ["", "a", "a\nb\n", "ä\r\nöü x", long.as_str()] {
            let origin = Origin::new("f", text);
            let (mut line, mut column) = (1, 1);
            for (at, c) in text.char_indices() {
                let span = origin.span(offset(at), offset(at + 1));
                assert_eq!((span.line, span.column), (line, column), "{at}");
                (line, column) = if c == '\n' { (line + 1, 1) } else { (line, column + 1) };
            }
            let end = origin.span(offset(text.len()), 0);
            assert_eq!((end.line, end.column), (line, column));
            origin.span(u32::MAX, u32::MAX);
        }
    }
}
