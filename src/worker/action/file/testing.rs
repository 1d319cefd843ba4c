//! For tests: actions on files of a directory that goes away.

use std::path::PathBuf;

use serde_json::Value;
use serde_json::json;

use crate::model::states_error::StatesError;
use crate::worker::action::testing::Bench;
use crate::worker::action::testing::Scratch;

pub(super) struct Files {
    scratch: Scratch,
    pub(super) bench: Bench,
}

impl Files {
    pub(super) fn new() -> Self {
        let scratch = Scratch::new();
        std::fs::create_dir(scratch.path().join("files")).unwrap();
        Self {
            bench: Bench::new(&scratch),
            scratch,
        }
    }

    pub(super) fn planning() -> Self {
        Self {
            bench: Bench::planning(),
            ..Self::new()
        }
    }

    pub(super) fn at(&self, name: &str) -> PathBuf {
        self.scratch.path().join("files").join(name)
    }

    pub(super) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.at(name)).unwrap()
    }

    pub(super) async fn run(&mut self, action: &str, parameters: &Value) -> Result<Value, StatesError> {
        self.bench.run(action, parameters).await
    }

    /// Undoes what a result says was done, then calls the action's own `undo` once more.
    pub(super) async fn undo_twice(&mut self, result: &Value) -> Value {
        let id = &result["Checkpoint"];
        let undone = self.run("undo", &json!({ "Checkpoint": id })).await.unwrap();
        self.bench.undo_again(id.as_str().unwrap()).await.unwrap();
        undone["Undone"][0]["Result"].clone()
    }

    /// Nothing that is not ready is left.
    pub(super) fn assert_clean(&self) {
        for entry in std::fs::read_dir(self.at("")).unwrap() {
            let name = entry.unwrap().file_name();
            assert!(!name.to_string_lossy().starts_with(".stepfn"), "{name:?}");
        }
    }
}
