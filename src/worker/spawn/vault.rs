//! Where a task's credentials are while it runs: what the engine hands over in memory becomes files here.
//!
//! Where this process may mount, they are in a tmpfs that is mounted in a mount namespace of the task alone: no path of
//! anything else leads there, and the kernel throws it away with the task's last process, whoever dies first. Elsewhere
//! they are in a directory of their own, on a tmpfs where there is one, which all processes of the same account can
//! read; it is wiped and removed when the task is over, or by the next `spawnd`.

use std::ffi::CString;
use std::fs;
use std::io;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;

use nix::mount::MsFlags;
use rustix::fs::AtFlags;
use rustix::fs::Gid;
use rustix::fs::MemfdFlags;
use rustix::fs::Mode;
use rustix::fs::OFlags;
use rustix::fs::SealFlags;
use rustix::fs::Uid;
use secrecy::ExposeSecret;
use secrecy::SecretSlice;
use zeroize::Zeroizing;

use crate::worker::credential;
use crate::worker::credential::Credential;
use crate::worker::spawn::fork;
use crate::worker::spawn::fork::Forked;
use crate::worker::spawn::fork::Fresh;
use crate::worker::spawn::kin;
use crate::worker::spawn::rung::Holder;

/// The variable that names the directory, as systemd has it.
pub const VARIABLE: &str = "CREDENTIALS_DIRECTORY";
/// Most bytes of one task's credentials, with their names.
pub const BYTES_MAX: usize = 1 << 20;
/// Most credentials of one task.
pub const CREDENTIALS_MAX: usize = 64;
/// How the directories of tasks begin; what else lies beside them is not ours.
const PREFIX: &str = "task-";
/// File systems that are in memory alone.
const TMPFS: u64 = 0x0102_1994;
const RAMFS: u64 = 0x8584_58f6;

/// The credentials of all tasks of one `spawnd`.
#[derive(Debug)]
pub struct Vault {
    /// Each task can have mounts of its own.
    is_private: bool,
    /// It must be asked for; otherwise the rung makes it for each task anyway.
    needs_mounts: bool,
    /// Where directories are.
    base: Result<Base, String>,
    next: u64,
}

/// A directory for the directories of tasks.
#[derive(Debug)]
struct Base {
    path: PathBuf,
    is_in_memory: bool,
}

/// What one task gets.
#[derive(Debug)]
pub struct Given {
    /// Where its files are for the task.
    pub path: PathBuf,
    credentials: Vec<Credential>,
    owner: Option<(u32, u32)>,
    /// It mounts them for itself. Otherwise they are there already.
    pub is_private: bool,
    /// What keeps them.
    pub kept: Option<Kept>,
}

/// A directory of credentials. When it is dropped it is wiped and removed.
#[derive(Debug)]
pub struct Kept(PathBuf);

/// Puts credentials into memory that has no name and that nobody can change any more.
///
/// # Errors
/// They are too many or too long, a name is none or is there twice, or the system's.
pub fn pack(credentials: &[Credential]) -> io::Result<OwnedFd> {
    let invalid = |what: &str| io::Error::new(io::ErrorKind::InvalidInput, what.to_owned());
    if credentials.len() > CREDENTIALS_MAX {
        return Err(invalid("it has more credentials than can be passed to one process"));
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(BYTES_MAX));
    for (index, credential) in credentials.iter().enumerate() {
        let (name, value) = (credential.name.as_bytes(), credential.value.expose_secret());
        if !credential::is_name(&credential.name) {
            return Err(invalid(&format!("{:?} cannot name a credential", credential.name)));
        }
        if credentials[..index].iter().any(|other| other.name == credential.name) {
            return Err(invalid(&format!("it has two credentials named `{}`", credential.name)));
        }
        let length = bytes.len() + 8 + name.len() + value.len();
        let lengths = u32::try_from(name.len()).ok().zip(u32::try_from(value.len()).ok());
        // It never grows: that would leave a copy behind.
        let (Some((n_name, n_value)), true) = (lengths, length <= BYTES_MAX) else {
            return Err(invalid("its credentials are longer than can be passed to one process"));
        };
        bytes.extend_from_slice(&n_name.to_le_bytes());
        bytes.extend_from_slice(&n_value.to_le_bytes());
        bytes.extend_from_slice(name);
        bytes.extend_from_slice(value);
    }
    let memory = rustix::fs::memfd_create("credentials", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    let mut file = fs::File::from(memory);
    file.write_all(&bytes)?;
    rustix::fs::fcntl_add_seals(&file, seals())?;
    Ok(file.into())
}

fn seals() -> SealFlags {
    SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE
}

/// Takes credentials out again; `None` if that is not what is in it.
fn unpack(memory: &OwnedFd) -> io::Result<Option<Vec<Credential>>> {
    // Only memory has seals: reading anything else could take forever.
    if !rustix::fs::fcntl_get_seals(memory)?.contains(seals()) {
        return Ok(None);
    }
    let length = usize::try_from(rustix::fs::fstat(memory)?.st_size).unwrap_or(usize::MAX);
    if length > BYTES_MAX {
        return Ok(None);
    }
    let mut bytes = Zeroizing::new(vec![0; length]);
    let mut so_far = 0;
    while so_far < length {
        match rustix::io::pread(memory, &mut bytes[so_far..], u64::try_from(so_far).unwrap_or(u64::MAX))? {
            0 => return Ok(None),
            n_read => so_far += n_read,
        }
    }
    Ok(read_all(&bytes))
}

fn read_all(mut bytes: &[u8]) -> Option<Vec<Credential>> {
    let mut found: Vec<Credential> = Vec::new();
    while !bytes.is_empty() {
        let (n_name, rest) = bytes.split_first_chunk::<4>()?;
        let (n_value, rest) = rest.split_first_chunk::<4>()?;
        let (name, rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*n_name)).ok()?)?;
        let (value, rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*n_value)).ok()?)?;
        let name = std::str::from_utf8(name)
            .ok()
            .filter(|name| credential::is_name(name))?;
        if found.len() == CREDENTIALS_MAX || found.iter().any(|other| other.name == name) {
            return None;
        }
        found.push(Credential {
            name: name.to_owned(),
            value: SecretSlice::from(value.to_vec()),
        });
        bytes = rest;
    }
    Some(found)
}

impl Vault {
    /// Looks what the machine offers, and removes what dead ones left; tells how many directories that were.
    pub fn find(holder: &Holder, is_root: bool) -> (Self, usize) {
        let (needs_mounts, is_private) = match holder {
            // Mounts belong to it.
            Holder::Namespaces(_) => (false, true),
            Holder::Groups(_) | Holder::Sweep | Holder::Units(_) => (true, is_root && probe()),
        };
        let n_leftovers = candidates(is_root).iter().map(|path| remove_leftovers(path)).sum();
        let vault = Self {
            is_private,
            needs_mounts,
            base: find_base(is_root, is_private),
            next: 0,
        };
        (vault, n_leftovers)
    }

    /// Says how credentials are kept: a sentence.
    pub fn describe(&self) -> String {
        match (self.is_private, &self.base) {
            (_, Err(error)) => format!("Tasks cannot get credentials: {error}."),
            (true, Ok(_)) => "Credentials of a task are in a tmpfs that is mounted for this task alone.".to_owned(),
            (false, Ok(base)) if base.is_in_memory => format!(
                "Credentials of a task are in a directory in `{}`, in memory; every process of the task's account can \
                 read them.",
                base.path.display()
            ),
            (false, Ok(base)) => format!(
                "Credentials of a task are in a directory in `{}`, which is on a disk, as there is no tmpfs; every \
                 process of the task's account can read them.",
                base.path.display()
            ),
        }
    }

    /// Returns what a process that gets credentials needs new beside its memory.
    pub fn fresh(&self, given: Option<&Given>) -> Fresh {
        Fresh {
            mounts: self.needs_mounts && given.is_some_and(|given| given.is_private),
            ..Fresh::default()
        }
    }

    /// Takes what the engine handed over, for a task of this account: its user and group, when they are not ours.
    ///
    /// # Errors
    /// It cannot be given: a fragment of a sentence.
    pub fn take(&mut self, memory: &OwnedFd, owner: Option<(u32, u32)>) -> Result<Given, String> {
        let failed = |error: &dyn std::fmt::Display| format!("its credentials cannot be given to it: {error}");
        let credentials = unpack(memory).map_err(|error| failed(&error))?;
        let credentials = credentials.ok_or_else(|| failed(&"they are no credentials"))?;
        let base = self.base.as_ref().map_err(|error| failed(error))?;
        if self.is_private {
            return Ok(Given {
                path: base.path.clone(),
                credentials,
                owner,
                is_private: true,
                kept: None,
            });
        }
        self.next += 1;
        let own = rustix::process::getpid().as_raw_nonzero().get();
        let start = kin::process(own).map_or(0, |process| process.start);
        let path = base.path.join(format!("{PREFIX}{own}-{start}-{}", self.next));
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(|error| failed(&error))?;
        let kept = Kept(path.clone());
        fill(&path, &credentials, owner).map_err(|error| failed(&error))?;
        Ok(Given {
            path,
            credentials: Vec::new(),
            owner,
            is_private: false,
            kept: Some(kept),
        })
    }
}

impl Given {
    /// Puts the files into place, in the process that has mounts of its own.
    ///
    /// # Errors
    /// The system's.
    pub fn install(&self) -> io::Result<()> {
        if !self.is_private {
            return Ok(());
        }
        let n_bytes: usize = self
            .credentials
            .iter()
            .map(|credential| credential.value.expose_secret().len())
            .sum();
        mount(&self.path, n_bytes)?;
        fill(&self.path, &self.credentials, self.owner)?;
        let nothing = None::<&str>;
        nix::mount::mount(
            nothing,
            &self.path,
            nothing,
            flags() | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY,
            nothing,
        )?;
        Ok(())
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        remove(&self.0);
    }
}

fn flags() -> MsFlags {
    MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC
}

/// Mounts a tmpfs that nobody else sees.
fn mount(path: &Path, n_bytes: usize) -> io::Result<()> {
    let nothing = None::<&str>;
    nix::mount::mount(nothing, "/", nothing, MsFlags::MS_REC | MsFlags::MS_SLAVE, nothing)?;
    // A file takes whole pages, and there are pages of 64 KiB.
    let size = n_bytes + (CREDENTIALS_MAX + 1) * 64 * 1024;
    let options = format!("size={size},nr_inodes={},mode=0700", CREDENTIALS_MAX + 2);
    let kept_in_memory = format!("{options},noswap");
    let mount = |options: &str| nix::mount::mount(Some("tmpfs"), path, Some("tmpfs"), flags(), Some(options));
    // Older kernels do not know it, and others allow it to the machine's root alone.
    mount(&kept_in_memory).or_else(|_| mount(&options))?;
    Ok(())
}

/// Writes the files, and gives them and their directory to the task.
fn fill(path: &Path, credentials: &[Credential], owner: Option<(u32, u32)>) -> io::Result<()> {
    let directory = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = rustix::fs::open(path, directory, Mode::empty())?;
    let (uid, gid) = match owner {
        Some((uid, gid)) => (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid))),
        None => (None, None),
    };
    for credential in credentials {
        let new = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&directory, &credential.name, new, Mode::from_raw_mode(0o400))?;
        rustix::fs::fchmod(&file, Mode::from_raw_mode(0o400))?;
        rustix::fs::fchown(&file, uid, gid)?;
        fs::File::from(file).write_all(credential.value.expose_secret())?;
    }
    rustix::fs::fchown(&directory, uid, gid)?;
    rustix::fs::fchmod(&directory, Mode::from_raw_mode(0o500))?;
    Ok(())
}

/// Tries whether a process can have mounts of its own: not every root can.
fn probe() -> bool {
    let fresh = Fresh {
        mounts: true,
        ..Fresh::default()
    };
    let pid = match fork::fork(None, fresh) {
        Ok(Forked::Child(_)) => fork::exit(i32::from(mount(Path::new("/"), 0).is_err())),
        Ok(Forked::Parent(pid)) => pid,
        Err(_) => return false,
    };
    let ended = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty());
    matches!(ended, Ok(Some((_, status))) if status.exit_status() == Some(0))
}

/// Where directories of credentials may be, the best first.
fn candidates(is_root: bool) -> Vec<PathBuf> {
    if is_root {
        return [
            "/run/stepfn/credentials",
            "/dev/shm/stepfn-credentials",
            "/var/lib/stepfn/credentials",
        ]
        .map(PathBuf::from)
        .to_vec();
    }
    let uid = rustix::process::geteuid().as_raw();
    vec![
        PathBuf::from(format!("/run/user/{uid}/stepfn-credentials")),
        PathBuf::from(format!("/dev/shm/stepfn-credentials-{uid}")),
        PathBuf::from(format!("/tmp/stepfn-credentials-{uid}")),
    ]
}

/// Takes the first place in memory, or else the first one; `any` will do when memory is mounted there.
fn find_base(is_root: bool, any: bool) -> Result<Base, String> {
    let mut on_disk = None;
    let mut lacks = Vec::new();
    for path in candidates(is_root) {
        match make_base(&path, is_root) {
            Ok(is_in_memory) => {
                let base = Base { path, is_in_memory };
                if is_in_memory || any {
                    return Ok(base);
                }
                on_disk = on_disk.or(Some(base));
            }
            Err(error) => lacks.push(format!("`{}`: {error}", path.display())),
        }
    }
    on_disk.ok_or_else(|| format!("there is no place for them ({})", lacks.join("; ")))
}

/// Makes a place for directories, or looks whether it is safe; tells whether it is in memory.
fn make_base(path: &Path, is_root: bool) -> io::Result<bool> {
    let unsafe_ = |what: &str| io::Error::other(what.to_owned());
    // Other accounts must get through to their own, and see no other.
    let mode = if is_root { 0o711 } else { 0o700 };
    if is_root && let Some(parent) = path.parent() {
        match fs::DirBuilder::new().mode(0o755).create(parent) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let metadata = fs::symlink_metadata(parent)?;
        let is_sticky = metadata.mode() & 0o1000 != 0;
        if metadata.mode() & 0o001 == 0 {
            return Err(unsafe_("not every account gets there"));
        }
        if metadata.uid() != 0 || (metadata.mode() & 0o022 != 0 && !is_sticky) {
            return Err(unsafe_("others than root can write there"));
        }
    }
    match fs::DirBuilder::new().mode(mode).create(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let handle = rustix::fs::open(path, flags, Mode::empty())?;
    let stat = rustix::fs::fstat(&handle)?;
    if stat.st_uid != rustix::process::geteuid().as_raw() {
        return Err(unsafe_("somebody else owns it"));
    }
    rustix::fs::fchmod(&handle, Mode::from_raw_mode(mode))?;
    let kind = u64::try_from(rustix::fs::fstatfs(handle.as_fd())?.f_type).unwrap_or(0);
    Ok(matches!(kind, TMPFS | RAMFS))
}

/// Removes the directories of tasks whose `spawnd` has died; tells how many.
fn remove_leftovers(base: &Path) -> usize {
    // Somebody else's names say nothing.
    let own = rustix::process::geteuid().as_raw();
    if !fs::symlink_metadata(base).is_ok_and(|metadata| metadata.is_dir() && metadata.uid() == own) {
        return 0;
    }
    let mut n_removed = 0;
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner = name
            .to_str()
            .and_then(|name| name.strip_prefix(PREFIX))
            .and_then(|name| {
                let mut parts = name.split('-');
                Some((parts.next()?.parse::<i32>().ok()?, parts.next()?.parse::<u64>().ok()?))
            });
        let Some((pid, start)) = owner else { continue };
        if kin::process(pid).is_some_and(|process| process.start == start && !process.is_zombie) {
            continue;
        }
        remove(&entry.path());
        n_removed += 1;
    }
    n_removed
}

/// Overwrites and removes a directory of credentials. The task owned it and may have put anything there.
fn remove(path: &Path) {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let Ok(directory) = rustix::fs::open(path, flags, Mode::empty()) else {
        return;
    };
    let _ = rustix::fs::fchmod(&directory, Mode::from_raw_mode(0o700));
    let Ok(entries) = rustix::fs::Dir::read_from(&directory) else {
        return;
    };
    let names: Vec<CString> = entries.flatten().map(|entry| entry.file_name().to_owned()).collect();
    for name in names.iter().filter(|name| !matches!(name.to_bytes(), b"." | b"..")) {
        wipe(&directory, name);
        let _ = rustix::fs::unlinkat(&directory, name, AtFlags::empty());
    }
    // What the task has put there beside them goes, too, and no link is followed.
    let _ = fs::remove_dir_all(path);
}

fn wipe(directory: &OwnedFd, name: &CString) {
    let _ = rustix::fs::chmodat(directory, name, Mode::from_raw_mode(0o600), AtFlags::SYMLINK_NOFOLLOW);
    let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let Ok(file) = rustix::fs::openat(directory, name, flags, Mode::empty()) else {
        return;
    };
    let Ok(stat) = rustix::fs::fstat(&file) else { return };
    // Another name of the same file could be anybody's.
    if rustix::fs::FileType::from_raw_mode(stat.st_mode) != rustix::fs::FileType::RegularFile || stat.st_nlink != 1 {
        return;
    }
    let length = usize::try_from(stat.st_size).unwrap_or(0).min(BYTES_MAX);
    let mut file = fs::File::from(file);
    let _ = file.write_all(&vec![0; length]);
    let _ = file.sync_data();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials(list: &[(&str, &[u8])]) -> Vec<Credential> {
        let one = |(name, value): &(&str, &[u8])| Credential {
            name: (*name).to_owned(),
            value: value.to_vec().into(),
        };
        list.iter().map(one).collect()
    }

    #[test]
    fn what_is_handed_over_comes_out_as_it_went_in() {
        let given = credentials(&[("token", b"canary"), ("empty", b""), ("binary", b"\0\xff")]);
        let found = unpack(&pack(&given).unwrap()).unwrap().unwrap();
        let plain = |list: &[Credential]| -> Vec<(String, Vec<u8>)> {
            let pair = |it: &Credential| (it.name.clone(), it.value.expose_secret().to_vec());
            list.iter().map(pair).collect()
        };
        assert_eq!(plain(&found), plain(&given));
    }

    #[test]
    fn what_cannot_be_handed_over_is_refused_without_its_value() {
        let long = vec![b'x'; BYTES_MAX];
        for (given, expected) in [
            (credentials(&[("a/b", b"canary")]), "\"a/b\" cannot name a credential"),
            (
                credentials(&[("a", b"canary"), ("a", b"")]),
                "two credentials named `a`",
            ),
            (credentials(&[("a", &long)]), "longer than can be passed"),
            (
                credentials(&[("a", b"".as_slice()); CREDENTIALS_MAX + 1]),
                "more credentials than",
            ),
            (
                credentials(&[("a", b"".as_slice()); CREDENTIALS_MAX + 1]),
                "more credentials than",
            ),
        ] {
            let error = pack(&given).unwrap_err().to_string();
            assert!(error.contains(expected) && !error.contains("canary"), "{error}");
        }
    }

    #[test]
    fn what_is_no_credential_is_not_taken() {
        for bytes in [
            b"\x01\0\0\0".as_slice(),
            b"\x01\0\0\0\x01\0\0\0a",
            b"\x01\0\0\0\x01\0\0\0/b",
            b"\xff\xff\xff\xff\xff\xff\xff\xffab",
            b"\x01\0\0\0\0\0\0\0a\x01\0\0\0\0\0\0\0a",
        ] {
            assert!(read_all(bytes).is_none(), "{bytes:?}");
        }
        let (reader, _writer) = rustix::pipe::pipe().unwrap();
        assert!(unpack(&reader).is_err());
        let unsealed = rustix::fs::memfd_create("x", MemfdFlags::ALLOW_SEALING).unwrap();
        assert!(unpack(&unsealed).unwrap().is_none());
    }

    #[test]
    fn what_is_removed_takes_nothing_else_with_it() {
        let place = std::env::temp_dir().join(format!("stepfn-vault-{}", std::process::id()));
        let (inside, outside) = (place.join("task-0-0-1"), place.join("outside"));
        fs::create_dir_all(&inside).unwrap();
        fs::write(&outside, "kept").unwrap();
        fill(&inside, &credentials(&[("token", b"canary")]), None).unwrap();
        assert_eq!(fs::metadata(&inside).unwrap().mode() & 0o777, 0o500);
        assert_eq!(fs::metadata(inside.join("token")).unwrap().mode() & 0o777, 0o400);
        rustix::fs::chmod(&inside, Mode::from_raw_mode(0o700)).unwrap();
        std::os::unix::fs::symlink(&outside, inside.join("link")).unwrap();
        fs::hard_link(&outside, inside.join("name")).unwrap();
        // Process 0 is nobody's.
        assert_eq!(remove_leftovers(&place), 1);
        assert!(!inside.exists());
        assert_eq!(fs::read_to_string(&outside).unwrap(), "kept");
        assert_eq!(remove_leftovers(&place), 0);
        fs::remove_dir_all(&place).unwrap();
    }
}
