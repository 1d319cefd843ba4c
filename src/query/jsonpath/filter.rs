//! The tests of `[?(…)]`.

use std::borrow::Cow;
use std::cmp::Ordering;

use regex::Regex;
use serde_json::Value;

use crate::query::jsonpath::step::Steps;
use crate::query::jsonpath::walk::Walker;

/// A condition on one value.
#[derive(Clone, Debug)]
pub(super) enum Test {
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
    /// A path alone: there is something.
    Exists(Operand),
    Constant(bool),
    Compare(Operand, Operator, Operand),
}

/// One side of a comparison.
#[derive(Clone, Debug)]
pub(super) enum Operand {
    /// `$.a`
    Root(Steps),
    /// `@.a`
    Current(Steps),
    Literal(Value),
    /// `/re/i`; it matches whole texts.
    Pattern(Regex),
}

/// A relation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    All,
    AnyOf,
    Contains,
    Empty,
    Equal,
    Greater,
    GreaterOrEqual,
    In,
    Less,
    LessOrEqual,
    Matches,
    NoneOf,
    NotEqual,
    NotIn,
    Size,
    SubsetOf,
}

/// Longer ones first where one begins with the other.
pub(super) const SYMBOLS: [(&str, Operator); 9] = [
    ("===", Operator::Equal),
    ("!==", Operator::NotEqual),
    ("==", Operator::Equal),
    ("!=", Operator::NotEqual),
    ("<=", Operator::LessOrEqual),
    (">=", Operator::GreaterOrEqual),
    ("=~", Operator::Matches),
    ("<", Operator::Less),
    (">", Operator::Greater),
];

pub(super) const WORDS: [(&str, Operator); 9] = [
    ("all", Operator::All),
    ("anyof", Operator::AnyOf),
    ("contains", Operator::Contains),
    ("empty", Operator::Empty),
    ("in", Operator::In),
    ("nin", Operator::NotIn),
    ("noneof", Operator::NoneOf),
    ("size", Operator::Size),
    ("subsetof", Operator::SubsetOf),
];

impl Test {
    /// Tells whether `node` passes. The depth of the recursion is bounded by the parser.
    pub(super) fn accepts(&self, node: &Value, walker: &Walker<'_>) -> bool {
        match self {
            Self::All(tests) => tests.iter().all(|test| test.accepts(node, walker)),
            Self::Any(tests) => tests.iter().any(|test| test.accepts(node, walker)),
            Self::Not(test) => !test.accepts(node, walker),
            Self::Exists(operand) => operand.value(node, walker).is_some(),
            Self::Constant(answer) => *answer,
            Self::Compare(left, Operator::Matches, right) => matches(left, right, node, walker),
            Self::Compare(left, operator, right) => {
                let left = left.value(node, walker);
                let right = right.value(node, walker);
                compare(left.as_deref(), *operator, right.as_deref())
            }
        }
    }
}

impl Operand {
    /// The value, absent where a path finds nothing.
    fn value<'x>(&'x self, node: &'x Value, walker: &'x Walker<'_>) -> Option<Cow<'x, Value>> {
        match self {
            Self::Root(steps) => walker.select(steps, walker.root()).ok(),
            Self::Current(steps) => walker.select(steps, node).ok(),
            Self::Literal(value) => Some(Cow::Borrowed(value)),
            Self::Pattern(_) => None,
        }
    }
}

fn matches(left: &Operand, right: &Operand, node: &Value, walker: &Walker<'_>) -> bool {
    let ((Operand::Pattern(pattern), other) | (other, Operand::Pattern(pattern))) = (left, right) else {
        return false;
    };
    match other.value(node, walker).as_deref() {
        Some(Value::String(text)) => pattern.is_match(text),
        Some(value @ (Value::Number(_) | Value::Bool(_))) => pattern.is_match(&value.to_string()),
        _ => false,
    }
}

fn compare(left: Option<&Value>, operator: Operator, right: Option<&Value>) -> bool {
    let is_in = |list: Option<&Value>, item: Option<&Value>| {
        items(list).is_some_and(|list| list.iter().any(|each| equal(Some(each), item)))
    };
    // Every element of the one list is in the other.
    let within = |small: Option<&Value>, large: Option<&Value>| {
        items(small).is_some_and(|small| items(large).is_some() && small.iter().all(|each| is_in(large, Some(each))))
    };
    match operator {
        Operator::Equal => equal(left, right),
        Operator::NotEqual => !equal(left, right),
        Operator::Less => order(left, right) == Some(Ordering::Less),
        Operator::LessOrEqual => order(left, right).is_some_and(Ordering::is_le),
        Operator::Greater => order(left, right) == Some(Ordering::Greater),
        Operator::GreaterOrEqual => order(left, right).is_some_and(Ordering::is_ge),
        Operator::In => is_in(right, left),
        Operator::NotIn => !is_in(right, left),
        Operator::Contains => match (left, right) {
            (Some(Value::String(text)), Some(Value::String(part))) => text.contains(part.as_str()),
            _ => is_in(left, right),
        },
        Operator::SubsetOf => within(left, right),
        Operator::All => within(right, left),
        Operator::AnyOf => items(left).is_some_and(|list| list.iter().any(|each| is_in(right, Some(each)))),
        Operator::NoneOf => items(left).is_some_and(|list| !list.iter().any(|each| is_in(right, Some(each)))),
        Operator::Size => length(left).is_some_and(|n| right.and_then(Value::as_u64) == Some(n as u64)),
        Operator::Empty => length(left).is_some_and(|n| right.and_then(Value::as_bool) == Some(n == 0)),
        Operator::Matches => false,
    }
}

/// Jayway compares a text with a number by what the left side is.
fn equal(left: Option<&Value>, right: Option<&Value>) -> bool {
    match (left, right) {
        (Some(Value::Number(left)), Some(Value::Number(right))) => {
            left == right || (left.is_f64() || right.is_f64()) && left.as_f64() == right.as_f64()
        }
        (Some(Value::Number(left)), Some(Value::String(right))) => {
            right.parse::<f64>().is_ok_and(|right| left.as_f64() == Some(right))
        }
        (Some(Value::String(left)), Some(Value::Number(right))) => *left == right.to_string(),
        (Some(left), Some(right)) => left == right,
        _ => false,
    }
}

fn order(left: Option<&Value>, right: Option<&Value>) -> Option<Ordering> {
    match (left?, right?) {
        (Value::Number(left), Value::Number(right)) => match (left.as_i64(), right.as_i64()) {
            (Some(left), Some(right)) => Some(left.cmp(&right)),
            _ => left.as_f64()?.partial_cmp(&right.as_f64()?),
        },
        (Value::String(left), Value::String(right)) => Some(left.encode_utf16().cmp(right.encode_utf16())),
        _ => None,
    }
}

fn items(value: Option<&Value>) -> Option<&[Value]> {
    value.and_then(Value::as_array).map(Vec::as_slice)
}

fn length(value: Option<&Value>) -> Option<usize> {
    match value? {
        Value::String(text) => Some(text.encode_utf16().count()),
        Value::Array(items) => Some(items.len()),
        Value::Object(members) => Some(members.len()),
        _ => None,
    }
}
