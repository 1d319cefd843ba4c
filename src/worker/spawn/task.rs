//! One task's processes in `spawnd`: their start, and their end.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::io;
use std::os::fd::AsFd;
use std::os::fd::AsRawFd;
use std::os::fd::BorrowedFd;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;
use std::time::Instant;

use rustix::fs::Mode;
use rustix::fs::OFlags;
use rustix::pipe::PipeFlags;
use rustix::process::Signal;

use crate::worker::spawn::cgroup::Group;
use crate::worker::spawn::child;
use crate::worker::spawn::child::Stage;
use crate::worker::spawn::fork;
use crate::worker::spawn::fork::Forked;
use crate::worker::spawn::fork::Fresh;
use crate::worker::spawn::identity::Grant;
use crate::worker::spawn::kin;
use crate::worker::spawn::kin::Leader;
use crate::worker::spawn::kin::MARK;
use crate::worker::spawn::kin::Process;
use crate::worker::spawn::namespace;
use crate::worker::spawn::planning::plan;
use crate::worker::spawn::rung::Holder;
use crate::worker::spawn::rung::Rung;
use crate::worker::spawn::unit::Gate;
use crate::worker::spawn::vault::Given;
use crate::worker::spawn::vault::Kept;
use crate::worker::spawn::wire::AtLoss;
use crate::worker::spawn::wire::Failure;
use crate::worker::spawn::wire::FailureKind;
use crate::worker::spawn::wire::Ran;
use crate::worker::spawn::wire::Spawn;

/// How long to go on after SIGKILL: only a process that is stuck in the kernel takes longer.
const KILL_TIME_MAX: Duration = Duration::from_secs(10);

/// A running task.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) ran: Ran,
    leader: Leader,
    hold: Hold,
    names: Names,
    /// What its child says until its program runs; closed then.
    report: Option<OwnedFd>,
    failure: Option<Failure>,
    status: Option<i32>,
    ending: Option<Ending>,
    at_loss: AtLoss,
    /// For one that outlives the engine: the ends of its output that are read when the engine is gone. That they are
    /// here keeps it from being killed by a broken pipe at that moment.
    drains: Vec<OwnedFd>,
    /// Its credentials, where no mount keeps them.
    kept: Option<Kept>,
}

/// With what a task is born beside what the engine says.
pub(super) struct Birth<'a> {
    /// As whom.
    pub(super) grant: Grant,
    /// What all its processes carry.
    pub(super) mark: &'a str,
    /// Its credentials.
    pub(super) given: Option<Given>,
    /// What is its own beside its memory, for them.
    pub(super) fresh: Fresh,
}

/// What holds the processes together.
#[derive(Debug)]
enum Hold {
    Group(Group),
    /// The leader is the namespace's first process, and tells the task's status here.
    Namespace(OwnedFd),
    Nothing,
}

/// What the messages of failures name.
#[derive(Debug)]
struct Names {
    program: String,
    cwd: Option<String>,
}

#[derive(Debug)]
struct Ending {
    since: Instant,
    grace: Duration,
    told: BTreeSet<(i32, u64)>,
    pause: Duration,
    next: Instant,
}

/// What became of a task.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Settled {
    /// It goes on.
    No,
    /// It never ran its program.
    Failed(Failure),
    /// Nothing of it is left.
    Over(i32),
}

impl Task {
    /// Starts a task's first process.
    pub(super) fn start(
        spawn: Spawn,
        stdio: &[OwnedFd; 3],
        birth: Birth<'_>,
        rung: Rung,
        holder: &mut Holder,
    ) -> Result<Self, Failure> {
        let resources = |error: io::Error| Failure::new(FailureKind::Resources, error.to_string());
        let Birth {
            grant,
            mark,
            mut given,
            fresh,
        } = birth;
        let kept = given.as_mut().and_then(|given| given.kept.take());
        let plan = plan(&spawn, &grant, mark, given)?;
        let (uid, groups) = grant.numbers();
        let drains = match spawn.at_loss {
            AtLoss::End => Vec::new(),
            AtLoss::Interrupt | AtLoss::Wait => {
                let ends = stdio.iter().skip(1).map(other_end);
                ends.collect::<Result<_, _>>().map_err(resources)?
            }
        };
        let pipe = || rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(io::Error::from);
        let (report, report_end) = pipe().map_err(resources)?;
        rustix::io::ioctl_fionbio(&report, true).map_err(|error| resources(error.into()))?;
        let (hold, forked) = match holder {
            Holder::Groups(tree) => {
                let group = tree.group().map_err(resources)?;
                let forked = fork::fork(Some(group.as_fd()), fresh);
                (Hold::Group(group), forked)
            }
            Holder::Namespaces(fresh) => {
                let (status, status_end) = pipe().map_err(resources)?;
                rustix::io::ioctl_fionbio(&status, true).map_err(|error| resources(error.into()))?;
                let ids = namespace::ids();
                let forked = fork::fork(None, *fresh);
                if matches!(forked, Ok(Forked::Child(_))) {
                    namespace::init(*fresh, ids, &status_end, |entered| match entered {
                        Ok(()) => child::become_task(&plan, stdio, &report_end),
                        Err(error) => child::tell(&report_end, Stage::Setup, &error),
                    });
                }
                (Hold::Namespace(status), forked)
            }
            Holder::Sweep => (Hold::Nothing, fork::fork(None, fresh)),
            Holder::Units(units) => {
                let gate = Gate::new().map_err(resources)?;
                match fork::fork(None, fresh) {
                    Ok(Forked::Child(_)) => {
                        if gate.wait() {
                            child::become_task(&plan, stdio, &report_end);
                        }
                        fork::exit(127)
                    }
                    Ok(Forked::Parent(pid)) => {
                        let claim = &spawn.claim;
                        let description = format!("stepfn task `{}` of `{}`", claim.state, claim.state_machine);
                        let placed = units.place(pid.as_raw_nonzero().get(), &description);
                        // When it fails the gate is dropped, and the process ends without having done anything.
                        let placed = placed.and_then(|group| gate.open().map(|()| group).map_err(|it| it.to_string()));
                        let lacks = |lacks| Failure::new(FailureKind::Other, format!("it gets no unit: {lacks}"));
                        (Hold::Group(placed.map_err(lacks)?), Ok(Forked::Parent(pid)))
                    }
                    failed => (Hold::Nothing, failed),
                }
            }
        };
        let pid = match forked {
            Ok(Forked::Child(joined)) => {
                match joined {
                    Ok(()) => child::become_task(&plan, stdio, &report_end),
                    Err(error) => child::tell(&report_end, Stage::Setup, &error),
                }
                fork::exit(127)
            }
            Ok(Forked::Parent(pid)) => pid.as_raw_nonzero().get(),
            Err(error) => {
                if let Hold::Group(group) = hold {
                    group.remove();
                }
                return Err(resources(error));
            }
        };
        Ok(Self {
            leader: Leader {
                pid,
                start: kin::process(pid).map_or(0, |process| process.start),
                mark: format!("{MARK}={mark}"),
            },
            ran: Ran {
                pid,
                rung,
                uid: Some(uid),
                groups,
                user: grant.user,
            },
            hold,
            names: Names {
                program: spawn.argv.into_iter().next().unwrap_or_default(),
                cwd: spawn.cwd,
            },
            report: Some(report),
            failure: None,
            status: None,
            ending: None,
            at_loss: spawn.at_loss,
            drains,
            kept,
        })
    }

    /// Returns what to wait for until the program runs.
    pub(super) fn report(&self) -> Option<BorrowedFd<'_>> {
        self.report.as_ref().map(AsFd::as_fd)
    }

    /// Returns when to look after it again.
    pub(super) fn next(&self) -> Option<Instant> {
        self.ending.as_ref().map(|ending| ending.next)
    }

    /// Returns the first process's id.
    pub(super) fn pid(&self) -> i32 {
        self.leader.pid
    }

    /// Tells whether it wants to be looked after.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        match &self.ending {
            Some(ending) => ending.next <= now,
            None => self.status.is_some(),
        }
    }

    /// Reads the child's report; true if its program runs from now on.
    pub(super) fn read_report(&mut self) -> bool {
        let Some(report) = &self.report else {
            return false;
        };
        let mut bytes = [0; 16];
        let length = match rustix::io::read(report, &mut bytes) {
            Ok(length) => length,
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => return false,
            Err(_) => 0,
        };
        self.report = None;
        match child::read_report(&bytes[..length]) {
            Some((stage, error)) => {
                self.failure = Some(self.explain(stage, &error));
                false
            }
            None => true,
        }
    }

    /// The first process has ended.
    pub(super) fn reaped(&mut self, status: i32) {
        let mut bytes = [0; 4];
        let told = match &self.hold {
            Hold::Namespace(pipe) => rustix::io::read(pipe, &mut bytes).is_ok_and(|length| length == bytes.len()),
            Hold::Group(_) | Hold::Nothing => false,
        };
        self.status = Some(if told { i32::from_le_bytes(bytes) } else { status });
        if let Some(ending) = &mut self.ending {
            ending.next = Instant::now();
        }
    }

    /// Sends SIGINT to its program.
    pub(super) fn interrupt(&self) {
        if self.status.is_some() {
            return;
        }
        let program = match &self.hold {
            // The namespace's first process only looks after the others, the oldest of which is the program.
            Hold::Namespace(_) => {
                let all = kin::descendants(self.leader.pid).into_iter();
                let children = all.filter(|process| process.parent == self.leader.pid);
                children.min_by_key(|process| (process.start, process.pid))
            }
            _ => kin::process(self.leader.pid),
        };
        if let Some(program) = program {
            kin::send(&program, Signal::INT);
        }
    }

    /// Nobody waits for it any more. Returns whether it is left to end by itself.
    pub(super) fn leave(&mut self, grace: Duration, now: Instant) -> bool {
        match self.at_loss {
            AtLoss::End => self.end(grace, now),
            AtLoss::Interrupt => self.interrupt(),
            AtLoss::Wait => {}
        }
        self.at_loss != AtLoss::End
    }

    /// Returns what its output can be read from when the engine is gone.
    pub(super) fn drains(&self) -> &[OwnedFd] {
        &self.drains
    }

    /// Throws away what it wrote, so that it goes on.
    pub(super) fn drain(&mut self) {
        let mut buffer = [0; 64 * 1024];
        self.drains.retain(|drain| {
            // Once around: another task may wait, too.
            match rustix::io::read(drain, &mut buffer) {
                Ok(length) => length != 0,
                Err(error) => matches!(error, rustix::io::Errno::AGAIN | rustix::io::Errno::INTR),
            }
        });
    }

    /// Begins to end it. A shorter grace shortens one that runs.
    pub(super) fn end(&mut self, grace: Duration, now: Instant) {
        let ending = self.ending.get_or_insert_with(|| Ending {
            since: now,
            grace,
            told: BTreeSet::new(),
            pause: Duration::from_millis(1),
            next: now,
        });
        ending.grace = ending.grace.min(grace);
        ending.next = now;
    }

    /// Goes on with its end. `known` are the first processes of all tasks, `has_adopted` tells that orphans were
    /// handed to this process.
    pub(super) fn settle(
        &mut self,
        known: &BTreeSet<i32>,
        has_adopted: bool,
        grace: Duration,
        now: Instant,
    ) -> Settled {
        if self.status.is_some() && self.ending.is_none() {
            if !self.has_survivors(known, has_adopted) {
                return self.over();
            }
            self.end(grace, now);
        }
        let Some(ending) = &self.ending else {
            return Settled::No;
        };
        let kill = now.duration_since(ending.since) >= ending.grace;
        let is_late = now.duration_since(ending.since) >= ending.grace + KILL_TIME_MAX;
        let living = self.living(known, has_adopted);
        if (self.status.is_some() && living.is_empty() && !self.is_populated()) || is_late {
            return self.over();
        }
        if kill {
            self.kill();
        }
        let Some(ending) = &mut self.ending else {
            return Settled::No;
        };
        for process in &living {
            if kill {
                kin::send(process, Signal::KILL);
            } else if ending.told.insert((process.pid, process.start)) {
                kin::send(process, Signal::TERM);
                // A stopped process must run to hear it.
                kin::send(process, Signal::CONT);
            }
        }
        ending.next = now + ending.pause;
        ending.pause = (ending.pause * 2).min(Duration::from_millis(20));
        Settled::No
    }

    fn over(&mut self) -> Settled {
        let hold = std::mem::replace(&mut self.hold, Hold::Nothing);
        if let Hold::Group(group) = hold {
            group.remove();
        }
        drop(self.kept.take());
        match self.failure.take() {
            Some(failure) => Settled::Failed(failure),
            None => Settled::Over(self.status.unwrap_or(Signal::KILL.as_raw())),
        }
    }

    fn is_populated(&self) -> bool {
        match &self.hold {
            Hold::Group(group) => group.is_populated(),
            Hold::Namespace(_) | Hold::Nothing => false,
        }
    }

    /// Tells whether something is left when the first process has ended: whoever has left what holds it was handed to
    /// us, or descends from one who was.
    fn has_survivors(&self, known: &BTreeSet<i32>, has_adopted: bool) -> bool {
        self.is_populated()
            || (has_adopted
                && !matches!(self.hold, Hold::Namespace(_))
                && !kin::members(&self.leader, known, own()).is_empty())
    }

    /// Returns the living processes that can be told to end.
    fn living(&self, known: &BTreeSet<i32>, has_adopted: bool) -> Vec<Process> {
        match &self.hold {
            Hold::Namespace(_) if self.status.is_none() => kin::descendants(self.leader.pid),
            Hold::Namespace(_) => Vec::new(),
            Hold::Nothing => kin::members(&self.leader, known, own()),
            Hold::Group(group) => {
                let held = group.pids().into_iter().filter_map(kin::process);
                let held = held.filter(|process| !process.is_zombie && group.holds(process.pid));
                let mut found: BTreeMap<i32, Process> = held.map(|process| (process.pid, process)).collect();
                if has_adopted {
                    let members = kin::members(&self.leader, known, own());
                    found.extend(members.into_iter().map(|process| (process.pid, process)));
                }
                found.into_values().collect()
            }
        }
    }

    fn kill(&self) {
        match &self.hold {
            Hold::Group(group) => group.kill(),
            Hold::Namespace(_) if self.status.is_none() => {
                // It is not reaped, so the id is still its own.
                if let Some(pid) = rustix::process::Pid::from_raw(self.leader.pid) {
                    let _ = rustix::process::kill_process(pid, Signal::KILL);
                }
            }
            Hold::Namespace(_) | Hold::Nothing => {}
        }
    }

    /// Says why the child could not become the task.
    fn explain(&self, stage: Stage, error: &io::Error) -> Failure {
        use nix::libc;
        let (program, user) = (&self.names.program, &self.ran.user);
        let cwd = self.names.cwd.as_deref().unwrap_or("/");
        let number = error.raw_os_error().unwrap_or(0);
        let (kind, message) = match (stage, number) {
            (Stage::Setup, _) => (
                FailureKind::Other,
                format!("its process could not be prepared: {error}"),
            ),
            (Stage::Credentials, _) => (
                FailureKind::Other,
                format!("its credentials could not be put into place: {error}"),
            ),
            (Stage::Identity, _) => (
                FailureKind::IdentityUnavailable,
                format!("the system does not let it become `{user}`: {error}"),
            ),
            (Stage::Directory, libc::ENOENT) => (FailureKind::NoDirectory, format!("there is no directory `{cwd}`")),
            (Stage::Directory, _) => (
                FailureKind::NoDirectory,
                format!("the directory `{cwd}` cannot be entered by `{user}`: {error}"),
            ),
            (Stage::Program, libc::ENOENT) if program.contains('/') && Path::new(cwd).join(program).exists() => (
                FailureKind::NotExecutable,
                "the program is there, but the interpreter that it names is not".to_owned(),
            ),
            (Stage::Program, libc::ENOENT) => (FailureKind::NotFound, "there is no such program".to_owned()),
            (Stage::Program, libc::EACCES) => (
                FailureKind::NotExecutable,
                format!("`{user}` may not execute it: {error}"),
            ),
            (Stage::Program, libc::E2BIG) => (
                FailureKind::ArgumentsTooLong,
                "its arguments and variables are longer than the system takes".to_owned(),
            ),
            (Stage::Program, libc::ENOMEM | libc::EAGAIN | libc::EMFILE | libc::ENFILE) => {
                (FailureKind::Resources, error.to_string())
            }
            (Stage::Program, _) => (FailureKind::NotExecutable, error.to_string()),
        };
        Failure { kind, message }
    }
}

/// Opens the reading end of the pipe that this is the writing end of.
fn other_end(end: &OwnedFd) -> io::Result<OwnedFd> {
    let path = format!("/proc/self/fd/{}", end.as_raw_fd());
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

fn own() -> i32 {
    rustix::process::getpid().as_raw_nonzero().get()
}
