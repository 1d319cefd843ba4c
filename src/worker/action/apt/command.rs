//! Runs the programs of apt and dpkg: which, where, and in what environment.

use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;

use crate::model::states_error::StatesError;
use crate::worker::action::Work;
use crate::worker::action::apt::classify;
use crate::worker::action::apt::parameters::Conffiles;
use crate::worker::action::apt::parameters::START_FAILED;
use crate::worker::output::Keep;
use crate::worker::process;
use crate::worker::process::Spec;
use crate::worker::spawn::wire::AtLoss;

/// Largest answer to a question: a machine with 5,000 packages gives less than 1 MiB.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The system whose packages are meant.
#[derive(Clone, Debug)]
pub struct System {
    /// Its directory, if it is not this machine.
    pub root: Option<PathBuf>,
}

/// What a program answered.
#[derive(Debug)]
pub struct Answer {
    /// Its exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// What it wrote to stdout.
    pub stdout: String,
    /// The end of what it wrote to stderr.
    pub stderr: String,
}

impl System {
    /// Returns where a path of the system is on this machine.
    pub fn path(&self, path: &str) -> PathBuf {
        match &self.root {
            Some(root) => root.join(path.trim_start_matches('/')),
            None => PathBuf::from(path),
        }
    }

    /// Returns the path that the system itself knows a file by, if it can see it.
    pub fn seen_inside(&self, path: &Path) -> Option<String> {
        let inside = match &self.root {
            Some(root) => Path::new("/").join(path.strip_prefix(root).ok()?),
            None => path.to_owned(),
        };
        inside.into_os_string().into_string().ok()
    }

    /// Returns the argument list that runs a program in the system.
    pub fn argv(&self, arguments: &[&str]) -> Vec<String> {
        let mut argv = Vec::new();
        if let Some(root) = &self.root {
            argv.extend(["chroot".to_owned(), root.to_string_lossy().into_owned()]);
        }
        argv.extend(arguments.iter().map(|&argument| argument.to_owned()));
        argv
    }

    /// Asks a question; nothing changes.
    ///
    /// # Errors
    /// The program cannot be started, or the task was cancelled.
    pub async fn ask(&self, arguments: &[&str], work: &mut Work<'_>) -> Result<Answer, StatesError> {
        self.run(self.argv(arguments), work).await
    }

    /// Runs a program in a directory of the system.
    ///
    /// # Errors
    /// The program cannot be started, or the task was cancelled.
    pub async fn run_in(&self, cwd: &Path, arguments: &[&str], work: &mut Work<'_>) -> Result<Answer, StatesError> {
        let Some(cwd) = self.seen_inside(cwd) else {
            return Err(StatesError::new(
                START_FAILED,
                format!("The directory `{}` is not in the system.", cwd.display()),
            ));
        };
        // `chroot` goes to `/`, whatever the working directory was.
        let mut all = vec!["/bin/sh", "-c", r#"cd "$0" && exec "$@""#, &cwd];
        all.extend(arguments);
        self.run(self.argv(&all), work).await
    }

    async fn run(&self, argv: Vec<String>, work: &mut Work<'_>) -> Result<Answer, StatesError> {
        let spec = Spec {
            argv,
            stdin: Vec::new(),
            env: environment(),
            cwd: None,
            stdout: Keep::All(ANSWER_BYTES_MAX),
            stderr_bytes_max: process::STDERR_BYTES_MAX,
            log_stderr: false,
            at_loss: AtLoss::End,
            credentials: Vec::new(),
        };
        let done = work.run(&spec, START_FAILED).await?;
        let answer = Answer {
            code: done.status.code(),
            stdout: String::from_utf8_lossy(&done.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&done.stderr).into_owned(),
        };
        match answer.stderr.starts_with("chroot: ") {
            true => Err(classify::chroot(&answer.stderr)),
            false => Ok(answer),
        }
    }
}

/// Returns the variables that keep apt from asking anybody anything, and its texts in English.
pub fn environment() -> BTreeMap<String, String> {
    [
        ("APT_LISTCHANGES_FRONTEND", "none"),
        ("DEBIAN_FRONTEND", "noninteractive"),
        ("LANGUAGE", "C"),
        ("LC_ALL", "C"),
        ("NEEDRESTART_SUSPEND", "1"),
        // dpkg does not work without the programs in `sbin`.
        ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
        ("UCF_FORCE_CONFFOLD", "1"),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect()
}

/// Returns dpkg's options for changed configuration files.
pub fn conffile_options(policy: Conffiles) -> &'static [&'static str] {
    match policy {
        Conffiles::Fail => &[],
        Conffiles::Keep => &["--force-confdef", "--force-confold"],
        // With `confdef` they would stay: that is dpkg's default.
        Conffiles::Replace => &["--force-confnew"],
    }
}

/// Returns the host-wide lock of the system that a task means.
pub fn locks(parameters: &serde_json::Value) -> Vec<String> {
    vec![match parameters.get("Root").and_then(serde_json::Value::as_str) {
        Some(root) => format!("apt:{root}"),
        None => "apt".to_owned(),
    }]
}
