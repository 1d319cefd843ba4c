use std::cell::RefCell;

use serde_json::Value;

use crate::model::entropy::Entropy;
use crate::query::intrinsic::Arity;
use crate::query::intrinsic::Intrinsic;
use crate::query::intrinsic::argument::Argument;
use crate::query::intrinsic::argument::Invalid;
use crate::query::intrinsic::argument::string;
use crate::query::jsonpath::java;

/// `States.Format(template, value, …) -> text`: each `{}` stands for the next value, printed as Java prints it.
pub(super) struct Format;

impl Intrinsic for Format {
    fn name(&self) -> &'static str {
        "States.Format"
    }

    fn arity(&self) -> Arity {
        Arity::at_least(1)
    }

    fn call(&self, arguments: &[Argument<'_>], _: &RefCell<Entropy>) -> Result<Value, Invalid> {
        let template = string(arguments, 0)?;
        let mut values = arguments.iter().skip(1);
        let mut text = String::with_capacity(template.len() + 16 * values.len());
        // Braces can be escaped only in a template that is written in the call.
        let (mut rest, escapes) = match arguments.first().and_then(Argument::raw) {
            Some(raw) => (raw, true),
            None => (template, false),
        };
        while let Some(found) = rest.find(['{', '\\']) {
            let (before, from) = rest.split_at(found);
            text.push_str(before);
            if let Some(behind) = from.strip_prefix("{}") {
                java::write(values.next().ok_or(Invalid)?, &mut text);
                rest = behind;
                continue;
            }
            let mut characters = from.chars();
            let character = match characters.next() {
                Some('\\') if escapes => characters.next(),
                plain => plain,
            };
            text.extend(character);
            rest = characters.as_str();
        }
        text.push_str(rest);
        match values.next() {
            Some(_) => Err(Invalid),
            None => Ok(text.into()),
        }
    }
}
