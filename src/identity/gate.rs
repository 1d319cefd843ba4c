//! Lets requests in: finds out who asks.

use std::sync::Arc;

use hyper::body::Bytes;
use hyper::http::request::Parts;
use serde_json::Map;
use tokio::sync::Mutex;

use crate::identity::account::Account;
use crate::identity::account::Accounts;
use crate::identity::caller::Caller;
use crate::identity::keys::Keys;
use crate::identity::oidc::Verifier;
use crate::identity::peer::Peer;
use crate::identity::refusal::Refusal;
use crate::identity::sigv4;
use crate::identity::sigv4::Signed;
use crate::model::principal::Login;
use crate::model::principal::Principal;
use crate::model::principal::PrincipalKind;
use crate::model::timestamp::Timestamp;

/// Who is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// One person's server: its own user and root, by connections of this machine. Credentials of AWS mean nothing.
    Dev {
        /// The server's user.
        uid: u32,
    },
    /// Everybody whom the kernel names, as long as they show no credentials; those who do are what they prove.
    Strict,
}

impl Mode {
    /// Returns the mode of a server that one person runs for themselves.
    pub fn dev() -> Self {
        Self::Dev {
            uid: rustix::process::geteuid().as_raw(),
        }
    }

    /// Returns its name, as `--auth` has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dev { .. } => "dev",
            Self::Strict => "strict",
        }
    }
}

/// What a strict server verifies proofs with.
#[derive(Debug, Default)]
pub struct Verifiers {
    /// The access keys.
    pub keys: Option<Arc<Keys>>,
    /// The issuers of bearer tokens.
    pub tokens: Option<Verifier>,
}

/// The server's door.
#[derive(Debug)]
pub struct Gate {
    mode: Mode,
    verifiers: Verifiers,
    accounts: Accounts,
    /// Whom the kernel names when it has no name for them here.
    unmapped: Option<u32>,
}

/// A connection: what was found out when it was accepted, and as whom it was known last.
#[derive(Debug)]
pub struct Connection {
    /// The other end.
    pub peer: Peer,
    known: Mutex<Option<(Arc<Account>, Arc<Caller>)>>,
}

impl Connection {
    /// Makes one of a peer that was just accepted.
    pub fn new(peer: Peer) -> Self {
        Self {
            peer,
            known: Mutex::new(None),
        }
    }
}

impl Gate {
    /// Makes a door.
    pub fn new(mode: Mode, verifiers: Verifiers) -> Self {
        Self {
            mode,
            verifiers,
            accounts: Accounts::default(),
            unmapped: unmapped(),
        }
    }

    /// Returns who is let in.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Refuses whom nothing could let in, before their request's body is read.
    ///
    /// # Errors
    /// The kernel does not name them, or not one of those who may ask, and they show nothing that could be verified.
    pub fn greet(&self, connection: &Connection, head: &Parts) -> Result<(), Refusal> {
        match self.proof(head)? {
            Proof::None => self.uid(&connection.peer).map(|_| ()),
            Proof::Signature(_) | Proof::Token(..) => Ok(()),
        }
    }

    /// Says who asks.
    ///
    /// # Errors
    /// Nobody knows, or it is none of those who may. A proof that does not hold is never taken for none.
    pub async fn admit(&self, connection: &Connection, head: &Parts, body: &Bytes) -> Result<Arc<Caller>, Refusal> {
        let (principal, claims) = match self.proof(head)? {
            Proof::None => {
                let uid = self.uid(&connection.peer)?;
                return self.known(connection, uid).await;
            }
            Proof::Signature(keys) => (verify(Arc::clone(keys), head, body.clone()).await?, Map::new()),
            Proof::Token(verifier, token) => verifier.verify(token, now()).await?,
        };
        let caller = Caller {
            claims,
            ..Caller::new(principal)
        };
        self.with_groups(caller).await.map(Arc::new)
    }

    /// Returns somebody who is known already, with the groups that the name service gives their user at this moment.
    ///
    /// # Errors
    /// The name service does not answer.
    pub async fn with_groups(&self, mut caller: Caller) -> Result<Caller, Refusal> {
        if let Some(uid) = caller.principal.uid {
            caller.groups = self.accounts.find(uid).await.map_err(unavailable)?.groups(None);
        }
        Ok(caller)
    }

    /// Returns what a request shows to prove who asks, with what can verify it.
    fn proof<'a>(&'a self, head: &'a Parts) -> Result<Proof<'a>, Refusal> {
        let what = match (self.mode, shown(head)) {
            (Mode::Dev { .. }, _) | (Mode::Strict, Shown::Nothing) => return Ok(Proof::None),
            (Mode::Strict, Shown::Signature) => match &self.verifiers.keys {
                Some(keys) => return Ok(Proof::Signature(keys)),
                None => "signatures: nothing says where its access keys are",
            },
            (Mode::Strict, Shown::Bearer(token)) => match &self.verifiers.tokens {
                Some(verifier) => return Ok(Proof::Token(verifier, token)),
                None => "tokens: its configuration names no issuer",
            },
            (Mode::Strict, Shown::Other) => "credentials of this form",
        };
        Err(Refusal {
            name: "UnrecognizedClientException",
            ..Refusal::denied(format!(
                "This server cannot verify {what}. Callers of this machine need none: send the request without any."
            ))
        })
    }

    /// Returns the user whom the kernel names, if they may ask.
    fn uid(&self, peer: &Peer) -> Result<u32, Refusal> {
        let uid = match peer {
            Peer::Unix(peer) => peer.uid,
            Peer::Loopback { owner, .. } => owner.as_ref().copied().map_err(|why| {
                Refusal::denied(format!(
                    "Nobody knows who asks: {why}. Call from this machine's own network, or by the server's Unix socket."
                ))
            })?,
            Peer::Remote { .. } => {
                return Err(Refusal {
                    name: "MissingAuthenticationTokenException",
                    ..Refusal::denied("Missing Authentication Token")
                });
            }
        };
        if self.unmapped == Some(uid) {
            return Err(Refusal::denied(format!(
                "The user {uid} stands for all users whom this server's user namespace does not know."
            )));
        }
        match self.mode {
            Mode::Dev { uid: own } if uid != own && uid != 0 => Err(Refusal::denied(format!(
                "This server is its user's alone, and you are the user {uid}. Run one of your own, or have this one \
                 started with `--auth strict`, which lets every user of this machine ask as themselves."
            ))),
            Mode::Dev { .. } | Mode::Strict => Ok(uid),
        }
    }

    /// Returns the caller whom the kernel named when the connection was made, with the groups that count now.
    async fn known(&self, connection: &Connection, uid: u32) -> Result<Arc<Caller>, Refusal> {
        let account = self.accounts.find(uid).await.map_err(unavailable)?;
        let mut known = connection.known.lock().await;
        if let Some((before, caller)) = &*known
            && Arc::ptr_eq(before, &account)
        {
            return Ok(Arc::clone(caller));
        }
        let caller = self.caller(&connection.peer, &account).await;
        let caller = Arc::new(caller.map_err(unavailable)?);
        *known = Some((account, Arc::clone(&caller)));
        Ok(caller)
    }

    async fn caller(&self, peer: &Peer, account: &Account) -> Result<Caller, String> {
        let Peer::Unix(unix) = peer else {
            // The kernel names the owner of a TCP socket, not its process.
            let mut principal = Principal::new(PrincipalKind::Loopback, account.shown());
            principal.uid = Some(account.uid);
            return Ok(Caller {
                groups: account.groups(None),
                ..Caller::new(principal)
            });
        };
        let mut principal = Principal::new(PrincipalKind::UnixSocket, account.shown());
        principal.uid = Some(account.uid);
        principal.pid = unix.pid;
        if let Some(process) = &unix.process {
            principal.program.clone_from(&process.program);
            if let Some(uid) = process.login.filter(|login| *login != account.uid) {
                let user = self.accounts.find(uid).await?.shown();
                principal.login = Some(Login { uid, user });
            }
        }
        Ok(Caller {
            groups: account.groups(Some(&unix.groups())),
            ..Caller::new(principal)
        })
    }
}

/// What is to be verified, and with what.
enum Proof<'a> {
    None,
    Signature(&'a Arc<Keys>),
    Token(&'a Verifier, &'a str),
}

/// What a request shows to prove who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown<'a> {
    Nothing,
    Signature,
    Bearer(&'a str),
    Other,
}

fn shown(head: &Parts) -> Shown<'_> {
    let is_presigned = head
        .uri
        .query()
        .is_some_and(|query| query.to_ascii_lowercase().contains("x-amz-"));
    let mut values = head.headers.get_all("authorization").iter();
    let (first, second) = (values.next(), values.next());
    let Some(value) = first else {
        return if is_presigned { Shown::Other } else { Shown::Nothing };
    };
    let (scheme, rest) = value
        .to_str()
        .ok()
        .and_then(|text| text.split_once(' '))
        .unwrap_or_default();
    match scheme {
        // Which of two would count is anybody's guess.
        _ if second.is_some() || is_presigned => Shown::Other,
        "AWS4-HMAC-SHA256" => Shown::Signature,
        _ if scheme.eq_ignore_ascii_case("bearer") => Shown::Bearer(rest.trim()),
        _ => Shown::Other,
    }
}

/// Verifies a signature where it may wait: for files, and for the name service.
async fn verify(keys: Arc<Keys>, head: &Parts, body: Bytes) -> Result<Principal, Refusal> {
    let (method, uri, headers) = (head.method.clone(), head.uri.clone(), head.headers.clone());
    let verified = tokio::task::spawn_blocking(move || {
        let request = Signed {
            method: method.as_str(),
            path: uri.path(),
            query: uri.query().unwrap_or_default(),
            headers: &headers,
            body: &body,
        };
        sigv4::verify(&keys, &request, now())
    });
    verified
        .await
        .unwrap_or_else(|error| Err(unavailable(error.to_string())))
}

fn unavailable(error: String) -> Refusal {
    Refusal {
        status: 503,
        name: "ServiceUnavailable",
        message: format!("Your account cannot be looked up at the moment: {error}."),
    }
}

fn now() -> Timestamp {
    Timestamp(jiff::Timestamp::now().as_millisecond())
}

/// Returns the number that stands for users outside our user namespace, if we are in one.
fn unmapped() -> Option<u32> {
    let map = std::fs::read_to_string("/proc/self/uid_map").ok()?;
    let is_all = map.split_ascii_whitespace().eq(["0", "0", "4294967295"]);
    let number = || std::fs::read_to_string("/proc/sys/kernel/overflowuid").ok();
    match is_all {
        true => None,
        false => Some(number().and_then(|text| text.trim().parse().ok()).unwrap_or(65_534)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::loopback::Unknown;
    use crate::identity::peer::UnixPeer;
    use crate::identity::process::Process;

    fn head(uri: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = hyper::Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn loopback(owner: Result<u32, Unknown>) -> Connection {
        let remote = ([127, 0, 0, 1], 9).into();
        Connection::new(Peer::Loopback { remote, owner })
    }

    fn gate(mode: Mode) -> Gate {
        Gate {
            unmapped: Some(65_534),
            ..Gate::new(mode, Verifiers::default())
        }
    }

    #[test]
    fn what_a_request_shows_is_never_taken_for_nothing() {
        let signed = ("authorization", "AWS4-HMAC-SHA256 Credential=x");
        for (uri, headers, wanted) in [
            ("/", &[][..], Shown::Nothing),
            ("/?a=b", &[], Shown::Nothing),
            ("/", &[signed], Shown::Signature),
            ("/", &[("authorization", "bearer x")], Shown::Bearer("x")),
            ("/", &[("authorization", "")], Shown::Other),
            ("/", &[("authorization", "Basic x")], Shown::Other),
            ("/", &[signed, ("authorization", "Bearer x")], Shown::Other),
            ("/?X-Amz-Signature=x", &[], Shown::Other),
            ("/?X-Amz-Signature=x", &[signed], Shown::Other),
        ] {
            assert_eq!(shown(&head(uri, headers)), wanted, "{uri} {headers:?}");
        }
    }

    #[tokio::test]
    async fn a_persons_server_lets_in_its_user_and_root_with_any_credentials() {
        let gate = gate(Mode::Dev { uid: 1000 });
        for headers in [&[][..], &[("authorization", "AWS4-HMAC-SHA256 junk")]] {
            let head = head("/", headers);
            for uid in [0, 1000] {
                let caller = gate.admit(&loopback(Ok(uid)), &head, &Bytes::new()).await.unwrap();
                assert_eq!(caller.principal.uid, Some(uid));
                assert_eq!(caller.principal.kind, PrincipalKind::Loopback);
            }
            for (owner, part) in [
                (
                    Ok(1001),
                    "you are the user 1001. Run one of your own, or have this one started with `--auth strict`",
                ),
                (Ok(65_534), "does not know"),
                (Err(Unknown::Gone), "another network namespace"),
                (Err(Unknown::Unreadable("no".to_owned())), "cannot be read: no"),
            ] {
                let refusal = gate.admit(&loopback(owner), &head, &Bytes::new()).await.unwrap_err();
                assert_eq!((refusal.name, refusal.status), ("AccessDeniedException", 403));
                assert!(refusal.message.contains(part), "{refusal}");
            }
        }
    }

    #[tokio::test]
    async fn a_strict_server_knows_everybody_whom_the_kernel_names() {
        let gate = gate(Mode::Strict);
        let plain = head("/", &[]);
        let connection = loopback(Ok(0));
        let caller = gate.admit(&connection, &plain, &Bytes::new()).await.unwrap();
        assert_eq!((&*caller.principal.name, &*caller.groups[0]), ("root", "root"));
        let again = gate.admit(&connection, &plain, &Bytes::new()).await.unwrap();
        assert!(Arc::ptr_eq(&caller, &again), "nothing is made anew for each request");
        let other = gate
            .admit(&loopback(Ok(0x7fff_0001)), &plain, &Bytes::new())
            .await
            .unwrap();
        assert_eq!((&*other.principal.name, other.groups.len()), ("2147418113", 0));
        for header in ["AWS4-HMAC-SHA256 junk", "Bearer junk", "Basic junk", ""] {
            let head = head("/", &[("authorization", header)]);
            let refusal = gate.admit(&connection, &head, &Bytes::new()).await.unwrap_err();
            assert_eq!(refusal.name, "UnrecognizedClientException", "{header}");
        }
        let remote = Connection::new(Peer::Remote {
            remote: ([192, 0, 2, 1], 9).into(),
        });
        let refusal = gate.admit(&remote, &plain, &Bytes::new()).await.unwrap_err();
        assert_eq!(refusal.name, "MissingAuthenticationTokenException");
    }

    #[tokio::test]
    async fn root_by_a_socket_is_known_with_who_had_logged_in() {
        let peer = |groups: &[u32], login| {
            Connection::new(Peer::Unix(UnixPeer {
                uid: 0,
                gid: 4711,
                pid: Some(7),
                process: Some(Process {
                    groups: groups.to_vec(),
                    login,
                    program: Some("/usr/bin/aws".into()),
                }),
            }))
        };
        let (gate, head) = (gate(Mode::Strict), head("/", &[]));
        let caller = gate
            .admit(&peer(&[0], Some(0x7fff_0001)), &head, &Bytes::new())
            .await
            .unwrap();
        let text = serde_json::to_string(&caller.principal).unwrap();
        expect_test::expect![[r#"{"kind":"unix-socket","name":"root","uid":0,"login":{"uid":2147418113,"user":"2147418113"},"pid":7,"program":"/usr/bin/aws"}"#]]
            .assert_eq(&text);
        assert_eq!(*caller.groups, ["root".into()]);
        // Without the group in its process, and logged in as itself.
        let caller = gate.admit(&peer(&[], Some(0)), &head, &Bytes::new()).await.unwrap();
        assert_eq!((caller.groups.len(), &caller.principal.login), (0, &None));
    }
}
