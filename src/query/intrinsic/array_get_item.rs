use std::cell::RefCell;

use serde_json::Value;

use crate::model::entropy::Entropy;
use crate::query::intrinsic::Arity;
use crate::query::intrinsic::Intrinsic;
use crate::query::intrinsic::argument::Argument;
use crate::query::intrinsic::argument::Invalid;
use crate::query::intrinsic::argument::array;
use crate::query::intrinsic::argument::integer;

/// `States.ArrayGetItem(array, index) -> value`: the element at `index`, from 0.
pub(super) struct ArrayGetItem;

impl Intrinsic for ArrayGetItem {
    fn name(&self) -> &'static str {
        "States.ArrayGetItem"
    }

    fn arity(&self) -> Arity {
        Arity::exactly(2)
    }

    fn call(&self, arguments: &[Argument<'_>], _: &RefCell<Entropy>) -> Result<Value, Invalid> {
        let index = usize::try_from(integer(arguments, 1)?).map_err(|_| Invalid)?;
        array(arguments, 0)?.get(index).cloned().ok_or(Invalid)
    }
}
