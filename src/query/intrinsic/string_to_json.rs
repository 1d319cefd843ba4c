use std::cell::RefCell;

use serde_json::Value;

use crate::model::entropy::Entropy;
use crate::query::intrinsic::Arity;
use crate::query::intrinsic::Intrinsic;
use crate::query::intrinsic::argument::Argument;
use crate::query::intrinsic::argument::Invalid;
use crate::query::intrinsic::argument::string;

/// `States.StringToJson(text) -> value`: blank text is `null`.
pub(super) struct StringToJson;

impl Intrinsic for StringToJson {
    fn name(&self) -> &'static str {
        "States.StringToJson"
    }

    fn arity(&self) -> Arity {
        Arity::exactly(1)
    }

    fn call(&self, arguments: &[Argument<'_>], _: &RefCell<Entropy>) -> Result<Value, Invalid> {
        let text = string(arguments, 0)?.trim_matches([' ', '\t', '\n', '\r']);
        match text {
            "" => Ok(Value::Null),
            // Java knows no negative zero among whole numbers.
            "-0" => Ok(0.into()),
            text => serde_json::from_str(text).map_err(|_| Invalid),
        }
    }
}
