//! Who asks, what they may do, and what tokens are given out in their name.
//!
//! May import: `model`. Must not: `worker`, `engine`, `api`, `cli`. Invariants: nobody is admitted whom the kernel, a
//! signature or an issuer's key did not name; what is not allowed is refused; no key and no token is ever shown.
//! To add a way to be known: a kind in `model::principal`, a file here that makes a `Caller`, an arm in `gate`.

pub mod account;
pub mod caller;
mod canonical;
pub mod gate;
pub mod jwks;
mod key;
pub mod keys;
pub mod loopback;
pub mod oidc;
pub mod peer;
pub mod permission;
pub mod policy;
pub mod policy_directory;
pub mod process;
pub mod refusal;
mod replay;
pub mod role;
pub mod sigv4;
mod strict;
pub mod token;
