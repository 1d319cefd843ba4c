//! `reboot`: restarts the machine, and goes on after it.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::Value;
use serde_json::json;

use crate::model::states_error::StatesError;
use crate::worker::action;
use crate::worker::action::Action;
use crate::worker::action::Plan;
use crate::worker::action::Work;
use crate::worker::action::alive::alive;
use crate::worker::action::checkpoint::Checkpoints;
use crate::worker::action::checkpoint::Saved;
use crate::worker::action::facts::ErrorName;
use crate::worker::action::facts::Facts;
use crate::worker::action::facts::Kind;
use crate::worker::action::facts::Member;
use crate::worker::action::facts::Parameter;
use crate::worker::output::Keep;
use crate::worker::process;
use crate::worker::process::Spec;
use crate::worker::spawn::wire::AtLoss;

const FAILED: &str = "Reboot.Failed";
const INVALID_PARAMETERS: &str = "Reboot.InvalidParameters";
/// The execution would end with this process.
const NOT_DURABLE: &str = "Reboot.NotDurable";
const TIMED_OUT: &str = "Reboot.TimedOut";

/// The machine goes down within this, unless somebody holds it up.
const TIMEOUT_SECONDS: f64 = 600.0;
/// Pause between two looks whether the machine is another boot's already.
const PAUSE: Duration = Duration::from_millis(200);

static FACTS: Facts = Facts {
    name: "reboot",
    summary: "Reboots this machine, and goes on when it is up again.",
    details: "Needs `stepfn serve` with a store, started again at boot: `stepfn run` refuses, since its execution would \
              end. Which boot asked is on the disk before the reboot is asked for; when the server issues the task again \
              in another boot, the task has succeeded. So it never reboots twice. Whatever else runs on the machine is \
              ended; tasks that ran beside it are issued again. The `TimeoutSeconds` of the state must leave time for the \
              whole boot.",
    parameters: &[
        Parameter::optional(
            "OnlyIfRequired",
            Kind::Boolean,
            "Reboot only if a package asked for it: Debian's `/run/reboot-required` is there. `false` when it is not said.",
        ),
        Parameter::optional(
            "TimeoutSeconds",
            Kind::Integer(1, 86_400),
            "How long the machine may take to go down; 600 when it is not said.",
        ),
    ],
    one_of: &[],
    result: &[
        Member {
            name: "BootBefore",
            doc: "The boot that asked: its id and when its first process started. Null if nothing was asked for.",
        },
        Member {
            name: "Boot",
            doc: "The boot that is now.",
        },
    ],
    errors: &[
        ErrorName::lasting(FAILED, "The command that reboots failed, or the boot cannot be told."),
        ErrorName::lasting(INVALID_PARAMETERS, "The parameters are not as above."),
        ErrorName::lasting(NOT_DURABLE, "The execution would not go on after the boot."),
        ErrorName::passing(TIMED_OUT, "The machine did not go down in `TimeoutSeconds`."),
    ],
    undo: Some("Nothing: a reboot cannot be undone. The checkpoint only tells which boot asked for it."),
    example: r#"{ "OnlyIfRequired": true }"#,
};

/// The action.
pub struct Reboot;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameters {
    #[serde(default)]
    only_if_required: bool,
    timeout_seconds: Option<f64>,
}

/// Tells one boot from all others.
///
/// The kernel's own id is that of the host in a container, where the first process is another after each start.
fn boot(proc: &Path) -> Result<String, StatesError> {
    let read = || {
        let id = std::fs::read_to_string(proc.join("sys/kernel/random/boot_id"))?;
        let stat = std::fs::read_to_string(proc.join("1/stat"))?;
        // After the name in parentheses, which may hold anything: the start time is the field 22 of all.
        let start = stat
            .rsplit_once(')')
            .and_then(|(_, rest)| rest.split_whitespace().nth(19));
        let start = start.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
        Ok::<_, io::Error>(format!("{}/{start}", id.trim()))
    };
    read().map_err(|error| StatesError::new(FAILED, format!("The boot cannot be told: {error}.")))
}

/// The boot that asked, when this task has done so before.
fn asked<'a>(work: &'a Work<'_>) -> Option<&'a str> {
    work.before.as_ref()?["Boot"].as_str()
}

fn result(before: Option<&str>, now: &str) -> Value {
    json!({ "BootBefore": before, "Boot": now })
}

#[async_trait]
impl Action for Reboot {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    fn locks(&self, _parameters: &Value) -> Vec<String> {
        vec!["reboot".to_owned()]
    }

    async fn plan(&self, parameters: &Value, work: &mut Work<'_>) -> Result<Plan, StatesError> {
        let parameters: Parameters = action::read(parameters)?;
        let is_durable = work.site.checkpoints.as_ref().is_some_and(Checkpoints::is_durable);
        if !is_durable && work.site.planned.is_none() {
            return Err(StatesError::new(
                NOT_DURABLE,
                "The execution would end with the reboot: start it on a server with a store (`stepfn serve`).",
            ));
        }
        let now = boot(&work.site.host.proc)?;
        let asked = asked(work);
        let is_required = !parameters.only_if_required || work.site.host.reboot_required.exists();
        let is_left = match asked {
            Some(asked) => asked == now,
            None => is_required,
        };
        Ok(Plan {
            changes: is_left.then(|| "reboot this machine".to_owned()).into_iter().collect(),
            result: result(asked, &now),
        })
    }

    async fn save(&self, _parameters: &Value, _directory: &Path, work: &mut Work<'_>) -> Result<Value, StatesError> {
        Ok(json!({ "Boot": boot(&work.site.host.proc)? }))
    }

    async fn apply(&self, parameters: &Value, work: &mut Work<'_>) -> Result<Value, StatesError> {
        let parameters: Parameters = action::read(parameters)?;
        let host = &work.site.host;
        let asked = asked(work).map(str::to_owned);
        let now = boot(&host.proc)?;
        // Without it on the disk, the next boot would ask again.
        if asked.as_deref() != Some(&now) {
            return Err(StatesError::new(
                FAILED,
                "The checkpoint does not tell which boot asks.",
            ));
        }
        let spec = Spec {
            argv: host.reboot_command.clone(),
            stdin: Vec::new(),
            env: BTreeMap::new(),
            cwd: None,
            stdout: Keep::All(work.output_bytes_max),
            stderr_bytes_max: process::STDERR_BYTES_MAX,
            log_stderr: true,
            at_loss: AtLoss::End,
            credentials: Vec::new(),
        };
        let done = work.run(&spec, FAILED).await?;
        if !done.status.success() {
            let stderr = String::from_utf8_lossy(&done.stderr);
            let sentence = format!(
                "`{}` {}: {}",
                spec.argv.join(" "),
                process::describe(done.status),
                stderr.trim_end()
            );
            return Err(StatesError::new(FAILED, process::shorten(&sentence)));
        }
        let seconds = parameters.timeout_seconds.unwrap_or(TIMEOUT_SECONDS);
        let gone = tokio::time::timeout(Duration::from_secs_f64(seconds), async {
            loop {
                let is = boot(&host.proc)?;
                if is != now {
                    return Ok(result(Some(&now), &is));
                }
                tokio::time::sleep(PAUSE).await;
            }
        });
        let gone = async {
            gone.await.unwrap_or_else(|_| {
                let sentence = format!("The machine did not go down in {seconds} seconds.");
                Err(StatesError::new(TIMED_OUT, sentence))
            })
        };
        alive(work, gone).await
    }

    async fn undo(&self, _saved: &Saved, _work: &mut Work<'_>) -> Result<Value, StatesError> {
        Ok(Value::Null)
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::worker::action::ActionSite;
    use crate::worker::action::host::Host;
    use crate::worker::action::lock::Locks;
    use crate::worker::action::testing::Bench;
    use crate::worker::action::testing::Scratch;

    /// A machine whose command to reboot only counts, or does what a script says.
    struct Machine {
        scratch: Scratch,
        bench: Bench,
    }

    impl Machine {
        fn new(script: &str) -> Self {
            Self::with(script, |path| ActionSite {
                checkpoints: Some(Checkpoints::durable(path)),
                ..ActionSite::default()
            })
        }

        fn with(script: &str, site: impl FnOnce(PathBuf) -> ActionSite) -> Self {
            let scratch = Scratch::new();
            let at = |name: &str| scratch.path().join(name);
            std::fs::create_dir_all(at("proc/sys/kernel/random")).unwrap();
            std::fs::create_dir_all(at("proc/1")).unwrap();
            let script = format!("cd {}; echo x >> reboots; {script}", scratch.path().display());
            let bench = Bench::with(ActionSite {
                host: Host {
                    proc: at("proc"),
                    reboot_command: ["/bin/sh", "-c", &script].map(str::to_owned).to_vec(),
                    reboot_required: at("reboot-required"),
                    ..Host::default()
                },
                locks: Locks::in_directory(at("locks")),
                ..site(at("checkpoints"))
            });
            let machine = Self { scratch, bench };
            machine.boots("first", 7);
            machine
        }

        fn boots(&self, id: &str, start: u64) {
            let proc = self.scratch.path().join("proc");
            let fields = (4..22).map(|n| n.to_string()).collect::<Vec<_>>().join(" ");
            std::fs::write(proc.join("sys/kernel/random/boot_id"), format!("{id}\n")).unwrap();
            std::fs::write(proc.join("1/stat"), format!("1 (a) b) S {fields} {start} 23\n")).unwrap();
        }

        fn n_reboots(&self) -> usize {
            let reboots = std::fs::read_to_string(self.scratch.path().join("reboots"));
            reboots.map_or(0, |reboots| reboots.lines().count())
        }

        async fn run(&mut self, parameters: Value) -> Result<Value, StatesError> {
            self.bench.run("reboot", &parameters).await
        }
    }

    #[tokio::test]
    async fn it_goes_on_after_the_boot_and_reboots_once() {
        for (id, start) in [("second", 7), ("first", 8)] {
            let mut machine = Machine::new("");
            // The machine goes down: nobody hears of this any more.
            machine.run(json!({ "TimeoutSeconds": 1 })).await.unwrap_err();
            assert_eq!(machine.n_reboots(), 1);
            machine.boots(id, start);
            let again = machine
                .bench
                .run_again("reboot", &json!({ "TimeoutSeconds": 1 }))
                .await
                .unwrap();
            assert_eq!(
                (&again["BootBefore"], &again["Boot"], &again["Changed"]),
                (&json!("first/7"), &json!(format!("{id}/{start}")), &json!(true))
            );
            machine.boots("third", 9);
            machine
                .bench
                .run_again("reboot", &json!({ "TimeoutSeconds": 1 }))
                .await
                .unwrap();
            assert_eq!(machine.n_reboots(), 1);
            machine
                .bench
                .undo_again(again["Checkpoint"].as_str().unwrap())
                .await
                .unwrap();
        }
    }

    #[tokio::test]
    async fn a_server_that_alone_was_restarted_asks_once_more() {
        let mut machine = Machine::new("");
        machine.run(json!({ "TimeoutSeconds": 1 })).await.unwrap_err();
        let again = machine
            .bench
            .run_again("reboot", &json!({ "TimeoutSeconds": 1 }))
            .await
            .unwrap_err();
        assert_eq!(again.name.as_deref(), Some(TIMED_OUT));
        assert_eq!(machine.n_reboots(), 2);
    }

    #[tokio::test]
    async fn a_command_that_fails_is_told() {
        let mut machine = Machine::new("echo held up >&2; exit 3");
        let error = machine.run(json!({})).await.unwrap_err();
        assert_eq!(error.name.as_deref(), Some(FAILED));
        let cause = error.cause.unwrap();
        assert!(cause.contains("exit code 3") && cause.contains("held up"), "{cause}");
    }

    #[tokio::test]
    async fn it_reboots_only_if_required() {
        let mut machine = Machine::new("printf second > proc/sys/kernel/random/boot_id");
        let done = machine.run(json!({ "OnlyIfRequired": true })).await.unwrap();
        assert_eq!((&done["Changed"], machine.n_reboots()), (&json!(false), 0));
        std::fs::write(machine.scratch.path().join("reboot-required"), "").unwrap();
        let done = machine.run(json!({ "OnlyIfRequired": true })).await.unwrap();
        assert_eq!((&done["Changed"], machine.n_reboots()), (&json!(true), 1));
        assert_eq!(done["Boot"], json!("second/7"));
        // After the boot the file is gone, and the task still knows.
        std::fs::remove_file(machine.scratch.path().join("reboot-required")).unwrap();
        machine
            .bench
            .run_again("reboot", &json!({ "OnlyIfRequired": true }))
            .await
            .unwrap();
        assert_eq!(machine.n_reboots(), 1);
    }

    #[tokio::test]
    async fn an_execution_that_would_end_is_not_rebooted_under() {
        for is_kept in [true, false] {
            let mut machine = Machine::with("", |path| ActionSite {
                checkpoints: is_kept.then(|| Checkpoints::of_this_process(path)),
                ..ActionSite::default()
            });
            let error = machine.run(json!({})).await.unwrap_err();
            assert_eq!(error.name.as_deref(), Some(NOT_DURABLE));
            assert_eq!(machine.n_reboots(), 0);
        }
    }

    #[tokio::test]
    async fn a_plan_reboots_nothing() {
        let mut machine = Machine::with("", |_| ActionSite::planning());
        machine.run(json!({})).await.unwrap();
        assert_eq!(machine.bench.actions().plans()[0].changes, ["reboot this machine"]);
        assert_eq!(machine.n_reboots(), 0);
    }

    #[test]
    fn this_boot_can_be_told() {
        let now = boot(Path::new("/proc")).unwrap();
        assert_eq!(now, boot(Path::new("/proc")).unwrap());
        assert!(boot(Path::new("/absent")).is_err());
    }
}
