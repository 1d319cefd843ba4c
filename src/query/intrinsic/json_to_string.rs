use std::cell::RefCell;

use serde_json::Value;

use crate::model::entropy::Entropy;
use crate::query::intrinsic::Arity;
use crate::query::intrinsic::Intrinsic;
use crate::query::intrinsic::argument::Argument;
use crate::query::intrinsic::argument::Invalid;
use crate::query::intrinsic::argument::value;

/// `States.JsonToString(value) -> text`: compact JSON.
pub(super) struct JsonToString;

impl Intrinsic for JsonToString {
    fn name(&self) -> &'static str {
        "States.JsonToString"
    }

    fn arity(&self) -> Arity {
        Arity::exactly(1)
    }

    fn call(&self, arguments: &[Argument<'_>], _: &RefCell<Entropy>) -> Result<Value, Invalid> {
        Ok(value(arguments, 0)?.to_string().into())
    }
}
