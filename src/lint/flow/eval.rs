//! What a path, a call, an expression or a template gives, and what it reads on the way.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::lint::flow::shape::Found;
use crate::lint::flow::shape::Member;
use crate::lint::flow::shape::Origin;
use crate::lint::flow::shape::Presence;
use crate::lint::flow::shape::Rest;
use crate::lint::flow::shape::Shape;
use crate::lint::flow::shape::Verdict;
use crate::lint::flow::variables::Variables;
use crate::model::id::StateId;
use crate::query::intrinsic::call::Call;
use crate::query::intrinsic::call::Part;
use crate::query::intrinsic::call::Parts;
use crate::query::jsonata::expression::Expression;
use crate::query::jsonata::outline;
use crate::query::jsonata::outline::Need;
use crate::query::jsonata::outline::Outline;
use crate::query::jsonpath::path;
use crate::query::jsonpath::path::Field;
use crate::query::jsonpath::path::Path;
use crate::query::template::Sketch;
use crate::query::template::Template;

/// What a field can see.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'s> {
    /// `$` of JSONPath, `$states.input` of JSONata.
    pub(crate) input: &'s Shape,
    /// `$states.result`
    pub(crate) result: Option<&'s Shape>,
    /// `$states.errorOutput`
    pub(crate) error: Option<&'s Shape>,
    pub(crate) variables: &'s Variables,
    /// What the value is made from.
    pub(crate) source: Source,
}

/// What `$` of JSONPath stands for in a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Source {
    /// The state's input, or what its fields made of it.
    Input,
    /// The state's result.
    Result,
    /// A catcher's error output.
    ErrorOutput,
}

/// A value that is read.
#[derive(Clone, Debug)]
pub(crate) struct Read {
    pub(crate) state: StateId,
    /// Where, from the state on: `/Parameters/x.$`.
    pub(crate) place: String,
    /// What is read.
    pub(crate) from: From,
    /// The whole of it as it would be written: `$.a.b`, `$states.input.a`.
    pub(crate) text: String,
    /// The names and indexes of it.
    pub(crate) steps: Vec<String>,
    pub(crate) need: Need,
    pub(crate) verdict: Verdict,
    /// It stands in a condition of a Choice.
    pub(crate) compared: bool,
}

/// Where a value that is read comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum From {
    Source(Source),
    Variable(Arc<str>),
}

/// Evaluates the fields of one state.
pub(crate) struct Eye<'e> {
    pub(crate) state: StateId,
    /// Texts may be stand-ins for placeholders.
    pub(crate) open: bool,
    /// Takes what is read; without it nobody wants to know.
    pub(crate) reads: Option<&'e mut Vec<Read>>,
    pub(crate) place: Vec<String>,
    pub(crate) compared: bool,
}

impl Eye<'_> {
    /// Evaluates something at a place below the current one.
    pub(crate) fn at<T>(&mut self, place: &str, evaluate: impl FnOnce(&mut Self) -> T) -> T {
        if self.reads.is_some() {
            self.place.push(place.to_owned());
        }
        let value = evaluate(self);
        if self.reads.is_some() {
            self.place.pop();
        }
        value
    }

    /// Returns the shape of a template's value.
    pub(crate) fn template(&mut self, template: &Template, scope: Scope<'_>) -> Shape {
        self.sketch(&template.sketch(), scope)
    }

    /// Returns the shapes that an `Assign` gives to its variables.
    pub(crate) fn assign(&mut self, template: &Template, scope: Scope<'_>) -> Vec<(Arc<str>, Shape)> {
        match self.template(template, scope) {
            Shape::Object(object) => {
                let members = object.members.iter();
                members
                    .map(|(name, member)| (name.clone(), member.shape.clone()))
                    .collect()
            }
            _ => names(&template.sketch())
                .into_iter()
                .map(|name| (name, Shape::Unknown))
                .collect(),
        }
    }

    // The readers of definitions bound how deep a template nests.
    fn sketch(&mut self, sketch: &Sketch<'_>, scope: Scope<'_>) -> Shape {
        let origin = Origin::Written(self.state);
        match sketch {
            Sketch::Known(value) => Shape::literal(value, origin, self.open),
            Sketch::Array(items) => {
                let items = items.iter().enumerate();
                let items = items.map(|(index, item)| self.at(&format!("[{index}]"), |eye| eye.sketch(item, scope)));
                Shape::tuple(items.collect())
            }
            Sketch::Object(members) => {
                let members = members.iter().map(|(name, sketch)| {
                    let is_path = matches!(sketch, Sketch::Path(_) | Sketch::Call(_));
                    let place = if is_path {
                        format!("/{name}.$")
                    } else {
                        format!("/{name}")
                    };
                    let shape = self.at(&place, |eye| eye.sketch(sketch, scope));
                    (Arc::from(*name), Member::sure(shape))
                });
                Shape::object(members.collect::<Vec<_>>(), origin)
            }
            Sketch::Path(path) => self.path(path, scope, Need::Required).shape,
            Sketch::Call(call) => self.call(call, scope),
            Sketch::Expression(expression) => self.expression(expression, scope),
            Sketch::Unknown => Shape::Unknown,
        }
    }

    /// Returns what a path selects.
    pub(crate) fn path(&mut self, path: &Path, scope: Scope<'_>, need: Need) -> Found {
        let from = match path.root() {
            path::Root::Context => return Found::unknown(),
            path::Root::Input => From::Source(scope.source),
            path::Root::Variable(name) => From::Variable(name.clone()),
        };
        let mut found = match path.root() {
            path::Root::Variable(name) => variable(scope.variables, name, path.fields(), false),
            _ => scope.input.walk(path.fields(), false),
        };
        if !path.is_reference() {
            // What stands behind a filter or a wildcard need not exist.
            let fails = path.select(&Value::Object(serde_json::Map::new())).is_err();
            if !fails && !matches!(found.verdict, Verdict::Never(_, 0) if matches!(from, From::Variable(_))) {
                found.verdict = Verdict::Possible;
            }
            found.shape = Shape::Unknown;
            found.sure = false;
        }
        if self.reads.is_some() {
            let steps = path.fields().map(|field| match field {
                Field::Index(index) => format!("[{index}]"),
                Field::Name(name) => name.to_owned(),
            });
            self.note(
                from,
                path.text().to_owned(),
                steps.collect(),
                need,
                found.verdict.clone(),
            );
        }
        found
    }

    fn note(&mut self, from: From, text: String, steps: Vec<String>, need: Need, verdict: Verdict) {
        let (state, compared, place) = (self.state, self.compared, self.place.concat());
        if let Some(reads) = &mut self.reads {
            reads.push(Read {
                state,
                place,
                from,
                text,
                steps,
                need,
                verdict,
                compared,
            });
        }
    }

    /// Returns what an intrinsic call gives.
    pub(crate) fn call(&mut self, call: &Call, scope: Scope<'_>) -> Shape {
        self.parts(&call.parts(), scope)
    }

    fn parts(&mut self, parts: &Parts<'_>, scope: Scope<'_>) -> Shape {
        let origin = Origin::Written(self.state);
        let arguments = parts.arguments.iter().map(|part| match part {
            Part::Call(inner) => self.parts(inner, scope),
            Part::Constant(value) => Shape::literal(value, origin, self.open),
            Part::Path(path) => self.path(path, scope, Need::Required).shape,
        });
        let arguments: Vec<Shape> = arguments.collect();
        match (parts.function, arguments.as_slice()) {
            ("States.Array", _) => Shape::tuple(arguments),
            ("States.ArrayContains", _) => Shape::truth(),
            ("States.ArrayLength" | "States.MathAdd" | "States.MathRandom", _) => Shape::number(),
            ("States.ArrayRange", _) => Shape::list(Shape::number()),
            ("States.ArrayPartition", [list, _]) => Shape::list(Shape::list(list.item())),
            ("States.ArrayGetItem", [list, _]) => list.item(),
            ("States.ArrayUnique", [list]) => Shape::list(list.item()),
            ("States.JsonMerge", [first, second, _]) => {
                merged(&[(first.clone(), true), (second.clone(), true)], origin)
            }
            ("States.StringSplit", _) => Shape::list(Shape::text()),
            (
                "States.Base64Decode"
                | "States.Base64Encode"
                | "States.Format"
                | "States.Hash"
                | "States.JsonToString"
                | "States.UUID",
                _,
            ) => Shape::text(),
            _ => Shape::Unknown,
        }
    }

    /// Returns what an expression gives.
    pub(crate) fn expression(&mut self, expression: &Expression, scope: Scope<'_>) -> Shape {
        if self.reads.is_some() {
            for read in expression.reads() {
                let found = member(read.root, &read.fields, scope);
                let (from, root) = match read.root {
                    outline::Root::Context => continue,
                    outline::Root::ErrorOutput => (From::Source(Source::ErrorOutput), "$states.errorOutput".to_owned()),
                    outline::Root::Input => (From::Source(Source::Input), "$states.input".to_owned()),
                    outline::Root::Result => (From::Source(Source::Result), "$states.result".to_owned()),
                    outline::Root::Variable(name) => (From::Variable(Arc::from(name)), format!("${name}")),
                };
                let text = std::iter::once(root.as_str()).chain(read.fields.iter().copied());
                let text = text.collect::<Vec<_>>().join(".");
                let steps = read.fields.iter().map(|name| (*name).to_owned()).collect();
                self.note(from, text, steps, read.need, found.verdict);
            }
        }
        self.outline(&expression.outline(), scope).0
    }

    /// Returns the shape, and whether the value exists on all ways.
    fn outline(&mut self, outline: &Outline<'_>, scope: Scope<'_>) -> (Shape, bool) {
        let origin = Origin::Written(self.state);
        match outline {
            Outline::Array(items) => {
                let items: Vec<(Shape, bool)> = items.iter().map(|item| self.outline(item, scope)).collect();
                // What does not exist is left out, and a list is poured into this one.
                let is_item =
                    |(shape, sure): &(Shape, bool)| *sure && matches!(shape, Shape::Scalar(_) | Shape::Object(_));
                match items.iter().all(is_item) {
                    true => (Shape::tuple(items.into_iter().map(|(shape, _)| shape).collect()), true),
                    false => (Shape::list(Shape::Unknown), true),
                }
            }
            Outline::Either(ways) => {
                let ways: Vec<(Shape, bool)> = ways.iter().map(|way| self.outline(way, scope)).collect();
                let sure = ways.iter().all(|(_, sure)| *sure);
                let joined = ways.into_iter().map(|(shape, _)| shape).reduce(|a, b| a.join(&b));
                (joined.unwrap_or(Shape::Unknown).behind_choice(), sure)
            }
            Outline::Fields(root, fields) => {
                let found = member(*root, fields, scope);
                (found.shape, found.sure)
            }
            Outline::Known(value) => (Shape::literal(value, origin, self.open), true),
            Outline::Merged(parts) => {
                let parts: Vec<(Shape, bool)> = parts.iter().map(|part| self.outline(part, scope)).collect();
                (merged(&parts, origin), true)
            }
            Outline::Number => (Shape::number(), true),
            Outline::Object(members) => {
                let members = members.iter().map(|(name, outline)| {
                    let (shape, sure) = self.outline(outline, scope);
                    let member = if sure {
                        Member::sure(shape)
                    } else {
                        Member::unclear(shape)
                    };
                    (Arc::from(*name), member)
                });
                (Shape::object(members.collect::<Vec<_>>(), origin), true)
            }
            Outline::Text => (Shape::text(), true),
            Outline::Truth => (Shape::truth(), true),
            Outline::Unknown => (Shape::Unknown, false),
        }
    }
}

/// Returns the names that an `Assign` assigns.
fn names(sketch: &Sketch<'_>) -> Vec<Arc<str>> {
    match sketch {
        Sketch::Known(Value::Object(members)) => members.keys().map(|name| Arc::from(name.as_str())).collect(),
        Sketch::Object(members) => members.iter().map(|(name, _)| Arc::from(*name)).collect(),
        _ => Vec::new(),
    }
}

/// Returns the names that a template assigns.
pub(crate) fn assigned(template: &Template) -> Vec<Arc<str>> {
    names(&template.sketch())
}

fn variable<'f>(variables: &Variables, name: &str, fields: impl IntoIterator<Item = Field<'f>>, maps: bool) -> Found {
    match variables {
        Variables::Unknown => Found::unknown(),
        Variables::Known(known) => match known.get(name) {
            Some(member) => Found::of_member(member, fields, maps),
            None => Found {
                shape: Shape::Unknown,
                verdict: Verdict::Never(Shape::Unknown, 0),
                sure: false,
            },
        },
    }
}

fn member(root: outline::Root<'_>, fields: &[&str], scope: Scope<'_>) -> Found {
    let fields = fields.iter().map(|name| Field::Name(name));
    let shape = match root {
        outline::Root::Context => None,
        outline::Root::ErrorOutput => scope.error,
        outline::Root::Input => Some(scope.input),
        outline::Root::Result => scope.result,
        outline::Root::Variable(name) => return variable(scope.variables, name, fields, true),
    };
    shape.map_or_else(Found::unknown, |shape| shape.walk(fields, true))
}

/// Lays objects over each other; the last one wins.
fn merged(parts: &[(Shape, bool)], origin: Origin) -> Shape {
    let mut members: BTreeMap<Arc<str>, Member> = BTreeMap::new();
    let mut rest = Rest::Nothing;
    for (shape, sure) in parts {
        match shape {
            Shape::Object(object) if *sure && object.rest == Rest::Nothing => {
                for (name, member) in &object.members {
                    let sure = member.presence == Presence::Sure;
                    let merged = match (members.remove(name), sure) {
                        (None, _) => member.clone(),
                        (Some(_), true) => member.clone(),
                        (Some(old), false) => Member {
                            shape: Shape::Unknown,
                            presence: old.presence,
                        },
                    };
                    members.insert(name.clone(), merged);
                }
            }
            Shape::Object(object) if *sure => {
                blur(&mut members);
                let sure = object
                    .members
                    .iter()
                    .filter(|(_, member)| member.presence == Presence::Sure);
                members.extend(sure.map(|(name, member)| (name.clone(), member.clone())));
                rest = Rest::Anything;
            }
            _ => {
                blur(&mut members);
                rest = Rest::Anything;
            }
        }
    }
    Shape::any_object(members, rest, origin)
}

/// Forgets the members' shapes: they may be overwritten.
fn blur(members: &mut BTreeMap<Arc<str>, Member>) {
    for member in members.values_mut() {
        member.shape = Shape::Unknown;
    }
}
