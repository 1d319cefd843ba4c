//! Lambda functions: handlers that run on this machine as processes, and functions behind an HTTP endpoint.
//!
//! Invariants: a process does one invocation at a time; it is told only what Lambda tells a function; one that was
//! stopped, ran out of time or failed to begin is never used again. A runtime is added in `runtime.rs`.

pub mod answer;
pub mod endpoint;
pub mod function;
pub mod instance;
pub mod invoke;
pub mod logs;
pub mod pool;
pub mod request;
pub mod runtime;
pub mod runtime_api;
