//! The Step Functions API over HTTP: AWS JSON 1.0, one file for each operation.
//!
//! May import: everything below `api`. Must not: `cli`. Invariants: an operation decodes, checks, asks the
//! engine and answers; AWS's names and words are used where they are known; no answer before the commit.
//! To add an operation: copy a file of `action/` and list it in `ACTIONS` there.

pub mod action;
pub mod activity;
pub mod alias;
pub mod asked;
mod audited;
pub mod configuration;
pub mod error;
pub mod execution;
pub mod local;
pub mod machine;
pub mod map_run;
pub mod member;
pub mod metrics;
pub mod page;
pub mod request;
pub mod serve;
pub mod shapes;
pub mod tags;
pub mod test_state;
pub mod tls;
pub mod wire;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use prometheus_client::metrics::gauge::Gauge;

use crate::engine::host::Host;
use crate::identity::gate::Gate;
use crate::identity::policy::Policy;

/// What every operation sees.
pub struct Api {
    /// The executions and resources.
    pub host: Arc<Host>,
    /// Connections that are open.
    pub n_connections: Gauge,
    /// Who is let in.
    pub gate: Gate,
    /// Who may do what.
    pub policy: Policy,
}

impl Api {
    /// Offers what a host has to whom the gate lets in.
    pub fn new(host: Arc<Host>, gate: Gate, policy: Policy) -> Self {
        Self {
            host,
            gate,
            policy,
            n_connections: Gauge::default(),
        }
    }
}
