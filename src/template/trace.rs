//! Where the characters of a text are from.

use std::ops::Range;

use crate::template::origin::offset;

/// Pieces of a text, in order, each with the bytes of the outer text that it is from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trace {
    runs: Vec<Run>,
    /// How long the text is.
    end: u32,
}

#[derive(Clone, Debug)]
struct Run {
    /// The first byte within the text; the run reaches to the next one.
    inner: u32,
    outer: Range<u32>,
    /// It is byte for byte the outer text.
    exact: bool,
}

impl Trace {
    /// Adds `length` bytes of text.
    pub(crate) fn push(&mut self, length: usize, outer: Range<u32>, exact: bool) {
        if length == 0 {
            return;
        }
        match self.runs.last_mut() {
            Some(last) if exact && last.exact && last.outer.end == outer.start => last.outer.end = outer.end,
            _ => self.runs.push(Run {
                inner: self.end,
                outer,
                exact,
            }),
        }
        self.end = self.end.saturating_add(offset(length));
    }

    /// Maps a range of the text to the outer one.
    pub(crate) fn outer(&self, start: u32, end: u32) -> Range<u32> {
        let Some(first) = self.run_at(start) else {
            return 0..0;
        };
        let from = if first.exact {
            first
                .outer
                .start
                .saturating_add(start - first.inner)
                .min(first.outer.end)
        } else {
            first.outer.start
        };
        let to = match self.run_at(end.saturating_sub(1).max(start)) {
            Some(last) if last.exact => last
                .outer
                .start
                .saturating_add(end.saturating_sub(last.inner))
                .min(last.outer.end),
            Some(last) => last.outer.end,
            None => from,
        };
        from..to.max(from)
    }

    /// Maps a range of the text that is byte for byte a piece of the outer one.
    pub(crate) fn exact(&self, start: u32, end: u32) -> Option<Range<u32>> {
        let run = self.run_at(start).filter(|run| run.exact)?;
        let from = run.outer.start.checked_add(start.checked_sub(run.inner)?)?;
        let to = from.checked_add(end.checked_sub(start)?)?;
        (to <= run.outer.end).then_some(from..to)
    }

    /// Tells whether a byte of the text is one of the outer text.
    pub(crate) fn is_exact(&self, at: u32) -> bool {
        self.run_at(at).is_some_and(|run| run.exact)
    }

    fn run_at(&self, at: u32) -> Option<&Run> {
        let index = self.runs.partition_point(|run| run.inner <= at);
        self.runs.get(index.saturating_sub(1))
    }
}

/// How a scalar is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    /// JSON, and YAML's `"…"`: with escapes.
    Double,
    /// YAML's `'…'`: a doubled quote is one.
    Single,
    /// YAML's blocks and plain scalars: only the space differs.
    Bare,
}

/// Finds each character of `text` in `source`, the piece of the outer text at byte `base` that it was read from.
///
/// Exact for JSON strings and for all five kinds of YAML scalars, but for the places of spaces that a folded
/// line or an escaped line break makes.
pub(crate) fn align(text: &str, source: &str, base: u32) -> Trace {
    let style = style(text, source);
    let mut trace = Trace::default();
    let mut at = usize::from(style != Style::Bare);
    for c in text.chars() {
        let found = if c.is_whitespace() {
            space(c, source, at, style)
        } else {
            visible(c, source, at, style)
        };
        let exact = source.get(found.clone()) == Some(c.encode_utf8(&mut [0; 4]));
        at = found.end;
        let outer = base.saturating_add(offset(found.start))..base.saturating_add(offset(found.end));
        trace.push(c.len_utf8(), outer, exact);
    }
    trace
}

fn style(text: &str, source: &str) -> Style {
    // A block may begin with a quote, which then begins the text as well.
    let is_same = text.chars().take(2).eq(source.chars().take(2));
    match source.chars().next() {
        Some('"') if !is_same => Style::Double,
        Some('\'') if !is_same => Style::Single,
        _ => Style::Bare,
    }
}

/// Finds a space. One that stands for a line break or is made by folding takes the place where it is, and no byte.
fn space(c: char, source: &str, at: usize, style: Style) -> Range<usize> {
    let rest = source.get(at..).unwrap_or_default();
    if rest.starts_with(c) {
        return at..at + c.len_utf8();
    }
    if let (Style::Double, Some((length, value))) = (style, escape(rest))
        && value == Some(c)
    {
        return at..at + length;
    }
    if c == '\n' {
        let blank = rest.len() - rest.trim_start_matches([' ', '\t', '\r']).len();
        if rest.get(blank..).is_some_and(|rest| rest.starts_with('\n')) {
            return at + blank..at + blank + 1;
        }
    }
    at..at
}

/// Finds any other character, behind the space that is not in the text.
fn visible(c: char, source: &str, mut at: usize, style: Style) -> Range<usize> {
    loop {
        let rest = source.get(at..).unwrap_or_default();
        if let (Style::Double, Some((length, value))) = (style, escape(rest)) {
            if value.is_some_and(|value| !value.is_whitespace()) {
                return at..at + length;
            }
            at += length;
            continue;
        }
        match rest.chars().next() {
            Some('\'') if style == Style::Single && rest.starts_with("''") => return at..at + 2,
            Some(next) if next == c => return at..at + c.len_utf8(),
            Some(next) if next.is_whitespace() => at += next.len_utf8(),
            _ => return at..at,
        }
    }
}

/// Reads an escape: how long it is, and its character (none for a line break).
fn escape(rest: &str) -> Option<(usize, Option<char>)> {
    let name = rest.strip_prefix('\\')?.chars().next()?;
    let hex = |from: usize, n: usize| {
        let digits = rest.get(from..from + n)?;
        u32::from_str_radix(digits, 16).ok()
    };
    let value = match name {
        '\n' | '\r' => return Some((2, None)),
        'x' => return Some((4, hex(2, 2).and_then(char::from_u32))),
        'U' => return Some((10, hex(2, 8).and_then(char::from_u32))),
        'u' => {
            let unit = hex(2, 4);
            let low = rest.get(6..8).filter(|next| *next == "\\u").and_then(|_| hex(8, 4));
            return Some(match (unit, low) {
                (Some(0xd800..0xdc00), Some(0xdc00..0xe000)) => (12, Some('\u{fffd}')),
                _ => (6, unit.and_then(char::from_u32)),
            });
        }
        '0' => '\0',
        'a' => '\u{7}',
        'b' => '\u{8}',
        't' | '\t' => '\t',
        'n' => '\n',
        'v' => '\u{b}',
        'f' => '\u{c}',
        'r' => '\r',
        'e' => '\u{1b}',
        'N' => '\u{85}',
        '_' => '\u{a0}',
        'L' => '\u{2028}',
        'P' => '\u{2029}',
        other => other,
    };
    Some((1 + name.len_utf8(), Some(value)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asl::load::Format;
    use crate::asl::load::Tree;

    /// Reads `source`, takes the text of its only member and returns where each `@` and the char behind it is from.
    fn marks(source: &str, format: Format) -> Vec<String> {
        let tree = Tree::read(source, format).unwrap();
        let members = tree.members().unwrap();
        let value = members[0].1.value();
        let text = value.as_str().unwrap();
        let span = members[0].1.span();
        let piece = &source[span.start as usize..span.end as usize];
        let trace = align(text, piece, span.start);
        text.match_indices('@')
            .map(|(at, _)| {
                let next = text[at + 1..].chars().next().map_or(0, char::len_utf8);
                let outer = trace.outer(offset(at), offset(at + 1 + next));
                source[outer.start as usize..outer.end as usize].to_owned()
            })
            .collect()
    }

    #[test]
    fn each_kind_of_scalar_is_followed() {
        for (source, format, expected) in [
            (
                r#"{"a": "{\n \"@a\": \"\\n@b\", \u0041@c \ud83d\ude00@d\t@\"@é \/@e"}"#,
                Format::Json,
                vec!["@a", "@b", "@c", "@d", r#"@\""#, "@é", "@e"],
            ),
            (
                "a: |\n  {\n    @a: @b\n\n  \"@c\n  x\t@d\n",
                Format::Yaml,
                vec!["@a", "@b", "@c", "@d"],
            ),
            (
                "a: |\r\n  {\r\n    @a: @b\r\n\r\n  @c\r\n",
                Format::Yaml,
                vec!["@a", "@b", "@c"],
            ),
            ("a: |2-\n   \"@a\n  @b", Format::Yaml, vec!["@a", "@b"]),
            ("a: |\n  \"@a\" 'x' @b\n", Format::Yaml, vec!["@a", "@b"]),
            ("a: |\n  'x' @b\n", Format::Yaml, vec!["@b"]),
            (
                "a: >-  # why\n  x @a\n  y @b\n\n    z @c\n  @d\n",
                Format::Yaml,
                vec!["@a", "@b", "@c", "@d"],
            ),
            ("a: 'x @a''@b\n   @c'", Format::Yaml, vec!["@a", "@b", "@c"]),
            ("a: ''' @a'", Format::Yaml, vec!["@a"]),
            ("a: x @a\n  @b\n\n  y@c\n", Format::Yaml, vec!["@a", "@b", "@c"]),
            (
                "a: \"\\\"@a \\x41@b \\\n   @c \\U0001f600@d\n  \\n @e \\_@f\"",
                Format::Yaml,
                vec!["@a", "@b", "@c", "@d", "@e", "@f"],
            ),
        ] {
            assert_eq!(marks(source, format), expected, "{source}");
        }
    }

    #[test]
    fn what_does_not_fit_stays_within_bounds() {
        for (text, source) in [
            ("abc", "x"),
            ("a b", ""),
            ("é", "\\u"),
            ("x", "\"\\"),
            ("\n\n", "\"é"),
            ("x", "'''"),
        ] {
            let trace = align(text, source, 5);
            for at in 0..6 {
                let outer = trace.outer(at, at + 1);
                assert!(outer.start <= outer.end && outer.start >= 5, "{text:?} {source:?}");
            }
        }
        assert_eq!(Trace::default().outer(3, 9), 0..0);
    }
}
