use std::cell::RefCell;

use serde_json::Value;

use crate::model::entropy::Entropy;
use crate::model::entropy::JavaRandom;
use crate::query::intrinsic::Arity;
use crate::query::intrinsic::Intrinsic;
use crate::query::intrinsic::argument::Argument;
use crate::query::intrinsic::argument::Invalid;
use crate::query::intrinsic::argument::integer;

/// `States.MathRandom(start, end, seed) -> number`: `start` included, `end` not; the same seed gives the same number.
pub(super) struct MathRandom;

impl Intrinsic for MathRandom {
    fn name(&self) -> &'static str {
        "States.MathRandom"
    }

    fn arity(&self) -> Arity {
        Arity::between(2, 3)
    }

    fn call(&self, arguments: &[Argument<'_>], entropy: &RefCell<Entropy>) -> Result<Value, Invalid> {
        let start = integer(arguments, 0)?;
        let end = integer(arguments, 1)?;
        let span = i64::from(end) - i64::from(start);
        if span < 1 {
            return Err(Invalid);
        }
        let offset = if arguments.len() > 2 {
            let mut random = JavaRandom::new(integer(arguments, 2)?.into());
            match i32::try_from(span) {
                Ok(bound) => random.next_int(bound).into(),
                Err(_) => (random.next_double() * span as f64) as i64,
            }
        } else {
            (entropy.borrow_mut().next_f64() * span as f64) as i64
        };
        Ok((i64::from(start) + offset).into())
    }
}
