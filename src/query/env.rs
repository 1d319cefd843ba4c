//! What an expression can see.

use std::cell::OnceCell;
use std::cell::RefCell;

use crate::model::entropy::Entropy;
use crate::model::payload::Payload;

/// The workflow variables in reach of a state.
pub trait Variables {
    /// Returns the value of `name` (without `$`) as it was when the state was entered.
    fn get(&self, name: &str) -> Option<Payload>;
}

/// No variables at all.
pub struct NoVariables;

impl Variables for NoVariables {
    fn get(&self, _: &str) -> Option<Payload> {
        None
    }
}

/// Everything that an expression may read, and the chance it may draw from.
pub struct Env<'a> {
    /// `$` of JSONPath (the template's or the path's input), `$states.input` of JSONata.
    pub input: Payload,
    /// `$states.result`, where the field may see it.
    pub result: Option<Payload>,
    /// `$states.errorOutput`, where the field may see it.
    pub error_output: Option<Payload>,
    /// `$name`.
    pub variables: &'a dyn Variables,
    /// `$$` and `$states.context`, made when first read.
    pub context: &'a Context<'a>,
    /// Chance for `States.UUID`, `$uuid`, `$random` and so on.
    pub entropy: &'a RefCell<Entropy>,
}

/// The context object, made when it is first read and then kept.
///
/// It comes in two forms, because `Execution.Input` may be large and is seldom what an expression reads: a Map
/// over many items would otherwise copy the whole input for each of them.
pub struct Context<'a> {
    whole: OnceCell<Payload>,
    light: OnceCell<Payload>,
    make: &'a dyn Fn(ContextForm) -> Payload,
}

/// How much of the context object is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContextForm {
    /// All of it.
    Whole,
    /// All but `Execution.Input`.
    WithoutInput,
}

impl ContextForm {
    /// Returns the form that a read of these members needs, outermost first; fewer than two names may be known.
    pub fn for_members(first: Option<&str>, second: Option<&str>) -> Self {
        match (first, second) {
            (None, _) | (Some("Execution"), None | Some("Input")) => Self::Whole,
            _ => Self::WithoutInput,
        }
    }
}

impl<'a> Context<'a> {
    /// Wraps the function that makes the object.
    pub fn new(make: &'a dyn Fn(ContextForm) -> Payload) -> Self {
        Self {
            whole: OnceCell::new(),
            light: OnceCell::new(),
            make,
        }
    }

    /// Returns the whole object.
    pub fn get(&self) -> &Payload {
        self.whole.get_or_init(|| (self.make)(ContextForm::Whole))
    }

    /// Returns the object in the form that a read needs.
    pub fn get_as(&self, form: ContextForm) -> &Payload {
        match (form, self.whole.get()) {
            (ContextForm::WithoutInput, None) => self.light.get_or_init(|| (self.make)(form)),
            _ => self.get(),
        }
    }
}
