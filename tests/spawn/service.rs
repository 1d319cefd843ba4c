//! A `spawnd` that is a service: an engine without rights comes through its socket, and it decides.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::Mutex;

use serde_json::Value;
use serde_json::json;
use stepfn::worker::nursery::Nursery;
use stepfn::worker::nursery::Options;
use stepfn::worker::process;
use tokio::io::AsyncBufReadExt;

use crate::block_on;
use crate::claim;
use crate::identity::Table;
use crate::identity::own_name;
use crate::identity::row;
use crate::is_root;
use crate::orphans::Public;
use crate::orphans::hydra;
use crate::orphans::seconds;
use crate::processes_with;
use crate::run;
use crate::scratch::stderr;
use crate::scratch::stdout;
use crate::script;

/// Starts a `spawnd` for each connection, as a socket unit with `Accept=yes` does.
struct Service {
    socket: PathBuf,
    pids: Arc<Mutex<Vec<u32>>>,
}

impl Service {
    fn new(table: &Table, engine: &str, more: &[&str]) -> Self {
        // A socket's path is short, and everybody may come.
        let directory = std::env::temp_dir().join(format!("stepfn-socket-{}-{}", table.name(), std::process::id()));
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir(&directory).unwrap();
        let socket = directory.join("s");
        let listener = UnixListener::bind(&socket).unwrap();
        fs::set_permissions(&socket, fs::Permissions::from_mode(0o666)).unwrap();
        let pids: Arc<Mutex<Vec<u32>>> = Arc::default();
        let (started, engine) = (Arc::clone(&pids), engine.to_owned());
        let more: Vec<String> = more.iter().copied().map(str::to_owned).collect();
        let identities = table.directory();
        std::thread::spawn(move || {
            while let Ok((connection, _)) = listener.accept() {
                let mut child = Command::new(env!("CARGO_BIN_EXE_stepfn"))
                    .args(["spawnd", "--engine", &engine, "--identities"])
                    .arg(&identities)
                    .args(&more)
                    .stdin(Stdio::from(OwnedFd::from(connection)))
                    .stderr(Stdio::null())
                    .spawn()
                    .unwrap();
                started.lock().unwrap().push(child.id());
                std::thread::spawn(move || child.wait());
            }
        });
        Self { socket, pids }
    }

    fn nursery(&self) -> Nursery {
        Nursery::new(Options {
            socket: Some(self.socket.clone()),
            ..Options::default()
        })
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(self.socket.parent().unwrap());
    }
}

/// The engine's user: without rights where there are rights to lack.
fn engine() -> String {
    match is_root() {
        true => "nobody".to_owned(),
        false => own_name(),
    }
}

/// `stepfn` as the engine's user.
fn stepfn(public: &Public, service: &Service, arguments: &[&str]) -> Output {
    let text = format!("[spawn]\nsocket = '{}'\n", service.socket.display());
    fs::write(public.0.join("stepfn.toml"), text).unwrap();
    public.command(arguments).output().unwrap()
}

#[test]
fn an_engine_without_rights_gets_the_account_that_the_table_names() {
    let other = if is_root() { "daemon".to_owned() } else { own_name() };
    let public = Public::new("service-account");
    let rows = row("stepfn", &other, "state = \"Pack\"") + &row("stepfn", "no-such-account", "state = \"Lost\"");
    let table = Table::new("service-account", &rows);
    let service = Service::new(&table, &engine(), &[]);
    let run = |state: &str| {
        let machine = json!({ "StartAt": state, "States": { state: {
            "Type": "Task", "Resource": crate::scratch::SHELL, "End": true } } });
        fs::write(public.0.join("m.asl.json"), machine.to_string()).unwrap();
        let input = json!({ "Script": "id -un; pwd" }).to_string();
        stepfn(&public, &service, &["run", "m.asl.json", "--input", &input])
    };
    let home = nix::unistd::User::from_name(&other).unwrap().unwrap().dir;
    let home = if home.is_dir() { home } else { PathBuf::from("/") };
    if is_root() {
        assert_eq!(
            stdout(&run("Pack"))["Stdout"],
            json!(format!("{other}\n{}", home.display()))
        );
    } else {
        assert!(stdout(&run("Pack"))["Stdout"].as_str().unwrap().starts_with(&other));
    }
    for state in ["Lost", "Unnamed"] {
        let output = run(state);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(stderr(&output).contains("Debian.IdentityUnavailable"), "{output:?}");
    }
    let found: Value = stdout(&stepfn(&public, &service, &["doctor", "--json"]));
    assert_eq!(
        (&found["user"], &found["otherUsers"], &found["socket"]),
        (&json!(engine()), &json!(is_root()), &json!(service.socket))
    );
    let text = stepfn(&public, &service, &["doctor"]).stdout;
    let text = String::from_utf8(text).unwrap();
    assert!(text.contains("Tasks are started by the service at"), "{text}");
}

#[test]
fn an_engine_of_somebody_else_is_turned_away() {
    let public = Public::new("service-stranger");
    let table = Table::new("service-stranger", &row("*", &own_name(), ""));
    let service = Service::new(&table, "no-such-user", &[]);
    let input = json!({ "Script": "touch ran" }).to_string();
    let output = stepfn(&public, &service, &["run", "m.asl.json", "--input", &input]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let expected = format!("does not start any for `{}`", engine());
    assert!(stderr(&output).contains(&expected), "{output:?}");
    assert!(!public.0.join("ran").exists());
    let output = stepfn(&public, &service, &["doctor"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(stderr(&output).contains(&expected), "{output:?}");
}

#[test]
fn a_table_of_the_engine_does_not_count() {
    let public = Public::new("service-table");
    let table = Table::new("service-table", "");
    let service = Service::new(&table, &engine(), &["--isolation", "sweep"]);
    let output = stepfn(&public, &service, &["doctor", "--identities", "identities.d"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(stderr(&output).contains("has a table of its own"), "{output:?}");
    let output = stepfn(&public, &service, &["doctor", "--isolation", "namespace"]);
    assert!(stderr(&output).contains("is told to take `sweep`"), "{output:?}");
    let found: Value = stdout(&stepfn(&public, &service, &["doctor", "--json"]));
    assert_eq!(found["rung"], if is_root() { 4 } else { 5 });
}

#[test]
fn where_nobody_listens_nothing_runs() {
    let table = Table::new("service-absent", "");
    let service = Service::new(&table, &engine(), &[]);
    fs::remove_file(&service.socket).unwrap();
    let error = block_on(service.nursery().ready()).unwrap_err();
    assert!(error.contains("cannot be reached"), "{error}");
}

#[test]
fn tasks_end_when_their_service_is_told_to_end_or_dies() {
    let isolations = crate::isolations();
    for (signal, number) in [("TERM", 1), ("KILL", 2)] {
        for (isolation, rung) in &isolations {
            let test = format!("service-end-{number}-{rung}");
            let table = Table::new(&test, &row("*", &own_name(), ""));
            let service = Service::new(&table, &engine(), &["--isolation", isolation.as_str()]);
            let seconds = seconds(600 + 10 * number + u32::from(*rung));
            // An emptied environment has no mark, so a sweep by somebody else cannot know it.
            let text = hydra(&seconds).replace("env -i ", "");
            let nursery = service.nursery();
            block_on(async {
                let (mut child, ran) = process::start(&script(&text), &nursery, &claim("r")).await.unwrap();
                assert_eq!(ran.rung.number(), *rung);
                let mut lines = tokio::io::BufReader::new(child.stderr.take().unwrap()).lines();
                for _ in 0..3 {
                    assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("up"));
                }
                let pid = service.pids.lock().unwrap()[0].to_string();
                let killed = Command::new("/bin/sh")
                    .args(["-c", "kill -s $0 $1", signal, &pid])
                    .status();
                assert!(killed.unwrap().success());
                child.wait().await.ok();
                // Until the old one is gone, nothing is started.
                let left = loop {
                    if let Ok(left) = run(&script("echo again"), &nursery, &claim("r")).await {
                        break left;
                    }
                };
                assert_eq!(left.stdout, "again\n");
                assert_eq!(processes_with(&seconds), Vec::<i32>::new(), "{signal} {isolation:?}");
                nursery.end_all().await;
            });
        }
    }
}

#[test]
fn a_lock_that_is_handed_over_holds_until_the_tasks_have_ended() {
    let table = Table::new("service-lock", &row("*", &own_name(), ""));
    let service = Service::new(&table, &engine(), &[]);
    let path = table.directory().with_file_name("tasks.lock");
    let nursery = Nursery::new(Options {
        lock: Some(path.clone()),
        socket: Some(service.socket.clone()),
        ..Options::default()
    });
    block_on(async {
        nursery.ready().await.unwrap();
        let file = fs::File::open(&path).unwrap();
        let lock = || rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive);
        assert_eq!(lock(), Err(rustix::io::Errno::WOULDBLOCK));
        nursery.end_all().await;
        // The engine hears of the end a moment before the process is gone.
        while lock().is_err() {
            tokio::task::yield_now().await;
        }
    });
}
