//! Reads JSON text and keeps every place. The sentences are those of the reader AWS uses, Jackson.

use std::cell::Cell;

use serde_json::Number;

use crate::asl::diagnostic::Diagnostic;
use crate::asl::node::Builder;
use crate::asl::node::Kind;
use crate::asl::node::Node;
use crate::asl::node::Refusal;
use crate::asl::substitute;
use crate::model::span::Span;

/// Reads a whole JSON text. An unquoted `${Name}` becomes a placeholder.
pub(crate) fn parse(text: &str) -> Result<Node, Diagnostic> {
    Reader {
        text,
        at: 0,
        line: 1,
        line_start: 0,
        mark: Cell::new((0, 1)),
    }
    .document()
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
    line: u32,
    line_start: usize,
    /// A byte offset and its column: the next column is counted from here, so that a long line is counted once.
    mark: Cell<(usize, u32)>,
}

/// What may come next inside an open object or array.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expect {
    /// A value, or the end when the container is still empty.
    First,
    /// A value behind a comma.
    Value,
    /// A comma or the end.
    Comma,
}

impl Reader<'_> {
    fn document(mut self) -> Result<Node, Diagnostic> {
        let mut builder = Builder::default();
        let mut expect = Expect::Value;
        loop {
            self.skip_space();
            let Some((_, is_object)) = builder.innermost() else {
                if expect == Expect::Comma {
                    break;
                }
                expect = self.value(&mut builder)?;
                continue;
            };
            let Some(byte) = self.peek() else {
                return Err(self.unexpected_end(&builder));
            };
            let close = if is_object { b'}' } else { b']' };
            match (expect, byte) {
                (Expect::Comma | Expect::First, byte) if byte == close => {
                    self.at += 1;
                    let end = self.offset();
                    if let Some(node) = builder.close(end) {
                        builder.value(node).map_err(|refusal| self.refusal(&refusal))?;
                    }
                    expect = Expect::Comma;
                }
                (Expect::Comma, b',') => {
                    self.at += 1;
                    expect = Expect::Value;
                }
                (Expect::Comma, _) => {
                    let what = if is_object { "Object" } else { "Array" };
                    return Err(self.unexpected(&format!("was expecting comma to separate {what} entries")));
                }
                (_, _) => {
                    if is_object {
                        self.member_key(&mut builder)?;
                        self.skip_space();
                        if self.peek().is_none() {
                            return Err(self.unexpected_end(&builder));
                        }
                    }
                    expect = self.value(&mut builder)?;
                }
            }
        }
        if self.peek().is_some() {
            return Err(self.unexpected("was expecting the end of the text"));
        }
        builder
            .finish()
            .ok_or_else(|| self.error("Unexpected end-of-input".to_owned(), self.at))
    }

    fn member_key(&mut self, builder: &mut Builder) -> Result<(), Diagnostic> {
        if self.peek() != Some(b'"') {
            return Err(self.unexpected("was expecting double-quote to start field name"));
        }
        let mut span = self.span_here();
        let key = self.string()?;
        span.end = self.offset();
        builder.key(key, span).map_err(|refusal| self.refusal(&refusal))?;
        self.skip_space();
        match self.peek() {
            Some(b':') => {
                self.at += 1;
                Ok(())
            }
            Some(_) => Err(self.unexpected("was expecting a colon to separate field name and value")),
            None => Err(self.unexpected_end(builder)),
        }
    }

    /// Reads a scalar, or opens a container, and tells what may follow.
    fn value(&mut self, builder: &mut Builder) -> Result<Expect, Diagnostic> {
        let mut span = self.span_here();
        let Some(byte) = self.peek() else {
            return Err(self.error("No content to map due to end-of-input".to_owned(), self.at));
        };
        let kind = match byte {
            b'{' | b'[' => {
                self.at += 1;
                builder
                    .open(span, byte == b'{')
                    .map_err(|refusal| self.refusal(&refusal))?;
                return Ok(Expect::First);
            }
            b'"' => Kind::String(self.string()?),
            b'-' | b'0'..=b'9' => Kind::Number(self.number()?),
            b'$' => match substitute::placeholder_at(self.text, self.at) {
                Some((name, end)) => {
                    let name = name.to_owned();
                    self.at = end;
                    Kind::Placeholder(name)
                }
                None => return Err(self.unexpected("expected a valid value")),
            },
            _ => self.word()?,
        };
        span.end = self.offset();
        builder
            .value(Node { span, kind })
            .map_err(|refusal| self.refusal(&refusal))?;
        Ok(Expect::Comma)
    }

    fn word(&mut self) -> Result<Kind, Diagnostic> {
        let start = self.at;
        let rest = self.text.get(start..).unwrap_or_default();
        let word: &str = rest
            .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$'))
            .map_or(rest, |end| &rest[..end]);
        let kind = match word {
            "null" => Kind::Null,
            "true" => Kind::Bool(true),
            "false" => Kind::Bool(false),
            "" => {
                return Err(self.unexpected(
                    "expected a valid value (JSON String, Number, Array, Object or token 'null', 'true' or 'false')",
                ));
            }
            _ => {
                let shown: String = word.chars().take(256).collect();
                let message = format!(
                    "Unrecognized token '{shown}': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false')"
                );
                return Err(self.error(message, start + word.len()));
            }
        };
        self.at += word.len();
        Ok(kind)
    }

    fn number(&mut self) -> Result<Number, Diagnostic> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let literal = rest
            .find(|c: char| !(c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E')))
            .map_or(rest, |end| &rest[..end]);
        let Ok(number) = serde_json::from_str::<Number>(literal) else {
            let shown: String = literal.chars().take(64).collect();
            return Err(self.error(format!("Invalid numeric value: {shown}"), self.at));
        };
        self.at += literal.len();
        Ok(number)
    }

    /// Reads a string that begins here.
    fn string(&mut self) -> Result<String, Diagnostic> {
        let bytes = self.text.as_bytes();
        let start = self.at;
        let mut end = start + 1;
        loop {
            match bytes.get(end) {
                None => {
                    return Err(self.error(
                        "Unexpected end-of-input: was expecting closing quote for a string value".to_owned(),
                        end,
                    ));
                }
                Some(b'"') => break,
                Some(b'\\') => match bytes.get(end + 1) {
                    Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') | None => end += 2,
                    Some(b'u') => end = self.unicode_escape(end)?,
                    Some(_) => {
                        let next = self.text.get(end + 1..).and_then(|rest| rest.chars().next());
                        let next = next.unwrap_or(' ');
                        let message = format!("Unrecognized character escape {}", described(next));
                        return Err(self.error(message, end + 1 + next.len_utf8()));
                    }
                },
                Some(byte) if *byte < 0x20 => {
                    let message = format!(
                        "Illegal unquoted character ((CTRL-CHAR, code {byte})): has to be escaped using backslash to be included in string value"
                    );
                    return Err(self.error(message, end + 1));
                }
                Some(_) => end += 1,
            }
        }
        let literal = self.text.get(start..=end).unwrap_or_default();
        let Ok(text) = serde_json::from_str::<String>(literal) else {
            return Err(self.error("The string can not be read".to_owned(), end));
        };
        self.at = end + 1;
        Ok(text)
    }

    /// Passes over the escape `\u` and its four digits at byte `start`, or over two that make one character, and returns the byte behind.
    fn unicode_escape(&self, start: usize) -> Result<usize, Diagnostic> {
        let first = self.code_unit(start)?;
        let end = start + 6;
        let is_pair = (0xd800..0xdc00).contains(&first)
            && self.text.get(end..).is_some_and(|rest| rest.starts_with("\\u"))
            && (0xdc00..0xe000).contains(&self.code_unit(end)?);
        if is_pair {
            return Ok(end + 6);
        }
        if (0xd800..0xe000).contains(&first) {
            let message = format!("The escape \\u{first:04x} is half of a surrogate pair, the other half is missing");
            return Err(self.error(message, end));
        }
        Ok(end)
    }

    /// Reads the four digits of the escape `\u` at byte `start`.
    fn code_unit(&self, start: usize) -> Result<u32, Diagnostic> {
        let mut unit = 0;
        for at in start + 2..start + 6 {
            let next = self.text.get(at..).and_then(|rest| rest.chars().next());
            let Some(digit) = next.and_then(|c| c.to_digit(16)) else {
                let what = next.map_or("end-of-input".to_owned(), |c| format!("character ({})", described(c)));
                let message = format!("Unexpected {what}: expected a hex-digit for character escape sequence");
                return Err(self.error(message, at + next.map_or(0, char::len_utf8)));
            };
            unit = unit * 16 + digit;
        }
        Ok(unit)
    }

    fn skip_space(&mut self) {
        while let Some(byte) = self.peek() {
            match byte {
                b'\n' => {
                    self.at += 1;
                    self.line = self.line.saturating_add(1);
                    self.line_start = self.at;
                }
                b' ' | b'\t' | b'\r' => self.at += 1,
                _ => break,
            }
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn offset(&self) -> u32 {
        u32::try_from(self.at).unwrap_or(u32::MAX)
    }

    fn column(&self, at: usize) -> u32 {
        let (from, column) = match self.mark.get() {
            (offset, column) if self.line_start <= offset && offset <= at => (offset, column),
            _ => (self.line_start, 1),
        };
        let between = self.text.get(from..at).unwrap_or_default();
        let column = column.saturating_add(u32::try_from(between.chars().count()).unwrap_or(u32::MAX));
        self.mark.set((at, column));
        column
    }

    fn span_here(&self) -> Span {
        Span {
            line: self.line,
            column: self.column(self.at),
            start: self.offset(),
            end: self.offset(),
        }
    }

    fn refusal(&self, refusal: &Refusal) -> Diagnostic {
        match refusal {
            Refusal::Duplicate(key) => self.error(format!("Duplicate field '{key}'"), self.at),
            Refusal::TooDeep => self.coded("TOO_DEEPLY_NESTED", "The definition is nested too deeply".to_owned()),
            Refusal::TooMany => self.coded("TOO_DEEPLY_NESTED", "The definition has too many values".to_owned()),
        }
    }

    fn coded(&self, code: &'static str, message: String) -> Diagnostic {
        Diagnostic {
            code,
            message,
            location: None,
            span: Some(self.span_here()),
        }
    }

    fn unexpected_end(&self, builder: &Builder) -> Diagnostic {
        let Some((span, is_object)) = builder.innermost() else {
            return self.error("Unexpected end-of-input".to_owned(), self.at);
        };
        let what = if is_object { "Object" } else { "Array" };
        let message = format!(
            "Unexpected end-of-input: expected close marker for {what} (start marker at {})",
            self.place(span.line, span.column)
        );
        self.error(message, self.at)
    }

    fn unexpected(&self, expected: &str) -> Diagnostic {
        let next = self
            .text
            .get(self.at..)
            .and_then(|rest| rest.chars().next())
            .unwrap_or(' ');
        let message = format!("Unexpected character ({}): {expected}", described(next));
        self.error(message, self.at + next.len_utf8())
    }

    /// `end` is the byte behind the trouble, where Jackson stands when it notices.
    fn error(&self, message: String, end: usize) -> Diagnostic {
        let place = self.place(self.line, self.column(end));
        Diagnostic {
            code: "INVALID_JSON_DESCRIPTION",
            message: format!("{message}\n at {place}"),
            location: Some(place),
            span: Some(Span {
                end: u32::try_from(end).unwrap_or(u32::MAX),
                ..self.span_here()
            }),
        }
    }

    fn place(&self, line: u32, column: u32) -> String {
        let n_chars = self.text.chars().count();
        let shown: String = self.text.chars().take(500).collect();
        let cut = match n_chars.checked_sub(500) {
            Some(cut) if 0 < cut => format!("[truncated {cut} chars]"),
            _ => String::new(),
        };
        format!("[Source: (String)\"{shown}\"{cut}; line: {line}, column: {column}]")
    }
}

/// Shows a character as Jackson does.
fn described(c: char) -> String {
    let code = u32::from(c);
    if c.is_control() {
        format!("(CTRL-CHAR, code {code})")
    } else if 255 < code {
        format!("'{c}' (code {code} / 0x{code:x})")
    } else {
        format!("'{c}' (code {code})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint(text: &str) -> String {
        let message = parse(text).unwrap_err().message;
        message.lines().next().unwrap_or_default().to_owned()
    }

    #[test]
    fn values_are_read_as_they_are_written() {
        for text in [
            r#"{"a":[1,-2.5,true,null,"x\n\u00e9"],"b":{}}"#,
            "[]",
            "[[[]]]",
            r#""text""#,
            "1e3",
        ] {
            let expected: serde_json::Value = serde_json::from_str(text).unwrap();
            assert_eq!(parse(text).unwrap().to_value(), expected, "{text}");
        }
    }

    #[test]
    fn the_recorded_sentence_of_a_text_that_is_not_json() {
        let finding = parse("not a definition").unwrap_err();
        assert_eq!(finding.code, "INVALID_JSON_DESCRIPTION");
        let place = "[Source: (String)\"not a definition\"; line: 1, column: 4]";
        assert_eq!(finding.location.as_deref(), Some(place));
        assert_eq!(
            finding.message,
            format!(
                "Unrecognized token 'not': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false')\n at {place}"
            )
        );
    }

    #[test]
    fn broken_text_is_refused() {
        for (text, expected) in [
            (
                r#"{"a":1,}"#,
                "Unexpected character ('}' (code 125)): was expecting double-quote to start field name",
            ),
            (
                r#"{"a" 1}"#,
                "Unexpected character ('1' (code 49)): was expecting a colon to separate field name and value",
            ),
            (
                "[1 2]",
                "Unexpected character ('2' (code 50)): was expecting comma to separate Array entries",
            ),
            (r#"{"a":1,"a":2}"#, "Duplicate field 'a'"),
            (
                r#""a"#,
                "Unexpected end-of-input: was expecting closing quote for a string value",
            ),
            (r#""\x""#, "Unrecognized character escape 'x' (code 120)"),
            (
                "[NaN]",
                "Unrecognized token 'NaN': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false')",
            ),
            ("[1e999]", "Invalid numeric value: 1e999"),
            ("[01]", "Invalid numeric value: 01"),
            (
                "{} {}",
                "Unexpected character ('{' (code 123)): was expecting the end of the text",
            ),
            (
                r#"["\ud800"]"#,
                r"The escape \ud800 is half of a surrogate pair, the other half is missing",
            ),
            (
                r#"["\ud800\u0041"]"#,
                r"The escape \ud800 is half of a surrogate pair, the other half is missing",
            ),
            (
                r#"["\udc00"]"#,
                r"The escape \udc00 is half of a surrogate pair, the other half is missing",
            ),
            (
                r#"["\u00g0"]"#,
                "Unexpected character ('g' (code 103)): expected a hex-digit for character escape sequence",
            ),
            (
                r#"["\u00"#,
                "Unexpected end-of-input: expected a hex-digit for character escape sequence",
            ),
            (
                "\u{feff}{}",
                "Unexpected character ('\u{feff}' (code 65279 / 0xfeff)): expected a valid value (JSON String, Number, Array, Object or token 'null', 'true' or 'false')",
            ),
            (
                "{\0}",
                "Unexpected character ((CTRL-CHAR, code 0)): was expecting double-quote to start field name",
            ),
        ] {
            assert_eq!(complaint(text), expected, "{text}");
        }
        for text in ["{", "[1,", r#"{"a""#, r#"{"a":"#, "", " ", "[", "\"\\", "${", "[${a]"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        let deep = |n: usize| "[".repeat(n) + &"]".repeat(n);
        assert!(parse(&deep(512)).is_ok());
        assert_eq!(parse(&deep(513)).unwrap_err().code, "TOO_DEEPLY_NESTED");
        assert!(parse(&"[".repeat(1_000_000)).is_err());
    }

    #[test]
    fn places_count_characters_from_one() {
        let tree = parse("{\n \"ä\": {\"b\": ${x}}}").unwrap();
        let inner = tree.get("ä").unwrap();
        assert_eq!((inner.span.line, inner.span.column), (2, 7));
        let placeholder = inner.get("b").unwrap();
        assert_eq!((placeholder.span.line, placeholder.span.column), (2, 13));
        assert!(matches!(&placeholder.kind, Kind::Placeholder(name) if name == "x"));
    }
}
