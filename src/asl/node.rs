//! The tree that both readers make: JSON values that know where they stand.

use serde_json::Map;
use serde_json::Number;
use serde_json::Value;

use crate::model::span::Span;

/// Deepest nesting of objects and arrays that is read.
pub(crate) const DEPTH_MAX: usize = 512;
/// Most values that a text may have once its YAML aliases are expanded.
pub(crate) const NODES_MAX: usize = 1_000_000;

/// A value and its place.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) kind: Kind,
}

/// What a value is.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Array(Vec<Node>),
    Bool(bool),
    Null,
    Number(Number),
    Object(Vec<Member>),
    /// A text with a placeholder that stays open; the text is a stand-in.
    Open(String),
    /// `${Name}` outside quotes: any value once it is filled.
    Placeholder(String),
    String(String),
}

/// One member of an object.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) key: String,
    pub(crate) key_span: Span,
    pub(crate) value: Node,
}

impl Node {
    /// Returns the text of a string.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::String(text) | Kind::Open(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the value of a member.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        self.members()
            .iter()
            .find(|member| member.key == key)
            .map(|member| &member.value)
    }

    /// Returns the members of an object; nothing for other kinds.
    pub(crate) fn members(&self) -> &[Member] {
        match &self.kind {
            Kind::Object(members) => members,
            _ => &[],
        }
    }

    /// Returns the elements of an array; nothing for other kinds.
    pub(crate) fn elements(&self) -> &[Self] {
        match &self.kind {
            Kind::Array(elements) => elements,
            _ => &[],
        }
    }

    /// Follows a location such as `/a/b[0]` as far as it goes.
    pub(crate) fn follow(&self, location: &str) -> &Self {
        let mut node = self;
        for step in location.split('/').skip(1) {
            let (key, mut indexes) = match step.find('[') {
                Some(at) if node.get(step).is_none() => step.split_at(at),
                _ => (step, ""),
            };
            if !key.is_empty() {
                let Some(next) = node.get(key) else {
                    return node;
                };
                node = next;
            }
            while let Some((index, rest)) = indexes.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
                let Some(next) = index.parse::<usize>().ok().and_then(|index| node.elements().get(index)) else {
                    return node;
                };
                node = next;
                indexes = rest;
            }
        }
        node
    }

    /// Tells whether a placeholder without a value is in it.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.kind, Kind::Open(_))
    }

    /// Returns the plain value. The depth is bounded by the readers.
    pub(crate) fn to_value(&self) -> Value {
        match &self.kind {
            Kind::Array(elements) => Value::Array(elements.iter().map(Self::to_value).collect()),
            Kind::Bool(value) => Value::Bool(*value),
            Kind::Null => Value::Null,
            Kind::Number(number) => Value::Number(number.clone()),
            Kind::Object(members) => {
                let mut map = Map::with_capacity(members.len());
                for member in members {
                    map.insert(member.key.clone(), member.value.to_value());
                }
                Value::Object(map)
            }
            Kind::Open(text) | Kind::String(text) => Value::String(text.clone()),
            Kind::Placeholder(name) => Value::String(format!("${{{name}}}")),
        }
    }
}

/// Why the builder refuses a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Duplicate(String),
    TooDeep,
    TooMany,
}

/// Puts a tree together from a reader's events, without recursion.
#[derive(Default)]
pub(crate) struct Builder {
    stack: Vec<Frame>,
    done: Option<Node>,
    n_nodes: usize,
}

struct Frame {
    node: Node,
    key: Option<(String, Span)>,
    keys: std::collections::BTreeSet<String>,
}

impl Builder {
    /// Opens an object or array.
    pub(crate) fn open(&mut self, span: Span, is_object: bool) -> Result<(), Refusal> {
        if self.stack.len() >= DEPTH_MAX {
            return Err(Refusal::TooDeep);
        }
        let kind = if is_object {
            Kind::Object(Vec::new())
        } else {
            Kind::Array(Vec::new())
        };
        self.stack.push(Frame {
            node: Node { span, kind },
            key: None,
            keys: std::collections::BTreeSet::new(),
        });
        Ok(())
    }

    /// Names the next value of the open object.
    pub(crate) fn key(&mut self, key: String, span: Span) -> Result<(), Refusal> {
        if let Some(frame) = self.stack.last_mut() {
            if !frame.keys.insert(key.clone()) {
                return Err(Refusal::Duplicate(key));
            }
            frame.key = Some((key, span));
        }
        Ok(())
    }

    /// Adds a finished value.
    pub(crate) fn value(&mut self, node: Node) -> Result<(), Refusal> {
        self.n_nodes += 1;
        if self.n_nodes > NODES_MAX {
            return Err(Refusal::TooMany);
        }
        let Some(frame) = self.stack.last_mut() else {
            self.done = Some(node);
            return Ok(());
        };
        match &mut frame.node.kind {
            Kind::Array(elements) => elements.push(node),
            Kind::Object(members) => {
                if let Some((key, key_span)) = frame.key.take() {
                    members.push(Member {
                        key,
                        key_span,
                        value: node,
                    });
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Ends the innermost object or array at byte `end` and hands it out; `value` puts it in its place.
    pub(crate) fn close(&mut self, end: u32) -> Option<Node> {
        let mut frame = self.stack.pop()?;
        frame.node.span.end = end;
        Some(frame.node)
    }

    /// Returns how many objects and arrays are open.
    pub(crate) fn depth(&self) -> usize {
        self.stack.len()
    }

    /// Tells whether the innermost open value is an object that waits for a key.
    pub(crate) fn wants_key(&self) -> bool {
        self.stack
            .last()
            .is_some_and(|frame| matches!(frame.node.kind, Kind::Object(_)) && frame.key.is_none())
    }

    /// Returns the innermost open value: its place, and whether it is an object.
    pub(crate) fn innermost(&self) -> Option<(Span, bool)> {
        self.stack
            .last()
            .map(|frame| (frame.node.span, matches!(frame.node.kind, Kind::Object(_))))
    }

    /// Returns the whole tree once everything is closed.
    pub(crate) fn finish(self) -> Option<Node> {
        if self.stack.is_empty() { self.done } else { None }
    }
}
