//! Numbers that are not finite.
//!
//! In JSONata `1/0` is a value that only fails as an operand, and AWS writes it as text. The engine fails at once. So
//! an expression that fails this way is evaluated again with its operators rewritten as calls of functions of ours,
//! which give marks in place of such numbers.

use jlens_core::Bindings;
use jlens_core::Error;
use jlens_core::HostFunction;
use jlens_core::Node;
use jlens_core::ast::BinaryOp;
use serde_json::Value;

/// The engine's code for a number that is not finite.
pub(super) const OUT_OF_RANGE: &str = "D1001";

/// The marks, and AWS's text for each. No payload holds them by chance.
const MARKS: [(&str, &str); 3] = [
    ("\u{1}Infinity\u{1}", "Infinity"),
    ("\u{1}-Infinity\u{1}", "-Infinity"),
    ("\u{1}NaN\u{1}", "NaN"),
];

/// What a rewritten expression begins with: texts of such numbers are refused, and `$parseInteger` gives NaN.
pub(super) const PRELUDE: &str = "$__string := $string;
$string := function($value, $pretty)<x-b?:s>{($__finite($value); $__string($value, $pretty))};
$__concat := function($left, $right){$string($left) & $string($right)};
$__parseInteger := $parseInteger;
$parseInteger := function($text, $picture)<s-s:n>{$__number($__parseInteger($text, $picture))};
";

/// The reference's code for a text of a number that is not finite.
pub(super) const NO_TEXT: &str = "D3001";

/// An operator that makes or writes numbers, in the text of an expression.
#[derive(Clone, Copy)]
pub(super) struct Operator {
    /// The operator itself.
    pub(super) symbol: char,
    start: usize,
    at: usize,
    end: usize,
}

impl Operator {
    /// Finds the operator of a node, if it makes or writes numbers.
    pub(super) fn of(op: BinaryOp, node: &Node) -> Option<Self> {
        let symbol = match op {
            BinaryOp::Add => '+',
            BinaryOp::Sub => '-',
            BinaryOp::Mul => '*',
            BinaryOp::Div => '/',
            BinaryOp::Mod => '%',
            BinaryOp::Concat => '&',
            _ => return None,
        };
        Some(Self {
            symbol,
            start: node.span.start,
            at: node.pos.checked_sub(1)?,
            end: node.span.end,
        })
    }

    fn function(self) -> &'static str {
        match self.symbol {
            '+' => "__add",
            '-' => "__subtract",
            '*' => "__multiply",
            '/' => "__divide",
            '&' => "__concat",
            _ => "__modulo",
        }
    }

    fn apply(self, left: f64, right: f64) -> f64 {
        match self.symbol {
            '+' => left + right,
            '-' => left - right,
            '*' => left * right,
            '/' => left / right,
            _ => left % right,
        }
    }
}

/// Rewrites `a / b` as `$__divide(a , b)`.
pub(super) fn rewrite(source: &str, operators: &[Operator]) -> String {
    // At one place, calls are closed before others are opened, and the widest is opened first.
    let mut edits = Vec::with_capacity(operators.len() * 3);
    for operator in operators {
        edits.push((operator.end, 0, 0, ")"));
        edits.push((operator.start, 1, usize::MAX - operator.end, operator.function()));
        edits.push((operator.at, 2, 0, ","));
    }
    edits.sort_unstable();
    let mut text = String::with_capacity(source.len() * 2);
    let mut done = 0;
    for (at, kind, _, edit) in edits {
        text.push_str(source.get(done..at).unwrap_or_default());
        done = done.max(at);
        match kind {
            0 => text.push_str(edit),
            1 => {
                text.push('$');
                text.push_str(edit);
                text.push('(');
            }
            _ => {
                text.push_str(edit);
                done = at + 1;
            }
        }
    }
    text + source.get(done..).unwrap_or_default()
}

/// Binds the functions that a rewritten expression calls.
pub(super) fn bind(bindings: Bindings, operators: &[Operator]) -> Bindings {
    let finite = HostFunction::new(1, |given, _| match given.first() {
        Some(Some(value)) if is_mark(value) => Err(Error::new(NO_TEXT)),
        Some(Some(value)) if holds_mark(value) => Err(Error::new(OUT_OF_RANGE).with("value", Value::Null)),
        _ => Ok(None),
    });
    let number = HostFunction::new(1, |given, _| match given.first() {
        Some(Some(Value::Null)) => Ok(Some(Value::from(MARKS[2].0))),
        Some(given) => Ok(given.clone()),
        None => Ok(None),
    });
    let mut bindings = bindings
        .function("__finite", finite.without_input())
        .function("__number", number.without_input());
    for operator in operators.iter().copied() {
        if operator.symbol == '&' || bindings.get_function(operator.function()).is_some() {
            continue;
        }
        let function = HostFunction::new(2, move |given, _| {
            let side = |index: usize, code: &str| match given.get(index) {
                Some(Some(Value::Number(number))) => Ok(number.as_f64()),
                Some(Some(Value::String(text))) if MARKS.iter().take(2).any(|(mark, _)| mark == text) => {
                    Err(Error::new(OUT_OF_RANGE).with("value", Value::Null))
                }
                Some(Some(other)) => Err(Error::new(code)
                    .with("token", operator.symbol.to_string())
                    .with("value", other.clone())),
                _ => Ok(None),
            };
            let (left, right) = (side(0, "T2001")?, side(1, "T2002")?);
            let (Some(left), Some(right)) = (left, right) else {
                return Ok(None);
            };
            let value = operator.apply(left, right);
            Ok(Some(if value.is_finite() {
                Value::from(value)
            } else if value.is_nan() {
                Value::from(MARKS[2].0)
            } else if value > 0.0 {
                Value::from(MARKS[0].0)
            } else {
                Value::from(MARKS[1].0)
            }))
        });
        bindings = bindings.function(operator.function(), function.without_input());
    }
    bindings
}

fn is_mark(value: &Value) -> bool {
    MARKS.iter().any(|(mark, _)| value == mark)
}

fn holds_mark(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(holds_mark),
        Value::Object(fields) => fields.values().any(holds_mark),
        other => is_mark(other),
    }
}

/// Turns marks into AWS's texts. Returns false if a mark became part of something else.
pub(super) fn name(value: &mut Value) -> bool {
    match value {
        Value::String(text) => match MARKS.iter().find(|(mark, _)| mark == text) {
            Some((_, known)) => {
                *text = (*known).to_owned();
                true
            }
            None => !text.contains('\u{1}'),
        },
        Value::Array(items) => items.iter_mut().all(name),
        Value::Object(fields) => fields.values_mut().all(name),
        _ => true,
    }
}
