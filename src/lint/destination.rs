//! Where the values that a state makes end up, so that it can be told whether one is made of its own old self.

use crate::asl::definition::QueryLanguage;
use crate::asl::definition::ResultPath;
use crate::asl::definition::State;
use crate::asl::definition::StateKind;
use crate::query::jsonata::outline;
use crate::query::jsonpath::path::Field;
use crate::query::jsonpath::path::Path;
use crate::query::jsonpath::path::Root;
use crate::query::template::Sketch;
use crate::query::template::Template;

/// A member of the data or of a variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Destination {
    /// The variable; nothing for the data that goes from state to state.
    pub(crate) variable: Option<String>,
    pub(crate) fields: Vec<String>,
}

impl Destination {
    /// Returns what a path names, when all its steps are names.
    pub(crate) fn of_path(path: &Path) -> Option<Self> {
        let variable = match path.root() {
            Root::Input => None,
            Root::Variable(name) => Some(name.to_string()),
            Root::Context => return None,
        };
        let names = path.fields().map(|field| match field {
            Field::Name(name) => Some(name.to_owned()),
            Field::Index(_) => None,
        });
        let fields = names.collect::<Option<Vec<_>>>().filter(|_| path.is_reference())?;
        Some(Self { variable, fields })
    }

    /// Returns what an expression reads.
    pub(crate) fn of_read(root: outline::Root<'_>, fields: &[&str]) -> Option<Self> {
        let variable = match root {
            outline::Root::Input => None,
            outline::Root::Variable(name) => Some(name.to_owned()),
            outline::Root::Context | outline::Root::ErrorOutput | outline::Root::Result => return None,
        };
        Some(Self {
            variable,
            fields: fields.iter().map(|name| (*name).to_owned()).collect(),
        })
    }

    /// Returns the place of members within this one.
    pub(crate) fn below(&self, names: &[&str]) -> Self {
        let mut inner = self.clone();
        inner.fields.extend(names.iter().map(|name| (*name).to_owned()));
        inner
    }
}

impl std::fmt::Display for Destination {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("$")?;
        f.write_str(self.variable.as_deref().unwrap_or_default())?;
        self.fields.iter().try_for_each(|name| write!(f, ".{name}"))
    }
}

/// A value that a state makes.
pub(crate) struct Made<'a> {
    pub(crate) to: Destination,
    pub(crate) sketch: Sketch<'a>,
    /// From the state on: `/Assign/list`.
    pub(crate) place: String,
}

/// Returns the values that a state makes out of its input and the variables: those of a Pass, of `Output` and of
/// `Assign`.
pub(crate) fn made(state: &State) -> Vec<Made<'_>> {
    let mut found = Vec::new();
    let data = Destination {
        variable: None,
        fields: Vec::new(),
    };
    if let (QueryLanguage::JsonPath, StateKind::Pass(None), Some(template)) =
        (state.language, &state.kind, &state.parameters)
    {
        let to = match &state.result_path {
            ResultPath::Replace => Some(data.clone()),
            ResultPath::Discard => None,
            ResultPath::At(path) => Destination::of_path(path),
        };
        if let Some(to) = to {
            walk(template.sketch(), to, "/Parameters", &mut found);
        }
    }
    if let Some(template) = &state.output {
        walk(template.sketch(), data.clone(), "/Output", &mut found);
    }
    assigned(state.assign.as_ref(), "/Assign", &mut found);
    for (index, catcher) in state.catchers.iter().enumerate() {
        assigned(catcher.assign.as_ref(), &format!("/Catch[{index}]/Assign"), &mut found);
    }
    if let StateKind::Choice(choice) = &state.kind {
        for (index, rule) in choice.rules.iter().enumerate() {
            assigned(rule.assign.as_ref(), &format!("/Choices[{index}]/Assign"), &mut found);
            if let Some(template) = &rule.output {
                walk(
                    template.sketch(),
                    data.clone(),
                    &format!("/Choices[{index}]/Output"),
                    &mut found,
                );
            }
        }
    }
    found
}

fn assigned<'a>(template: Option<&'a Template>, place: &str, found: &mut Vec<Made<'a>>) {
    let Some(Sketch::Object(members)) = template.map(Template::sketch) else {
        return;
    };
    for (name, sketch) in members {
        let to = Destination {
            variable: Some(name.to_owned()),
            fields: Vec::new(),
        };
        let place = member_place(place, name, &sketch);
        walk(sketch, to, &place, found);
    }
}

fn member_place(place: &str, name: &str, sketch: &Sketch<'_>) -> String {
    let mark = if matches!(sketch, Sketch::Call(_) | Sketch::Path(_)) {
        ".$"
    } else {
        ""
    };
    format!("{place}/{name}{mark}")
}

// The readers of definitions bound how deep a template nests.
fn walk<'a>(sketch: Sketch<'a>, to: Destination, place: &str, found: &mut Vec<Made<'a>>) {
    if let Sketch::Object(members) = sketch {
        for (name, member) in members {
            let place = member_place(place, name, &member);
            walk(member, to.below(&[name]), &place, found);
        }
        return;
    }
    found.push(Made {
        to,
        sketch,
        place: place.to_owned(),
    });
}
