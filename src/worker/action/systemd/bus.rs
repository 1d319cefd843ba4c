//! The way to systemd.

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use zbus::Connection;
use zbus::connection::Builder;

use crate::model::states_error::StatesError;
use crate::worker::action::systemd::fault::NOT_AVAILABLE;
use crate::worker::action::systemd::fault::fault;

/// It is there where systemd is the first process.
const BOOTED: &str = "/run/systemd/system";
/// How long a call may take; jobs are waited for apart from calls.
const CALL_TIME_MAX: Duration = Duration::from_secs(25);

/// The way to systemd.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Bus {
    /// A socket at which systemd speaks without a bus between.
    Peer(PathBuf),
    /// The bus of this machine.
    #[default]
    System,
}

impl Bus {
    /// Goes it.
    ///
    /// # Errors
    /// `Systemd.NotAvailable`
    pub(super) async fn connect(&self) -> Result<Connection, StatesError> {
        let builder = match self {
            Self::System if !Path::new(BOOTED).is_dir() => {
                let sentence = "systemd is not the first process of this machine (there is no /run/systemd/system), so \
                                its units cannot be used.";
                return Err(fault(&NOT_AVAILABLE, sentence));
            }
            Self::System => Builder::system(),
            Self::Peer(path) => {
                let stream = UnixStream::connect(path);
                Builder::unix_stream(stream.map_err(|error| unreachable(&error))?).p2p()
            }
        };
        let connected = builder.method_timeout(CALL_TIME_MAX).build().await;
        connected.map_err(|error| unreachable(&error))
    }
}

fn unreachable(error: &dyn std::fmt::Display) -> StatesError {
    fault(
        &NOT_AVAILABLE,
        format!("systemd cannot be reached over D-Bus: {error}."),
    )
}
