//! `spawnd` itself: one thread that starts tasks, waits for their ends, and ends them.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::io::IoSliceMut;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::Duration;
use std::time::Instant;

use nix::sys::signal::SigSet;
use nix::sys::signalfd::SfdFlags;
use nix::sys::signalfd::SignalFd;
use rustix::event::PollFd;
use rustix::event::PollFlags;
use rustix::event::Timespec;
use rustix::fs::FileType;
use rustix::fs::FlockOperation;
use rustix::fs::Mode;
use rustix::fs::OFlags;
use rustix::net::RecvAncillaryBuffer;
use rustix::net::RecvAncillaryMessage;
use rustix::net::RecvFlags;
use rustix::net::ReturnFlags;
use rustix::net::SendFlags;
use rustix::process::Signal;
use rustix::process::WaitOptions;

use crate::worker::spawn::door::Visit;
use crate::worker::spawn::fork;
use crate::worker::spawn::identity::Identities;
use crate::worker::spawn::identity::Table;
use crate::worker::spawn::kin;
use crate::worker::spawn::rung;
use crate::worker::spawn::rung::Holder;
use crate::worker::spawn::rung::Isolation;
use crate::worker::spawn::rung::Rung;
use crate::worker::spawn::task::Birth;
use crate::worker::spawn::task::Settled;
use crate::worker::spawn::task::Task;
use crate::worker::spawn::vault::Vault;
use crate::worker::spawn::wire;
use crate::worker::spawn::wire::Failure;
use crate::worker::spawn::wire::FailureKind;
use crate::worker::spawn::wire::Ready;
use crate::worker::spawn::wire::Reply;
use crate::worker::spawn::wire::Request;
use crate::worker::spawn::wire::Spawn;
use crate::worker::spawn::wire::Whom;

/// How long a process may take to end after SIGTERM.
pub const GRACE: Duration = Duration::from_secs(1);
/// How long the tasks of an engine that died may take to end before the next one begins.
const LOCK_TIME_MAX: Duration = Duration::from_secs(30);
/// What the lock holds while tasks are left to end by themselves, however long that takes.
const FINISHING: &[u8] = b"finishing
";
/// How long strays may take to end after SIGKILL.
const STRAY_TIME_MAX: Duration = Duration::from_secs(5);
/// Descriptors that come with one message.
const DESCRIPTORS_MAX: usize = 4;

/// What the engine says at the start.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Which rung.
    pub isolation: Isolation,
    /// Which identity table.
    pub identities: Identities,
    /// Locked as long as tasks may be left: one engine's tasks at a time.
    pub lock: Option<PathBuf>,
    /// How the marks of this engine's tasks begin; with `clean`, whatever carries it is an earlier one's.
    pub site: String,
    /// End what an earlier one left.
    pub clean: bool,
}

/// Takes the socket from stdin and closes whatever else the engine had open without knowing; `None` if stdin is no
/// socket.
///
/// # Errors
/// The system's.
pub fn take_socket() -> io::Result<Option<OwnedFd>> {
    let stdin = io::stdin();
    let stat = rustix::fs::fstat(&stdin)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Socket {
        return Ok(None);
    }
    match fork::close_from(3) {
        Err(error) if error.raw_os_error() != Some(nix::libc::ENOSYS) => return Err(error),
        _ => {}
    }
    // The tasks must not inherit it, and it must not be taken for a stdin.
    let socket = stdin.as_fd().try_clone_to_owned()?;
    let nothing = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    rustix::stdio::dup2_stdin(&nothing)?;
    Ok(Some(socket))
}

/// Serves one engine until it hangs up, then ends every task. This process must have one thread. With a `visit` it is a
/// service, which ends when it is told to; else only the engine's end counts.
///
/// # Errors
/// It cannot begin; the engine was told, too.
pub fn serve(socket: OwnedFd, settings: Settings, visit: Option<Visit>) -> io::Result<()> {
    let mut server = match Server::begin(socket, settings, visit) {
        Ok(server) => server,
        Err((socket, message)) => return Err(refuse(&socket, message)),
    };
    let result = server.run();
    server.end_strays();
    result
}

/// Tells an engine that its tasks are not started; returns the same as an error.
pub fn refuse(socket: &OwnedFd, message: String) -> io::Error {
    let reply = Reply::Broken {
        message: message.clone(),
    };
    match wire::encode(&reply) {
        Ok(frame) => {
            let _ = rustix::net::send(socket, &frame, SendFlags::NOSIGNAL);
            io::Error::other(message)
        }
        Err(error) => io::Error::other(error),
    }
}

struct Server {
    socket: OwnedFd,
    signals: SignalFd,
    rung: Rung,
    holder: Holder,
    vault: Vault,
    table: Table,
    site: String,
    tasks: BTreeMap<u64, Task>,
    /// The tasks by their first process.
    by_pid: BTreeMap<i32, u64>,
    next_mark: u64,
    incoming: Vec<u8>,
    descriptors: VecDeque<Vec<OwnedFd>>,
    outgoing: Vec<u8>,
    is_closing: bool,
    is_hung_up: bool,
    is_service: bool,
    /// Held until all is over.
    lock: Option<File>,
}

impl Server {
    fn begin(socket: OwnedFd, settings: Settings, visit: Option<Visit>) -> Result<Self, (OwnedFd, String)> {
        let signals = match settle_in() {
            Ok(signals) => signals,
            Err(message) => return Err((socket, message)),
        };
        let is_service = visit.is_some();
        let (engine, file) = visit.map_or((None, None), |visit| (Some(visit.engine), visit.lock));
        let locked = match (&settings.lock, file) {
            (_, Some(file)) => lock(file, "The engine's lock").map(Some),
            (Some(path), None) => open_lock(path).map(Some),
            (None, None) => Ok(None),
        };
        let lock = match locked {
            Ok(lock) => lock,
            Err(message) => return Err((socket, message)),
        };
        let n_marked = if settings.clean { end_marked(&settings.site) } else { 0 };
        let is_root = rustix::process::geteuid().is_root();
        let found = match rung::pick(settings.isolation, is_root) {
            Ok(found) => found,
            Err(message) => return Err((socket, message)),
        };
        let mut table = Table::new(settings.identities, engine);
        let (vault, n_kept) = Vault::find(&found.holder, is_root);
        let ready = Ready {
            rung: found.rung,
            offers: found.offers,
            user: table.engine().0.to_owned(),
            is_root,
            n_leftovers: found.n_leftovers + n_marked + n_kept,
            identities: table.describe(),
            credentials: vault.describe(),
        };
        let mut server = Self {
            socket,
            signals,
            rung: found.rung,
            holder: found.holder,
            vault,
            table,
            site: settings.site,
            tasks: BTreeMap::new(),
            by_pid: BTreeMap::new(),
            next_mark: 0,
            incoming: Vec::new(),
            descriptors: VecDeque::new(),
            outgoing: Vec::new(),
            is_closing: false,
            is_hung_up: false,
            is_service,
            lock,
        };
        server.tell(&Reply::Ready(ready));
        Ok(server)
    }

    fn run(&mut self) -> io::Result<()> {
        while !(self.is_closing && self.tasks.is_empty()) {
            let (is_readable, reports) = self.wait()?;
            if is_readable {
                self.receive();
            }
            for id in reports {
                self.read_report(id);
            }
            if self.is_hung_up {
                self.tasks.values_mut().for_each(Task::drain);
            }
            // The signal only wakes us: one can stand for many children.
            while let Ok(Some(signal)) = self.signals.read_signal() {
                if self.is_service && i32::try_from(signal.ssi_signo) == Ok(Signal::TERM.as_raw()) {
                    self.end_all(GRACE);
                }
            }
            self.reap();
            self.settle();
            self.flush();
        }
        Ok(())
    }

    /// Waits until something happens; returns whether the engine said something, and whose report is there.
    fn wait(&self) -> io::Result<(bool, Vec<u64>)> {
        let starting: Vec<u64> = self
            .tasks
            .iter()
            .filter(|(_, task)| task.report().is_some())
            .map(|(id, _)| *id)
            .collect();
        let mut wanted = PollFlags::empty();
        if !self.is_hung_up {
            wanted |= PollFlags::IN;
        }
        if !self.outgoing.is_empty() {
            wanted |= PollFlags::OUT;
        }
        let mut polled = vec![PollFd::new(&self.signals, PollFlags::IN)];
        if !wanted.is_empty() {
            polled.push(PollFd::new(&self.socket, wanted));
        }
        let n_before = polled.len();
        for id in &starting {
            if let Some(report) = self.tasks.get(id).and_then(Task::report) {
                polled.push(PollFd::from_borrowed_fd(report, PollFlags::IN));
            }
        }
        // What nobody reads any more; the last of the list, as nobody asks which of them it was.
        if self.is_hung_up {
            let drains = self.tasks.values().flat_map(Task::drains);
            polled.extend(drains.map(|drain| PollFd::new(drain, PollFlags::IN)));
        }
        let now = Instant::now();
        let next = self.tasks.values().filter_map(Task::next).min();
        let timeout = next.map(|next| {
            let pause = next.saturating_duration_since(now);
            Timespec {
                tv_sec: i64::try_from(pause.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: i64::from(pause.subsec_nanos()),
            }
        });
        match rustix::event::poll(&mut polled, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let is_ready = |polled: &PollFd<'_>| !polled.revents().is_empty();
        let is_readable = !self.is_hung_up && polled.get(1).is_some_and(is_ready);
        let reports = starting.iter().zip(&polled[n_before..]);
        let reports = reports.filter(|(_, polled)| is_ready(polled)).map(|(id, _)| *id);
        Ok((is_readable, reports.collect()))
    }

    fn receive(&mut self) {
        let mut buffer = [0; 64 * 1024];
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
        loop {
            let mut ancillary = RecvAncillaryBuffer::new(&mut space);
            let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
            let mut slices = [IoSliceMut::new(&mut buffer)];
            let received = match rustix::net::recvmsg(&self.socket, &mut slices, &mut ancillary, flags) {
                Ok(received) => received,
                Err(rustix::io::Errno::INTR) => continue,
                Err(rustix::io::Errno::AGAIN) => return,
                Err(_) => return self.hang_up(),
            };
            let mut descriptors = Vec::new();
            for message in ancillary.drain() {
                if let RecvAncillaryMessage::ScmRights(list) = message {
                    descriptors.extend(list);
                }
            }
            // When this process has no place for them they are lost, and the task that needs them fails.
            if !descriptors.is_empty() || received.flags.contains(ReturnFlags::CTRUNC) {
                self.descriptors.push_back(descriptors);
            }
            if received.bytes == 0 {
                return self.hang_up();
            }
            self.incoming.extend_from_slice(&buffer[..received.bytes]);
            loop {
                match wire::decode(&mut self.incoming) {
                    Ok(Some(request)) => self.take(request),
                    Ok(None) => break,
                    Err(_) => return self.hang_up(),
                }
            }
        }
    }

    /// The engine is gone, or not to be trusted.
    fn hang_up(&mut self) {
        self.is_hung_up = true;
        self.outgoing.clear();
        self.end_all(GRACE);
    }

    fn end_all(&mut self, grace: Duration) {
        self.is_closing = true;
        let now = Instant::now();
        let mut is_patient = false;
        for task in self.tasks.values_mut() {
            is_patient |= task.leave(grace, now);
        }
        if let (true, Some(lock)) = (is_patient, &mut self.lock) {
            // The next engine waits as long as it takes. When this fails, it gives up and says so.
            let _ = lock.set_len(0).and_then(|()| lock.write_all(FINISHING));
        }
    }

    fn take(&mut self, request: Request) {
        match request {
            Request::Spawn(spawn) => {
                let id = spawn.id;
                match self.spawn(spawn) {
                    Ok(task) => {
                        self.by_pid.insert(task.pid(), id);
                        self.tasks.insert(id, task);
                    }
                    Err(failure) => self.tell(&Reply::Failed { id, failure }),
                }
            }
            Request::Who { id, claim } => {
                let own = self.table.engine().1;
                let whom = self.table.grant(&claim).map(|grant| Whom {
                    is_own: grant.account.is_none_or(|account| account.uid == own),
                    user: grant.user,
                });
                self.tell(&Reply::Who { id, whom });
            }
            Request::End { id, grace_millis } => {
                if let Some(task) = self.tasks.get_mut(&id) {
                    task.end(Duration::from_millis(grace_millis), Instant::now());
                }
            }
            Request::Interrupt { id } => {
                if let Some(task) = self.tasks.get(&id) {
                    task.interrupt();
                }
            }
            Request::EndAll { grace_millis } => self.end_all(Duration::from_millis(grace_millis)),
        }
    }

    fn spawn(&mut self, spawn: Spawn) -> Result<Task, Failure> {
        let mut descriptors = self.descriptors.pop_front().unwrap_or_default();
        let memory = match spawn.has_credentials && descriptors.len() == DESCRIPTORS_MAX {
            true => descriptors.pop(),
            false => None,
        };
        let has_all = memory.is_some() == spawn.has_credentials;
        let Some(stdio) = <[OwnedFd; 3]>::try_from(descriptors).ok().filter(|_| has_all) else {
            let message = "there are too many open files";
            return Err(Failure::new(FailureKind::Resources, message));
        };
        if self.is_closing || self.tasks.contains_key(&spawn.id) {
            return Err(Failure::new(FailureKind::Other, "all tasks are being ended"));
        }
        let grant = self.table.grant(&spawn.claim)?;
        let owner = grant.account.as_ref().map(|account| (account.uid, account.gid));
        let given = memory.map(|memory| self.vault.take(&memory, owner)).transpose();
        let given = given.map_err(|message| Failure::new(FailureKind::Other, message))?;
        let fresh = self.vault.fresh(given.as_ref());
        self.next_mark += 1;
        let mark = format!("{}.{}.{}", self.site, std::process::id(), self.next_mark);
        let birth = Birth {
            grant,
            mark: &mark,
            given,
            fresh,
        };
        Task::start(spawn, &stdio, birth, self.rung, &mut self.holder)
    }

    fn read_report(&mut self, id: u64) {
        let Some(task) = self.tasks.get_mut(&id) else { return };
        if task.read_report() {
            let ran = task.ran.clone();
            self.tell(&Reply::Started { id, ran });
        }
    }

    /// Takes the status of every child that has ended: of tasks, and of orphans that were handed to us.
    fn reap(&mut self) {
        while let Some((pid, status)) = reap_one() {
            let Some(id) = self.by_pid.remove(&pid) else { continue };
            // It may have ended before its report was looked at.
            self.read_report(id);
            if let Some(task) = self.tasks.get_mut(&id) {
                task.reaped(status);
            }
        }
    }

    fn settle(&mut self) {
        let known: BTreeSet<i32> = self.by_pid.keys().copied().collect();
        let mut has_adopted = None;
        let mut ended = Vec::new();
        let now = Instant::now();
        for (id, task) in &mut self.tasks {
            if !task.is_due(now) {
                continue;
            }
            let has_adopted = *has_adopted.get_or_insert_with(|| {
                let children = kin::children();
                children.is_none_or(|children| children.iter().any(|child| !known.contains(child)))
            });
            match task.settle(&known, has_adopted, GRACE, now) {
                Settled::No => {}
                Settled::Failed(failure) => ended.push(Reply::Failed { id: *id, failure }),
                Settled::Over(status) => ended.push(Reply::Over { id: *id, status }),
            }
        }
        for reply in ended {
            if let Reply::Failed { id, .. } | Reply::Over { id, .. } = &reply
                && let Some(task) = self.tasks.remove(id)
            {
                self.by_pid.remove(&task.pid());
            }
            self.tell(&reply);
        }
    }

    fn tell(&mut self, reply: &Reply) {
        if self.is_hung_up {
            return;
        }
        // Replies are short: the table's description is bounded by its files.
        if let Ok(frame) = wire::encode(reply) {
            self.outgoing.extend(frame);
        }
        self.flush();
    }

    fn flush(&mut self) {
        while !self.outgoing.is_empty() && !self.is_hung_up {
            let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
            match rustix::net::send(self.socket.as_fd(), &self.outgoing, flags) {
                Ok(length) => {
                    self.outgoing.drain(..length);
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => return,
                Err(_) => return self.hang_up(),
            }
        }
    }

    /// Kills what no task could be found for.
    fn end_strays(&mut self) {
        let own = rustix::process::getpid().as_raw_nonzero().get();
        let begin = Instant::now();
        loop {
            while reap_one().is_some() {}
            let strays = kin::descendants(own);
            if strays.is_empty() || begin.elapsed() > STRAY_TIME_MAX {
                return;
            }
            for stray in &strays {
                kin::send(stray, Signal::KILL);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// Reaps a child that has ended; returns its id and its status as the kernel encodes it.
fn reap_one() -> Option<(i32, i32)> {
    loop {
        match rustix::process::wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) => return Some((pid.as_raw_nonzero().get(), status.as_raw())),
            Err(rustix::io::Errno::INTR) => {}
            Ok(None) | Err(_) => return None,
        }
    }
}

/// Makes this process what it must be: alone, deaf to the signals of its terminal, heir of all orphans.
fn settle_in() -> Result<SignalFd, String> {
    if !fork::is_alone() {
        return Err("The process that starts tasks has more than one thread.".to_owned());
    }
    let failed = |error: &dyn std::fmt::Display| format!("The process that starts tasks cannot be set up: {error}.");
    // It leads a group already when somebody started it by hand.
    let _ = rustix::process::setsid();
    let _ = rustix::thread::set_name(c"stepfn-spawnd");
    let mask = SigSet::all();
    mask.thread_block().map_err(|error| failed(&error))?;
    let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
    let signals = SignalFd::with_flags(&mask, flags).map_err(|error| failed(&error))?;
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).map_err(|error| failed(&error))?;
    Ok(signals)
}

fn open_lock(path: &std::path::Path) -> Result<File, String> {
    let file = File::options()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(path);
    let file = file.map_err(|error| format!("`{}` cannot be locked: {error}.", path.display()))?;
    lock(file, &format!("`{}`", path.display()))
}

/// Tells whether the tasks of an earlier engine are left to end by themselves.
fn is_finishing(file: &File) -> bool {
    let mut bytes = [0; FINISHING.len() + 1];
    file.read_at(&mut bytes, 0)
        .is_ok_and(|length| bytes.get(..length) == Some(FINISHING))
}

/// Waits until no other engine's tasks are left.
fn lock(file: File, name: &str) -> Result<File, String> {
    let failed = |error: &dyn std::fmt::Display| format!("{name} cannot be locked: {error}.");
    let begin = Instant::now();
    loop {
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {
                file.set_len(0).map_err(|error| failed(&error))?;
                return Ok(file);
            }
            Err(rustix::io::Errno::WOULDBLOCK) if begin.elapsed() < LOCK_TIME_MAX => {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(rustix::io::Errno::WOULDBLOCK) if is_finishing(&file) => {
                std::thread::sleep(Duration::from_millis(100));
            }
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(failed(&"tasks of an earlier engine have not ended"));
            }
            Err(error) => return Err(failed(&error)),
        }
    }
}

/// Kills what carries this site's mark: its engine died, and so did the process that started it.
fn end_marked(site: &str) -> usize {
    let mut found = BTreeSet::new();
    let begin = Instant::now();
    loop {
        let left = kin::marked(&format!("{site}."));
        if left.is_empty() || begin.elapsed() > STRAY_TIME_MAX {
            return found.len();
        }
        for process in &left {
            found.insert(process.pid);
            kin::send(process, Signal::KILL);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}
