//! A piece of a text by its lines and columns, as reports want it.

use crate::model::span::Span;

/// From the first character to behind the last. Lines and columns count from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Region {
    pub(crate) start_line: u32,
    pub(crate) start_column: u32,
    pub(crate) end_line: u32,
    pub(crate) end_column: u32,
}

impl Region {
    /// Counts where a span ends.
    pub(crate) fn of(text: &str, span: Span) -> Self {
        let (start_line, start_column) = (span.line.max(1), span.column.max(1));
        let mut region = Self {
            start_line,
            start_column,
            end_line: start_line,
            end_column: start_column,
        };
        let piece = text.get(span.start as usize..span.end as usize).unwrap_or_default();
        for c in piece.trim_end().chars() {
            if c == '\n' {
                region.end_line += 1;
                region.end_column = 1;
            } else {
                region.end_column += 1;
            }
        }
        region
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_behind_the_last_character() {
        let span = |start, end| Span {
            line: 1,
            column: 3,
            start,
            end,
        };
        for (start, end, expected) in [
            (2, 2, (1, 3)),
            (2, 5, (1, 5)),
            (2, 8, (2, 2)),
            (2, 9, (1, 3)),
            (3, 4, (1, 3)),
        ] {
            let region = Region::of("abéc\ne\n", span(start, end));
            assert_eq!((region.end_line, region.end_column), expected, "{start}..{end}");
        }
    }
}
