//! What is known of a value before any execution: a lattice of shapes.
//!
//! A shape stands for every value that may be there when the execution comes this way. Where ways meet, their shapes
//! are joined, and what only one of them has is `Maybe` there, together with the `Origin` of the value without it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::lint::graph::Step;
use crate::model::id::StateId;
use crate::query::jsonpath::path::Field;

/// Shapes nest no deeper; below, nothing is known. Loops that wrap their input would never end otherwise.
const DEPTH_MAX: u16 = 24;
/// An object with more members counts as unknown, so that a chain of states costs linear time.
const MEMBERS_MAX: usize = 200;
/// A literal with more values counts as unknown.
const LITERAL_NODES_MAX: usize = 2_000;

/// Who made a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Origin {
    /// A Choice rule found that the member is not there.
    Absent(StateId),
    /// This catcher's error output.
    Catcher(StateId, usize),
    /// The state's result.
    Result(StateId),
    /// The execution's or the iteration's start.
    Start,
    /// The way that was taken.
    Way(Step),
    /// What is written in the state.
    Written(StateId),
}

/// What is known of a value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Shape {
    /// A list of values of this shape.
    List(Arc<Self>, u16),
    /// An object.
    Object(Arc<Object>),
    /// A scalar.
    Scalar(Scalar),
    /// A list of exactly these.
    Tuple(Arc<Vec<Self>>, u16),
    /// Nothing.
    Unknown,
}

/// A value without parts; its own value when it is known.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Scalar {
    Null,
    Number(Option<f64>),
    Text(Option<Arc<str>>),
    Truth(Option<bool>),
}

impl Scalar {
    /// Returns the type's name.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Number(_) => "a number",
            Self::Text(_) => "a text",
            Self::Truth(_) => "a Boolean",
        }
    }
}

/// What is known of an object.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Object {
    pub(crate) members: BTreeMap<Arc<str>, Member>,
    /// What is known of every other member.
    pub(crate) rest: Rest,
    pub(crate) origin: Origin,
    depth: u16,
}

/// What is known of a member.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Member {
    pub(crate) shape: Shape,
    pub(crate) presence: Presence,
}

/// Whether something is there. Joined, the later one wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// On all ways.
    Sure,
    /// Nobody knows.
    Unclear,
    /// On some way it is surely not, because of this.
    Maybe(Origin),
}

/// What is known of members that are not listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    /// There are none.
    Nothing,
    /// There may be any.
    Anything,
    /// There may be any, but on some way there are surely none, because of this.
    Missing(Origin),
}

/// What a path finds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Found {
    pub(crate) shape: Shape,
    pub(crate) verdict: Verdict,
    /// It is there on all ways.
    pub(crate) sure: bool,
}

/// Whether a path finds anything.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Verdict {
    /// On all ways, or nobody knows.
    Possible,
    /// On some way it surely finds nothing, because of this.
    Maybe(Origin),
    /// Never: the value at which the path ends, and the place of the step that is missing.
    Never(Shape, usize),
}

impl Found {
    pub(crate) fn unknown() -> Self {
        Self {
            shape: Shape::Unknown,
            verdict: Verdict::Possible,
            sure: false,
        }
    }

    /// Returns the member of a root that is there on all ways, or only on some.
    pub(crate) fn of_member<'f>(member: &Member, fields: impl IntoIterator<Item = Field<'f>>, maps: bool) -> Self {
        let mut found = member.shape.walk(fields, maps);
        found.sure &= member.presence == Presence::Sure;
        if let (Presence::Maybe(origin), Verdict::Possible) = (member.presence, &found.verdict) {
            found.verdict = Verdict::Maybe(origin);
        }
        found
    }
}

impl Presence {
    fn join(self, other: Self) -> Self {
        match (self, other) {
            (Self::Maybe(origin), _) | (_, Self::Maybe(origin)) => Self::Maybe(origin),
            (Self::Unclear, _) | (_, Self::Unclear) => Self::Unclear,
            (Self::Sure, Self::Sure) => Self::Sure,
        }
    }

    /// Returns what is left of it behind a Choice, whose rules may know which way was taken.
    pub(crate) fn behind_choice(self) -> Self {
        match self {
            Self::Maybe(_) => Self::Unclear,
            other => other,
        }
    }
}

impl Shape {
    /// Makes an object with these members and no others.
    pub(crate) fn object(members: impl IntoIterator<Item = (Arc<str>, Member)>, origin: Origin) -> Self {
        Self::any_object(members.into_iter().collect(), Rest::Nothing, origin)
    }

    /// Makes an object with these members and `rest`.
    pub(crate) fn any_object(members: BTreeMap<Arc<str>, Member>, rest: Rest, origin: Origin) -> Self {
        let depth = members.values().map(|member| member.shape.depth()).max().unwrap_or(0) + 1;
        if MEMBERS_MAX < members.len() || DEPTH_MAX < depth {
            return Self::Unknown;
        }
        Self::Object(Arc::new(Object {
            members,
            rest,
            origin,
            depth,
        }))
    }

    /// Makes a list of exactly these.
    pub(crate) fn tuple(items: Vec<Self>) -> Self {
        let depth = items.iter().map(Self::depth).max().unwrap_or(0) + 1;
        if MEMBERS_MAX < items.len() {
            return Self::list(Self::Unknown);
        }
        match DEPTH_MAX < depth {
            true => Self::Unknown,
            false => Self::Tuple(Arc::new(items), depth),
        }
    }

    /// Makes a list.
    pub(crate) fn list(item: Self) -> Self {
        let depth = item.depth() + 1;
        match DEPTH_MAX < depth {
            true => Self::Unknown,
            false => Self::List(Arc::new(item), depth),
        }
    }

    /// Makes a text.
    pub(crate) fn text() -> Self {
        Self::Scalar(Scalar::Text(None))
    }

    /// Makes a number.
    pub(crate) fn number() -> Self {
        Self::Scalar(Scalar::Number(None))
    }

    /// Makes true or false.
    pub(crate) fn truth() -> Self {
        Self::Scalar(Scalar::Truth(None))
    }

    /// Makes the shape of a literal.
    ///
    /// `open` tells that texts may be stand-ins for placeholders.
    pub(crate) fn literal(value: &Value, origin: Origin, open: bool) -> Self {
        let mut budget = LITERAL_NODES_MAX;
        Self::literal_within(value, origin, open, &mut budget, 0)
    }

    fn literal_within(value: &Value, origin: Origin, open: bool, budget: &mut usize, depth: u16) -> Self {
        *budget = budget.saturating_sub(1);
        if *budget == 0 || DEPTH_MAX < depth || open && value.is_string() {
            return Self::Unknown;
        }
        match value {
            Value::Null => Self::Scalar(Scalar::Null),
            Value::Bool(truth) => Self::Scalar(Scalar::Truth(Some(*truth))),
            Value::Number(number) => Self::Scalar(Scalar::Number(number.as_f64())),
            Value::String(text) => Self::Scalar(Scalar::Text(Some(Arc::from(text.as_str())))),
            Value::Array(items) => {
                let items = items.iter();
                Self::tuple(
                    items
                        .map(|item| Self::literal_within(item, origin, open, budget, depth + 1))
                        .collect(),
                )
            }
            Value::Object(members) => {
                let members = members.iter().map(|(name, value)| {
                    let shape = Self::literal_within(value, origin, open, budget, depth + 1);
                    (Arc::from(name.as_str()), Member::sure(shape))
                });
                Self::object(members.collect::<Vec<_>>(), origin)
            }
        }
    }

    fn depth(&self) -> u16 {
        match self {
            Self::List(_, depth) | Self::Tuple(_, depth) => *depth,
            Self::Object(object) => object.depth,
            Self::Scalar(_) | Self::Unknown => 0,
        }
    }

    /// Returns the shape of any of the items, if it is a list.
    pub(crate) fn item(&self) -> Self {
        match self {
            Self::List(item, _) => (**item).clone(),
            Self::Tuple(items, _) => {
                let mut items = items.iter();
                let first = items.next().cloned().unwrap_or(Self::Unknown);
                items.fold(first, |joined, item| joined.join(item))
            }
            _ => Self::Unknown,
        }
    }

    /// Joins two shapes: what holds of both.
    pub(crate) fn join(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Object(a), Self::Object(b)) => join_objects(a, b),
            (Self::Object(object), Self::Unknown) | (Self::Unknown, Self::Object(object)) => blur(object),
            (Self::Scalar(a), Self::Scalar(b)) => join_scalars(a, b),
            (Self::Tuple(a, _), Self::Tuple(b, _)) if a.len() == b.len() => {
                if Arc::ptr_eq(a, b) {
                    return self.clone();
                }
                Self::tuple(a.iter().zip(b.iter()).map(|(a, b)| a.join(b)).collect())
            }
            (Self::List(..) | Self::Tuple(..), Self::List(..) | Self::Tuple(..)) => match (self, other) {
                // No item says nothing of the others.
                (Self::Tuple(items, _), list) | (list, Self::Tuple(items, _)) if items.is_empty() => {
                    Self::list(list.item())
                }
                _ => Self::list(self.item().join(&other.item())),
            },
            _ => Self::Unknown,
        }
    }

    /// Follows names and indexes. `maps` tells that a name behind a list is looked for in its items (JSONata).
    pub(crate) fn walk<'f>(&self, fields: impl IntoIterator<Item = Field<'f>>, maps: bool) -> Found {
        let mut shape = self.clone();
        let (mut verdict, mut sure) = (Verdict::Possible, true);
        for (index, field) in fields.into_iter().enumerate() {
            let never = |shape| Found {
                shape: Self::Unknown,
                verdict: Verdict::Never(shape, index),
                sure: false,
            };
            let next = match (&shape, field) {
                (Self::Unknown, _) => {
                    sure = false;
                    break;
                }
                (Self::Object(object), Field::Name(name)) => match (object.members.get(name), object.rest) {
                    (Some(member), _) => {
                        sure &= member.presence == Presence::Sure;
                        if let (Presence::Maybe(origin), Verdict::Possible) = (member.presence, &verdict) {
                            verdict = Verdict::Maybe(origin);
                        }
                        member.shape.clone()
                    }
                    (None, Rest::Nothing) => return never(shape),
                    (None, Rest::Anything) => {
                        sure = false;
                        Self::Unknown
                    }
                    (None, Rest::Missing(origin)) => {
                        sure = false;
                        if verdict == Verdict::Possible {
                            verdict = Verdict::Maybe(origin);
                        }
                        Self::Unknown
                    }
                },
                (Self::Tuple(items, _), Field::Index(at)) => {
                    let length = i64::try_from(items.len()).unwrap_or(i64::MAX);
                    let at = if at < 0 { at + length } else { at };
                    match usize::try_from(at).ok().and_then(|at| items.get(at)) {
                        Some(item) => item.clone(),
                        // A template gives null for it.
                        None => Self::Unknown,
                    }
                }
                (Self::List(item, _), Field::Index(_)) => (**item).clone(),
                (Self::List(..) | Self::Tuple(..), Field::Name(_)) if maps => Self::Unknown,
                (Self::Object(_), Field::Index(_)) if maps => Self::Unknown,
                (Self::Scalar(_), Field::Index(_)) if maps => Self::Unknown,
                _ => return never(shape),
            };
            shape = next;
        }
        Found { shape, verdict, sure }
    }

    /// Puts a value at a place, as `ResultPath` does.
    pub(crate) fn insert<'f>(&self, fields: &[Field<'f>], value: Self, origin: Origin) -> Self {
        let Some((first, rest)) = fields.split_first() else {
            return value;
        };
        if usize::from(DEPTH_MAX) < fields.len() {
            return Self::Unknown;
        }
        let Field::Name(name) = first else {
            return Self::Unknown;
        };
        let (mut members, others, origin) = match self {
            Self::Object(object) => (object.members.clone(), object.rest, object.origin),
            Self::Unknown => (BTreeMap::new(), Rest::Anything, origin),
            _ => return Self::Unknown,
        };
        let old = match (members.get(*name), others) {
            (Some(member), _) if member.presence == Presence::Sure => member.shape.clone(),
            (None, Rest::Nothing) => Self::object([], origin),
            _ => Self::Unknown,
        };
        let inserted = old.insert(rest, value, origin);
        members.insert(Arc::from(*name), Member::sure(inserted));
        Self::any_object(members, others, origin)
    }

    /// Takes a member away that a rule has not found.
    pub(crate) fn without<'f>(&self, fields: &[Field<'f>], origin: Origin) -> Self {
        let (Self::Object(object), Some((Field::Name(name), rest))) = (self, fields.split_first()) else {
            return self.clone();
        };
        let mut members = object.members.clone();
        if rest.is_empty() {
            // Without a closed list, what is not listed may still be anything.
            return match (members.remove(*name), object.rest) {
                (Some(_), Rest::Nothing) => Self::any_object(members, Rest::Nothing, origin),
                _ => self.clone(),
            };
        }
        match members.get_mut(*name) {
            Some(member) => member.shape = member.shape.without(rest, origin),
            None => return self.clone(),
        }
        Self::any_object(members, object.rest, object.origin)
    }

    /// Marks a member as present that a rule has found.
    pub(crate) fn with<'f>(&self, fields: &[Field<'f>]) -> Self {
        let (Self::Object(object), Some((Field::Name(name), rest))) = (self, fields.split_first()) else {
            return self.clone();
        };
        let Some(member) = object.members.get(*name) else {
            return self.clone();
        };
        let found = Member::sure(member.shape.with(rest));
        if found == *member {
            return self.clone();
        }
        let mut members = object.members.clone();
        members.insert(Arc::from(*name), found);
        Self::any_object(members, object.rest, object.origin)
    }

    /// Returns what is left of it behind a Choice, whose rules may know which way was taken.
    pub(crate) fn behind_choice(&self) -> Self {
        let Self::Object(object) = self else {
            return self.clone();
        };
        let rest = match object.rest {
            Rest::Missing(_) => Rest::Anything,
            rest => rest,
        };
        let members = object.members.iter().map(|(name, member)| {
            let presence = member.presence.behind_choice();
            let shape = member.shape.behind_choice();
            (name.clone(), Member { shape, presence })
        });
        Self::any_object(members.collect(), rest, object.origin)
    }
}

impl Member {
    /// A member that is there.
    pub(crate) fn sure(shape: Shape) -> Self {
        Self {
            shape,
            presence: Presence::Sure,
        }
    }

    /// A member that may be there.
    pub(crate) fn unclear(shape: Shape) -> Self {
        Self {
            shape,
            presence: Presence::Unclear,
        }
    }

    /// Joins what two ways have.
    pub(crate) fn join(&self, other: &Self) -> Self {
        Self {
            shape: self.shape.join(&other.shape),
            presence: self.presence.join(other.presence),
        }
    }
}

/// Joins an object with a value of which nothing is known.
fn blur(object: &Object) -> Shape {
    let rest = match object.rest {
        Rest::Nothing => Rest::Missing(object.origin),
        rest => rest,
    };
    let members = object.members.iter().map(|(name, member)| {
        let presence = member.presence.join(Presence::Unclear);
        let shape = Shape::Unknown;
        (name.clone(), Member { shape, presence })
    });
    Shape::any_object(members.collect(), rest, object.origin)
}

fn join_objects(a: &Arc<Object>, b: &Arc<Object>) -> Shape {
    if Arc::ptr_eq(a, b) {
        return Shape::Object(a.clone());
    }
    let rest = match (a.rest, b.rest) {
        (Rest::Missing(origin), _) | (_, Rest::Missing(origin)) => Rest::Missing(origin),
        (Rest::Nothing, Rest::Anything) => Rest::Missing(a.origin),
        (Rest::Anything, Rest::Nothing) => Rest::Missing(b.origin),
        (Rest::Nothing, Rest::Nothing) => Rest::Nothing,
        (Rest::Anything, Rest::Anything) => Rest::Anything,
    };
    let mut members = BTreeMap::new();
    for (name, member) in &a.members {
        let joined = match b.members.get(name) {
            Some(other) => member.join(other),
            None => against(member, b),
        };
        members.insert(name.clone(), joined);
    }
    for (name, member) in &b.members {
        if !a.members.contains_key(name) {
            members.insert(name.clone(), against(member, a));
        }
    }
    Shape::any_object(members, rest, a.origin)
}

/// Joins a member with an object that does not list it.
fn against(member: &Member, other: &Object) -> Member {
    match other.rest {
        Rest::Nothing => Member {
            shape: member.shape.clone(),
            presence: member.presence.join(Presence::Maybe(other.origin)),
        },
        Rest::Anything => Member {
            shape: Shape::Unknown,
            presence: member.presence.join(Presence::Unclear),
        },
        Rest::Missing(origin) => Member {
            shape: Shape::Unknown,
            presence: member.presence.join(Presence::Maybe(origin)),
        },
    }
}

fn join_scalars(a: &Scalar, b: &Scalar) -> Shape {
    if a == b {
        return Shape::Scalar(a.clone());
    }
    match (a, b) {
        (Scalar::Number(_), Scalar::Number(_)) => Shape::number(),
        (Scalar::Text(_), Scalar::Text(_)) => Shape::text(),
        (Scalar::Truth(_), Scalar::Truth(_)) => Shape::truth(),
        _ => Shape::Unknown,
    }
}
