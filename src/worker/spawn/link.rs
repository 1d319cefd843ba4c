//! The engine's side: starts `spawnd`, tells it what to start, and hears from it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::io::IoSlice;
use std::io::Read;
use std::os::fd::AsFd;
use std::os::fd::BorrowedFd;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use rustix::net::SendAncillaryBuffer;
use rustix::net::SendAncillaryMessage;
use rustix::net::SendFlags;
use tokio::sync::oneshot;
use tokio::sync::watch;

use crate::worker::spawn::door::Hello;
use crate::worker::spawn::identity::Identities;
use crate::worker::spawn::server::Settings;
use crate::worker::spawn::wire;
use crate::worker::spawn::wire::Claim;
use crate::worker::spawn::wire::Failure;
use crate::worker::spawn::wire::FailureKind;
use crate::worker::spawn::wire::Ran;
use crate::worker::spawn::wire::Ready;
use crate::worker::spawn::wire::Reply;
use crate::worker::spawn::wire::Request;
use crate::worker::spawn::wire::Spawn;
use crate::worker::spawn::wire::Whom;

/// How long a full socket may stay full: a `spawnd` that takes nothing for so long is stuck.
const SEND_TIME_MAX: Duration = Duration::from_secs(10);

/// A running `spawnd`.
#[derive(Debug)]
pub struct Link {
    socket: UnixStream,
    /// Whole messages only.
    sending: Mutex<()>,
    tasks: Mutex<BTreeMap<u64, Waiting>>,
    questions: Mutex<BTreeMap<u64, oneshot::Sender<Result<Whom, Failure>>>>,
    ready: watch::Sender<Option<Result<Ready, String>>>,
    has_ended: watch::Sender<bool>,
    is_closing: Mutex<bool>,
}

/// Who waits for a task's news.
#[derive(Debug)]
struct Waiting {
    started: Option<oneshot::Sender<Result<Ran, Failure>>>,
    over: oneshot::Sender<Result<i32, Failure>>,
}

/// The news of one task.
#[derive(Debug)]
pub struct News {
    /// How it runs, or why not.
    pub started: oneshot::Receiver<Result<Ran, Failure>>,
    /// Its status, once nothing of it is left.
    pub over: oneshot::Receiver<Result<i32, Failure>>,
}

impl Link {
    /// Starts a `spawnd`. `at_end` is called when it has ended without being asked to.
    ///
    /// # Errors
    /// The program cannot be started.
    pub fn start(settings: &Settings, at_end: impl FnOnce() + Send + 'static) -> io::Result<Arc<Self>> {
        let (ours, theirs) = UnixStream::pair()?;
        let child = spawn(settings, theirs.into())?;
        Self::open(ours, Some(child), at_end)
    }

    /// Goes to a `spawnd` that is a service. The lock is handed over.
    ///
    /// # Errors
    /// There is none, or somebody else listens there.
    pub fn connect(
        path: &Path,
        hello: &Hello,
        lock: Option<&File>,
        at_end: impl FnOnce() + Send + 'static,
    ) -> io::Result<Arc<Self>> {
        let failed = |error: io::Error| {
            let message = format!("`{}` cannot be reached: {error}", path.display());
            io::Error::new(error.kind(), message)
        };
        let ours = UnixStream::connect(path).map_err(failed)?;
        // It gets the variables and the output of every task.
        let peer = rustix::net::sockopt::socket_peercred(&ours).map_err(|error| failed(error.into()))?;
        if !peer.uid.is_root() && peer.uid != rustix::process::geteuid() {
            return Err(failed(io::Error::other(
                "it is neither root nor this user who listens there",
            )));
        }
        let frame = wire::encode(hello).map_err(io::Error::other)?;
        ours.set_write_timeout(Some(SEND_TIME_MAX))?;
        let lock: Vec<BorrowedFd<'_>> = lock.iter().map(|file| file.as_fd()).collect();
        send(&ours, &frame, &lock).map_err(failed)?;
        Self::open(ours, None, at_end)
    }

    fn open(socket: UnixStream, child: Option<Child>, at_end: impl FnOnce() + Send + 'static) -> io::Result<Arc<Self>> {
        socket.set_write_timeout(Some(SEND_TIME_MAX))?;
        let link = Arc::new(Self {
            socket,
            sending: Mutex::new(()),
            tasks: Mutex::default(),
            questions: Mutex::default(),
            ready: watch::Sender::new(None),
            has_ended: watch::Sender::new(false),
            is_closing: Mutex::new(false),
        });
        let listener = Arc::clone(&link);
        std::thread::Builder::new().name("spawnd".to_owned()).spawn(move || {
            listener.listen(child);
            let was_ready = matches!(&*listener.ready.borrow(), Some(Ok(_)));
            if was_ready && !*lock(&listener.is_closing) {
                at_end();
            }
            listener.hang_up();
        })?;
        Ok(link)
    }

    /// Asks for a process; `stdio` are its ends of its pipes, `credentials` what `vault::pack` made for it.
    ///
    /// # Errors
    /// `spawnd` is gone or takes nothing, or the request is too long.
    pub fn spawn(&self, spawn: Spawn, stdio: [OwnedFd; 3], credentials: Option<OwnedFd>) -> io::Result<News> {
        let id = spawn.id;
        let frame = wire::encode(&Request::Spawn(spawn)).map_err(io::Error::other)?;
        let (started_sender, started) = oneshot::channel();
        let (over_sender, over) = oneshot::channel();
        let waiting = Waiting {
            started: Some(started_sender),
            over: over_sender,
        };
        lock(&self.tasks).insert(id, waiting);
        let descriptors = stdio.iter().chain(&credentials).map(AsFd::as_fd);
        let descriptors: Vec<BorrowedFd<'_>> = descriptors.collect();
        let sent = match *self.has_ended.borrow() {
            true => Err(io::Error::from(io::ErrorKind::BrokenPipe)),
            false => self.send(&frame, &descriptors),
        };
        if let Err(error) = sent {
            lock(&self.tasks).remove(&id);
            return Err(error);
        }
        Ok(News { started, over })
    }

    /// Asks as whom a task would run.
    ///
    /// # Errors
    /// As nobody, or `spawnd` has ended.
    pub async fn who(&self, id: u64, claim: Claim) -> Result<Whom, Failure> {
        let (sender, answer) = oneshot::channel();
        lock(&self.questions).insert(id, sender);
        if *self.has_ended.borrow() {
            lock(&self.questions).remove(&id);
        }
        self.tell(&Request::Who { id, claim });
        answer.await.unwrap_or_else(|_| Err(ended()))
    }

    /// Asks for the end of a task.
    pub fn end(&self, id: u64, grace: Duration) {
        self.tell(&Request::End {
            id,
            grace_millis: millis(grace),
        });
    }

    /// Asks for SIGINT to a task's first process.
    pub fn interrupt(&self, id: u64) {
        self.tell(&Request::Interrupt { id });
    }

    /// Asks for the end of all tasks and of `spawnd`.
    pub fn end_all(&self, grace: Duration) {
        *lock(&self.is_closing) = true;
        self.tell(&Request::EndAll {
            grace_millis: millis(grace),
        });
    }

    /// Returns what `spawnd` found at its start.
    ///
    /// # Errors
    /// It could not begin: a sentence.
    pub async fn ready(&self) -> Result<Ready, String> {
        let mut ready = self.ready.subscribe();
        let found = ready
            .wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|ready| ready.clone());
        found.unwrap_or_else(|| Err(ended().message))
    }

    /// Returns what tells that `spawnd` has ended, and with it all tasks.
    pub fn has_ended(&self) -> watch::Receiver<bool> {
        self.has_ended.subscribe()
    }

    fn tell(&self, request: &Request) {
        // When it does not hear, it has ended or hears the end of the socket.
        if let Ok(frame) = wire::encode(request) {
            let _ = self.send(&frame, &[]);
        }
    }

    fn send(&self, frame: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        let _whole = lock(&self.sending);
        send(&self.socket, frame, descriptors).inspect_err(|_| {
            // What follows would be read as the rest of this message.
            let _ = self.socket.shutdown(std::net::Shutdown::Both);
        })
    }

    fn listen(&self, child: Option<Child>) {
        let mut incoming = Vec::new();
        let mut buffer = [0; 16 * 1024];
        'all: loop {
            match (&self.socket).read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => incoming.extend_from_slice(&buffer[..length]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => break,
            }
            loop {
                match wire::decode(&mut incoming) {
                    Ok(Some(reply)) => self.take(reply),
                    Ok(None) => break,
                    Err(_) => break 'all,
                }
            }
        }
        // It ends all tasks when it hears that we are gone.
        let _ = self.socket.shutdown(std::net::Shutdown::Both);
        if let Some(mut child) = child {
            let _ = child.wait();
        }
    }

    fn take(&self, reply: Reply) {
        match reply {
            Reply::Ready(ready) => {
                self.ready.send_replace(Some(Ok(ready)));
            }
            Reply::Broken { message } => {
                self.ready.send_replace(Some(Err(message)));
            }
            Reply::Started { id, ran } => {
                let started = lock(&self.tasks)
                    .get_mut(&id)
                    .and_then(|waiting| waiting.started.take());
                if let Some(started) = started {
                    let _ = started.send(Ok(ran));
                }
            }
            Reply::Who { id, whom } => {
                let asked = lock(&self.questions).remove(&id);
                if let Some(asked) = asked {
                    let _ = asked.send(whom);
                }
            }
            Reply::Failed { id, failure } => self.settle(id, Err(failure)),
            Reply::Over { id, status } => self.settle(id, Ok(status)),
        }
    }

    fn settle(&self, id: u64, result: Result<i32, Failure>) {
        let waiting = lock(&self.tasks).remove(&id);
        if let Some(waiting) = waiting {
            waiting.settle(result);
        }
    }

    /// Tells everybody that nothing more will come.
    fn hang_up(&self) {
        self.has_ended.send_replace(true);
        let failure = match &*self.ready.borrow() {
            Some(Err(message)) => Failure::new(FailureKind::Other, message.trim_end_matches('.')),
            _ => ended(),
        };
        lock(&self.questions).clear();
        for waiting in std::mem::take(&mut *lock(&self.tasks)).into_values() {
            waiting.settle(Err(failure.clone()));
        }
        self.ready.send_if_modified(|ready| {
            let is_open = ready.is_none();
            if is_open {
                *ready = Some(Err(format!("{}.", failure.message)));
            }
            is_open
        });
    }
}

impl Waiting {
    fn settle(self, result: Result<i32, Failure>) {
        if let (Some(started), Err(failure)) = (self.started, &result) {
            let _ = started.send(Err(failure.clone()));
        }
        let _ = self.over.send(result);
    }
}

/// Sends a message; the descriptors, four at most, travel with its first byte.
fn send(socket: &UnixStream, frame: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut rest = frame;
    let mut descriptors = descriptors;
    while !rest.is_empty() {
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() {
            ancillary.push(SendAncillaryMessage::ScmRights(descriptors));
        }
        match rustix::net::sendmsg(socket, &[IoSlice::new(rest)], &mut ancillary, SendFlags::NOSIGNAL) {
            Ok(length) => {
                rest = &rest[length..];
                descriptors = &[];
            }
            Err(rustix::io::Errno::INTR) => {}
            // More descriptors are on their way than the system allows; `spawnd` takes them off it.
            Err(rustix::io::Errno::TOOMANYREFS) => std::thread::sleep(Duration::from_millis(1)),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Returns the failure of a task whose `spawnd` has ended.
pub(in crate::worker) fn ended() -> Failure {
    Failure::new(FailureKind::Other, "the process that starts tasks has ended")
}

fn millis(grace: Duration) -> u64 {
    u64::try_from(grace.as_millis()).unwrap_or(u64::MAX)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts the program without a fork of this process: the standard library uses `posix_spawn` here.
fn spawn(settings: &Settings, socket: OwnedFd) -> io::Result<Child> {
    let mut command = Command::new(program()?);
    command.env_clear();
    for name in ["PATH", "HOME", "LANG", "RUST_BACKTRACE"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command
        .args(["spawnd", "--isolation", settings.isolation.as_str()])
        .args(["--site", &settings.site])
        .stdin(Stdio::from(socket))
        .stdout(Stdio::null());
    if settings.clean {
        command.arg("--clean");
    }
    match &settings.identities {
        Identities::System => {}
        Identities::Directory(directory) => {
            command.arg("--identities").arg(directory);
        }
        Identities::Nobody => {
            command.arg("--no-identities");
        }
    }
    if let Some(path) = &settings.lock {
        command.arg("--lock").arg(path);
    }
    command.spawn()
}

/// Returns the program that has the command `spawnd`: this one, also when its file was replaced meanwhile, or the one
/// beside a test or benchmark.
fn program() -> io::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let name = own.file_name().and_then(OsStr::to_str).unwrap_or_default();
    if matches!(name, "stepfn" | "stepfn (deleted)") {
        return Ok(PathBuf::from("/proc/self/exe"));
    }
    let beside = own
        .ancestors()
        .skip(1)
        .take(2)
        .map(|directory| directory.join("stepfn"));
    let found = beside.into_iter().find(|path| path.is_file());
    found.ok_or_else(|| {
        let message = format!("there is no `stepfn` beside `{}` to start tasks with", own.display());
        io::Error::new(io::ErrorKind::NotFound, message)
    })
}
