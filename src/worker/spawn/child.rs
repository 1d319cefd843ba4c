//! What a task's process does between its birth and its program. The order matters, and is that of the list below.

use std::ffi::CString;
use std::io;
use std::os::fd::AsFd;
use std::os::fd::OwnedFd;

use nix::sys::signal::SigSet;
use rustix::process::Resource;
use rustix::process::Rlimit;

use crate::worker::spawn::fork;
use crate::worker::spawn::identity::Account;
use crate::worker::spawn::vault::Given;

/// What a process is to become.
#[derive(Debug)]
pub(super) struct Plan {
    /// Where its program may be; the first that is there counts.
    pub(super) programs: Vec<CString>,
    /// Its arguments, the program's name first.
    pub(super) argv: Vec<CString>,
    /// All its variables.
    pub(super) env: Vec<CString>,
    /// Where it runs.
    pub(super) cwd: Option<CString>,
    /// The account, when it is another one than ours.
    pub(super) account: Option<Account>,
    /// Programs may not give it more rights than it has.
    pub(super) no_new_privs: bool,
    /// What it gets to know.
    pub(super) given: Option<Given>,
}

/// Where it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Setup,
    Identity,
    Directory,
    Program,
    Credentials,
}

impl Stage {
    const ALL: [Self; 5] = [
        Self::Setup,
        Self::Identity,
        Self::Directory,
        Self::Program,
        Self::Credentials,
    ];
}

/// How many bytes a report of a failure has.
const REPORT_BYTES: usize = 5;

/// Becomes the task, or reports why not.
pub(super) fn become_task(plan: &Plan, stdio: &[OwnedFd; 3], report: &OwnedFd) {
    let (stage, error) = match prepare(plan, stdio) {
        Ok(()) => (Stage::Program, exec(plan)),
        Err(failure) => failure,
    };
    tell(report, stage, &error);
}

/// Reports a failure.
pub(super) fn tell(report: &OwnedFd, stage: Stage, error: &io::Error) {
    let mut bytes = [0; REPORT_BYTES];
    bytes[0] = u8::try_from(Stage::ALL.iter().position(|row| *row == stage).unwrap_or(0)).unwrap_or(0);
    bytes[1..].copy_from_slice(&error.raw_os_error().unwrap_or(0).to_le_bytes());
    let _ = rustix::io::write(report, &bytes);
}

/// Reads a report. An empty one means that the program runs.
pub(super) fn read_report(bytes: &[u8]) -> Option<(Stage, io::Error)> {
    let (stage, number) = bytes.first_chunk::<REPORT_BYTES>()?.split_first()?;
    let stage = Stage::ALL.get(usize::from(*stage)).copied().unwrap_or(Stage::Setup);
    let number = i32::from_le_bytes(number.try_into().ok()?);
    Some((stage, io::Error::from_raw_os_error(number)))
}

fn prepare(plan: &Plan, stdio: &[OwnedFd; 3]) -> Result<(), (Stage, io::Error)> {
    let setup = |error: rustix::io::Errno| (Stage::Setup, io::Error::from(error));
    // It joined its control group when it was born.
    rustix::process::setsid().map_err(setup)?;
    fork::restore_signals();
    let unblocked = SigSet::empty().thread_set_mask();
    unblocked.map_err(|error| (Stage::Setup, io::Error::from(error)))?;
    rustix::stdio::dup2_stdin(stdio[0].as_fd()).map_err(setup)?;
    rustix::stdio::dup2_stdout(stdio[1].as_fd()).map_err(setup)?;
    rustix::stdio::dup2_stderr(stdio[2].as_fd()).map_err(setup)?;
    // Where core dumps go to a program the kernel takes 0 for no limit, and 1 for none at all.
    let n_core_bytes = if plan.given.is_some() { 1 } else { 0 };
    // Only few may raise what somebody before has set lower.
    let n_core_bytes = rustix::process::getrlimit(Resource::Core)
        .maximum
        .map_or(n_core_bytes, |maximum| maximum.min(n_core_bytes));
    let none = Rlimit {
        current: Some(n_core_bytes),
        maximum: Some(n_core_bytes),
    };
    rustix::process::setrlimit(Resource::Core, none).map_err(setup)?;
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    if let Some(given) = &plan.given {
        given.install().map_err(|error| (Stage::Credentials, error))?;
    }
    if let Some(account) = &plan.account {
        become_account(account).map_err(|error| (Stage::Identity, error))?;
    }
    // After the change of the user, which clears it. The sweep finds whoever comes after this process.
    let kill = Some(rustix::process::Signal::KILL);
    rustix::process::set_parent_process_death_signal(kill).map_err(setup)?;
    if plan.no_new_privs {
        rustix::thread::set_no_new_privs(true).map_err(setup)?;
    }
    // Every descriptor here is made so already; this holds for what a library may have opened.
    match fork::close_on_exec_from(3) {
        Err(error) if error.raw_os_error() != Some(nix::libc::ENOSYS) => return Err((Stage::Setup, error)),
        _ => {}
    }
    if let Some(cwd) = &plan.cwd {
        rustix::process::chdir(cwd.as_c_str()).map_err(|error| (Stage::Directory, io::Error::from(error)))?;
    }
    Ok(())
}

/// Takes an account, and looks whether it has it.
fn become_account(account: &Account) -> io::Result<()> {
    let (uid, gid) = (
        rustix::process::Uid::from_raw(account.uid),
        rustix::process::Gid::from_raw(account.gid),
    );
    let groups: Vec<_> = account
        .groups
        .iter()
        .copied()
        .map(rustix::process::Gid::from_raw)
        .collect();
    rustix::thread::set_thread_groups(&groups)?;
    rustix::thread::set_thread_res_gid(gid, gid, gid)?;
    rustix::thread::set_thread_res_uid(uid, uid, uid)?;
    let uids = nix::unistd::getresuid()?;
    let gids = nix::unistd::getresgid()?;
    let mut now: Vec<u32> = rustix::process::getgroups()?
        .into_iter()
        .map(|group| group.as_raw())
        .collect();
    let mut wanted = account.groups.clone();
    for list in [&mut now, &mut wanted] {
        list.sort_unstable();
        list.dedup();
    }
    let is_user = [uids.real, uids.effective, uids.saved]
        .iter()
        .all(|found| found.as_raw() == account.uid);
    let is_group = [gids.real, gids.effective, gids.saved]
        .iter()
        .all(|found| found.as_raw() == account.gid);
    if is_user && is_group && now == wanted {
        Ok(())
    } else {
        Err(io::Error::from_raw_os_error(nix::libc::EPERM))
    }
}

/// Tries the program in each place, as `execvp` does; returns why none could be executed.
fn exec(plan: &Plan) -> io::Error {
    use nix::errno::Errno;
    let mut found = Errno::ENOENT;
    for program in &plan.programs {
        let Err(error) = nix::unistd::execve(program, &plan.argv, &plan.env);
        match error {
            Errno::ENOENT | Errno::ENOTDIR => {}
            // Another place may have one that can be executed.
            Errno::EACCES => found = Errno::EACCES,
            error => return error.into(),
        }
    }
    found.into()
}
