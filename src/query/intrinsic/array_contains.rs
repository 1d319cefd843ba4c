use std::cell::RefCell;

use serde_json::Value;

use crate::model::entropy::Entropy;
use crate::query::intrinsic::Arity;
use crate::query::intrinsic::Intrinsic;
use crate::query::intrinsic::argument::Argument;
use crate::query::intrinsic::argument::Invalid;
use crate::query::intrinsic::argument::array;
use crate::query::intrinsic::argument::value;

/// `States.ArrayContains(array, value) -> boolean`: whether an element equals `value`, members in any order.
pub(super) struct ArrayContains;

impl Intrinsic for ArrayContains {
    fn name(&self) -> &'static str {
        "States.ArrayContains"
    }

    fn arity(&self) -> Arity {
        Arity::exactly(2)
    }

    fn call(&self, arguments: &[Argument<'_>], _: &RefCell<Entropy>) -> Result<Value, Invalid> {
        let wanted = value(arguments, 1)?;
        Ok(array(arguments, 0)?.contains(wanted).into())
    }
}
