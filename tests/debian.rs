//! Packages for real: the built program, apt and dpkg, in a small system of each test's own.
#![cfg(feature = "runtime")]

mod debian_system;
mod scratch;
mod server;

use std::fs;
use std::fs::File;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::process::Stdio;

use rustix::fs::FlockOperation;
use rustix::process::Pid;
use rustix::process::Signal;
use serde_json::Value;
use serde_json::json;
use stepfn::worker::action::apt::classify;

use crate::debian_system::Deb;
use crate::debian_system::room::Room;
use crate::debian_system::room::deb;
use crate::debian_system::room::until;
use crate::debian_system::room::wait_for;
use crate::debian_system::room::with_postinst;
use crate::scratch::SHELL;
use crate::scratch::stderr;
use crate::scratch::stdout;
use crate::server::Server;

#[test]
fn installing_is_done_once_and_undone_to_the_same_state() {
    let app = Deb {
        control: "Depends: lib (>= 1)\n",
        files: &[("/opt/app", "1"), ("/etc/app.conf", "port=1\n")],
        conffiles: &["/etc/app.conf"],
        ..deb("app", "1:1.0-1")
    };
    let Some(room) = Room::new("install", &[app, deb("lib", "1"), deb("other", "1")]) else {
        return;
    };
    room.system
        .sh("apt-get -y install other && apt-mark auto other")
        .unwrap();
    let before = room.system.snapshot();
    let asked = json!({ "Packages": ["app", { "Name": "other" }] });
    let mut state = room.state("apt.install", &asked);
    state["End"] = json!(true);
    room.scratch.machine(json!({ "T": state }));
    let plan = room.scratch.run(&["plan", "m.asl.json", "--json"]);
    assert_eq!(plan.status.code(), Some(3), "{plan:?}");
    let plan: Value = serde_json::from_slice(&plan.stdout).unwrap();
    assert_eq!(
        plan["Plan"][0]["Changes"],
        json!([
            "install app 1:1.0-1",
            "install lib 1",
            "mark other as installed by request"
        ])
    );
    assert_eq!(room.system.snapshot(), before);

    let output = room.scratch.run(&["run", "m.asl.json", "--checkpoints", "cp"]);
    let told = stderr(&output);
    assert!(
        told.contains("Unpacking app") && told.contains("Installed app"),
        "{told}"
    );
    let mut first = stdout(&output);
    let evidence = first["Evidence"]["Commandline"].as_str().unwrap_or_default();
    assert!(evidence.contains("install app other=1"), "{first}");
    room.undo(&first);
    assert_eq!(room.system.snapshot(), before);
    room.undo(&first);
    assert_eq!(room.system.snapshot(), before);

    first = room.must("apt.install", &asked);
    for member in ["Checkpoint", "Evidence"] {
        first.as_object_mut().unwrap().remove(member).unwrap();
    }
    assert_eq!(
        first,
        json!({ "Changed": true, "Installed": [{ "Package": "app", "Version": "1:1.0-1" },
            { "Package": "lib", "Version": "1" }], "Upgraded": [], "Downgraded": [], "Removed": [], "Unrequested": [] })
    );
    let again = room.must("apt.install", &asked);
    assert_eq!((&again["Changed"], again.get("Checkpoint")), (&json!(false), None));
    let gone = room.must(
        "apt.remove",
        &json!({ "Packages": ["app"], "AutoRemove": true, "Purge": true }),
    );
    assert_eq!(gone["Removed"].as_array().unwrap().len(), 2, "{gone}");
    assert_eq!(room.system.packages(), ["other 1 ii"]);
}

#[test]
fn packages_are_upgraded_held_downgraded_and_removed() {
    let debs = [deb("aa", "1"), deb("bb", "1"), deb("cc", "1")];
    let Some(room) = Room::new("change", &debs) else { return };
    room.must("apt.install", &json!({ "Packages": ["aa", "bb"] }));
    room.system.publish(&[deb("aa", "2"), deb("bb", "2")]);
    let start = room.system.snapshot();
    let held = room.must("apt.hold", &json!({ "Packages": ["bb"] }));
    assert_eq!(held["Held"], json!(["bb"]));
    assert_eq!(
        room.must("apt.hold", &json!({ "Packages": ["bb"] })),
        json!({ "Held": [], "Released": [], "Changed": false })
    );
    let upgraded = room.must("apt.upgrade", &json!({ "RequireUndo": true }));
    assert_eq!(
        upgraded["Upgraded"],
        json!([{ "Package": "aa", "From": "1", "To": "2" }])
    );
    assert_eq!(room.must("apt.upgrade", &json!({}))["Changed"], json!(false));
    let two = json!({ "Packages": [{ "Name": "bb", "Version": "2" }] });
    room.fails("apt.install", &two, "Apt.HeldPackage");
    let released = room.must("apt.hold", &json!({ "Packages": ["bb"], "Hold": false }));
    assert_eq!(released["Released"], json!(["bb"]));
    let only = room.must("apt.upgrade", &json!({ "Packages": ["bb", "cc"] }));
    assert_eq!(only["Upgraded"], json!([{ "Package": "bb", "From": "1", "To": "2" }]));
    let one = json!({ "Packages": [{ "Name": "aa", "Version": "1" }] });
    room.fails("apt.install", &one, "Apt.DowngradeRefused");
    let down = room.must("apt.downgrade", &one);
    assert_eq!(down["Downgraded"], json!([{ "Package": "aa", "From": "2", "To": "1" }]));
    assert_eq!(room.must("apt.downgrade", &one)["Changed"], json!(false));
    let removed = room.must("apt.remove", &json!({ "Packages": ["aa", "nosuch"] }));
    assert_eq!(removed["Removed"], json!([{ "Package": "aa", "Version": "1" }]));
    let again = room.must("apt.remove", &json!({ "Packages": ["aa"] }));
    assert_eq!(again["Changed"], json!(false));
    // The repository has lost everything: what was kept is enough.
    fs::write(room.system.path("repo/Packages"), "").unwrap();
    room.system.sh("apt-get -q update; rm /repo/*.deb").unwrap();
    for result in [&removed, &down, &only, &released, &upgraded, &held] {
        room.undo(result);
    }
    assert_eq!(room.system.snapshot(), start);
}

#[test]
fn an_old_version_that_nobody_has_is_refused_before_or_told_after() {
    let Some(room) = Room::new("lost", &[deb("aa", "1")]) else {
        return;
    };
    room.must("apt.install", &json!({ "Packages": ["aa"] }));
    fs::write(room.system.path("repo/Packages"), "").unwrap();
    room.system.publish(&[deb("aa", "2")]);
    let cause = room.fails("apt.upgrade", &json!({ "RequireUndo": true }), "Apt.UndoFailed");
    assert!(cause.contains("The old version of aa can be kept neither"), "{cause}");
    assert_eq!(room.system.packages(), ["aa 1 ii"]);
    let upgraded = room.must("apt.upgrade", &json!({}));
    let id = upgraded["Checkpoint"].as_str().unwrap();
    let output = room.scratch.run(&["undo", "--checkpoints", "cp", id]);
    assert!(!output.status.success());
    assert!(
        stderr(&output).contains("Version '1' for 'aa' was not found"),
        "{output:?}"
    );
}

#[test]
fn what_cannot_be_done_has_its_name_and_changes_nothing() {
    let with = |name, control| Deb {
        control,
        ..deb(name, "1")
    };
    let debs = [
        deb("good", "1"),
        with("needs", "Depends: missing\n"),
        with("against", "Conflicts: good\n"),
        with("above", "Depends: good\n"),
        with("gives", "Provides: virtual\n"),
        deb("gone", "1"),
    ];
    let Some(room) = Room::new("errors", &debs) else { return };
    room.must("apt.install", &json!({ "Packages": ["above"] }));
    fs::remove_file(room.system.path("repo/gone_1_all.deb")).unwrap();
    let before = room.system.snapshot();
    for (action, packages, name) in [
        ("apt.install", json!(["nosuch"]), "Apt.PackageNotFound"),
        ("apt.install", json!(["virtual"]), "Apt.PackageNotFound"),
        ("apt.install", json!(["gives+"]), "Apt.PackageNotFound"),
        ("apt.install", json!(["g.ves"]), "Apt.PackageNotFound"),
        (
            "apt.install",
            json!([{ "Name": "good", "Version": "9" }]),
            "Apt.VersionNotFound",
        ),
        ("apt.install", json!(["needs"]), "Apt.DependencyConflict"),
        ("apt.install", json!(["against"]), "Apt.RemovalRefused"),
        ("apt.install", json!(["gone"]), "Apt.NetworkFailed"),
        ("apt.remove", json!(["good"]), "Apt.RemovalRefused"),
        ("apt.hold", json!(["needs"]), "Apt.PackageNotFound"),
    ] {
        room.fails(action, &json!({ "Packages": packages }), name);
        assert_eq!(room.system.snapshot(), before, "{action} {packages}");
    }
    // What apt would take for something else does not come to apt; `$.p` is not seen before it runs.
    for name in ["good-", "--option", "good=1", "good/sid", "/repo/good_1_all.deb", "~n."] {
        let state = json!({ "Type": "Task", "Resource": "arn:aws:states:::debian:apt.install", "End": true,
            "Parameters": { "Packages.$": "$.p", "Root": room.system.root } });
        room.scratch.machine(json!({ "T": state }));
        let output = room
            .scratch
            .run_with_input(&json!({ "p": [name] }), &["--checkpoints", "cp"]);
        assert!(stderr(&output).contains("Apt.InvalidParameters"), "{name}: {output:?}");
    }
    assert_eq!(room.system.snapshot(), before);
    let more = json!({ "Packages": ["good"], "AutoRemove": true });
    room.fails("apt.remove", &more, "Apt.RemovalRefused");
    let all = json!({ "Packages": ["good"], "AllowRemove": true });
    let removed = room.must("apt.remove", &all);
    assert_eq!(removed["Removed"].as_array().unwrap().len(), 2, "{removed}");
    room.undo(&removed);
    assert_eq!(room.system.snapshot(), before);
}

#[test]
fn lists_are_fetched_or_it_is_an_error() {
    let Some(room) = Room::new("update", &[deb("aa", "1")]) else {
        return;
    };
    let sources = room.system.path("etc/apt/sources.list");
    // Lists of `file:` are links: they are never old.
    fs::write(&sources, "deb [trusted=yes] copy:/repo ./\n").unwrap();
    let first = room.must("apt.update", &json!({}));
    assert_eq!(first, json!({ "Changed": true, "Updated": true }));
    assert_eq!(
        room.must("apt.update", &json!({})),
        json!({ "Changed": false, "Updated": true })
    );
    let rested = room.must("apt.update", &json!({ "MaxAgeSeconds": 86_400 }));
    assert_eq!(rested, json!({ "Updated": false, "Changed": false }));
    room.system.sh("echo >> /repo/Packages").unwrap();
    assert_eq!(
        room.must("apt.update", &json!({})),
        json!({ "Changed": true, "Updated": true })
    );
    fs::rename(room.system.path("repo"), room.system.path("repo.away")).unwrap();
    room.fails("apt.update", &json!({}), "Apt.NetworkFailed");
    fs::write(sources, "deb [trusted=yes] http://127.0.0.1:1/ ./\n").unwrap();
    room.fails("apt.update", &json!({}), "Apt.NetworkFailed");
}

#[test]
fn a_repository_that_is_not_signed_is_not_trusted() {
    let Some(room) = Room::new("unsigned", &[deb("aa", "1")]) else {
        return;
    };
    fs::write(room.system.path("etc/apt/sources.list"), "deb file:/repo ./\n").unwrap();
    room.system.sh("apt-get -q update 2>/dev/null || true").unwrap();
    let error = room.task("apt.update", &json!({})).unwrap_err();
    assert!(
        ["Apt.Unauthenticated", "Apt.NetworkFailed"].contains(&&*error.0),
        "{error:?}"
    );
}

#[test]
fn a_lock_is_waited_for_as_long_as_was_asked() {
    let Some(room) = Room::new("locks", &[deb("aa", "1")]) else {
        return;
    };
    for (path, action, parameters) in [
        (
            "var/lib/dpkg/lock-frontend",
            "apt.install",
            json!({ "Packages": ["aa"] }),
        ),
        ("var/lib/dpkg/lock", "apt.install", json!({ "Packages": ["aa"] })),
        ("var/lib/apt/lists/lock", "apt.update", json!({})),
    ] {
        let open = || {
            let mut options = File::options();
            let file = options
                .create(true)
                .truncate(false)
                .write(true)
                .open(room.system.path(path))
                .unwrap();
            rustix::fs::fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive).unwrap();
            file
        };
        let lock = open();
        let mut at_once = parameters.clone();
        at_once["LockTimeoutSeconds"] = json!(0);
        let cause = room.fails(action, &at_once, "Apt.LockTimeout");
        assert!(cause.contains("lock"), "{cause}");
        // Once apt has seen it held, it is given back.
        let mut state = room.state(action, &parameters);
        state["End"] = json!(true);
        room.scratch.machine(json!({ "T": state }));
        let mut command = room.scratch.command(&["run", "m.asl.json", "--checkpoints", "cp"]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut told = String::new();
        let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stderr.take().unwrap()));
        let is_locked = lines.by_ref().map_while(Result::ok).any(|line| {
            told.push_str(&line);
            told.contains("lock")
        });
        assert!(is_locked, "{path}: {told}");
        drop(lock);
        let rest: Vec<String> = lines.map_while(Result::ok).collect();
        assert!(child.wait().unwrap().success(), "{path}: {told} {rest:?}");
        room.system.sh("apt-get -y purge aa").unwrap();
    }
}

#[test]
fn a_changed_configuration_file_stays_unless_it_is_told_otherwise() {
    let version = |version, text| Deb {
        files: text,
        conffiles: &["/etc/app.conf"],
        ..deb("app", version)
    };
    let Some(room) = Room::new("conffiles", &[version("1", &[("/etc/app.conf", "one\n")])]) else {
        return;
    };
    room.must("apt.install", &json!({ "Packages": ["app"] }));
    let file = room.system.path("etc/app.conf");
    fs::write(&file, "mine\n").unwrap();
    room.system.publish(&[version("2", &[("/etc/app.conf", "two\n")])]);
    let upgrade = |policy: &str| json!({ "Packages": ["app"], "Conffiles": policy });
    room.fails("apt.upgrade", &upgrade("fail"), "Apt.ConffilePrompt");
    room.undo_last();
    assert_eq!(room.system.packages(), ["app 1 ii"]);
    let kept = room.must("apt.upgrade", &json!({ "Packages": ["app"] }));
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine\n");
    room.undo(&kept);
    assert_eq!(room.system.packages(), ["app 1 ii"]);
    room.must("apt.upgrade", &upgrade("replace"));
    assert_eq!(fs::read_to_string(&file).unwrap(), "two\n");
}

#[test]
fn a_script_that_fails_is_told_and_half_a_change_is_undone() {
    let broken = with_postinst("broken", &[("postinst", "if [ -e /broken ]; then exit 7; fi")]);
    let Some(room) = Room::new("scripts", &[broken, deb("fine", "1"), deb("late", "1")]) else {
        return;
    };
    let before = room.system.snapshot();
    fs::write(room.system.path("broken"), "").unwrap();
    let both = json!({ "Packages": ["broken", "fine"] });
    let cause = room.fails("apt.install", &both, "Apt.MaintainerScriptFailed");
    assert!(cause.contains("error exit status 7"), "{cause}");
    assert!(room.system.packages().contains(&"broken 1 iF".to_owned()));
    room.undo_last();
    assert_eq!(room.system.snapshot(), before);

    // Another package's trouble is not ours: the state that was asked for is reached.
    room.fails("apt.install", &both, "Apt.MaintainerScriptFailed");
    let late = room.must("apt.install", &json!({ "Packages": ["late"] }));
    assert_eq!(late["Installed"], json!([{ "Package": "late", "Version": "1" }]));
    assert!(late["Warning"].as_str().unwrap().contains("exit status 7"), "{late}");
    room.undo(&late);

    // What an earlier run left is finished by the way, and told.
    fs::remove_file(room.system.path("broken")).unwrap();
    let late = room.must("apt.install", &json!({ "Packages": ["late"], "Repair": true }));
    assert_eq!((&late["Unrequested"], late.get("Warning")), (&json!(["broken"]), None));
    assert_eq!(room.system.packages(), ["broken 1 ii", "fine 1 ii", "late 1 ii"]);
}

/// Waits at a gate.
const SLOW: &[(&str, &str)] = &[(
    "postinst",
    // It writes more than a pipe takes: nobody may read it any more.
    "touch /started; while [ ! -e /gate ]; do sleep 0.05; done
    n=0; while [ $n -lt 20000 ]; do echo line $n; n=$((n + 1)); done; touch /finished",
)];

#[test]
fn what_an_interrupted_dpkg_left_is_repaired_when_asked() {
    let Some(room) = Room::new("repair", &[with_postinst("slow", SLOW), deb("aa", "1")]) else {
        return;
    };
    let mut apt = room
        .system
        .command("exec apt-get -o Dpkg::Use-Pty=false -y install slow");
    let mut apt = apt
        .process_group(0)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_for(&room.system.path("started"));
    let group = Pid::from_raw(i32::try_from(apt.id()).unwrap()).unwrap();
    rustix::process::kill_process_group(group, Signal::KILL).unwrap();
    apt.wait().unwrap();
    fs::write(room.system.path("gate"), "").unwrap();
    room.fails("apt.install", &json!({ "Packages": ["aa"] }), "Apt.DpkgInterrupted");
    let repaired = room.must("apt.install", &json!({ "Packages": ["aa"], "Repair": true }));
    assert_eq!(repaired["Unrequested"], json!(["slow"]));
    assert_eq!(room.system.packages(), ["aa 1 ii", "slow 1 ii"]);
    let again = room.must("apt.install", &json!({ "Packages": ["aa"], "Repair": true }));
    assert_eq!(again["Changed"], json!(false));
}

#[test]
fn a_task_that_is_not_wanted_any_more_lets_dpkg_finish() {
    let Some(room) = Room::new("cancel", &[with_postinst("slow", SLOW)]) else {
        return;
    };
    let before = room.system.snapshot();
    let mut install = room.state("apt.install", &json!({ "Packages": ["slow"] }));
    install["End"] = json!(true);
    let root = room.system.root.display();
    let script = |script: String, rest: Value| {
        let mut state = json!({ "Type": "Task", "Resource": SHELL, "Parameters": { "Script": script } });
        state.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        state
    };
    let wait = format!("while [ ! -e {root}/started ]; do sleep 0.05; done; exit 9");
    room.scratch.machine(json!({
        "P": { "Type": "Parallel", "Branches": [
            { "StartAt": "Install", "States": { "Install": install } },
            { "StartAt": "Wait", "States": { "Wait": script(wait, json!({ "End": true })) } },
        ], "Catch": [{ "ErrorEquals": ["Shell.NonZeroExit"], "Next": "Open" }], "End": true },
        "Open": script(format!("sleep 0.5; touch {root}/gate"), json!({ "End": true })),
    }));
    // On the rung that this machine has, and in a namespace, where its processes have other ids.
    for isolation in ["auto", "namespace"] {
        let output = room
            .scratch
            .run(&["run", "m.asl.json", "--checkpoints", "cp", "--isolation", isolation]);
        assert!(output.status.success(), "{}", stderr(&output));
        assert!(room.system.path("finished").exists(), "{}", stderr(&output));
        assert_eq!(room.system.packages(), ["slow 1 ii"]);
        // It began nothing more, but what it did is kept for undoing.
        room.undo_last();
        assert_eq!(room.system.snapshot(), before);
        for left in ["started", "finished", "gate"] {
            fs::remove_file(room.system.path(left)).unwrap();
        }
    }
}

#[test]
fn a_download_ends_at_once() {
    let Some(room) = Room::new("download", &[]) else { return };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let sources = room.system.path("etc/apt/sources.list");
    fs::write(sources, format!("deb [trusted=yes] http://{address}/ ./\n")).unwrap();
    let mut state = room.state("apt.update", &json!({}));
    state["End"] = json!(true);
    room.scratch.machine(json!({ "T": state }));
    let mut command = room.scratch.command(&["run", "m.asl.json"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let (connection, _) = listener.accept().unwrap();
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, Signal::INT).unwrap();
    child.wait().unwrap();
    // Nothing of apt is left that could hold the lock.
    let lock = File::options()
        .write(true)
        .open(room.system.path("var/lib/apt/lists/lock"))
        .unwrap();
    rustix::fs::fcntl_lock(&lock, FlockOperation::NonBlockingLockExclusive).unwrap();
    drop(connection);
}

#[test]
fn a_server_that_dies_lets_dpkg_finish_and_can_still_undo_all_of_it() {
    let Some(room) = Room::new("crash", &[with_postinst("slow", SLOW), deb("aa", "1")]) else {
        return;
    };
    let before = room.system.snapshot();
    // Nothing is to be repaired.
    let mut install = room.state("apt.install", &json!({ "Packages": ["aa", "slow"] }));
    install["Next"] = json!("F");
    let definition = json!({ "StartAt": "T", "States": { "T": install, "F": { "Type": "Fail", "Error": "Later" } } });
    let serve = || {
        let arguments = [
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--data",
            "data",
            "--rollback-on-failure",
        ];
        Server::start(room.scratch.command(&arguments)).unwrap()
    };
    let server = serve();
    let mut client = server.client();
    let machine = client.must(
        "CreateStateMachine",
        &json!({ "name": "M", "definition": definition.to_string(), "roleArn": "arn:aws:iam::123456789012:role/R" }),
    );
    let start = json!({ "stateMachineArn": machine["stateMachineArn"], "name": "E" });
    client.must("StartExecution", &start);
    wait_for(&room.system.path("started"));
    drop(server);
    assert!(!room.system.path("finished").exists());
    fs::write(room.system.path("gate"), "").unwrap();
    let server = serve();
    wait_for(&room.system.path("finished"));
    until("all is as before", || room.system.packages().is_empty());
    drop(server);
    assert_eq!(room.system.snapshot(), before);
}

#[test]
fn only_the_superuser_may() {
    let Some(room) = Room::new("root", &[deb("aa", "1")]) else {
        return;
    };
    let mut command = Command::new("chroot");
    command.arg("--userspec=65534:65534").arg(&room.system.root);
    let output = command
        .args(["apt-get", "-y", "install", "aa"])
        .env("LC_ALL", "C")
        .output()
        .unwrap();
    let text = stderr(&output);
    assert_eq!(classify::name(&text), "Apt.PermissionDenied", "{text}");
}

#[test]
fn a_machine_is_provisioned_or_as_it_was() {
    let service = Deb {
        control: "Depends: hello-data\n",
        files: &[
            ("/etc/hello-service.conf", "port = 80\n"),
            ("/opt/hello/run", "hello\n"),
        ],
        conffiles: &["/etc/hello-service.conf"],
        ..deb("hello-service", "1.0-1")
    };
    let Some(room) = Room::new("provision", &[service, deb("hello-data", "1.0-1")]) else {
        return;
    };
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/debian-packages");
    let json =
        |name: &str| -> Value { serde_json::from_str(&fs::read_to_string(fixture.join(name)).unwrap()).unwrap() };
    let run = |input: &str| {
        let mut input = json(input);
        input["root"] = json!(room.system.root);
        let definition = fixture.join("debian-packages.asl.json");
        let definition = definition.to_str().unwrap();
        room.scratch
            .run(&["run", definition, "--input", &input.to_string(), "--checkpoints", "cp"])
    };
    let before = room.system.snapshot();
    let output = run("input-fails.json");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let told = stderr(&output);
    assert!(
        told.contains(r#"Shell.NonZeroExit failed; undone: ["Hold","Configure","Install"]"#),
        "{told}"
    );
    assert_eq!(room.system.snapshot(), before);
    assert_eq!(stdout(&run("input.json")), json("expected.json"));
    assert_eq!(
        room.system.packages(),
        ["hello-data 1.0-1 ii", "hello-service 1.0-1 hi"]
    );
    assert_eq!(stdout(&run("input.json")), json("expected-again.json"));
}
