//! A scratch system with a directory to run the built program in.

use std::path::Path;

use serde_json::Value;
use serde_json::json;

use crate::debian_system::Deb;
use crate::debian_system::ScratchSystem;
use crate::scratch::Scratch;
use crate::scratch::stderr;
use crate::scratch::stdout;

pub struct Room {
    pub scratch: Scratch,
    pub system: ScratchSystem,
}

impl Room {
    /// Makes a system with a repository, or says why that cannot be done here.
    pub fn new(test: &str, debs: &[Deb<'_>]) -> Option<Self> {
        let scratch = Scratch::new(&format!("debian-{test}"));
        let system = match ScratchSystem::new(scratch.0.join("system")) {
            Ok(system) => system,
            Err(why) => {
                eprintln!("apt cannot be tried here; it needs the superuser, apt and dpkg: {why}");
                return None;
            }
        };
        system.publish(debs);
        Some(Self { scratch, system })
    }

    pub fn state(&self, action: &str, parameters: &Value) -> Value {
        let mut parameters = parameters.clone();
        parameters["Root"] = json!(self.system.root);
        json!({ "Type": "Task", "Resource": format!("arn:aws:states:::debian:{action}"), "Parameters": parameters })
    }

    /// Does one task. Returns its result, or the error's name and cause.
    pub fn task(&self, action: &str, parameters: &Value) -> Result<Value, (String, String)> {
        let mut state = self.state(action, parameters);
        state["End"] = json!(true);
        state["Catch"] = json!([{ "ErrorEquals": ["States.ALL"], "Next": "Failed" }]);
        self.scratch
            .machine(json!({ "T": state, "Failed": { "Type": "Succeed" } }));
        let output = stdout(&self.scratch.run(&["run", "m.asl.json", "--checkpoints", "cp"]));
        match output["Error"].as_str() {
            Some(name) => Err((name.to_owned(), output["Cause"].as_str().unwrap_or_default().to_owned())),
            None => Ok(output),
        }
    }

    pub fn must(&self, action: &str, parameters: &Value) -> Value {
        self.task(action, parameters)
            .unwrap_or_else(|error| panic!("{action} {parameters}: {error:?}"))
    }

    pub fn fails(&self, action: &str, parameters: &Value, name: &str) -> String {
        let error = self.task(action, parameters);
        let (found, cause) = error.expect_err(&format!("{action} {parameters} must fail"));
        assert_eq!(found, name, "{action} {parameters}: {cause}");
        assert!(!cause.is_empty(), "{action} {parameters}");
        cause
    }

    pub fn undo(&self, result: &Value) {
        let id = result["Checkpoint"].as_str().unwrap();
        let output = self.scratch.run(&["undo", "--checkpoints", "cp", id]);
        assert!(output.status.success(), "{}", stderr(&output));
    }

    /// Undoes the last change: that of a task that failed has told nobody its checkpoint.
    pub fn undo_last(&self) {
        let output = self.scratch.run(&["undo", "--checkpoints", "cp"]);
        let list = String::from_utf8(output.stdout).unwrap();
        let id = list.split_whitespace().rfind(|word| word.starts_with("cp-")).unwrap();
        self.undo(&json!({ "Checkpoint": id }));
    }
}

pub fn deb<'a>(name: &'a str, version: &'a str) -> Deb<'a> {
    Deb {
        name,
        version,
        ..Deb::default()
    }
}

pub fn with_postinst<'a>(name: &'a str, postinst: &'a [(&'a str, &'a str)]) -> Deb<'a> {
    Deb {
        scripts: postinst,
        ..deb(name, "1")
    }
}

pub fn wait_for(path: &Path) {
    until(&path.display().to_string(), || path.exists());
}

/// Waits until something has happened in another process.
pub fn until(what: &str, mut happened: impl FnMut() -> bool) {
    for _ in 0..3000 {
        if happened() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("{what}: that does not come");
}
