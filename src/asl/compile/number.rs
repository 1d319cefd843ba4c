//! Numbers that may be computed.

use crate::asl::compile::fields::Object;
use crate::asl::compile::machine::Compiler;
use crate::asl::definition::NumberField;
use crate::asl::node::Kind;
use crate::query::jsonata::expression::Expression;
use crate::query::jsonata::expression::FieldScope;

/// What a literal number may be.
#[derive(Clone, Copy)]
pub(super) struct Range {
    pub(super) min: f64,
    pub(super) max: f64,
    pub(super) is_integer: bool,
    /// Whether the path may begin with `$$`.
    pub(super) takes_context: bool,
}

impl Range {
    /// Whole numbers from `min` to `max`.
    pub(super) const fn integer(min: u32, max: u32) -> Self {
        Self {
            min: min as f64,
            max: max as f64,
            is_integer: true,
            takes_context: true,
        }
    }

    /// The same, without `$$` in the path.
    pub(super) const fn without_context(self) -> Self {
        Self {
            takes_context: false,
            ..self
        }
    }

    fn shown(self, bound: f64) -> String {
        if self.is_integer {
            format!("{bound:.0}")
        } else {
            format!("{bound:?}")
        }
    }
}

impl<'n> Compiler<'n, '_> {
    /// Reads `name` or its `…Path`.
    pub(super) fn number(&mut self, object: &Object<'n>, name: &str, range: Range) -> Option<NumberField> {
        let path_name = format!("{name}Path");
        if !self.is_jsonata() {
            if !self.at_most_one(object, &[name, &path_name]) {
                return None;
            }
            if object.has(&path_name) {
                let path = if range.takes_context {
                    self.reference_path(object, &path_name)
                } else {
                    self.input_reference_path(object, &path_name)
                };
                return path.map(NumberField::Path);
            }
        }
        let node = object.get(name)?;
        match &node.kind {
            Kind::Open(text) if !Expression::is_expression(text) => Some(NumberField::Literal(range.min.max(1.0))),
            Kind::Open(text) | Kind::String(text) if self.is_jsonata() && Expression::is_expression(text) => self
                .expression(object, name, text, FieldScope::Input)
                .map(NumberField::Expression),
            Kind::Number(number) => {
                let value = number.as_f64()?;
                self.literal(object, name, value, range)
            }
            _ => {
                let expected = if range.is_integer { "INTEGER" } else { "NUMBER" };
                self.wrong_type(&object.at(name), node, expected);
                None
            }
        }
    }

    /// Reads a number that can only be written out.
    pub(super) fn plain_number(&mut self, object: &Object<'n>, name: &str, range: Range) -> Option<NumberField> {
        let node = object.get(name)?;
        match &node.kind {
            Kind::Open(_) => Some(NumberField::Literal(range.min)),
            Kind::Number(number) => self.literal(object, name, number.as_f64()?, range),
            _ => {
                self.wrong_type(&object.at(name), node, "NUMBER");
                None
            }
        }
    }

    fn literal(&mut self, object: &Object<'n>, name: &str, value: f64, range: Range) -> Option<NumberField> {
        let message = if range.is_integer && value.fract() != 0.0 {
            "Expected value of type [INTEGER]".to_owned()
        } else if value < range.min {
            format!("Minimum value is {}", range.shown(range.min))
        } else if range.max < value {
            format!("Maximum value is {}", range.shown(range.max))
        } else {
            return Some(NumberField::Literal(value));
        };
        self.refuse_field(object, name, message);
        None
    }
}
