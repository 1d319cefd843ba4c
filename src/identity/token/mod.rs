//! Tokens that a task gets when its state is entered, and for that attempt alone.
//!
//! `grant` says who gets which, `issuer` makes stepfn's own with the keys of `keyring`. Who asks others for theirs is
//! `worker::tokens`. Invariants: no value has a `Debug`; no key leaves its file; what a name holds cannot make it look
//! like another subject.

pub mod grant;
pub mod host_id;
pub mod issuer;
pub mod keyring;
