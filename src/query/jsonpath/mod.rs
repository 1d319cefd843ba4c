//! AWS's JSONPath: a dialect of the Java library Jayway.
//!
//! `parser` turns text into `step`s once; `walk` selects, with `filter` and `function` for what is not a plain
//! step; `path` is the door. To add a path function: one line in `function::FUNCTIONS` and an arm in `apply`.

mod filter;
mod function;
pub(in crate::query) mod java;
mod parser;
pub mod path;
mod step;
mod walk;

#[cfg(test)]
mod tests;
