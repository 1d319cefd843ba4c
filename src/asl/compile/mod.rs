//! Reads the tree of a definition: one file for each state type, `fields.rs` for which fields exist.
//!
//! To add a state field: name it in the table of `fields.rs`, read it in the file of its state type.

mod choice;
mod comparison;
mod fail;
mod fields;
mod graph;
mod machine;
mod map;
mod map_data;
mod number;
mod resource;
mod retry;
mod state;
mod task;
mod value;
mod variables;
mod wait;

pub(crate) use fields::STATE_TYPES;
pub(crate) use machine::compile_tree;
