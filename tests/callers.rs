//! Who is let in: the built server, and clients of several users.
#![cfg(feature = "runtime")]

mod scratch;
mod server;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;

use serde_json::Value;

use crate::scratch::Scratch;
use crate::server::Server;

fn serve(scratch: &Scratch, arguments: &[&str]) -> Server {
    let mut command = scratch.command(&["serve", "--ephemeral", "--listen", "127.0.0.1:0"]);
    command.args(arguments);
    Server::start(command).unwrap()
}

/// Asks as whom somebody is known; `None` for ourselves.
fn whoami(user: Option<&str>, wrapper: &[&str], arguments: &[&str]) -> (String, Value) {
    let mut words: Vec<&str> = wrapper.to_vec();
    if let Some(user) = user {
        words.extend(["setpriv", "--reuid", user, "--regid", "nogroup", "--clear-groups"]);
    }
    words.extend(["curl", "--silent", "--show-error", "--write-out", "\n%{http_code}"]);
    words.extend(arguments);
    let output: Output = Command::new(words[0])
        .args(&words[1..])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (body, status) = text.rsplit_once('\n').unwrap_or_default();
    (
        status.to_owned(),
        serde_json::from_str(body).unwrap_or_else(|_| Value::from(body)),
    )
}

fn is_root(what: &str) -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        eprintln!("note: without root no other user can ask; {what} is not tested");
    }
    is_root
}

#[test]
fn a_persons_server_is_for_them_alone_by_tcp_too() {
    let scratch = Scratch::new("callers-dev");
    let server = serve(&scratch, &[]);
    let url = format!("http://{}/whoami", server.address);
    let signed = ["--header", "authorization: AWS4-HMAC-SHA256 junk", &url];
    for arguments in [&signed[2..], &signed] {
        let (status, told) = whoami(None, &[], arguments);
        assert_eq!((&*status, &told["auth"]), ("200", &Value::from("dev")), "{told}");
        assert_eq!(told["principal"]["uid"], rustix::process::geteuid().as_raw());
        assert_eq!(told["principal"]["kind"], "loopback");
    }
    if is_root("a refusal") {
        let (status, told) = whoami(Some("nobody"), &[], &[&url]);
        assert_eq!(status, "403");
        let message = told["message"].as_str().unwrap();
        assert!(message.contains("have this one started with `--auth strict`"), "{told}");
    }
}

#[test]
fn a_strict_server_knows_each_user_and_takes_no_proof_for_nothing() {
    let scratch = Scratch::new("callers-strict");
    let server = serve(&scratch, &["--auth", "strict", "--socket", "s", "--keys", "keys"]);
    let socket = scratch.0.join("s");
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o666);
    let (socket, url) = (socket.to_str().unwrap(), format!("http://{}", server.address));
    let own = format!("{url}/whoami");
    let by_socket = ["--unix-socket", socket, "http://x/whoami"];
    for (arguments, kind) in [(&by_socket[..], "unix-socket"), (&[&*own][..], "loopback")] {
        let (status, told) = whoami(None, &[], arguments);
        assert_eq!(
            (&*status, &told["principal"]["kind"]),
            ("200", &Value::from(kind)),
            "{told}"
        );
        for header in ["authorization: AWS4-HMAC-SHA256 junk", "authorization: Bearer a.b.c"] {
            let (status, told) = whoami(None, &[], &[arguments, &["--header", header]].concat());
            assert!(status.starts_with('4'), "{header}: {told}");
        }
    }
    let (status, _) = whoami(None, &[], &[&format!("{url}/metrics")]);
    assert_eq!(status, "200");
    let (status, _) = whoami(None, &[], &[&format!("{url}/whoami"), "--header", "origin: http://x"]);
    assert_eq!(status, "403");
    if !is_root("who they are") {
        return;
    }
    let (status, told) = whoami(Some("nobody"), &[], &[&own]);
    assert_eq!(
        (&*status, &told["principal"]["name"]),
        ("200", &Value::from("nobody")),
        "{told}"
    );
    // From another network namespace this address leads elsewhere, and the socket's path leads here.
    let (status, _) = whoami(None, &["unshare", "--net"], &[&own]);
    assert_eq!(status, "000");
    let (status, told) = whoami(None, &["unshare", "--net"], &by_socket);
    assert_eq!(
        (&*status, &told["principal"]["name"]),
        ("200", &Value::from("root")),
        "{told}"
    );
}

#[test]
fn other_machines_need_a_proof_and_tls() {
    let scratch = Scratch::new("callers-tls");
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    scratch.write("cert.pem", &made.cert.pem());
    scratch.write("key.pem", &made.signing_key.serialize_pem());
    let tls = ["--tls-cert", "cert.pem", "--tls-key", "key.pem"];
    let refused = |arguments: &[&str], part: &str| {
        let output = scratch.run(&[&["serve", "--ephemeral"], arguments].concat());
        let told = scratch::stderr(&output);
        assert!(output.status.code() == Some(2) && told.contains(part), "{told}");
    };
    refused(
        &["--listen", "0.0.0.0:0", "--auth", "strict"],
        "is not a loopback address",
    );
    refused(
        &[&["--listen", "0.0.0.0:0"], &tls[..]].concat(),
        "is not a loopback address",
    );
    let strict = [&["--listen", "127.0.0.1:0", "--auth", "strict"], &tls[..]].concat();
    fs::set_permissions(scratch.0.join("key.pem"), fs::Permissions::from_mode(0o644)).unwrap();
    refused(&strict, "`key.pem` is open to every user");
    fs::set_permissions(scratch.0.join("key.pem"), fs::Permissions::from_mode(0o600)).unwrap();
    scratch.write("other.pem", "no");
    refused(
        &[&strict[..4], &["--tls-cert", "other.pem", "--tls-key", "key.pem"]].concat(),
        "holds no certificate",
    );
}
