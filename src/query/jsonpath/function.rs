//! The functions of a path: `$.items.length()`.

use serde_json::Number;
use serde_json::Value;

use crate::query::jsonpath::java;
use crate::query::jsonpath::step::Steps;

/// A function with its parameters.
#[derive(Clone, Debug)]
pub(super) struct Function {
    pub(super) kind: Kind,
    pub(super) parameters: Vec<Parameter>,
}

/// What may stand between the parentheses.
#[derive(Clone, Debug)]
pub(super) enum Parameter {
    Literal(Value),
    /// `$.a` or `@.a`: Jayway starts both from the root.
    Root(Steps),
}

/// Which function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Append,
    Avg,
    Concat,
    First,
    Index,
    Keys,
    Last,
    Length,
    Max,
    Min,
    Stddev,
    Sum,
}

const FUNCTIONS: [(&str, Kind); 12] = [
    ("append", Kind::Append),
    ("avg", Kind::Avg),
    ("concat", Kind::Concat),
    ("first", Kind::First),
    ("index", Kind::Index),
    ("keys", Kind::Keys),
    ("last", Kind::Last),
    ("length", Kind::Length),
    ("max", Kind::Max),
    ("min", Kind::Min),
    ("stddev", Kind::Stddev),
    ("sum", Kind::Sum),
];

const EMPTY: &str = "Aggregation function attempted to calculate value using empty array";

impl Kind {
    /// Finds a function by its name.
    pub(super) fn of(name: &str) -> Option<Self> {
        FUNCTIONS
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, kind)| *kind)
    }

    /// The name.
    pub(super) fn name(self) -> &'static str {
        FUNCTIONS
            .iter()
            .find(|(_, kind)| *kind == self)
            .map_or("", |(name, _)| name)
    }

    /// Calls the function on the value that the path has reached.
    pub(super) fn apply(self, model: &Value, parameters: Vec<Value>) -> Result<Value, String> {
        match self {
            Self::Append => {
                let Value::Array(items) = model else {
                    return Ok(model.clone());
                };
                Ok(items.iter().cloned().chain(parameters).collect())
            }
            Self::Concat => {
                // Only texts of the list itself, but everything in the parameters.
                let mut text: String = items(model).iter().filter_map(Value::as_str).collect();
                for value in flat(&parameters).filter(|value| !value.is_null()) {
                    java::write(value, &mut text);
                }
                Ok(Value::String(text))
            }
            Self::First => at(model, 0),
            Self::Last => at(model, -1),
            Self::Index => {
                let index = flat(&parameters).find_map(Value::as_f64);
                at(model, index.ok_or("Index 0 out of bounds for length 0")? as i64)
            }
            Self::Keys => Ok(match model {
                Value::Object(members) => members.keys().cloned().map(Value::String).collect(),
                _ => Value::Null,
            }),
            Self::Length => Ok(match parameters.first().unwrap_or(model) {
                Value::Array(items) => items.len().into(),
                Value::Object(members) => members.len().into(),
                _ => Value::Null,
            }),
            Self::Avg | Self::Max | Self::Min | Self::Stddev | Self::Sum => {
                let values = items(model).iter().chain(flat(&parameters));
                let numbers: Vec<f64> = values.filter_map(Value::as_f64).collect();
                self.aggregate(&numbers)
            }
        }
    }

    /// Calls the function at the end of a path that begins with `..`.
    ///
    /// Jayway turns `$..a.sum()` into `$.sum($..a)`, in place of the parameters that are written. `length` counts
    /// what `$..a[*]` finds.
    pub(super) fn apply_to_scan(self, root: &Value, found: Value) -> Result<Value, String> {
        if self != Self::Length {
            return self.apply(root, vec![found]);
        }
        let lengths = items(&found).iter().map(|value| match value {
            Value::Array(items) => items.len(),
            Value::Object(members) => members.len(),
            _ => 0,
        });
        Ok(lengths.sum::<usize>().into())
    }

    fn aggregate(self, numbers: &[f64]) -> Result<Value, String> {
        if numbers.is_empty() {
            return Err(EMPTY.to_owned());
        }
        let count = numbers.len() as f64;
        let sum: f64 = numbers.iter().sum();
        let result = match self {
            Self::Avg => sum / count,
            // Jayway begins with Java's `Double.MIN_VALUE`, the smallest number above zero.
            Self::Max => numbers.iter().copied().fold(f64::from_bits(1), f64::max),
            Self::Min => numbers.iter().copied().fold(f64::INFINITY, f64::min),
            Self::Stddev => {
                let squares: f64 = numbers.iter().map(|n| n * n).sum();
                (squares / count - sum * sum / count / count).sqrt()
            }
            _ => sum,
        };
        Ok(Number::from_f64(result).map_or(Value::Null, Value::Number))
    }
}

/// Returns the element at `index`, which counts from the end when it is negative.
pub(super) fn element(items: &[Value], index: i64) -> Option<&Value> {
    let place = if index < 0 {
        index.checked_add(items.len() as i64)?
    } else {
        index
    };
    items.get(usize::try_from(place).ok()?)
}

/// The parameters, lists by their elements.
fn flat(parameters: &[Value]) -> impl Iterator<Item = &Value> {
    parameters.iter().flat_map(|value| match value {
        Value::Array(items) => items.as_slice(),
        other => std::slice::from_ref(other),
    })
}

/// The element at `index` as Jayway's functions find it: counted from the end, they never reach the first.
fn at(model: &Value, index: i64) -> Result<Value, String> {
    let Value::Array(items) = model else {
        return Err(EMPTY.to_owned());
    };
    let count = items.len();
    match element(items, index) {
        Some(item) if index >= 0 || index + count as i64 > 0 => Ok(item.clone()),
        _ if index < 0 => Err(format!("Target index:{index} larger than object count:{count}")),
        _ => Err(format!("Index {index} out of bounds for length {count}")),
    }
}

fn items(model: &Value) -> &[Value] {
    match model {
        Value::Array(items) => items,
        _ => &[],
    }
}
