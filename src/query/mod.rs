//! Values in, values out: JSONPath, JSONata, payload templates, intrinsic functions.
//!
//! May import: `model`. Must not: anything above. Invariant: nothing is parsed while an execution runs; every
//! expression is compiled once, is `Send + Sync`, and borrows what it reads.
//! To add an intrinsic function: copy a file of `intrinsic`, then list it in `FUNCTIONS` there.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![warn(missing_docs)]

pub mod env;
pub mod error;
pub mod intrinsic;
pub mod jsonata;
pub mod jsonpath;
pub mod template;
