//! Rung 2: one control group (version 2) for each task.
//!
//! No controller is needed, so it works in the mixed layout, too, where version 1 has the controllers and an empty
//! tree of version 2 stands beside it.

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::fd::BorrowedFd;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use std::time::Instant;

use rustix::fs::Mode;
use rustix::fs::OFlags;

use crate::worker::spawn::kin;

const TOO_OLD: &str = "the kernel is older than Linux 5.14: there is no `cgroup.kill`";
/// How the directories of all engines begin.
const PREFIX: &str = "stepfn-";
/// How long leftovers may take to end: they are killed, so only the kernel holds them.
const LEFTOVER_TIME_MAX: Duration = Duration::from_secs(10);
/// How deep a task may nest groups of its own for us to look for processes in them.
const DEPTH_MAX: u32 = 8;

/// The groups of one `spawnd`.
#[derive(Debug)]
pub struct Tree {
    path: PathBuf,
    next: u64,
}

/// The group of one task.
#[derive(Debug)]
pub struct Group {
    path: PathBuf,
    directory: OwnedFd,
    keeper: Keeper,
}

/// Who made a group, and removes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keeper {
    Systemd,
    Us,
}

/// Returns how the names of an engine's groups begin.
pub fn prefix(pid: i32, start: u64) -> String {
    format!("{PREFIX}{pid}-{start}")
}

impl Tree {
    /// Makes this process's directory below its own group. Removes what earlier ones left, with its processes, and
    /// tells how many that were.
    ///
    /// # Errors
    /// What is missing: a fragment of a sentence.
    pub fn make() -> Result<(Self, usize), String> {
        let parent = directory_of("/proc/self/cgroup")?;
        let n_leftovers = remove_leftovers(&parent, Keeper::Us);
        let pid = rustix::process::getpid().as_raw_nonzero().get();
        let start = kin::process(pid).map_or(0, |process| process.start);
        let path = parent.join(prefix(pid, start));
        fs::create_dir(&path).map_err(|error| format!("`{}` cannot be written: {error}", parent.display()))?;
        let tree = Self { path, next: 0 };
        if !tree.path.join("cgroup.kill").exists() {
            return Err(TOO_OLD.to_owned());
        }
        Ok((tree, n_leftovers))
    }

    /// Makes a group.
    ///
    /// # Errors
    /// The system's.
    pub fn group(&mut self) -> io::Result<Group> {
        self.next += 1;
        let path = self.path.join(self.next.to_string());
        fs::create_dir(&path)?;
        open(&path, Keeper::Us).inspect_err(|_| {
            let _ = fs::remove_dir(&path);
        })
    }
}

fn open(path: &Path, keeper: Keeper) -> io::Result<Group> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(Group {
        path: path.to_owned(),
        directory: rustix::fs::open(path, flags, Mode::empty())?,
        keeper,
    })
}

impl Drop for Tree {
    fn drop(&mut self) {
        kill(&self.path);
        remove(&self.path, DEPTH_MAX);
    }
}

impl Group {
    /// Returns the group of a scope that systemd has put a process into.
    ///
    /// # Errors
    /// The process is not in it, or the kernel cannot end it: a fragment of a sentence.
    pub fn of_scope(pid: i32, name: &str) -> Result<Self, String> {
        let path = directory_of(&format!("/proc/{pid}/cgroup"))?;
        if path.file_name().is_none_or(|found| found != name) {
            return Err(format!("its process is not in `{name}`, but in `{}`", path.display()));
        }
        if !path.join("cgroup.kill").exists() {
            return Err(TOO_OLD.to_owned());
        }
        open(&path, Keeper::Systemd).map_err(|error| format!("`{}` cannot be opened: {error}", path.display()))
    }

    /// Ends the scopes beside this one that dead engines left; tells how many.
    pub fn end_dead_scopes(&self) -> usize {
        self.path
            .parent()
            .map_or(0, |slice| remove_leftovers(slice, Keeper::Systemd))
    }

    /// Tells whether a living process is in the group or below.
    pub fn is_populated(&self) -> bool {
        is_populated(&self.path)
    }

    /// Returns the ids of all processes in the group and below.
    pub fn pids(&self) -> Vec<i32> {
        let mut pids = Vec::new();
        collect(&self.path, DEPTH_MAX, &mut pids);
        pids
    }

    /// Tells whether a process is in the group or below, so that it may be signaled.
    pub fn holds(&self, pid: i32) -> bool {
        let name = self.path.file_name().map(|name| name.to_string_lossy().into_owned());
        let tree = self.path.parent().and_then(Path::file_name);
        let (Some(name), Some(tree)) = (name, tree) else {
            return false;
        };
        let wanted = format!("/{}/{name}", tree.to_string_lossy());
        let Ok(groups) = fs::read_to_string(format!("/proc/{pid}/cgroup")) else {
            return false;
        };
        groups.lines().filter_map(|line| line.strip_prefix("0::")).any(|path| {
            path.find(&wanted)
                .and_then(|at| path.get(at + wanted.len()..))
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }

    /// Kills every process in the group and below.
    pub fn kill(&self) {
        kill(&self.path);
    }

    /// Removes the group, once it is empty.
    pub fn remove(self) {
        if self.keeper == Keeper::Us && fs::remove_dir(&self.path).is_err() {
            remove(&self.path, DEPTH_MAX);
        }
    }
}

impl AsFd for Group {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

/// Tells whether systemd has put a process into a unit.
pub fn is_in(pid: i32, name: &str) -> bool {
    directory_of(&format!("/proc/{pid}/cgroup")).is_ok_and(|path| path.file_name().is_some_and(|found| found == name))
}

/// Returns the directory of the group that a process is in; `groups` is the kernel's list of them.
fn directory_of(groups: &str) -> Result<PathBuf, String> {
    let read = |path: &str| fs::read_to_string(path).map_err(|error| format!("`{path}` cannot be read: {error}"));
    let mounts = read("/proc/self/mountinfo")?;
    let groups = read(groups)?;
    let (root, mount) = mount(&mounts).ok_or("no tree of version 2 is mounted")?;
    let own = groups.lines().find_map(|line| line.strip_prefix("0::"));
    let own = own.ok_or("the process is in no group of version 2")?;
    let own = match root {
        "/" => own,
        root => own
            .strip_prefix(root)
            .ok_or("its own group is not below the mounted tree")?,
    };
    Ok(Path::new(mount).join(own.trim_start_matches('/')))
}

/// Finds the tree of version 2 in `/proc/self/mountinfo`: which group is mounted, and where.
fn mount(mounts: &str) -> Option<(&str, &str)> {
    mounts.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let mut fields = before.split(' ').skip(3);
        let (root, mount) = (fields.next()?, fields.next()?);
        (after.split(' ').next() == Some("cgroup2")).then_some((root, mount))
    })
}

fn remove_leftovers(parent: &Path, keeper: Keeper) -> usize {
    let Ok(entries) = fs::read_dir(parent) else {
        return 0;
    };
    let dead = entries.filter_map(|entry| {
        let entry = entry.ok()?;
        let (pid, start) = owner(entry.file_name().to_str()?, keeper)?;
        let lives = kin::process(pid).is_some_and(|process| process.start == start && !process.is_zombie);
        (!lives).then(|| entry.path())
    });
    let dead: Vec<PathBuf> = dead.collect();
    for path in &dead {
        kill(path);
        let begin = Instant::now();
        while is_populated(path) && begin.elapsed() < LEFTOVER_TIME_MAX {
            std::thread::sleep(Duration::from_millis(2));
        }
        if keeper == Keeper::Us {
            remove(path, DEPTH_MAX);
        }
    }
    dead.len()
}

/// Reads the name of an engine's directory, or of one of its scopes: whose it is.
fn owner(name: &str, keeper: Keeper) -> Option<(i32, u64)> {
    let name = match keeper {
        Keeper::Systemd => name.strip_suffix(".scope")?.rsplit_once('-')?.0,
        Keeper::Us => name,
    };
    let (pid, start) = name.strip_prefix(PREFIX)?.split_once('-')?;
    Some((pid.parse().ok()?, start.parse().ok()?))
}

fn is_populated(path: &Path) -> bool {
    let events = fs::read_to_string(path.join("cgroup.events")).unwrap_or_default();
    events.lines().any(|line| line == "populated 1")
}

fn kill(path: &Path) {
    // A group that is gone has nothing to kill.
    let _ = fs::write(path.join("cgroup.kill"), "1");
}

fn below(path: &Path) -> Vec<PathBuf> {
    // Only a group with groups below has more than two links.
    if fs::metadata(path).is_ok_and(|metadata| metadata.nlink() == 2) {
        return Vec::new();
    }
    let entries = fs::read_dir(path).into_iter().flatten().filter_map(Result::ok);
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

fn collect(path: &Path, depth: u32, pids: &mut Vec<i32>) {
    let list = fs::read_to_string(path.join("cgroup.procs")).unwrap_or_default();
    pids.extend(list.lines().filter_map(|pid| pid.parse::<i32>().ok()));
    if depth > 0 {
        for path in below(path) {
            collect(&path, depth - 1, pids);
        }
    }
}

fn remove(path: &Path, depth: u32) {
    if depth > 0 {
        for path in below(path) {
            remove(&path, depth - 1);
        }
    }
    let _ = fs::remove_dir(path);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_found_in_every_layout() {
        let unified = "24 29 0:22 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n";
        let mixed = "30 24 0:26 / /sys/fs/cgroup ro - tmpfs tmpfs ro\n\
                     31 30 0:27 /x /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n\
                     32 30 0:28 /a /sys/fs/cgroup/unified rw shared:9 - cgroup2 cgroup2 rw\n";
        let none = "30 24 0:26 / /sys/fs/cgroup ro - tmpfs tmpfs ro\nbroken\n";
        assert_eq!(mount(unified), Some(("/", "/sys/fs/cgroup")));
        assert_eq!(mount(mixed), Some(("/a", "/sys/fs/cgroup/unified")));
        assert_eq!(mount(none), None);
    }

    #[test]
    fn only_names_of_engines_are_cleaned_up() {
        assert_eq!(owner("stepfn-12-345", Keeper::Us), Some((12, 345)));
        for name in ["stepfn.service", "stepfn-12", "stepfn-a-b", "x-1-2", "stepfn-1-2-3"] {
            assert_eq!(owner(name, Keeper::Us), None, "{name}");
        }
        assert_eq!(owner("stepfn-12-345-6.scope", Keeper::Systemd), Some((12, 345)));
        for name in [
            "stepfn-12-345",
            "stepfn-12-345.scope",
            "stepfn-spawnd.scope",
            "a-1-2-3.scope",
        ] {
            assert_eq!(owner(name, Keeper::Systemd), None, "{name}");
        }
    }
}
