//! Small expressions, answered without the engine.
//!
//! A `Quick` knows the plain course only: fields of objects, numbers that stay finite, scalars of one type. Wherever
//! something else comes along it gives up, and the engine decides. What it passes on is the payload's own value.

use std::borrow::Cow;
use std::collections::BTreeSet;

use jlens_core::Node;
use jlens_core::NodeKind;
use jlens_core::ast::Attrs;
use jlens_core::ast::BinaryOp;
use jlens_core::stack::grow;
use serde_json::Map;
use serde_json::Value;

use crate::model::payload::Payload;
use crate::query::env::Env;
use crate::query::jsonata::limits;
use crate::query::jsonata::result;

/// Whole numbers up to here are printed digit by digit.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// The most variables of a small expression.
const VARIABLES: usize = 16;

/// A small expression.
pub(super) struct Quick {
    root: Part,
    variables: Vec<Box<str>>,
}

enum Part {
    Literal(Value),
    Path(Root, Vec<Box<str>>),
    Binary(BinaryOp, Box<(Self, Self)>),
    Choice(Box<(Self, Self, Self)>),
    /// Items, and whether each is itself written as an array.
    Array(Vec<(Self, bool)>),
    Object(Vec<(Box<str>, Self)>),
}

/// Where a path starts.
#[derive(Clone, Copy)]
enum Root {
    Input,
    Result,
    ErrorOutput,
    Context,
    /// A variable, by its place in `Quick::variables`.
    Variable(usize),
}

/// What a part gives: a value of a payload, or one of its own.
type Given<'a> = Cow<'a, Value>;

impl Quick {
    /// Compiles an expression, if it is small enough.
    pub(super) fn compile(root: &Node) -> Option<Self> {
        let mut variables = Vec::new();
        let root = Part::compile(root, &mut variables)?;
        Some(Self { root, variables })
    }

    /// Returns the whole payload that the expression names, if that is all it does.
    pub(super) fn payload(&self, env: &Env<'_>) -> Option<Payload> {
        match &self.root {
            Part::Path(root, fields) if fields.is_empty() => match root {
                Root::Input => Some(env.input.clone()),
                Root::Result => env.result.clone(),
                Root::ErrorOutput => env.error_output.clone(),
                Root::Context => Some(env.context.get().clone()),
                Root::Variable(index) => env.variables.get(self.variables.get(*index)?),
            },
            _ => None,
        }
    }

    /// Evaluates, or gives up.
    pub(super) fn evaluate(&self, env: &Env<'_>) -> Option<Value> {
        let mut held = Vec::with_capacity(self.variables.len());
        for name in &self.variables {
            held.push(env.variables.get(name)?);
        }
        self.root.evaluate(env, &held).map(Cow::into_owned)
    }
}

/// Whether nothing hangs on a node but its kind.
fn is_plain(node: &Node) -> bool {
    let Attrs {
        keep_array,
        tuple,
        focus,
        index,
        stages,
        predicate,
        group,
        ancestor,
        ancestor_label,
        seeking_parent,
        ..
    } = &node.attrs;
    !keep_array
        && !tuple
        && focus.is_none()
        && index.is_none()
        && stages.is_empty()
        && predicate.is_empty()
        && group.is_none()
        && ancestor.is_none()
        && ancestor_label.is_none()
        && seeking_parent.is_empty()
}

impl Part {
    fn compile(node: &Node, variables: &mut Vec<Box<str>>) -> Option<Self> {
        grow(|| Self::compile_plain(node, variables))
    }

    fn compile_plain(node: &Node, variables: &mut Vec<Box<str>>) -> Option<Self> {
        if !is_plain(node) {
            return None;
        }
        Some(match &node.kind {
            NodeKind::String { value } => Self::Literal(Value::from(value.as_str())),
            NodeKind::Number { value } => Self::Literal(result::number(*value)),
            NodeKind::Bool { value } => Self::Literal(Value::Bool(*value)),
            NodeKind::Null => Self::Literal(Value::Null),
            NodeKind::Block { exprs, .. } => match exprs.as_slice() {
                [only] => Self::compile(only, variables)?,
                _ => return None,
            },
            NodeKind::Variable { name } => Self::path(name, &[], variables)?,
            NodeKind::Path {
                steps,
                keep_singleton_array: false,
            } => {
                let (first, fields) = steps.split_first()?;
                match &first.kind {
                    NodeKind::Variable { name } if is_plain(first) => Self::path(name, fields, variables)?,
                    _ => return None,
                }
            }
            NodeKind::Binary { op, lhs, rhs } => {
                if matches!(op, BinaryOp::In | BinaryOp::Range) {
                    return None;
                }
                Self::Binary(
                    *op,
                    Box::new((Self::compile(lhs, variables)?, Self::compile(rhs, variables)?)),
                )
            }
            NodeKind::Array { items } => {
                let mut parts = Vec::with_capacity(items.len());
                for item in items {
                    parts.push((
                        Self::compile(item, variables)?,
                        matches!(item.kind, NodeKind::Array { .. }),
                    ));
                }
                Self::Array(parts)
            }
            NodeKind::Object { pairs } => {
                let mut names = BTreeSet::new();
                let mut fields = Vec::with_capacity(pairs.len());
                for (key, value) in pairs {
                    match &key.kind {
                        NodeKind::String { value: name } if is_plain(key) && names.insert(name) => {
                            fields.push((Box::from(name.as_str()), Self::compile(value, variables)?));
                        }
                        _ => return None,
                    }
                }
                Self::Object(fields)
            }
            NodeKind::Condition {
                condition,
                then,
                otherwise: Some(otherwise),
            } => Self::Choice(Box::new((
                Self::compile(condition, variables)?,
                Self::compile(then, variables)?,
                Self::compile(otherwise, variables)?,
            ))),
            _ => return None,
        })
    }

    fn path(name: &str, steps: &[Node], variables: &mut Vec<Box<str>>) -> Option<Self> {
        let mut fields = Vec::with_capacity(steps.len());
        for step in steps {
            match &step.kind {
                NodeKind::Name { name } if is_plain(step) => fields.push(Box::from(name.as_str())),
                _ => return None,
            }
        }
        let root = match name {
            "" | "$" => return None,
            "states" => {
                if fields.is_empty() {
                    return None;
                }
                match &*fields.remove(0) {
                    "input" => Root::Input,
                    "result" => Root::Result,
                    "errorOutput" => Root::ErrorOutput,
                    "context" => Root::Context,
                    _ => return None,
                }
            }
            name => {
                let known = variables.iter().position(|known| **known == *name);
                if known.is_none() && variables.len() == VARIABLES {
                    return None;
                }
                Root::Variable(known.unwrap_or_else(|| {
                    variables.push(Box::from(name));
                    variables.len() - 1
                }))
            }
        };
        Some(Self::Path(root, fields))
    }

    fn evaluate<'a>(&'a self, env: &'a Env<'_>, held: &'a [Payload]) -> Option<Given<'a>> {
        match self {
            Self::Literal(value) => Some(Cow::Borrowed(value)),
            Self::Path(root, fields) => {
                let mut value = match root {
                    Root::Input => env.input.value(),
                    Root::Result => env.result.as_ref()?.value(),
                    Root::ErrorOutput => env.error_output.as_ref()?.value(),
                    Root::Context => env.context.get().value(),
                    Root::Variable(index) => held.get(*index)?.value(),
                };
                for field in fields {
                    value = value.as_object()?.get(&**field)?;
                }
                Some(Cow::Borrowed(value))
            }
            Self::Binary(op, sides) => {
                let left = sides.0.evaluate(env, held)?;
                match (op, &*left) {
                    (BinaryOp::And, Value::Bool(false)) | (BinaryOp::Or, Value::Bool(true)) => return Some(left),
                    _ => {}
                }
                let right = sides.1.evaluate(env, held)?;
                combine(*op, &left, &right).map(Cow::Owned)
            }
            Self::Choice(parts) => match *parts.0.evaluate(env, held)? {
                Value::Bool(true) => parts.1.evaluate(env, held),
                Value::Bool(false) => parts.2.evaluate(env, held),
                _ => None,
            },
            Self::Array(items) => {
                let mut values = Vec::with_capacity(items.len());
                for (item, is_written) in items {
                    match item.evaluate(env, held)?.into_owned() {
                        // What is not written as an array is flattened.
                        Value::Array(inner) if !is_written => values.extend(inner),
                        value => values.push(value),
                    }
                }
                (values.len() <= limits::ITEMS).then(|| Cow::Owned(Value::Array(values)))
            }
            Self::Object(fields) => {
                let mut object = Map::with_capacity(fields.len());
                for (name, field) in fields {
                    object.insert(name.to_string(), field.evaluate(env, held)?.into_owned());
                }
                Some(Cow::Owned(Value::Object(object)))
            }
        }
    }
}

/// Applies an operator to two values of the plain course.
fn combine(op: BinaryOp, left: &Value, right: &Value) -> Option<Value> {
    use BinaryOp::*;
    match op {
        Add | Sub | Mul | Div | Mod => {
            let (left, right) = (left.as_f64()?, right.as_f64()?);
            let value = match op {
                Add => left + right,
                Sub => left - right,
                Mul => left * right,
                Div => left / right,
                _ => left % right,
            };
            value.is_finite().then(|| result::number(value))
        }
        Eq => same(left, right).map(Value::Bool),
        Ne => same(left, right).map(|same| Value::Bool(!same)),
        Lt | Le | Gt | Ge => {
            let order = match (left, right) {
                (Value::Number(left), Value::Number(right)) => left.as_f64()?.partial_cmp(&right.as_f64()?)?,
                // JavaScript compares UTF-16 units, which only for some texts is the order of bytes.
                (Value::String(left), Value::String(right)) if left.is_ascii() && right.is_ascii() => left.cmp(right),
                _ => return None,
            };
            Some(Value::Bool(match op {
                Lt => order.is_lt(),
                Le => order.is_le(),
                Gt => order.is_gt(),
                _ => order.is_ge(),
            }))
        }
        And | Or => match (left, right) {
            (Value::Bool(_), Value::Bool(right)) => Some(Value::Bool(*right)),
            _ => None,
        },
        Concat => {
            let mut text = String::new();
            for side in [left, right] {
                match side {
                    Value::String(side) => text.push_str(side),
                    Value::Number(number) => {
                        let number = number.as_f64()?;
                        if number.fract() != 0.0 || number.abs() > EXACT {
                            return None;
                        }
                        text.push_str(&(number as i64).to_string());
                    }
                    _ => return None,
                }
            }
            (text.len() <= 1 << 16).then_some(Value::String(text))
        }
        In | Range => None,
    }
}

/// Tells whether two scalars are equal; gives up on arrays and objects.
fn same(left: &Value, right: &Value) -> Option<bool> {
    match (left, right) {
        (Value::Array(_) | Value::Object(_), _) | (_, Value::Array(_) | Value::Object(_)) => None,
        (Value::Number(left), Value::Number(right)) => Some(left.as_f64()? == right.as_f64()?),
        (left, right) => Some(left == right),
    }
}
