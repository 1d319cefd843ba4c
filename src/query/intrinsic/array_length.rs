use std::cell::RefCell;

use serde_json::Value;

use crate::model::entropy::Entropy;
use crate::query::intrinsic::Arity;
use crate::query::intrinsic::Intrinsic;
use crate::query::intrinsic::argument::Argument;
use crate::query::intrinsic::argument::Invalid;
use crate::query::intrinsic::argument::array;

/// `States.ArrayLength(array) -> number`: how many elements `array` has.
pub(super) struct ArrayLength;

impl Intrinsic for ArrayLength {
    fn name(&self) -> &'static str {
        "States.ArrayLength"
    }

    fn arity(&self) -> Arity {
        Arity::exactly(1)
    }

    fn call(&self, arguments: &[Argument<'_>], _: &RefCell<Entropy>) -> Result<Value, Invalid> {
        Ok(array(arguments, 0)?.len().into())
    }
}
