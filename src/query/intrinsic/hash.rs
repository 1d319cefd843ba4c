use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt::Write;

use serde_json::Value;
use sha2::Digest;

use crate::model::entropy::Entropy;
use crate::query::intrinsic::Arity;
use crate::query::intrinsic::Intrinsic;
use crate::query::intrinsic::argument::Argument;
use crate::query::intrinsic::argument::Invalid;
use crate::query::intrinsic::argument::check_length;
use crate::query::intrinsic::argument::string;
use crate::query::intrinsic::argument::value;

/// `States.Hash(data, algorithm) -> text`: lower-case hexadecimal; data other than text is hashed as compact JSON.
pub(super) struct Hash;

impl Intrinsic for Hash {
    fn name(&self) -> &'static str {
        "States.Hash"
    }

    fn arity(&self) -> Arity {
        Arity::exactly(2)
    }

    fn call(&self, arguments: &[Argument<'_>], _: &RefCell<Entropy>) -> Result<Value, Invalid> {
        let data = match value(arguments, 0)? {
            Value::String(text) => Cow::Borrowed(text.as_str()),
            other => Cow::Owned(other.to_string()),
        };
        check_length(&data)?;
        let hash = match string(arguments, 1)? {
            "MD5" => hex(&md5::Md5::digest(data.as_bytes())),
            "SHA-1" => hex(&sha1::Sha1::digest(data.as_bytes())),
            "SHA-256" => hex(&sha2::Sha256::digest(data.as_bytes())),
            "SHA-384" => hex(&sha2::Sha384::digest(data.as_bytes())),
            "SHA-512" => hex(&sha2::Sha512::digest(data.as_bytes())),
            _ => return Err(Invalid),
        };
        Ok(hash.into())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
