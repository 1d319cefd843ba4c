use std::cell::RefCell;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::DecodePaddingMode;
use base64::engine::GeneralPurpose;
use base64::engine::GeneralPurposeConfig;
use serde_json::Value;

use crate::model::entropy::Entropy;
use crate::query::intrinsic::Arity;
use crate::query::intrinsic::Intrinsic;
use crate::query::intrinsic::argument::Argument;
use crate::query::intrinsic::argument::Invalid;
use crate::query::intrinsic::argument::check_length;
use crate::query::intrinsic::argument::string;

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// `States.Base64Decode(text) -> text`: as in Java, padding may be missing, but not a part of it.
pub(super) struct Base64Decode;

impl Intrinsic for Base64Decode {
    fn name(&self) -> &'static str {
        "States.Base64Decode"
    }

    fn arity(&self) -> Arity {
        Arity::exactly(1)
    }

    fn call(&self, arguments: &[Argument<'_>], _: &RefCell<Entropy>) -> Result<Value, Invalid> {
        let text = string(arguments, 0)?;
        check_length(text)?;
        if text.ends_with('=') && text.len() % 4 != 0 {
            return Err(Invalid);
        }
        let bytes = LENIENT.decode(text).map_err(|_| Invalid)?;
        Ok(String::from_utf8_lossy(&bytes).into())
    }
}
