//! `shell.run`: a command or a script.

use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::Value;
use serde_json::json;

use crate::model::states_error::StatesError;
use crate::worker::action;
use crate::worker::action::Action;
use crate::worker::action::Plan;
use crate::worker::action::Work;
use crate::worker::action::checkpoint::Saved;
use crate::worker::action::facts::ErrorName;
use crate::worker::action::facts::Facts;
use crate::worker::action::facts::Kind;
use crate::worker::action::facts::Member;
use crate::worker::action::facts::Parameter;
use crate::worker::action::facts::Secrets;
use crate::worker::output::Keep;
use crate::worker::process;
use crate::worker::process::Done;
use crate::worker::process::Spec;
use crate::worker::secrets;
use crate::worker::spawn::wire::AtLoss;

/// It ended with another exit code than 0, and `Errors` has no name for it.
const NON_ZERO_EXIT: &str = "Shell.NonZeroExit";
/// A signal ended it.
const KILLED: &str = "Shell.Killed";
/// It cannot be started.
const START_FAILED: &str = "Shell.StartFailed";
/// Most that `MaxOutputBytes` can ask for: what an output can hold.
const MAX_OUTPUT_BYTES_MAX: i64 = 262_144;
/// The parameters do not fit together.
const INVALID_PARAMETERS: &str = "Shell.InvalidParameters";

static FACTS: Facts = Facts {
    name: "shell.run",
    summary: "Runs a command or a script.",
    details: "The process gets a clean environment: `PATH`, `HOME`, `USER`, `LANG` and what `Env` adds. Whatever it \
              starts ends with it. Its lines on stderr are shown while it runs, and count as heartbeats. A stdout larger \
              than the payload quota fails with `States.DataLimitExceeded`, unless `MaxOutputBytes` is given; of stderr \
              the last 64 KiB are kept. Where something is left out, a line `[… 123 bytes left out …]` says so.",
    parameters: &[
        Parameter::optional(
            "Command",
            Kind::List(&Kind::AnyText),
            "The program and its arguments. No shell reads them.",
        ),
        Parameter::optional("Script", Kind::Text, "A script for `/bin/sh -e -c`."),
        Parameter::optional(
            "Stdin",
            Kind::Json,
            "What it reads: a text as it is, anything else as JSON.",
        ),
        Parameter::optional("Env", Kind::Variables, "Variables added to the environment."),
        Parameter::optional(
            "Credentials",
            Kind::Variables,
            "Secrets that it gets as files: `{ \"db\": \"secret://db/password\" }` makes `$CREDENTIALS_DIRECTORY/db`.",
        )
        .with(Secrets::Files),
        Parameter::optional("Cwd", Kind::Text, "Where it runs."),
        Parameter::optional(
            "Creates",
            Kind::Path,
            "A file that it makes: when that is there already, nothing is run.",
        ),
        Parameter::optional(
            "Errors",
            Kind::Variables,
            "Error names by exit code: `{ \"75\": \"App.TryLater\" }`.",
        ),
        Parameter::optional(
            "MaxOutputBytes",
            Kind::Integer(1, MAX_OUTPUT_BYTES_MAX),
            "How much of stdout and of stderr is kept: the beginning and the end of stdout, the end of stderr. A stdout \
             that is not whole is a text, whatever it was.",
        ),
        Parameter::optional(
            "Undo",
            Kind::Or(&Kind::List(&Kind::AnyText), &Kind::Text),
            "The command (a list) or script (a text) that restores what was before.",
        ),
    ],
    one_of: &[&["Command", "Script"]],
    result: &[
        Member {
            name: "ExitCode",
            doc: "0.",
        },
        Member {
            name: "Stdout",
            doc: "What it wrote: parsed when it is JSON, else a text without the line ends at its end.",
        },
        Member {
            name: "Stderr",
            doc: "The end of what it wrote there, without the line ends at its end.",
        },
        Member {
            name: "LeftOut",
            doc: "How many bytes are left out: `{ \"Stdout\": 0, \"Stderr\": 12 }`. Absent when nothing is.",
        },
    ],
    errors: &[
        ErrorName::lasting(
            NON_ZERO_EXIT,
            "It ended with another exit code than 0. The cause is JSON: `ExitCode`, `Stdout`, `Stderr`.",
        ),
        ErrorName::passing(KILLED, "A signal ended it."),
        ErrorName::lasting(
            START_FAILED,
            "The program or the directory is not there, or may not be used.",
        ),
        ErrorName::lasting(INVALID_PARAMETERS, "The parameters are not as above."),
    ],
    undo: Some("Runs the command of `Undo`. Without `Undo` there is no checkpoint, and nothing is restored."),
    example: r#"{ "Command": ["systemd-tmpfiles", "--create", "app.conf"], "Errors": { "65": "App.BadFile" } }"#,
};

/// The action.
pub struct ShellRun;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameters {
    command: Option<Vec<String>>,
    script: Option<String>,
    stdin: Option<Value>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    #[serde(default)]
    credentials: BTreeMap<String, String>,
    cwd: Option<PathBuf>,
    creates: Option<PathBuf>,
    max_output_bytes: Option<usize>,
    #[serde(default)]
    errors: BTreeMap<String, String>,
    undo: Option<Value>,
}

impl Parameters {
    fn read(parameters: &Value) -> Result<Self, StatesError> {
        let invalid = |sentence: &str| Err(StatesError::new(INVALID_PARAMETERS, sentence));
        let parameters: Self = action::read(parameters)?;
        if parameters.argv().first().is_none_or(String::is_empty) {
            return invalid("The first member of `Command` of shell.run must name a program.");
        }
        if let Some(Value::Array(undo)) = &parameters.undo
            && undo.first().and_then(Value::as_str) == Some("")
        {
            return invalid("The first member of `Undo` of shell.run must name a program.");
        }
        let is_exit_code = |code: &String| code.parse::<u8>().is_ok_and(|code| code != 0);
        if !parameters.errors.keys().all(is_exit_code) {
            return invalid("The names in `Errors` of shell.run must be exit codes from 1 to 255.");
        }
        Ok(parameters)
    }

    fn argv(&self) -> Vec<String> {
        match (&self.command, &self.script) {
            (Some(command), _) => command.clone(),
            (None, script) => shell(script.as_deref().unwrap_or_default()),
        }
    }

    fn undo_argv(&self) -> Option<Vec<String>> {
        match self.undo.as_ref()? {
            Value::String(script) => Some(shell(script)),
            undo => Vec::deserialize(undo).ok(),
        }
    }

    async fn spec(&self, argv: Vec<String>, work: &mut Work<'_>) -> Result<Spec, StatesError> {
        let wanted = secrets::wanted(&self.credentials)
            .map_err(|why| StatesError::new(INVALID_PARAMETERS, format!("In `Credentials` of shell.run, {why}.")))?;
        let sources = &work.site.secrets;
        Ok(Spec {
            argv,
            stdin: match &self.stdin {
                None => Vec::new(),
                Some(Value::String(text)) => text.clone().into_bytes(),
                Some(value) => value.to_string().into_bytes(),
            },
            env: self.env.clone(),
            cwd: self.cwd.clone(),
            stdout: match self.max_output_bytes {
                Some(bytes_max) => Keep::Ends(bytes_max),
                None => Keep::All(work.output_bytes_max),
            },
            stderr_bytes_max: self.max_output_bytes.unwrap_or(process::STDERR_BYTES_MAX),
            log_stderr: true,
            at_loss: AtLoss::End,
            credentials: secrets::credentials(&wanted, sources, work.reports, work.cancel).await?,
        })
    }

    fn is_done(&self) -> bool {
        self.creates.as_deref().is_some_and(Path::exists)
    }
}

fn shell(script: &str) -> Vec<String> {
    ["/bin/sh", "-e", "-c", script].map(str::to_owned).to_vec()
}

#[async_trait]
impl Action for ShellRun {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    fn is_done_by_processes(&self) -> bool {
        true
    }

    fn keeps(&self, parameters: &Value) -> bool {
        parameters.get("Undo").is_some()
    }

    async fn plan(&self, parameters: &Value, _work: &mut Work<'_>) -> Result<Plan, StatesError> {
        let parameters = Parameters::read(parameters)?;
        Ok(Plan {
            changes: match parameters.is_done() {
                true => Vec::new(),
                false => vec![match &parameters.script {
                    Some(script) => format!("run the script {script:?}"),
                    None => format!("run {:?}", parameters.argv()),
                }],
            },
            result: json!({ "ExitCode": 0, "Stdout": "", "Stderr": "" }),
        })
    }

    async fn apply(&self, parameters: &Value, work: &mut Work<'_>) -> Result<Value, StatesError> {
        let parameters = Parameters::read(parameters)?;
        let spec = parameters.spec(parameters.argv(), work).await?;
        let done = work.run(&spec, START_FAILED).await?;
        result(&done, &parameters.errors)
    }

    async fn verify(&self, parameters: &Value, _result: &Value, _work: &mut Work<'_>) -> Result<(), StatesError> {
        let parameters = Parameters::read(parameters)?;
        match &parameters.creates {
            Some(path) if !path.exists() => Err(StatesError::new(
                NON_ZERO_EXIT,
                format!("It ended with exit code 0, but `{}` is not there.", path.display()),
            )),
            _ => Ok(()),
        }
    }

    async fn undo(&self, saved: &Saved, work: &mut Work<'_>) -> Result<Value, StatesError> {
        let parameters = Parameters::read(&saved.parameters)?;
        let Some(argv) = parameters.undo_argv() else {
            return Ok(Value::Null);
        };
        let spec = parameters.spec(argv, work).await?;
        let done = work.run(&spec, START_FAILED).await?;
        result(&done, &BTreeMap::new())
    }
}

fn result(done: &Done, errors: &BTreeMap<String, String>) -> Result<Value, StatesError> {
    let stderr = String::from_utf8_lossy(&done.stderr);
    let stderr = stderr.trim_end_matches('\n');
    if done.status.success() {
        let text = || {
            let text = String::from_utf8_lossy(&done.stdout);
            Value::from(text.trim_end_matches('\n'))
        };
        let stdout = match done.stdout_left_out {
            0 => serde_json::from_slice(&done.stdout).unwrap_or_else(|_| text()),
            _ => text(),
        };
        let mut result = json!({ "ExitCode": 0, "Stdout": stdout, "Stderr": stderr });
        if 0 < done.stdout_left_out + done.stderr_left_out {
            result["LeftOut"] = json!({ "Stdout": done.stdout_left_out, "Stderr": done.stderr_left_out });
        }
        return Ok(result);
    }
    let stdout = String::from_utf8_lossy(&done.stdout);
    let stdout = stdout.trim_end_matches('\n');
    Err(match done.status.code() {
        Some(code) => {
            let name = errors.get(&code.to_string()).map_or(NON_ZERO_EXIT, String::as_str);
            StatesError::new(name, process::cause(code, stdout, stderr))
        }
        None => StatesError::new(KILLED, format!("The process {}.", process::describe(done.status))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::action::check;
    use crate::worker::action::testing::Bench;
    use crate::worker::action::testing::Scratch;

    #[test]
    fn parameters_are_read_strictly() {
        for (input, expected) in [
            (json!({}), Err("needs `Command` or `Script`")),
            (json!({"Command": ["a"], "Script": "b"}), Err("only one of")),
            (json!({"Command": []}), Err("must be a list, not empty")),
            (json!({"Command": [""]}), Err("must name a program")),
            (
                json!({"Command": ["a", 1]}),
                Err("`Command.1` of shell.run must be a text"),
            ),
            (
                json!({"Script": "a", "Errors": {"0": "A"}}),
                Err("exit codes from 1 to 255"),
            ),
            (json!({"Script": "a", "Undo": [""]}), Err("must name a program")),
            (json!({"Script": "a", "Shell": "b"}), Err("no parameter `Shell`")),
            (json!({"Command": ["a", "b c"]}), Ok(vec!["a", "b c"])),
            (json!({"Script": "a"}), Ok(vec!["/bin/sh", "-e", "-c", "a"])),
        ] {
            let checked = check::value(&FACTS, &input).map_err(|problems| problems[0].message.clone());
            let read = checked.and_then(|()| Parameters::read(&input).map_err(|error| error.cause.unwrap_or_default()));
            match (read, expected) {
                (Ok(parameters), Ok(argv)) => assert_eq!(parameters.argv(), argv, "{input}"),
                (Err(message), Err(part)) => assert!(message.contains(part), "{input}: {message}"),
                (got, _) => panic!("{input}: {:?}", got.err()),
            }
        }
    }

    #[tokio::test]
    async fn what_is_there_is_not_made_again() {
        let scratch = Scratch::new();
        let mut bench = Bench::new(&scratch);
        let made = scratch.path().join("made");
        let parameters = json!({ "Script": format!("echo x >> {0}; echo 1", made.display()), "Creates": made,
            "Undo": ["rm", made] });
        let first = bench.run("shell.run", &parameters).await.unwrap();
        assert_eq!((&first["Changed"], &first["Stdout"]), (&json!(true), &json!(1)));
        let second = bench.run("shell.run", &parameters).await.unwrap();
        assert_eq!(second["Changed"], json!(false));
        assert_eq!(std::fs::read_to_string(&made).unwrap(), "x\n");
        let undone = bench
            .run("undo", &json!({ "Checkpoint": first["Checkpoint"] }))
            .await
            .unwrap();
        assert_eq!(undone["Undone"][0]["Action"], json!("shell.run"));
        assert!(!made.exists());
    }

    #[tokio::test]
    async fn what_is_left_out_of_the_output_is_marked() {
        let scratch = Scratch::new();
        let mut bench = Bench::new(&scratch);
        for (script, limit, expected) in [
            // All of it, so that it is read as JSON.
            ("echo '[1]'", json!(4), json!({ "Stdout": [1], "Stderr": "" })),
            (
                "echo '[1]'; echo error >&2",
                json!(3),
                json!({ "Stdout": "[\n[… 1 bytes left out …]\n]", "Stderr": "[… 3 bytes left out …]\nor",
                    "LeftOut": { "Stdout": 1, "Stderr": 3 } }),
            ),
            (
                "head -c 70000 /dev/zero | tr '\\0' x >&2",
                Value::Null,
                json!({ "Stdout": "", "Stderr": format!("[… 4464 bytes left out …]\n{}", "x".repeat(65_536)),
                    "LeftOut": { "Stdout": 0, "Stderr": 4464 } }),
            ),
        ] {
            let mut parameters = json!({ "Script": script });
            if !limit.is_null() {
                parameters["MaxOutputBytes"] = limit;
            }
            let result = bench.run("shell.run", &parameters).await.unwrap();
            for name in ["Stdout", "Stderr", "LeftOut"] {
                assert_eq!(result.get(name), expected.get(name), "{script}: {name}");
            }
        }
        // Without a limit of its own a stdout above the quota is no result.
        let script = json!({ "Script": "head -c 300000 /dev/zero | tr '\\0' x" });
        let error = bench.run("shell.run", &script).await.unwrap_err();
        assert_eq!(error.name.as_deref(), Some("States.DataLimitExceeded"));
    }

    #[tokio::test]
    async fn an_exit_code_has_the_name_that_it_is_given() {
        let scratch = Scratch::new();
        let mut bench = Bench::new(&scratch);
        for (code, name) in [(3, "App.Three"), (4, NON_ZERO_EXIT)] {
            let parameters = json!({ "Script": format!("exit {code}"), "Errors": { "3": "App.Three" } });
            let error = bench.run("shell.run", &parameters).await.unwrap_err();
            assert_eq!(error.name.as_deref(), Some(name));
        }
    }
}
