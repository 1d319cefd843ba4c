//! A secret that is planted and used everywhere is found nowhere: no file, no history, no log, no process shows it.
#![cfg(feature = "runtime")]

mod scratch;
mod server;

use std::fs;
use std::io::Read;
use std::io::Write;
use std::net::TcpListener;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use serde_json::json;
use stepfn::secret::encoding::forms;

use crate::scratch::Scratch;
use crate::scratch::stderr;
use crate::scratch::stdout;
use crate::server::Server;

/// Each form of it differs: JSON, URLs and shells escape what is in it.
const CANARY: &str = "c4nary-\"q/+\\x%7 z'9";
const SHELL: &str = "arn:aws:states:::debian:shell.run";

/// Shows the secret in every way that scripts have, on both streams; half of it in the first write.
const SAY: &str = r#"
s=$(cat "$CREDENTIALS_DIRECTORY/db"; echo .); s=${s%.}
say() {
    printf 'plain %s\n' "$s"
    printf '%s' "$s" | head -c 7; sleep 0.1; printf '%s' "$s" | tail -c +8; echo
    printf '%s' "$s" | base64 -w0; echo
    printf 'x%s\n' "$s" | base64 -w0; echo
    printf 'xy%s' "$s" | base64 -w0; echo
    printf '{"password":"%s"}\n' "$(printf '%s' "$s" | sed 's/[\\"]/\\&/g')"
    printf '%s' "$s" | od -An -v -tx1 | tr -d ' \n'; echo
}
say
say >&2
"#;

fn secret(scratch: &Scratch, name: &str, value: &str) {
    let path = scratch.0.join("secrets").join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::set_permissions(scratch.0.join("secrets"), PermissionsExt::from_mode(0o755)).unwrap();
    fs::set_permissions(path.parent().unwrap(), PermissionsExt::from_mode(0o755)).unwrap();
    fs::write(&path, value).unwrap();
    fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
}

fn configure(scratch: &Scratch) {
    secret(scratch, "db/password", CANARY);
    scratch.write(
        "stepfn.toml",
        "[[secrets.source]]\nmatch = '*'\nkind = 'file'\ndirectory = 'secrets'\n[checkpoints]\ndirectory = 'checkpoints'\n\
         [[mapping]]\nresource = 'arn:aws:lambda:us-east-1:123456789012:function:Mapped'\n\
         command = ['sh', '-c', 'cat \"$CREDENTIALS_DIRECTORY/db\" >&2; cat \"$CREDENTIALS_DIRECTORY/db\"; exit 1']\n\
         credentials = { db = 'secret://db/password' }\n",
    );
}

/// A server that answers with all that it was sent, and status 400 below `/bad`. It ends with the test program.
fn echo() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            // Who hangs up early has seen enough.
            let _ = answer(stream.unwrap());
        }
    });
    port
}

fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&request).to_ascii_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                break;
            }
        }
        let length = stream.read(&mut buffer)?;
        request.extend_from_slice(&buffer[..length]);
    }
    let text = String::from_utf8_lossy(&request).into_owned();
    let status = if text.contains("/bad") {
        "400 Bad Request"
    } else {
        "200 OK"
    };
    let echo = text
        .lines()
        .find(|line| line.starts_with("authorization"))
        .unwrap_or_default();
    let body = json!({ "all": text }).to_string();
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nX-Echo: {echo}\r\nContent-Length: {length}\r\nConnection: close\r\nContent-Type: application/json\r\n\r\n{body}"
    )
}

fn definition(scratch: &Scratch, port: u16) -> Value {
    let at = |name: &str| scratch.0.join(name).display().to_string();
    let credentials = json!({ "db": "secret://db/password" });
    let hold = format!(
        "touch {0}; while [ ! -e {1} ]; do sleep 0.05; done",
        at("ready"),
        at("go")
    );
    let request = |path: &str| {
        json!({ "Url": format!("http://127.0.0.1:{port}{path}"), "Method": "POST",
            "Headers": { "Authorization": "Bearer secret://db/password" }, "Body": { "Password": "secret://db/password" } })
    };
    let caught = |next: &str| json!([{ "ErrorEquals": ["States.ALL"], "ResultPath": "$.Caught", "Next": next }]);
    let mut states = json!({
        "Say": { "Resource": SHELL, "Parameters": { "Script": format!("{SAY}{hold}"), "Credentials": credentials },
            "ResultPath": "$.Said", "Next": "Json" },
        "Json": { "Resource": SHELL, "ResultPath": "$.Json", "Next": "Write", "Parameters": { "Credentials": credentials,
            "Script": "printf '{\"p\":\"%s\"}' \"$(sed 's/[\\\\\"]/\\\\&/g' \"$CREDENTIALS_DIRECTORY/db\")\"" } },
        "Write": { "Resource": "arn:aws:states:::debian:file.write", "ResultPath": "$.Written", "Next": "Ask",
            "Parameters": { "Path": at("target"), "Content": "secret://db/password", "Mode": "0600" } },
        "Ask": { "Resource": "arn:aws:states:::debian:http.request", "ResultPath": "$.Asked", "Next": "Bad",
            "Parameters": request("/good") },
        "Bad": { "Resource": "arn:aws:states:::debian:http.request", "Parameters": request("/bad"), "Catch": caught("Mapped"),
            "End": true },
        "Mapped": { "Resource": "arn:aws:lambda:us-east-1:123456789012:function:Mapped", "Catch": caught("Fail"),
            "End": true },
        "Fail": { "Resource": SHELL, "Parameters": { "Script": format!("{SAY}exit 3"), "Credentials": credentials },
            "End": true },
    });
    for state in states.as_object_mut().unwrap().values_mut() {
        state["Type"] = json!("Task");
    }
    json!({ "StartAt": "Say", "States": states })
}

/// Looks at the memory that processes show to others.
fn assert_no_process_shows_it() {
    let own = std::process::id();
    let mut n_processes = 0;
    for entry in fs::read_dir("/proc").unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.parse::<u32>().is_ok_and(|pid| pid != own) {
            n_processes += 1;
            for file in ["environ", "cmdline"] {
                // It may have ended, or belong to somebody else.
                let shown = fs::read(path.join(file)).unwrap_or_default();
                assert_clean(&shown, &path.join(file));
            }
        }
    }
    assert!(1 < n_processes);
}

fn assert_clean(bytes: &[u8], place: &Path) {
    for form in forms(CANARY.as_bytes()) {
        let found = bytes.windows(form.len()).position(|window| window == form.as_slice());
        assert!(
            found.is_none(),
            "{} holds the secret as {:?}",
            place.display(),
            String::from_utf8_lossy(&form)
        );
    }
}

/// Looks into every file but the secret's own and the one that was to hold it. Returns how many there are.
fn assert_no_file_holds_it(scratch: &Scratch) -> usize {
    let mut open = vec![scratch.0.clone()];
    let mut n_files = 0;
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let kind = path.symlink_metadata().unwrap().file_type();
            if kind.is_dir() && path != scratch.0.join("secrets") {
                open.push(path);
            } else if kind.is_file() && path != scratch.0.join("target") {
                n_files += 1;
                assert_clean(&fs::read(&path).unwrap(), &path);
            }
        }
    }
    n_files
}

fn until(mut happened: impl FnMut() -> bool) {
    for _ in 0..3000 {
        if happened() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("it does not happen");
}

/// While the first task waits: looks at all processes, then lets it go on.
fn look_and_let_go(scratch: &Scratch) {
    until(|| scratch.0.join("ready").exists());
    assert_no_process_shows_it();
    scratch.write("go", "");
}

#[test]
fn what_a_run_was_told_in_secret_is_nowhere() {
    let scratch = Scratch::new("canary-run");
    configure(&scratch);
    scratch.write("m.asl.json", &definition(&scratch, echo()).to_string());
    let mut command = scratch.command(&["run", "m.asl.json", "--input", "{}", "--history", "history.json"]);
    let running = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let limits = fs::read_to_string(format!("/proc/{}/limits", running.id())).unwrap();
    look_and_let_go(&scratch);
    let core = fs::read_to_string(format!("/proc/{}/limits", running.id())).unwrap_or(limits);
    let core = core
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .unwrap()
        .to_owned();
    let values: Vec<&str> = core.split_whitespace().skip(4).take(2).collect();
    // 0 where somebody had set that before.
    assert!(values == ["1", "1"] || values == ["0", "0"], "{core}");
    let output = running.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let told = stderr(&output);
    assert_clean(&output.stdout, Path::new("stdout"));
    assert_clean(&output.stderr, Path::new("stderr"));
    // It was said and hidden, and not just lost.
    let history = fs::read_to_string(scratch.0.join("history.json")).unwrap();
    for text in [&told, &history] {
        assert!(text.contains("plain [secret db/password]"), "{text}");
    }
    assert!(history.contains("Bearer [secret db/password]"), "{history}");
    assert!(history.contains("secret://db/password"), "{history}");
    assert_eq!(fs::read_to_string(scratch.0.join("target")).unwrap(), CANARY);
    assert!(3 <= assert_no_file_holds_it(&scratch));
}

#[test]
fn what_a_server_was_told_in_secret_is_nowhere() {
    let scratch = Scratch::new("canary-serve");
    configure(&scratch);
    let command = scratch.command(&[
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--data",
        "data",
        "--logs",
        "logs",
        "--log-level",
        "debug",
    ]);
    let server = Server::start(command).unwrap();
    let mut client = server.client();
    let role = "arn:aws:iam::123456789012:role/R";
    let definition = definition(&scratch, echo()).to_string();
    let machine = client.must(
        "CreateStateMachine",
        &json!({ "name": "M", "definition": definition, "roleArn": role }),
    );
    let started = client.must(
        "StartExecution",
        &json!({ "stateMachineArn": machine["stateMachineArn"], "name": "E", "input": "{}" }),
    );
    let execution = json!({ "executionArn": started["executionArn"] });
    look_and_let_go(&scratch);
    until(|| client.must("DescribeExecution", &execution)["status"] != json!("RUNNING"));
    let described = client.must("DescribeExecution", &execution);
    assert_eq!(
        (&described["status"], &described["error"]),
        (&json!("FAILED"), &json!("Shell.NonZeroExit"))
    );
    assert_clean(described.to_string().as_bytes(), Path::new("DescribeExecution"));
    let history = client.must("GetExecutionHistory", &execution).to_string();
    assert_clean(history.as_bytes(), Path::new("GetExecutionHistory"));
    assert!(
        history.contains("[secret db/password]") && history.contains("Lambda.Unknown"),
        "{history}"
    );
    let pid = server.child.id().to_string();
    assert!(Command::new("kill").arg(pid).status().unwrap().success());
    let (_, said) = server.wait();
    assert_clean(said.as_bytes(), Path::new("the server's log"));
    assert_eq!(fs::read_to_string(scratch.0.join("target")).unwrap(), CANARY);
    assert!(4 <= assert_no_file_holds_it(&scratch));
}

#[test]
fn the_next_attempt_gets_the_secret_as_it_is_then() {
    let scratch = Scratch::new("canary-rotation");
    configure(&scratch);
    secret(&scratch, "pin", "first-value\n");
    let pin: PathBuf = scratch.0.join("secrets/pin");
    let script = format!(
        "cat \"$CREDENTIALS_DIRECTORY/pin\" >> seen; echo >> seen; printf rotated-value > {}; \
         grep -q rotated \"$CREDENTIALS_DIRECTORY/pin\"",
        pin.display()
    );
    scratch.machine(json!({ "S": { "Type": "Task", "Resource": SHELL, "End": true,
        "Retry": [{ "ErrorEquals": ["Shell.NonZeroExit"], "IntervalSeconds": 1, "MaxAttempts": 2 }],
        "Parameters": { "Script": script, "Cwd": scratch.0, "Credentials": { "pin": "secret://pin" } } } }));
    stdout(&scratch.run_with_input(&json!({}), &["--time", "skip"]));
    assert_eq!(
        fs::read_to_string(scratch.0.join("seen")).unwrap(),
        "first-value\nrotated-value\n"
    );
}

#[test]
fn a_secret_that_is_not_there_fails_the_task_by_name() {
    let scratch = Scratch::new("canary-absent");
    configure(&scratch);
    scratch.machine(json!({ "S": { "Type": "Task", "Resource": SHELL, "End": true,
        "Parameters": { "Script": "true", "Credentials": { "x": "secret://absent" } } } }));
    let output = scratch.run_with_input(&json!({}), &[]);
    let told = stderr(&output);
    assert!(told.contains("Debian.SecretUnavailable"), "{told}");
    assert!(
        told.contains("The secret `absent` is not available: the file `"),
        "{told}"
    );
    // A reference that an input brings stays a text where no secret may stand.
    scratch.machine(json!({ "S": { "Type": "Task", "Resource": SHELL, "End": true,
        "Parameters": { "Script": "true", "Env": { "X.$": "$.x" } } } }));
    let output = scratch.run_with_input(&json!({ "x": "secret://db/password" }), &[]);
    let told = stderr(&output);
    assert!(
        told.contains("`Env.X` of shell.run cannot hold a secret: `Credentials` can."),
        "{told}"
    );
}

#[test]
fn people_see_where_secrets_come_from_and_never_what_they_are() {
    let scratch = Scratch::new("canary-check");
    configure(&scratch);
    secret(&scratch, "short", "abc");
    secret(&scratch, "loose", CANARY);
    fs::set_permissions(scratch.0.join("secrets/loose"), PermissionsExt::from_mode(0o644)).unwrap();
    let output = scratch.run(&["secret", "check"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "*: file\n");
    let output = scratch.run(&["secret", "check", "db/password", "secret://short", "loose", "absent"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let told = String::from_utf8_lossy(&output.stdout);
    for (name, part) in [
        (
            "db/password: can be read from the file `",
            "(source `*`, file), 6 to 31 bytes",
        ),
        ("short: can be read", "too short to be kept out of what tasks write"),
        (
            "loose: cannot be used",
            "has the mode 0644, which lets others in; `chmod 0400` mends it",
        ),
        ("absent: cannot be used", "is not there"),
    ] {
        assert!(
            told.lines().any(|line| line.starts_with(name) && line.contains(part)),
            "{name}: {told}"
        );
    }
    assert_clean(&output.stdout, Path::new("stdout"));
    assert_eq!(scratch.run(&["secret", "check", "../x"]).status.code(), Some(2));

    scratch.machine(
        json!({ "S": { "Type": "Task", "Resource": "arn:aws:states:::debian:file.write", "End": true,
        "Parameters": { "Path": scratch.0.join("target"), "Content": "secret://db/password" } } }),
    );
    let output = scratch.run(&["plan", "m.asl.json"]);
    let plan = String::from_utf8_lossy(&output.stdout);
    assert!(
        plan.contains("  reads the secret db/password\n  write "),
        "{plan} {output:?}"
    );
    assert!(!scratch.0.join("target").exists());

    scratch.machine(json!({ "S": { "Type": "Task", "Resource": SHELL, "End": true,
        "Parameters": { "Script": "true", "Cwd": "secret://db/password", "Credentials": { "a/b": "secret://x", "c": "plain" } } } }));
    let output = scratch.run(&["validate", "m.asl.json"]);
    let told = stderr(&output) + &String::from_utf8_lossy(&output.stdout);
    for part in [
        "`Cwd` of shell.run cannot hold a secret: `Credentials` can",
        "`Credentials.a/b` of shell.run cannot name a credential",
        "`Credentials.c` of shell.run must be a reference such as",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
}
