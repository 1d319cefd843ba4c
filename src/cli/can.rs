//! `stepfn can`.

use std::path::PathBuf;

use nix::unistd::User;
use serde_json::json;

use crate::api::action;
use crate::cli::error;
use crate::cli::error::CliError;
use crate::cli::error::printable;
use crate::cli::table;
use crate::identity::account;
use crate::identity::caller::Caller;
use crate::identity::permission::Asked;
use crate::identity::permission::Permission;
use crate::identity::permission::Target;
use crate::identity::policy;
use crate::identity::policy::Policy;
use crate::model::principal::Principal;
use crate::model::principal::PrincipalKind;

/// The user that the packaged service runs as.
const SERVICE_USER: &str = "stepfn";

/// Say whether a user may do something with a state machine, and which rule says so
///
/// What the rules in `/etc/stepfn/roles.d` and the groups of this machine say at this moment of a user whom the kernel
/// names: one who calls by the Unix socket or from a loopback address. Exit code 1 when they may not.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A Debian user
    user: String,
    /// read, start, stop, approve, deploy, or an operation of the API: StartExecution
    action: String,
    /// The state machine's name, `activity:NAME`, or `*` for all; all when absent
    #[arg(default_value = "*")]
    machine: String,
    /// The role of the definition that would be deployed
    #[arg(long, value_name = "ARN")]
    pass_role: Option<String>,
    /// The directory of the rules
    #[arg(long, value_name = "DIRECTORY", default_value = policy::DIRECTORY)]
    roles: PathBuf,
    /// The user that the server runs as [default: `stepfn` if there is one, else this user]
    #[arg(long, value_name = "USER")]
    server_user: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<u8, CliError> {
    let user = user(&arguments.user)?;
    let server = match &arguments.server_user {
        Some(name) => self::user(name)?.uid,
        None => match User::from_name(SERVICE_USER) {
            Ok(Some(user)) => user.uid,
            _ => nix::unistd::geteuid(),
        },
    };
    let uid = user.uid.as_raw();
    let groups = account::groups_of(uid)
        .map_err(|error| CliError::internal(format!("the groups of `{}` cannot be looked up: {error}", user.name)))?;
    let caller = Caller {
        groups,
        ..Caller::new(Principal {
            uid: Some(uid),
            ..Principal::new(PrincipalKind::UnixSocket, user.name.as_str())
        })
    };
    let (operation, permission) = asked_for(&arguments.action)?;
    let target = match arguments.machine.strip_prefix("activity:") {
        _ if arguments.machine == "*" => Target::All,
        Some(name) => Target::Activity(name.to_owned()),
        None => Target::Machine(arguments.machine.clone()),
    };
    let policy = Policy::new(arguments.roles.clone(), action::is_operation).of_server(server.as_raw());
    let asked = Asked {
        operation,
        permission,
        target,
        passed_role: arguments.pass_role.clone(),
    };
    let decision = policy.decide(&caller, &asked);
    if arguments.json {
        let groups: Vec<&str> = caller.groups.iter().map(|group| &**group).collect();
        let value = json!({
            "user": user.name,
            "groups": groups,
            "action": arguments.action,
            "permission": permission.word(),
            "machine": arguments.machine,
            "allowed": decision.is_allowed,
            "rule": &*decision.rule,
        });
        table::print_json(&value)?;
    } else {
        let (word, joint) = match decision.is_allowed {
            true => ("may", "by"),
            false => ("may not", "because"),
        };
        table::print(&printable(&format!(
            "{} {word} {} {}: {joint} {}.\n",
            user.name, arguments.action, asked.target, decision.rule
        )))?;
    }
    Ok(if decision.is_allowed { 0 } else { error::FAILED })
}

/// Finds the operation's name and its permission; a permission's own word stands for no operation.
fn asked_for(word: &str) -> Result<(&str, Permission), CliError> {
    if let Some(permission) = Permission::parse(word) {
        return Ok(("", permission));
    }
    match action::find(word) {
        Some(action) => Ok((action.name, action.permission)),
        None => Err(CliError::usage(format!("there is no action `{word}`"))
            .hint("actions are read, start, stop, approve, deploy, and the operations of the API")),
    }
}

fn user(name: &str) -> Result<User, CliError> {
    let found = User::from_name(name)
        .map_err(|error| CliError::internal(format!("the user `{name}` cannot be looked up: {error}")))?;
    found.ok_or_else(|| CliError::usage(format!("there is no user `{name}` on this machine")))
}
