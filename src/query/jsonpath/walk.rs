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
use crate::query::jsonpath::step::normal_form;

/// How many values one selection may visit. Lists such as `[0,0,0][0,0,0]…` and nested scans grow without
/// bound otherwise.
const VISITS_MAX: u32 = 2_000_000;

/// The values that an indefinite path has reached so far.
type Reached<'x> = Vec<Cow<'x, Value>>;

/// One selection.
pub(super) struct Walker<'r> {
    root: &'r Value,
    visits_left: Cell<u32>,
}

impl<'r> Walker<'r> {
    /// Prepares a selection; `root` is `$` inside filters.
    pub(super) fn new(root: &'r Value) -> Self {
        Self {
            root,
            visits_left: Cell::new(VISITS_MAX),
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

    fn select_strictly<'x>(
        &self,
        steps: &[Step],
        aggregates: bool,
        start: &'x Value,
    ) -> Result<Cow<'x, Value>, PathFailure> {
        let mut node = start;
        for (index, step) in steps.iter().enumerate() {
            node = match step {
                Step::Name(name) => match node {
                    Value::Object(members) => match members.get(&**name) {
                        Some(member) => member,
                        None if index + 1 == steps.len() => {
                            return Err(PathFailure::NoResults(normal_form(steps)));
                        }
                        None => return Err(PathFailure::MissingProperty(normal_form(&steps[..=index]))),
                    },
                    other => return Err(no_object(step, &steps[..index], other)),
                },
                Step::Index(position) => match node {
                    Value::Array(items) => match element(items, *position) {
                        Some(item) => item,
                        None => return Err(PathFailure::IndexOutOfBounds(normal_form(steps))),
                    },
                    other => return Err(no_array(step, &steps[..index], other)),
                },
                Step::Names(names) if index + 1 == steps.len() => match node {
                    Value::Object(members) => return Ok(Cow::Owned(pick(names, members))),
                    other => return Err(no_object(step, &steps[..index], other)),
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
                let result = self.call(function, &list)?;
                return self.go_on(steps, index, result);
            }
            let (scan, step) = match step {
                Step::Scan => {
                    index += 1;
                    (true, steps.get(index).unwrap_or(&Step::Wildcard))
                }
                other => (false, other),
            };
            let is_last = index + 1 == steps.len();
            // Only the first step has a definite upstream, and may complain.
            let strict = if index == first { Some(&steps[..index]) } else { None };
            let mut next: Reached<'x> = Vec::new();
            for value in reached {
                match value {
                    Cow::Borrowed(value) if scan => self.scan(step, is_last, value, &mut next)?,
                    Cow::Borrowed(value) => self.apply(step, is_last, strict, value, &mut next)?,
                    Cow::Owned(value) => {
                        let mut local = Vec::new();
                        if scan {
                            self.scan(step, is_last, &value, &mut local)?;
                        } else {
                            self.apply(step, is_last, strict, &value, &mut local)?;
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
    fn scan<'x>(&self, step: &Step, is_last: bool, top: &'x Value, out: &mut Reached<'x>) -> Result<(), PathFailure> {
        let mut waiting = vec![top];
        while let Some(node) = waiting.pop() {
            match (node, step) {
                // A filter behind `..` judges objects by themselves, otherwise each would be found twice.
                (Value::Array(_), Step::Filter(_)) => self.visit()?,
                (Value::Object(members), Step::Names(names)) => {
                    self.visit()?;
                    if names.iter().all(|name| members.contains_key(&**name)) {
                        self.apply(step, is_last, None, node, out)?;
                    }
                }
                _ => self.apply(step, is_last, None, node, out)?,
            }
            match node {
                Value::Array(items) => waiting.extend(items.iter().rev().filter(|item| is_container(item))),
                Value::Object(members) => waiting.extend(members.values().rev().filter(|item| is_container(item))),
                _ => {}
            }
        }
        Ok(())
    }

    /// Adds what `step` yields on `node`. With `strict`, the steps before it, it complains as Jayway does.
    fn apply<'x>(
        &self,
        step: &Step,
        is_last: bool,
        strict: Option<&[Step]>,
        node: &'x Value,
        out: &mut Reached<'x>,
    ) -> Result<(), PathFailure> {
        self.visit()?;
        let mut add = |value: &'x Value| {
            out.push(Cow::Borrowed(value));
            self.visit()
        };
        match (step, node) {
            (Step::Name(name), Value::Object(members)) => members.get(&**name).map_or(Ok(()), add),
            (Step::Names(names), Value::Object(members)) if is_last => {
                out.push(Cow::Owned(pick(names, members)));
                Ok(())
            }
            (Step::Names(names), Value::Object(members)) => {
                names.iter().filter_map(|name| members.get(&**name)).try_for_each(add)
            }
            (Step::Index(index), Value::Array(items)) => element(items, *index).map_or(Ok(()), add),
            (Step::Indexes(indexes), Value::Array(items)) => indexes
                .iter()
                .filter_map(|index| element(items, *index))
                .try_for_each(add),
            (Step::Slice(from, to), Value::Array(items)) => slice(items, *from, *to).iter().try_for_each(add),
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
            (Step::Name(_) | Step::Names(_), other) => match strict {
                Some(before) => Err(no_object(step, before, other)),
                None => Ok(()),
            },
            (Step::Filter(_), Value::Null) => Ok(()),
            (Step::Filter(_), other) => match strict {
                Some(_) => Err(PathFailure::Other(format!(
                    "Filter: [?] can not be applied to primitives. Current context is: {}",
                    java::text(other)
                ))),
                None => Ok(()),
            },
            (Step::Index(_) | Step::Indexes(_) | Step::Slice(..) | Step::Scan, other) => match strict {
                Some(before) => Err(no_array(step, before, other)),
                None => Ok(()),
            },
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
                Parameter::Current(steps) => self.select(steps, model).map(Cow::into_owned),
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

fn slice(items: &[Value], from: Option<i64>, to: Option<i64>) -> &[Value] {
    let length = items.len() as i64;
    let place = |bound: i64| {
        let place = if bound < 0 { bound.saturating_add(length) } else { bound };
        place.clamp(0, length) as usize
    };
    let (from, to) = (place(from.unwrap_or(0)), place(to.unwrap_or(length)));
    items.get(from..to).unwrap_or_default()
}

fn is_container(value: &Value) -> bool {
    matches!(value, Value::Array(_) | Value::Object(_))
}

fn no_object(step: &Step, before: &[Step], found: &Value) -> PathFailure {
    let mut property = String::new();
    step.write(&mut property);
    PathFailure::Other(format!(
        "Expected to find an object with property {property} in path {} but found '{}'. This is not a json object \
         according to the JsonProvider: 'com.jayway.jsonpath.spi.json.JacksonJsonProvider'.",
        normal_form(before),
        java::class(found)
    ))
}

fn no_array(step: &Step, before: &[Step], found: &Value) -> PathFailure {
    if found.is_null() {
        return PathFailure::Other(format!("The path {} is null", normal_form(before)));
    }
    let mut filter = String::new();
    step.write(&mut filter);
    PathFailure::Other(format!(
        "Filter: {filter} can only be applied to arrays. Current context is: {}",
        java::text(found)
    ))
}
