//! Whose the other end of a loopback connection is: the kernel's table of sockets says it.

use std::net::IpAddr;
use std::net::SocketAddr;

use rustix::net::AddressFamily;
use rustix::net::RecvFlags;
use rustix::net::SendFlags;
use rustix::net::SocketFlags;
use rustix::net::SocketType;
use rustix::net::netlink;

/// Why the kernel does not name an owner.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unknown {
    /// The client has closed its end, or it is in another network namespace.
    #[error("its end of the connection is closed or belongs to another network namespace")]
    Gone,
    /// The kernel does not let us see its table.
    #[error("the kernel's table of sockets cannot be read: {0}")]
    Unreadable(String),
}

/// Returns the user who owns the client's socket of a connection between two addresses of this machine.
///
/// `remote` is the client's end, `local` is ours. The caller must know that its own end is still connected after this
/// returns: while it is, no other socket has the client's addresses.
///
/// # Errors
/// There is no such socket any more, or the table cannot be read. Nobody may be assumed then.
pub fn owner(remote: SocketAddr, local: SocketAddr) -> Result<u32, Unknown> {
    let (remote, local) = (plain(remote), plain(local));
    match ask(remote, local) {
        Ok(Some(entry)) => return entry.owner().ok_or(Unknown::Gone),
        // Ours must be there: when it is, the answer about the client's was no failure of the question.
        Ok(None) if matches!(ask(local, remote), Ok(Some(_))) => return Err(Unknown::Gone),
        Ok(None) | Err(_) => {}
    }
    let mut is_read = false;
    let mut failure = String::new();
    for path in ["/proc/net/tcp", "/proc/net/tcp6"] {
        match std::fs::read_to_string(path) {
            Ok(table) => {
                is_read = true;
                if let Some(entry) = find(&table, remote, local) {
                    return entry.owner().ok_or(Unknown::Gone);
                }
            }
            Err(error) => failure = error.to_string(),
        }
    }
    Err(if is_read {
        Unknown::Gone
    } else {
        Unknown::Unreadable(failure)
    })
}

/// What the kernel says about one socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    state: u8,
    uid: u32,
    inode: u32,
}

/// `TCP_ESTABLISHED`, `TCP_FIN_WAIT1`, `TCP_FIN_WAIT2`, `TCP_CLOSE_WAIT`.
const CONNECTED: [u8; 4] = [1, 4, 5, 8];

impl Entry {
    /// Says who holds the socket.
    ///
    /// The kernel shows a socket that no process holds any more as root's: only those with an inode have an owner.
    fn owner(self) -> Option<u32> {
        (self.inode != 0 && CONNECTED.contains(&self.state)).then_some(self.uid)
    }
}

/// Writes an IPv4 address that is mapped into IPv6 as what it is.
fn plain(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// `SOCK_DIAG_BY_FAMILY`.
const BY_FAMILY: u16 = 20;
/// `NLMSG_ERROR`.
const ERROR: u16 = 2;
/// `NLM_F_REQUEST`.
const REQUEST: u16 = 1;
/// `IPPROTO_TCP`.
const TCP: u8 = 6;
/// `nlmsghdr`.
const HEADER_BYTES: usize = 16;
/// `nlmsghdr` and `inet_diag_req_v2`.
const QUESTION_BYTES: usize = HEADER_BYTES + 56;
/// `nlmsghdr` and `inet_diag_msg`, without what may follow.
const ANSWER_BYTES: usize = HEADER_BYTES + 72;
/// `ENOENT`, as an answer says it.
const ABSENT: i32 = -2;

/// Asks for the socket whose own end is `own` and whose other end is `other`.
fn ask(own: SocketAddr, other: SocketAddr) -> Result<Option<Entry>, String> {
    let failed = |error: rustix::io::Errno| error.to_string();
    let socket = rustix::net::socket_with(
        AddressFamily::NETLINK,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        Some(netlink::SOCK_DIAG),
    )
    .map_err(failed)?;
    rustix::net::send(&socket, &question(own, other), SendFlags::empty()).map_err(failed)?;
    // The kernel has answered before `send` returns.
    let mut answer = [0; 1024];
    let (_, n_bytes) = rustix::net::recv(&socket, &mut answer[..], RecvFlags::DONTWAIT).map_err(failed)?;
    read(answer.get(..n_bytes).unwrap_or_default(), own, other)
}

/// Source: `linux/netlink.h`, `linux/inet_diag.h` (`inet_diag_req_v2`, `inet_diag_sockid`), `sock_diag(7)`.
fn question(own: SocketAddr, other: SocketAddr) -> [u8; QUESTION_BYTES] {
    let mut bytes = [0; QUESTION_BYTES];
    let mut at = 0;
    let mut put = |part: &[u8]| {
        bytes[at..at + part.len()].copy_from_slice(part);
        at += part.len();
    };
    put(&(QUESTION_BYTES as u32).to_ne_bytes());
    put(&BY_FAMILY.to_ne_bytes());
    put(&REQUEST.to_ne_bytes());
    put(&[0; 8]);
    let family = match own.ip() {
        IpAddr::V4(_) => AddressFamily::INET,
        IpAddr::V6(_) => AddressFamily::INET6,
    };
    put(&[family.as_raw().to_le_bytes()[0], TCP, 0, 0]);
    put(&u32::MAX.to_ne_bytes());
    put(&own.port().to_be_bytes());
    put(&other.port().to_be_bytes());
    for end in [own, other] {
        put(&words(end.ip()));
    }
    // Any interface, any cookie.
    put(&[0; 4]);
    put(&[u8::MAX; 8]);
    bytes
}

/// Returns an address as the kernel keeps it, in sixteen bytes.
fn words(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&address.octets());
            bytes
        }
        IpAddr::V6(address) => address.octets(),
    }
}

/// Reads the answer; `None` when there is no such socket.
fn read(answer: &[u8], own: SocketAddr, other: SocketAddr) -> Result<Option<Entry>, String> {
    let short = || "the kernel's answer is too short".to_owned();
    let half = |at: usize| Some(u16::from_ne_bytes(answer.get(at..at + 2)?.try_into().ok()?));
    let word = |at: usize| Some(u32::from_ne_bytes(answer.get(at..at + 4)?.try_into().ok()?));
    match half(4).ok_or_else(short)? {
        BY_FAMILY if answer.len() >= ANSWER_BYTES => {}
        BY_FAMILY => return Err(short()),
        ERROR => {
            let code = word(HEADER_BYTES).ok_or_else(short)?.cast_signed();
            return match code {
                ABSENT => Ok(None),
                _ => Err(std::io::Error::from_raw_os_error(code.saturating_neg()).to_string()),
            };
        }
        other => return Err(format!("the kernel answers with a message of type {other}")),
    }
    let message = &answer[HEADER_BYTES..];
    let address = |at: usize, port: usize| {
        let ip: [u8; 16] = message[at..at + 16].try_into().expect("sixteen bytes");
        let ip = match u16::from(message[0]) == AddressFamily::INET.as_raw() {
            true => IpAddr::from([ip[0], ip[1], ip[2], ip[3]]),
            false => IpAddr::from(ip),
        };
        plain(SocketAddr::new(
            ip,
            u16::from_be_bytes([message[port], message[port + 1]]),
        ))
    };
    // Without a connection the kernel offers a listener of the same port, which is somebody else's.
    if address(8, 4) != own || address(24, 6) != other {
        return Ok(None);
    }
    Ok(Some(Entry {
        state: message[1],
        uid: word(HEADER_BYTES + 64).ok_or_else(short)?,
        inode: word(HEADER_BYTES + 68).ok_or_else(short)?,
    }))
}

/// Finds a connection in the text of `/proc/net/tcp` or `/proc/net/tcp6`.
fn find(table: &str, own: SocketAddr, other: SocketAddr) -> Option<Entry> {
    table.lines().skip(1).find_map(|line| {
        let mut fields = line.split_ascii_whitespace().skip(1);
        let ends = (written(fields.next()?)?, written(fields.next()?)?);
        if ends != (own, other) {
            return None;
        }
        let state = u8::from_str_radix(fields.next()?, 16).ok()?;
        // Queues, timer and retransmissions are between.
        let uid = fields.nth(3)?.parse().ok()?;
        let inode = fields.nth(1)?.parse().ok()?;
        Some(Entry { state, uid, inode })
    })
}

/// Reads `0100007F:1F93`: words in the machine's order, then the port.
fn written(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let word = |at: usize| Some(u32::from_str_radix(address.get(at..at + 8)?, 16).ok()?.to_ne_bytes());
    let ip = match address.len() {
        8 => IpAddr::from(word(0)?),
        32 => {
            let mut bytes = [0; 16];
            for (n, place) in bytes.chunks_exact_mut(4).enumerate() {
                place.copy_from_slice(&word(8 * n)?);
            }
            IpAddr::from(bytes)
        }
        _ => return None,
    };
    Some(plain(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?)))
}

#[cfg(test)]
mod tests {
    use std::net::Shutdown;
    use std::net::TcpListener;
    use std::net::TcpStream;

    use super::*;

    fn pair(address: &str) -> (TcpStream, TcpStream, SocketAddr, SocketAddr) {
        let listener = TcpListener::bind(address).unwrap();
        let target = SocketAddr::new(
            address.parse::<SocketAddr>().unwrap().ip(),
            listener.local_addr().unwrap().port(),
        );
        let target = match target.ip().is_unspecified() {
            true => SocketAddr::new(IpAddr::from([127, 0, 0, 1]), target.port()),
            false => target,
        };
        let theirs = TcpStream::connect(target).unwrap();
        let (ours, remote) = listener.accept().unwrap();
        let local = ours.local_addr().unwrap();
        (ours, theirs, remote, local)
    }

    #[test]
    fn the_owner_of_the_clients_end_is_found_in_both_tables() {
        let own = rustix::process::geteuid().as_raw();
        // The last one shows an IPv4 client as an address of IPv6.
        for address in ["127.0.0.1:0", "[::1]:0", "[::]:0"] {
            let (_ours, theirs, remote, local) = pair(address);
            assert_eq!(owner(remote, local), Ok(own), "{address}");
            let (remote, local) = (plain(remote), plain(local));
            let entry = ask(remote, local).unwrap().unwrap();
            let tables = ["tcp", "tcp6"].map(|name| std::fs::read_to_string(format!("/proc/net/{name}")).unwrap());
            let found = tables.iter().find_map(|table| find(table, remote, local));
            assert_eq!(found, Some(entry), "{address}");
            // Half closed, it is still theirs.
            theirs.shutdown(Shutdown::Write).unwrap();
            assert_eq!(owner(remote, local), Ok(own), "{address}");
        }
    }

    #[test]
    fn a_closed_end_has_no_owner_though_the_kernel_shows_root() {
        let (ours, theirs, remote, local) = pair("127.0.0.1:0");
        drop(theirs);
        assert_eq!(owner(remote, local), Err(Unknown::Gone));
        drop(ours);
        assert_eq!(owner(remote, local), Err(Unknown::Gone));
        for (state, inode, wanted) in [(1, 7, Some(5)), (1, 0, None), (6, 0, None), (10, 7, None), (2, 7, None)] {
            let entry = Entry { state, uid: 5, inode };
            assert_eq!(entry.owner(), wanted, "{entry:?}");
        }
    }

    #[test]
    fn a_listener_of_the_clients_port_is_not_the_client() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        assert_eq!(ask(address, SocketAddr::from(([127, 0, 0, 1], 9))), Ok(None));
    }

    #[test]
    fn strange_answers_are_refused() {
        let ends = (
            SocketAddr::from(([127, 0, 0, 1], 1)),
            SocketAddr::from(([127, 0, 0, 1], 2)),
        );
        let message = |kind: u16, length: usize| {
            let mut bytes = vec![0; length];
            bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
            bytes
        };
        for (answer, part) in [
            (Vec::new(), "too short"),
            (message(BY_FAMILY, ANSWER_BYTES - 1), "too short"),
            (message(ERROR, HEADER_BYTES), "too short"),
            (message(3, 40), "of type 3"),
        ] {
            let error = read(&answer, ends.0, ends.1).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
        assert_eq!(read(&message(BY_FAMILY, ANSWER_BYTES), ends.0, ends.1), Ok(None));
        for text in [
            "",
            "0100007F",
            "0100007F:XX",
            "0100007:0001",
            "é100007F:0001",
            "0100007F0:1",
        ] {
            assert_eq!(written(text), None, "{text}");
        }
        assert_eq!(written("0100007F:1F93"), Some(SocketAddr::from(([127, 0, 0, 1], 8083))));
    }
}
