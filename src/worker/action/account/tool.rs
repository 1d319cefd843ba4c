//! The system's own tools for accounts.

use std::collections::BTreeMap;

use crate::model::states_error::StatesError;
use crate::worker::action::Work;
use crate::worker::action::facts::Kind;
use crate::worker::output::Keep;
use crate::worker::process;
use crate::worker::process::Spec;
use crate::worker::spawn::wire::AtLoss;

/// Where they are.
const DIRECTORY: &str = "/usr/sbin";
/// One change of accounts at a time.
pub(super) const LOCK: &str = "accounts";
/// As many as the files' formats take.
const NAME_BYTES_MAX: usize = 32;

pub(super) const NAME: Kind = Kind::Named(
    "a name of at most 32 lower-case letters, digits, `_` and `-` that begins with a letter or `_`",
    is_name,
);
pub(super) const ID: Kind = Kind::Integer(1, 4_294_967_294);

pub(super) fn is_name(text: &str) -> bool {
    let is_first = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    text.len() <= NAME_BYTES_MAX
        && text.bytes().next().is_some_and(is_first)
        && text
            .bytes()
            .all(|byte| is_first(byte) || byte.is_ascii_digit() || byte == b'-')
}

/// Runs a tool: `options`, then the account's name, which cannot be taken for an option.
///
/// # Errors
/// Those of the tool's exit code, with names of the family `User` or `Group`.
pub(super) async fn run(
    work: &mut Work<'_>,
    family: &str,
    tool: &str,
    options: Vec<String>,
    name: &str,
) -> Result<(), StatesError> {
    let mut argv = vec![format!("{DIRECTORY}/{tool}")];
    let root = &work.site.host.accounts_root;
    if root.as_os_str() != "/" {
        argv.extend(["--prefix".to_owned(), root.display().to_string()]);
    }
    argv.extend(options);
    argv.extend(["--".to_owned(), name.to_owned()]);
    let spec = Spec {
        argv,
        stdin: Vec::new(),
        env: BTreeMap::new(),
        cwd: None,
        stdout: Keep::All(work.output_bytes_max),
        stderr_bytes_max: process::STDERR_BYTES_MAX,
        log_stderr: true,
        at_loss: AtLoss::Wait,
        credentials: Vec::new(),
    };
    let done = work.run(&spec, &format!("{family}.Failed")).await?;
    if done.status.success() {
        return Ok(());
    }
    let is_root = rustix::process::geteuid().is_root();
    let error = match done.status.code() {
        Some(1 | 10) if !is_root => "PermissionDenied",
        Some(4 | 9) => "Conflict",
        Some(8) => "InUse",
        _ => "Failed",
    };
    let stderr = String::from_utf8_lossy(&done.stderr);
    let sentence = format!(
        "{tool} of `{name}` {}: {}",
        process::describe(done.status),
        stderr.trim_end()
    );
    Err(StatesError::new(
        format!("{family}.{error}"),
        process::shorten(&sentence),
    ))
}
