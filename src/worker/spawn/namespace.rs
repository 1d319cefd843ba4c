//! Rung 3: a PID namespace for each task. Its first process, `init`, does nothing but wait: when it ends, the kernel
//! kills all that is left in the namespace.

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::fd::OwnedFd;
use std::time::Duration;
use std::time::Instant;

use nix::mount::MsFlags;
use rustix::process::Pid;
use rustix::process::Signal;
use rustix::process::WaitOptions;

use crate::worker::spawn::fork;
use crate::worker::spawn::fork::Forked;
use crate::worker::spawn::fork::Fresh;

/// How long survivors may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(1);

/// Tries a namespace.
///
/// # Errors
/// What is missing: a fragment of a sentence.
pub(super) fn probe(fresh: Fresh) -> Result<(), String> {
    let ids = ids();
    let pid = match fork::fork(None, fresh) {
        Ok(Forked::Child(_)) => {
            let is_ready = enter(fresh, ids).is_ok() && fork::fork(None, Fresh::default()).is_ok();
            // The grandchild ends here, too.
            fork::exit(i32::from(!is_ready))
        }
        Ok(Forked::Parent(pid)) => pid,
        Err(error) => return Err(format!("a namespace cannot be made: {error}")),
    };
    match rustix::process::waitpid(Some(pid), WaitOptions::empty()) {
        Ok(Some((_, status))) if status.exit_status() == Some(0) => Ok(()),
        _ => Err("a namespace can be made, but not be entered".to_owned()),
    }
}

/// The user and group outside, which stay the same inside.
pub(super) fn ids() -> (u32, u32) {
    (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw())
}

/// Makes the namespace usable, from inside: the ids of the own user, and a view of its own processes.
fn enter(fresh: Fresh, (uid, gid): (u32, u32)) -> io::Result<()> {
    if fresh.users {
        fs::write("/proc/self/setgroups", "deny")?;
        fs::write("/proc/self/uid_map", format!("{uid} {uid} 1"))?;
        fs::write("/proc/self/gid_map", format!("{gid} {gid} 1"))?;
    }
    let nothing = None::<&str>;
    // Without it the new /proc would be everybody's.
    nix::mount::mount(nothing, "/", nothing, MsFlags::MS_REC | MsFlags::MS_SLAVE, nothing)?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    // Where a container hides parts of /proc this is refused. The task then sees the processes outside, too.
    let _ = nix::mount::mount(Some("proc"), "/proc", Some("proc"), flags, nothing);
    Ok(())
}

/// Is the first process of a namespace: starts the task, and ends with the last process of it.
///
/// `status` takes the task's status, four bytes. `task` never returns.
pub(super) fn init(fresh: Fresh, ids: (u32, u32), status: &OwnedFd, task: impl FnOnce(io::Result<()>)) -> ! {
    // The one who made it may die at any moment.
    let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
    let entered = enter(fresh, ids);
    if entered.is_err() {
        task(entered);
        fork::exit(127);
    }
    let first = match fork::fork(None, Fresh::default()) {
        Ok(Forked::Child(_)) => {
            task(Ok(()));
            fork::exit(127)
        }
        Ok(Forked::Parent(pid)) => pid,
        Err(error) => {
            task(Err(error));
            fork::exit(127)
        }
    };
    // What the task's processes hold must be closed when they are gone: nothing else stays open here.
    let kept = rustix::stdio::dup2_stdin(status.as_fd());
    if kept.is_err() || fork::close_from(3).is_err() {
        fork::exit(127);
    }
    let _ = rustix::process::chdir("/");
    let raw = wait_for(first);
    let _ = rustix::io::write(rustix::stdio::stdin(), &raw.to_le_bytes());
    end_survivors();
    fork::exit(0)
}

/// Reaps everybody until the task's process has ended; returns its status as the kernel encodes it.
fn wait_for(first: Pid) -> i32 {
    loop {
        match rustix::process::wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid == first => return status.as_raw(),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return Signal::KILL.as_raw(),
        }
    }
}

fn end_survivors() {
    // All of the namespace but this process.
    let everybody = nix::unistd::Pid::from_raw(-1);
    if nix::sys::signal::kill(everybody, nix::sys::signal::SIGTERM).is_err() {
        return;
    }
    let _ = nix::sys::signal::kill(everybody, nix::sys::signal::SIGCONT);
    let begin = Instant::now();
    while begin.elapsed() < GRACE {
        match rustix::process::wait(WaitOptions::NOHANG) {
            Ok(None) => std::thread::sleep(Duration::from_millis(2)),
            Ok(Some(_)) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return,
        }
    }
}
