use std::cell::RefCell;

use serde_json::Value;

use crate::model::entropy::Entropy;
use crate::query::intrinsic::Arity;
use crate::query::intrinsic::Intrinsic;
use crate::query::intrinsic::argument::Argument;
use crate::query::intrinsic::argument::Invalid;

/// `States.Array(value, …) -> array`: the values as one array.
pub(super) struct Array;

impl Intrinsic for Array {
    fn name(&self) -> &'static str {
        "States.Array"
    }

    fn arity(&self) -> Arity {
        Arity::at_least(0)
    }

    fn call(&self, arguments: &[Argument<'_>], _: &RefCell<Entropy>) -> Result<Value, Invalid> {
        Ok(arguments.iter().map(|argument| Value::clone(argument)).collect())
    }
}
