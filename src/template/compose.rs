//! Puts a definition's text together out of the pieces of a template, and keeps where each is from.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use crate::asl::node::Kind;
use crate::asl::node::Node;
use crate::asl::substitute::placeholder_at;
use crate::asl::substitution_file::shown;
use crate::model::quota::DEFINITION_BYTES_MAX;
use crate::model::span::Span;
use crate::template::function::Function;
use crate::template::function::function;
use crate::template::function::literal;
use crate::template::function::placeholder_name;
use crate::template::origin::Origin;
use crate::template::origin::offset;
use crate::template::trace::Trace;
use crate::template::trace::align;

/// Longest `${…}` with an expression in it.
const EXPRESSION_BYTES_MAX: usize = 2048;
/// What it costs to look at a value; a byte of text costs one.
const VISIT: usize = 128;

/// A text and where it is from.
#[derive(Debug, Default)]
pub(super) struct Composed {
    pub(super) text: String,
    pub(super) trace: Trace,
}

impl Composed {
    /// Adds a text. What would make the definition larger than one may be is left out, but for the byte too many.
    pub(super) fn put(&mut self, text: &str, outer: Range<u32>, exact: bool) {
        if self.text.len() <= DEFINITION_BYTES_MAX {
            self.text.push_str(text);
            self.trace.push(text.len(), outer, exact);
        }
    }
}

/// What one file may cost: functions can name one another's values, and double the work at each step.
#[derive(Debug)]
pub(super) struct Budget(usize);

impl Budget {
    pub(super) fn new() -> Self {
        Self(64 << 20)
    }

    pub(super) fn spend(&mut self, n: usize) {
        self.0 = self.0.saturating_sub(n);
    }

    pub(super) fn is_spent(&self) -> bool {
        self.0 == 0
    }
}

/// Which words stand for values that only the deployment knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// The functions.
    CloudFormation,
    /// The functions, and `${…}` in every text.
    Serverless,
}

/// How the characters of a text are written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Quoting {
    /// As they are.
    Raw,
    /// Within a JSON string.
    Json,
}

/// What `${…}` in a text is.
enum Reference<'n> {
    Literal(String),
    Open(String),
    Own(&'n Node),
}

/// Writes values of one file as JSON, and texts as they are.
pub(super) struct Composer<'c> {
    origin: &'c Arc<Origin>,
    dialect: Dialect,
    /// Placeholders that mean something else in the definition.
    reserved: &'c BTreeSet<String>,
    budget: &'c mut Budget,
    pub(super) composed: Composed,
    /// The placeholders that were written for what is not known.
    pub(super) opened: BTreeSet<String>,
}

impl<'c> Composer<'c> {
    pub(super) fn new(
        origin: &'c Arc<Origin>,
        dialect: Dialect,
        reserved: &'c BTreeSet<String>,
        budget: &'c mut Budget,
    ) -> Self {
        Self {
            origin,
            dialect,
            reserved,
            budget,
            composed: Composed::default(),
            opened: BTreeSet::new(),
        }
    }

    /// Writes what a text is once its functions are carried out, as far as that is known.
    pub(super) fn text(&mut self, node: &Node) {
        self.pieces(node, Quoting::Raw);
    }

    /// Writes a value as JSON. The depth is bounded by the readers.
    pub(super) fn value(&mut self, node: &Node) {
        self.budget.spend(VISIT);
        if self.budget.is_spent() {
            return;
        }
        let whole = range(node.span);
        match function(node) {
            Some(Function::Join(..) | Function::Literal(_) | Function::Sub(..) | Function::ToJsonString(_)) => {
                return self.quoted(node);
            }
            Some(Function::If(condition, ..)) => return self.open(&shown(condition), whole),
            Some(Function::Nothing) => return self.composed.put("null", whole, false),
            Some(Function::Open(name)) => return self.open(&name, whole),
            None => {}
        }
        let (first, last) = (
            whole.start..whole.start.saturating_add(1),
            whole.end.saturating_sub(1)..whole.end,
        );
        match &node.kind {
            Kind::Array(elements) => {
                self.composed.put("[", first, false);
                for (n, element) in elements.iter().enumerate() {
                    self.comma(n, element.span);
                    self.value(element);
                }
                self.composed.put("]", last, false);
            }
            Kind::Object(members) => {
                self.composed.put("{", first, false);
                let present = members
                    .iter()
                    .filter(|member| !matches!(function(&member.value), Some(Function::Nothing)));
                for (n, member) in present.enumerate() {
                    self.comma(n, member.key_span);
                    self.key(&member.key, member.key_span);
                    self.composed.put(":", range(member.key_span), false);
                    self.value(&member.value);
                }
                self.composed.put("}", last, false);
            }
            Kind::Placeholder(name) if self.dialect == Dialect::Serverless => self.open(name, whole),
            Kind::String(text) if self.is_variable(text) => self.open(text.trim_start_matches("${"), whole),
            Kind::Open(_) | Kind::Placeholder(_) | Kind::String(_) => self.quoted(node),
            Kind::Bool(_) | Kind::Null | Kind::Number(_) => {
                self.composed.put(&node.to_value().to_string(), whole, false);
            }
        }
    }

    /// Writes a key. Where its letters stand in the file as they are, they are followed one by one.
    fn key(&mut self, key: &str, span: Span) {
        let whole = range(span);
        let quoted = serde_json::Value::from(key).to_string();
        let written = self.origin.text.get(whole.start as usize..whole.end as usize);
        let at = written.and_then(|written| match written.strip_prefix(['"', '\'']) {
            Some(rest) if rest.strip_suffix(['"', '\'']) == Some(key) => Some(1),
            _ => (written == key).then_some(0),
        });
        let Some(at) = at.filter(|_| quoted.get(1..quoted.len() - 1) == Some(key)) else {
            return self.composed.put(&quoted, whole, false);
        };
        let (start, end) = (whole.start.saturating_add(at), whole.end.saturating_sub(at));
        self.composed.put("\"", whole.start..start, false);
        self.composed.put(key, start..end, true);
        self.composed.put("\"", end..whole.end, false);
    }

    fn comma(&mut self, n: usize, span: Span) {
        if 0 < n {
            self.composed.put(",", span.start..span.start, false);
        }
    }

    fn quoted(&mut self, node: &Node) {
        let Range { start, end } = range(node.span);
        self.composed.put("\"", start..start.saturating_add(1), false);
        self.pieces(node, Quoting::Json);
        self.composed.put("\"", end.saturating_sub(1)..end, false);
    }

    fn pieces(&mut self, node: &Node, quoting: Quoting) {
        self.budget.spend(VISIT);
        if self.budget.is_spent() {
            return;
        }
        let whole = range(node.span);
        match function(node) {
            Some(Function::Join(separator, list)) => {
                for (n, piece) in list.iter().enumerate() {
                    if 0 < n {
                        self.pieces(separator, quoting);
                    }
                    self.pieces(piece, quoting);
                }
            }
            Some(Function::Literal(text)) => self.constant(text, whole, quoting),
            Some(Function::Nothing) => {}
            Some(Function::Sub(text, own)) => self.scalar(text, &shown(text), Some(own), quoting),
            Some(Function::If(condition, ..)) => self.open(&shown(condition), whole),
            Some(Function::Open(name)) => self.open(&name, whole),
            Some(Function::ToJsonString(_)) => self.open("ToJsonString", whole),
            None => match &node.kind {
                Kind::String(text) => self.scalar(node, text, None, quoting),
                Kind::Placeholder(name) if self.dialect == Dialect::Serverless => self.open(name, whole),
                _ => self.constant(&shown(node), whole, quoting),
            },
        }
    }

    /// Writes a scalar's text; `sub` are the values of its own if it is a text of `Fn::Sub`.
    fn scalar(&mut self, node: &Node, text: &str, sub: Option<Option<&Node>>, quoting: Quoting) {
        let outer = range(node.span);
        let source = self.origin.text.get(outer.start as usize..outer.end as usize);
        let trace = align(text, source.unwrap_or_default(), outer.start);
        self.budget.spend(text.len());
        let mut from = 0;
        let mut search = 0;
        while let Some(found) = text.get(search..).and_then(|rest| rest.find("${")) {
            let at = search + found;
            if self.budget.is_spent() {
                return;
            }
            let Some((reference, end)) = self.reference(text, at, sub) else {
                search = at + 2;
                continue;
            };
            self.copy(text, from..at, &trace, quoting);
            let place = trace.outer(offset(at), offset(end));
            match reference {
                Reference::Literal(literal) => self.constant(&literal, place, quoting),
                Reference::Open(name) => self.open(&name, place),
                Reference::Own(value) => self.pieces(value, quoting),
            }
            (from, search) = (end, end);
        }
        self.copy(text, from..text.len(), &trace, quoting);
    }

    fn reference<'n>(
        &mut self,
        text: &str,
        at: usize,
        sub: Option<Option<&'n Node>>,
    ) -> Option<(Reference<'n>, usize)> {
        if let Some(own) = sub {
            if let Some(rest) = text.get(at + 2..).and_then(|rest| rest.strip_prefix('!')) {
                let end = rest.find(['}', '{', '$', '\n'])?;
                let name = rest.get(..end).filter(|_| rest[end..].starts_with('}'))?;
                // Whoever writes `${!Name}` means it.
                self.opened.insert(name.to_owned());
                return Some((Reference::Literal(format!("${{{name}}}")), at + 3 + end + 1));
            }
            if let Some((name, end)) = placeholder_at(text, at) {
                self.budget.spend(own.map_or(0, |own| own.members().len()));
                let reference = match (own.and_then(|own| own.get(name)), literal(name)) {
                    (Some(value), _) => Reference::Own(value),
                    (None, Some(literal)) => Reference::Literal(literal.to_owned()),
                    (None, None) => Reference::Open(name.to_owned()),
                };
                return Some((reference, end));
            }
        }
        if self.dialect != Dialect::Serverless {
            return None;
        }
        self.budget.spend(EXPRESSION_BYTES_MAX);
        let end = variable_at(text, at)?;
        Some((Reference::Open(placeholder_name(text.get(at + 2..end)?)), end))
    }

    /// Tells whether the whole text is a variable of the Serverless Framework, which may be any value.
    fn is_variable(&self, text: &str) -> bool {
        self.dialect == Dialect::Serverless && variable_at(text, 0) == Some(text.len())
    }

    /// Copies a piece of a scalar's text.
    fn copy(&mut self, text: &str, piece: Range<usize>, trace: &Trace, quoting: Quoting) {
        let start = piece.start;
        for (at, c) in text.get(piece).unwrap_or_default().char_indices() {
            let at = start + at;
            let outer = trace.outer(offset(at), offset(at + c.len_utf8()));
            let exact = trace.is_exact(offset(at));
            self.character(c, outer, exact, quoting);
        }
    }

    fn constant(&mut self, text: &str, outer: Range<u32>, quoting: Quoting) {
        self.budget.spend(text.len());
        for c in text.chars() {
            self.character(c, outer.clone(), false, quoting);
        }
    }

    fn character(&mut self, c: char, outer: Range<u32>, exact: bool, quoting: Quoting) {
        match c {
            '"' if quoting == Quoting::Json => self.composed.put("\\\"", outer, false),
            '\\' if quoting == Quoting::Json => self.composed.put("\\\\", outer, false),
            '\n' if quoting == Quoting::Json => self.composed.put("\\n", outer, false),
            c if c < ' ' && quoting == Quoting::Json => {
                self.composed.put(&format!("\\u{:04x}", u32::from(c)), outer, false);
            }
            c => self.composed.put(c.encode_utf8(&mut [0; 4]), outer, exact),
        }
    }

    /// Writes a placeholder for what is not known. It is fit for both sides of the quotes.
    fn open(&mut self, expression: &str, outer: Range<u32>) {
        let mut name = placeholder_name(expression);
        if self.reserved.contains(&name) {
            name.push_str(".Ref");
        }
        self.composed.put(&format!("${{{name}}}"), outer, false);
        self.opened.insert(name);
    }
}

fn range(span: Span) -> Range<u32> {
    span.start..span.end
}

/// Finds the end of a variable of the Serverless Framework: `${opt:stage, 'dev'}`, `${file(x.yml):key}`, `${env:A}`.
///
/// `${ … }` in JSONata is none: no name stands behind the brace.
pub(super) fn variable_at(text: &str, at: usize) -> Option<usize> {
    let inner = text.get(at..)?.strip_prefix("${")?;
    let head = inner.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
    if head.len() == inner.len() || !head.starts_with([':', '(', '}', ',']) {
        return None;
    }
    expression_end(text, at)
}

/// Finds the end of `${…}` with an expression in it, in which quotes and braces may stand.
pub(super) fn expression_end(text: &str, at: usize) -> Option<usize> {
    let inner = text.get(at..)?.strip_prefix("${")?;
    let mut depth = 1_usize;
    let mut quote = None;
    let mut skipped = false;
    for (n, c) in inner.char_indices().take_while(|(n, _)| *n < EXPRESSION_BYTES_MAX) {
        match (c, quote) {
            _ if skipped => skipped = false,
            ('\\', Some(_)) => skipped = true,
            (c, Some(open)) if c == open => quote = None,
            (_, Some(_)) => {}
            ('"' | '\'', None) => quote = Some(c),
            ('{', None) => depth += 1,
            ('}', None) => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(at + 2 + n + 1);
        }
    }
    None
}
