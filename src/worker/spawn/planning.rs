//! What a process is to become: its program, its variables, its place.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::path::Path;

use crate::model::glob;
use crate::worker::spawn::child::Plan;
use crate::worker::spawn::identity::Account;
use crate::worker::spawn::identity::Grant;
use crate::worker::spawn::kin::MARK;
use crate::worker::spawn::vault;
use crate::worker::spawn::vault::Given;
use crate::worker::spawn::wire::Failure;
use crate::worker::spawn::wire::FailureKind;
use crate::worker::spawn::wire::Spawn;

/// Where programs are when the task does not say.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Works out what a process is to become, before it is born.
pub(super) fn plan(spawn: &Spawn, grant: &Grant, mark: &str, given: Option<Given>) -> Result<Plan, Failure> {
    let text = |text: &str| {
        CString::new(text).map_err(|_| Failure::new(FailureKind::Other, "a text for a process cannot hold a NUL"))
    };
    let program = spawn.argv.first().filter(|program| !program.is_empty());
    let program = program.ok_or_else(|| Failure::new(FailureKind::NotFound, "no program is named"))?;
    // Root's own tasks stay where they are.
    let own = rustix::process::geteuid().as_raw();
    let other = grant.account.as_ref().filter(|account| account.uid != own);
    let mut variables = variables(spawn, other, &grant.user, mark)?;
    if let Some(given) = &given {
        variables.insert(vault::VARIABLE, given.path.to_string_lossy().into_owned());
    }
    let cwd = match (&spawn.cwd, other) {
        (Some(cwd), _) if !cwd.is_empty() => Some(cwd.clone()),
        (_, None) => None,
        (_, Some(account)) if account.home.is_dir() => account.home.to_str().map(str::to_owned),
        (_, Some(_)) => Some("/".to_owned()),
    };
    let places = match program.contains('/') {
        true => vec![program.clone()],
        false => {
            let path = variables.get("PATH").map_or("", String::as_str);
            let places = path.split(':').filter(|place| !place.is_empty());
            places.map(|place| format!("{place}/{program}")).collect()
        }
    };
    let programs = match &grant.allow {
        None => places,
        Some(patterns) => allowed(places, patterns, cwd.as_deref(), program, &grant.user)?,
    };
    Ok(Plan {
        programs: programs.iter().map(|place| text(place)).collect::<Result<_, _>>()?,
        argv: spawn
            .argv
            .iter()
            .map(|argument| text(argument))
            .collect::<Result<_, _>>()?,
        env: variables
            .iter()
            .map(|(name, value)| text(&format!("{name}={value}")))
            .collect::<Result<_, _>>()?,
        cwd: cwd.as_deref().map(text).transpose()?,
        account: grant.account.clone(),
        no_new_privs: grant.no_new_privs,
        given,
    })
}

/// Returns the clean environment with the task's own variables.
fn variables<'a>(
    spawn: &'a Spawn,
    other: Option<&Account>,
    user: &str,
    mark: &str,
) -> Result<BTreeMap<&'a str, String>, Failure> {
    let own = |name: &str, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_owned());
    let (path, home) = match other {
        None => (own("PATH", PATH), own("HOME", "/")),
        Some(account) => (PATH.to_owned(), account.home.to_string_lossy().into_owned()),
    };
    let mut variables = BTreeMap::new();
    if !spawn.is_bare {
        variables.extend([
            ("PATH", path),
            ("HOME", home),
            ("USER", user.to_owned()),
            ("LANG", own("LANG", "C.UTF-8")),
        ]);
    }
    for (name, value) in &spawn.env {
        if name.is_empty() || name.contains('=') {
            return Err(Failure::new(
                FailureKind::Other,
                format!("{name:?} cannot name a variable"),
            ));
        }
        variables.insert(name, value.clone());
    }
    variables.insert(MARK, mark.to_owned());
    Ok(variables)
}

/// Keeps the places that the row allows.
fn allowed(
    places: Vec<String>,
    patterns: &[String],
    cwd: Option<&str>,
    program: &str,
    user: &str,
) -> Result<Vec<String>, Failure> {
    let base = Path::new(cwd.unwrap_or("."));
    let is_allowed = |place: &String| {
        let full = std::path::absolute(base.join(place)).unwrap_or_default();
        let goes_up = full.components().any(|part| part == std::path::Component::ParentDir);
        let full = full.to_string_lossy();
        !goes_up && patterns.iter().any(|pattern| glob::matches(pattern, &full))
    };
    let places: Vec<String> = places.into_iter().filter(is_allowed).collect();
    if places.is_empty() {
        let message = format!("`allow` of its row of the identity table does not let `{user}` start `{program}`");
        return Err(Failure::new(FailureKind::IdentityUnavailable, message));
    }
    Ok(places)
}
