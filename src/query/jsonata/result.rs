//! Results, written as JSON.

use std::rc::Rc;

use jlens_core::output::Builder;
use jlens_core::output::Member;
use serde_json::Map;
use serde_json::Number;
use serde_json::Value;

use crate::query::jsonata::source::Table;

/// From here on jsonata-js prints a whole number with an exponent.
const EXPONENT_FROM: f64 = 1e21;

/// Returns a finite number as JSON: whole ones as integers, where an integer can hold them.
pub(super) fn number(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < EXPONENT_FROM {
        if value >= -(2f64.powi(63)) && value < 2f64.powi(63) {
            return Value::from(value as i64);
        }
        if value >= 0.0 && value < 2f64.powi(64) {
            return Value::from(value as u64);
        }
    }
    Number::from_f64(value).map_or(Value::Null, Value::Number)
}

/// Builds a `Value`; what comes unchanged from a payload is taken from there, with its numbers as they are.
pub(super) struct Writer<'w, 'a> {
    table: Option<&'w Rc<Table<'a>>>,
    /// How many times the engine asked for `null`: it does so for numbers that are not finite, too.
    pub(super) nulls: usize,
}

impl<'w, 'a> Writer<'w, 'a> {
    pub(super) fn new(table: Option<&'w Rc<Table<'a>>>) -> Self {
        Self { table, nulls: 0 }
    }
}

impl Builder for Writer<'_, '_> {
    type Value = Value;
    type Array = Vec<Value>;
    type Object = Map<String, Value>;

    fn null(&mut self) -> Value {
        self.nulls += 1;
        Value::Null
    }

    fn bool(&mut self, value: bool) -> Value {
        Value::Bool(value)
    }

    fn number(&mut self, value: f64) -> Value {
        number(value)
    }

    fn string(&mut self, value: &str) -> Value {
        Value::from(value)
    }

    fn array(&mut self, len: usize) -> Vec<Value> {
        Vec::with_capacity(len)
    }

    fn push(&mut self, array: &mut Vec<Value>, item: Value) {
        array.push(item);
    }

    fn end_array(&mut self, array: Vec<Value>) -> Value {
        Value::Array(array)
    }

    fn object(&mut self, len: usize) -> Map<String, Value> {
        Map::with_capacity(len)
    }

    fn insert(&mut self, object: &mut Map<String, Value>, key: &str, value: Value) {
        object.insert(key.to_owned(), value);
    }

    fn end_object(&mut self, object: Map<String, Value>) -> Value {
        Value::Object(object)
    }

    fn input(&mut self, member: Member) -> Option<Value> {
        self.table?.payload(member).cloned()
    }
}
