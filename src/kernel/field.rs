//! Numbers and texts that may be computed.

use serde_json::Value;

use crate::asl::definition::NumberField;
use crate::asl::definition::TextField;
use crate::kernel::context::Extra;
use crate::kernel::context::with_env;
use crate::kernel::core::Cx;
use crate::kernel::failure::Failure;
use crate::kernel::frame::FrameId;
use crate::model::payload::Payload;
use crate::query::jsonata::expression::Expression;
use crate::query::jsonata::expression::unexpected_type;
use crate::query::jsonpath::path::Path;

impl Cx<'_> {
    /// Evaluates a path with what `frame` sees; a path that leads nowhere is `Invalid path '…' : …`.
    pub(super) fn path(&self, frame: FrameId, path: &Path, input: &Payload) -> Result<Payload, Failure> {
        with_env(
            self.definition,
            self.core,
            frame,
            input.clone(),
            &Extra::default(),
            |env| path.evaluate(env),
        )
        .map_err(Failure::from)
    }

    /// Evaluates an expression with what `frame` sees.
    pub(super) fn expression(&self, frame: FrameId, expression: &Expression, field: &str) -> Result<Payload, Failure> {
        let input = self.core.frame(frame).input.clone();
        with_env(self.definition, self.core, frame, input, &Extra::default(), |env| {
            expression.evaluate_payload(env, field)
        })
        .map_err(Failure::from)
    }

    /// Resolves a field that must be a whole number, `minimum` or more.
    pub(super) fn whole_number(
        &self,
        frame: FrameId,
        number: &NumberField,
        name: &str,
        input: &Payload,
        minimum: i64,
    ) -> Result<u64, Failure> {
        let found = self.signed_number(frame, number, name, input)?;
        if found < minimum {
            let text = match minimum {
                0 => format!("{name} cannot be negative."),
                _ => format!("{name} must be at least {minimum}, but was {found}."),
            };
            return Err(match number {
                NumberField::Expression(_) => Failure::Evaluation {
                    cause: text,
                    location: Some(name.to_owned()),
                },
                _ => Failure::runtime(text),
            });
        }
        Ok(found.unsigned_abs())
    }

    /// Resolves a field that must be a whole number.
    pub(super) fn signed_number(
        &self,
        frame: FrameId,
        number: &NumberField,
        name: &str,
        input: &Payload,
    ) -> Result<i64, Failure> {
        match number {
            NumberField::Literal(number) => Ok(*number as i64),
            NumberField::Path(path) => {
                let value = self.path(frame, path, input)?;
                // AWS reads the value's text as an integer: `"2"` is one, `2.0` is none (recorded).
                let found = match value.value() {
                    Value::String(text) => text.parse().ok(),
                    other => other.as_i64(),
                };
                found.ok_or_else(|| Failure::runtime(not_a_number(name, &value, path, "integer")))
            }
            NumberField::Expression(expression) => {
                let value = self.expression(frame, expression, name)?;
                match value.value().as_f64() {
                    Some(number) => Ok(number.floor() as i64),
                    None => Err(unexpected_type(expression, name, "number", value.value()).into()),
                }
            }
        }
    }

    /// Resolves `ToleratedFailurePercentage`.
    pub(super) fn percentage(&self, frame: FrameId, number: &NumberField, input: &Payload) -> Result<f64, Failure> {
        let name = "ToleratedFailurePercentage";
        let found = match number {
            NumberField::Literal(number) => *number,
            NumberField::Path(path) => {
                let value = self.path(frame, path, input)?;
                match value.value().as_f64() {
                    Some(number) => number,
                    None => return Err(Failure::runtime(not_a_number(name, &value, path, "float"))),
                }
            }
            NumberField::Expression(expression) => {
                let value = self.expression(frame, expression, name)?;
                match value.value().as_f64() {
                    Some(number) => number,
                    None => return Err(unexpected_type(expression, name, "number", value.value()).into()),
                }
            }
        };
        if !(0.0..=100.0).contains(&found) {
            let text = format!("{name} must be between 0 and 100.");
            return Err(match number {
                NumberField::Expression(_) => Failure::Evaluation {
                    cause: text,
                    location: Some(name.to_owned()),
                },
                _ => Failure::runtime(text),
            });
        }
        Ok(found)
    }

    /// Resolves `Error`, `Cause` or `RoleArn`; `name` is the field, `path_name` its `…Path` form.
    pub(super) fn text(
        &self,
        frame: FrameId,
        text: &TextField,
        name: &str,
        path_name: &str,
    ) -> Result<String, Failure> {
        let input = self.core.frame(frame).input.clone();
        let extra = Extra::default();
        match text {
            TextField::Literal(text) => Ok(text.to_string()),
            TextField::Path(path) => {
                let found = with_env(self.definition, self.core, frame, input.clone(), &extra, |env| {
                    path.find(env).map_err(|_| match path.root() {
                        crate::query::jsonpath::path::Root::Context => env.context.get().text().to_owned(),
                        _ => input.text().to_owned(),
                    })
                });
                let found = found.map_err(|input| {
                    Failure::runtime(format!(
                        "The JSONPath '{}' specified for the field '{path_name}' could not be found in the input '{input}'",
                        path.text()
                    ))
                })?;
                match found.value() {
                    Value::String(text) => Ok(text.clone()),
                    other => Err(Failure::runtime(format!(
                        "The JSONPath '{}' specified for the field '{path_name}' must resolve to a string, but was: {other}",
                        path.text()
                    ))),
                }
            }
            TextField::Call(call) => {
                let value = with_env(self.definition, self.core, frame, input, &extra, |env| {
                    call.evaluate(env)
                })?;
                match value {
                    Value::String(text) => Ok(text),
                    other => Err(Failure::runtime(format!(
                        "The function '{}' specified for the field '{path_name}' must return a string, but was: {other}",
                        call.text()
                    ))),
                }
            }
            TextField::Expression(expression) => match self.expression(frame, expression, name)?.value() {
                Value::String(text) => Ok(text.clone()),
                other => Err(unexpected_type(expression, name, "string", other).into()),
            },
        }
    }
}

fn not_a_number(name: &str, value: &Payload, path: &Path, kind: &str) -> String {
    let shown = match value.value() {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    format!(
        "The {name}Path field refers to value \"{shown}\" which is not a valid {kind}: {}",
        path.text()
    )
}
