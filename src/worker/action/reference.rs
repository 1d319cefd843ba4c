//! References to secrets in parameters: where they may stand, and what takes their place when the action works.

use serde_json::Value;

use crate::model::states_error::StatesError;
use crate::query::template::Sketch;
use crate::secret::reference::Reference;
use crate::secret::reference::SCHEME;
use crate::secret::value::Wiped;
use crate::worker::action::Work;
use crate::worker::action::check::Problem;
use crate::worker::action::check::Shape;
use crate::worker::action::check::names;
use crate::worker::action::check::shape;
use crate::worker::action::facts::Facts;
use crate::worker::action::facts::Secrets;
use crate::worker::credential;
use crate::worker::secrets;

/// A reference in parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The way to the text that holds it, as a JSON pointer.
    pub pointer: String,
    /// What stands before it in the text.
    before: String,
    /// The reference.
    pub reference: Reference,
    /// The action fetches it by itself.
    is_file: bool,
}

/// Finds the references in parameters, and what is wrong with them.
pub fn find(facts: &Facts, parameters: &Sketch<'_>) -> (Vec<Found>, Vec<Problem>) {
    let mut finder = Finder {
        facts,
        found: Vec::new(),
        problems: Vec::new(),
    };
    if let Shape::Members(members) = shape(parameters) {
        for (name, value) in members {
            let parameter = facts.parameters.iter().find(|parameter| parameter.name == name);
            let rule = parameter.map_or(Secrets::Never, |parameter| parameter.secrets);
            finder.walk(rule, value, format!("/{}", escaped(name)));
        }
    }
    (finder.found, finder.problems)
}

/// Returns the references in parameters that were checked.
pub fn all(facts: &Facts, parameters: &Value) -> Vec<Found> {
    find(facts, &Sketch::Known(parameters)).0
}

/// Puts secrets into parameters in the place of their references.
///
/// # Errors
/// One of them is not available, or is no text.
pub async fn resolve(facts: &Facts, parameters: &Value, work: &mut Work<'_>) -> Result<Wiped, StatesError> {
    let mut resolved = Wiped(parameters.clone());
    for found in all(facts, parameters) {
        if found.is_file {
            continue;
        }
        let secret = secrets::fetch(&work.site.secrets, &found.reference, work.reports, work.cancel).await?;
        let Ok(text) = std::str::from_utf8(secret.expose()) else {
            let sentence = format!(
                "The secret `{}` is no UTF-8, so it cannot stand in `{}` of {}.",
                found.reference,
                shown(&found.pointer),
                facts.name
            );
            return Err(StatesError::new(secrets::SECRET_UNAVAILABLE, sentence));
        };
        if let Some(place) = resolved.0.pointer_mut(&found.pointer) {
            *place = Value::from(format!("{}{text}", found.before));
        }
    }
    Ok(resolved)
}

fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

fn shown(pointer: &str) -> String {
    let path = pointer.trim_start_matches('/').replace('/', ".");
    path.replace("~1", "/").replace("~0", "~")
}

struct Finder<'f> {
    facts: &'f Facts,
    found: Vec<Found>,
    problems: Vec<Problem>,
}

impl Finder<'_> {
    fn walk(&mut self, rule: Secrets, value: Sketch<'_>, pointer: String) {
        let mut open = vec![(value, pointer)];
        while let Some((value, pointer)) = open.pop() {
            match shape(&value) {
                Shape::Leaf(Value::String(text)) => self.text(rule, text, pointer),
                Shape::List(items) => {
                    let items = items.into_iter().enumerate();
                    open.extend(items.map(|(n, item)| (item, format!("{pointer}/{n}"))));
                }
                Shape::Members(members) => {
                    for (name, value) in members {
                        let pointer = format!("{pointer}/{}", escaped(name));
                        if matches!(rule, Secrets::Files) && !credential::is_name(name) {
                            let what = "cannot name a credential: letters, digits, `.`, `_` and `-` can";
                            self.tell(&pointer, what);
                        }
                        open.push((value, pointer));
                    }
                }
                Shape::Leaf(_) | Shape::Unknown => {}
            }
        }
    }

    fn text(&mut self, rule: Secrets, text: &str, pointer: String) {
        let is_scheme = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let (before, reference) = match (rule, text.split_once(' ')) {
            (Secrets::Header, Some((word, rest))) if is_scheme(word) && rest.starts_with(SCHEME) => {
                (format!("{word} "), rest)
            }
            _ => (String::new(), text),
        };
        let is_reference = reference.starts_with(SCHEME);
        match rule {
            Secrets::Never if is_reference => {
                let able = self.facts.secret_capable();
                let what = match able.as_slice() {
                    [] => "cannot hold a secret: no parameter of the action can".to_owned(),
                    able => format!("cannot hold a secret: {} can", names(able, "and")),
                };
                self.tell(&pointer, &what);
            }
            Secrets::Never => {}
            _ if is_reference => match Reference::parse(reference) {
                Ok(reference) => self.found.push(Found {
                    pointer,
                    before,
                    reference,
                    is_file: matches!(rule, Secrets::Files),
                }),
                Err(error) => self.tell(&pointer, &format!("is no reference to a secret: {error}")),
            },
            Secrets::Files => self.tell(&pointer, "must be a reference such as `secret://db/password`"),
            _ if text.contains(SCHEME) => {
                let what = "holds a reference to a secret within a text, where it is not read: the reference must be all of it";
                self.tell(&pointer, what);
            }
            _ => {}
        }
    }

    fn tell(&mut self, pointer: &str, what: &str) {
        self.problems.push(Problem {
            pointer: pointer.to_owned(),
            message: format!("`{}` of {} {what}.", shown(pointer), self.facts.name),
        });
    }
}
