use std::cell::RefCell;

use serde_json::Value;

use crate::model::entropy::Entropy;
use crate::query::intrinsic::Arity;
use crate::query::intrinsic::Intrinsic;
use crate::query::intrinsic::argument::Argument;
use crate::query::intrinsic::argument::Invalid;
use crate::query::intrinsic::argument::integer;

const ELEMENTS_MAX: i64 = 1_000;

/// `States.ArrayRange(first, last, step) -> array`: the numbers from `first` to `last`, which is included when hit.
pub(super) struct ArrayRange;

impl Intrinsic for ArrayRange {
    fn name(&self) -> &'static str {
        "States.ArrayRange"
    }

    fn arity(&self) -> Arity {
        Arity::exactly(3)
    }

    fn call(&self, arguments: &[Argument<'_>], _: &RefCell<Entropy>) -> Result<Value, Invalid> {
        let first = i64::from(integer(arguments, 0)?);
        let last = i64::from(integer(arguments, 1)?);
        let step = i64::from(integer(arguments, 2)?);
        if step == 0 {
            return Err(Invalid);
        }
        // Negative where the step leads away from the end.
        let span = (last - first) * step.signum();
        if span < 0 {
            return Ok(Value::Array(Vec::new()));
        }
        let count = span / step.abs() + 1;
        if count > ELEMENTS_MAX {
            return Err(Invalid);
        }
        Ok((0..count).map(|index| Value::from(first + index * step)).collect())
    }
}
