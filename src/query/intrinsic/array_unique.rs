use std::cell::RefCell;
use std::collections::BTreeSet;

use serde_json::Value;

use crate::model::entropy::Entropy;
use crate::query::intrinsic::Arity;
use crate::query::intrinsic::Intrinsic;
use crate::query::intrinsic::argument::Argument;
use crate::query::intrinsic::argument::Invalid;
use crate::query::intrinsic::argument::array;

/// `States.ArrayUnique(array) -> array`: each different element once, in order of first appearance.
pub(super) struct ArrayUnique;

impl Intrinsic for ArrayUnique {
    fn name(&self) -> &'static str {
        "States.ArrayUnique"
    }

    fn arity(&self) -> Arity {
        Arity::exactly(1)
    }

    fn call(&self, arguments: &[Argument<'_>], _: &RefCell<Entropy>) -> Result<Value, Invalid> {
        let mut seen = BTreeSet::new();
        let mut unique = Vec::new();
        for item in array(arguments, 0)? {
            if seen.insert(canonical(item)) {
                unique.push(item.clone());
            }
        }
        Ok(Value::Array(unique))
    }
}

/// A text that is the same for equal values: members sorted by name.
fn canonical(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(",")),
        Value::Object(members) => {
            let mut texts: Vec<_> = members
                .iter()
                .map(|(name, member)| format!("{name:?}:{}", canonical(member)))
                .collect();
            texts.sort_unstable();
            format!("{{{}}}", texts.join(","))
        }
        other => other.to_string(),
    }
}
