//! The Fail state.

use crate::asl::compile::fields::Object;
use crate::asl::compile::machine::Compiler;
use crate::asl::definition::Fail;

impl<'n> Compiler<'n, '_> {
    /// Reads what a Fail state adds.
    pub(super) fn fail(&mut self, object: &Object<'n>) -> Fail {
        Fail {
            error: self.text_field(object, "Error", "ErrorPath"),
            cause: self.text_field(object, "Cause", "CausePath"),
        }
    }
}
