//! What conditions of Choice rules say of each other.

use std::cmp::Ordering;

use crate::asl::definition::Comparison;
use crate::asl::definition::Condition;
use crate::asl::definition::Operand;
use crate::asl::definition::Order;
use crate::asl::node::Node;

/// A literal on the right side of a comparison.
#[derive(Clone, Copy, PartialEq)]
enum Value<'c> {
    Number(f64),
    Text(&'c str),
    Time(i128),
}

impl PartialOrd for Value<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => a.partial_cmp(b),
            // As Step Functions compares texts.
            (Self::Text(a), Self::Text(b)) => Some(a.encode_utf16().cmp(b.encode_utf16())),
            (Self::Time(a), Self::Time(b)) => Some(a.cmp(b)),
            _ => None,
        }
    }
}

/// Takes an ordered comparison with a literal apart.
fn bound(comparison: &Comparison) -> Option<(Order, Value<'_>)> {
    match comparison {
        Comparison::Numeric(order, Operand::Literal(number)) => Some((*order, Value::Number(*number))),
        Comparison::String(order, Operand::Literal(text)) => Some((*order, Value::Text(text))),
        Comparison::Timestamp(order, Operand::Literal(time)) => Some((*order, Value::Time(i128::from(time.0)))),
        _ => None,
    }
}

/// Tells whether `a` is false wherever `b` is true and the other way round, for values of the operators' type.
fn is_complement(a: &Comparison, b: &Comparison) -> bool {
    use Comparison as C;
    match (a, b) {
        (C::IsPresent(a), C::IsPresent(b))
        | (C::IsNull(a), C::IsNull(b))
        | (C::IsNumeric(a), C::IsNumeric(b))
        | (C::IsString(a), C::IsString(b))
        | (C::IsBoolean(a), C::IsBoolean(b))
        | (C::IsTimestamp(a), C::IsTimestamp(b))
        | (C::BooleanEquals(Operand::Literal(a)), C::BooleanEquals(Operand::Literal(b))) => a != b,
        _ => match (bound(a), bound(b)) {
            (Some((first, a)), Some((second, b))) if a == b => matches!(
                (first, second),
                (Order::LessThan, Order::GreaterThanEquals)
                    | (Order::GreaterThanEquals, Order::LessThan)
                    | (Order::LessThanEquals, Order::GreaterThan)
                    | (Order::GreaterThan, Order::LessThanEquals)
            ),
            _ => false,
        },
    }
}

/// Tells whether two conditions are written the same.
fn is_same(a: &Condition, b: &Condition) -> bool {
    match (a, b) {
        (Condition::Expression(a), Condition::Expression(b)) => a.text() == b.text(),
        (Condition::Literal(a), Condition::Literal(b)) => a == b,
        (Condition::Not(a), Condition::Not(b)) => is_same(a, b),
        (Condition::And(a), Condition::And(b)) | (Condition::Or(a), Condition::Or(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(a, b))
        }
        (
            Condition::Compare { variable, comparison },
            Condition::Compare {
                variable: other,
                comparison: second,
            },
        ) => variable.text() == other.text() && format!("{comparison:?}") == format!("{second:?}"),
        _ => false,
    }
}

/// Tells whether an expression that draws or tells the time may differ from itself.
fn is_steady(condition: &Condition) -> bool {
    match condition {
        Condition::Expression(expression) => {
            let text = expression.text();
            !["$random", "$uuid", "$millis", "$now", "$shuffle"]
                .iter()
                .any(|name| text.contains(name))
        }
        Condition::And(all) | Condition::Or(all) => all.iter().all(is_steady),
        Condition::Not(inner) => is_steady(inner),
        Condition::Compare { .. } | Condition::Literal(_) => true,
    }
}

/// Tells whether `b` surely holds whenever `a` does. No is also the answer to what is too hard.
pub(super) fn implies(a: &Condition, b: &Condition) -> bool {
    if is_steady(a) && is_same(a, b) {
        return true;
    }
    match (a, b) {
        (_, Condition::Literal(true)) | (Condition::Literal(false), _) => true,
        (_, Condition::And(all)) => all.iter().all(|b| implies(a, b)),
        (Condition::Or(any), _) => any.iter().all(|a| implies(a, b)),
        (Condition::And(all), _) if all.iter().any(|a| implies(a, b)) => true,
        (_, Condition::Or(any)) => any.iter().any(|b| implies(a, b)),
        (
            Condition::Compare { variable, comparison },
            Condition::Compare {
                variable: other,
                comparison: wider,
            },
        ) if variable.text() == other.text() => is_within(comparison, wider),
        _ => false,
    }
}

fn is_within(a: &Comparison, b: &Comparison) -> bool {
    match (a, b) {
        (Comparison::IsPresent(false), _) => return false,
        // Everything else compares what is there.
        (_, Comparison::IsPresent(true)) => return true,
        (Comparison::String(Order::Equals, Operand::Literal(text)), Comparison::StringMatches(pattern)) => {
            return matches!(pattern.0.as_slice(), [start, end]
                if text.len() >= start.len() + end.len() && text.starts_with(start) && text.ends_with(end));
        }
        _ => {}
    }
    let (Some((first, a)), Some((second, b))) = (bound(a), bound(b)) else {
        return false;
    };
    let Some(ordering) = a.partial_cmp(&b) else {
        return false;
    };
    match (first, second) {
        (Order::Equals, Order::Equals) => ordering.is_eq(),
        (Order::Equals | Order::LessThan | Order::LessThanEquals, Order::LessThan) => match first {
            Order::LessThan => ordering.is_le(),
            _ => ordering.is_lt(),
        },
        (Order::Equals | Order::LessThan | Order::LessThanEquals, Order::LessThanEquals) => ordering.is_le(),
        (Order::Equals | Order::GreaterThan | Order::GreaterThanEquals, Order::GreaterThan) => match first {
            Order::GreaterThan => ordering.is_ge(),
            _ => ordering.is_gt(),
        },
        (Order::Equals | Order::GreaterThan | Order::GreaterThanEquals, Order::GreaterThanEquals) => ordering.is_ge(),
        _ => false,
    }
}

/// Tells whether one of the rules always holds, as far as that is easy to see.
pub(super) fn cover_everything(rules: &[&Condition]) -> bool {
    let mut alternatives = Vec::new();
    for rule in rules {
        match rule {
            Condition::Or(any) => alternatives.extend(any),
            other => alternatives.push(*other),
        }
    }
    // The pairs are what somebody may write by hand.
    alternatives.truncate(100);
    alternatives.iter().enumerate().any(|(index, a)| {
        matches!(a, Condition::Literal(true))
            || matches!(a, Condition::Expression(expression) if expression.text() == "true")
            || alternatives.iter().skip(index + 1).any(|b| are_opposite(a, b))
    })
}

/// Tells whether one of two conditions always holds.
fn are_opposite(a: &Condition, b: &Condition) -> bool {
    match (a, b) {
        (Condition::Not(inner), other) | (other, Condition::Not(inner)) => is_same(inner, other),
        (
            Condition::Compare { variable, comparison },
            Condition::Compare {
                variable: other,
                comparison: second,
            },
        ) => variable.text() == other.text() && is_complement(comparison, second),
        (Condition::Expression(a), Condition::Expression(b)) => {
            let negates = |a: &str, b: &str| {
                let inner = a.strip_prefix("$not(").and_then(|rest| rest.strip_suffix(')'));
                inner.is_some_and(|inner| inner.trim() == b)
            };
            negates(a.text(), b.text()) || negates(b.text(), a.text()) || opposite_texts(a.text(), b.text())
        }
        _ => false,
    }
}

/// Tells whether two expressions compare the same with opposite operators: `a > 1` and `a <= 1`.
fn opposite_texts(a: &str, b: &str) -> bool {
    const OPPOSITES: &[(&str, &str)] = &[(" = ", " != "), (" > ", " <= "), (" >= ", " < ")];
    if [" and ", " or ", "?"].iter().any(|joint| a.contains(joint)) {
        return false;
    }
    OPPOSITES.iter().any(|(first, second)| {
        let is = |a: &str, b: &str| a.matches(first).count() == 1 && a.replacen(first, second, 1) == b;
        is(a, b) || is(b, a)
    })
}

/// Tells whether a condition can never hold, because of an `And` whose parts exclude each other.
pub(super) fn never_holds(condition: &Condition) -> bool {
    match condition {
        Condition::And(all) => {
            let mut parts = Vec::new();
            flatten(all, &mut parts);
            parts.truncate(50);
            let clash = parts
                .iter()
                .enumerate()
                .any(|(index, a)| parts.iter().skip(index + 1).any(|b| exclude(a, b)));
            clash || all.iter().any(never_holds)
        }
        Condition::Or(any) => any.iter().all(never_holds),
        _ => false,
    }
}

fn flatten<'c>(all: &'c [Condition], parts: &mut Vec<&'c Condition>) {
    for condition in all {
        match condition {
            Condition::And(inner) => flatten(inner, parts),
            other => parts.push(other),
        }
    }
}

/// The types that a comparison can be true of.
#[derive(PartialEq)]
enum Type {
    Boolean,
    Null,
    Number,
    Text,
}

fn type_of(comparison: &Comparison) -> Option<Type> {
    Some(match comparison {
        Comparison::BooleanEquals(_) | Comparison::IsBoolean(true) => Type::Boolean,
        Comparison::IsNull(true) => Type::Null,
        Comparison::IsNumeric(true) | Comparison::Numeric(..) => Type::Number,
        Comparison::IsString(true)
        | Comparison::IsTimestamp(true)
        | Comparison::String(..)
        | Comparison::StringMatches(_)
        | Comparison::Timestamp(..) => Type::Text,
        _ => return None,
    })
}

fn exclude(a: &Condition, b: &Condition) -> bool {
    match (a, b) {
        (Condition::Not(inner), other) | (other, Condition::Not(inner)) => is_steady(other) && implies(other, inner),
        (
            Condition::Compare { variable, comparison },
            Condition::Compare {
                variable: other,
                comparison: second,
            },
        ) if variable.text() == other.text() => {
            if let (Some(a), Some(b)) = (type_of(comparison), type_of(second))
                && a != b
            {
                return true;
            }
            let absent = |a: &Comparison, b: &Comparison| {
                matches!(a, Comparison::IsPresent(false)) && !matches!(b, Comparison::IsPresent(false))
            };
            if absent(comparison, second) || absent(second, comparison) || is_complement(comparison, second) {
                return true;
            }
            match (bound(comparison), bound(second)) {
                (Some((first, a)), Some((second, b))) => {
                    are_apart((first, a), (second, b)) || are_apart((second, b), (first, a))
                }
                _ => false,
            }
        }
        _ => false,
    }
}

/// Tells whether everything that fits the first lies below everything that fits the second.
fn are_apart((first, a): (Order, Value<'_>), (second, b): (Order, Value<'_>)) -> bool {
    let below = matches!(first, Order::Equals | Order::LessThan | Order::LessThanEquals);
    let above = matches!(second, Order::Equals | Order::GreaterThan | Order::GreaterThanEquals);
    let Some(ordering) = a.partial_cmp(&b) else {
        return false;
    };
    let touches = matches!(first, Order::Equals | Order::LessThanEquals)
        && matches!(second, Order::Equals | Order::GreaterThanEquals);
    below && above && (ordering.is_lt() || ordering.is_eq() && !touches)
}

/// Tells whether a placeholder without a value is anywhere in it.
pub(super) fn is_open(node: &Node) -> bool {
    let mut queue = vec![node];
    while let Some(node) = queue.pop() {
        if node.is_open() {
            return true;
        }
        queue.extend(node.members().iter().map(|member| &member.value));
        queue.extend(node.elements());
    }
    false
}
