//! What single paths and intrinsic functions need of a value.

use serde_json::Value;
use serde_json::json;

use crate::explore::condition::NO_GROUP;
use crate::explore::shape::Choice as Worth;
use crate::explore::shape::Kinds;
use crate::explore::shape::Shape;
use crate::query::intrinsic::call::Given;
use crate::query::jsonpath::path::Path;
use crate::query::jsonpath::path::Selected;

/// Wraps a shape into what leads to it.
pub(super) fn nest<'p>(selected: impl DoubleEndedIterator<Item = Selected<'p>>, shape: Shape) -> Shape {
    selected.rev().fold(shape, |shape, step| match step {
        Selected::Member(name) => Shape::with(name, shape),
        Selected::Element(index) => Shape::list(shape).at_least(usize::try_from(index).map_or(1, |index| index + 1)),
        Selected::Elements if shape.elements().is_empty() => Shape::list(shape),
        Selected::Elements => Shape::list(shape.elements()),
        Selected::Found => Shape::default(),
    })
}

/// Splits what is needed of a value into what is needed at a reference path and the rest.
pub(super) fn split(path: &Path, whole: Shape) -> (Shape, Shape) {
    let mut names = Vec::new();
    for step in path.selected() {
        match step {
            Selected::Member(name) => names.push(name),
            // A place in a list: both may be needed.
            _ => return (Shape::default(), whole),
        }
    }
    let mut at = whole.clone();
    for name in &names {
        at = at.member(name);
    }
    let mut rest = whole.without(&names);
    rest.hold_objects(&names);
    (at, rest)
}

/// Returns what an intrinsic function needs of an argument.
pub(super) fn of_argument(function: &str, given: &[Given<'_>], number: usize, result: &Shape) -> Shape {
    let second = match given.get(1) {
        Some(Given::Constant(value)) => Some(*value),
        _ => None,
    };
    let of = |value: Value| Shape::worth([(Worth::Value(value), NO_GROUP)]);
    match (function, number) {
        ("States.Array", _) => result.elements(),
        ("States.ArrayPartition", 0) => Shape::list(result.elements().elements()),
        ("States.ArrayContains" | "States.ArrayLength", 0) => Shape::of(Kinds::ARRAY),
        ("States.ArrayGetItem", 0) => {
            let index = second
                .and_then(Value::as_u64)
                .and_then(|index| usize::try_from(index).ok());
            Shape::list(result.clone()).at_least(index.unwrap_or(0).saturating_add(1))
        }
        ("States.ArrayGetItem", 1) => of(json!(0)),
        ("States.ArrayUnique", 0) => Shape::list(result.elements()),
        ("States.Base64Decode", 0) => of(json!("dGV4dA==")),
        // A text of which all parts are there.
        ("States.StringSplit", 0) => {
            let between = second
                .and_then(Value::as_str)
                .and_then(|text| text.chars().next())
                .unwrap_or(',');
            of(json!(vec!["text"; result.length().max(1)].join(&between.to_string())))
        }
        ("States.Base64Encode" | "States.Hash", 0) => Shape::of(Kinds::STRING),
        ("States.Format", 0) => of(json!(vec!["{}"; given.len() - 1].join(" "))),
        ("States.Hash", 1) => of(json!("SHA-256")),
        ("States.StringSplit", 1) => of(json!(",")),
        ("States.JsonMerge", 0 | 1) => {
            let mut object = Shape::of(Kinds::OBJECT);
            object.merge(result);
            object
        }
        // A condition on the text is one on what becomes it.
        ("States.JsonToString", 0) => match result.parsed() {
            parsed if parsed.is_empty() => result.clone(),
            parsed => parsed,
        },
        ("States.StringToJson", 0) => Shape::json(result.clone()),
        ("States.MathRandom", 1) => of(json!(10)),
        ("States.MathAdd" | "States.MathRandom" | "States.ArrayRange" | "States.ArrayPartition", _) => {
            Shape::of(Kinds::NUMBER)
        }
        _ => Shape::default(),
    }
}
