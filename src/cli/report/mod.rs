//! What the reports of `stepfn validate` and `stepfn test` have in common: one file per form.
//!
//! Each command has its own reports; here is what a form demands of all of them.

pub(crate) mod fingerprint;
pub(crate) mod github;
pub(crate) mod junit;
pub(crate) mod path;
pub(crate) mod sarif;
