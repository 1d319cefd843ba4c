//! What expressions do that goes well at first and wrong one day.

use std::collections::BTreeSet;

use jlens_core::Node;
use jlens_core::NodeKind;
use jlens_core::ast::BinaryOp;
use jlens_core::ast::Stage;
use jlens_core::stack::grow;

use crate::query::jsonata::outline::Root;
use crate::query::jsonata::outline::bound;
use crate::query::jsonata::outline::fields;

/// Functions whose list of one is given as that one.
const COLLAPSING: &[&str] = &["filter", "map"];

/// A value that an expression gives longer than it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Growth<'a> {
    /// Where in the expression's value: the names of the members that lead there.
    pub at: Vec<&'a str>,
    /// Where the old value comes from.
    pub root: Root<'a>,
    /// The names behind it.
    pub fields: Vec<&'a str>,
}

/// Returns what the expression adds to: `$x` of `$append($x, …)`, `[$x, …]` and `$x & …`.
pub(super) fn growths(root: &Node) -> Vec<Growth<'_>> {
    let mut names = BTreeSet::new();
    bound(root, &mut names);
    let mut seeker = Seeker {
        bound: names,
        found: Vec::new(),
    };
    seeker.seek(root, &[]);
    seeker.found
}

struct Seeker<'a> {
    bound: BTreeSet<&'a str>,
    found: Vec<Growth<'a>>,
}

impl<'a> Seeker<'a> {
    /// Looks at what becomes the value, not at what it is computed from.
    fn seek(&mut self, node: &'a Node, at: &[&'a str]) {
        grow(|| match &node.kind {
            NodeKind::Block { exprs, .. } => {
                if let Some(last) = exprs.last() {
                    self.seek(last, at);
                }
            }
            NodeKind::Condition { then, otherwise, .. } => {
                self.seek(then, at);
                otherwise.iter().for_each(|otherwise| self.seek(otherwise, at));
            }
            NodeKind::Fallback { lhs, rhs, .. } => {
                self.seek(lhs, at);
                self.seek(rhs, at);
            }
            NodeKind::Function { procedure, args } => match name_of(procedure) {
                Some("append") => self.all(args.iter(), at),
                Some("merge") => {
                    for arg in args {
                        if let NodeKind::Array { items } = &arg.kind {
                            items.iter().for_each(|item| self.seek(item, at));
                        }
                    }
                }
                _ => {}
            },
            NodeKind::Array { items } if 1 < items.len() => self.all(items.iter(), at),
            NodeKind::Binary {
                op: BinaryOp::Concat,
                lhs,
                rhs,
            } => self.all([&**lhs, &**rhs].into_iter(), at),
            NodeKind::Object { pairs } => {
                for (key, value) in pairs {
                    if let NodeKind::String { value: name } = &key.kind {
                        let at = [at, &[name.as_str()]].concat();
                        self.seek(value, &at);
                    }
                }
            }
            _ => {}
        });
    }

    fn all(&mut self, parts: impl Iterator<Item = &'a Node>, at: &[&'a str]) {
        for part in parts {
            match fields(part, &self.bound) {
                Some((root, fields, true)) => self.found.push(Growth {
                    at: at.to_vec(),
                    root,
                    fields,
                }),
                _ => self.seek(part, at),
            }
        }
    }
}

/// Tells whether the expression selects from a list, so that it gives a single value when just one is selected.
pub(super) fn may_collapse(node: &Node) -> bool {
    grow(|| {
        if node.attrs.keep_array {
            return false;
        }
        match &node.kind {
            NodeKind::Block { exprs, .. } => exprs.last().is_some_and(may_collapse),
            NodeKind::Condition { then, otherwise, .. } => {
                may_collapse(then) || otherwise.as_deref().is_some_and(may_collapse)
            }
            NodeKind::Path {
                steps,
                keep_singleton_array: false,
            } => {
                // The whole path may be filtered, or its last step; before it, a list in each of one is a list.
                let last = steps.last();
                selects(&node.attrs.predicate)
                    || last.is_some_and(|step| selects(&step.attrs.stages) || selects(&step.attrs.predicate))
            }
            NodeKind::Variable { .. } => selects(&node.attrs.predicate) || selects(&node.attrs.stages),
            NodeKind::Function { procedure, .. } | NodeKind::Partial { procedure, .. } => {
                name_of(procedure).is_some_and(|name| COLLAPSING.contains(&name))
            }
            NodeKind::Apply { rhs, .. } => may_collapse(rhs),
            _ => false,
        }
    })
}

/// Tells whether one of the filters is a condition, not a number.
fn selects(stages: &[Stage]) -> bool {
    let mut filters = stages.iter().filter_map(|stage| match stage {
        Stage::Filter { expr, .. } => Some(&expr.kind),
        Stage::Index { .. } => None,
    });
    filters.any(|kind| {
        matches!(
            kind,
            NodeKind::Binary {
                op: BinaryOp::And
                    | BinaryOp::Or
                    | BinaryOp::Eq
                    | BinaryOp::Ne
                    | BinaryOp::Lt
                    | BinaryOp::Le
                    | BinaryOp::Gt
                    | BinaryOp::Ge
                    | BinaryOp::In,
                ..
            }
        )
    })
}

/// Tells whether the expression calls a built-in function of that name, given without `$`.
pub(super) fn calls(root: &Node, function: &str) -> bool {
    let mut names = BTreeSet::new();
    bound(root, &mut names);
    !names.contains(function) && calls_in(root, function)
}

fn calls_in(node: &Node, function: &str) -> bool {
    grow(|| {
        let mut found = match &node.kind {
            NodeKind::Function { procedure, .. } => name_of(procedure) == Some(function),
            NodeKind::Apply { rhs, .. } => name_of(rhs) == Some(function),
            _ => false,
        };
        node.for_each_child(|child| found |= calls_in(child, function));
        found
    })
}

/// Returns how many numbers a list like `[1..500]` has.
pub(super) fn length(root: &Node) -> Option<u64> {
    let NodeKind::Array { items } = &root.kind else {
        return None;
    };
    let [
        Node {
            kind:
                NodeKind::Binary {
                    op: BinaryOp::Range,
                    lhs,
                    rhs,
                },
            ..
        },
    ] = items.as_slice()
    else {
        return None;
    };
    let (NodeKind::Number { value: first }, NodeKind::Number { value: last }) = (&lhs.kind, &rhs.kind) else {
        return None;
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates"
    )]
    let length = (last - first + 1.0) as u64;
    Some(length)
}

fn name_of(node: &Node) -> Option<&str> {
    match &node.kind {
        NodeKind::Variable { name } => Some(name),
        _ => None,
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
    fn what_becomes_longer_is_found() {
        for (text, expected) in [
            ("$append($l, $states.result.x)", "Variable(\"l\") ; Result x"),
            ("$append($append($l, 1), 2)", "Variable(\"l\") "),
            ("[$l, 1]", "Variable(\"l\") "),
            ("[$l]", ""),
            ("$t & ', ' & $states.input.n", "Variable(\"t\") ; Input n"),
            ("$count($append($l, 1))", ""),
            ("$states.input.more ? $append($l, 1) : $l", "Variable(\"l\") "),
            (
                "$merge([$states.input, {'l': $append($states.input.l, 1)}])",
                "l: Input l",
            ),
            ("($x := 1; $append($x, $l))", "Variable(\"l\") "),
        ] {
            let expression = parsed(text);
            let found = expression.growths().into_iter();
            let shown: Vec<String> = found
                .map(|growth| {
                    let at = growth.at.join(".");
                    let separator = if at.is_empty() { "" } else { ": " };
                    format!("{at}{separator}{:?} {}", growth.root, growth.fields.join("."))
                })
                .collect();
            assert_eq!(shown.join("; "), expected, "{text}");
        }
    }

    #[test]
    fn what_may_be_one_value_or_a_list_is_found() {
        for (text, expected) in [
            ("$states.input.l[a = 1]", true),
            ("$states.input.l[a > 1][]", false),
            ("[$states.input.l[a = 1]]", false),
            ("$append([], $states.input.l[a = 1])", false),
            ("$states.input.l[0]", false),
            ("$states.input.l", false),
            ("$l[a = 1]", true),
            ("$states.input.l[a = 1].rows", false),
            ("$filter($l, function($v) { $v.a = 1 })", true),
            ("$l ~> $map(function($v) { $v.a })", true),
            ("$states.input.x ? $l[a in $m] : []", true),
        ] {
            assert_eq!(parsed(text).may_collapse(), expected, "{text}");
        }
    }

    #[test]
    fn calls_and_lengths_are_found() {
        for (text, expected) in [
            ("$eval('1')", true),
            ("{'a': $x ~> $eval}", true),
            ("'$eval(1)'", false),
            ("($eval := function($x) { $x }; $eval(1))", false),
        ] {
            assert_eq!(parsed(text).calls("eval"), expected, "{text}");
        }
        for (text, expected) in [
            ("[1..500]", Some(500)),
            ("[5..1]", Some(0)),
            ("[1..$x]", None),
            ("[1]", None),
        ] {
            assert_eq!(parsed(text).length(), expected, "{text}");
        }
    }
}
