//! Nothing survives its task: whatever it forks, however it ignores signals, and whoever dies first.

use std::fs;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;

use serde_json::json;
use stepfn::worker::process;
use stepfn::worker::spawn::identity::Identities;
use stepfn::worker::spawn::rung::Isolation;
use stepfn::worker::spawn::wire::Claim;
use tokio::io::AsyncBufReadExt;

use crate::block_on;
use crate::is_root;
use crate::isolations;
use crate::kill;
use crate::nursery;
use crate::own_pid;
use crate::processes_with;
use crate::scratch::SHELL;
use crate::scratch::Scratch;
use crate::scratch::stderr;
use crate::scratch::stdout;
use crate::script;
use crate::server::Server;
use crate::spawnd_of;

const NOBODY: u32 = 65534;

/// A script that leaves processes behind in every way: they fork twice, lead sessions of their own, have an
/// empty environment, and ignore polite signals. Each of them sleeps for `seconds`; three tell that they are there.
pub(crate) fn hydra(seconds: &str) -> String {
    format!(
        "trap '' TERM HUP INT\n\
         (setsid sh -c 'trap \"\" TERM HUP INT; echo up >&2; sleep {seconds} & sleep {seconds}' &)\n\
         (setsid env -i /bin/sh -c 'echo up >&2; setsid env -i /bin/sleep {seconds} & /bin/sleep {seconds}' &)\n\
         sleep {seconds} &\n\
         echo up >&2\n\
         sleep {seconds}\n"
    )
}

/// A number of seconds that no other test sleeps.
pub(crate) fn seconds(test: u32) -> String {
    format!("3{test:03}.{}", std::process::id())
}

fn map_hydra(scratch: &Scratch, seconds: &str) {
    scratch.write(
        "map.toml",
        "[[mapping]]\nresource = '*'\ncommand = ['sh', 'hydra.sh']\n",
    );
    scratch.write("hydra.sh", &hydra(seconds));
    scratch.task("arn:aws:lambda:us-east-1:123456789012:function:F");
}

#[test]
fn a_timeout_leaves_nothing_on_any_rung() {
    for (isolation, rung) in isolations() {
        let scratch = Scratch::new(&format!("spawn-timeout-{rung}"));
        scratch.machine(json!({ "T": { "Type": "Task", "Resource": SHELL, "TimeoutSeconds": 1, "End": true } }));
        let seconds = seconds(100 + u32::from(rung));
        let input = json!({ "Script": hydra(&seconds) });
        let output = scratch.run_with_input(&input, &["--isolation", isolation.as_str()]);
        assert!(stderr(&output).contains("States.Timeout"), "{output:?}");
        assert_eq!(processes_with(&seconds), Vec::<i32>::new(), "{isolation:?}");
    }
}

#[test]
fn an_abort_leaves_nothing_on_any_rung() {
    for (isolation, rung) in isolations() {
        let scratch = Scratch::new(&format!("spawn-abort-{rung}"));
        let seconds = seconds(200 + u32::from(rung));
        map_hydra(&scratch, &seconds);
        let mut child = scratch
            .command(&[
                "run",
                "m.asl.json",
                "--map",
                "map.toml",
                "--isolation",
                isolation.as_str(),
            ])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
        assert_eq!(lines.by_ref().filter(|line| line.ends_with("| up")).take(3).count(), 3);
        assert!(3 <= processes_with(&seconds).len());
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        assert!(lines.any(|line| line.starts_with("error: the execution was stopped")));
        assert_eq!(child.wait().unwrap().code(), Some(143));
        assert_eq!(processes_with(&seconds), Vec::<i32>::new(), "{isolation:?}");
    }
}

#[test]
fn a_killed_engine_leaves_nothing_on_any_rung() {
    for (isolation, rung) in isolations() {
        let scratch = Scratch::new(&format!("spawn-kill-{rung}"));
        let seconds = seconds(300 + u32::from(rung));
        map_hydra(&scratch, &seconds);
        let mut child = scratch
            .command(&[
                "run",
                "m.asl.json",
                "--map",
                "map.toml",
                "--isolation",
                isolation.as_str(),
            ])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let heads = lines
            .by_ref()
            .lines()
            .map(Result::unwrap)
            .filter(|line| line.ends_with("| up"));
        assert_eq!(heads.take(3).count(), 3);
        child.kill().unwrap();
        child.wait().unwrap();
        // The process that starts tasks has the other end, and closes it when all is over.
        lines.read_to_end(&mut Vec::new()).unwrap();
        assert_eq!(processes_with(&seconds), Vec::<i32>::new(), "{isolation:?}");
    }
}

#[test]
fn a_killed_engine_leaves_no_lambda_handler() {
    let scratch = Scratch::new("spawn-kill-lambda");
    let seconds = seconds(350);
    // It hangs, deaf to what is polite, and so does what it started.
    let bootstrap = format!("#!/bin/sh\ntrap '' TERM INT HUP\n(setsid sleep {seconds} &)\ntouch up\nsleep {seconds}\n");
    let path = scratch.0.join("bootstrap");
    fs::write(&path, bootstrap).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    scratch.write("map.toml", "[lambda.hang]\nruntime = 'provided'\ncode = '.'\n");
    scratch.machine(json!({ "T": { "Type": "Task", "End": true,
        "Resource": "arn:aws:lambda:us-east-1:123456789012:function:hang" } }));
    let mut child = scratch
        .command(&["run", "m.asl.json", "--map", "map.toml"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let up = scratch.0.join("up");
    let begin = std::time::Instant::now();
    while !up.exists() {
        assert!(begin.elapsed().as_secs() < 60, "the handler does not start");
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    child.stderr.take().unwrap().read_to_end(&mut Vec::new()).unwrap();
    assert_eq!(processes_with(&seconds), Vec::<i32>::new());
}

/// A copy of the program where everybody can read it; removed in the end.
pub(crate) struct Public(pub(crate) PathBuf);

impl Public {
    pub(crate) fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("stepfn-{test}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
        fs::copy(env!("CARGO_BIN_EXE_stepfn"), path.join("stepfn")).unwrap();
        fs::set_permissions(path.join("stepfn"), fs::Permissions::from_mode(0o755)).unwrap();
        let machine = json!({ "StartAt": "T", "States": { "T": {
            "Type": "Task", "Resource": SHELL, "TimeoutSeconds": 1, "End": true } } });
        fs::write(path.join("m.asl.json"), machine.to_string()).unwrap();
        Self(path)
    }

    /// A command of an account without any rights.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.0.join("stepfn"));
        command.args(arguments).current_dir(&self.0).stdin(Stdio::null());
        if is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }
}

impl Drop for Public {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn without_root_nothing_is_left_either() {
    let public = Public::new("unprivileged");
    let output = public.command(&["doctor", "--json"]).output().unwrap();
    let found: serde_json::Value = stdout(&output);
    assert_eq!(found["otherUsers"], false);
    for (isolation, rung) in [("namespace", 3), ("sweep", 5)] {
        let rungs = found["rungs"].as_array().unwrap();
        let offer = rungs.iter().find(|offer| offer["rung"] == rung).unwrap();
        if let Some(lacks) = offer["lacks"].as_str() {
            eprintln!("rung {rung} is not tested without root: {lacks}");
            continue;
        }
        let seconds = seconds(400 + rung);
        let run = |script: &str| {
            let input = json!({ "Script": script }).to_string();
            let arguments = ["run", "m.asl.json", "--isolation", isolation, "--input", &input];
            public.command(&arguments).output().unwrap()
        };
        let output = run(&hydra(&seconds));
        assert!(stderr(&output).contains("States.Timeout"), "{output:?}");
        assert_eq!(processes_with(&seconds), Vec::<i32>::new(), "{isolation}");
        let uid = stdout(&run("id -u"))["Stdout"].clone();
        let own = if is_root() {
            NOBODY
        } else {
            rustix::process::geteuid().as_raw()
        };
        assert_eq!(uid, json!(own), "{isolation}");
    }
}

#[test]
fn when_the_process_that_starts_tasks_dies_its_tasks_end_and_another_takes_over() {
    for (isolation, rung) in isolations() {
        let seconds = seconds(500 + u32::from(rung));
        // An emptied environment has no mark, so a sweep by somebody else cannot know it.
        let text = hydra(&seconds).replace("env -i ", "");
        let nursery = nursery(isolation, Identities::Nobody);
        block_on(async {
            let (mut child, _) = process::start(&script(&text), &nursery, &Claim::default())
                .await
                .unwrap();
            let mut lines = tokio::io::BufReader::new(child.stderr.take().unwrap()).lines();
            for _ in 0..3 {
                assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("up"));
            }
            // Other tests of this process have their own.
            let engine = spawnd_with_descendant(&processes_with(&seconds)).unwrap();
            kill(engine);
            let error = child.wait().await.unwrap_err();
            assert!(error.to_string().contains("has ended"), "{error}");
            // The next one says that it is ready when it has cleaned up.
            let ready = nursery.ready().await.unwrap();
            assert_eq!(ready.rung.number(), rung);
            assert_eq!(processes_with(&seconds), Vec::<i32>::new(), "{isolation:?}");
            let left = crate::run(&script("echo again"), &nursery, &Claim::default())
                .await
                .unwrap();
            assert_eq!(left.stdout, "again\n");
            nursery.end_all().await;
        });
    }
}

/// Returns the ancestor of a process that is a child of this test and starts tasks.
fn spawnd_with_descendant(pids: &[i32]) -> Option<i32> {
    let parent = |pid: i32| -> Option<i32> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
        line.trim().parse().ok()
    };
    pids.iter().find_map(|&pid| {
        let ancestors = std::iter::successors(Some(pid), |pid| parent(*pid).filter(|parent| *parent > 1));
        let ancestors: Vec<i32> = ancestors.collect();
        let at = ancestors.iter().position(|pid| *pid == own_pid())?;
        ancestors.get(at.checked_sub(1)?).copied()
    })
}

#[test]
fn a_restarted_server_never_runs_beside_the_tasks_of_the_one_before() {
    let scratch = Scratch::new("spawn-restart");
    scratch.write("map.toml", "[[mapping]]\nresource = '*'\ncommand = ['sh', 'once.sh']\n");
    // It takes its time to end, and notes when another one is at work.
    scratch.write(
        "once.sh",
        "trap '' TERM\n\
         if [ -e pid ] && kill -0 $(cat pid) 2> /dev/null; then echo twice >> twice; fi\n\
         echo $$ > pid.new; mv pid.new pid; echo begun >> begun\n\
         while :; do sleep 0.1; done\n",
    );
    let begun = || {
        fs::read_to_string(scratch.0.join("begun"))
            .unwrap_or_default()
            .lines()
            .count()
    };
    let serve = || Server::start(scratch.command(&["serve", "--listen", "127.0.0.1:0", "--map", "map.toml"])).unwrap();
    let mut server = serve();
    let definition = json!({ "StartAt": "T", "States": { "T": {
        "Type": "Task", "Resource": "arn:aws:lambda:us-east-1:123456789012:function:F", "End": true } } });
    let machine = server.client().must(
        "CreateStateMachine",
        &json!({ "name": "M", "definition": definition.to_string(), "roleArn": "arn:aws:iam::123456789012:role/R" }),
    );
    let arn = machine["stateMachineArn"].as_str().unwrap().to_owned();
    server
        .client()
        .must("StartExecution", &json!({ "stateMachineArn": arn }));
    for round in 1..=3 {
        while begun() < round {
            std::thread::yield_now();
        }
        assert!(spawnd_of(i32::try_from(server.child.id()).unwrap()).is_some());
        server.child.kill().unwrap();
        server.child.wait().unwrap();
        server = serve();
    }
    while begun() < 4 {
        std::thread::yield_now();
    }
    assert!(!scratch.0.join("twice").exists());
    drop(server);
}

#[test]
fn isolation_is_told_and_an_unknown_one_is_refused() {
    for (isolation, rung) in isolations() {
        let ready = block_on(async {
            let nursery = nursery(isolation, Identities::Nobody);
            let ready = nursery.ready().await.unwrap();
            nursery.end_all().await;
            ready
        });
        assert_eq!(ready.rung.number(), rung);
        assert_ne!(isolation, Isolation::Auto);
    }
    let scratch = Scratch::new("spawn-isolation");
    let output = scratch.run(&["doctor", "--isolation", "docker"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("`auto`, `cgroup`, `namespace`, `sweep` or `unit`"),
        "{output:?}"
    );
}
