//! Reads YAML text (SAM's `.asl.yaml`) into the same tree as JSON.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use saphyr_parser::Event;
use saphyr_parser::Parser;
use saphyr_parser::ScalarStyle;
use serde_json::Number;

use crate::asl::diagnostic::Diagnostic;
use crate::asl::node::Builder;
use crate::asl::node::DEPTH_MAX;
use crate::asl::node::Kind;
use crate::asl::node::Member;
use crate::asl::node::NODES_MAX;
use crate::asl::node::Node;
use crate::asl::node::Refusal;
use crate::asl::substitute;
use crate::model::span::Span;

/// Reads one YAML document. Tags outside the core schema are refused.
pub(crate) fn parse(text: &str) -> Result<Node, Diagnostic> {
    read(text, |tag, _| {
        Err(format!(
            "The tag '{tag}' is not supported in a definition, which knows no template functions: write a placeholder like '${{Name}}'"
        ))
    })
}

/// Reads one YAML document; `tagged` decides what a value with a tag of its own (`!Ref`) means.
pub(crate) fn read(text: &str, tagged: impl Fn(&str, Node) -> Result<Node, String>) -> Result<Node, Diagnostic> {
    let mut builder = Builder::default();
    let mut anchors: BTreeMap<usize, Node> = BTreeMap::new();
    let mut open: Vec<(usize, Option<String>)> = Vec::new();
    let mut n_expanded = 0_usize;
    let mut n_documents = 0;
    let body = text.strip_prefix('\u{feff}').unwrap_or(text);
    let places = Places::new(body, text.len() - body.len());
    // The parser takes U+0000 for the end of the text and would not look at what follows.
    if let Some(at) = body.find('\0') {
        return Err(refuse(
            "The character U+0000 is not allowed".to_owned(),
            places.span_at(body, at),
        ));
    }
    for item in Parser::new_from_str(body) {
        let (event, at) = item.map_err(|error| {
            let span = places.span(error.marker(), error.marker());
            refuse(error.info().to_owned(), span)
        })?;
        let span = places.span(&at.start, &at.end);
        let fail = |refusal: Refusal| refused(&refusal, span);
        let (mut node, anchor, tag) = match event {
            Event::DocumentStart(_) => {
                n_documents += 1;
                if 1 < n_documents {
                    return Err(refuse("The text has more than one YAML document".to_owned(), span));
                }
                continue;
            }
            Event::MappingStart(..) | Event::SequenceStart(..) if builder.wants_key() => {
                return Err(refuse("A key must be a text".to_owned(), span));
            }
            Event::MappingStart(anchor, tag) => {
                builder.open(span, true).map_err(fail)?;
                open.push((anchor, tag.map(|tag| tag.to_string())));
                continue;
            }
            Event::SequenceStart(anchor, tag) => {
                builder.open(span, false).map_err(fail)?;
                open.push((anchor, tag.map(|tag| tag.to_string())));
                continue;
            }
            Event::MappingEnd | Event::SequenceEnd => {
                let (anchor, tag) = open.pop().unwrap_or_default();
                let Some(node) = builder.close(span.end) else {
                    continue;
                };
                (node, anchor, tag)
            }
            Event::Scalar(scalar, style, anchor, tag) => {
                if builder.wants_key() {
                    builder.key(scalar.into_owned(), span).map_err(fail)?;
                    continue;
                }
                let tag = tag.map(|tag| tag.to_string());
                let kind = if style == ScalarStyle::Plain && tag.is_none() {
                    if is_beyond_binary64(&scalar) {
                        let shown: String = scalar.chars().take(64).collect();
                        return Err(refuse(format!("Invalid numeric value: {shown}"), span));
                    }
                    plain_scalar(&scalar)
                } else {
                    core_tagged(scalar.into_owned(), tag.as_deref())
                };
                (Node { span, kind }, anchor, tag)
            }
            Event::Alias(id) => {
                let Some(node) = anchors.get(&id) else {
                    return Err(refuse("The alias has no anchor".to_owned(), span));
                };
                n_expanded += size(node);
                if n_expanded > NODES_MAX {
                    return Err(refused(&Refusal::TooMany, span));
                }
                if let (true, Some(key)) = (builder.wants_key(), node.text()) {
                    builder.key(key.to_owned(), span).map_err(fail)?;
                    continue;
                }
                if builder.depth() + depth(node) > DEPTH_MAX {
                    return Err(refused(&Refusal::TooDeep, span));
                }
                (node.clone(), 0, None)
            }
            _ => continue,
        };
        if let Some(tag) = tag.filter(|tag| !tag.contains("yaml.org,2002:") && tag != "!") {
            node = tagged(&tag, node).map_err(|message| refuse(message, span))?;
        }
        if anchor != 0 {
            n_expanded += size(&node);
            if n_expanded > NODES_MAX {
                return Err(refused(&Refusal::TooMany, span));
            }
            anchors.insert(anchor, node.clone());
        }
        if builder.wants_key() {
            return Err(refuse("A key must be a text".to_owned(), span));
        }
        if let Kind::Object(members) = &mut node.kind {
            merge(members);
        }
        builder.value(node).map_err(fail)?;
    }
    builder.finish().ok_or_else(|| {
        refuse(
            "The text is empty".to_owned(),
            Span {
                line: 1,
                column: 1,
                start: 0,
                end: 0,
            },
        )
    })
}

/// Resolves a plain scalar by the core schema of YAML 1.2.
pub(crate) fn plain_scalar(text: &str) -> Kind {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Kind::Null,
        "true" | "True" | "TRUE" => return Kind::Bool(true),
        "false" | "False" | "FALSE" => return Kind::Bool(false),
        _ => {}
    }
    if let Some(name) = substitute::whole_placeholder(text) {
        return Kind::Placeholder(name.to_owned());
    }
    number(text).map_or_else(|| Kind::String(text.to_owned()), Kind::Number)
}

fn core_tagged(text: String, tag: Option<&str>) -> Kind {
    match tag.and_then(|tag| tag.rsplit_once(':')).map(|(_, suffix)| suffix) {
        Some("int" | "float" | "bool" | "null") => plain_scalar(&text),
        _ => Kind::String(text),
    }
}

/// Tells whether a plain scalar is a number that is too large to be one in JSON.
fn is_beyond_binary64(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') && text.parse::<f64>().is_ok_and(f64::is_infinite)
}

fn number(text: &str) -> Option<Number> {
    if let Some(digits) = text.strip_prefix("0x") {
        return u64::from_str_radix(digits, 16).ok().map(Number::from);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return u64::from_str_radix(digits, 8).ok().map(Number::from);
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let shape = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && unsigned.contains(|c: char| c.is_ascii_digit())
        && text
            .chars()
            .all(|c| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E'));
    if !shape {
        return None;
    }
    if unsigned.chars().all(|c| c.is_ascii_digit()) {
        let text = text.strip_prefix('+').unwrap_or(text);
        if let Ok(integer) = text.parse::<i64>() {
            return Some(Number::from(integer));
        }
        if let Ok(integer) = text.parse::<u64>() {
            return Some(Number::from(integer));
        }
    }
    text.parse::<f64>().ok().and_then(Number::from_f64)
}

/// Carries out `<<` merge keys, which SAM's templates use; a key that is there already wins.
fn merge(members: &mut Vec<Member>) {
    let Some(at) = members.iter().position(|member| member.key == "<<") else {
        return;
    };
    if !matches!(members[at].value.kind, Kind::Object(_) | Kind::Array(_)) {
        return;
    }
    let merged = members.remove(at).value;
    let sources = match merged.kind {
        Kind::Array(elements) => elements,
        _ => vec![merged],
    };
    let mut known: BTreeSet<String> = members.iter().map(|member| member.key.clone()).collect();
    for source in sources {
        if let Kind::Object(added) = source.kind {
            for member in added {
                if known.insert(member.key.clone()) {
                    members.push(member);
                }
            }
        }
    }
}

/// Counts what a copy of a value costs: its values, and one more for each 64 bytes of text.
fn size(root: &Node) -> usize {
    let mut n = 0;
    let mut queue = vec![root];
    while let Some(node) = queue.pop() {
        n += 1 + node.text().map_or(0, |text| text.len() / 64);
        queue.extend(node.elements());
        for member in node.members() {
            n += member.key.len() / 64;
            queue.push(&member.value);
        }
    }
    n
}

fn depth(root: &Node) -> usize {
    let mut deepest = 0;
    let mut queue = vec![(root, 1)];
    while let Some((node, level)) = queue.pop() {
        deepest = deepest.max(level);
        queue.extend(node.elements().iter().map(|child| (child, level + 1)));
        queue.extend(node.members().iter().map(|member| (&member.value, level + 1)));
    }
    deepest
}

/// Turns the parser's character indexes into byte offsets.
struct Places {
    /// Byte offset of every character, when the text is not plain ASCII.
    bytes: Option<Vec<u32>>,
    end: u32,
    /// Bytes before the first character: those of a byte order mark.
    base: u32,
}

impl Places {
    fn new(text: &str, base: usize) -> Self {
        let bytes = (!text.is_ascii()).then(|| {
            text.char_indices()
                .map(|(at, _)| u32::try_from(at).unwrap_or(u32::MAX))
                .collect()
        });
        Self {
            bytes,
            end: u32::try_from(text.len()).unwrap_or(u32::MAX),
            base: u32::try_from(base).unwrap_or(u32::MAX),
        }
    }

    fn offset(&self, index: usize) -> u32 {
        let offset = match &self.bytes {
            Some(bytes) => bytes.get(index).copied().unwrap_or(self.end),
            None => u32::try_from(index).unwrap_or(u32::MAX).min(self.end),
        };
        offset.saturating_add(self.base)
    }

    /// Returns the span of the one-byte character at byte `at` of the text.
    fn span_at(&self, text: &str, at: usize) -> Span {
        let before = text.get(..at).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let n_lines = before.bytes().filter(|byte| *byte == b'\n').count();
        let n_chars = before.get(line_start..).unwrap_or_default().chars().count();
        let start = u32::try_from(at).unwrap_or(u32::MAX).saturating_add(self.base);
        Span {
            line: u32::try_from(n_lines).unwrap_or(u32::MAX).saturating_add(1),
            column: u32::try_from(n_chars).unwrap_or(u32::MAX).saturating_add(1),
            start,
            end: start.saturating_add(1),
        }
    }

    fn span(&self, start: &saphyr_parser::Marker, end: &saphyr_parser::Marker) -> Span {
        Span {
            line: u32::try_from(start.line()).unwrap_or(u32::MAX),
            column: u32::try_from(start.col().saturating_add(1)).unwrap_or(u32::MAX),
            start: self.offset(start.index()),
            end: self.offset(end.index()),
        }
    }
}

fn refused(refusal: &Refusal, span: Span) -> Diagnostic {
    match refusal {
        Refusal::Duplicate(key) => refuse(format!("Duplicate field '{key}'"), span),
        Refusal::TooDeep => Diagnostic {
            code: "TOO_DEEPLY_NESTED",
            ..refuse("The definition is nested too deeply".to_owned(), span)
        },
        Refusal::TooMany => Diagnostic {
            code: "TOO_DEEPLY_NESTED",
            ..refuse("The definition has too many values".to_owned(), span)
        },
    }
}

fn refuse(message: String, span: Span) -> Diagnostic {
    Diagnostic {
        code: "INVALID_YAML_DESCRIPTION",
        message,
        location: None,
        span: Some(span),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_follow_the_core_schema() {
        for (text, expected) in [
            (
                "a: 1\nb: -2.5\nc: 0x10\nd: 1e3\ne: .5",
                r#"{"a":1,"b":-2.5,"c":16,"d":1000.0,"e":0.5}"#,
            ),
            (
                "[true, False, yes, on, null, ~, .nan, 1.2.3, '1', \"x\\n\"]",
                r#"[true,false,"yes","on",null,null,".nan","1.2.3","1","x\n"]"#,
            ),
            ("a: !!str 1\nb: |\n  x\n  y\n2: c", r#"{"a":"1","b":"x\ny\n","2":"c"}"#),
            (
                "a: &x {b: 1}\nc: *x\nd:\n  <<: *x\n  e: 2",
                r#"{"a":{"b":1},"c":{"b":1},"d":{"e":2,"b":1}}"#,
            ),
            (r#"{"json": ["is", "yaml"]}"#, r#"{"json":["is","yaml"]}"#),
            ("a: 2020-01-01T00:00:00Z", r#"{"a":"2020-01-01T00:00:00Z"}"#),
            (
                "[1_000, 0o17, 017, 18446744073709551615, 12:30, =]",
                r#"["1_000",15,17,18446744073709551615,"12:30","="]"#,
            ),
            (
                "a: |\n  x\n   y\nb: >-\n  x\n  y\nc: &k d\n*k : e\n",
                r#"{"a":"x\n y\n","b":"x y","c":"d","d":"e"}"#,
            ),
            (
                "a: &a {x: 1, y: 2}\nb: &b {x: 3, z: 4}\nc: {<<: [*a, *b], y: 5}",
                r#"{"a":{"x":1,"y":2},"b":{"x":3,"z":4},"c":{"y":5,"x":1,"z":4}}"#,
            ),
            ("\u{feff}a: 1\r\nb: 2\r\n", r#"{"a":1,"b":2}"#),
            ("---\na: 1\n...\n", r#"{"a":1}"#),
            (
                "a: {% $x %}".replace("{%", "'{%").replace("%}", "%}'").as_str(),
                r#"{"a":"{% $x %}"}"#,
            ),
        ] {
            let expected: serde_json::Value = serde_json::from_str(expected).unwrap();
            assert_eq!(parse(text).unwrap().to_value(), expected, "{text}");
        }
    }

    #[test]
    fn broken_or_boundless_text_is_refused() {
        let mut laughs = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
        for n in 1..12 {
            let aliases = vec![format!("*a{}", n - 1); 10].join(",");
            laughs += &format!("a{n}: &a{n} [{aliases}]\n");
        }
        let deep = "[".repeat(600) + &"]".repeat(600);
        let heavy = format!("a: &a {}\nb: [{}]", "x".repeat(1 << 20), vec!["*a"; 1000].join(", "));
        for text in [
            "",
            "a: 1\na: 2",
            "a: [",
            "a: !Ref b",
            "a: *x",
            "a: &x [*x]",
            "? [a]\n: b",
            "a: 1\n---\nb: 2",
            "\t- a:\n b",
            laughs.as_str(),
            heavy.as_str(),
            deep.as_str(),
        ] {
            let finding = parse(text).unwrap_err();
            assert!(!finding.message.is_empty(), "{text}");
        }
        for (text, message, place) in [
            ("a: 1\na: 2", "Duplicate field 'a'", (2, 1)),
            ("a: 1\nb: \u{e4}\0\nc: [", "The character U+0000 is not allowed", (2, 5)),
            ("a: [1,\n 1e999]", "Invalid numeric value: 1e999", (2, 2)),
            ("a: 1\n---\nb: 2", "The text has more than one YAML document", (2, 1)),
            (
                "a:\n  b: !Sub x",
                "The tag '!Sub' is not supported in a definition, which knows no template functions: write a placeholder like '${Name}'",
                (2, 11),
            ),
        ] {
            let finding = parse(text).unwrap_err();
            let span = finding.span.unwrap();
            assert_eq!(
                (finding.message.as_str(), (span.line, span.column)),
                (message, place),
                "{text}"
            );
        }
    }

    #[test]
    fn large_texts_are_read_in_a_straight_line() {
        let members: Vec<String> = (0..20_000).map(|n| format!("k{n}: 1")).collect();
        let merged = format!("a: &a {{{0}}}\nb: {{<<: [*a, *a], {0}}}", members.join(", "));
        assert_eq!(
            parse(&merged).unwrap().get("b").map(|b| b.members().len()),
            Some(20_000)
        );
    }

    #[test]
    fn places_are_bytes_lines_and_columns() {
        let text = "ä: x\nb:\n  c: yy\n";
        let tree = parse(text).unwrap();
        let span = tree.get("b").and_then(|b| b.get("c")).unwrap().span;
        assert_eq!((span.line, span.column), (3, 6));
        assert_eq!(text.get(span.start as usize..span.end as usize), Some("yy"));
        let text = "\u{feff}a: yy\n";
        let span = parse(text).unwrap().get("a").unwrap().span;
        assert_eq!((span.line, span.column), (1, 4));
        assert_eq!(text.get(span.start as usize..span.end as usize), Some("yy"));
    }
}
