//! The door of a `spawnd` that is a service of its own: root starts it for each connection, and here it looks who has
//! come.
//!
//! The kernel says who the engine is; what the engine says about itself counts for nothing. It says which rung it
//! would like and hands over its lock; which table holds, as whom tasks run and what belongs to whom is decided here.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::io::IoSliceMut;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use rustix::net::RecvAncillaryBuffer;
use rustix::net::RecvAncillaryMessage;
use rustix::net::RecvFlags;
use rustix::net::sockopt::Timeout;
use serde::Deserialize;
use serde::Serialize;

use crate::worker::spawn::identity::Account;
use crate::worker::spawn::kin;
use crate::worker::spawn::rung::Isolation;
use crate::worker::spawn::server::Settings;
use crate::worker::spawn::wire;

/// Where the door is when nobody says otherwise.
pub const SOCKET: &str = "/run/stepfn/spawnd.sock";
/// How long an engine may take to say what it wants.
const HELLO_TIME_MAX: Duration = Duration::from_secs(10);
/// Longest first message.
const HELLO_BYTES_MAX: usize = 4096;

/// The first message of an engine that comes through the door; its lock travels with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hello {
    /// Which rung it would like.
    pub isolation: Isolation,
    /// Tells its nurseries apart.
    pub nursery: u64,
    /// Whether earlier tasks of the same engine are to be ended.
    pub clean: bool,
}

/// An engine that may have its tasks started.
#[derive(Debug)]
pub struct Visit {
    /// As whom its tasks run when no table says otherwise.
    pub engine: Account,
    /// Locked as long as its tasks may be left.
    pub lock: Option<File>,
}

/// Looks who has come and hears what it wants; completes the settings by it. `engines` are the names of the users
/// whose engines are served; root's always are, since root needs nobody to become somebody else.
///
/// # Errors
/// The engine is not served: a sentence for it.
pub fn open(socket: &OwnedFd, engines: &[String], settings: &mut Settings) -> Result<Visit, String> {
    let failed =
        |error: &dyn std::fmt::Display| format!("The process that starts tasks cannot see who calls: {error}.");
    let peer = rustix::net::sockopt::socket_peercred(socket).map_err(|error| failed(&error))?;
    let engine = account(peer.uid.as_raw()).map_err(|error| failed(&error))?;
    if engine.uid != 0 && !engines.contains(&engine.name) {
        return Err(format!(
            "The process that starts tasks does not start any for `{}`: its `--engine` does not name this user.",
            engine.name
        ));
    }
    let (hello, lock) = hear(socket).map_err(|error| format!("An engine does not say what it wants: {error}."))?;
    settings.isolation = match (settings.isolation, hello.isolation) {
        (own, Isolation::Auto) => own,
        (Isolation::Auto, wanted) => wanted,
        (own, wanted) if own == wanted => own,
        (own, wanted) => {
            return Err(format!(
                "The isolation `{}` cannot be had: the process that starts tasks is told to take `{}`.",
                wanted.as_str(),
                own.as_str()
            ));
        }
    };
    // By what the kernel says, so that no user's engine can have another's tasks ended.
    settings.site = match &lock {
        Some(file) => {
            let metadata = file.metadata().map_err(|error| failed(&error))?;
            format!("u{}-{:x}-{:x}", engine.uid, metadata.dev(), metadata.ino())
        }
        None => {
            let pid = peer.pid.as_raw_nonzero().get();
            let start = kin::process(pid).map_or(0, |process| process.start);
            format!("u{}-{pid}-{start}-{}", engine.uid, hello.nursery)
        }
    };
    settings.clean = hello.clean;
    Ok(Visit { engine, lock })
}

/// Finds the account of a user.
fn account(uid: u32) -> Result<Account, String> {
    let user = nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(uid)).map_err(|error| error.to_string())?;
    let user = user.ok_or_else(|| format!("there is no user with the id {uid}"))?;
    let name = CString::new(user.name.as_str()).map_err(|error| error.to_string())?;
    let groups = nix::unistd::getgrouplist(&name, user.gid).map_err(|error| error.to_string())?;
    Ok(Account {
        uid,
        gid: user.gid.as_raw(),
        groups: groups.into_iter().map(nix::unistd::Gid::as_raw).collect(),
        home: user.dir,
        name: user.name,
    })
}

/// Reads the first message and nothing of the next one.
fn hear(socket: &OwnedFd) -> io::Result<(Hello, Option<File>)> {
    rustix::net::sockopt::set_socket_timeout(socket, Timeout::Recv, Some(HELLO_TIME_MAX))?;
    let mut frame = vec![0; 4];
    let mut lock = None;
    fill(socket, &mut frame, &mut lock)?;
    let length = frame.first_chunk().map_or(0, |prefix| u32::from_le_bytes(*prefix));
    let length = usize::try_from(length).ok().filter(|length| *length <= HELLO_BYTES_MAX);
    let length = length.ok_or_else(|| io::Error::other("its first message is too long"))?;
    frame.resize(4 + length, 0);
    fill(socket, &mut frame[4..], &mut lock)?;
    rustix::net::sockopt::set_socket_timeout(socket, Timeout::Recv, None)?;
    let hello = wire::decode(&mut frame).map_err(io::Error::other)?;
    Ok((hello.ok_or(io::ErrorKind::UnexpectedEof)?, lock.map(File::from)))
}

fn fill(socket: &OwnedFd, mut buffer: &mut [u8], lock: &mut Option<OwnedFd>) -> io::Result<()> {
    while !buffer.is_empty() {
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut slices = [IoSliceMut::new(buffer)];
        let received = rustix::net::recvmsg(socket, &mut slices, &mut ancillary, RecvFlags::CMSG_CLOEXEC);
        let length = match received {
            Ok(received) => received.bytes,
            Err(rustix::io::Errno::INTR) => continue,
            Err(rustix::io::Errno::AGAIN) => return Err(io::ErrorKind::TimedOut.into()),
            Err(error) => return Err(error.into()),
        };
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(mut list) = message {
                *lock = list.next().or(lock.take());
            }
        }
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        buffer = buffer.split_at_mut(length).1;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    use super::*;

    fn pair() -> (UnixStream, OwnedFd) {
        let (engine, door) = UnixStream::pair().unwrap();
        (engine, door.into())
    }

    fn hello(isolation: Isolation) -> Vec<u8> {
        let hello = Hello {
            isolation,
            nursery: 3,
            clean: true,
        };
        wire::encode(&hello).unwrap()
    }

    fn own_name() -> String {
        account(rustix::process::geteuid().as_raw()).unwrap().name
    }

    #[test]
    fn what_an_engine_wants_counts_where_nothing_else_is_said() {
        use Isolation::Auto;
        use Isolation::Cgroup;
        use Isolation::Sweep;
        for (own, wanted, expected) in [
            (Auto, Auto, Ok(Auto)),
            (Auto, Sweep, Ok(Sweep)),
            (Cgroup, Auto, Ok(Cgroup)),
            (Cgroup, Cgroup, Ok(Cgroup)),
            (
                Cgroup,
                Sweep,
                Err("The isolation `sweep` cannot be had: the process that starts tasks is told to take `cgroup`."),
            ),
        ] {
            let (mut engine, door) = pair();
            engine.write_all(&hello(wanted)).unwrap();
            let mut settings = Settings {
                isolation: own,
                ..Settings::default()
            };
            let found = open(&door, &[own_name()], &mut settings).map(|_| settings.isolation);
            assert_eq!(found, expected.map_err(str::to_owned), "{own:?} {wanted:?}");
        }
    }

    #[test]
    fn a_site_is_named_by_what_the_kernel_says() {
        let (mut engine, door) = pair();
        engine.write_all(&hello(Isolation::Auto)).unwrap();
        // What comes after the first message is left for the server.
        engine.write_all(b"rest").unwrap();
        let mut settings = Settings::default();
        let visit = open(&door, &[own_name()], &mut settings).unwrap();
        let own = format!("u{}-{}-", visit.engine.uid, std::process::id());
        assert!(
            settings.site.starts_with(&own) && settings.site.ends_with("-3"),
            "{}",
            settings.site
        );
        assert!(settings.clean && visit.lock.is_none());
        let mut rest = [0; 8];
        assert_eq!(rustix::io::read(&door, &mut rest), Ok(4));
    }

    #[test]
    fn what_is_no_hello_is_refused() {
        for (bytes, expected) in [
            (b"".as_slice(), "unexpected end of file"),
            (b"\xff\xff\xff\xff", "its first message is too long"),
            (b"\x02\0\0\0{}", "what came over the socket is not a message"),
            (b"\x10\0\0\0{", "unexpected end of file"),
        ] {
            let (mut engine, door) = pair();
            engine.write_all(bytes).unwrap();
            drop(engine);
            let error = open(&door, &[own_name()], &mut Settings::default()).unwrap_err();
            assert!(error.contains(expected), "{bytes:?}: {error}");
        }
    }

    #[test]
    fn only_the_users_that_are_named_are_served() {
        let (mut engine, door) = pair();
        engine.write_all(&hello(Isolation::Auto)).unwrap();
        let opened = open(&door, &["no-such-user".to_owned()], &mut Settings::default());
        match rustix::process::geteuid().is_root() {
            true => assert_eq!(opened.unwrap().engine.uid, 0),
            false => assert!(opened.unwrap_err().contains("does not start any for")),
        }
    }
}
