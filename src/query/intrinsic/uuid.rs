use std::cell::RefCell;

use serde_json::Value;

use crate::model::entropy::Entropy;
use crate::query::intrinsic::Arity;
use crate::query::intrinsic::Intrinsic;
use crate::query::intrinsic::argument::Argument;
use crate::query::intrinsic::argument::Invalid;

/// `States.UUID() -> text`: a version 4 UUID.
pub(super) struct Uuid;

impl Intrinsic for Uuid {
    fn name(&self) -> &'static str {
        "States.UUID"
    }

    fn arity(&self) -> Arity {
        Arity::exactly(0)
    }

    fn call(&self, _: &[Argument<'_>], entropy: &RefCell<Entropy>) -> Result<Value, Invalid> {
        Ok(entropy.borrow_mut().uuid().into())
    }
}
