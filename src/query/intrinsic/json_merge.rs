use std::cell::RefCell;

use serde_json::Value;

use crate::model::entropy::Entropy;
use crate::query::intrinsic::Arity;
use crate::query::intrinsic::Intrinsic;
use crate::query::intrinsic::argument::Argument;
use crate::query::intrinsic::argument::Invalid;
use crate::query::intrinsic::argument::value;

/// `States.JsonMerge(first, second, false) -> object`: shallow; the second wins, the first gives the order.
pub(super) struct JsonMerge;

impl Intrinsic for JsonMerge {
    fn name(&self) -> &'static str {
        "States.JsonMerge"
    }

    fn arity(&self) -> Arity {
        Arity::exactly(3)
    }

    fn call(&self, arguments: &[Argument<'_>], _: &RefCell<Entropy>) -> Result<Value, Invalid> {
        let first = value(arguments, 0)?.as_object().ok_or(Invalid)?;
        let second = value(arguments, 1)?.as_object().ok_or(Invalid)?;
        // AWS knows no deep merge.
        if value(arguments, 2)? != &Value::Bool(false) {
            return Err(Invalid);
        }
        let mut merged = first.clone();
        for (name, member) in second {
            merged.insert(name.clone(), member.clone());
        }
        Ok(Value::Object(merged))
    }
}
