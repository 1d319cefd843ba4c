use std::cell::RefCell;

use serde_json::Value;

use crate::model::entropy::Entropy;
use crate::query::intrinsic::Arity;
use crate::query::intrinsic::Intrinsic;
use crate::query::intrinsic::argument::Argument;
use crate::query::intrinsic::argument::Invalid;
use crate::query::intrinsic::argument::array;
use crate::query::intrinsic::argument::integer;

/// `States.ArrayPartition(array, size) -> array of arrays`: pieces of `size` elements, the last one shorter.
pub(super) struct ArrayPartition;

impl Intrinsic for ArrayPartition {
    fn name(&self) -> &'static str {
        "States.ArrayPartition"
    }

    fn arity(&self) -> Arity {
        Arity::exactly(2)
    }

    fn call(&self, arguments: &[Argument<'_>], _: &RefCell<Entropy>) -> Result<Value, Invalid> {
        let items = array(arguments, 0)?;
        let size = integer(arguments, 1)?;
        if size < 1 {
            return Err(Invalid);
        }
        let size = usize::try_from(size).map_err(|_| Invalid)?;
        Ok(items.chunks(size).map(|piece| Value::Array(piece.to_vec())).collect())
    }
}
