//! `stepfn can`: what the rules of a directory say.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

fn can(roles: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_stepfn"))
        .arg("can")
        .args(arguments)
        .arg("--roles")
        .arg(roles)
        .args(["--server-user", "root"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    (output.status.code(), text.replace(&*roles.display().to_string(), "D"))
}

#[test]
fn the_rule_that_decides_is_named() {
    let roles = std::env::temp_dir().join(format!("stepfn-can-{}", std::process::id()));
    std::fs::create_dir_all(&roles).unwrap();
    std::fs::set_permissions(&roles, std::fs::Permissions::from_mode(0o755)).unwrap();
    let rules = "[[rule]]\nuser = 'daemon'\nactions = ['start']\nmachines = ['deploy-*']\n";
    std::fs::write(roles.join("a.toml"), rules).unwrap();
    std::fs::set_permissions(roles.join("a.toml"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let mut text = String::new();
    for arguments in [
        ["daemon", "StartExecution", "deploy-web"],
        ["daemon", "stop", "deploy-web"],
        ["root", "deploy", "*"],
        ["nobody-of-that-name", "read", "*"],
        ["daemon", "fly", "*"],
    ] {
        let (code, told) = can(&roles, &arguments);
        text += &format!("{code:?} {told}");
    }
    std::fs::remove_dir_all(&roles).unwrap();
    if !rustix::process::geteuid().is_root() {
        // The files are this user's then, which a server of root does not trust.
        assert!(text.contains("cannot be used"), "{text}");
        return;
    }
    expect_test::expect![[r#"
        Some(0) daemon may StartExecution the state machine `deploy-web`: by the rule at D/a.toml:1.
        Some(1) daemon may not stop the state machine `deploy-web`: because no rule in D gives it, nor the membership in one of the groups stepfn-operator, stepfn-admin.
        Some(0) root may deploy all state machines: by the rule that root may do all.
        Some(2) error: there is no user `nobody-of-that-name` on this machine
        Some(2) error: there is no action `fly`
        hint: actions are read, start, stop, approve, deploy, and the operations of the API
    "#]]
    .assert_eq(&text);
}
