//! The functions of a path: `$.items.length()`.

use serde_json::Number;
use serde_json::Value;

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
    /// `$.a`
    Root(Steps),
    /// `@.a`
    Current(Steps),
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
                let mut text = String::new();
                for value in items(model).iter().chain(&parameters) {
                    if let Value::String(piece) = value {
                        text.push_str(piece);
                    }
                }
                Ok(Value::String(text))
            }
            Self::First => items(model).first().cloned().ok_or_else(|| EMPTY.to_owned()),
            Self::Last => items(model).last().cloned().ok_or_else(|| EMPTY.to_owned()),
            Self::Index => {
                let index = parameters.first().and_then(Value::as_i64).unwrap_or_default();
                element(items(model), index).cloned().ok_or_else(|| EMPTY.to_owned())
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
                let flat = parameters.iter().flat_map(|value| match value {
                    Value::Array(items) => items.as_slice(),
                    other => std::slice::from_ref(other),
                });
                let numbers: Vec<f64> = items(model).iter().chain(flat).filter_map(Value::as_f64).collect();
                self.aggregate(&numbers)
            }
        }
    }

    fn aggregate(self, numbers: &[f64]) -> Result<Value, String> {
        if numbers.is_empty() {
            return Err(EMPTY.to_owned());
        }
        let count = numbers.len() as f64;
        let sum: f64 = numbers.iter().sum();
        let result = match self {
            Self::Avg => sum / count,
            Self::Max => numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max),
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

fn items(model: &Value) -> &[Value] {
    match model {
        Value::Array(items) => items,
        _ => &[],
    }
}
