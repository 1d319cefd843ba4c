//! The actions on units, with a systemd that is at the other end of a real D-Bus connection.

use serde_json::Value;
use serde_json::json;

use crate::model::states_error::StatesError;
use crate::worker::action::ActionSite;
use crate::worker::action::checkpoint::Checkpoints;
use crate::worker::action::host::Host;
use crate::worker::action::lock::Locks;
use crate::worker::action::systemd::Bus;
use crate::worker::action::systemd::is_unit;
use crate::worker::action::systemd::testing::FakeSystemd;
use crate::worker::action::systemd::testing::FakeUnit;
use crate::worker::action::systemd::testing::STOPPED;
use crate::worker::action::testing::Bench;
use crate::worker::action::testing::Scratch;

const RUNNING: FakeUnit = FakeUnit {
    active_state: "active",
    file_state: "enabled",
    ..STOPPED
};

struct Machine {
    _scratch: Scratch,
    systemd: FakeSystemd,
    bench: Bench,
}

impl Machine {
    fn new(units: &[(&str, FakeUnit)]) -> Self {
        Self::with(ActionSite::default(), units)
    }

    fn with(site: ActionSite, units: &[(&str, FakeUnit)]) -> Self {
        let scratch = Scratch::new();
        let path = scratch.path().join("systemd");
        Self {
            systemd: FakeSystemd::start(&path, units),
            bench: Bench::with(ActionSite {
                checkpoints: Some(Checkpoints::durable(scratch.path().join("checkpoints"))),
                locks: Locks::in_directory(scratch.path().join("locks")),
                host: Host {
                    systemd: Bus::Peer(path),
                    ..Host::default()
                },
                ..site
            }),
            _scratch: scratch,
        }
    }

    async fn run(&mut self, action: &str, unit: &str) -> Result<Value, StatesError> {
        self.bench.run(action, &json!({ "Unit": unit })).await
    }

    async fn undo_twice(&mut self, result: &Value) {
        let id = &result["Checkpoint"];
        self.bench.run("undo", &json!({ "Checkpoint": id })).await.unwrap();
        self.bench.undo_again(id.as_str().unwrap()).await.unwrap();
    }

    fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.systemd.world().calls)
    }
}

#[tokio::test]
async fn a_unit_becomes_as_asked_once_and_is_restored() {
    for (action, before, unit_after, calls, undone) in [
        (
            "systemd.start",
            STOPPED,
            ("active", "disabled"),
            ["StartUnit u.service"],
            vec!["StopUnit u.service"],
        ),
        (
            "systemd.stop",
            RUNNING,
            ("inactive", "enabled"),
            ["StopUnit u.service"],
            vec!["StartUnit u.service"],
        ),
        (
            "systemd.enable",
            STOPPED,
            ("inactive", "enabled"),
            ["EnableUnitFiles u.service"],
            vec!["DisableUnitFiles u.service"],
        ),
        (
            "systemd.disable",
            RUNNING,
            ("active", "disabled"),
            ["DisableUnitFiles u.service"],
            vec!["EnableUnitFiles u.service"],
        ),
    ] {
        let mut machine = Machine::new(&[("u.service", before.clone())]);
        let done = machine.run(action, "u").await.unwrap();
        assert_eq!(
            (
                &done["Unit"],
                &done["ActiveState"],
                &done["UnitFileState"],
                &done["Changed"]
            ),
            (
                &json!("u.service"),
                &json!(unit_after.0),
                &json!(unit_after.1),
                &json!(true)
            ),
            "{action}"
        );
        assert_eq!(machine.calls(), calls, "{action}");
        let again = machine.run(action, "u.service").await.unwrap();
        assert_eq!(
            (&again["Changed"], &again["Checkpoint"]),
            (&json!(false), &Value::Null),
            "{action}"
        );
        assert_eq!(machine.calls(), Vec::<String>::new(), "{action}");
        machine.undo_twice(&done).await;
        assert_eq!(machine.calls(), undone, "{action}");
        let now = machine.run("systemd.status", "u").await.unwrap();
        assert_eq!(
            (&now["ActiveState"], &now["UnitFileState"]),
            (&json!(before.active_state), &json!(before.file_state)),
            "{action}"
        );
    }
}

#[tokio::test]
async fn a_service_that_is_to_end_has_been_started_when_it_has_ended() {
    let once = FakeUnit {
        started: "inactive",
        service_type: "oneshot",
        ..STOPPED
    };
    let mut machine = Machine::new(&[("once.service", once)]);
    for _ in 0..2 {
        let done = machine.run("systemd.start", "once").await.unwrap();
        assert_eq!(
            (&done["ActiveState"], &done["Type"]),
            (&json!("inactive"), &json!("oneshot"))
        );
        assert_eq!(machine.calls(), ["StartUnit once.service"]);
    }
}

#[tokio::test]
async fn restart_and_reload_are_always_done() {
    let mut machine = Machine::new(&[("u.service", RUNNING), ("s.service", STOPPED)]);
    for unit in ["u", "u", "s"] {
        let done = machine.run("systemd.restart", unit).await.unwrap();
        assert_eq!(
            (&done["ActiveState"], &done["Changed"]),
            (&json!("active"), &json!(true))
        );
        if unit == "s" {
            machine.calls();
            machine.undo_twice(&done).await;
            assert_eq!(machine.calls(), ["StopUnit s.service"]);
        }
    }
    let done = machine.run("systemd.reload", "u").await.unwrap();
    assert_eq!((&done["Changed"], &done["Checkpoint"]), (&json!(true), &Value::Null));
    assert_eq!(machine.calls(), ["ReloadUnit u.service"]);
}

#[tokio::test]
async fn a_task_that_is_issued_again_keeps_what_was_first() {
    let mut machine = Machine::new(&[("u.service", STOPPED)]);
    let done = machine.run("systemd.start", "u").await.unwrap();
    let again = machine
        .bench
        .run_again("systemd.start", &json!({ "Unit": "u" }))
        .await
        .unwrap();
    assert_eq!(again["Checkpoint"], done["Checkpoint"]);
    assert_eq!(machine.calls(), ["StartUnit u.service"]);
    machine.undo_twice(&again).await;
    assert_eq!(machine.calls(), ["StopUnit u.service"]);
}

#[tokio::test]
async fn a_unit_that_does_not_become_as_asked_is_told() {
    let unit = |change: fn(&mut FakeUnit)| {
        let mut unit = STOPPED;
        change(&mut unit);
        unit
    };
    let mut machine = Machine::new(&[
        ("fails.service", unit(|unit| unit.job_result = "failed")),
        ("depends.service", unit(|unit| unit.job_result = "dependency")),
        ("dies.service", unit(|unit| unit.started = "failed")),
        ("ends.service", unit(|unit| unit.started = "inactive")),
        ("loops.service", unit(|unit| unit.started = "activating")),
        ("never.service", unit(|unit| unit.job_result = "never")),
        ("masked.service", unit(|unit| unit.load_state = "masked")),
        ("static.service", unit(|unit| unit.file_state = "static")),
        ("forbidden.service", STOPPED),
        ("stopped.service", STOPPED),
    ]);
    for (action, name, expected, part) in [
        (
            "start",
            "fails",
            "Systemd.JobFailed",
            "ended with `failed`; the unit is failed",
        ),
        ("start", "depends", "Systemd.JobFailed", "ended with `dependency`"),
        ("start", "dies", "Systemd.JobFailed", "is to be active, but is failed"),
        ("start", "ends", "Systemd.JobFailed", "is to be active, but is inactive"),
        (
            "restart",
            "loops",
            "Systemd.JobFailed",
            "is to be active, but is activating",
        ),
        ("start", "never", "Systemd.TimedOut", "not done after 1 seconds"),
        ("start", "masked", "Systemd.Masked", "is masked"),
        ("enable", "static", "Systemd.NotInstallable", "its file is \"static\""),
        ("enable", "forbidden", "Systemd.PermissionDenied", "Permission denied"),
        ("reload", "stopped", "Systemd.NotActive", "does not run"),
        ("start", "no-such", "Systemd.NoSuchUnit", "is not there"),
        ("stop", "no-such", "Systemd.NoSuchUnit", "is not there"),
    ] {
        let mut parameters = json!({ "Unit": name });
        if name == "never" {
            parameters["TimeoutSeconds"] = json!(1);
        }
        let error = machine
            .bench
            .run(&format!("systemd.{action}"), &parameters)
            .await
            .unwrap_err();
        let cause = error.cause.unwrap_or_default();
        assert_eq!(error.name.as_deref(), Some(expected), "{action} {name}: {cause}");
        assert!(cause.contains(part), "{action} {name}: {cause}");
    }
    let status = machine.run("systemd.status", "no-such").await.unwrap();
    assert_eq!(
        (&status["LoadState"], &status["Changed"]),
        (&json!("not-found"), &json!(false))
    );
}

#[tokio::test]
async fn where_there_is_no_systemd_the_error_is_clear() {
    let scratch = Scratch::new();
    let mut bench = Bench::with(ActionSite {
        host: Host {
            systemd: Bus::Peer(scratch.path().join("absent")),
            ..Host::default()
        },
        locks: Locks::in_directory(scratch.path().join("locks")),
        ..ActionSite::default()
    });
    let error = bench.run("systemd.status", &json!({ "Unit": "u" })).await.unwrap_err();
    assert_eq!(error.name.as_deref(), Some("Systemd.NotAvailable"));
    // On this machine itself, if it is not systemd's.
    if !std::path::Path::new("/run/systemd/system").is_dir() {
        let error = Bench::new(&scratch)
            .run("systemd.start", &json!({ "Unit": "u" }))
            .await
            .unwrap_err();
        assert_eq!(error.name.as_deref(), Some("Systemd.NotAvailable"));
        assert!(error.cause.unwrap().contains("not the first process"));
    }
}

#[tokio::test]
async fn a_plan_changes_nothing() {
    let mut machine = Machine::with(ActionSite::planning(), &[("u.service", STOPPED)]);
    for action in ["start", "stop", "enable", "restart", "status"] {
        machine.run(&format!("systemd.{action}"), "u").await.unwrap();
    }
    let plans: Vec<_> = machine
        .bench
        .actions()
        .plans()
        .into_iter()
        .map(|plan| plan.changes.join(""))
        .collect();
    assert_eq!(
        plans,
        ["start u.service", "", "enable u.service", "restart u.service", ""]
    );
    assert_eq!(machine.calls(), Vec::<String>::new());
}

#[test]
fn a_name_is_neither_path_nor_option() {
    for name in [
        "nginx",
        "a@b.service",
        "dev-sda.mount",
        "-.mount",
        r"a\x2db.service",
        "a.b.timer",
    ] {
        assert!(is_unit(name), "{name}");
    }
    let long = "a".repeat(250);
    for name in [
        "",
        "/etc/x.service",
        "a/b",
        "--now",
        "-a",
        "a b",
        "a\n",
        "*",
        "../x",
        ".service",
        "@a",
        &long,
    ] {
        assert!(!is_unit(name), "{name}");
    }
}
