//! Tokens that states are granted: what the task gets, when, and that no value of one is kept anywhere.
#![cfg(feature = "runtime")]

#[path = "scratch/mod.rs"]
mod scratch;
#[path = "server/mod.rs"]
mod server;

use std::fs;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::net::TcpListener;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::Mutex;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use serde_json::json;

use scratch::SHELL;
use scratch::Scratch;
use scratch::stderr;
use scratch::stdout;

/// Returns what a program printed, whatever it is.
fn text_of(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Its own keys, and a grant to the state `Push`.
const ISSUE: &str = "[tokens.issuer]\nurl = 'https://tokens.example.com'\ndirectory = 'keys'\n\
                     [[grant]]\nstate = 'Push'\nflow = 'issue'\naudience = 'registry'\nttl = '2m'\n";
/// Tells what the token says, without its signature.
const CLAIMS: &str = "cut -d. -f2 $CREDENTIALS_DIRECTORY/token";

fn task(script: &str) -> Value {
    json!({ "Type": "Task", "Resource": SHELL, "Parameters": { "Script": script }, "End": true })
}

fn claims(text: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text.trim()).unwrap()).unwrap()
}

/// Fails when a text stands in a file of a directory, but in those that are named.
fn assert_absent(directory: &Path, text: &str, but: &[&str]) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            assert_absent(&path, text, but);
        } else if path.is_file() && !but.iter().any(|name| path.ends_with(name)) {
            let bytes = fs::read(&path).unwrap();
            let found = bytes.windows(text.len()).any(|window| window == text.as_bytes());
            assert!(!found, "{} holds a secret", path.display());
        }
    }
}

#[test]
fn a_state_gets_its_token_and_no_other_state_does() {
    let scratch = Scratch::new("tokens-issue");
    scratch.write("stepfn.toml", ISSUE);
    let mut push = task(CLAIMS);
    push["TimeoutSeconds"] = json!(30);
    push.as_object_mut().unwrap().remove("End");
    push["Next"] = json!("Report");
    push["ResultPath"] = json!("$.push");
    let mut report = task("echo ${CREDENTIALS_DIRECTORY:-none}");
    report["ResultPath"] = json!("$.report");
    scratch.machine(json!({ "Push": push, "Report": report }));
    let output = scratch.run(&["run", "m.asl.json"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let output: Value = stdout(&output);
    assert_eq!(output["report"]["Stdout"], "none");
    let claims = claims(output["push"]["Stdout"].as_str().unwrap());
    assert_eq!(
        (&claims["aud"], &claims["state"], &claims["attempt"]),
        (&json!("registry"), &json!("Push"), &json!(1))
    );
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 30);
    assert!(claims["sub"].as_str().unwrap().ends_with(":machine:m:state:Push"));
    assert_eq!(claims["started_by_kind"], "process");
    let mode = fs::metadata(scratch.0.join("keys/keys.json"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn no_value_of_a_token_is_kept() {
    let scratch = Scratch::new("tokens-canary");
    scratch.write("stepfn.toml", ISSUE);
    let seen = scratch.0.join("seen").display().to_string();
    let script = format!(
        "cat $CREDENTIALS_DIRECTORY/token > {seen}; cat /proc/self/environ /proc/$PPID/environ > environ 2> /dev/null; \
         cat /proc/self/cmdline /proc/$PPID/cmdline > cmdline 2> /dev/null || true"
    );
    scratch.machine(json!({ "Push": task(&script) }));
    let output = scratch.run(&["run", "m.asl.json", "--history", "history.json"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let token = fs::read_to_string(&seen).unwrap();
    assert_eq!(token.split('.').count(), 3);
    assert!(!text_of(&output).contains(&token) && !stderr(&output).contains(&token));
    assert!(fs::metadata(scratch.0.join("environ")).unwrap().len() > 0);
    assert_absent(&scratch.0, &token, &["seen"]);

    // The same with a server and its store.
    let mut command = scratch.command(&["serve", "--listen", "127.0.0.1:0", "--data", "data"]);
    command.env("STEPFN_LOG", "debug");
    let server = server::Server::start(command).unwrap();
    let mut client = server.client();
    let made = client.must(
        "CreateStateMachine",
        &json!({ "name": "m", "definition": fs::read_to_string(scratch.0.join("m.asl.json")).unwrap(),
            "roleArn": "arn:aws:iam::123456789012:role/x" }),
    );
    let started = client.must("StartExecution", &json!({ "stateMachineArn": made["stateMachineArn"] }));
    let arn = started["executionArn"].clone();
    let status = loop {
        let described = client.must("DescribeExecution", &json!({ "executionArn": arn }));
        if described["status"] != "RUNNING" {
            break described["status"].clone();
        }
        std::thread::yield_now();
    };
    assert_eq!(status, "SUCCEEDED");
    let second = fs::read_to_string(&seen).unwrap();
    assert_ne!(token, second);
    drop(server);
    assert_absent(&scratch.0, &second, &["seen"]);
}

#[test]
fn a_server_publishes_how_to_verify_its_tokens() {
    let scratch = Scratch::new("tokens-published");
    scratch.write("stepfn.toml", ISSUE);
    let server = server::Server::start(scratch.command(&["serve", "--ephemeral", "--listen", "127.0.0.1:0"])).unwrap();
    let get = |path: &str| {
        let mut stream = TcpStream::connect(&server.address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), body.to_owned())
    };
    let (head, body) = get("/.well-known/openid-configuration");
    let document: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(document["issuer"], "https://tokens.example.com");
    assert_eq!(document["jwks_uri"], "https://tokens.example.com/.well-known/jwks.json");
    assert!(head.contains("max-age=300"), "{head}");
    let keys = |body: &str| {
        serde_json::from_str::<Value>(body).unwrap()["keys"]
            .as_array()
            .unwrap()
            .clone()
    };
    let before = keys(&get("/.well-known/jwks.json").1);
    assert_eq!(before.len(), 1);
    assert!(
        before[0].get("d").is_none() && before[0]["kty"] == "EC" && before[0]["use"] == "sig",
        "{before:?}"
    );
    // A new key is there at once, and the old one still signs.
    let rotated = scratch.run(&["issuer", "rotate"]);
    assert!(rotated.status.success(), "{}", stderr(&rotated));
    assert_eq!(keys(&get("/.well-known/jwks.json").1).len(), 2);
    let shown: Value = stdout(&scratch.run(&["issuer", "show", "--json"]));
    assert_eq!(
        (&shown["keys"][0]["signs"], &shown["keys"][1]["signs"]),
        (&json!(true), &json!(false))
    );
    let exported = scratch.run(&["issuer", "export", "--url", "https://static.example.com/x/", "site"]);
    assert!(exported.status.success(), "{}", stderr(&exported));
    let text = fs::read_to_string(scratch.0.join("site/.well-known/openid-configuration")).unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        document["jwks_uri"],
        "https://static.example.com/x/.well-known/jwks.json"
    );
}

#[test]
fn what_cannot_be_had_fails_the_task() {
    let scratch = Scratch::new("tokens-fail");
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let provider = format!(
        "[tokens.provider.p]\ntoken_endpoint = 'http://{closed}/token'\nclient_id = 'c'\nclient_secret_file = 's'\n\
         [[grant]]\nstate = 'Push'\nprovider = 'p'\nflow = 'client_credentials'\n"
    );
    scratch.write("stepfn.toml", &provider);
    scratch.machine(json!({ "Push": task("touch ran") }));
    let secret = scratch.0.join("s");
    for (mode, expected) in [(0o644, "others than its owner can read it"), (0o600, "No answer from")] {
        fs::write(&secret, "canary-secret\n").unwrap();
        fs::set_permissions(&secret, fs::Permissions::from_mode(mode)).unwrap();
        let output = scratch.run(&["run", "m.asl.json"]);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(1));
        assert!(
            said.contains("Debian.TokenUnavailable") && !said.contains("canary"),
            "{said}"
        );
        assert!(said.contains(expected), "{said}");
        fs::remove_file(&secret).unwrap();
    }
    assert!(!scratch.0.join("ran").exists());
    // An action that the engine does itself has no use for a token.
    scratch.write("stepfn.toml", ISSUE);
    scratch.machine(
        json!({ "Push": { "Type": "Task", "Resource": "arn:aws:states:::debian:file.write",
        "Parameters": { "Path": scratch.0.join("f"), "Content": "x" }, "End": true } }),
    );
    let said = stderr(&scratch.run(&["run", "m.asl.json"]));
    assert!(
        said.contains("Debian.TokenUnavailable") && said.contains("this task is none"),
        "{said}"
    );
}

/// A server that gives the tokens `token-1`, `token-2`, …, each call but the first with `status`.
struct Giver {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Giver {
    fn start(answers: Vec<(u16, String)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&asked);
        std::thread::spawn(move || {
            let mut answers = answers.into_iter();
            for stream in listener.incoming() {
                let mut stream = BufReader::new(stream.unwrap());
                let (mut head, mut length) = (String::new(), 0);
                loop {
                    let mut line = String::new();
                    if stream.read_line(&mut line).unwrap() <= 2 {
                        break;
                    }
                    if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                        length = value.trim().parse().unwrap();
                    }
                    head += &line;
                }
                let mut body = vec![0; length];
                stream.read_exact(&mut body).unwrap();
                let path = head.split(' ').nth(1).unwrap_or_default();
                kept.lock()
                    .unwrap()
                    .push(format!("{path} {}", String::from_utf8(body).unwrap()));
                let (status, body) = match path {
                    "/revoke" => (200, String::new()),
                    _ => answers.next().unwrap(),
                };
                let length = body.len();
                let answer =
                    format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
                stream.get_mut().write_all(answer.as_bytes()).unwrap();
            }
        });
        Self { address, asked }
    }

    fn configure(&self, scratch: &Scratch) {
        let address = &self.address;
        scratch.write(
            "stepfn.toml",
            &format!(
                "[tokens.provider.p]\ntoken_endpoint = 'http://{address}/token'\n\
                 revocation_endpoint = 'http://{address}/revoke'\nclient_id = 'c'\nclient_secret_file = 's'\n\
                 [[grant]]\nstate = 'Push'\nprovider = 'p'\nflow = 'client_credentials'\naudience = 'registry'\nscope = 'a b'\n"
            ),
        );
        scratch.write("s", "secret");
        fs::set_permissions(scratch.0.join("s"), fs::Permissions::from_mode(0o600)).unwrap();
    }
}

fn given(token: &str) -> (u16, String) {
    (
        200,
        json!({ "access_token": token, "token_type": "Bearer", "expires_in": 60 }).to_string(),
    )
}

#[test]
fn each_attempt_gets_a_token_of_its_own_and_gives_it_back() {
    let scratch = Scratch::new("tokens-retry");
    let giver = Giver::start(vec![
        (
            503,
            json!({ "error": "temporarily_unavailable", "error_description": "canary" }).to_string(),
        ),
        given("token-1"),
        given("token-2"),
    ]);
    giver.configure(&scratch);
    let mut push = task("cat $CREDENTIALS_DIRECTORY/token >> seen; echo >> seen; test $(wc -l < seen) = 2");
    push["Parameters"]["Cwd"] = json!(scratch.0);
    push["Retry"] = json!([{ "ErrorEquals": ["States.ALL"], "MaxAttempts": 2, "IntervalSeconds": 1 }]);
    let skip = json!({ "Type": "Choice", "Choices": [{ "Variable": "$.push", "BooleanEquals": true, "Next": "Push" }], "Default": "End" });
    scratch.write(
        "m.asl.json",
        &json!({ "StartAt": "Skip", "States": { "Skip": skip, "Push": push, "End": { "Type": "Succeed" } } })
            .to_string(),
    );
    let output = scratch.run_with_input(&json!({ "push": false }), &[]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(*giver.asked.lock().unwrap(), [] as [&str; 0]);
    let output = scratch.run_with_input(&json!({ "push": true }), &["--time", "skip"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(
        fs::read_to_string(scratch.0.join("seen")).unwrap(),
        "token-1\ntoken-2\n"
    );
    let asked = giver.asked.lock().unwrap();
    let form = "/token grant_type=client_credentials&audience=registry&scope=a%20b";
    let revoke = |token: &str| format!("/revoke token={token}&token_type_hint=access_token");
    assert_eq!(*asked, [form, form, &revoke("token-1"), form, &revoke("token-2")]);
    assert!(!stderr(&output).contains("canary"));
}

#[test]
fn what_a_provider_answers_amiss_is_told_without_it() {
    for (number, (status, body, expected)) in [
        (
            400,
            "{\"error\":\"invalid_scope\",\"error_description\":\"canary\"}",
            "the error `invalid_scope`",
        ),
        (401, "{\"error\":\"Canary canary\"}", "the status 401"),
        (200, "canary", "without an `access_token`"),
        (
            200,
            "{\"access_token\":\"canary\",\"token_type\":\"DPoP\"}",
            "no bearer token",
        ),
        (
            200,
            "{\"access_token\":\"can ary\\n\",\"token_type\":\"bearer\"}",
            "cannot be a token",
        ),
        (302, "canary", "the status 302"),
    ]
    .into_iter()
    .enumerate()
    {
        let scratch = Scratch::new(&format!("tokens-amiss-{number}"));
        let giver = Giver::start(vec![(status, body.to_owned())]);
        giver.configure(&scratch);
        scratch.machine(json!({ "Push": task("touch ran") }));
        let output = scratch.run(&["run", "m.asl.json", "--history", "history.json"]);
        let said = stderr(&output);
        assert!(
            said.contains("Debian.TokenUnavailable") && said.contains(expected),
            "{said}"
        );
        assert!(!said.to_lowercase().contains("canary"), "{said}");
        assert_absent(&scratch.0, "canary", &[]);
    }
}

#[test]
fn a_plan_names_what_would_be_granted_and_asks_nobody() {
    let scratch = Scratch::new("tokens-plan");
    let giver = Giver::start(Vec::new());
    giver.configure(&scratch);
    scratch.machine(json!({ "Push": task("true") }));
    let planned = scratch.run(&["plan", "m.asl.json"]);
    let text = text_of(&planned);
    let line = "gets the token `token` of `p` (client_credentials) for `registry` with the scope `a b`, at most 300 s";
    assert!(text.contains(line), "{text}{}", stderr(&planned));
    assert!(giver.asked.lock().unwrap().is_empty());
}

#[test]
fn a_grant_that_fits_no_state_is_told() {
    let scratch = Scratch::new("tokens-unused");
    scratch.write(
        "stepfn.toml",
        &ISSUE.replace("state = 'Push'", "machine = 'm*'\nstate = 'Psuh'"),
    );
    scratch.machine(json!({ "Push": task("true") }));
    let said = stderr(&scratch.run(&["run", "m.asl.json"]));
    assert!(said.contains("has no such Task state"), "{said}");
    scratch.write("stepfn.toml", &format!("{ISSUE}colour = 1\n"));
    let said = stderr(&scratch.run(&["run", "m.asl.json"]));
    assert!(
        said.contains("line 9") && said.contains("unknown field `colour`"),
        "{said}"
    );
}

#[test]
fn without_rights_a_token_is_in_a_directory_of_the_user() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("the other tests are without rights already");
        return;
    }
    let scratch = Scratch::new("tokens-unprivileged");
    // Where the program is, another user may not get.
    let place = std::env::temp_dir().join(format!("stepfn-tokens-{}", std::process::id()));
    fs::create_dir_all(&place).unwrap();
    let program = place.join("stepfn");
    fs::copy(env!("CARGO_BIN_EXE_stepfn"), &program).unwrap();
    scratch.machine(json!({ "Push": task("stat -c '%U %a' $CREDENTIALS_DIRECTORY; echo $CREDENTIALS_DIRECTORY") }));
    fs::copy(scratch.0.join("m.asl.json"), place.join("m.asl.json")).unwrap();
    fs::write(place.join("stepfn.toml"), ISSUE).unwrap();
    for path in [&place, &program] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    std::os::unix::fs::chown(&place, Some(65534), Some(65534)).unwrap();
    let run = |arguments: &[&str]| {
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(&program)
            .args(arguments);
        command.current_dir(&place).env("HOME", &place).output().unwrap()
    };
    let output = run(&["run", "m.asl.json"]);
    let doctor = run(&["doctor"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let output: Value = stdout(&output);
    let mut lines = output["Stdout"].as_str().unwrap().lines();
    assert_eq!(lines.next(), Some("nobody 500"), "{output}");
    let directory = lines.next().unwrap();
    assert!(
        directory.contains("stepfn-credentials") && !Path::new(directory).exists(),
        "{directory}"
    );
    let said = text_of(&doctor);
    assert!(
        said.contains("every process of the task's account can read them"),
        "{said}"
    );
    fs::remove_dir_all(&place).unwrap();
}
