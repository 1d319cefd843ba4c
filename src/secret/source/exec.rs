//! `kind = "exec"`: a command that writes the secret to its stdout, such as `pass show NAME`.
//!
//! It runs as the engine's own user and not among the processes of tasks: agents that it starts, such as GnuPG's,
//! are to stay.

use std::path::Path;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rustix::process::Pid;
use rustix::process::Signal;
use serde::Deserialize;
use tokio::io::AsyncReadExt;
use tokio::process::Child;
use tokio::process::Command;
use zeroize::Zeroizing;

use crate::secret::reference::Reference;
use crate::secret::source::Source;
use crate::secret::source::file;
use crate::secret::source::own_keys;
use crate::secret::source::without_field;
use crate::secret::value::BYTES_MAX;
use crate::secret::value::Secret;
use crate::secret::value::without_line_end;

/// What stands for the secret's name in the command.
const NAME: &str = "{name}";
/// How long a command may take.
const TIMEOUT_SECONDS: u64 = 10;
const TIMEOUT_SECONDS_MAX: u64 = 300;
/// What it sees of the environment.
const VARIABLES: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LANG",
    "GNUPGHOME",
    "PASSWORD_STORE_DIR",
    "XDG_RUNTIME_DIR",
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    command: Vec<String>,
    #[serde(default = "standard")]
    timeout_seconds: u64,
    #[serde(default = "file::yes")]
    trim: bool,
}

fn standard() -> u64 {
    TIMEOUT_SECONDS
}

struct Exec {
    command: Vec<String>,
    directory: PathBuf,
    timeout: Duration,
    trim: bool,
}

pub(super) fn read(keys: toml::Table, directory: &Path) -> Result<Arc<dyn Source>, String> {
    let keys: Keys = own_keys(keys)?;
    if keys.command.first().is_none_or(String::is_empty) {
        return Err("`command` is empty".to_owned());
    }
    if keys.command.iter().any(|argument| argument.contains('\0')) {
        return Err("`command` holds an argument that no process can take".to_owned());
    }
    if !(1..=TIMEOUT_SECONDS_MAX).contains(&keys.timeout_seconds) {
        return Err(format!("`timeout_seconds` must be from 1 to {TIMEOUT_SECONDS_MAX}"));
    }
    Ok(Arc::new(Exec {
        command: keys.command,
        directory: directory.to_owned(),
        timeout: Duration::from_secs(keys.timeout_seconds),
        trim: keys.trim,
    }))
}

impl Exec {
    fn start(&self, name: &str) -> Result<(Child, Group), String> {
        let mut arguments = self.command.iter().map(|argument| argument.replace(NAME, name));
        let mut command = Command::new(arguments.next().unwrap_or_default());
        command.args(arguments).env_clear();
        for variable in VARIABLES {
            if let Some(value) = std::env::var_os(variable) {
                command.env(variable, value);
            }
        }
        if !self.directory.as_os_str().is_empty() {
            command.current_dir(&self.directory);
        }
        // What it writes for people may hold what it was to keep.
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        command.process_group(0).kill_on_drop(true);
        let child = command
            .spawn()
            .map_err(|error| format!("it cannot be started: {error}"))?;
        let group = Group(child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)));
        Ok((child, group))
    }
}

/// The command and what it started, killed when it goes before the command has ended.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // It may be gone already.
            let _ = rustix::process::kill_process_group(group, Signal::KILL);
        }
    }
}

#[async_trait]
impl Source for Exec {
    async fn get(&self, reference: &Reference) -> Result<Secret, String> {
        let (mut child, mut group) = self.start(without_field(reference)?)?;
        let mut stdout = child.stdout.take().ok_or("it has no stdout")?;
        let mut bytes = Zeroizing::new(vec![0; BYTES_MAX + 1]);
        let mut length = 0;
        let work = async {
            // A byte more than fits tells that it is too much.
            while length < bytes.len() {
                match stdout.read(&mut bytes[length..]).await {
                    Ok(0) => break,
                    Ok(n) => length += n,
                    Err(error) => return Err(format!("what it writes cannot be read: {error}")),
                }
            }
            if BYTES_MAX < length {
                return Err(format!("it writes more than {BYTES_MAX} bytes"));
            }
            child.wait().await.map_err(|error| error.to_string())
        };
        let status = tokio::time::timeout(self.timeout, work).await;
        let status = status.map_err(|_| format!("it took longer than {} seconds", self.timeout.as_secs()))??;
        // The number may be somebody else's from now on.
        group.0 = None;
        if !status.success() {
            return Err(match status.code() {
                Some(code) => format!("it ended with exit code {code}; run it by hand to see why"),
                None => "a signal ended it".to_owned(),
            });
        }
        let mut value = Vec::with_capacity(length);
        value.extend_from_slice(&bytes[..length]);
        if self.trim {
            without_line_end(&mut value);
        }
        Ok(Secret::new(value, None))
    }

    fn place(&self, _: &Reference) -> String {
        format!("what `{}` writes", self.command[0])
    }
}
