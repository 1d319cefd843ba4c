//! The other end of a connection.

use std::net::SocketAddr;

use crate::identity::loopback;
use crate::identity::loopback::Unknown;
use crate::identity::process::Process;

/// What is known of the other end since the connection was accepted.
#[derive(Clone, Debug)]
pub enum Peer {
    /// A Unix socket: what the kernel says.
    Unix(UnixPeer),
    /// Two addresses of this machine that nobody else reaches.
    Loopback {
        /// Theirs.
        remote: SocketAddr,
        /// Who owns their end.
        owner: Result<u32, Unknown>,
    },
    /// Another machine, by TLS.
    Remote {
        /// Theirs.
        remote: SocketAddr,
    },
}

/// The process that called `connect` on a Unix socket.
#[derive(Clone, Debug)]
pub struct UnixPeer {
    /// The user, at the time of `connect`.
    pub uid: u32,
    /// Its group, then.
    pub gid: u32,
    /// The process, if it is in our PID namespace.
    pub pid: Option<u32>,
    /// What `/proc` shows of it.
    pub process: Option<Process>,
}

impl UnixPeer {
    /// Asks the kernel about a connection that was just accepted.
    ///
    /// # Errors
    /// The socket is none of that kind.
    pub fn of(stream: &tokio::net::UnixStream) -> std::io::Result<Self> {
        let theirs = stream.peer_cred()?;
        let uid = theirs.uid();
        // Zero stands for a process in another namespace.
        let pid = theirs
            .pid()
            .and_then(|pid| u32::try_from(pid).ok())
            .filter(|pid| *pid != 0);
        Ok(Self {
            uid,
            gid: theirs.gid(),
            pid,
            process: pid.and_then(|pid| Process::read(pid, uid)),
        })
    }

    /// Returns the groups that its process has, as far as they can be seen.
    pub fn groups(&self) -> Vec<u32> {
        let mut groups = vec![self.gid];
        groups.extend(self.process.iter().flat_map(|process| &process.groups));
        groups
    }
}

impl Peer {
    /// Asks the kernel about a TCP connection that was just accepted.
    ///
    /// # Errors
    /// It is over already.
    pub fn of_tcp(stream: &tokio::net::TcpStream) -> std::io::Result<Self> {
        let (local, remote) = (stream.local_addr()?, stream.peer_addr()?);
        let is_here = |address: SocketAddr| address.ip().to_canonical().is_loopback();
        if !is_here(local) || !is_here(remote) {
            return Ok(Self::Remote { remote });
        }
        let owner = loopback::owner(remote, local);
        // As long as our end is connected nobody else can have had the client's addresses.
        let is_connected = stream.peer_addr().is_ok();
        Ok(Self::Loopback {
            remote,
            owner: owner.and_then(|uid| if is_connected { Ok(uid) } else { Err(Unknown::Gone) }),
        })
    }

    /// Returns the user, if the kernel names one.
    pub fn uid(&self) -> Option<u32> {
        match self {
            Self::Unix(peer) => Some(peer.uid),
            Self::Loopback { owner, .. } => owner.as_ref().ok().copied(),
            Self::Remote { .. } => None,
        }
    }
}

impl std::fmt::Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unix(UnixPeer { pid: Some(pid), .. }) => write!(f, "the Unix socket (process {pid})"),
            Self::Unix(_) => f.write_str("the Unix socket"),
            Self::Loopback { remote, .. } | Self::Remote { remote } => remote.fmt(f),
        }
    }
}
