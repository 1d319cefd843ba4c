//! The 18 intrinsic functions: one file each.
//!
//! To add one: copy `array_length.rs`, then list it in `FUNCTIONS` below.

mod argument;
mod array;
mod array_contains;
mod array_get_item;
mod array_length;
mod array_partition;
mod array_range;
mod array_unique;
mod base64_decode;
mod base64_encode;
pub mod call;
mod format;
mod hash;
mod json_merge;
mod json_to_string;
mod math_add;
mod math_random;
mod parser;
mod string_split;
mod string_to_json;
#[cfg(test)]
mod tests;
mod uuid;

use std::cell::RefCell;

use serde_json::Value;

use crate::model::entropy::Entropy;
use crate::query::intrinsic::argument::Argument;
use crate::query::intrinsic::argument::Invalid;

/// An intrinsic function.
trait Intrinsic: Sync {
    /// The name with `States.`.
    fn name(&self) -> &'static str;
    /// How many arguments it takes.
    fn arity(&self) -> Arity;
    /// Calls it.
    fn call(&self, arguments: &[Argument<'_>], entropy: &RefCell<Entropy>) -> Result<Value, Invalid>;
}

/// Every intrinsic function, by name.
static FUNCTIONS: [&dyn Intrinsic; 18] = [
    &array::Array,
    &array_contains::ArrayContains,
    &array_get_item::ArrayGetItem,
    &array_length::ArrayLength,
    &array_partition::ArrayPartition,
    &array_range::ArrayRange,
    &array_unique::ArrayUnique,
    &base64_decode::Base64Decode,
    &base64_encode::Base64Encode,
    &format::Format,
    &hash::Hash,
    &json_merge::JsonMerge,
    &json_to_string::JsonToString,
    &math_add::MathAdd,
    &math_random::MathRandom,
    &string_split::StringSplit,
    &string_to_json::StringToJson,
    &uuid::Uuid,
];

impl std::fmt::Debug for dyn Intrinsic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// How many arguments a function takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Arity {
    least: usize,
    most: usize,
}

impl Arity {
    const fn exactly(count: usize) -> Self {
        Self {
            least: count,
            most: count,
        }
    }

    const fn between(least: usize, most: usize) -> Self {
        Self { least, most }
    }

    const fn at_least(least: usize) -> Self {
        Self {
            least,
            most: usize::MAX,
        }
    }

    const fn admits(self, count: usize) -> bool {
        self.least <= count && count <= self.most
    }
}
