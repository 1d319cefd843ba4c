//! What is known of a value that comes from outside: its members, its type, values that are compared with it.

use std::collections::BTreeMap;

use serde_json::Map;
use serde_json::Value;

/// Nesting of a shape, at most: a loop that wraps its data again and again must not make it endless.
const DEPTH_MAX: usize = 12;
/// Members of an object that are noted, at most.
const MEMBERS_MAX: usize = 200;
/// Values of one place that are noted, at most.
const CANDIDATES_MAX: usize = 48;
/// What stands for a text of which nothing is known.
const TEXT: &str = "text";
/// What stands for a time.
const TIME: &str = "2026-01-02T00:00:00Z";

/// A set of types.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Kinds(u8);

impl Kinds {
    pub(super) const ARRAY: Self = Self(1);
    pub(super) const BOOLEAN: Self = Self(2);
    /// A text that is JSON: `element` is its value.
    pub(super) const JSON: Self = Self(4);
    pub(super) const NUMBER: Self = Self(8);
    pub(super) const OBJECT: Self = Self(16);
    pub(super) const STRING: Self = Self(32);
    pub(super) const TIMESTAMP: Self = Self(64);

    fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// Candidates that together fulfil one alternative of one condition. 0 is none: a value that is worth a try.
pub(super) type Group = u32;

/// What is worth trying at a place.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Candidate {
    pub(super) choice: Choice,
    pub(super) group: Group,
}

impl Candidate {
    /// Returns the value, if it is one.
    fn value(&self) -> Option<&Value> {
        match &self.choice {
            Choice::Value(value) => Some(value),
            _ => None,
        }
    }
}

/// What is known of a value.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Shape {
    kinds: Kinds,
    candidates: Vec<Candidate>,
    members: BTreeMap<String, Self>,
    element: Option<Box<Self>>,
    /// A list has at least so many elements.
    length: usize,
    /// Lengths worth trying.
    lengths: Vec<(usize, Group)>,
}

impl Shape {
    pub(super) fn of(kinds: Kinds) -> Self {
        Self {
            kinds,
            ..Self::default()
        }
    }

    /// Returns a list of such elements.
    pub(super) fn list(element: Self) -> Self {
        Self {
            kinds: Kinds::ARRAY,
            element: Some(Box::new(element)),
            ..Self::default()
        }
    }

    /// Returns an object with such a member.
    pub(super) fn with(name: &str, member: Self) -> Self {
        Self {
            kinds: Kinds::OBJECT,
            members: BTreeMap::from([(name.to_owned(), member)]),
            ..Self::default()
        }
    }

    /// Returns an object with such members.
    pub(super) fn object(members: BTreeMap<String, Self>) -> Self {
        Self {
            kinds: Kinds::OBJECT,
            members,
            ..Self::default()
        }
    }

    /// Returns a text that is JSON of that shape.
    pub(super) fn json(inner: Self) -> Self {
        Self {
            kinds: Kinds::JSON,
            element: Some(Box::new(inner)),
            ..Self::default()
        }
    }

    /// Returns a value for which choices are worth trying.
    pub(super) fn worth(choices: impl IntoIterator<Item = (Choice, Group)>) -> Self {
        let choices = choices.into_iter();
        Self {
            candidates: choices.map(|(choice, group)| Candidate { choice, group }).collect(),
            ..Self::default()
        }
    }

    /// Returns a list for which lengths are worth trying.
    pub(super) fn long(lengths: Vec<(usize, Group)>) -> Self {
        Self {
            kinds: Kinds::ARRAY,
            lengths,
            ..Self::default()
        }
    }

    pub(super) fn at_least(mut self, length: usize) -> Self {
        self.length = length.min(8);
        self
    }

    /// Tells whether nothing is known.
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn member(&self, name: &str) -> Self {
        self.members.get(name).cloned().unwrap_or_default()
    }

    /// Takes a member away.
    pub(super) fn without(mut self, way: &[&str]) -> Self {
        match way {
            [] => Self::default(),
            [name] => {
                self.members.remove(*name);
                self
            }
            [name, rest @ ..] => {
                if let Some(member) = self.members.remove(*name) {
                    self.members.insert((*name).to_owned(), member.without(rest));
                }
                self
            }
        }
    }

    /// Notes that what leads to a place, where it is known, are objects.
    pub(super) fn hold_objects(&mut self, way: &[&str]) {
        if let [name, rest @ ..] = way
            && !rest.is_empty()
            && let Some(member) = self.members.get_mut(*name)
        {
            member.kinds.0 |= Kinds::OBJECT.0;
            member.hold_objects(rest);
        }
    }

    /// Returns how many elements it has at least, if it is a list.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// Returns what is known of the elements, if it is a list.
    pub(super) fn elements(&self) -> Self {
        match &self.element {
            Some(element) if !self.kinds.has(Kinds::JSON) => (**element).clone(),
            _ => Self::default(),
        }
    }

    /// Returns what is known of the value of which this is the JSON.
    pub(super) fn parsed(&self) -> Self {
        match &self.element {
            Some(element) if self.kinds.has(Kinds::JSON) => (**element).clone(),
            _ => Self::default(),
        }
    }

    /// Learns what another shape knows of the same value.
    pub(super) fn merge(&mut self, other: &Self) {
        self.merge_to(other, DEPTH_MAX);
    }

    fn merge_to(&mut self, other: &Self, depth: usize) {
        self.kinds.0 |= other.kinds.0;
        self.length = self.length.max(other.length);
        for candidate in &other.candidates {
            if self.candidates.len() < CANDIDATES_MAX && !self.candidates.contains(candidate) {
                self.candidates.push(candidate.clone());
            }
        }
        for length in &other.lengths {
            if self.lengths.len() < CANDIDATES_MAX && !self.lengths.contains(length) {
                self.lengths.push(*length);
            }
        }
        if depth == 0 {
            return;
        }
        let has_room = self.members.len() < MEMBERS_MAX;
        for (name, member) in &other.members {
            match self.members.get_mut(name) {
                Some(own) => own.merge_to(member, depth - 1),
                None if has_room => {
                    let mut own = Self::default();
                    own.merge_to(member, depth - 1);
                    self.members.insert(name.clone(), own);
                }
                None => {}
            }
        }
        if let Some(element) = &other.element {
            self.element.get_or_insert_default().merge_to(element, depth - 1);
        }
    }

    /// Collects the groups of all candidates.
    pub(super) fn groups(&self, found: &mut std::collections::BTreeSet<Group>) {
        found.extend(self.candidates.iter().map(|candidate| candidate.group));
        found.extend(self.lengths.iter().map(|(_, group)| *group));
        self.members.values().for_each(|member| member.groups(found));
        self.element.iter().for_each(|element| element.groups(found));
    }

    /// Returns values that are worth trying though nothing is compared with them.
    pub(super) fn usual(&self) -> &'static [&'static str] {
        if self.kinds.has(Kinds::NUMBER) {
            &["0", "1", "-1", "2", "1000000"]
        } else if self.kinds.has(Kinds::BOOLEAN) {
            &["true", "false"]
        } else if self.kinds.has(Kinds::TIMESTAMP) {
            &["\"2020-01-01T00:00:00Z\"", "\"2030-01-01T00:00:00Z\""]
        } else {
            &[]
        }
    }

    fn is_object(&self) -> bool {
        !self.members.is_empty() || self.kinds.has(Kinds::OBJECT) && !self.is_list()
    }

    fn is_list(&self) -> bool {
        self.kinds.has(Kinds::ARRAY) || self.element.is_some() && !self.kinds.has(Kinds::JSON)
    }

    /// Makes a value in which everything that is read exists.
    pub(super) fn make(&self) -> Value {
        self.make_with(&mut |_| None)
    }

    /// Makes a value; `choose` may say what stands at a place.
    pub(super) fn make_with(&self, choose: &mut dyn FnMut(&Self) -> Option<Choice>) -> Value {
        let chosen = choose(self);
        self.make_chosen(chosen, choose)
    }

    fn make_chosen(&self, chosen: Option<Choice>, choose: &mut dyn FnMut(&Self) -> Option<Choice>) -> Value {
        if let Some(Choice::Value(value)) = chosen {
            return value;
        }
        if !self.members.is_empty() {
            let mut members = Map::new();
            for (name, shape) in &self.members {
                match choose(shape) {
                    Some(Choice::Absent) => {}
                    chosen => {
                        members.insert(name.clone(), shape.make_chosen(chosen, choose));
                    }
                }
            }
            return Value::Object(members);
        }
        if self.is_list() {
            let length = match chosen {
                Some(Choice::Length(length)) => length,
                _ => self.length.max(1),
            };
            let element = self.elements();
            return (0..length).map(|_| element.make_with(choose)).collect();
        }
        if self.kinds.has(Kinds::JSON) {
            return Value::from(self.parsed().make_with(choose).to_string());
        }
        self.plain()
    }

    /// Returns a value without parts.
    fn plain(&self) -> Value {
        if let Some(value) = self.candidates.iter().find_map(Candidate::value) {
            return value.clone();
        }
        if self.kinds.has(Kinds::NUMBER) {
            Value::from(1)
        } else if self.kinds.has(Kinds::TIMESTAMP) {
            Value::from(TIME)
        } else if self.kinds.has(Kinds::BOOLEAN) {
            Value::from(true)
        } else if self.is_object() {
            Value::Object(Map::new())
        } else {
            Value::from(TEXT)
        }
    }

    /// The values worth trying.
    pub(super) fn candidates(&self) -> &[Candidate] {
        &self.candidates
    }

    /// The lengths worth trying, if it is a list.
    pub(super) fn lengths(&self) -> Option<&[(usize, Group)]> {
        (self.is_list() && self.members.is_empty()).then_some(&self.lengths)
    }

    /// Puts what `choose` says into a value that was made from this shape.
    pub(super) fn patch(&self, value: &mut Value, choose: &mut dyn FnMut(&Self) -> Option<Choice>) {
        let chosen = choose(self);
        self.patch_chosen(value, chosen, choose);
    }

    fn patch_chosen(&self, value: &mut Value, chosen: Option<Choice>, choose: &mut dyn FnMut(&Self) -> Option<Choice>) {
        match chosen {
            Some(Choice::Value(chosen)) => {
                *value = chosen;
                return;
            }
            Some(Choice::Length(length)) => {
                let old = value.as_array().cloned().unwrap_or_default();
                let element = self.elements();
                *value = (0..length)
                    .map(|n| old.get(n).cloned().unwrap_or_else(|| element.make()))
                    .collect();
            }
            Some(Choice::Absent | Choice::Present) | None => {}
        }
        if !self.members.is_empty() {
            if !value.is_object() {
                if !value.is_null() {
                    return;
                }
                *value = Value::Object(Map::new());
            }
            let Value::Object(members) = value else { return };
            for (name, shape) in &self.members {
                match choose(shape) {
                    Some(Choice::Absent) => {
                        members.remove(name);
                    }
                    chosen if members.contains_key(name) => {
                        if let Some(member) = members.get_mut(name) {
                            shape.patch_chosen(member, chosen, choose);
                        }
                    }
                    chosen => {
                        // It is made only if it or something below it is wanted.
                        let mut wanted = chosen.is_some();
                        let made = shape.make_chosen(chosen, &mut |shape| {
                            let chosen = choose(shape);
                            wanted |= chosen.is_some();
                            chosen
                        });
                        if wanted {
                            members.insert(name.clone(), made);
                        }
                    }
                }
            }
        } else if let Value::Array(elements) = value {
            if let Some(shape) = self.element.as_ref().filter(|_| !self.kinds.has(Kinds::JSON)) {
                elements.iter_mut().for_each(|element| shape.patch(element, choose));
            }
        } else if let (true, Value::String(text), Some(inner)) = (self.kinds.has(Kinds::JSON), &value, &self.element)
            && let Ok(mut parsed) = serde_json::from_str(text)
        {
            inner.patch(&mut parsed, choose);
            *value = Value::from(parsed.to_string());
        }
    }
}

/// What is to stand at a place.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Choice {
    Absent,
    Length(usize),
    /// Whatever it is.
    Present,
    Value(Value),
}

/// Chooses what a group asks for.
pub(super) fn of_group(group: Group) -> impl FnMut(&Shape) -> Option<Choice> {
    move |shape| {
        let mut candidates = shape.candidates.iter().filter(|candidate| candidate.group == group);
        // That it is there goes without saying when it has a value.
        if let Some(first) = candidates.next() {
            let is_value = |candidate: &&Candidate| candidate.choice != Choice::Present;
            let other = candidates.find(is_value).filter(|_| first.choice == Choice::Present);
            return Some(other.unwrap_or(first).choice.clone());
        }
        let length = shape.lengths.iter().find(|(_, other)| *other == group);
        length.map(|(length, _)| Choice::Length(*length))
    }
}
