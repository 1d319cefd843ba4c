//! Paths, expressions and templates inside fields.

use std::sync::Arc;

use crate::asl::compile::fields::Object;
use crate::asl::compile::machine::Compiler;
use crate::asl::definition::PathField;
use crate::asl::definition::QueryLanguage;
use crate::asl::definition::ResultPath;
use crate::asl::definition::TextField;
use crate::asl::node::Kind;
use crate::asl::node::Node;
use crate::query::error::CompileError;
use crate::query::intrinsic::call::Call;
use crate::query::jsonata::expression::Expression;
use crate::query::jsonata::expression::FieldScope;
use crate::query::jsonpath::path::Path;
use crate::query::jsonpath::path::Root;
use crate::query::template::Template;

const NO_REFERENCE_PATH: &str = "Value is not a Reference Path";
/// Errors of one field whose leaf is looked up: each look-up passes over the members of every object on its way.
const LEAVES_MAX: usize = 100;

impl<'n> Compiler<'n, '_> {
    /// Tells whether the state speaks JSONata.
    pub(super) fn is_jsonata(&self) -> bool {
        self.here.language == QueryLanguage::JsonAta
    }

    /// Notes the variables that a field of this state reads.
    fn reads(&mut self, names: impl IntoIterator<Item = String>) {
        let mut names = names.into_iter().peekable();
        if names.peek().is_some() {
            self.variable_reads.entry(self.here.state).or_default().extend(names);
        }
    }

    /// Notes what the query room refuses.
    fn errors(&mut self, node: &Node, at: &str, errors: impl IntoIterator<Item = CompileError>) {
        for (index, error) in errors.into_iter().enumerate() {
            let span = if index < LEAVES_MAX {
                let place = node.follow(&error.location);
                error
                    .key
                    .as_deref()
                    .and_then(|key| place.get(key))
                    .unwrap_or(place)
                    .span
            } else {
                node.span
            };
            self.report(error.code, &format!("{at}{}", error.location), span, error.message);
        }
    }

    /// Compiles a template of the state's language.
    pub(super) fn template(&mut self, object: &Object<'n>, name: &str, scope: FieldScope) -> Option<Template> {
        let node = object.get(name)?;
        let value = node.to_value();
        let template = if self.is_jsonata() {
            Template::parse_jsonata(&value, scope)
        } else {
            Template::parse_jsonpath(&value)
        };
        let template = template
            .map_err(|errors| self.errors(node, &object.at(name), errors))
            .ok()?;
        self.reads(template.variables());
        Some(template)
    }

    /// Compiles a template if the state speaks JSONPath.
    pub(super) fn jsonpath_template(&mut self, object: &Object<'n>, name: &str) -> Option<Template> {
        if self.is_jsonata() || !self.is_template_object(object, name) {
            return None;
        }
        self.template(object, name, FieldScope::Input)
    }

    /// Refuses a template that is neither an object nor, in JSONata, one expression that may give one.
    fn is_template_object(&mut self, object: &Object<'n>, name: &str) -> bool {
        let Some(node) = object.get(name) else {
            return false;
        };
        let is_object = match &node.kind {
            Kind::Object(_) | Kind::Open(_) => true,
            // One delimiter without the other has a sentence of its own.
            Kind::String(text) => self.is_jsonata() && (text.starts_with("{%") || text.ends_with("%}")),
            _ => false,
        };
        if !is_object {
            self.wrong_type(&object.at(name), node, "OBJECT");
        }
        is_object
    }

    /// Compiles a template if the state speaks JSONata.
    pub(super) fn jsonata_template(&mut self, object: &Object<'n>, name: &str, scope: FieldScope) -> Option<Template> {
        if !self.is_jsonata() {
            return None;
        }
        self.template(object, name, scope)
    }

    /// Compiles `Arguments` or `Parameters`, whichever belongs to the language.
    pub(super) fn parameters(&mut self, object: &Object<'n>) -> Option<Template> {
        let name = if self.is_jsonata() { "Arguments" } else { "Parameters" };
        if !self.is_template_object(object, name) {
            return None;
        }
        self.template(object, name, FieldScope::Input)
    }

    /// Compiles an expression.
    pub(super) fn expression(
        &mut self,
        object: &Object<'n>,
        name: &str,
        text: &str,
        scope: FieldScope,
    ) -> Option<Expression> {
        let node = object.get(name)?;
        let expression = Expression::parse(text, scope)
            .map_err(|errors| self.errors(node, &object.at(name), errors))
            .ok()?;
        self.reads(expression.variables());
        Some(expression)
    }

    /// Compiles any path.
    pub(super) fn path(&mut self, object: &Object<'n>, name: &str) -> Option<Path> {
        let text = self.string(object, name)?;
        let node = object.get(name)?;
        let text = if node.is_open() && !text.starts_with('$') {
            "$.x"
        } else {
            text
        };
        let path = Path::parse(text)
            .map_err(|error| self.errors(node, &object.at(name), [error]))
            .ok()?;
        if let Root::Variable(name) = path.root() {
            self.reads([name.to_string()]);
        }
        Some(path)
    }

    /// Compiles a reference path.
    pub(super) fn reference_path(&mut self, object: &Object<'n>, name: &str) -> Option<Path> {
        let path = self.path(object, name)?;
        if path.is_reference() {
            return Some(path);
        }
        self.refuse_field(object, name, NO_REFERENCE_PATH);
        None
    }

    /// Compiles a reference path that may not begin with `$$`.
    pub(super) fn input_reference_path(&mut self, object: &Object<'n>, name: &str) -> Option<Path> {
        let path = self.reference_path(object, name)?;
        if *path.root() != Root::Context {
            return Some(path);
        }
        self.refuse_field(object, name, NO_REFERENCE_PATH);
        None
    }

    /// Compiles `InputPath` or `OutputPath`.
    pub(super) fn path_field(&mut self, object: &Object<'n>, name: &str) -> PathField {
        if self.is_jsonata() {
            return PathField::Whole;
        }
        match object.get(name).map(|node| &node.kind) {
            None => PathField::Whole,
            Some(Kind::Null) => PathField::Empty,
            Some(_) => match self.path(object, name) {
                Some(path) if path.text() != "$" => PathField::Path(path),
                _ => PathField::Whole,
            },
        }
    }

    /// Compiles `ResultPath`: a place in the input, so neither the context nor a variable.
    pub(super) fn result_path(&mut self, object: &Object<'n>) -> ResultPath {
        if self.is_jsonata() {
            return ResultPath::Replace;
        }
        match object.get("ResultPath").map(|node| &node.kind) {
            None => return ResultPath::Replace,
            Some(Kind::Null) => return ResultPath::Discard,
            Some(_) => {}
        }
        let Some(path) = self.reference_path(object, "ResultPath") else {
            return ResultPath::Replace;
        };
        if *path.root() != Root::Input {
            self.refuse_field(object, "ResultPath", NO_REFERENCE_PATH);
        }
        if path.text() == "$" {
            return ResultPath::Replace;
        }
        ResultPath::At(path)
    }

    /// Compiles a text: literal or expression in `name`, path or intrinsic call in `path_name`.
    pub(super) fn text_field(&mut self, object: &Object<'n>, name: &str, path_name: &str) -> Option<TextField> {
        if !self.at_most_one(object, &[name, path_name]) {
            return None;
        }
        if object.has(path_name) {
            if self.is_jsonata() {
                return None;
            }
            let text = self.string(object, path_name)?;
            let node = object.get(path_name)?;
            if text.starts_with('$') || node.is_open() {
                return self.path(object, path_name).map(TextField::Path);
            }
            let call = Call::parse(text)
                .map_err(|error| self.errors(node, &object.at(path_name), [error]))
                .ok()?;
            self.reads(call.variables());
            return Some(TextField::Call(call));
        }
        let text = self.string(object, name)?;
        if self.is_jsonata() && Expression::is_expression(text) {
            return self
                .expression(object, name, text, FieldScope::Input)
                .map(TextField::Expression);
        }
        Some(TextField::Literal(Arc::from(text)))
    }
}
