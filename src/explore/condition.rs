//! Which values fulfil the condition of a Choice rule, and which just do not.

use serde_json::Value;
use serde_json::json;

use crate::asl::definition::Comparison;
use crate::asl::definition::Operand;
use crate::asl::definition::Order;
use crate::asl::definition::StringPattern;
use crate::explore::shape::Choice;
use crate::explore::shape::Group;
use crate::explore::shape::Kinds;
use crate::explore::shape::Shape;
use crate::model::timestamp::Timestamp;

/// A value that is worth a try, without a condition that it helps to fulfil.
pub(super) const NO_GROUP: Group = 0;

/// Returns the values for one side of a comparison: those that fulfil it belong to `group`.
pub(super) fn of_comparison(comparison: &Comparison, is_wanted: bool, group: Group) -> Shape {
    let (kinds, fit, misfit) = match comparison {
        Comparison::String(order, Operand::Literal(text)) => {
            let (fit, misfit) = texts(*order, text);
            (Kinds::STRING, fit, misfit)
        }
        Comparison::Numeric(order, Operand::Literal(number)) => {
            let (fit, misfit) = numbers(*order, *number);
            (Kinds::NUMBER, fit, misfit)
        }
        Comparison::Timestamp(order, Operand::Literal(at)) => {
            let (fit, misfit) = around(*order);
            let at = |seconds: i64| json!(Timestamp(at.0.saturating_add(seconds * 1000)).to_string());
            (Kinds::TIMESTAMP, at(fit), at(misfit))
        }
        Comparison::BooleanEquals(Operand::Literal(wanted)) => (Kinds::BOOLEAN, json!(wanted), json!(!wanted)),
        Comparison::String(order, Operand::Path(_)) => {
            let (fit, misfit) = around(*order);
            let letter = |n: i64| json!(["a", "m", "z"][usize::try_from(n + 1).unwrap_or(1)]);
            (Kinds::STRING, letter(fit), letter(misfit))
        }
        Comparison::Numeric(order, Operand::Path(_)) => {
            let (fit, misfit) = around(*order);
            (Kinds::NUMBER, json!(MIDDLE + fit), json!(MIDDLE + misfit))
        }
        Comparison::Timestamp(order, Operand::Path(_)) => {
            let (fit, misfit) = around(*order);
            let day = |n: i64| json!(format!("2026-01-{:02}T00:00:00Z", MIDDLE + n));
            (Kinds::TIMESTAMP, day(fit), day(misfit))
        }
        Comparison::BooleanEquals(Operand::Path(_)) => (Kinds::BOOLEAN, json!(true), json!(false)),
        Comparison::StringMatches(StringPattern(pieces)) => (Kinds::STRING, json!(pieces.join("x")), json!("")),
        Comparison::IsNull(wanted) => of_test(Value::Null, json!("text"), *wanted),
        Comparison::IsNumeric(wanted) => of_test(json!(1), json!("text"), *wanted),
        Comparison::IsString(wanted) => of_test(json!("text"), json!(1), *wanted),
        Comparison::IsBoolean(wanted) => of_test(json!(true), json!("text"), *wanted),
        Comparison::IsTimestamp(wanted) => of_test(json!("2026-01-02T00:00:00Z"), json!("text"), *wanted),
        Comparison::IsPresent(wanted) => return of_presence(*wanted == is_wanted, group),
    };
    let (fit, misfit) = if is_wanted { (fit, misfit) } else { (misfit, fit) };
    let mut shape = Shape::of(kinds);
    shape.merge(&pair(fit, misfit, group));
    shape
}

/// Returns the values for the other side of a comparison.
pub(super) fn of_operand(comparison: &Comparison, group: Group) -> Shape {
    let middle = match comparison {
        Comparison::String(..) => json!("m"),
        Comparison::Numeric(..) => json!(MIDDLE),
        Comparison::Timestamp(..) => json!(format!("2026-01-{MIDDLE:02}T00:00:00Z")),
        _ => json!(true),
    };
    Shape::worth([(Choice::Value(middle), group)])
}

/// What the other side of a comparison of two places is.
const MIDDLE: i64 = 5;

fn of_test(is: Value, is_not: Value, wanted: bool) -> (Kinds, Value, Value) {
    let (fit, misfit) = if wanted { (is, is_not) } else { (is_not, is) };
    (Kinds::default(), fit, misfit)
}

/// Returns the choice between something and nothing.
pub(super) fn of_presence(is_wanted: bool, group: Group) -> Shape {
    // What stands there, if it does, is another condition's affair.
    match is_wanted {
        true => Shape::worth([(Choice::Present, group), (Choice::Absent, NO_GROUP)]),
        false => Shape::worth([(Choice::Absent, group)]),
    }
}

/// Returns the values that fulfil a comparison with a value.
pub(super) fn of_value(order: Order, value: &Value, is_wanted: bool, group: Group) -> Shape {
    let (kinds, fit, misfit) = match value {
        Value::String(text) => {
            let (fit, misfit) = texts(order, text);
            (Kinds::STRING, fit, misfit)
        }
        Value::Number(number) => {
            let (fit, misfit) = numbers(order, number.as_f64().unwrap_or(0.0));
            (Kinds::NUMBER, fit, misfit)
        }
        Value::Bool(value) => (Kinds::BOOLEAN, json!(value), json!(!value)),
        value => (Kinds::default(), value.clone(), json!("text")),
    };
    let (fit, misfit) = if is_wanted { (fit, misfit) } else { (misfit, fit) };
    let mut shape = Shape::of(kinds);
    shape.merge(&pair(fit, misfit, group));
    shape
}

/// Returns the lengths that fulfil a comparison with a number.
pub(super) fn of_length(order: Order, length: f64, is_wanted: bool, group: Group) -> Shape {
    let (fit, misfit) = around(order);
    let (fit, misfit) = if is_wanted { (fit, misfit) } else { (misfit, fit) };
    let length = |n: i64| (length as i64).saturating_add(n).clamp(0, 12) as usize;
    Shape::long(vec![(length(fit), group), (length(misfit), NO_GROUP)])
}

fn pair(fit: Value, misfit: Value, group: Group) -> Shape {
    Shape::worth([(Choice::Value(fit), group), (Choice::Value(misfit), NO_GROUP)])
}

/// Returns how far from a value a fitting and a misfitting one lie.
fn around(order: Order) -> (i64, i64) {
    match order {
        Order::Equals => (0, 1),
        Order::LessThan => (-1, 0),
        Order::LessThanEquals => (0, 1),
        Order::GreaterThan => (1, 0),
        Order::GreaterThanEquals => (0, -1),
    }
}

fn numbers(order: Order, number: f64) -> (Value, Value) {
    let (fit, misfit) = around(order);
    let at = |n: i64| {
        let value = number + n as f64;
        // Whole numbers are written as such.
        match value.fract() == 0.0 && value.abs() < 9e15 {
            true => json!(value as i64),
            false => json!(value),
        }
    };
    (at(fit), at(misfit))
}

fn texts(order: Order, text: &str) -> (Value, Value) {
    let (fit, misfit) = around(order);
    let at = |n: i64| match n {
        0 => json!(text),
        1 => json!(format!("{text}x")),
        // The empty text comes before all others but itself.
        _ => json!(""),
    };
    (at(fit), at(misfit))
}
