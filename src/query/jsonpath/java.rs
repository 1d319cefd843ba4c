//! What Java's `toString` makes of JSON values: AWS prints them so in `States.Format` and in some sentences.

use serde_json::Number;
use serde_json::Value;

/// Appends `value` as Java prints it: `{a=1, b=[x, null]}`.
pub(in crate::query) fn write(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(number) => out.push_str(&number_text(number)),
        Value::String(text) => out.push_str(text),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                write(item, out);
            }
            out.push(']');
        }
        Value::Object(members) => {
            out.push('{');
            for (index, (name, member)) in members.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                out.push_str(name);
                out.push('=');
                write(member, out);
            }
            out.push('}');
        }
    }
}

/// Returns what `write` appends.
pub(in crate::query) fn text(value: &Value) -> String {
    let mut out = String::new();
    write(value, &mut out);
    out
}

/// Returns the class of the object that Jackson makes of a value.
pub(in crate::query) fn class(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "java.lang.Boolean",
        Value::Number(number) => match number.as_i64() {
            Some(n) if i32::try_from(n).is_ok() => "java.lang.Integer",
            Some(_) => "java.lang.Long",
            None if number.is_u64() => "java.math.BigInteger",
            None => "java.lang.Double",
        },
        Value::String(_) => "java.lang.String",
        Value::Array(_) => "java.util.ArrayList",
        Value::Object(_) => "java.util.LinkedHashMap",
    }
}

/// Returns `Math.round`: halves go up, towards positive infinity.
pub(in crate::query) fn round(number: f64) -> f64 {
    let floor = number.floor();
    if number - floor >= 0.5 { floor + 1.0 } else { floor }
}

fn number_text(number: &Number) -> String {
    match number.as_f64() {
        Some(n) if number.is_f64() => double_text(n),
        _ => number.to_string(),
    }
}

/// `Double.toString`: plain between a thousandth and ten millions, otherwise `1.0E10`.
fn double_text(number: f64) -> String {
    let size = number.abs();
    if number == 0.0 || (1e-3..1e7).contains(&size) || !number.is_finite() {
        return format!("{number:?}");
    }
    let text = format!("{number:e}");
    match text.split_once('e') {
        Some((digits, exponent)) if digits.contains('.') => format!("{digits}E{exponent}"),
        Some((digits, exponent)) => format!("{digits}.0E{exponent}"),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_print_as_in_java() {
        for (value, expected) in [
            (json!({"Arg1": 1, "Arg2": []}), "{Arg1=1, Arg2=[]}"),
            (json!([1, "a", null, true, {"x": {}}]), "[1, a, null, true, {x={}}]"),
            (json!(1.1), "1.1"),
            (json!(2.0), "2.0"),
            (json!(1e10), "1.0E10"),
            (json!(1.25e-7), "1.25E-7"),
            (json!(123456.5), "123456.5"),
            (json!(u64::MAX), "18446744073709551615"),
        ] {
            assert_eq!(text(&value), expected);
        }
    }

    #[test]
    fn halves_round_up() {
        for (number, expected) in [(1.5, 2.0), (-1.5, -1.0), (-1.51, -2.0), (0.499_999_999_999_999_94, 0.0)] {
            assert_eq!(round(number), expected);
        }
    }
}
