//! The tests of `[?(…)]`.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::mem::discriminant;

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
    NotSame,
    Same,
    Size,
    SubsetOf,
}

/// Longer ones first where one begins with the other.
pub(super) const SYMBOLS: [(&str, Operator); 9] = [
    ("===", Operator::Same),
    ("!==", Operator::NotSame),
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
        self.judge(node, walker).unwrap_or(false)
    }

    fn judge(&self, node: &Value, walker: &Walker<'_>) -> Result<bool, Unfit> {
        match self {
            Self::All(tests) => {
                for test in tests {
                    if !test.judge(node, walker)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Self::Any(tests) => {
                for test in tests {
                    if test.judge(node, walker)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Self::Not(test) => Ok(!test.judge(node, walker)?),
            // Jayway starts from the value here even where the path says `$`.
            Self::Exists(Operand::Root(steps) | Operand::Current(steps)) => Ok(walker.exists(steps, node)),
            Self::Exists(_) => Ok(false),
            Self::Compare(left, Operator::Matches, right) => Ok(matches(left, right, node, walker)),
            // Jayway compares the text of this literal.
            Self::Compare(Operand::Literal(Value::Array(_) | Value::Object(_)), operator, _)
                if operator.is_equality() =>
            {
                Ok(!operator.is_positive())
            }
            Self::Compare(left, operator, right) => {
                let left = left.value(node, walker);
                let right = right.value(node, walker);
                compare(left.as_deref(), *operator, right.as_deref())
            }
        }
    }
}

/// An operator met a kind of value that Jayway throws at: the whole filter holds no longer, whatever `!` or `||`
/// would make of it.
struct Unfit;

impl Operator {
    fn is_equality(self) -> bool {
        matches!(self, Self::Equal | Self::NotEqual | Self::NotSame | Self::Same)
    }

    fn is_positive(self) -> bool {
        matches!(self, Self::Equal | Self::Same)
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

/// A list matches when one of its elements does; what has no text is matched as an empty one.
fn matches(left: &Operand, right: &Operand, node: &Value, walker: &Walker<'_>) -> bool {
    let (pattern, other) = match (left, right) {
        (Operand::Pattern(_), Operand::Pattern(_)) => return false,
        (Operand::Pattern(pattern), other) | (other, Operand::Pattern(pattern)) => (pattern, other),
        _ => return false,
    };
    let is_match = |value: Option<&Value>| match value {
        Some(Value::String(text)) => pattern.is_match(text),
        Some(value @ (Value::Number(_) | Value::Bool(_))) => pattern.is_match(&value.to_string()),
        _ => pattern.is_match(""),
    };
    match other.value(node, walker).as_deref() {
        Some(Value::Array(items)) => items.iter().any(|item| is_match(Some(item))),
        value => is_match(value),
    }
}

fn compare(left: Option<&Value>, operator: Operator, right: Option<&Value>) -> Result<bool, Unfit> {
    let is_among = |item: &Value, list: &[Value]| list.iter().any(|each| equal(Some(item), Some(each)));
    Ok(match operator {
        Operator::Equal => equal(left, right),
        Operator::NotEqual => !equal(left, right),
        Operator::Same => is_same_kind(left, right) && equal(left, right),
        Operator::NotSame => !(is_same_kind(left, right) && equal(left, right)),
        Operator::Less => order(left, right) == Some(Ordering::Less),
        Operator::LessOrEqual => order(left, right).is_some_and(Ordering::is_le),
        Operator::Greater => order(left, right) == Some(Ordering::Greater),
        Operator::GreaterOrEqual => order(left, right).is_some_and(Ordering::is_ge),
        Operator::In => items(right)?.is_some_and(|list| list.iter().any(|each| equal(left, Some(each)))),
        Operator::NotIn => !items(right)?.is_some_and(|list| list.iter().any(|each| equal(left, Some(each)))),
        Operator::Contains => match (left, right) {
            (Some(Value::String(text)), Some(Value::String(part))) => text.contains(part.as_str()),
            (Some(Value::Array(list)), right) => list.iter().any(|each| equal(right, Some(each))),
            _ => false,
        },
        Operator::SubsetOf => {
            lists(left, right)?.is_some_and(|[left, right]| left.iter().all(|each| is_among(each, right)))
        }
        Operator::AnyOf => {
            lists(left, right)?.is_some_and(|[left, right]| left.iter().any(|each| is_among(each, right)))
        }
        Operator::NoneOf => {
            lists(left, right)?.is_some_and(|[left, right]| !left.iter().any(|each| is_among(each, right)))
        }
        // Jayway never takes what a path's text can have on the right side of it for a list.
        Operator::All => return Err(Unfit),
        Operator::Size => match (left, right.and_then(Value::as_f64)) {
            (Some(Value::String(text)), Some(size)) => text.encode_utf16().count() as f64 == size.trunc(),
            (Some(Value::Array(items)), Some(size)) => items.len() as f64 == size.trunc(),
            _ => false,
        },
        Operator::Empty => {
            let is_empty = match left {
                Some(Value::String(text)) => text.is_empty(),
                Some(Value::Array(items)) => items.is_empty(),
                Some(Value::Object(members)) => members.is_empty(),
                _ => return Ok(false),
            };
            right.and_then(Value::as_bool).ok_or(Unfit)? == is_empty
        }
        Operator::Matches => false,
    })
}

fn is_same_kind(left: Option<&Value>, right: Option<&Value>) -> bool {
    let is_container = |value: &Value| matches!(value, Value::Array(_) | Value::Object(_));
    match (left, right) {
        (Some(left), Some(right)) => {
            discriminant(left) == discriminant(right) || is_container(left) && is_container(right)
        }
        _ => false,
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

/// Both sides as lists, the right one first; an object on either side ends the comparison.
fn lists<'v>(left: Option<&'v Value>, right: Option<&'v Value>) -> Result<Option<[&'v [Value]; 2]>, Unfit> {
    let Some(right) = items(right)? else {
        return Ok(None);
    };
    Ok(items(left)?.map(|left| [left, right]))
}

/// The elements of a list, nothing for an object.
fn items(value: Option<&Value>) -> Result<Option<&[Value]>, Unfit> {
    match value {
        Some(Value::Array(items)) => Ok(Some(items)),
        Some(Value::Object(_)) => Ok(None),
        _ => Err(Unfit),
    }
}
