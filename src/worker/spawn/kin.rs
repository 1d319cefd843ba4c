//! Which processes belong to a task when no kernel object holds them together: its session, its mark in the
//! environment, its descendants, and the orphans that were handed to this process.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::io::Read;

use rustix::process::Pid;
use rustix::process::PidfdFlags;
use rustix::process::Signal;

/// The variable that marks a task's processes.
pub const MARK: &str = "STEPFN_TASK";

/// One process of the machine.
#[derive(Clone, Debug)]
pub struct Process {
    /// Its id.
    pub pid: i32,
    /// Its parent's id.
    pub parent: i32,
    /// Its session's id.
    pub session: i32,
    /// When it started, in the kernel's ticks: with the id it names one process for ever.
    pub start: u64,
    /// It has ended and waits for its parent.
    pub is_zombie: bool,
}

/// A task's first process.
#[derive(Clone, Debug)]
pub struct Leader {
    /// Its process id, which is its session's id.
    pub pid: i32,
    /// When it started.
    pub start: u64,
    /// `STEPFN_TASK=…` of its environment.
    pub mark: String,
}

/// Returns the living processes of a task. `known` are the first processes of all tasks; an orphan that nobody else
/// can have left counts, too.
pub fn members(leader: &Leader, known: &BTreeSet<i32>, own: i32) -> Vec<Process> {
    let all = processes();
    let session_lives = all
        .iter()
        .find(|process| process.pid == leader.pid)
        .is_none_or(|process| process.start == leader.start);
    let is_alone = known.len() <= 1;
    let seeds = all.iter().filter(|process| {
        if process.is_zombie || process.start < leader.start {
            return false;
        }
        let is_adopted = process.parent == own && !known.contains(&process.pid);
        (session_lives && (process.session == leader.pid || process.pid == leader.pid))
            || (is_adopted && is_alone)
            || has_mark(process.pid, |mark| mark == leader.mark.as_bytes())
    });
    let seeds = seeds.map(|process| process.pid).collect();
    with_descendants(&all, seeds)
}

/// Returns the living descendants of a process.
pub fn descendants(pid: i32) -> Vec<Process> {
    let all = processes();
    let mut found = with_descendants(&all, BTreeSet::from([pid]));
    found.retain(|process| process.pid != pid);
    found
}

/// Returns the processes whose mark begins so.
pub fn marked(beginning: &str) -> Vec<Process> {
    let beginning = format!("{MARK}={beginning}");
    let is_meant = |mark: &[u8]| mark.starts_with(beginning.as_bytes());
    let mut found = processes();
    found.retain(|process| !process.is_zombie && has_mark(process.pid, is_meant));
    found
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
        .filter(|process| !process.is_zombie && found.contains(&process.pid))
        .cloned()
        .collect()
}

/// Signals a process, and only it: its id may belong to another one by now.
pub fn send(process: &Process, signal: Signal) {
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

/// Returns the children of this process's only thread; `None` if the kernel does not list them.
pub fn children() -> Option<Vec<i32>> {
    let list = std::fs::read_to_string("/proc/thread-self/children").ok()?;
    let children = list.split_ascii_whitespace().map(str::parse);
    children.collect::<Result<_, _>>().ok()
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

/// Returns a process as it is now.
pub fn process(pid: i32) -> Option<Process> {
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
        is_zombie: matches!(*fields.first()?, "Z" | "X" | "x"),
    })
}

fn has_mark(pid: i32, is_meant: impl Fn(&[u8]) -> bool) -> bool {
    let mut environment = Vec::new();
    let Ok(file) = std::fs::File::open(format!("/proc/{pid}/environ")) else {
        return false;
    };
    // A task can make its environment large, but ours comes first in what it was given.
    if file.take(4 << 20).read_to_end(&mut environment).is_err() {
        return false;
    }
    environment.split(|&byte| byte == 0).any(is_meant)
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
                process.is_zombie
            ),
            (42, 7, 42, 9876, false)
        );
        for broken in ["", "1", "1 (", "1 ) (", "x (a) S 1 1 1", "1 (a) S 1"] {
            assert!(parse_stat(broken.as_bytes()).is_none(), "{broken}");
        }
    }
}
