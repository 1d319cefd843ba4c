//! What `TestState` needs beside the kernel: the definition of one state, mocks and their checks, the answer.
//!
//! A part of the room `api`. To add a check of mocks: `mock.rs`; a member of the answer: `answer.rs`.

pub mod answer;
pub mod context;
pub mod definition;
pub mod mock;
pub mod setting;
