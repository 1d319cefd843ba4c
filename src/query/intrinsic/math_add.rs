use std::cell::RefCell;

use serde_json::Value;

use crate::model::entropy::Entropy;
use crate::query::intrinsic::Arity;
use crate::query::intrinsic::Intrinsic;
use crate::query::intrinsic::argument::Argument;
use crate::query::intrinsic::argument::Invalid;
use crate::query::intrinsic::argument::integer;

/// `States.MathAdd(a, b) -> number`: 32 bit; each argument is rounded first.
pub(super) struct MathAdd;

impl Intrinsic for MathAdd {
    fn name(&self) -> &'static str {
        "States.MathAdd"
    }

    fn arity(&self) -> Arity {
        Arity::exactly(2)
    }

    fn call(&self, arguments: &[Argument<'_>], _: &RefCell<Entropy>) -> Result<Value, Invalid> {
        let sum = integer(arguments, 0)?
            .checked_add(integer(arguments, 1)?)
            .ok_or(Invalid)?;
        Ok(sum.into())
    }
}
