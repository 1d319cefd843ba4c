//! A compiled call.

use std::cell::RefCell;
use std::sync::Arc;

use serde_json::Value;

use crate::model::entropy::Entropy;
use crate::query::env::Env;
use crate::query::error::CompileError;
use crate::query::error::QueryError;
use crate::query::intrinsic::argument::Argument;
use crate::query::intrinsic::parser;
use crate::query::intrinsic::parser::Expression;
use crate::query::intrinsic::parser::Node;
use crate::query::jsonpath::path::Found;
use crate::query::jsonpath::path::Path;
use crate::query::jsonpath::path::PathFailure;
use crate::query::jsonpath::path::Root;

/// A part of a call.
#[derive(Clone, Debug)]
pub enum Part<'a> {
    /// Another call.
    Call(Parts<'a>),
    /// A number, a text, `null`, `true`, `false`.
    Constant(&'a Value),
    /// A path.
    Path(&'a Path),
}

/// A call taken apart.
#[derive(Clone, Debug)]
pub struct Parts<'a> {
    /// The function's name, with `States.`.
    pub function: &'static str,
    /// Its arguments.
    pub arguments: Vec<Part<'a>>,
    node: &'a Node,
}

impl<'a> Parts<'a> {
    fn of(node: &'a Node) -> Self {
        let arguments = node.arguments.iter().map(|expression| match expression {
            Expression::Call(inner) => Part::Call(Self::of(inner)),
            Expression::Constant(value, _) => Part::Constant(value),
            Expression::Path(path) => Part::Path(path),
        });
        Self {
            function: node.function.name(),
            arguments: arguments.collect(),
            node,
        }
    }

    /// Tells whether the call fails whatever its paths select: by its constants alone, or because
    /// `States.Format` has more or fewer values than places for them.
    pub fn always_fails(&self) -> bool {
        let counts_only = self.function == "States.Format";
        let mut arguments = Vec::with_capacity(self.arguments.len());
        for (index, expression) in self.node.arguments.iter().enumerate() {
            arguments.push(match expression {
                Expression::Constant(value, raw) => Argument::constant(value, raw.as_deref()),
                _ if counts_only && index > 0 => Argument::constant(&Value::Null, None),
                _ => return false,
            });
        }
        let chance = RefCell::new(Entropy::new(0));
        self.node.function.call(&arguments, &chance).is_err()
    }
}

/// A compiled intrinsic call, for example `States.Format('{}', $.a)`.
#[derive(Clone, Debug)]
pub struct Call {
    text: Arc<str>,
    node: Arc<Node>,
}

/// An argument of a call, as written.
#[derive(Clone, Debug)]
pub enum Given<'c> {
    /// The name of another function, and what that is given.
    Call(&'static str, Vec<Self>),
    /// A value.
    Constant(&'c Value),
    /// A path.
    Path(&'c Path),
}

impl Call {
    /// Compiles a call.
    pub fn parse(text: &str) -> Result<Self, CompileError> {
        match parser::parse(text) {
            Ok(node) => Ok(Self {
                text: text.into(),
                node: Arc::new(node),
            }),
            Err(trouble) => Err(CompileError {
                key: None,
                code: "SCHEMA_VALIDATION_FAILED",
                message: "Value is not a valid intrinsic function call".to_owned(),
                location: String::new(),
                offset: Some(trouble.0),
            }),
        }
    }

    /// The expression as written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The function's name.
    pub fn function(&self) -> &str {
        self.node.function.name()
    }

    /// What the function is given.
    pub fn arguments(&self) -> Vec<Given<'_>> {
        given(&self.node)
    }

    /// The names of workflow variables read, without `$`, in order of first appearance.
    pub fn variables(&self) -> Vec<String> {
        let mut names = Vec::new();
        collect_variables(&self.node, &mut names);
        names
    }

    /// Takes the call apart.
    pub fn parts(&self) -> Parts<'_> {
        Parts::of(&self.node)
    }

    /// Calls.
    pub fn evaluate(&self, env: &Env<'_>) -> Result<Value, QueryError> {
        self.run(&self.node, env)
    }

    /// The parser bounds how deep calls nest.
    fn run(&self, node: &Node, env: &Env<'_>) -> Result<Value, QueryError> {
        let mut arguments = Vec::with_capacity(node.arguments.len());
        for expression in &node.arguments {
            arguments.push(match expression {
                Expression::Constant(value, raw) => Argument::constant(value, raw.as_deref()),
                Expression::Path(path) => match path.resolve(env) {
                    Ok(found) => Argument::new(found),
                    Err(failure) => return Err(self.missing(path, &failure, env)),
                },
                Expression::Call(inner) => Argument::new(Found::Owned(self.run(inner, env)?)),
            });
        }
        node.function.call(&arguments, env.entropy).map_err(|_| {
            QueryError::Runtime(format!(
                "There was an error while evaluating the intrinsic function: {}. Invalid arguments in {}",
                self.text,
                node.function.name()
            ))
        })
    }

    fn missing(&self, path: &Path, failure: &PathFailure, env: &Env<'_>) -> QueryError {
        let trouble = match path.unassigned(env) {
            Some(sentence) => sentence,
            None if failure.is_not_found() => {
                // Step Functions Local names a context path with a single `$` and shows the state's input.
                let shown = match path.root() {
                    Root::Context => path.text().strip_prefix('$').unwrap_or_default(),
                    _ => path.text(),
                };
                format!(
                    "The JsonPath argument for the field '{shown}' could not be found in the input '{}'",
                    env.input.value()
                )
            }
            None => failure.to_string(),
        };
        QueryError::Runtime(format!(
            "The function '{}' had the following error: {trouble}",
            self.text
        ))
    }
}

/// The parser bounds how deep calls nest.
fn given(node: &Node) -> Vec<Given<'_>> {
    let arguments = node.arguments.iter();
    arguments
        .map(|argument| match argument {
            Expression::Constant(value, _) => Given::Constant(value),
            Expression::Path(path) => Given::Path(path),
            Expression::Call(inner) => Given::Call(inner.function.name(), given(inner)),
        })
        .collect()
}

fn collect_variables(node: &Node, names: &mut Vec<String>) {
    for expression in &node.arguments {
        match expression {
            Expression::Constant(..) => {}
            Expression::Path(path) => {
                if let Root::Variable(name) = path.root()
                    && !names.iter().any(|known| **known == **name)
                {
                    names.push(name.to_string());
                }
            }
            Expression::Call(inner) => collect_variables(inner, names),
        }
    }
}
