//! The other end of a connection.

use std::net::SocketAddr;

/// What the listener knows of the other end when it accepts a connection.
#[derive(Clone, Debug)]
pub enum Peer {
    /// A Unix socket: what the kernel says.
    Unix {
        /// The user, at the time of `connect`.
        uid: u32,
        /// The process, if it is in our PID namespace.
        pid: Option<i32>,
    },
    /// TCP.
    Tcp {
        /// Our end.
        local: SocketAddr,
        /// Theirs.
        remote: SocketAddr,
    },
}
