//! Decides who may do what: rules that are built in, the rules of `roles.d`, the groups of the roles.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;

use crate::identity::caller::Caller;
use crate::identity::permission::Asked;
use crate::identity::permission::Role;
use crate::identity::policy_directory::PolicyDirectory;
use crate::identity::policy_directory::Print;
use crate::identity::role;
use crate::identity::role::Effect;
use crate::identity::role::RoleFile;
use crate::identity::role::Rule;
use crate::model::decision::Decision;
use crate::model::principal::PrincipalKind;

/// Where the rules are when nobody says otherwise.
pub const DIRECTORY: &str = "/etc/stepfn/roles.d";
/// How long rules are taken as they were read: what is taken away is gone after this.
const FRESH_TIME: Duration = Duration::from_secs(1);

/// What decides.
#[derive(Debug)]
pub struct Policy {
    directory: PathBuf,
    own: u32,
    is_operation: fn(&str) -> bool,
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    read_at: Option<Instant>,
    print: Vec<Print>,
    rules: Result<Arc<[Rule]>, String>,
}

impl Policy {
    /// Makes one of the rules in a directory; without the directory only what is built in holds. `is_operation` tells
    /// whether the API has an operation whose name matches a pattern.
    pub fn new(directory: PathBuf, is_operation: fn(&str) -> bool) -> Self {
        Self {
            directory,
            own: rustix::process::geteuid().as_raw(),
            is_operation,
            known: Mutex::new(Known {
                read_at: None,
                print: Vec::new(),
                rules: Ok(Arc::from([])),
            }),
        }
    }

    /// Lets the user of another server than this process be the one who may do all.
    #[must_use]
    pub fn of_server(mut self, uid: u32) -> Self {
        self.own = uid;
        self
    }

    /// Makes one without rules of a directory: only what is built in holds.
    pub fn built_in() -> Self {
        Self::new(PathBuf::from("/nonexistent"), |_| false)
    }

    /// Decides.
    pub fn decide(&self, caller: &Caller, asked: &Asked<'_>) -> Decision {
        if let Some(rule) = self.owner(caller) {
            return Decision::allowed(rule);
        }
        let rules = match self.rules() {
            Ok(rules) => rules,
            Err(error) => return Decision::refused(format!("the rules cannot be used: {error}")),
        };
        let find = |effect| {
            let mut of_effect = rules.iter().filter(|rule| rule.effect == effect);
            of_effect.find(|rule| rule.covers(caller, asked))
        };
        if let Some(rule) = find(Effect::Deny) {
            return Decision::refused(format!("the rule at {} denies it", rule.place));
        }
        if let Some(rule) = find(Effect::Allow) {
            return Decision::allowed(format!("the rule at {}", rule.place));
        }
        let role = Role::ALL
            .into_iter()
            .filter(|role| role.has(asked.permission))
            .find(|role| caller.groups.iter().any(|group| **group == *role.group()));
        match role {
            Some(role) => Decision::allowed(format!("the group {}", role.group())),
            None => Decision::refused(self.nothing(asked)),
        }
    }

    /// Returns the rules of the directory, as far as they can be used.
    ///
    /// # Errors
    /// They cannot: a sentence without its end.
    pub fn rules(&self) -> Result<Arc<[Rule]>, String> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.read_at.is_none_or(|at| FRESH_TIME <= at.elapsed()) {
            self.refresh(&mut known);
            known.read_at = Some(Instant::now());
        }
        known.rules.clone()
    }

    fn refresh(&self, known: &mut Known) {
        let found = PolicyDirectory::open(&self.directory, self.own).and_then(|directory| {
            let Some(directory) = directory else {
                return Ok(None);
            };
            let (print, names) = directory.files()?;
            Ok(Some((directory, print, names)))
        });
        let (print, rules) = match found {
            Ok(None) => (Vec::new(), Ok(Arc::from([]))),
            Ok(Some((_, print, _))) if known.rules.is_ok() && !print.is_empty() && known.print == print => return,
            Ok(Some((directory, print, names))) => {
                let rules = directory.read::<RoleFile>(&names);
                let rules = rules
                    .and_then(|files| role::rules(files, self.is_operation))
                    .map(Arc::from);
                (print, rules)
            }
            Err(error) => (Vec::new(), Err(error)),
        };
        if let Err(error) = &rules
            && known.rules.as_ref().err() != Some(error)
        {
            tracing::error!("The rules of who may do what cannot be used, so only root and this user may: {error}.");
        }
        (known.print, known.rules) = (print, rules);
    }

    fn owner(&self, caller: &Caller) -> Option<&'static str> {
        let principal = &caller.principal;
        match (principal.kind, principal.uid) {
            // A task whose starter is not known is not the server.
            (PrincipalKind::Process, _) if principal.via.is_none() => Some("the server itself"),
            // A token is somebody's word, not the kernel's: only rules speak for it.
            (PrincipalKind::Oidc, _) => None,
            (_, Some(0)) => Some("the rule that root may do all"),
            (_, Some(uid)) if uid == self.own => Some("the rule that the server's own user may do all"),
            _ => None,
        }
    }

    /// Says what would be needed.
    fn nothing(&self, asked: &Asked<'_>) -> String {
        let mut text = format!("no rule in {} gives it", self.directory.display());
        let groups: Vec<&str> = Role::ALL
            .into_iter()
            .filter(|role| role.has(asked.permission))
            .map(Role::group)
            .collect();
        let _ = write!(text, ", nor the membership in one of the groups {}", groups.join(", "));
        text
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use super::*;
    use crate::identity::permission::Permission;
    use crate::identity::permission::Target;
    use crate::model::principal::Principal;

    const RULES: &str = r#"
[[rule]]
group = "deployers"
actions = ["start", "read"]
machines = ["deploy-*"]

[[rule]]
user = "ci"
actions = ["StartExecution"]

[[rule]]
claim = { issuer = "https://id.example", name = "roles", value = "ops*" }
role = "operator"

[[rule]]
key = "AKIAEXAMPLE"
role = "viewer"
machines = ["*"]

[[rule]]
machine_role = "arn:aws:iam::*:role/parent"
actions = ["start"]
machines = ["child"]

[[rule]]
group = "interns"
effect = "deny"
actions = ["deploy", "stop"]
"#;

    fn is_operation(pattern: &str) -> bool {
        ["StartExecution", "StopExecution"]
            .iter()
            .any(|name| crate::model::glob::matches(pattern, name))
    }

    fn policy(name: &str, text: &str) -> (Policy, PathBuf) {
        let directory = std::env::temp_dir().join(format!("stepfn-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::write(directory.join("a.toml"), text).unwrap();
        (Policy::new(directory.clone(), is_operation), directory)
    }

    fn caller(kind: PrincipalKind, name: &str, uid: Option<u32>, groups: &[&str]) -> Caller {
        let mut caller = Caller::new(Principal {
            uid,
            ..Principal::new(kind, name)
        });
        caller.groups = groups.iter().map(|group| Arc::from(*group)).collect();
        caller
    }

    fn asked(permission: Permission, machine: &str) -> Asked<'static> {
        let operation = match permission {
            Permission::Start => "StartExecution",
            Permission::Stop => "StopExecution",
            _ => "Other",
        };
        Asked {
            operation,
            permission,
            target: match machine {
                "*" => Target::All,
                "" => Target::Nothing,
                name => Target::Machine(name.to_owned()),
            },
            passed_role: None,
        }
    }

    #[test]
    fn the_first_rule_that_covers_it_decides_and_says_so() {
        let (policy, directory) = policy("rules", RULES);
        let token = |claims: serde_json::Value| {
            let mut found = caller(PrincipalKind::Oidc, "amy", None, &[]);
            let mut principal = (*found.principal).clone();
            principal.issuer = Some("https://id.example".into());
            found.principal = Arc::new(principal);
            found.claims = claims.as_object().cloned().unwrap_or_default();
            found
        };
        let key = {
            let mut found = caller(PrincipalKind::AccessKey, "kim", Some(70_001), &[]);
            let mut principal = (*found.principal).clone();
            principal.key_id = Some("AKIAEXAMPLE".into());
            found.principal = Arc::new(principal);
            found
        };
        let unix = |name: &str, groups: &[&str]| caller(PrincipalKind::UnixSocket, name, Some(70_000), groups);
        let own = rustix::process::geteuid().as_raw();
        let cases = [
            (
                caller(PrincipalKind::Loopback, "root", Some(0), &[]),
                None,
                asked(Permission::Deploy, "x"),
            ),
            (
                caller(PrincipalKind::Oidc, "root", Some(0), &[]),
                None,
                asked(Permission::Read, "x"),
            ),
            (
                unix("dev", &["deployers"]),
                None,
                asked(Permission::Start, "deploy-web"),
            ),
            (unix("dev", &["deployers"]), None, asked(Permission::Start, "other")),
            (unix("dev", &["deployers"]), None, asked(Permission::Read, "*")),
            (unix("dev", &["deployers"]), None, asked(Permission::Read, "")),
            (unix("ci", &[]), None, asked(Permission::Start, "any")),
            (unix("ci", &[]), None, asked(Permission::Stop, "any")),
            (
                token(serde_json::json!({ "roles": ["x", "ops-eu"] })),
                None,
                asked(Permission::Stop, "any"),
            ),
            (
                token(serde_json::json!({ "roles": "dev" })),
                None,
                asked(Permission::Stop, "any"),
            ),
            (token(serde_json::json!({})), None, asked(Permission::Read, "any")),
            (key, None, asked(Permission::Read, "*")),
            (
                unix("dev", &[]),
                Some("arn:aws:iam::1:role/parent"),
                asked(Permission::Start, "child"),
            ),
            (
                unix("dev", &[]),
                Some("arn:aws:iam::1:role/other"),
                asked(Permission::Start, "child"),
            ),
            (unix("dev", &["stepfn-viewer"]), None, asked(Permission::Read, "*")),
            (unix("dev", &["stepfn-viewer"]), None, asked(Permission::Start, "x")),
            (unix("dev", &["stepfn-operator"]), None, asked(Permission::Approve, "x")),
            (unix("dev", &["stepfn-admin"]), None, asked(Permission::Deploy, "x")),
            (
                unix("dev", &["stepfn-admin", "interns"]),
                None,
                asked(Permission::Deploy, "x"),
            ),
            (
                unix("dev", &["stepfn-admin", "interns"]),
                None,
                asked(Permission::Start, "x"),
            ),
        ];
        let me = caller(PrincipalKind::Loopback, "me", Some(own), &[]);
        assert!(policy.decide(&me, &asked(Permission::Deploy, "x")).is_allowed);
        let mut text = String::new();
        for (caller, role, asked) in &cases {
            let caller = Caller {
                machine_role: role.map(Arc::from),
                ..caller.clone()
            };
            let decision = policy.decide(&caller, asked);
            let _ = writeln!(
                text,
                "{} {:?} {} {}: {} ({})",
                caller.principal,
                caller.groups.iter().map(|group| &**group).collect::<Vec<_>>(),
                asked.permission.word(),
                asked.target,
                if decision.is_allowed { "yes" } else { "no" },
                decision.rule.replace(&*directory.display().to_string(), "D")
            );
        }
        std::fs::remove_dir_all(&directory).unwrap();
        expect_test::expect![[r#"
            root [] deploy the state machine `x`: yes (the rule that root may do all)
            root [] read the state machine `x`: no (no rule in D gives it, nor the membership in one of the groups stepfn-viewer, stepfn-operator, stepfn-admin)
            dev ["deployers"] start the state machine `deploy-web`: yes (the rule at D/a.toml:2)
            dev ["deployers"] start the state machine `other`: no (no rule in D gives it, nor the membership in one of the groups stepfn-operator, stepfn-admin)
            dev ["deployers"] read all state machines: no (no rule in D gives it, nor the membership in one of the groups stepfn-viewer, stepfn-operator, stepfn-admin)
            dev ["deployers"] read this server: yes (the rule at D/a.toml:2)
            ci [] start the state machine `any`: yes (the rule at D/a.toml:7)
            ci [] stop the state machine `any`: no (no rule in D gives it, nor the membership in one of the groups stepfn-operator, stepfn-admin)
            amy [] stop the state machine `any`: yes (the rule at D/a.toml:11)
            amy [] stop the state machine `any`: no (no rule in D gives it, nor the membership in one of the groups stepfn-operator, stepfn-admin)
            amy [] read the state machine `any`: no (no rule in D gives it, nor the membership in one of the groups stepfn-viewer, stepfn-operator, stepfn-admin)
            kim [] read all state machines: yes (the rule at D/a.toml:15)
            dev [] start the state machine `child`: yes (the rule at D/a.toml:20)
            dev [] start the state machine `child`: no (no rule in D gives it, nor the membership in one of the groups stepfn-operator, stepfn-admin)
            dev ["stepfn-viewer"] read all state machines: yes (the group stepfn-viewer)
            dev ["stepfn-viewer"] start the state machine `x`: no (no rule in D gives it, nor the membership in one of the groups stepfn-operator, stepfn-admin)
            dev ["stepfn-operator"] approve the state machine `x`: yes (the group stepfn-operator)
            dev ["stepfn-admin"] deploy the state machine `x`: yes (the group stepfn-admin)
            dev ["stepfn-admin", "interns"] deploy the state machine `x`: no (the rule at D/a.toml:25 denies it)
            dev ["stepfn-admin", "interns"] start the state machine `x`: yes (the group stepfn-admin)
        "#]].assert_eq(&text);
    }

    #[test]
    fn what_a_rule_cannot_say_is_told_with_its_place() {
        let cases = [
            "[[rule]]\nrole = 'viewer'\n",
            "\n\n[[rule]]\nuser = 'a'\n",
            "[[rule]]\nuser = 'a'\nrole = 'boss'\n",
            "[[rule]]\nuser = 'a'\nactions = ['fly']\n",
            "[[rule]]\nuser = 'a'\nactions = []\n",
            "[[rule]]\nuser = 'a'\nrole = 'admin'\nactions = ['read']\n",
            "[[rule]]\nuser = 'a'\nrole = 'admin'\n",
            "[[rule]]\nuser = 'a'\nrole = 'admin'\nmachines = []\n",
            "[[rule]]\nuser = 'a'\nrole = 'admin'\nmachine = 'x'\n",
            "[[rule]",
        ];
        let mut text = String::new();
        for (number, case) in cases.into_iter().enumerate() {
            let (policy, directory) = policy(&format!("wrong-{number}"), case);
            let error = policy.rules().unwrap_err();
            let decision = policy.decide(
                &caller(PrincipalKind::UnixSocket, "a", Some(70_000), &["stepfn-admin"]),
                &asked(Permission::Read, "x"),
            );
            assert!(!decision.is_allowed, "{case}");
            text += &error.replace(&*directory.display().to_string(), "D");
            text += "\n";
            std::fs::remove_dir_all(&directory).unwrap();
        }
        expect_test::expect![[r#"
            the rule at `D/a.toml:1` names nobody: give it `user`, `group`, `key`, `claim` or `machine_role`
            the rule at `D/a.toml:3` allows nothing: give it `role` or `actions`
            the rule at `D/a.toml:1` has the role `boss`, which there is not: the roles are viewer, operator and admin
            the rule at `D/a.toml:1` has the action `fly`, which there is not: actions are read, start, stop, approve, deploy, and the operations of the API
            the rule at `D/a.toml:1` has no action in `actions`
            the rule at `D/a.toml:1` has both `role` and `actions`: one of them says it
            the rule at `D/a.toml:1` lets somebody deploy, but with no role: name the roles in `pass_roles`, as patterns of ARNs; a role decides as which account tasks run
            the rule at `D/a.toml:1` has no pattern in `machines`
            `D/a.toml` is not a table: TOML parse error at line 4, column 1
              |
            4 | machine = 'x'
              | ^^^^^^^
            unknown field `machine`, expected one of `user`, `group`, `key`, `claim`, `machine_role`, `role`, `actions`, `machines`, `pass_roles`, `effect`

            `D/a.toml` is not a table: TOML parse error at line 1, column 8
              |
            1 | [[rule]
              |        ^
            unclosed array table, expected `]`

        "#]].assert_eq(&text);
    }

    #[test]
    fn rules_that_others_could_have_written_are_none() {
        let (policy, directory) = policy("loose", RULES);
        std::fs::set_permissions(directory.join("a.toml"), std::fs::Permissions::from_mode(0o666)).unwrap();
        let error = policy.rules().unwrap_err();
        std::fs::remove_dir_all(&directory).unwrap();
        assert!(error.contains("can be written by others"), "{error}");
        let nowhere = Policy::new(Path::new("/nonexistent/roles.d").to_owned(), is_operation);
        assert_eq!(nowhere.rules().unwrap().len(), 0);
    }
}
