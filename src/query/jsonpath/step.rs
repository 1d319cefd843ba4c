//! What a path is made of.

use std::fmt::Write;

use crate::query::jsonpath::filter::Test;
use crate::query::jsonpath::function::Function;

/// One step of a path.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// `.name` or `['name']`
    Name(Box<str>, Quote),
    /// `['a','b']`: at the end of a path one object with these members, elsewhere each member's value.
    Names(Box<[Box<str>]>, Quote),
    /// `[0]`, `[-1]`
    Index(i64),
    /// `[0,2]`
    Indexes(Box<[i64]>),
    /// `[1:5]`, `[1:]`, `[:1]`
    Slice(Option<i64>, Option<i64>),
    /// `.*`, `[*]`
    Wildcard,
    /// `..`: the next step is tried on every object and array below.
    Scan,
    /// `[?(…)]`
    Filter(Box<Test>),
    /// `.length()`
    Function(Function),
}

/// What a name stands between; some sentences show it as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quote {
    Double,
    Single,
}

impl Quote {
    pub(super) fn mark(self) -> char {
        match self {
            Self::Double => '"',
            Self::Single => '\'',
        }
    }
}

/// The steps of a path behind its root.
#[derive(Clone, Debug, Default)]
pub(super) struct Steps {
    /// In written order.
    pub(super) list: Vec<Step>,
    /// Whether they yield one value instead of a list.
    pub(super) definite: bool,
    /// Whether the first function takes the whole list: see `Kind::apply_to_scan`.
    pub(super) aggregates: bool,
}

impl Steps {
    pub(super) fn new(list: Vec<Step>) -> Self {
        let aggregates =
            matches!(list.first(), Some(Step::Scan)) && list.iter().any(|step| matches!(step, Step::Function(_)));
        let last = list.len().saturating_sub(1);
        let plain = list.iter().enumerate().all(|(index, step)| match step {
            Step::Name(..) | Step::Index(_) | Step::Function(_) => true,
            Step::Names(..) => index == last,
            _ => false,
        });
        let after_function = list
            .iter()
            .skip_while(|step| !matches!(step, Step::Function(_)))
            .all(|step| matches!(step, Step::Name(..) | Step::Index(_) | Step::Function(_)));
        Self {
            definite: plain || (aggregates && after_function),
            aggregates,
            list,
        }
    }

    /// Whether there are only names and single indexes.
    pub(super) fn is_reference(&self) -> bool {
        self.list
            .iter()
            .all(|step| matches!(step, Step::Name(..) | Step::Index(_)))
    }
}

/// Jayway's normal form of a whole path, for example `$['a'][0]`.
pub(super) fn normal_form(steps: &[Step]) -> String {
    format!("${}", fragments(steps))
}

/// The normal form without the root.
pub(super) fn fragments(steps: &[Step]) -> String {
    let mut text = String::new();
    for step in steps {
        step.write(&mut text);
    }
    text
}

/// Where a selection stands, in the form of Jayway's evaluated paths: names are in single quotes always.
pub(super) fn place(steps: &[Step]) -> String {
    let mut text = String::from("$");
    for step in steps {
        match step {
            Step::Name(name, _) => Step::Name(name.clone(), Quote::Single).write(&mut text),
            other => other.write(&mut text),
        }
    }
    text
}

impl Step {
    /// Appends the normal form of this step.
    fn write(&self, text: &mut String) {
        let list = |text: &mut String, items: &mut dyn Iterator<Item = String>| {
            text.push('[');
            text.push_str(&items.collect::<Vec<_>>().join(","));
            text.push(']');
        };
        match self {
            Self::Name(name, quote) => {
                let mark = quote.mark();
                let _ = write!(text, "[{mark}{name}{mark}]");
            }
            Self::Names(names, quote) => {
                let mark = quote.mark();
                list(text, &mut names.iter().map(|name| format!("{mark}{name}{mark}")));
            }
            Self::Index(index) => {
                let _ = write!(text, "[{index}]");
            }
            Self::Indexes(indexes) => list(text, &mut indexes.iter().map(i64::to_string)),
            Self::Slice(from, to) => {
                let number = |n: &Option<i64>| n.map(|n| n.to_string()).unwrap_or_default();
                let _ = write!(text, "[{}:{}]", number(from), number(to));
            }
            Self::Wildcard => text.push_str("[*]"),
            Self::Scan => text.push_str(".."),
            Self::Filter(_) => text.push_str("[?]"),
            Self::Function(function) => {
                let dots = if function.parameters.is_empty() { "" } else { "..." };
                let _ = write!(text, ".{}({dots})", function.kind.name());
            }
        }
    }
}
