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
pub struct Context<'a> {
    made: OnceCell<Payload>,
    make: &'a dyn Fn() -> Payload,
}

impl<'a> Context<'a> {
    /// Wraps the function that makes the object.
    pub fn new(make: &'a dyn Fn() -> Payload) -> Self {
        Self {
            made: OnceCell::new(),
            make,
        }
    }

    /// Returns the object.
    pub fn get(&self) -> &Payload {
        self.made.get_or_init(self.make)
    }
}
