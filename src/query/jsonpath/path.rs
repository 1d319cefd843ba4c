//! A compiled path.

use serde_json::Value;
use std::borrow::Cow;

use crate::query::env::Env;
use crate::query::error::CompileError;
use crate::query::error::QueryError;

/// Where a path starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Root {
    /// `$`
    Input,
    /// `$$`
    Context,
    /// `$name`
    Variable(std::sync::Arc<str>),
}

/// A compiled path.
#[derive(Clone, Debug)]
pub struct Path {
    text: std::sync::Arc<str>,
    root: Root,
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

impl Path {
    /// Compiles a path or reports why it cannot be.
    pub fn parse(_text: &str) -> Result<Self, CompileError> {
        todo!()
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
        todo!()
    }
    /// True when it yields one value; false when it yields a list.
    pub fn is_definite(&self) -> bool {
        todo!()
    }
    /// True when it holds only member names and single indexes (any root).
    pub fn is_reference(&self) -> bool {
        todo!()
    }
    /// Selects from an explicit root value (the caller has chosen the root).
    pub fn select<'v>(&self, _root: &'v Value) -> Result<Cow<'v, Value>, PathFailure> {
        todo!()
    }
    /// Selects with the root from `env`; the error is AWS's `Invalid path '…' : …` sentence.
    pub fn evaluate(&self, _env: &Env<'_>) -> Result<crate::model::payload::Payload, QueryError> {
        todo!()
    }
    /// As `evaluate`, but hands out the failure itself (for `IsPresent`, `SecondsPath`, templates).
    pub fn find(&self, _env: &Env<'_>) -> Result<crate::model::payload::Payload, PathFailure> {
        todo!()
    }
    /// Puts `value` at this reference path into `input`, creating objects on the way (`ResultPath`).
    pub fn insert(&self, _input: Value, _value: Value) -> Result<Value, QueryError> {
        todo!()
    }
}
