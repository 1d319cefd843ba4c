//! Access keys and bearer tokens, made and used by real programs: `stepfn keys`, AWS's SDK and CLI, an OIDC provider.
#![cfg(feature = "runtime")]

mod scratch;
mod server;

use std::convert::Infallible;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use aws_sdk_sfn::config::BehaviorVersion;
use aws_sdk_sfn::config::Credentials;
use aws_sdk_sfn::config::Region;
use aws_sdk_sfn::error::ProvideErrorMetadata;
use http_body_util::BodyExt;
use http_body_util::Full;
use hyper::HeaderMap;
use hyper::Request;
use hyper::Response;
use hyper::body::Bytes;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use serde_json::json;
use stepfn::identity::keys::Keys;
use stepfn::identity::oidc::Issuer;
use stepfn::identity::oidc::Verifier;
use stepfn::identity::sigv4;
use stepfn::model::timestamp::Timestamp;
use tokio::net::TcpListener;

use crate::scratch::Scratch;
use crate::scratch::stderr;
use crate::server::Client;
use crate::server::Server;

const ROLE: &str = "arn:aws:iam::123456789012:role/r";
const DEFINITION: &str = r#"{"StartAt":"P","States":{"P":{"Type":"Pass","End":true}}}"#;

fn me() -> String {
    let me = nix::unistd::User::from_uid(nix::unistd::Uid::effective());
    me.unwrap().expect("tests run as a known user").name
}

fn now() -> Timestamp {
    Timestamp(jiff::Timestamp::now().as_millisecond())
}

/// Runs `stepfn keys`, with the keys in the test's own directory.
fn keys(scratch: &Scratch, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = scratch.run(&[&["keys", "--keys", "k"], arguments].concat());
    let stdout = String::from_utf8(output.stdout.clone()).unwrap();
    (output.status.code(), stdout, stderr(&output))
}

fn keys_json(scratch: &Scratch, arguments: &[&str]) -> Value {
    let (code, stdout, told) = keys(scratch, &[arguments, &["--json"]].concat());
    assert_eq!(code, Some(0), "{told}");
    serde_json::from_str(&stdout).unwrap()
}

#[test]
fn keys_are_made_listed_and_revoked() {
    let scratch = Scratch::new("keys_are_made");
    let made = keys_json(&scratch, &["create", "--for", &me(), "--expires", "2h"]);
    let (id, secret) = (made["id"].as_str().unwrap(), made["secret"].as_str().unwrap());
    assert_eq!((id.len(), secret.len()), (20, 40));
    assert_eq!(made["user"], me());

    let (_, text, told) = keys(&scratch, &["create", "--for", &me()]);
    assert!(
        text.contains("\nsecret:  ") && told.contains("not shown again"),
        "{text}{told}"
    );

    let profile = ["create", "--for", &me(), "--profile", "local", "--file", "aws"];
    let in_file = keys_json(&scratch, &profile);
    assert_eq!(in_file.get("secret"), None);
    let path = scratch.0.join("aws");
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let text = std::fs::read_to_string(&path).unwrap();
    let start = format!(
        "[local]\naws_access_key_id = {}\naws_secret_access_key = ",
        in_file["id"].as_str().unwrap()
    );
    assert!(text.starts_with(&start), "{start}");
    let (code, _, told) = keys(&scratch, &profile);
    assert!(
        code == Some(2) && told.contains("name a file that is not there yet"),
        "{told}"
    );

    let (code, stdout, _) = keys(&scratch, &["list"]);
    assert_eq!((code, stdout.lines().count()), (Some(0), 4));
    assert!(!stdout.contains(secret) && stdout.contains("never"), "{stdout}");
    assert_eq!(keys_json(&scratch, &["revoke", id])["id"], id);
    let listed = keys_json(&scratch, &["list"]);
    let of_id = listed.as_array().unwrap().iter().find(|key| key["id"] == id).unwrap();
    assert_eq!(of_id["status"], "revoked");
    for entry in std::fs::read_dir(scratch.0.join("k")).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains(secret));
    }

    let damaged = scratch
        .0
        .join("k")
        .join(format!("{}.json", in_file["id"].as_str().unwrap()));
    std::fs::write(damaged, "{").unwrap();
    let (code, stdout, told) = keys(&scratch, &["list"]);
    assert!(
        code == Some(1) && stdout.contains("damaged") && told.contains("is damaged"),
        "{stdout}{told}"
    );
}

#[test]
fn wrong_use_of_keys_is_told() {
    let scratch = Scratch::new("wrong_use_of_keys");
    for (arguments, expected) in [
        (
            &["create", "--for", "no-such-user"] as &[&str],
            "there is no user `no-such-user`",
        ),
        (&["create", "--for", "root", "--expires", "never"], "such as `30d`"),
        (&["create", "--for", "root", "--profile", "a"], "--file"),
        (
            &["create", "--for", "root", "--profile", "a]b", "--file", "f"],
            "a profile's name has",
        ),
        (&["create"], "--for"),
        (&["revoke", "AKIAAAAAAAAAAAAAAAAA"], "there is no key"),
    ] {
        let (code, stdout, told) = keys(&scratch, arguments);
        assert!(
            code == Some(2) && stdout.is_empty() && told.contains(expected),
            "{arguments:?}: {told}"
        );
    }
    assert!(!scratch.0.join("k").exists() && !scratch.0.join("f").exists());
    std::fs::create_dir(scratch.0.join("k")).unwrap();
    std::fs::set_permissions(scratch.0.join("k"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let (code, _, told) = keys(&scratch, &["list"]);
    assert!(
        code == Some(2) && told.contains("is open to others than its owner"),
        "{told}"
    );
}

/// A request as it came to the door.
type Arrived = (String, HeaderMap, Bytes);

/// A server behind a door that lets in who signs with a key.
struct Guarded {
    keys: Keys,
    server: Server,
    arrived: Mutex<Vec<Arrived>>,
    /// How many of the next requests are taken, and then answered with 500.
    n_lost: AtomicUsize,
}

impl Guarded {
    async fn start(scratch: &Scratch) -> (Arc<Self>, String) {
        let server = Server::start(scratch.command(&["serve", "--listen", "127.0.0.1:0", "--ephemeral"])).unwrap();
        let guarded = Arc::new(Self {
            keys: Keys::new(scratch.0.join("k")),
            server,
            arrived: Mutex::default(),
            n_lost: AtomicUsize::new(0),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let door = Arc::clone(&guarded);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let door = Arc::clone(&door);
                let service = service_fn(move |request| Arc::clone(&door).answer(request));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        (guarded, url)
    }

    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let path = head.uri.path().to_owned();
        self.arrived
            .lock()
            .unwrap()
            .push((path.clone(), head.headers.clone(), body.clone()));
        let (status, answer) = match self.admit(&path, &head.headers, &body, now()) {
            Err((status, name, message)) => (status, json!({"__type": name, "message": message})),
            Ok(()) => {
                let target = head.headers["x-amz-target"].to_str().unwrap();
                let operation = target.split_once('.').unwrap().1.to_owned();
                let address = self.server.address.clone();
                let call = move || {
                    let members = serde_json::from_slice(&body).unwrap();
                    Client::new(&address).call(&operation, &members).unwrap()
                };
                tokio::task::spawn_blocking(call).await.unwrap()
            }
        };
        let is_lost = |n: usize| n.checked_sub(1);
        let is_lost = self
            .n_lost
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, is_lost)
            .is_ok();
        let response = Response::builder()
            .status(if is_lost { 500 } else { status })
            .header("content-type", "application/x-amz-json-1.0");
        let body = if is_lost { String::new() } else { answer.to_string() };
        Ok(response.body(Full::new(Bytes::from(body))).unwrap())
    }

    fn admit(
        &self,
        path: &str,
        headers: &HeaderMap,
        body: &[u8],
        at: Timestamp,
    ) -> Result<(), (u16, &'static str, String)> {
        let signed = sigv4::Signed {
            method: "POST",
            path,
            query: "",
            headers,
            body,
        };
        let admitted = sigv4::verify(&self.keys, &signed, at);
        admitted
            .map(drop)
            .map_err(|refusal| (refusal.status, refusal.name, refusal.message))
    }
}

fn client(url: &str, id: &str, secret: &str, token: Option<&str>) -> aws_sdk_sfn::Client {
    let configuration = aws_sdk_sfn::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(url)
        .region(Region::new("eu-central-1"))
        .credentials_provider(Credentials::new(id, secret, token.map(str::to_owned), None, "test"))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    aws_sdk_sfn::Client::from_conf(configuration)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sdk_signs_with_a_key() {
    let scratch = Scratch::new("the_sdk_signs");
    let made = keys_json(&scratch, &["create", "--for", &me()]);
    let (id, secret) = (made["id"].as_str().unwrap(), made["secret"].as_str().unwrap());
    let (guarded, url) = Guarded::start(&scratch).await;
    let sfn = client(&url, id, secret, None);
    let machine = sfn
        .create_state_machine()
        .name("m")
        .definition(DEFINITION)
        .role_arn(ROLE);
    let arn = machine.send().await.unwrap().state_machine_arn;

    // Nothing that is signed tells them apart, when they are of the same second.
    let start = || {
        sfn.start_execution()
            .state_machine_arn(&arn)
            .input(r#"{"a":"é"}"#)
            .send()
    };
    let mut started: Vec<String> = Vec::new();
    for result in [start().await, start().await, start().await, start().await] {
        started.push(result.unwrap().execution_arn);
    }
    started.sort();
    started.dedup();
    assert_eq!(started.len(), 4, "each is one of its own");

    // A client whose answer is lost tries again, also within the second.
    guarded.n_lost.store(1, Ordering::Relaxed);
    start().await.unwrap();

    // Somebody saw a request and sends it again.
    let arrived = guarded.arrived.lock().unwrap().clone();
    let is_start = |headers: &HeaderMap| headers["x-amz-target"] == "AWSStepFunctions.StartExecution";
    let starts = arrived.iter().filter(|(_, headers, _)| is_start(headers));
    let mut n_copies = 0;
    for (path, headers, body) in starts {
        let (status, name, message) = guarded.admit(path, headers, body, now()).unwrap_err();
        assert_eq!((status, name), (400, "ThrottlingException"), "{message}");
        n_copies += 1;
    }
    assert!(6 <= n_copies, "{n_copies}");

    let name = async |client: aws_sdk_sfn::Client| {
        let error = client.list_state_machines().send().await.unwrap_err();
        error.code().unwrap_or_default().to_owned()
    };
    assert_eq!(name(client(&url, id, "wrong", None)).await, "InvalidSignatureException");
    assert_eq!(
        name(client(&url, id, secret, Some("t"))).await,
        "UnrecognizedClientException"
    );
    assert_eq!(
        name(client(&url, "AKIAAAAAAAAAAAAAAAAA", secret, None)).await,
        "UnrecognizedClientException"
    );
    assert!(keys_json(&scratch, &["list"])[0]["lastUsed"].is_string());
    keys_json(&scratch, &["revoke", id]);
    assert_eq!(name(sfn).await, "UnrecognizedClientException", "with the next request");
}

/// `STEPFN_AWS` names the AWS CLI; `scripts/smoke/run` does.
#[tokio::test(flavor = "multi_thread")]
async fn the_aws_cli_signs_with_a_key() {
    let Some(program) = std::env::var_os("STEPFN_AWS") else {
        eprintln!("note: STEPFN_AWS names no AWS CLI; it is not tried");
        return;
    };
    let scratch = Scratch::new("the_aws_cli_signs");
    let made = keys_json(
        &scratch,
        &["create", "--for", &me(), "--profile", "local", "--file", "aws"],
    );
    let (_guarded, url) = Guarded::start(&scratch).await;
    let credentials = scratch.0.join("aws");
    let aws = async |file: &Path, arguments: &[&str]| {
        let mut command = Command::new(&program);
        command
            .args([
                "stepfunctions",
                "--output",
                "text",
                "--endpoint-url",
                &url,
                "--region",
                "us-east-1",
            ])
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("AWS_SHARED_CREDENTIALS_FILE", file)
            .env("AWS_PROFILE", "local")
            .env("AWS_EC2_METADATA_DISABLED", "true");
        let output = tokio::task::spawn_blocking(move || command.output().unwrap())
            .await
            .unwrap();
        let stdout = String::from_utf8(output.stdout.clone()).unwrap();
        (output.status.success(), stdout.trim().to_owned() + &stderr(&output))
    };
    let create = [
        "create-state-machine",
        "--name",
        "m",
        "--definition",
        DEFINITION,
        "--role-arn",
        ROLE,
    ];
    let (is_done, arn) = aws(&credentials, &[&create[..], &["--query", "stateMachineArn"]].concat()).await;
    assert!(is_done, "{arn}");
    let start = [
        "start-execution",
        "--state-machine-arn",
        &arn,
        "--input",
        r#"{"a":"é"}"#,
    ];
    let (one, other) = tokio::join!(aws(&credentials, &start), aws(&credentials, &start));
    assert!(one.0 && other.0, "{one:?} {other:?}");

    let text = std::fs::read_to_string(&credentials).unwrap();
    let wrong = scratch.0.join("wrong");
    let (rest, _) = text.rsplit_once(" = ").unwrap();
    std::fs::write(&wrong, format!("{rest} = wrong\n")).unwrap();
    let (_, told) = aws(&wrong, &["list-state-machines"]).await;
    assert!(
        told.contains("An error occurred (InvalidSignatureException) when calling the ListStateMachines"),
        "{told}"
    );
    std::fs::write(
        &wrong,
        text.replace(made["id"].as_str().unwrap(), "AKIAAAAAAAAAAAAAAAAA"),
    )
    .unwrap();
    let (_, told) = aws(&wrong, &["list-state-machines"]).await;
    assert!(told.contains("(UnrecognizedClientException)"), "{told}");
    let (_, told) = aws(&credentials, &["list-state-machines", "--no-sign-request"]).await;
    assert!(told.contains("(MissingAuthenticationTokenException)"), "{told}");
    keys_json(&scratch, &["revoke", made["id"].as_str().unwrap()]);
    let (_, told) = aws(&credentials, &["list-state-machines"]).await;
    assert!(told.contains("(UnrecognizedClientException)"), "{told}");
}

/// `STEPFN_OIDC` names what a provider wrote; `scripts/oidc/run` starts one.
#[tokio::test]
async fn tokens_of_a_real_provider() {
    let Some(directory) = std::env::var_os("STEPFN_OIDC") else {
        eprintln!("note: STEPFN_OIDC names no provider's directory; none is tried");
        return;
    };
    let read = |name: &str| std::fs::read_to_string(Path::new(&directory).join(name)).unwrap();
    let text = format!(
        "issuer = '{}'\naudience = 'urn:stepfn'\nusers = {{robot = '{}'}}\n",
        read("issuer"),
        me()
    );
    let issuer: Issuer = toml::from_str(&text).unwrap();
    let verifier = Verifier::new(vec![issuer.clone()]).unwrap();
    let (principal, claims) = verifier.verify(&read("token"), now()).await.unwrap();
    assert_eq!(
        (principal.name.as_ref(), principal.subject.as_deref()),
        (me().as_str(), Some("robot"))
    );
    assert_eq!(
        (&claims["scope"], &claims["client_id"]),
        (&json!("run"), &json!("robot"))
    );
    let stray = verifier.verify(&read("other-token"), now()).await.unwrap_err();
    assert!(stray.message.contains("`aud`"), "{stray}");
    let later = now().plus_millis(200_000);
    assert_eq!(
        verifier.verify(&read("token"), later).await.unwrap_err().name,
        "ExpiredTokenException"
    );
    let mut strict = issuer;
    strict
        .algorithms
        .retain(|algorithm| format!("{algorithm:?}") != "RS256");
    let refused = Verifier::new(vec![strict])
        .unwrap()
        .verify(&read("token"), now())
        .await
        .unwrap_err();
    assert!(refused.message.contains("not allowed"), "{refused}");
}
