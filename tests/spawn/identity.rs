//! As whom tasks run: the table, its safety, and what is refused.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::path::PathBuf;

use serde_json::Value;
use serde_json::json;
use stepfn::worker::nursery::Nursery;
use stepfn::worker::spawn::identity::Identities;
use stepfn::worker::spawn::rung::Isolation;

use crate::block_on;
use crate::claim;
use crate::is_root;
use crate::isolations;
use crate::nursery;
use crate::run;
use crate::scratch::SHELL;
use crate::scratch::Scratch;
use crate::scratch::stderr;
use crate::scratch::stdout;
use crate::script;

/// A table of one file, which only its owner can write.
pub(crate) struct Table {
    scratch: Scratch,
}

impl Table {
    pub(crate) fn new(test: &str, rows: &str) -> Self {
        let table = Self {
            scratch: Scratch::new(test),
        };
        fs::create_dir(table.directory()).unwrap();
        table.mode(&table.directory(), 0o755);
        table.write(rows);
        table
    }

    /// Its test's name.
    pub(crate) fn name(&self) -> &str {
        self.scratch.0.file_name().and_then(|name| name.to_str()).unwrap()
    }

    pub(crate) fn directory(&self) -> PathBuf {
        self.scratch.0.join("identities.d")
    }

    fn file(&self) -> PathBuf {
        self.directory().join("orders.toml")
    }

    fn write(&self, rows: &str) {
        fs::write(self.file(), rows).unwrap();
        self.mode(&self.file(), 0o644);
    }

    fn mode(&self, path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn nursery(&self) -> Nursery {
        nursery(Isolation::Auto, Identities::Directory(self.directory()))
    }
}

pub(crate) fn row(role: &str, user: &str, more: &str) -> String {
    format!("[[identity]]\nrole = \"arn:aws:iam::*:role/{role}\"\nuser = \"{user}\"\n{more}\n")
}

pub(crate) fn own_name() -> String {
    let uid = nix::unistd::Uid::effective();
    nix::unistd::User::from_uid(uid).unwrap().unwrap().name
}

/// The error of a task that must not run.
async fn refusal(nursery: &Nursery, role: &str) -> String {
    let error = run(&script("true"), nursery, &claim(role)).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{error}");
    error.to_string()
}

#[test]
fn another_account_is_taken_as_a_whole_or_not_at_all() {
    let rows = row("plain", "nobody", "")
        + &row("grouped", "nobody", "groups = [\"daemon\"]\nno_new_privs = false")
        + &row("home", "daemon", "")
        + &row("lost", "no-such-account", "")
        + &row("odd", "nobody", "groups = [\"no-such-group\"]");
    let table = Table::new("identity-accounts", &rows);
    let text = "id -un; id -G; env | grep -E '^(HOME|USER|PATH)=' | sort; pwd; grep NoNewPrivs /proc/self/status; \
                ls /proc/self/fd | wc -l; cat /etc/shadow 2> /dev/null | wc -l";
    if !is_root() {
        block_on(async {
            let nursery = table.nursery();
            let why = refusal(&nursery, "plain").await;
            assert!(why.contains("only root can run it as `nobody`"), "{why}");
            nursery.end_all().await;
        });
        eprintln!("not root: that tasks take other accounts is not tested here");
        return;
    }
    for (isolation, _) in isolations() {
        block_on(async {
            let nursery = nursery(isolation, Identities::Directory(table.directory()));
            let nobody = [
                "nobody",
                "65534",
                "HOME=/nonexistent",
                "PATH=/usr/local/bin:/usr/bin:/bin",
                "USER=nobody",
                "/",
            ];
            let left = run(&script(text), &nursery, &claim("plain")).await.unwrap();
            let lines: Vec<&str> = left.stdout.lines().map(str::trim).collect();
            assert_eq!(lines[..6], nobody, "{isolation:?}: {left:?}");
            assert_eq!(lines[6..], ["NoNewPrivs:\t1", "4", "0"], "{isolation:?}: {left:?}");
            assert_eq!(left.ran.user, "nobody");
            let left = run(
                &script("id -G; grep NoNewPrivs /proc/self/status"),
                &nursery,
                &claim("grouped"),
            )
            .await;
            assert_eq!(
                left.unwrap().stdout,
                "1 65534\nNoNewPrivs:\t0\n".replace("1 65534", "65534 1")
            );
            let left = run(&script("id -un; pwd"), &nursery, &claim("home")).await.unwrap();
            assert_eq!(left.stdout, "daemon\n/usr/sbin\n");
            for (role, part) in [
                ("lost", "there is no user `no-such-account`"),
                ("odd", "there is no group `no-such-group`"),
                ("stranger", "no row of"),
            ] {
                let why = refusal(&nursery, role).await;
                assert!(why.contains(part), "{why}");
            }
            nursery.end_all().await;
        });
    }
}

#[test]
fn an_account_that_cannot_execute_or_enter_says_so() {
    if !is_root() {
        eprintln!("not root: that tasks take other accounts is not tested here");
        return;
    }
    let table = Table::new("identity-closed", &row("plain", "nobody", ""));
    block_on(async {
        let nursery = table.nursery();
        let closed = table.scratch.0.join("closed");
        fs::create_dir(&closed).unwrap();
        table.mode(&closed, 0o700);
        let mut wanted = script("true");
        wanted.cwd = Some(closed);
        let error = run(&wanted, &nursery, &claim("plain")).await.unwrap_err();
        assert!(error.to_string().contains("cannot be entered by `nobody`"), "{error}");
        nursery.end_all().await;
    });
}

#[test]
fn the_first_row_that_matches_decides() {
    let own = own_name();
    let machine = |machine: &str, state: &str, user: &str| {
        row(
            "r",
            user,
            &format!("state_machine = \"{machine}\"\nstate = \"{state}\""),
        )
    };
    let rows = machine("orders", "Ship*", "no-such-account")
        + &machine("orders*", "*", &own)
        + &row("guest", &own, "assumable_by = [\"arn:aws:iam::*:role/r\"]")
        + &row("private", &own, "")
        + &row("tools", &own, "allow = [\"/usr/bin/*\", \"/bin/*\"]")
        + &row("nothing", &own, "allow = []");
    let table = Table::new("identity-rows", &rows);
    block_on(async {
        let nursery = table.nursery();
        let own_claim = claim("r");
        assert!(run(&script("true"), &nursery, &own_claim).await.is_ok());
        let mut other = own_claim.clone();
        other.state = "Ship it".to_owned();
        let error = run(&script("true"), &nursery, &other).await.unwrap_err();
        assert!(error.to_string().contains("no-such-account"), "{error}");
        let mut other = own_claim.clone();
        other.state_machine = "billing".to_owned();
        let error = run(&script("true"), &nursery, &other).await.unwrap_err();
        assert!(error.to_string().contains("the state machine `billing`"), "{error}");
        // `Credentials`: the role that is taken needs a row that says by whom.
        let assume = |by: &str, role: &str| {
            let mut claim = claim(by);
            claim.assumed_role_arn = Some(format!("arn:aws:iam::123456789012:role/{role}"));
            claim
        };
        assert!(run(&script("true"), &nursery, &assume("r", "guest")).await.is_ok());
        for (by, role) in [("r", "private"), ("private", "guest"), ("r", "stranger")] {
            let error = run(&script("true"), &nursery, &assume(by, role)).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{by} {role}: {error}");
        }
        let mut wanted = script("true");
        assert!(run(&wanted, &nursery, &claim("tools")).await.is_ok());
        for program in ["/usr/bin/../sbin/nologin", "./tool", "/opt/tool"] {
            wanted.argv[0] = program.to_owned();
            let error = run(&wanted, &nursery, &claim("tools")).await.unwrap_err();
            assert!(error.to_string().contains("`allow` of its row"), "{program}: {error}");
        }
        let why = refusal(&nursery, "nothing").await;
        assert!(why.contains("`allow` of its row"), "{why}");
        // A table that changes counts from the next task on.
        table.write(&row("nothing", &own, ""));
        assert!(run(&script("true"), &nursery, &claim("nothing")).await.is_ok());
        fs::remove_file(table.file()).unwrap();
        assert!(refusal(&nursery, "nothing").await.contains("no row of"));
        nursery.end_all().await;
    });
}

#[test]
fn a_table_that_others_could_have_written_lets_nothing_run() {
    let own = own_name();
    let table = Table::new("identity-unsafe", &row("r", &own, ""));
    block_on(async {
        let nursery = table.nursery();
        assert!(run(&script("true"), &nursery, &claim("r")).await.is_ok());
        let check = async |part: &str| {
            let why = refusal(&nursery, "r").await;
            assert!(why.contains(part), "{part}: {why}");
        };
        for mode in [0o666, 0o664] {
            table.mode(&table.file(), mode);
            check("can be written by others").await;
        }
        table.mode(&table.file(), 0o644);
        table.mode(&table.directory(), 0o777);
        check("can be written by others").await;
        table.mode(&table.directory(), 0o755);
        assert!(run(&script("true"), &nursery, &claim("r")).await.is_ok());

        let elsewhere = table.scratch.0.join("elsewhere.toml");
        fs::rename(table.file(), &elsewhere).unwrap();
        symlink(&elsewhere, table.file()).unwrap();
        check("is a symbolic link").await;
        fs::remove_file(table.file()).unwrap();
        fs::create_dir(table.file()).unwrap();
        check("is not a regular file").await;
        fs::remove_dir(table.file()).unwrap();
        fs::rename(&elsewhere, table.file()).unwrap();

        let real = table.scratch.0.join("real");
        fs::rename(table.directory(), &real).unwrap();
        symlink(&real, table.directory()).unwrap();
        check("is a symbolic link or no directory").await;
        fs::remove_file(table.directory()).unwrap();
        check("there is no directory").await;
        fs::rename(&real, table.directory()).unwrap();

        for (text, part) in [
            ("[[identity]]\nuser = 'x'\n", "missing field `role`"),
            (
                "[[identity]]\nrole = 'x'\nuser = 'x'\nusr = 'y'\n",
                "unknown field `usr`",
            ),
            ("[[identities]]\n", "unknown field `identities`"),
            ("role = ", "is not a table"),
        ] {
            table.write(text);
            check(part).await;
        }
        if is_root() {
            table.write(&row("r", &own, ""));
            std::os::unix::fs::chown(table.file(), Some(1), None).unwrap();
            check("is not owned by root").await;
        }
        nursery.end_all().await;
    });
}

#[test]
fn a_state_that_may_not_run_fails_with_its_own_error() {
    // `stepfn run` has the role `stepfn`.
    let table = Table::new("identity-run", &row("stepfn", "no-such-account", ""));
    table.scratch.machine(
        json!({ "T": { "Type": "Task", "Resource": SHELL, "Parameters": { "Script": "echo ran > ran" },
        "Catch": [{ "ErrorEquals": ["Debian.IdentityUnavailable"], "Next": "Caught" }], "End": true },
        "Caught": { "Type": "Pass", "End": true } }),
    );
    let output = table
        .scratch
        .run(&["run", "m.asl.json", "--identities", "identities.d"]);
    let caught = stdout(&output);
    assert_eq!(caught["Error"], "Debian.IdentityUnavailable");
    assert_eq!(
        caught["Cause"],
        "The task cannot run as whom it should: there is no user `no-such-account` on this machine."
    );
    assert!(!table.scratch.0.join("ran").exists());
    // Nor is it told what is there.
    let parameters = json!({ "Script": "true", "Creates": table.file() });
    let task = json!({ "Type": "Task", "Resource": SHELL, "Parameters": parameters, "End": true });
    table.scratch.machine(json!({ "T": task }));
    let output = table
        .scratch
        .run(&["run", "m.asl.json", "--identities", "identities.d"]);
    assert!(stderr(&output).contains("Debian.IdentityUnavailable"), "{output:?}");
    let task = json!({ "Type": "Task", "Resource": SHELL, "Parameters": { "Script": "echo ran > ran" }, "End": true });
    table.scratch.machine(json!({ "T": task }));
    table.write(&row("stepfn", &own_name(), "state = \"T\"\nstate_machine = \"m\""));
    let output = table
        .scratch
        .run(&["run", "m.asl.json", "--identities", "identities.d"]);
    assert!(output.status.success(), "{output:?}");
    assert!(table.scratch.0.join("ran").exists());
}

#[test]
fn what_the_engine_does_itself_is_refused_to_other_accounts() {
    if !is_root() {
        eprintln!("not run: only root can have other accounts");
        return;
    }
    let table = Table::new("identity-own", &row("stepfn", "nobody", ""));
    // Where `nobody` can write: the engine must not do it in his place.
    let open = table.scratch.0.join("open");
    fs::create_dir(&open).unwrap();
    table.mode(&open, 0o777);
    let path = open.join("made");
    for (action, parameters) in [
        ("file.write", json!({ "Path": path, "Content": "x" })),
        ("file.remove", json!({ "Path": table.file() })),
        ("http.request", json!({ "Url": "http://127.0.0.1:9/" })),
        ("systemd.restart", json!({ "Unit": "cron" })),
        ("user.present", json!({ "Name": "somebody" })),
    ] {
        let resource = format!("arn:aws:states:::debian:{action}");
        let task = json!({ "Type": "Task", "Resource": resource, "Parameters": parameters, "End": true });
        table.scratch.machine(json!({ "T": task }));
        let output = table.scratch.run(&[
            "run",
            "m.asl.json",
            "--identities",
            "identities.d",
            "--checkpoints",
            "cp",
        ]);
        assert_eq!(output.status.code(), Some(1), "{action}: {output:?}");
        let said = stderr(&output);
        assert!(said.contains("Debian.IdentityUnavailable"), "{action}: {said}");
        if action != "user.present" {
            let why = format!("`{action}` is done by the engine itself, which cannot become `nobody`");
            assert!(said.contains(&why), "{action}: {said}");
        }
    }
    assert!(!path.exists() && table.file().exists());
}

#[test]
fn doctor_shows_the_table_and_fails_when_it_cannot_be_used() {
    let own = own_name();
    let rows = row("r", &own, "state = \"Pack\"") + &row("lost", "no-such-account", "");
    let table = Table::new("identity-doctor", &rows);
    let doctor = |arguments: &[&str]| {
        let mut all = vec!["doctor", "--identities", "identities.d"];
        all.extend(arguments);
        table.scratch.run(&all)
    };
    let output = doctor(&["--json"]);
    let found: Value = stdout(&output);
    assert_eq!(
        found["identities"]["rows"],
        json!([
            format!("arn:aws:iam::*:role/r * Pack -> {own}"),
            "arn:aws:iam::*:role/lost * * -> no-such-account (not available: there is no user `no-such-account` on this machine)",
        ])
    );
    let text = String::from_utf8(doctor(&[]).stdout).unwrap();
    let state = match crate::doctor()["rungs"][0]["lacks"].as_str() {
        None => "in use".to_owned(),
        Some(lacks) => format!("not available: {lacks}"),
    };
    assert!(
        text.contains(&format!("1 a systemd unit for each task: {state}\n")),
        "{text}"
    );
    assert_eq!(text.matches("in use").count(), 1, "{text}");
    table.mode(&table.file(), 0o666);
    let output = doctor(&[]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(text.contains("no task runs"), "{text}");
    assert_eq!(stderr(&output), "");
}

#[test]
fn a_process_is_not_started_for_others_than_the_engine() {
    let scratch = Scratch::new("identity-spawnd");
    let output = scratch.run(&["spawnd"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("is started by the engine"), "{output:?}");
    let help = String::from_utf8(scratch.run(&["--help"]).stdout).unwrap();
    assert!(!help.contains("spawnd"), "{help}");
}

#[test]
fn a_change_is_undone_in_the_name_of_the_task_that_made_it() {
    // Only the state `Change` may run anything, and so may what undoes it.
    let own = own_name();
    let table = Table::new("identity-undo", &row("stepfn", &own, "state = \"Change\""));
    let made = table.scratch.0.join("undone");
    let undo = json!(["touch", made]);
    table.scratch.machine(json!({
        "Change": { "Type": "Task", "Resource": SHELL, "Parameters": { "Command": ["true"], "Undo": undo }, "Next": "Fail" },
        "Fail": { "Type": "Fail", "Error": "Planned" }
    }));
    let output = table.scratch.run(&[
        "run",
        "m.asl.json",
        "--identities",
        "identities.d",
        "--checkpoints",
        "checkpoints",
        "--rollback-on-failure",
    ]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(stderr(&output).contains("Planned"), "{output:?}");
    assert!(made.exists(), "{output:?}");
}
