//! `debian:shell.run`: a command or a script on this machine.
//!
//! `Parameters`: `Command` (a list: the program and its arguments) or `Script` (for `/bin/sh -e -c`), and
//! optionally `Stdin` (a text, or any JSON), `Env` (names to texts) and `Cwd`. The result is `ExitCode`,
//! `Stdout` (parsed when it is JSON) and `Stderr`; texts come without the line ends at their end.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;
use serde_json::json;

use crate::model::payload::Payload;
use crate::model::states_error::StatesError;
use crate::worker::Cancel;
use crate::worker::Job;
use crate::worker::Reports;
use crate::worker::process;
use crate::worker::process::Done;
use crate::worker::process::Ended;
use crate::worker::process::Spec;

/// The readable form of the resource.
const SUGAR: &str = "arn:aws:states:::debian:shell.run";
/// The activity's name in the canonical form.
const ACTIVITY: &str = "debian-shell-run";

/// The parameters do not say what to run.
const INVALID_PARAMETERS: &str = "Shell.InvalidParameters";
/// The program cannot be started.
const START_FAILED: &str = "Shell.StartFailed";
/// It ended with another exit code than 0.
const NON_ZERO_EXIT: &str = "Shell.NonZeroExit";
/// A signal ended it.
const KILLED: &str = "Shell.Killed";

/// Tells whether the resource is this action.
pub fn matches(job: &Job) -> bool {
    let arn = &*job.resource.arn;
    if arn == SUGAR {
        return true;
    }
    let parts: Vec<&str> = arn.splitn(7, ':').collect();
    matches!(parts.as_slice(), ["arn", _, "states", _, _, "activity", name] if *name == ACTIVITY)
}

/// Runs the command.
pub async fn carry_out(job: &Job, reports: &Reports, cancel: &mut Cancel) -> Result<Payload, StatesError> {
    let spec = spec(job.task.input.value(), job.output_bytes_max())
        .map_err(|cause| StatesError::new(INVALID_PARAMETERS, cause))?;
    match process::run(&spec, &job.site.nursery, reports, cancel).await {
        Ok(Ended::Done(done)) => result(&done),
        Ok(Ended::StdoutTooLong) => Err(job.output_too_large()),
        Ok(Ended::Cancelled) => Err(StatesError::default()),
        Err(error) => Err(StatesError::new(
            START_FAILED,
            process::shorten(&format!("`{}` cannot be started: {error}.", spec.argv[0])),
        )),
    }
}

fn spec(input: &Value, stdout_bytes_max: usize) -> Result<Spec, String> {
    let Value::Object(parameters) = input else {
        return Err("shell.run needs an object with `Command` or `Script`.".to_owned());
    };
    let mut argv = None;
    let mut spec = Spec {
        argv: Vec::new(),
        stdin: Vec::new(),
        env: BTreeMap::new(),
        cwd: None,
        stdout_bytes_max,
        log_stderr: false,
    };
    for (name, value) in parameters {
        match (name.as_str(), value) {
            ("Command" | "Script", _) if argv.is_some() => {
                return Err("shell.run takes `Command` or `Script`, not both.".to_owned());
            }
            ("Command", Value::Array(items)) => {
                let texts: Option<Vec<String>> = items.iter().map(text).collect();
                let texts = texts.filter(|texts| texts.first().is_some_and(|program| !program.is_empty()));
                argv = Some(texts.ok_or("`Command` of shell.run must be a list of texts, the program first.")?);
            }
            ("Command", _) => return Err("`Command` of shell.run must be a list of texts.".to_owned()),
            ("Script", value) => {
                let script = text(value).ok_or("`Script` of shell.run must be a text.")?;
                argv = Some(["/bin/sh", "-e", "-c", &script].map(str::to_owned).to_vec());
            }
            ("Stdin", Value::String(stdin)) => spec.stdin = stdin.clone().into_bytes(),
            ("Stdin", value) => spec.stdin = value.to_string().into_bytes(),
            ("Env", Value::Object(variables)) => {
                for (name, value) in variables {
                    if name.is_empty() || name.contains(['=', '\0']) {
                        return Err(format!("{name:?} in `Env` of shell.run cannot name a variable."));
                    }
                    let value = text(value).ok_or_else(|| format!("`{name}` in `Env` of shell.run must be a text."))?;
                    spec.env.insert(name.clone(), value);
                }
            }
            ("Env", _) => return Err("`Env` of shell.run must be an object.".to_owned()),
            ("Cwd", value) => {
                let cwd = text(value).filter(|cwd| !cwd.is_empty());
                spec.cwd = Some(PathBuf::from(cwd.ok_or("`Cwd` of shell.run must be a text.")?));
            }
            _ => {
                return Err(format!(
                    "shell.run has no parameter `{name}`. It has `Command`, `Script`, `Stdin`, `Env` and `Cwd`."
                ));
            }
        }
    }
    spec.argv = argv.ok_or("shell.run needs `Command` or `Script`.")?;
    Ok(spec)
}

/// Returns a text that a process can take.
fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.contains('\0')).map(str::to_owned)
}

fn result(done: &Done) -> Result<Payload, StatesError> {
    let stderr = String::from_utf8_lossy(&done.stderr);
    let stderr = stderr.trim_end_matches('\n');
    if done.status.success() {
        let stdout = serde_json::from_slice(&done.stdout).unwrap_or_else(|_| {
            let text = String::from_utf8_lossy(&done.stdout);
            Value::from(text.trim_end_matches('\n'))
        });
        return Ok(Payload::new(
            json!({ "ExitCode": 0, "Stdout": stdout, "Stderr": stderr }),
        ));
    }
    let stdout = String::from_utf8_lossy(&done.stdout);
    let stdout = stdout.trim_end_matches('\n');
    Err(match done.status.code() {
        Some(code) => StatesError::new(NON_ZERO_EXIT, cause(code, stdout, stderr)),
        None => StatesError::new(KILLED, format!("The process {}.", process::describe(done.status))),
    })
}

/// Returns the result as a JSON text that fits into a `Cause`: the ends of both streams.
fn cause(code: i32, stdout: &str, stderr: &str) -> String {
    let mut chars_max = 12_000;
    loop {
        let end = |text: &str| {
            let length = text.chars().count();
            text.chars().skip(length.saturating_sub(chars_max)).collect::<String>()
        };
        let cause = json!({ "ExitCode": code, "Stdout": end(stdout), "Stderr": end(stderr) }).to_string();
        if chars_max == 0 || cause.chars().count() <= crate::model::quota::CAUSE_CHARS_MAX {
            return cause;
        }
        chars_max /= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read_strictly() {
        for (input, expected) in [
            (json!([]), Err("needs an object")),
            (json!({}), Err("needs `Command` or `Script`")),
            (json!({"Command": ["a"], "Script": "b"}), Err("not both")),
            (json!({"Command": []}), Err("the program first")),
            (json!({"Command": [""]}), Err("the program first")),
            (json!({"Command": ["a", 1]}), Err("list of texts")),
            (json!({"Command": "a b"}), Err("list of texts")),
            (json!({"Script": "a\u{0}"}), Err("must be a text")),
            (
                json!({"Script": "a", "Env": {"A=B": "x"}}),
                Err("cannot name a variable"),
            ),
            (json!({"Script": "a", "Env": {"A": 1}}), Err("must be a text")),
            (json!({"Script": "a", "Cwd": ""}), Err("must be a text")),
            (json!({"Script": "a", "Shell": "b"}), Err("no parameter `Shell`")),
            (json!({"Command": ["a", "b c"]}), Ok(vec!["a", "b c"])),
            (json!({"Script": "a"}), Ok(vec!["/bin/sh", "-e", "-c", "a"])),
        ] {
            match (spec(&input, 1), expected) {
                (Ok(spec), Ok(argv)) => assert_eq!(spec.argv, argv, "{input}"),
                (Err(message), Err(part)) => assert!(message.contains(part), "{input}: {message}"),
                (got, _) => panic!("{input}: {got:?}"),
            }
        }
    }

    #[test]
    fn a_cause_fits_and_stays_json() {
        let cause = cause(1, &"\u{1}".repeat(100_000), &"é".repeat(100_000));
        assert!(cause.chars().count() <= crate::model::quota::CAUSE_CHARS_MAX);
        assert!(serde_json::from_str::<Value>(&cause).is_ok());
    }
}
