//! A compiled path.

use std::borrow::Cow;
use std::ops::Deref;
use std::sync::Arc;

use serde_json::Map;
use serde_json::Value;

use crate::model::payload::Payload;
use crate::query::env::ContextForm;
use crate::query::env::Env;
use crate::query::error::CompileError;
use crate::query::error::QueryError;
use crate::query::jsonpath::function::element;
use crate::query::jsonpath::parser;
use crate::query::jsonpath::step::Step;
use crate::query::jsonpath::step::Steps;
use crate::query::jsonpath::walk::Walker;

/// Where a path starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Root {
    /// `$`
    Input,
    /// `$$`
    Context,
    /// `$name`
    Variable(Arc<str>),
}

/// A step of a path that selects one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field<'a> {
    /// `[0]`, `[-1]`
    Index(i64),
    /// `.name`
    Name(&'a str),
}

/// A compiled path.
#[derive(Clone, Debug)]
pub struct Path {
    text: Arc<str>,
    root: Root,
    steps: Arc<Steps>,
}

/// A path that selected nothing, in the terms of Jayway's exceptions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathFailure {
    /// `No results for path: $['a']['b']`: only the last step is missing. Holds the whole normal form.
    NoResults(String),
    /// `Missing property in path $['a']`: an earlier step is missing. Holds the prefix's normal form.
    MissingProperty(String),
    /// An array index past the end (payload templates turn it into null). Holds the whole normal form.
    IndexOutOfBounds(String),
    /// Any other complaint, complete.
    Other(String),
}

impl PathFailure {
    /// Whether it stands for Jayway's `PathNotFoundException`; the other kind is `InvalidPathException`.
    pub fn is_not_found(&self) -> bool {
        match self {
            Self::NoResults(_) | Self::MissingProperty(_) | Self::IndexOutOfBounds(_) => true,
            Self::Other(text) => text.starts_with("Expected to find an object") || text.starts_with("The path $"),
        }
    }
}

impl std::fmt::Display for PathFailure {
    /// Jayway's sentence.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoResults(path) | Self::IndexOutOfBounds(path) => write!(f, "No results for path: {path}"),
            Self::MissingProperty(path) => write!(f, "Missing property in path {path}"),
            Self::Other(text) => f.write_str(text),
        }
    }
}

/// What a path found, as little copied as possible.
#[derive(Debug)]
pub(in crate::query) enum Found<'e> {
    /// A part of the input or of the context object, or a constant.
    Borrowed(&'e Value),
    /// A part of a variable, a list, the result of a function.
    Owned(Value),
    /// A whole variable.
    Shared(Payload),
}

impl Found<'_> {
    /// Copies only what is not already its own.
    pub(in crate::query) fn into_value(self) -> Value {
        match self {
            Self::Borrowed(value) => value.clone(),
            Self::Owned(value) => value,
            Self::Shared(payload) => payload.value().clone(),
        }
    }
}

impl Deref for Found<'_> {
    type Target = Value;

    fn deref(&self) -> &Value {
        match self {
            Self::Borrowed(value) => value,
            Self::Owned(value) => value,
            Self::Shared(payload) => payload.value(),
        }
    }
}

/// What a step of a path selects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selected<'p> {
    /// Some or all elements of a list, or all members of an object.
    Elements,
    /// The element of an index; a negative one counts from the end.
    Element(i64),
    /// Something that only the value itself tells.
    Found,
    /// The member of a name.
    Member(&'p str),
}

impl Path {
    /// Compiles a path or reports why it cannot be.
    pub fn parse(text: &str) -> Result<Self, CompileError> {
        match parser::parse(text) {
            Ok((root, steps)) => Ok(Self {
                text: text.into(),
                root,
                steps: Arc::new(steps),
            }),
            Err(trouble) => Err(CompileError {
                key: None,
                code: "SCHEMA_VALIDATION_FAILED",
                message: "Value is not a valid JSONPath".to_owned(),
                location: String::new(),
                offset: Some(trouble.0),
            }),
        }
    }

    /// The text as written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The root.
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// True for `$`, `$$` or `$name` alone.
    pub fn is_root(&self) -> bool {
        self.steps.list.is_empty()
    }

    /// What the steps select, in order.
    pub fn selected(&self) -> impl DoubleEndedIterator<Item = Selected<'_>> {
        self.steps.list.iter().map(|step| match step {
            Step::Name(name, _) => Selected::Member(name),
            Step::Index(index) => Selected::Element(*index),
            Step::Indexes(_) | Step::Slice(..) | Step::Wildcard | Step::Filter(_) => Selected::Elements,
            Step::Names(..) | Step::Scan | Step::Function(_) => Selected::Found,
        })
    }

    /// True when it yields one value; false when it yields a list.
    pub fn is_definite(&self) -> bool {
        self.steps.definite
    }

    /// True when it holds only member names and single indexes (any root).
    pub fn is_reference(&self) -> bool {
        self.steps.is_reference()
    }

    /// The names and indexes behind the root, up to the first other step: all of a reference path.
    pub fn fields(&self) -> impl Iterator<Item = Field<'_>> {
        self.steps.list.iter().map_while(|step| match step {
            Step::Name(name, _) => Some(Field::Name(name)),
            Step::Index(index) => Some(Field::Index(*index)),
            _ => None,
        })
    }

    /// Selects from an explicit root value (the caller has chosen the root).
    pub fn select<'v>(&self, root: &'v Value) -> Result<Cow<'v, Value>, PathFailure> {
        Walker::new(root).select(&self.steps, root)
    }

    /// Selects with the root from `env`; the error is AWS's `Invalid path '…' : …` sentence.
    pub fn evaluate(&self, env: &Env<'_>) -> Result<Payload, QueryError> {
        self.find(env).map_err(|failure| {
            QueryError::Runtime(match self.unassigned(env) {
                Some(sentence) => sentence,
                None if self.root == Root::Input && env.input.value().is_null() => {
                    "Unable to apply Path transformation to null or empty input.".to_owned()
                }
                None => format!("Invalid path '{}' : {failure}", self.text),
            })
        })
    }

    /// As `evaluate`, but hands out the failure itself (for `IsPresent`, `SecondsPath`, templates).
    pub fn find(&self, env: &Env<'_>) -> Result<Payload, PathFailure> {
        if self.is_root() {
            return match &self.root {
                Root::Input => Ok(env.input.clone()),
                Root::Context => Ok(env.context.get().clone()),
                Root::Variable(name) => env.variables.get(name).ok_or_else(|| not_assigned(name)),
            };
        }
        match self.resolve(env)? {
            Found::Shared(payload) => Ok(payload),
            found => Ok(Payload::new(found.into_value())),
        }
    }

    /// As `find`, but borrows from `env` where possible.
    pub(in crate::query) fn resolve<'e>(&self, env: &'e Env<'_>) -> Result<Found<'e>, PathFailure> {
        let root = match &self.root {
            Root::Input => env.input.value(),
            Root::Context => env.context.get_as(self.context_form()).value(),
            Root::Variable(name) => {
                let payload = env.variables.get(name).ok_or_else(|| not_assigned(name))?;
                if self.is_root() {
                    return Ok(Found::Shared(payload));
                }
                return self
                    .select(payload.value())
                    .map(|found| Found::Owned(found.into_owned()));
            }
        };
        self.select(root).map(|found| match found {
            Cow::Borrowed(value) => Found::Borrowed(value),
            Cow::Owned(value) => Found::Owned(value),
        })
    }

    /// Returns the value that the path starts from, shared; nothing for a variable that nobody has assigned.
    pub fn root_payload(&self, env: &Env<'_>) -> Option<Payload> {
        match &self.root {
            Root::Input => Some(env.input.clone()),
            Root::Context => Some(env.context.get_as(self.context_form()).clone()),
            Root::Variable(name) => env.variables.get(name),
        }
    }

    fn context_form(&self) -> ContextForm {
        let mut names = self.steps.list.iter().map_while(|step| match step {
            Step::Name(name, _) => Some(&**name),
            _ => None,
        });
        let first = names.next();
        ContextForm::for_members(first, names.next())
    }

    /// The sentence for a variable that nobody has assigned, when that is the trouble.
    pub(in crate::query) fn unassigned(&self, env: &Env<'_>) -> Option<String> {
        match &self.root {
            Root::Variable(name) if env.variables.get(name).is_none() => Some(not_assigned(name).to_string()),
            _ => None,
        }
    }

    /// Puts `value` at this reference path into `input`, creating objects on the way (`ResultPath`).
    ///
    /// # Errors
    /// `ReferencePathConflict` when something on the way is no object, or an index lies behind the end.
    pub fn insert(&self, mut input: Value, value: Value) -> Result<Value, QueryError> {
        if !self.can_insert(&input) {
            return Err(self.conflict(&input));
        }
        let mut place = &mut input;
        for step in &self.steps.list {
            place = match (step, place) {
                (Step::Name(name, _), Value::Object(members)) => {
                    members.entry(&**name).or_insert_with(|| Value::Object(Map::new()))
                }
                (Step::Index(index), Value::Array(items)) => {
                    let position = position(items, *index).unwrap_or(items.len());
                    if position == items.len() {
                        items.push(Value::Object(Map::new()));
                    }
                    match items.get_mut(position) {
                        Some(item) => item,
                        None => return Ok(input),
                    }
                }
                // `can_insert` has walked the same way.
                _ => return Ok(input),
            };
        }
        *place = value;
        Ok(input)
    }

    /// Whether `insert` will succeed; it must not change the input otherwise, because the error quotes it.
    fn can_insert(&self, input: &Value) -> bool {
        // Absent once the way leads through an object that `insert` is going to make.
        let mut place = Some(input);
        for step in &self.steps.list {
            place = match (step, place) {
                (Step::Name(..), None) => None,
                (Step::Name(name, _), Some(Value::Object(members))) => members.get(&**name),
                (Step::Index(index), Some(Value::Array(items))) => match element(items, *index) {
                    Some(item) => Some(item),
                    None if usize::try_from(*index) == Ok(items.len()) => None,
                    None => return false,
                },
                _ => return false,
            };
        }
        true
    }

    fn conflict(&self, input: &Value) -> QueryError {
        QueryError::ReferencePathConflict(format!("Unable to apply ReferencePath {} to input {input}", self.text))
    }
}

fn not_assigned(name: &str) -> PathFailure {
    PathFailure::Other(format!("The variable '${name}' has not been assigned a value"))
}

fn position(items: &[Value], index: i64) -> Option<usize> {
    let length = items.len() as i64;
    let place = if index < 0 { index.checked_add(length)? } else { index };
    usize::try_from(place).ok()
}
