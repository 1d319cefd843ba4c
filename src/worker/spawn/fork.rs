//! The system calls that no safe crate offers. Whoever calls them has a single thread, which `fork` checks.
#![expect(
    unsafe_code,
    reason = "fork, dispositions of signals and an exit without destructors need it"
)]

use std::io;
use std::os::fd::AsRawFd;
use std::os::fd::BorrowedFd;

use nix::libc;
use rustix::process::Pid;

/// On which side of the fork we are.
pub(super) enum Forked {
    Parent(Pid),
    /// An error when it could not join its control group.
    Child(io::Result<()>),
}

/// What is new for the child beside its memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fresh {
    /// Process ids and mounts.
    pub processes: bool,
    /// Users: it needs no rights.
    pub users: bool,
    /// Mounts alone.
    pub mounts: bool,
}

/// Of `linux/sched.h`; the constant of the crate overflows.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Forks, the child into a control group from its first moment on. Joining one later takes a lock that makes every
/// fork of the machine wait.
///
/// # Errors
/// The system's. Fresh namespaces are not there where the machine does not know the call, or a container hides it.
pub(super) fn fork(group: Option<BorrowedFd<'_>>, fresh: Fresh) -> io::Result<Forked> {
    if !is_alone() {
        return Err(io::Error::other("a process with several threads must not fork"));
    }
    let mut flags = 0;
    if fresh.processes {
        flags |= libc::CLONE_NEWPID | libc::CLONE_NEWNS;
    }
    if fresh.mounts {
        flags |= libc::CLONE_NEWNS;
    }
    if fresh.users {
        flags |= libc::CLONE_NEWUSER;
    }
    let mut arguments = libc::clone_args {
        flags: flags.cast_unsigned().into(),
        pidfd: 0,
        child_tid: 0,
        parent_tid: 0,
        exit_signal: libc::SIGCHLD.cast_unsigned().into(),
        stack: 0,
        stack_size: 0,
        tls: 0,
        set_tid: 0,
        set_tid_size: 0,
        cgroup: 0,
    };
    if let Some(group) = group {
        arguments.flags |= CLONE_INTO_CGROUP;
        arguments.cgroup = u64::from(group.as_raw_fd().cast_unsigned());
    }
    let size = std::mem::size_of::<libc::clone_args>();
    // SAFETY: the arguments live until the call returns, hold no pointers, and ask for a copy of the memory like
    // `fork`. This process has one thread, so that no lock can be held by a thread that the child lacks.
    let result = unsafe { libc::syscall(libc::SYS_clone3, &raw mut arguments, size) };
    let error = io::Error::last_os_error();
    if result < 0 && error.raw_os_error() == Some(libc::ENOSYS) && fresh == Fresh::default() {
        return plain_fork(group);
    }
    match result {
        0 => Ok(Forked::Child(Ok(()))),
        pid => parent(i32::try_from(pid).unwrap_or(-1)).ok_or(error),
    }
}

fn parent(pid: i32) -> Option<Forked> {
    // The crate takes no negative number.
    let pid = if pid > 0 { Pid::from_raw(pid) } else { None };
    pid.map(Forked::Parent)
}

/// Forks as ever. The child joins the control group itself.
fn plain_fork(group: Option<BorrowedFd<'_>>) -> io::Result<Forked> {
    // SAFETY: the caller has looked that this process has one thread.
    match unsafe { libc::fork() } {
        0 => Ok(Forked::Child(group.map_or(Ok(()), join))),
        pid => parent(pid).ok_or_else(io::Error::last_os_error),
    }
}

fn join(group: BorrowedFd<'_>) -> io::Result<()> {
    let flags = rustix::fs::OFlags::WRONLY | rustix::fs::OFlags::CLOEXEC;
    let list = rustix::fs::openat(group, "cgroup.procs", flags, rustix::fs::Mode::empty())?;
    rustix::io::write(list, b"0")?;
    Ok(())
}

/// Tells whether this process has one thread.
pub(super) fn is_alone() -> bool {
    std::fs::read_dir("/proc/self/task").is_ok_and(|threads| threads.take(2).count() == 1)
}

/// Gives every signal its default action: what a parent ignores, its children would ignore, too.
pub(super) fn restore_signals() {
    // The kernel's `struct sigaction`, with room for every architecture: all zero is the default action.
    let default = [0_u64; 8];
    let mask_bytes = 8;
    for signal in 1..=64 {
        // SAFETY: the structure outlives the call, no handler is installed, and what cannot be set is refused. The C
        // library's own call does not touch the two signals that it keeps for itself, which can be ignored, too.
        unsafe {
            let nothing = std::ptr::null::<libc::c_void>();
            libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), nothing, mask_bytes);
        }
    }
}

/// Marks every descriptor from `first` on, so that exec closes it.
pub(super) fn close_on_exec_from(first: u32) -> io::Result<()> {
    range(first, libc::CLOSE_RANGE_CLOEXEC)
}

/// Closes every descriptor from `first` on, also those that a value owns: only for a child that never drops them.
pub(super) fn close_from(first: u32) -> io::Result<()> {
    range(first, 0)
}

fn range(first: u32, flags: libc::c_uint) -> io::Result<()> {
    // SAFETY: it takes numbers only; the callers own no descriptor that they use afterwards.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, flags) };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Ends a child at once: what its parent has registered for the exit must not run twice.
pub(super) fn exit(code: i32) -> ! {
    // SAFETY: it never returns.
    unsafe { libc::_exit(code) }
}
