//! For tests: the accounts of a machine that is a directory, changed by the real tools.

use std::path::Path;

use serde_json::Value;
use serde_json::json;

use crate::model::states_error::StatesError;
use crate::worker::action::ActionSite;
use crate::worker::action::checkpoint::Checkpoints;
use crate::worker::action::host::Host;
use crate::worker::action::lock::Locks;
use crate::worker::action::testing::Bench;
use crate::worker::action::testing::Scratch;

const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\nolga:x:1000:1000:Olga:/home/olga:/bin/bash\n";
const GROUP: &str = "root:x:0:\nops:x:40:\nstaff:x:50:\nusers:x:100:olga\nolga:x:1000:\n";

pub(super) struct Machine {
    scratch: Scratch,
    pub(super) bench: Bench,
}

impl Machine {
    /// Makes a machine; `None`, with a word about it, where the tools cannot work on one.
    pub(super) fn new() -> Option<Self> {
        Self::with(ActionSite::default())
    }

    pub(super) fn planning() -> Option<Self> {
        Self::with(ActionSite::planning())
    }

    fn with(site: ActionSite) -> Option<Self> {
        if !rustix::process::geteuid().is_root() || !Path::new("/usr/sbin/useradd").exists() {
            eprintln!("not tested: changing accounts needs the superuser and the package passwd");
            return None;
        }
        let scratch = Scratch::new();
        let root = scratch.path().join("machine");
        std::fs::create_dir_all(root.join("etc")).unwrap();
        for (name, text) in [("passwd", PASSWD), ("group", GROUP), ("shadow", ""), ("gshadow", "")] {
            std::fs::write(root.join("etc").join(name), text).unwrap();
        }
        let bench = Bench::with(ActionSite {
            checkpoints: Some(Checkpoints::durable(scratch.path().join("checkpoints"))),
            locks: Locks::in_directory(scratch.path().join("locks")),
            host: Host {
                accounts_root: root,
                ..Host::default()
            },
            ..site
        });
        Some(Self { scratch, bench })
    }

    /// The accounts, sorted.
    pub(super) fn files(&self) -> String {
        let mut text = String::new();
        for name in ["passwd", "group"] {
            let file = std::fs::read_to_string(self.scratch.path().join("machine/etc").join(name)).unwrap();
            let mut lines: Vec<&str> = file.lines().collect();
            lines.sort_unstable();
            text += &lines.join("\n");
            text += "\n\n";
        }
        text
    }

    pub(super) fn plans(&self) -> Vec<Vec<String>> {
        self.bench
            .actions()
            .plans()
            .into_iter()
            .map(|plan| plan.changes)
            .collect()
    }

    pub(super) async fn run(&mut self, action: &str, parameters: &Value) -> Result<Value, StatesError> {
        self.bench.run(action, parameters).await
    }

    pub(super) async fn undo_twice(&mut self, result: &Value) {
        let id = &result["Checkpoint"];
        self.run("undo", &json!({ "Checkpoint": id })).await.unwrap();
        self.bench.undo_again(id.as_str().unwrap()).await.unwrap();
    }
}
