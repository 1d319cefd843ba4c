use std::cell::RefCell;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::model::entropy::Entropy;
use crate::query::intrinsic::Arity;
use crate::query::intrinsic::Intrinsic;
use crate::query::intrinsic::argument::Argument;
use crate::query::intrinsic::argument::Invalid;
use crate::query::intrinsic::argument::check_length;
use crate::query::intrinsic::argument::string;

/// `States.Base64Encode(text) -> text`
pub(super) struct Base64Encode;

impl Intrinsic for Base64Encode {
    fn name(&self) -> &'static str {
        "States.Base64Encode"
    }

    fn arity(&self) -> Arity {
        Arity::exactly(1)
    }

    fn call(&self, arguments: &[Argument<'_>], _: &RefCell<Entropy>) -> Result<Value, Invalid> {
        let text = string(arguments, 0)?;
        check_length(text)?;
        Ok(STANDARD.encode(text).into())
    }
}
