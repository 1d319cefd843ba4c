//! Lets requests in: finds out who asks.

use std::sync::Arc;

use crate::identity::caller::Caller;
use crate::identity::peer::Peer;
use crate::model::principal::Principal;
use crate::model::principal::PrincipalKind;

/// The server's door.
#[derive(Debug)]
pub struct Gate {
    owner: Arc<Caller>,
}

impl Gate {
    /// Makes the door of a server that one person runs for themselves, on addresses that only this machine reaches.
    pub fn single_user(owner: Principal) -> Self {
        Self {
            owner: Arc::new(Caller::new(owner)),
        }
    }

    /// Makes the door of a server in a test: whoever asks is the process itself.
    pub fn of_this_process() -> Self {
        Self::single_user(Principal::new(PrincipalKind::Process, "stepfn"))
    }

    /// Says who asks.
    pub fn admit(&self, _peer: &Peer) -> Arc<Caller> {
        Arc::clone(&self.owner)
    }
}
