//! One case file.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Map;
use serde_json::Value;

/// A conformance case.
#[derive(Clone, Debug)]
pub struct Case {
    /// `family/id`.
    pub name: String,
    /// `execution`, `api`, `test_state`, `validation`.
    pub kind: String,
    /// What must be there beside Step Functions.
    pub requires: Vec<String>,
    /// Feature tags: `Map` and `Parallel` allow another order of siblings.
    pub tags: Vec<String>,
    /// The wildcards in the expected values.
    pub placeholders: BTreeMap<String, Placeholder>,
    /// The whole file.
    pub json: Map<String, Value>,
}

/// What a token in an expected value stands for.
#[derive(Clone, Debug, Default)]
pub struct Placeholder {
    /// Only if it is the whole value.
    pub whole: bool,
    /// A regular expression for what may stand there.
    pub pattern: Option<String>,
    /// The concrete text.
    pub value: Option<String>,
    /// The same token is the same text everywhere.
    pub bind: bool,
}

impl Case {
    /// Reads a case file. Returns `None` for JSON that is no case, for example an index.
    ///
    /// # Errors
    /// The file cannot be read or is not JSON.
    pub fn read(path: &Path) -> Result<Option<Self>, String> {
        let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let value = serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self::from_json(value))
    }

    /// Makes a case of a file's content, if it is one.
    pub fn from_json(value: Value) -> Option<Self> {
        let Value::Object(json) = value else {
            return None;
        };
        let text = |name: &str| json.get(name).and_then(Value::as_str).map(str::to_owned);
        let list = |name: &str| -> Vec<String> {
            let items = json.get(name).and_then(Value::as_array);
            let items = items.into_iter().flatten();
            items.filter_map(|item| item.as_str().map(str::to_owned)).collect()
        };
        let id = text("id")?;
        let kind = text("kind")?;
        let family = text("family").unwrap_or_default();
        let mut placeholders = BTreeMap::new();
        for (token, info) in json
            .get("placeholders")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            placeholders.insert(token.clone(), Placeholder::from_json(info));
        }
        Some(Self {
            name: format!("{family}/{id}"),
            kind,
            requires: list("requires"),
            tags: list("tags"),
            placeholders,
            json,
        })
    }

    /// Returns the mock of Step Functions Local that gives the recorded outcome.
    pub fn mock(&self) -> Option<&Value> {
        self.json.get("mock").filter(|mock| mock.is_object())
    }

    /// Tells whether it was recorded from AWS; otherwise it is one of ours.
    pub fn is_recorded(&self) -> bool {
        self.json.contains_key("source")
    }

    /// Returns a member that no case of ours has: a misspelt one would hold nothing.
    pub fn unknown_member(&self) -> Option<&str> {
        const CASE: [&str; 15] = [
            "id",
            "kernel_only",
            "family",
            "kind",
            "comment",
            "definition",
            "input",
            "input_raw",
            "type",
            "start",
            "requires",
            "tags",
            "placeholders",
            "tasks",
            "expect",
        ];
        const EXPECT: [&str; 6] = ["status", "output", "error", "cause", "events", "history"];
        if self.is_recorded() {
            return None;
        }
        let of_case = self.json.keys().find(|name| !CASE.contains(&name.as_str()));
        let expect = self.json.get("expect").and_then(Value::as_object);
        let expect = expect.and_then(|expect| expect.keys().find(|name| !EXPECT.contains(&name.as_str())));
        of_case.or(expect).map(String::as_str)
    }

    /// Tells whether siblings may interleave.
    pub fn is_concurrent(&self) -> bool {
        self.tags.iter().any(|tag| tag == "Map" || tag == "Parallel")
    }
}

impl Placeholder {
    fn from_json(info: &Value) -> Self {
        let text = |name: &str| info.get(name).and_then(Value::as_str).map(str::to_owned);
        Self {
            whole: info.get("where").and_then(Value::as_str) == Some("value"),
            pattern: text("pattern"),
            value: text("value"),
            bind: info.get("bind").and_then(Value::as_bool).unwrap_or(false),
        }
    }
}
