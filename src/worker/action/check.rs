//! Checks parameters against an action's facts: values when a task starts, templates when a definition is validated.

use std::fmt::Write;

use serde_json::Value;

use crate::asl::definition::Definition;
use crate::asl::definition::QueryLanguage;
use crate::asl::definition::StateKind;
use crate::model::id::StateId;
use crate::query::template::Sketch;
use crate::query::template::Template;
use crate::worker::action;
use crate::worker::action::Named;
use crate::worker::action::facts::Facts;
use crate::worker::action::facts::Kind;
use crate::worker::action::facts::Parameter;
use crate::worker::action::facts::is_path;
use crate::worker::action::reference;

/// What is wrong with a parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The way to it, as a JSON pointer: `/Packages/0`; empty for the whole.
    pub pointer: String,
    /// A full sentence.
    pub message: String,
}

/// Checks the parameters of a task that starts.
///
/// # Errors
/// All that is wrong, in the order of the parameters.
pub fn value(facts: &Facts, parameters: &Value) -> Result<(), Vec<Problem>> {
    sketch(facts, &Sketch::Known(parameters))
}

/// Checks what is known of the parameters before a task starts.
///
/// # Errors
/// All that is wrong whatever the rest turns out to be.
pub fn sketch(facts: &Facts, parameters: &Sketch<'_>) -> Result<(), Vec<Problem>> {
    let mut problems = Checker::new(facts.name)
        .check(facts, parameters)
        .err()
        .unwrap_or_default();
    let (_, references) = reference::find(facts, parameters);
    // What is no path because it is a reference is told once.
    problems.retain(|problem| !references.iter().any(|other| other.pointer == problem.pointer));
    problems.extend(references);
    match problems.is_empty() {
        true => Ok(()),
        false => Err(problems),
    }
}

/// Checks the tasks of a definition that name actions. Returns what is wrong by state; pointers begin at the state.
pub fn definition(definition: &Definition) -> Vec<(StateId, Problem)> {
    let mut found = Vec::new();
    for (number, state) in definition.states.iter().enumerate() {
        let StateKind::Task(task) = &state.kind else { continue };
        let problems = self::task(&task.resource.arn, state.language, state.parameters.as_ref());
        let id = StateId(u32::try_from(number).unwrap_or(u32::MAX));
        found.extend(problems.into_iter().map(|problem| (id, problem)));
    }
    found
}

/// Checks a task that may name an action; pointers begin at the state.
pub fn task(resource: &str, language: QueryLanguage, parameters: Option<&Template>) -> Vec<Problem> {
    let action = match action::named(resource) {
        Named::Other => return Vec::new(),
        Named::Unknown(name) => {
            return vec![Problem {
                pointer: "/Resource".to_owned(),
                message: format!("There is no action `{name}`. `stepfn actions` lists them."),
            }];
        }
        Named::Action(action) => action,
    };
    let sketch = parameters.map_or(Sketch::Unknown, Template::sketch);
    let field = parameters_field(language);
    let problems = self::sketch(action.facts(), &sketch).err().unwrap_or_default();
    let problems = problems.into_iter().map(|problem| Problem {
        pointer: format!("/{field}{}", problem.pointer),
        ..problem
    });
    problems.collect()
}

/// Returns the field of a state that holds a task's parameters.
pub fn parameters_field(language: QueryLanguage) -> &'static str {
    match language {
        QueryLanguage::JsonPath => "Parameters",
        QueryLanguage::JsonAta => "Arguments",
    }
}

/// Writes names for a sentence: `A`, `B` and `C`.
pub(super) fn names(names: &[&str], last: &str) -> String {
    let mut text = String::new();
    for (n, name) in names.iter().enumerate() {
        let separator = match n {
            0 => String::new(),
            n if n + 1 == names.len() => format!(" {last} "),
            _ => ", ".to_owned(),
        };
        let _ = write!(text, "{separator}`{name}`");
    }
    text
}

struct Checker {
    who: &'static str,
    problems: Vec<Problem>,
}

/// The outermost shape of what is known.
pub(super) enum Shape<'a> {
    Leaf(&'a Value),
    List(Vec<Sketch<'a>>),
    Members(Vec<(&'a str, Sketch<'a>)>),
    Unknown,
}

pub(super) fn shape<'a>(sketch: &Sketch<'a>) -> Shape<'a> {
    match sketch {
        Sketch::Known(Value::Array(items)) => Shape::List(items.iter().map(Sketch::Known).collect()),
        Sketch::Known(Value::Object(members)) => Shape::Members(
            members
                .iter()
                .map(|(name, value)| (name.as_str(), Sketch::Known(value)))
                .collect(),
        ),
        Sketch::Known(value) => Shape::Leaf(value),
        Sketch::Array(items) => Shape::List(items.clone()),
        Sketch::Object(members) => Shape::Members(members.clone()),
        Sketch::Call(_) | Sketch::Expression(_) | Sketch::Path(_) | Sketch::Unknown => Shape::Unknown,
    }
}

impl Checker {
    fn new(who: &'static str) -> Self {
        Self {
            who,
            problems: Vec::new(),
        }
    }

    fn check(mut self, facts: &Facts, parameters: &Sketch<'_>) -> Result<(), Vec<Problem>> {
        if let Some(members) = self.record(facts.parameters, parameters, "") {
            for group in facts.one_of {
                let given: Vec<&str> = members.iter().copied().filter(|name| group.contains(name)).collect();
                match given.as_slice() {
                    [_] => {}
                    [] => self.tell("", format!("{} needs {}.", facts.name, names(group, "or"))),
                    [..] => self.tell(
                        "",
                        format!("{} takes only one of {}.", facts.name, names(&given, "and")),
                    ),
                }
            }
        }
        match self.problems.is_empty() {
            true => Ok(()),
            false => Err(self.problems),
        }
    }

    fn tell(&mut self, pointer: &str, message: String) {
        self.problems.push(Problem {
            pointer: pointer.to_owned(),
            message,
        });
    }

    /// Checks an object, and returns the names of its members if they are known.
    fn record<'a>(
        &mut self,
        parameters: &'static [Parameter],
        sketch: &Sketch<'a>,
        pointer: &str,
    ) -> Option<Vec<&'a str>> {
        let members = match shape(sketch) {
            Shape::Unknown => return None,
            Shape::Members(members) => members,
            Shape::Leaf(_) | Shape::List(_) => {
                self.tell(pointer, format!("{} must be an object.", self.subject(pointer)));
                return None;
            }
        };
        for (name, value) in &members {
            let pointer = format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
            match parameters.iter().find(|parameter| parameter.name == *name) {
                Some(parameter) => self.kind(parameter.kind, value, &pointer),
                None => {
                    let known: Vec<&str> = parameters.iter().map(|parameter| parameter.name).collect();
                    let known = match known.as_slice() {
                        [] => "It has none".to_owned(),
                        known => format!("It has {}", names(known, "and")),
                    };
                    self.tell(&pointer, format!("{} has no parameter `{name}`. {known}.", self.who));
                }
            }
        }
        for parameter in parameters.iter().filter(|parameter| parameter.required) {
            if !members.iter().any(|(name, _)| *name == parameter.name) {
                self.tell(
                    pointer,
                    format!("{} needs `{}`.", self.subject(pointer), parameter.name),
                );
            }
        }
        Some(members.into_iter().map(|(name, _)| name).collect())
    }

    fn subject(&self, pointer: &str) -> String {
        match pointer {
            "" => self.who.to_owned(),
            _ => format!(
                "`{}` of {}",
                pointer.trim_start_matches('/').replace('/', "."),
                self.who
            ),
        }
    }

    fn kind(&mut self, kind: Kind, sketch: &Sketch<'_>, pointer: &str) {
        if let (Kind::Record(parameters), _) = (kind, sketch) {
            self.record(parameters, sketch, pointer);
            return;
        }
        let shape = shape(sketch);
        if matches!(shape, Shape::Unknown) || matches!(kind, Kind::Json) {
            return;
        }
        match (kind, &shape) {
            (Kind::List(of), Shape::List(items)) if !items.is_empty() => {
                for (n, item) in items.iter().enumerate() {
                    self.kind(*of, item, &format!("{pointer}/{n}"));
                }
            }
            (Kind::Variables, Shape::Members(members)) => {
                for (name, value) in members {
                    let pointer = format!("{pointer}/{name}");
                    if name.is_empty() || name.contains(['=', '\0']) {
                        self.tell(&pointer, format!("{name:?} cannot name a variable."));
                    }
                    self.kind(Kind::AnyText, value, &pointer);
                }
            }
            (Kind::Or(left, right), _) => {
                let attempt = |kind: Kind| {
                    let mut checker = Self::new(self.who);
                    checker.kind(kind, sketch, pointer);
                    checker.problems
                };
                let problems = attempt(*left);
                if !problems.is_empty() {
                    let others = attempt(*right);
                    if !others.is_empty() {
                        // A problem deeper down says more.
                        let is_deep = |problems: &[Problem]| problems.iter().any(|it| it.pointer != pointer);
                        match (is_deep(&problems), is_deep(&others)) {
                            (true, _) => self.problems.extend(problems),
                            (false, true) => self.problems.extend(others),
                            (false, false) => self.refuse(kind, pointer),
                        }
                    }
                }
            }
            (kind, Shape::Leaf(value)) if fits(kind, value) => {}
            (kind, _) => self.refuse(kind, pointer),
        }
    }

    fn refuse(&mut self, kind: Kind, pointer: &str) {
        self.tell(
            pointer,
            format!("{} must be {}.", self.subject(pointer), describe(kind)),
        );
    }
}

fn fits(kind: Kind, value: &Value) -> bool {
    match (kind, value) {
        (Kind::Boolean, Value::Bool(_)) => true,
        (Kind::Integer(low, high), Value::Number(number)) => number
            .as_i64()
            .or_else(|| {
                let float = number.as_f64().filter(|float| float.fract() == 0.0)?;
                // JSONata makes every number a float.
                (float.abs() < 9e15).then_some(float as i64)
            })
            .is_some_and(|number| low <= number && number <= high),
        (_, Value::String(text)) if text.contains('\0') => false,
        (Kind::AnyText, Value::String(_)) => true,
        (Kind::Text, Value::String(text)) => !text.is_empty(),
        (Kind::Path, Value::String(text)) => is_path(text),
        (Kind::Named(_, test), Value::String(text)) => test(text),
        (Kind::OneOf(texts), Value::String(text)) => texts.contains(&text.as_str()),
        _ => false,
    }
}

/// Says what a kind is, to follow "must be" or to stand in a table.
pub fn describe(kind: Kind) -> String {
    match kind {
        Kind::AnyText => "a text".to_owned(),
        Kind::Boolean => "`true` or `false`".to_owned(),
        Kind::Integer(low, high) => format!("a whole number from {low} to {high}"),
        Kind::Json => "any JSON".to_owned(),
        Kind::List(of) => format!("a list, not empty, of which each member is {}", describe(*of)),
        Kind::Named(what, _) => what.to_owned(),
        Kind::OneOf(texts) => match texts {
            [text] => format!("`{text}`"),
            texts => names(texts, "or"),
        },
        Kind::Or(left, right) => format!("{}, or {}", describe(*left), describe(*right)),
        Kind::Path => "an absolute path without `.` and `..`".to_owned(),
        Kind::Record(parameters) => {
            let known: Vec<&str> = parameters.iter().map(|parameter| parameter.name).collect();
            format!("an object of {}", names(&known, "and"))
        }
        Kind::Text => "a text that is not empty".to_owned(),
        Kind::Variables => "an object of texts".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NESTED: &[Parameter] = &[Parameter::required("Name", Kind::Text, "")];
    const FACTS: Facts = Facts {
        name: "test.it",
        summary: "",
        details: "",
        parameters: &[
            Parameter::optional("Count", Kind::Integer(1, 9), ""),
            Parameter::optional("Env", Kind::Variables, ""),
            Parameter::optional("Mode", Kind::OneOf(&["a", "b"]), ""),
            Parameter::optional("One", Kind::Or(&Kind::Text, &Kind::List(&Kind::Text)), ""),
            Parameter::optional("Path", Kind::Path, ""),
            Parameter::optional("Record", Kind::Record(NESTED), ""),
            Parameter::optional("Other", Kind::Json, ""),
        ],
        one_of: &[&["One", "Other"]],
        result: &[],
        errors: &[],
        undo: None,
        example: "{}",
    };

    #[test]
    fn parameters_are_read_strictly() {
        for (parameters, expected) in [
            (json!({"Other": null}), ""),
            (
                json!({"One": ["a"], "Count": 9.0, "Path": "/a/b", "Env": {"A": ""}}),
                "",
            ),
            (json!([]), " test.it must be an object."),
            (json!({}), " test.it needs `One` or `Other`."),
            (
                json!({"One": "a", "Other": 1}),
                " test.it takes only one of `One` and `Other`.",
            ),
            (
                json!({"One": []}),
                "/One `One` of test.it must be a text that is not empty, or a list, not empty, of which each member is a text that is not empty.",
            ),
            (
                json!({"One": ["a", ""]}),
                "/One/1 `One.1` of test.it must be a text that is not empty.",
            ),
            (
                json!({"One": "a\u{0}"}),
                "/One `One` of test.it must be a text that is not empty, or a list, not empty, of which each member is a text that is not empty.",
            ),
            (
                json!({"One": "a", "Count": 10}),
                "/Count `Count` of test.it must be a whole number from 1 to 9.",
            ),
            (
                json!({"One": "a", "Count": 1.5}),
                "/Count `Count` of test.it must be a whole number from 1 to 9.",
            ),
            (
                json!({"One": "a", "Mode": "c"}),
                "/Mode `Mode` of test.it must be `a` or `b`.",
            ),
            (
                json!({"One": "a", "Path": "/a/../b"}),
                "/Path `Path` of test.it must be an absolute path without `.` and `..`.",
            ),
            (
                json!({"One": "a", "Env": {"A=B": "x"}}),
                "/Env/A=B \"A=B\" cannot name a variable.",
            ),
            (
                json!({"One": "a", "Env": {"A": 1}}),
                "/Env/A `Env.A` of test.it must be a text.",
            ),
            (
                json!({"One": "a", "Record": {}}),
                "/Record `Record` of test.it needs `Name`.",
            ),
            (
                json!({"One": "a", "Record": {"Name": "b", "x": 1}}),
                "/Record/x test.it has no parameter `x`. It has `Name`.",
            ),
        ] {
            let problems = value(&FACTS, &parameters).err().unwrap_or_default();
            let told: Vec<String> = problems
                .iter()
                .map(|problem| format!("{} {}", problem.pointer, problem.message))
                .collect();
            assert_eq!(told.join("\n"), expected, "{parameters}");
        }
    }

    #[test]
    fn what_is_not_known_yet_is_not_refused() {
        let known = json!("c");
        let sketch = Sketch::Object(vec![("One", Sketch::Unknown), ("Mode", Sketch::Known(&known))]);
        let problems = super::sketch(&FACTS, &sketch).unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert_eq!(problems[0].pointer, "/Mode");
        assert!(super::sketch(&FACTS, &Sketch::Unknown).is_ok());
    }
}
