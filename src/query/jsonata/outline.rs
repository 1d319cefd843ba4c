//! What an expression reads and what its value looks like, before it runs.

use std::collections::BTreeSet;

use jlens_core::Node;
use jlens_core::NodeKind;
use jlens_core::ast::Attrs;
use jlens_core::ast::BinaryOp;
use jlens_core::ast::Stage;
use jlens_core::stack::grow;
use serde_json::Value;

use crate::query::jsonata::result;

/// How deep an outline nests; below, nothing is known.
const DEPTH_MAX: usize = 40;

/// Functions that take an argument that does not exist.
const TOLERANT: &[&str] = &["append", "boolean", "count", "exists", "merge", "not", "type"];

/// Where a value that an expression reads comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Root<'a> {
    /// `$states.context`
    Context,
    /// `$states.errorOutput`
    ErrorOutput,
    /// `$states.input`
    Input,
    /// `$states.result`
    Result,
    /// `$name`
    Variable(&'a str),
}

/// What is known of the value of an expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Outline<'a> {
    /// A list of these; what does not exist is left out.
    Array(Vec<Self>),
    /// One of these.
    Either(Vec<Self>),
    /// The member at the end of these names, or nothing.
    Fields(Root<'a>, Vec<&'a str>),
    /// All of it.
    Known(Value),
    /// An object with the members of all of these; the last one wins.
    Merged(Vec<Self>),
    /// A number.
    Number,
    /// An object with these members; what does not exist is left out.
    Object(Vec<(&'a str, Self)>),
    /// A text.
    Text,
    /// True or false.
    Truth,
    /// Nothing.
    Unknown,
}

/// What happens when a member that is read does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// The expression asks whether it exists.
    Guarded,
    /// The result may differ.
    Wanted,
    /// The whole expression gives nothing, and the state fails.
    Required,
}

/// A member that an expression reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read<'a> {
    /// Where it begins.
    pub root: Root<'a>,
    /// The names behind it, as far as they are plain.
    pub fields: Vec<&'a str>,
    /// What happens when it does not exist.
    pub need: Need,
}

/// Returns what the expression reads, in the order of the text.
pub(super) fn reads(root: &Node) -> Vec<Read<'_>> {
    let mut reader = Reader::default();
    bound(root, &mut reader.bound);
    reader.read(root, Need::Required);
    let guarded: Vec<(Root<'_>, Vec<&str>)> = reader
        .reads
        .iter()
        .filter(|read| read.need == Need::Guarded)
        .map(|read| (read.root, read.fields.clone()))
        .collect();
    for read in &mut reader.reads {
        let asked = |(root, fields): &(Root<'_>, Vec<&str>)| *root == read.root && read.fields.starts_with(fields);
        if guarded.iter().any(asked) {
            read.need = Need::Guarded;
        }
    }
    reader.reads
}

/// Returns what is known of the expression's value.
pub(super) fn outline(root: &Node) -> Outline<'_> {
    let mut names = BTreeSet::new();
    bound(root, &mut names);
    outline_of(root, &names, 0)
}

/// Collects the names that the expression itself binds anywhere.
pub(super) fn bound<'a>(node: &'a Node, names: &mut BTreeSet<&'a str>) {
    grow(|| {
        match &node.kind {
            NodeKind::Bind { lhs, .. } => {
                if let NodeKind::Variable { name } = &lhs.kind {
                    names.insert(name);
                }
            }
            NodeKind::Lambda(lambda) => names.extend(lambda.params.iter().map(String::as_str)),
            _ => {}
        }
        let attributes = &node.attrs;
        names.extend(
            [&attributes.focus, &attributes.index]
                .into_iter()
                .flatten()
                .map(String::as_str),
        );
        for stage in &attributes.stages {
            if let Stage::Index { var, .. } = stage {
                names.insert(var);
            }
        }
        node.for_each_child(|child| bound(child, names));
    });
}

fn is_plain(attributes: &Attrs) -> bool {
    !attributes.keep_array
        && !attributes.tuple
        && attributes.stages.is_empty()
        && attributes.predicate.is_empty()
        && attributes.group.is_none()
}

/// Takes a path apart; the flag tells whether the names are all of it.
pub(super) fn fields<'a>(node: &'a Node, bound: &BTreeSet<&str>) -> Option<(Root<'a>, Vec<&'a str>, bool)> {
    let single = std::slice::from_ref(node);
    let (steps, keeps_array) = match &node.kind {
        NodeKind::Path {
            steps,
            keep_singleton_array,
        } => (steps.as_slice(), *keep_singleton_array),
        NodeKind::Variable { .. } => (single, false),
        _ => return None,
    };
    let (first, rest) = steps.split_first()?;
    let NodeKind::Variable { name } = &first.kind else {
        return None;
    };
    let mut whole = is_plain(&first.attrs) && is_plain(&node.attrs) && !keeps_array;
    let mut names = Vec::new();
    if is_plain(&first.attrs) {
        for step in rest {
            let NodeKind::Name { name } = &step.kind else {
                whole = false;
                break;
            };
            names.push(name.as_str());
            if !is_plain(&step.attrs) {
                whole = false;
                break;
            }
        }
    }
    let root = match name.as_str() {
        "states" => {
            let member = (!names.is_empty()).then(|| names.remove(0))?;
            match member {
                "context" => Root::Context,
                "errorOutput" => Root::ErrorOutput,
                "input" => Root::Input,
                "result" => Root::Result,
                _ => return None,
            }
        }
        "" | "$" => return None,
        name if name.starts_with('!') || bound.contains(name) => return None,
        name => Root::Variable(name),
    };
    Some((root, names, whole))
}

#[derive(Default)]
struct Reader<'a> {
    bound: BTreeSet<&'a str>,
    reads: Vec<Read<'a>>,
}

impl<'a> Reader<'a> {
    fn read(&mut self, node: &'a Node, need: Need) {
        grow(|| self.read_node(node, need));
    }

    fn read_node(&mut self, node: &'a Node, need: Need) {
        let within = need.min(Need::Wanted);
        match &node.kind {
            NodeKind::Variable { .. } | NodeKind::Path { .. } => self.path(node, need),
            NodeKind::Negate { expr } => self.read(expr, need),
            NodeKind::Binary { op, lhs, rhs } => {
                let need = match op {
                    BinaryOp::And | BinaryOp::Or => Need::Guarded,
                    BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul | BinaryOp::Div | BinaryOp::Mod => need,
                    _ => within,
                };
                self.read(lhs, need);
                self.read(rhs, need);
            }
            NodeKind::Condition {
                condition,
                then,
                otherwise,
            } => {
                self.read(condition, Need::Guarded);
                self.read(then, within);
                if let Some(otherwise) = otherwise {
                    self.read(otherwise, within);
                }
            }
            NodeKind::Fallback { lhs, rhs, .. } => {
                self.read(lhs, Need::Guarded);
                self.read(rhs, within);
            }
            NodeKind::Block { exprs, .. } => {
                if let Some((last, before)) = exprs.split_last() {
                    for expr in before {
                        self.read(expr, within);
                    }
                    self.read(last, need);
                }
            }
            NodeKind::Function { procedure, args } | NodeKind::Partial { procedure, args } => {
                let tolerant = match &procedure.kind {
                    NodeKind::Variable { name } => TOLERANT.contains(&name.as_str()),
                    _ => {
                        self.read(procedure, within);
                        false
                    }
                };
                for arg in args {
                    let is_function =
                        matches!(&arg.kind, NodeKind::Variable { name } if super::functions::is_function(name));
                    if !is_function {
                        self.read(arg, if tolerant { Need::Guarded } else { within });
                    }
                }
            }
            NodeKind::Apply { lhs, rhs } => {
                self.read(lhs, within);
                if !matches!(rhs.kind, NodeKind::Variable { .. }) {
                    self.read(rhs, within);
                }
            }
            // An object is there even if its members are not.
            NodeKind::Object { .. } => node.for_each_child(|child| self.read(child, Need::Wanted)),
            _ => node.for_each_child(|child| self.read(child, within)),
        }
        if !matches!(node.kind, NodeKind::Path { .. } | NodeKind::Variable { .. }) {
            self.attributes(node);
        }
    }

    fn path(&mut self, node: &'a Node, need: Need) {
        if let Some((root, fields, _)) = fields(node, &self.bound) {
            self.reads.push(Read { root, fields, need });
        }
        self.attributes(node);
        if let NodeKind::Path { steps, .. } = &node.kind {
            for (index, step) in steps.iter().enumerate() {
                match &step.kind {
                    NodeKind::Variable { .. } if index == 0 => self.attributes(step),
                    NodeKind::Name { .. } => self.attributes(step),
                    _ => self.read(step, need.min(Need::Wanted)),
                }
            }
        }
    }

    fn attributes(&mut self, node: &'a Node) {
        let attributes = &node.attrs;
        for stage in attributes.stages.iter().chain(&attributes.predicate) {
            if let Stage::Filter { expr, .. } = stage {
                self.read(expr, Need::Guarded);
            }
        }
        if let Some(group) = &attributes.group {
            for (key, value) in &group.pairs {
                self.read(key, Need::Wanted);
                self.read(value, Need::Wanted);
            }
        }
    }
}

fn outline_of<'a>(node: &'a Node, bound: &BTreeSet<&str>, depth: usize) -> Outline<'a> {
    if DEPTH_MAX < depth {
        return Outline::Unknown;
    }
    let next = |node: &'a Node| outline_of(node, bound, depth + 1);
    if let Some((root, fields, true)) = fields(node, bound) {
        return Outline::Fields(root, fields);
    }
    if !is_plain(&node.attrs) {
        return Outline::Unknown;
    }
    match &node.kind {
        NodeKind::String { value } => Outline::Known(Value::from(value.as_str())),
        NodeKind::Number { value } => Outline::Known(result::number(*value)),
        NodeKind::Bool { value } => Outline::Known(Value::Bool(*value)),
        NodeKind::Null => Outline::Known(Value::Null),
        NodeKind::Array { items } => {
            let is_range = |item: &Node| {
                matches!(
                    item.kind,
                    NodeKind::Binary {
                        op: BinaryOp::Range,
                        ..
                    }
                )
            };
            match items.iter().any(is_range) {
                true => Outline::Unknown,
                false => Outline::Array(items.iter().map(next).collect()),
            }
        }
        NodeKind::Object { pairs } => {
            let mut members = Vec::new();
            for (key, value) in pairs {
                let NodeKind::String { value: name } = &key.kind else {
                    return Outline::Unknown;
                };
                members.push((name.as_str(), next(value)));
            }
            Outline::Object(members)
        }
        NodeKind::Block { exprs, .. } => match exprs.as_slice() {
            [only] => next(only),
            _ => Outline::Unknown,
        },
        NodeKind::Condition {
            then,
            otherwise: Some(otherwise),
            ..
        } => Outline::Either(vec![next(then), next(otherwise)]),
        NodeKind::Binary { op, lhs, rhs } => match op {
            BinaryOp::Concat => Outline::Text,
            BinaryOp::And | BinaryOp::Or | BinaryOp::Eq | BinaryOp::Ne | BinaryOp::In => Outline::Truth,
            BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul | BinaryOp::Div | BinaryOp::Mod => {
                // What does not exist makes the sum not exist.
                let is_number = |node| matches!(next(node), Outline::Known(_) | Outline::Number);
                match is_number(lhs) && is_number(rhs) {
                    true => Outline::Number,
                    false => Outline::Unknown,
                }
            }
            _ => Outline::Unknown,
        },
        NodeKind::Function { procedure, args } => match (&procedure.kind, args.as_slice()) {
            (NodeKind::Variable { name }, [list]) if name == "merge" && !bound.contains("merge") => match next(list) {
                Outline::Array(parts) => Outline::Merged(parts),
                _ => Outline::Unknown,
            },
            (NodeKind::Variable { name }, _) if !bound.contains(name.as_str()) => match name.as_str() {
                "count" => Outline::Number,
                "exists" => Outline::Truth,
                "now" | "uuid" => Outline::Text,
                "millis" | "random" => Outline::Number,
                _ => Outline::Unknown,
            },
            _ => Outline::Unknown,
        },
        _ => Outline::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use crate::query::jsonata::expression::Expression;
    use crate::query::jsonata::expression::FieldScope;

    fn parsed(text: &str) -> Expression {
        Expression::parse(&format!("{{% {text} %}}"), FieldScope::Result).unwrap_or_else(|error| panic!("{error:?}"))
    }

    #[test]
    fn reads_know_what_they_need() {
        for (text, expected) in [
            ("$states.input.a.b", "Input a.b Required"),
            ("$states.input.a + $x", "Input a Required; Variable(\"x\")  Required"),
            ("'a' & $states.input.a", "Input a Wanted"),
            (
                "$exists($states.input.a) ? $states.input.a.b : 0",
                "Input a Guarded; Input a.b Guarded",
            ),
            (
                "$states.result.l[id = $x].n",
                "Result l Required; Variable(\"x\")  Guarded",
            ),
            (
                "($y := $states.input.a; $y.b + $x)",
                "Input a Wanted; Variable(\"x\")  Required",
            ),
            (
                "$map($states.input.l, function($v) { $v.a + $x })",
                "Input l Wanted; Variable(\"x\")  Wanted",
            ),
            ("{'a': $states.context.Execution.Id}", "Context Execution.Id Wanted"),
            ("$states.input", "Input  Required"),
            ("$map($states.input.l, $string)", "Input l Wanted"),
            (
                "$states.input.flag and $states.input.n > 1",
                "Input flag Guarded; Input n Guarded",
            ),
        ] {
            let expression = parsed(text);
            let reads = expression.reads().into_iter();
            let shown: Vec<String> = reads
                .map(|read| format!("{:?} {} {:?}", read.root, read.fields.join("."), read.need))
                .collect();
            assert_eq!(shown.join("; "), expected, "{text}");
        }
    }

    #[test]
    fn outlines_know_what_is_written() {
        for (text, expected) in [
            ("$states.input.a", "Fields(Input, [\"a\"])"),
            ("$states.input.a[0]", "Unknown"),
            (
                "{'a': 1, 'b': $x}",
                "Object([(\"a\", Known(Number(1))), (\"b\", Fields(Variable(\"x\"), []))])",
            ),
            (
                "$merge([$states.input, {'a': 'b'}])",
                "Merged([Fields(Input, []), Object([(\"a\", Known(String(\"b\")))])])",
            ),
            ("'a' & $x", "Text"),
            ("$x = 1 ? 'a' : 2", "Either([Known(String(\"a\")), Known(Number(2))])"),
            ("[1..3]", "Unknown"),
            ("$x ~> $sum", "Unknown"),
        ] {
            assert_eq!(format!("{:?}", parsed(text).outline()), expected, "{text}");
        }
    }
}
