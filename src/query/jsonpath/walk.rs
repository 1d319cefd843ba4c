//! Selecting.

use std::borrow::Cow;
use std::cell::Cell;

use serde_json::Map;
use serde_json::Value;

use crate::query::jsonpath::function::Function;
use crate::query::jsonpath::function::Parameter;
use crate::query::jsonpath::function::element;
use crate::query::jsonpath::java;
use crate::query::jsonpath::path::PathFailure;
use crate::query::jsonpath::step::Step;
use crate::query::jsonpath::step::Steps;
use crate::query::jsonpath::step::fragments;
use crate::query::jsonpath::step::normal_form;
use crate::query::jsonpath::step::place;

/// How many values one selection may visit. Lists such as `[0,0,0][0,0,0]…` and nested scans grow without
/// bound otherwise.
const VISITS_MAX: u32 = 2_000_000;

/// The values that an indefinite path has reached so far.
type Reached<'x> = Vec<Cow<'x, Value>>;

/// One selection.
pub(super) struct Walker<'r> {
    root: &'r Value,
    visits_left: Cell<u32>,
    /// Whether a missing member fails lists too (Jayway's `REQUIRE_PROPERTIES`).
    requires: Cell<bool>,
}

/// A step with its surroundings. The parser lets no path end with `..`.
#[derive(Clone, Copy)]
struct At<'s> {
    steps: &'s [Step],
    index: usize,
    /// Nothing before it yields a list: it complains about a value that it cannot be applied to.
    is_strict: bool,
}

impl<'s> At<'s> {
    fn step(self) -> &'s Step {
        &self.steps[self.index]
    }

    fn is_last(self) -> bool {
        self.index + 1 == self.steps.len()
    }
}

impl<'r> Walker<'r> {
    /// Prepares a selection; `root` is `$` inside filters.
    pub(super) fn new(root: &'r Value) -> Self {
        Self {
            root,
            visits_left: Cell::new(VISITS_MAX),
            requires: Cell::new(false),
        }
    }

    /// `$` inside filters.
    pub(super) fn root(&self) -> &'r Value {
        self.root
    }

    /// Selects from `start`.
    pub(super) fn select<'x>(&self, steps: &Steps, start: &'x Value) -> Result<Cow<'x, Value>, PathFailure> {
        match self.select_strictly(&steps.list, steps.aggregates, start) {
            // AWS answers a list path whose beginning is missing with an empty list, but passes on Jayway's
            // complaint about an array step on something else.
            Err(failure) if !steps.definite && failure.is_not_found() => Ok(Cow::Owned(Value::Array(Vec::new()))),
            result => result,
        }
    }

    /// Tells whether the path leads somewhere from `start`: for lists, whether no object on the way lacks a member.
    pub(super) fn exists(&self, steps: &Steps, start: &Value) -> bool {
        let outer = self.requires.replace(true);
        let found = self.select_strictly(&steps.list, steps.aggregates, start);
        self.requires.set(outer);
        found.is_ok()
    }

    fn select_strictly<'x>(
        &self,
        steps: &[Step],
        aggregates: bool,
        start: &'x Value,
    ) -> Result<Cow<'x, Value>, PathFailure> {
        let mut node = start;
        for (index, step) in steps.iter().enumerate() {
            node = match step {
                Step::Name(name, _) => match node {
                    Value::Object(members) => match members.get(&**name) {
                        Some(member) => member,
                        None if index + 1 == steps.len() => {
                            return Err(PathFailure::NoResults(normal_form(steps)));
                        }
                        None => return Err(PathFailure::MissingProperty(place(&steps[..=index]))),
                    },
                    other => return Err(no_object(steps, index, other)),
                },
                Step::Index(position) => match node {
                    Value::Array(items) => match element(items, *position) {
                        Some(item) => item,
                        None => return Err(PathFailure::IndexOutOfBounds(normal_form(steps))),
                    },
                    other => return Err(no_array(steps, index, other)),
                },
                Step::Names(names, _) if index + 1 == steps.len() => match node {
                    Value::Object(members) => return Ok(Cow::Owned(pick(names, members))),
                    other => return Err(no_object(steps, index, other)),
                },
                Step::Function(function) => {
                    let result = self.call(function, node)?;
                    return self.go_on(steps, index, result);
                }
                _ => return self.select_list(steps, index, aggregates, node),
            };
        }
        Ok(Cow::Borrowed(node))
    }

    /// The steps behind the function at `index`. The parser bounds the number of functions in a path.
    fn go_on<'x>(&self, steps: &[Step], index: usize, result: Value) -> Result<Cow<'x, Value>, PathFailure> {
        let rest = &steps[index + 1..];
        if rest.is_empty() {
            return Ok(Cow::Owned(result));
        }
        let found = self.select_strictly(rest, false, &result)?;
        Ok(Cow::Owned(found.into_owned()))
    }

    /// From the first step on that may yield several values.
    fn select_list<'x>(
        &self,
        steps: &[Step],
        first: usize,
        aggregates: bool,
        node: &'x Value,
    ) -> Result<Cow<'x, Value>, PathFailure> {
        let mut reached: Reached<'x> = vec![Cow::Borrowed(node)];
        let mut index = first;
        while let Some(step) = steps.get(index) {
            if let (Step::Function(function), true) = (step, aggregates) {
                let list: Value = reached.into_iter().map(Cow::into_owned).collect();
                self.visit()?;
                let result = function.kind.apply_to_scan(node, list).map_err(PathFailure::Other)?;
                return self.go_on(steps, index, result);
            }
            let scan = matches!(step, Step::Scan);
            // Only the first step has a definite upstream, and may complain.
            let is_strict = index == first && !scan;
            index += usize::from(scan);
            let at = At {
                steps,
                index,
                is_strict,
            };
            let mut next: Reached<'x> = Vec::new();
            for value in reached {
                match value {
                    Cow::Borrowed(value) if scan => self.scan(at, value, &mut next)?,
                    Cow::Borrowed(value) => self.apply(at, value, &mut next)?,
                    Cow::Owned(value) => {
                        let mut local = Vec::new();
                        if scan {
                            self.scan(at, &value, &mut local)?;
                        } else {
                            self.apply(at, &value, &mut local)?;
                        }
                        next.extend(local.into_iter().map(|found| Cow::Owned(found.into_owned())));
                    }
                }
            }
            reached = next;
            index += 1;
        }
        Ok(Cow::Owned(reached.into_iter().map(Cow::into_owned).collect()))
    }

    /// Tries `step` on `top` and on every object and array below, parents first.
    fn scan<'x>(&self, at: At<'_>, top: &'x Value, out: &mut Reached<'x>) -> Result<(), PathFailure> {
        let mut waiting = vec![top];
        while let Some(node) = waiting.pop() {
            let fits = match (node, at.step()) {
                // An array that passes has its elements judged, which are judged by themselves too: Jayway finds
                // them twice.
                (Value::Array(_), Step::Filter(test)) => test.accepts(node, self),
                (Value::Object(members), Step::Name(name, _)) => members.contains_key(&**name),
                (Value::Object(members), Step::Names(names, _)) if at.is_last() => {
                    names.iter().all(|name| members.contains_key(&**name))
                }
                _ => true,
            };
            if fits {
                self.apply(at, node, out)?;
            } else {
                self.visit()?;
            }
            match node {
                Value::Array(items) => waiting.extend(items.iter().rev().filter(|item| is_container(item))),
                Value::Object(members) => waiting.extend(members.values().rev().filter(|item| is_container(item))),
                _ => {}
            }
        }
        Ok(())
    }

    /// Adds what the step yields on `node`.
    fn apply<'x>(&self, at: At<'_>, node: &'x Value, out: &mut Reached<'x>) -> Result<(), PathFailure> {
        self.visit()?;
        let mut add = |value: &'x Value| {
            out.push(Cow::Borrowed(value));
            self.visit()
        };
        match (at.step(), node) {
            (Step::Name(name, _), Value::Object(members)) => match members.get(&**name) {
                Some(member) => add(member),
                None => self.without(at),
            },
            (Step::Names(names, _), Value::Object(members)) if at.is_last() => {
                if names.iter().any(|name| !members.contains_key(&**name)) {
                    self.without(at)?;
                }
                out.push(Cow::Owned(pick(names, members)));
                Ok(())
            }
            (Step::Names(names, _), Value::Object(members)) => {
                names.iter().try_for_each(|name| match members.get(&**name) {
                    Some(member) => add(member),
                    None => self.without(at),
                })
            }
            (Step::Index(index), Value::Array(items)) => element(items, *index).map_or(Ok(()), add),
            (Step::Indexes(indexes), Value::Array(items)) => indexes
                .iter()
                .filter_map(|index| element(items, *index))
                .try_for_each(add),
            (Step::Slice(from, to), Value::Array(items)) => slice(items, *from, *to).try_for_each(add),
            (Step::Wildcard, Value::Array(items)) => items.iter().try_for_each(add),
            (Step::Wildcard, Value::Object(members)) => members.values().try_for_each(add),
            (Step::Wildcard, _) => Ok(()),
            (Step::Filter(test), Value::Object(_)) => {
                if test.accepts(node, self) {
                    add(node)?;
                }
                Ok(())
            }
            (Step::Filter(test), Value::Array(items)) => {
                for item in items {
                    self.visit()?;
                    if test.accepts(item, self) {
                        add(item)?;
                    }
                }
                Ok(())
            }
            (Step::Function(function), _) => {
                out.push(Cow::Owned(self.call(function, node)?));
                Ok(())
            }
            _ if !at.is_strict => Ok(()),
            (Step::Name(..) | Step::Names(..), other) => Err(no_object(at.steps, at.index, other)),
            (Step::Filter(_), other) => Err(PathFailure::Other(format!(
                "Filter: {} can not be applied to primitives. Current context is: {}",
                fragments(&at.steps[at.index..]),
                java::text(other)
            ))),
            (Step::Index(_) | Step::Indexes(_) | Step::Slice(..) | Step::Scan, other) => {
                Err(no_array(at.steps, at.index, other))
            }
        }
    }

    /// A member that is not there: skipped, except where a filter asks whether the path exists.
    fn without(&self, at: At<'_>) -> Result<(), PathFailure> {
        if self.requires.get() {
            Err(PathFailure::MissingProperty(place(&at.steps[..=at.index])))
        } else {
            Ok(())
        }
    }

    fn call(&self, function: &Function, model: &Value) -> Result<Value, PathFailure> {
        self.visit()?;
        let parameters = function
            .parameters
            .iter()
            .map(|parameter| match parameter {
                Parameter::Literal(value) => Ok(value.clone()),
                Parameter::Root(steps) => self.select(steps, self.root).map(Cow::into_owned),
            })
            .collect::<Result<Vec<_>, _>>()?;
        function.kind.apply(model, parameters).map_err(PathFailure::Other)
    }

    fn visit(&self) -> Result<(), PathFailure> {
        match self.visits_left.get().checked_sub(1) {
            Some(left) => {
                self.visits_left.set(left);
                Ok(())
            }
            None => Err(PathFailure::Other("The path visits too many values.".to_owned())),
        }
    }
}

fn pick(names: &[Box<str>], members: &Map<String, Value>) -> Value {
    names
        .iter()
        .filter_map(|name| Some((name.to_string(), members.get(&**name)?.clone())))
        .collect()
}

/// As Jayway counts: with one bound it may count from the end; with both, each index between them may, so that
/// `[1:-1]` is empty and `[-1:1]` yields the last and the first element.
fn slice(items: &[Value], from: Option<i64>, to: Option<i64>) -> impl Iterator<Item = &Value> {
    let length = items.len() as i64;
    let from_start = |bound: i64| if bound < 0 { bound + length } else { bound };
    let indexes = match (from, to) {
        (Some(from), Some(to)) => from.max(-length)..to.min(length),
        (from, to) => from_start(from.unwrap_or(0)).max(0)..from_start(to.unwrap_or(length)).min(length),
    };
    indexes.filter_map(|index| element(items, index))
}

fn is_container(value: &Value) -> bool {
    matches!(value, Value::Array(_) | Value::Object(_))
}

fn no_object(steps: &[Step], index: usize, found: &Value) -> PathFailure {
    let (before, from) = steps.split_at(index);
    PathFailure::Other(format!(
        "Expected to find an object with property {} in path {} but found '{}'. This is not a json object \
         according to the JsonProvider: 'com.jayway.jsonpath.spi.json.JacksonJsonProvider'.",
        fragments(&from[..1]),
        place(before),
        java::class(found)
    ))
}

/// Jayway shows the step together with all that follow it.
fn no_array(steps: &[Step], index: usize, found: &Value) -> PathFailure {
    let (before, from) = steps.split_at(index);
    if found.is_null() {
        return PathFailure::Other(format!("The path {} is null", place(before)));
    }
    PathFailure::Other(format!(
        "Filter: {} can only be applied to arrays. Current context is: {}",
        fragments(from),
        java::text(found)
    ))
}
