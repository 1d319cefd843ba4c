//! How the processes of tasks are started, held and ended, in every way that the machine offers.
//!
//! As root the tests also take other accounts (`nobody`, `daemon`); without root they show that this is refused. What
//! a machine does not offer, they tell on stderr.
#![cfg(feature = "runtime")]

#[path = "../scratch/mod.rs"]
mod scratch;
#[path = "../server/mod.rs"]
mod server;

mod credentials;
mod identity;
mod orphans;
mod service;
mod tasks;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::process::Command;
use std::process::ExitStatus;
use std::sync::OnceLock;
use stepfn::worker::output::Keep;

use serde_json::Value;
use stepfn::worker::nursery::Nursery;
use stepfn::worker::nursery::Options;
use stepfn::worker::process;
use stepfn::worker::process::Spec;
use stepfn::worker::spawn::identity::Identities;
use stepfn::worker::spawn::rung::Isolation;
use stepfn::worker::spawn::wire::AtLoss;
use stepfn::worker::spawn::wire::Claim;
use stepfn::worker::spawn::wire::Ran;
use tokio::io::AsyncReadExt;

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// What `stepfn doctor` says.
fn doctor() -> &'static Value {
    static FOUND: OnceLock<Value> = OnceLock::new();
    FOUND.get_or_init(|| {
        let output = Command::new(env!("CARGO_BIN_EXE_stepfn"))
            .args(["doctor", "--json"])
            .output()
            .unwrap();
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
    })
}

/// The isolations that this machine offers, each with the number of its rung.
fn isolations() -> Vec<(Isolation, u8)> {
    let sweep = if is_root() { 4 } else { 5 };
    let mut found = Vec::new();
    for (isolation, number) in [
        (Isolation::Unit, 1),
        (Isolation::Cgroup, 2),
        (Isolation::Namespace, 3),
        (Isolation::Sweep, sweep),
    ] {
        let rungs = doctor()["rungs"].as_array().unwrap();
        let rung = rungs.iter().find(|rung| rung["rung"] == number).unwrap();
        match rung["lacks"].as_str() {
            None => found.push((isolation, number)),
            Some(lacks) => eprintln!("rung {number} is not tested here: {lacks}"),
        }
    }
    assert!(!found.is_empty());
    found
}

fn nursery(isolation: Isolation, identities: Identities) -> Nursery {
    Nursery::new(Options {
        isolation,
        identities,
        lock: None,
        socket: None,
    })
}

/// A nursery without an identity table.
fn plain() -> Nursery {
    nursery(Isolation::Auto, Identities::Nobody)
}

fn spec(argv: &[&str]) -> Spec {
    Spec {
        argv: argv.iter().copied().map(str::to_owned).collect(),
        stdin: Vec::new(),
        env: BTreeMap::new(),
        cwd: None,
        stdout: Keep::All(1 << 20),
        stderr_bytes_max: process::STDERR_BYTES_MAX,
        log_stderr: false,
        at_loss: AtLoss::End,
        credentials: Vec::new(),
    }
}

fn script(text: &str) -> Spec {
    spec(&["/bin/sh", "-c", text])
}

fn claim(role: &str) -> Claim {
    Claim {
        role_arn: format!("arn:aws:iam::123456789012:role/{role}"),
        assumed_role_arn: None,
        state_machine: "orders".to_owned(),
        state: "Pack".to_owned(),
    }
}

/// What a process left.
#[derive(Debug)]
struct Left {
    ran: Ran,
    status: ExitStatus,
    stdout: String,
    stderr: String,
}

/// Runs a process to its end.
async fn run(spec: &Spec, nursery: &Nursery, claim: &Claim) -> io::Result<Left> {
    let (mut child, ran) = process::start(spec, nursery, claim).await?;
    drop(child.stdin.take());
    let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let (first, second) = tokio::join!(out.read_to_end(&mut stdout), err.read_to_end(&mut stderr));
    first.and(second)?;
    Ok(Left {
        ran,
        status: child.wait().await?,
        stdout: String::from_utf8_lossy(&stdout).into_owned(),
        stderr: String::from_utf8_lossy(&stderr).into_owned(),
    })
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    stepfn::engine::run::block_on(future).unwrap()
}

/// Returns the ids of all processes whose command line holds a text.
fn processes_with(text: &str) -> Vec<i32> {
    let entries = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let found = entries.filter_map(|entry| {
        let pid = entry.file_name().to_str()?.parse::<i32>().ok()?;
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        String::from_utf8_lossy(&line)
            .replace('\0', " ")
            .contains(text)
            .then_some(pid)
    });
    found.filter(|pid| *pid != own_pid()).collect()
}

fn own_pid() -> i32 {
    i32::try_from(std::process::id()).unwrap()
}

/// Returns the process that starts the tasks of an engine.
fn spawnd_of(engine: i32) -> Option<i32> {
    let entries = fs::read_dir(format!("/proc/{engine}/task")).ok()?;
    let children = entries.filter_map(|entry| fs::read_to_string(entry.ok()?.path().join("children")).ok());
    let children: Vec<i32> = children
        .flat_map(|list| {
            list.split_ascii_whitespace()
                .filter_map(|pid| pid.parse().ok())
                .collect::<Vec<_>>()
        })
        .collect();
    children
        .into_iter()
        .find(|pid| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "stepfn-spawnd"))
}

fn kill(pid: i32) {
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}
