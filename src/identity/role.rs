//! The rules of `roles.d`: who may do what with which state machine.

use serde::Deserialize;
use toml::Spanned;

use crate::identity::caller::Caller;
use crate::identity::permission::Asked;
use crate::identity::permission::Permission;
use crate::identity::permission::Role;
use crate::identity::permission::Target;
use crate::identity::policy_directory::PolicyFile;
use crate::model::glob;

/// What a rule does to those whom it names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// They may.
    #[default]
    Allow,
    /// They may not, whatever other rules and groups say.
    Deny,
}

/// A file of `roles.d`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleFile {
    #[serde(default)]
    rule: Vec<Spanned<RuleTable>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleTable {
    user: Option<String>,
    group: Option<String>,
    key: Option<String>,
    claim: Option<Claim>,
    machine_role: Option<String>,
    role: Option<String>,
    actions: Option<Vec<String>>,
    machines: Option<Vec<String>>,
    pass_roles: Option<Vec<String>>,
    #[serde(default)]
    effect: Effect,
}

/// A claim of a token.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claim {
    issuer: String,
    name: String,
    value: String,
}

/// One rule, checked.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Where it stands: `/etc/stepfn/roles.d/ops.toml:4`.
    pub place: String,
    /// What it does.
    pub effect: Effect,
    who: RuleTable,
    permissions: Vec<Permission>,
    operations: Vec<String>,
    machines: Vec<String>,
    pass_roles: Vec<String>,
}

impl Rule {
    /// Tells whether it speaks of what a caller asks for.
    pub fn covers(&self, caller: &Caller, asked: &Asked<'_>) -> bool {
        self.names(caller) && self.is_about(asked)
    }

    fn names(&self, caller: &Caller) -> bool {
        let principal = &caller.principal;
        let who = &self.who;
        // Everything that the rule says of them must hold.
        who.user
            .as_ref()
            .is_none_or(|user| principal.uid.is_some() && glob::matches(user, &principal.name))
            && who
                .group
                .as_ref()
                .is_none_or(|group| caller.groups.iter().any(|found| **found == **group))
            && who
                .key
                .as_ref()
                .is_none_or(|key| principal.key_id.as_deref() == Some(key))
            && who.claim.as_ref().is_none_or(|claim| claim.is_in(caller))
            && who.machine_role.as_ref().is_none_or(|pattern| {
                let role = caller.machine_role.as_deref();
                role.is_some_and(|role| glob::matches(pattern, role))
            })
    }

    fn is_about(&self, asked: &Asked<'_>) -> bool {
        let has_action = self.permissions.contains(&asked.permission)
            || self
                .operations
                .iter()
                .any(|pattern| glob::matches(pattern, asked.operation));
        let has_target = match (&asked.target, self.effect) {
            (Target::Nothing, _) => true,
            // Who may not see one of them may not see the list of all.
            (Target::All, Effect::Deny) => true,
            (Target::All, Effect::Allow) => self.machines.iter().any(|pattern| pattern == "*"),
            (target, _) => {
                let text = target.pattern_text().unwrap_or_default();
                self.machines.iter().any(|pattern| glob::matches(pattern, &text))
            }
        };
        // Whoever chooses a definition's role chooses the account of its tasks.
        let may_pass = match (&asked.passed_role, self.effect) {
            (Some(role), Effect::Allow) => self.pass_roles.iter().any(|pattern| glob::matches(pattern, role)),
            _ => true,
        };
        has_action && has_target && may_pass
    }
}

impl Claim {
    fn is_in(&self, caller: &Caller) -> bool {
        let matches = |value: &serde_json::Value| match value {
            serde_json::Value::String(text) => glob::matches(&self.value, text),
            serde_json::Value::Bool(flag) => self.value == if *flag { "true" } else { "false" },
            serde_json::Value::Number(number) => glob::matches(&self.value, &number.to_string()),
            _ => false,
        };
        caller.principal.issuer.as_deref() == Some(&*self.issuer)
            && match caller.claims.get(&self.name) {
                Some(serde_json::Value::Array(values)) => values.iter().any(matches),
                Some(value) => matches(value),
                None => false,
            }
    }
}

/// Checks the rules of the files, in their order. `is_operation` tells whether the API has an operation whose name
/// matches a pattern.
///
/// # Errors
/// A rule says nothing, or what there is not: a sentence without its end, with the place.
pub fn rules(files: Vec<PolicyFile<RoleFile>>, is_operation: fn(&str) -> bool) -> Result<Vec<Rule>, String> {
    let mut rules = Vec::new();
    for file in files {
        for spanned in file.table.rule {
            let line = 1 + file.text[..spanned.span().start.min(file.text.len())]
                .matches('\n')
                .count();
            let place = format!("{}:{line}", file.path.display());
            let rule = checked(spanned.into_inner(), place.clone(), is_operation);
            rules.push(rule.map_err(|what| format!("the rule at `{place}` {what}"))?);
        }
    }
    Ok(rules)
}

fn checked(table: RuleTable, place: String, is_operation: fn(&str) -> bool) -> Result<Rule, String> {
    if table.user.is_none()
        && table.group.is_none()
        && table.key.is_none()
        && table.claim.is_none()
        && table.machine_role.is_none()
    {
        return Err("names nobody: give it `user`, `group`, `key`, `claim` or `machine_role`".to_owned());
    }
    let mut permissions = Vec::new();
    let mut operations = Vec::new();
    match (&table.role, &table.actions) {
        (Some(word), None) => {
            let role = Role::parse(word).ok_or_else(|| {
                format!("has the role `{word}`, which there is not: the roles are viewer, operator and admin")
            })?;
            permissions.extend(Permission::ALL.into_iter().filter(|permission| role.has(*permission)));
        }
        (None, Some(words)) => {
            for word in words {
                match Permission::parse(word) {
                    Some(permission) => permissions.push(permission),
                    None if is_operation(word) => operations.push(word.clone()),
                    None => {
                        return Err(format!(
                            "has the action `{word}`, which there is not: actions are read, start, stop, approve, \
                             deploy, and the operations of the API"
                        ));
                    }
                }
            }
        }
        (Some(_), Some(_)) => return Err("has both `role` and `actions`: one of them says it".to_owned()),
        (None, None) => return Err("allows nothing: give it `role` or `actions`".to_owned()),
    }
    if permissions.is_empty() && operations.is_empty() {
        return Err("has no action in `actions`".to_owned());
    }
    let machines = table.machines.clone().unwrap_or_else(|| vec!["*".to_owned()]);
    if machines.is_empty() {
        return Err("has no pattern in `machines`".to_owned());
    }
    let pass_roles = table.pass_roles.clone().unwrap_or_default();
    let lets_deploy = permissions.contains(&Permission::Deploy) && table.effect == Effect::Allow;
    if lets_deploy && pass_roles.is_empty() {
        return Err(
            "lets somebody deploy, but with no role: name the roles in `pass_roles`, as patterns of ARNs; a role \
             decides as which account tasks run"
                .to_owned(),
        );
    }
    Ok(Rule {
        place,
        effect: table.effect,
        who: table,
        permissions,
        operations,
        machines,
        pass_roles,
    })
}
