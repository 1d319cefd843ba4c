//! Where `stepfn serve` listens, and whom it lets in.

use std::future::Ready;
use std::future::ready;
use std::net::SocketAddr;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use clap::ValueEnum;
use listenfd::ListenFd;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::net::UnixListener;
use tokio::net::UnixStream;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::api::Api;
use crate::api::serve::CONNECTIONS_MAX;
use crate::api::serve::REMOTE_CONNECTIONS_MAX;
use crate::api::serve::serve;
use crate::api::tls::Tls;
use crate::cli::error::CliError;
use crate::identity::gate::Gate;
use crate::identity::gate::Mode;
use crate::identity::gate::Verifiers;
use crate::identity::peer::Peer;
use crate::identity::peer::UnixPeer;

/// Where to listen, and whom to let in.
#[derive(Debug, clap::Args)]
pub(crate) struct Listening {
    /// Where to listen: an address and a port; other machines reach it only with --auth strict and TLS
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8083")]
    listen: SocketAddr,
    /// Listen on this Unix socket, too
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Whom to let in: `dev` is this user and root, whatever credentials their AWS programs send; `strict` is every
    /// user of this machine, as themselves, and who proves to be one
    #[arg(long, value_enum, default_value_t = Auth::Dev)]
    auth: Auth,
    /// The server's certificate, with those that lead to its authority (PEM); read again on SIGHUP
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The certificate's private key (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Auth {
    /// One person's server
    Dev,
    /// A machine's server
    Strict,
}

/// Sockets that are listened on.
#[derive(Debug)]
pub(crate) struct Listeners {
    tcp: Vec<Arc<TcpListener>>,
    unix: Vec<Arc<UnixListener>>,
    tls: Option<Arc<Tls>>,
    /// What to remove at the end.
    path: Option<PathBuf>,
    /// `http://127.0.0.1:8083`
    pub(crate) url: String,
}

impl Listening {
    /// Returns where it is listened, as it was asked for.
    pub(crate) fn address(&self) -> SocketAddr {
        self.listen
    }

    /// Finds what nothing can be made of, before anything is opened.
    pub(crate) fn check(&self) -> Result<(), CliError> {
        if self.listen.ip().is_loopback() {
            return Ok(());
        }
        let wrong = format!("`{}` is not a loopback address", self.listen);
        match (self.auth, &self.tls_cert) {
            (Auth::Strict, Some(_)) => Ok(()),
            _ => Err(CliError::usage(wrong).hint(
                "other machines' callers must prove who they are: add --auth strict, --tls-cert and --tls-key, or use 127.0.0.1",
            )),
        }
    }

    /// Makes the door.
    pub(crate) fn gate(&self, verifiers: Verifiers) -> Gate {
        let mode = match self.auth {
            Auth::Dev => Mode::dev(),
            Auth::Strict => Mode::Strict,
        };
        Gate::new(mode, verifiers)
    }

    /// Opens the sockets, and takes those that systemd has opened.
    pub(crate) async fn open(&self) -> Result<Listeners, CliError> {
        let tls = match (&self.tls_cert, &self.tls_key) {
            (Some(certificate), Some(key)) => {
                let tls = Tls::open(certificate.clone(), key.clone()).map_err(CliError::usage)?;
                Some(Arc::new(tls))
            }
            _ => None,
        };
        let failed = |place: &dyn std::fmt::Display, error: std::io::Error| {
            CliError::usage(format!("`{place}` cannot be listened on: {error}"))
        };
        let listener = TcpListener::bind(self.listen)
            .await
            .map_err(|error| failed(&self.listen, error))?;
        let address = listener.local_addr().map_err(|error| failed(&self.listen, error))?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let mut listeners = Listeners {
            tcp: vec![Arc::new(listener)],
            unix: Vec::new(),
            tls,
            path: self.socket.clone(),
            url: format!("{scheme}://{address}"),
        };
        if let Some(path) = &self.socket {
            let listener = self.listen_unix(path).map_err(|error| failed(&path.display(), error))?;
            listeners.unix.push(Arc::new(listener));
        }
        self.take_inherited(&mut listeners)?;
        Ok(listeners)
    }

    /// Makes a socket: in `dev` only this user can open it, else everybody, since the kernel says who it was.
    ///
    /// One that a dead server left behind is replaced.
    fn listen_unix(&self, path: &Path) -> std::io::Result<UnixListener> {
        let is_socket = std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
        if is_socket && std::os::unix::net::UnixStream::connect(path).is_err() {
            std::fs::remove_file(path)?;
        }
        let mask = match self.auth {
            Auth::Dev => 0o177,
            Auth::Strict => 0o111,
        };
        let before = rustix::process::umask(rustix::fs::Mode::from_raw_mode(mask));
        let listener = UnixListener::bind(path);
        rustix::process::umask(before);
        listener
    }

    /// Takes the sockets of `LISTEN_FDS`: sd_listen_fds(3).
    fn take_inherited(&self, listeners: &mut Listeners) -> Result<(), CliError> {
        let mut given = ListenFd::from_env();
        for n in 0..given.len() {
            let wrong = |error: &dyn std::fmt::Display| {
                CliError::usage(format!("socket {n} of `LISTEN_FDS` cannot be listened on: {error}"))
                    .hint("the server takes stream sockets that listen, of a Unix path or of TCP")
            };
            if let Ok(Some(listener)) = given.take_unix_listener(n) {
                listener.set_nonblocking(true).map_err(|error| wrong(&error))?;
                let listener = UnixListener::from_std(listener).map_err(|error| wrong(&error))?;
                listeners.unix.push(Arc::new(listener));
                continue;
            }
            let listener = given.take_tcp_listener(n).map_err(|error| wrong(&error))?;
            let listener = listener.ok_or_else(|| wrong(&"it is taken already"))?;
            let address = listener.local_addr().map_err(|error| wrong(&error))?;
            Self {
                listen: address,
                socket: None,
                auth: self.auth,
                tls_cert: self.tls_cert.clone(),
                tls_key: None,
            }
            .check()?;
            listener.set_nonblocking(true).map_err(|error| wrong(&error))?;
            let listener = TcpListener::from_std(listener).map_err(|error| wrong(&error))?;
            listeners.tcp.push(Arc::new(listener));
        }
        Ok(())
    }
}

impl Listeners {
    /// Serves on all of them until `stop` says so.
    pub(crate) fn serve(&self, api: &Arc<Api>, stop: &watch::Receiver<bool>) -> Vec<JoinHandle<()>> {
        let mut servers = Vec::new();
        for listener in &self.tcp {
            let is_local = listener.local_addr().is_ok_and(|address| address.ip().is_loopback());
            let n_max = if is_local {
                CONNECTIONS_MAX
            } else {
                REMOTE_CONNECTIONS_MAX
            };
            let (api, stop, listener) = (Arc::clone(api), stop.clone(), Arc::clone(listener));
            servers.push(match &self.tls {
                None => tokio::spawn(serve(api, n_max, move || accept(Arc::clone(&listener)), stop)),
                Some(tls) => {
                    let tls = Arc::clone(tls);
                    let accept = move || accept_tls(Arc::clone(&listener), Arc::clone(&tls));
                    tokio::spawn(serve(api, n_max, accept, stop))
                }
            });
        }
        for listener in &self.unix {
            let listener = Arc::clone(listener);
            let accept = move || accept_unix(Arc::clone(&listener));
            servers.push(tokio::spawn(serve(
                Arc::clone(api),
                CONNECTIONS_MAX,
                accept,
                stop.clone(),
            )));
        }
        servers
    }

    /// Reads the certificate again whenever SIGHUP comes. A person's server without one ends with its terminal.
    pub(crate) fn reload_certificates(&self, gate: &Gate) -> std::io::Result<()> {
        if self.tls.is_none() && gate.mode() != Mode::Strict {
            return Ok(());
        }
        let tls = self.tls.clone();
        let mut hangups = signal(SignalKind::hangup())?;
        tokio::spawn(async move {
            while hangups.recv().await.is_some() {
                let Some(tls) = &tls else { continue };
                match tls.reload() {
                    Ok(()) => tracing::info!("The certificate was read again."),
                    Err(error) => tracing::error!("The old certificate stays in use: {error}."),
                }
            }
        });
        Ok(())
    }

    /// Removes what would be in the next server's way.
    pub(crate) fn remove(&self) {
        if let Some(path) = &self.path {
            let _ = std::fs::remove_file(path);
        }
    }
}

async fn accept_tcp(listener: &TcpListener) -> std::io::Result<(TcpStream, Peer)> {
    let (stream, _) = listener.accept().await?;
    let peer = Peer::of_tcp(&stream)?;
    stream.set_nodelay(true)?;
    Ok((stream, peer))
}

async fn accept(listener: Arc<TcpListener>) -> std::io::Result<(Ready<std::io::Result<TcpStream>>, Peer)> {
    let (stream, peer) = accept_tcp(&listener).await?;
    Ok((ready(Ok(stream)), peer))
}

async fn accept_tls(
    listener: Arc<TcpListener>,
    tls: Arc<Tls>,
) -> std::io::Result<(tokio_rustls::Accept<TcpStream>, Peer)> {
    let (stream, peer) = accept_tcp(&listener).await?;
    Ok((tls.acceptor().accept(stream), peer))
}

async fn accept_unix(listener: Arc<UnixListener>) -> std::io::Result<(Ready<std::io::Result<UnixStream>>, Peer)> {
    let (stream, _) = listener.accept().await?;
    let peer = Peer::Unix(UnixPeer::of(&stream)?);
    Ok((ready(Ok(stream)), peer))
}
