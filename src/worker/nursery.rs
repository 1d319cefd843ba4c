//! The processes of all tasks, and their certain end.
//!
//! Every task's process leads its own session, carries a mark in its environment, and this process is the
//! subreaper of all of them. So whatever a task starts is found again: by its session, by its mark, by its
//! parents, or as an orphan that was handed to us.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::io;
use std::io::Read;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;

use rustix::process::Pid;
use rustix::process::PidfdFlags;
use rustix::process::Signal;
use rustix::process::WaitOptions;

/// The variable that marks a task's processes.
pub const MARK: &str = "STEPFN_TASK";

/// How long a process may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(1);
/// How long to go on after SIGKILL: only a process that is stuck in the kernel takes longer.
const KILL_TIME_MAX: Duration = Duration::from_secs(10);

/// All processes that tasks started.
#[derive(Debug, Default)]
pub struct Nursery {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    ready: bool,
    /// Children that were here before the first task: not ours to touch.
    strangers: BTreeSet<i32>,
    /// The running tasks by their first process.
    tasks: BTreeMap<i32, Leader>,
    /// When the first task started, in the kernel's ticks: older processes are not ours.
    since: Option<u64>,
    next_mark: u64,
}

/// A task's first process.
#[derive(Clone, Debug)]
pub struct Leader {
    /// Its process id, which is its session's id.
    pub pid: i32,
    /// When it started, in the kernel's ticks.
    start: u64,
    /// `STEPFN_TASK=…` of its environment.
    mark: String,
}

#[derive(Clone, Debug)]
struct Process {
    pid: i32,
    parent: i32,
    session: i32,
    start: u64,
    zombie: bool,
}

impl Nursery {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a fresh mark for a task's environment. The first call makes this process the subreaper.
    pub fn mark(&self) -> String {
        let mut inner = self.inner();
        if !inner.ready {
            inner.ready = true;
            let me = rustix::process::getpid();
            if rustix::process::set_child_subreaper(Some(me)).is_err() {
                // Sessions, marks and parents still find all but the most determined orphans.
            }
            let own = me.as_raw_nonzero().get();
            inner.strangers = processes()
                .into_iter()
                .filter(|process| process.parent == own)
                .map(|process| process.pid)
                .collect();
        }
        inner.next_mark += 1;
        format!("{}-{}", rustix::process::getpid().as_raw_nonzero(), inner.next_mark)
    }

    /// Starts a task's first process and takes it in. `spawn` returns it and its process id.
    ///
    /// # Errors
    /// `spawn`'s.
    pub fn start<T>(&self, mark: &str, spawn: impl FnOnce() -> io::Result<(T, i32)>) -> io::Result<(T, Leader)> {
        // Locked from before it is there: another thread that looks for what its own task left behind would take it
        // for an orphan.
        let mut inner = self.inner();
        let (child, pid) = spawn()?;
        let leader = Leader {
            pid,
            start: process(pid).map_or(0, |process| process.start),
            mark: format!("{MARK}={mark}"),
        };
        inner.since.get_or_insert(leader.start);
        inner.tasks.insert(pid, leader.clone());
        drop(inner);
        Ok((child, leader))
    }

    /// Forgets a task whose processes have all ended.
    pub fn release(&self, leader: &Leader) {
        self.inner().tasks.remove(&leader.pid);
    }

    /// Ends every process of a task: SIGTERM, a short grace, then SIGKILL until none is left.
    pub async fn end(&self, leader: &Leader) {
        self.sweep(GRACE, || self.members(leader)).await;
    }

    /// Ends every process of a task without a grace.
    pub async fn kill(&self, leader: &Leader) {
        self.sweep(Duration::ZERO, || self.members(leader)).await;
    }

    /// Ends the processes that a task left behind when its first process ended by itself.
    pub async fn end_survivors(&self, leader: &Leader) {
        // Whoever survives was handed to us, or descends from one who was.
        let none_adopted = children().is_some_and(|children| {
            let inner = self.inner();
            let is_known = |child: &i32| inner.tasks.contains_key(child) || inner.strangers.contains(child);
            children.iter().all(is_known)
        });
        if !none_adopted {
            self.end(leader).await;
        }
    }

    /// Ends whatever is left of all tasks.
    pub async fn end_all(&self) {
        if self.inner().ready {
            self.sweep(GRACE, || self.descendants()).await;
        }
    }

    /// Kills whatever is left of all tasks at once.
    pub fn kill_all(&self) {
        let begin = Instant::now();
        while self.inner().ready && begin.elapsed() < GRACE {
            let living = self.descendants();
            if living.is_empty() {
                return;
            }
            for process in &living {
                send(process, Signal::KILL);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    async fn sweep(&self, grace: Duration, members: impl Fn() -> Vec<Process>) {
        let begin = Instant::now();
        let mut told = BTreeSet::new();
        let mut pause = Duration::from_millis(1);
        loop {
            let living = members();
            if living.is_empty() || begin.elapsed() > grace + KILL_TIME_MAX {
                return;
            }
            let kill = begin.elapsed() >= grace;
            for process in &living {
                if kill {
                    send(process, Signal::KILL);
                } else if told.insert((process.pid, process.start)) {
                    send(process, Signal::TERM);
                    // A stopped process must run to hear it.
                    send(process, Signal::CONT);
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }

    /// Returns the living processes of a task, and reaps the orphans that have ended.
    fn members(&self, leader: &Leader) -> Vec<Process> {
        let all = processes();
        let inner = self.inner();
        let own = rustix::process::getpid().as_raw_nonzero().get();
        let is_alone = inner.tasks.len() <= 1;
        let session_lives = all
            .iter()
            .find(|process| process.pid == leader.pid)
            .is_none_or(|process| process.start == leader.start);
        let seeds = all.iter().filter(|process| {
            if process.zombie || process.start < leader.start {
                return false;
            }
            let adopted = process.parent == own
                && !inner.strangers.contains(&process.pid)
                && !inner.tasks.contains_key(&process.pid);
            (session_lives && (process.session == leader.pid || process.pid == leader.pid))
                || (adopted && is_alone)
                || has_mark(process.pid, &leader.mark)
        });
        let seeds: BTreeSet<i32> = seeds.map(|process| process.pid).collect();
        reap(&all, &inner, own);
        drop(inner);
        with_descendants(&all, seeds)
    }

    fn descendants(&self) -> Vec<Process> {
        let all = processes();
        let inner = self.inner();
        let own = rustix::process::getpid().as_raw_nonzero().get();
        let seeds = all
            .iter()
            .filter(|process| process.parent == own && !inner.strangers.contains(&process.pid))
            .filter(|process| inner.since.is_some_and(|since| process.start >= since))
            .map(|process| process.pid)
            .collect();
        reap(&all, &inner, own);
        drop(inner);
        with_descendants(&all, seeds)
    }
}

/// Reaps adopted orphans; a task's first process is reaped by whoever waits for it.
fn reap(all: &[Process], inner: &Inner, own: i32) {
    for process in all {
        if process.zombie
            && process.parent == own
            && !inner.strangers.contains(&process.pid)
            && !inner.tasks.contains_key(&process.pid)
        {
            let _ = rustix::process::waitpid(Pid::from_raw(process.pid), WaitOptions::NOHANG);
        }
    }
}

fn with_descendants(all: &[Process], mut found: BTreeSet<i32>) -> Vec<Process> {
    let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for process in all {
        children.entry(process.parent).or_default().push(process.pid);
    }
    let mut open: Vec<i32> = found.iter().copied().collect();
    while let Some(pid) = open.pop() {
        for &child in children.get(&pid).into_iter().flatten() {
            if found.insert(child) {
                open.push(child);
            }
        }
    }
    all.iter()
        .filter(|process| !process.zombie && found.contains(&process.pid))
        .cloned()
        .collect()
}

/// Signals a process, and only it: its id may belong to another one by now.
fn send(process: &Process, signal: Signal) {
    let Some(pid) = Pid::from_raw(process.pid) else { return };
    match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
        Ok(handle) => {
            if self::process(process.pid).is_some_and(|now| now.start == process.start) {
                let _ = rustix::process::pidfd_send_signal(handle, signal);
            }
        }
        Err(rustix::io::Errno::NOSYS) => {
            let _ = rustix::process::kill_process(pid, signal);
        }
        Err(_) => {}
    }
}

/// Returns this process's children; `None` if the kernel does not list them.
fn children() -> Option<Vec<i32>> {
    let mut children = Vec::new();
    for thread in std::fs::read_dir("/proc/self/task").ok()? {
        let list = std::fs::read_to_string(thread.ok()?.path().join("children")).ok()?;
        children.extend(
            list.split_ascii_whitespace()
                .filter_map(|child| child.parse::<i32>().ok()),
        );
    }
    Some(children)
}

fn processes() -> Vec<Process> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(process)
        .collect()
}

fn process(pid: i32) -> Option<Process> {
    parse_stat(&std::fs::read(format!("/proc/{pid}/stat")).ok()?)
}

/// Reads `/proc/PID/stat`. The name in parentheses may hold anything, so the last `)` counts.
fn parse_stat(stat: &[u8]) -> Option<Process> {
    let open = stat.iter().position(|&byte| byte == b'(')?;
    let close = stat.iter().rposition(|&byte| byte == b')')?;
    let pid = std::str::from_utf8(stat.get(..open)?).ok()?.trim().parse().ok()?;
    let rest = std::str::from_utf8(stat.get(close + 1..)?).ok()?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    Some(Process {
        pid,
        parent: fields.get(1)?.parse().ok()?,
        session: fields.get(3)?.parse().ok()?,
        start: fields.get(19)?.parse().ok()?,
        zombie: matches!(*fields.first()?, "Z" | "X" | "x"),
    })
}

fn has_mark(pid: i32, mark: &str) -> bool {
    let mut environment = Vec::new();
    let Ok(file) = std::fs::File::open(format!("/proc/{pid}/environ")) else {
        return false;
    };
    // A task can make its environment large, but ours comes first in what it was given.
    if file.take(4 << 20).read_to_end(&mut environment).is_err() {
        return false;
    }
    environment
        .split(|&byte| byte == 0)
        .any(|variable| variable == mark.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_name_may_hold_parentheses_and_spaces() {
        let line = b"42 (a) b (c) S 7 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 9876 0 0\n";
        let process = parse_stat(line).unwrap();
        assert_eq!(
            (
                process.pid,
                process.parent,
                process.session,
                process.start,
                process.zombie
            ),
            (42, 7, 42, 9876, false)
        );
        for broken in ["", "1", "1 (", "1 ) (", "x (a) S 1 1 1", "1 (a) S 1"] {
            assert!(parse_stat(broken.as_bytes()).is_none(), "{broken}");
        }
    }
}
