//! `http.request`: asks a server over HTTP.
//!
//! May import: what `worker` may. Invariants: what a request carries is not shown in errors, and not sent to another
//! server by a redirect; the answer is bounded before it is read.

pub mod exchange;
mod fault;
mod request;
#[cfg(test)]
pub(super) mod testing;
#[cfg(test)]
mod tests;

pub use request::HttpRequest;
