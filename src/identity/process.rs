//! What `/proc` says about the process at the other end of a Unix socket.

use std::ffi::OsStr;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::Mode;
use rustix::fs::OFlags;

/// Facts about a process, all of the same one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Process {
    /// The groups that it has, by number.
    pub groups: Vec<u32>,
    /// The user of its login session. Root can choose it: evidence, no proof.
    pub login: Option<u32>,
    /// Its program: a path, or only the name that it gives itself when the path is hidden from us.
    pub program: Option<Arc<str>>,
}

/// Most that is read of one file.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// The login user of who never logged in.
const NO_LOGIN: u32 = u32::MAX;

impl Process {
    /// Reads what is known of a process of `uid`; nothing when it has ended, is another's, or is hidden.
    pub fn read(pid: u32, uid: u32) -> Option<Self> {
        Self::read_below(Path::new("/proc"), pid, uid)
    }

    fn read_below(root: &Path, pid: u32, uid: u32) -> Option<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        // An open directory of `/proc` stays that of one process: when it ends and another gets its number, nothing
        // can be read here any more.
        let directory = rustix::fs::open(root.join(pid.to_string()), flags, Mode::empty()).ok()?;
        let started = started(&text(&directory, "stat")?)?;
        let status = text(&directory, "status")?;
        let numbers = |name: &str| -> Option<Vec<u32>> {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_ascii_whitespace()
                .map(|number| number.parse().ok())
                .collect()
        };
        // A number that another user's process has got meanwhile tells nothing.
        if !numbers("Uid:")?.contains(&uid) {
            return None;
        }
        let mut groups = numbers("Groups:")?;
        groups.extend(numbers("Gid:")?.get(1));
        groups.sort_unstable();
        groups.dedup();
        let login = text(&directory, "loginuid").and_then(|text| text.trim().parse().ok());
        let program = program(&directory).or_else(|| Some(text(&directory, "comm")?.trim_end().into()));
        let again = self::started(&text(&directory, "stat")?)?;
        (started == again).then_some(Self {
            groups,
            login: login.filter(|login| *login != NO_LOGIN),
            program,
        })
    }
}

fn text(directory: &OwnedFd, name: &str) -> Option<String> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let file = rustix::fs::openat(directory, name, flags, Mode::empty()).ok()?;
    let mut bytes = Vec::new();
    std::fs::File::from(file)
        .take(FILE_BYTES_MAX)
        .read_to_end(&mut bytes)
        .ok()?;
    // Programs name themselves as they like.
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn program(directory: &OwnedFd) -> Option<Arc<str>> {
    let path = rustix::fs::readlinkat(directory, "exe", Vec::new()).ok()?;
    Some(OsStr::from_bytes(path.to_bytes()).to_string_lossy().into())
}

/// Returns when a process began, in clock ticks since the machine's start.
fn started(stat: &str) -> Option<u64> {
    // The name before it is in parentheses and may hold some of its own.
    stat.rsplit_once(") ")?.1.split(' ').nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_process_is_seen_as_it_is() {
        let uid = rustix::process::geteuid().as_raw();
        let own = Process::read(std::process::id(), uid).unwrap();
        let mut groups: Vec<u32> = rustix::process::getgroups()
            .unwrap()
            .iter()
            .map(|gid| gid.as_raw())
            .collect();
        groups.push(rustix::process::getegid().as_raw());
        groups.sort_unstable();
        groups.dedup();
        assert_eq!(own.groups, groups);
        let program = std::env::current_exe().unwrap();
        assert_eq!(own.program.as_deref(), program.to_str());
        assert_eq!(Process::read(std::process::id(), uid + 1), None);
    }

    #[test]
    fn an_ended_process_tells_nothing() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = child.id();
        child.wait().unwrap();
        assert_eq!(Process::read(pid, rustix::process::geteuid().as_raw()), None);
    }

    #[test]
    fn a_process_is_read_from_its_files() {
        let root = std::env::temp_dir().join(format!("stepfn-process-{}", std::process::id()));
        let directory = root.join("5");
        std::fs::create_dir_all(&directory).unwrap();
        let ticks = "S 1 5 5 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 4711 10 11";
        for (name, text) in [
            ("stat", format!("5 (a) b) {ticks}")),
            (
                "status",
                "Name:\ta\nUid:\t0\t0\t0\t0\nGid:\t7\t8\t9\t9\nGroups:\t10 8 \n".to_owned(),
            ),
            ("loginuid", "1000".to_owned()),
            ("comm", "a) b\n".to_owned()),
        ] {
            std::fs::write(directory.join(name), text).unwrap();
        }
        let found = Process::read_below(&root, 5, 0).unwrap();
        assert_eq!(
            found,
            Process {
                groups: vec![8, 10],
                login: Some(1000),
                program: Some("a) b".into())
            }
        );
        assert_eq!(Process::read_below(&root, 5, 1), None);
        std::fs::write(directory.join("loginuid"), "4294967295").unwrap();
        assert_eq!(Process::read_below(&root, 5, 0).unwrap().login, None);
        assert_eq!(started(&format!("5 (a) b) {ticks}")), Some(4711));
        assert_eq!(started("5 (a"), None);
        std::fs::remove_dir_all(&root).unwrap();
    }
}
