use std::cell::RefCell;

use serde_json::Value;

use crate::model::entropy::Entropy;
use crate::query::intrinsic::Arity;
use crate::query::intrinsic::Intrinsic;
use crate::query::intrinsic::argument::Argument;
use crate::query::intrinsic::argument::Invalid;
use crate::query::intrinsic::argument::string;

/// `States.StringSplit(text, delimiters) -> array`: every character of `delimiters` splits; empty pieces are dropped.
pub(super) struct StringSplit;

impl Intrinsic for StringSplit {
    fn name(&self) -> &'static str {
        "States.StringSplit"
    }

    fn arity(&self) -> Arity {
        Arity::exactly(2)
    }

    fn call(&self, arguments: &[Argument<'_>], _: &RefCell<Entropy>) -> Result<Value, Invalid> {
        let text = string(arguments, 0)?;
        let delimiters = string(arguments, 1)?;
        Ok(text
            .split(|c| delimiters.contains(c))
            .filter(|piece| !piece.is_empty())
            .map(Value::from)
            .collect())
    }
}
