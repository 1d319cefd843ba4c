//! Brings a state to the one form that all ways to write it share: defaults left out, old names replaced.

use serde_json::Map;
use serde_json::Value;

/// Fields whose numbers are numbers: `1.0` is `1`. In data they are not: a state's output shows the difference.
const NUMBERS: &[&str] = &[
    "BackoffRate",
    "HeartbeatSeconds",
    "IntervalSeconds",
    "MaxAttempts",
    "MaxConcurrency",
    "MaxDelaySeconds",
    "Seconds",
    "TimeoutSeconds",
    "ToleratedFailureCount",
    "ToleratedFailurePercentage",
];

/// What a member is when it is not written, in a state that uses JSONPath.
const PATHS: &[&str] = &["InputPath", "OutputPath", "ResultPath"];

/// A state in its common form.
#[derive(Clone, Debug)]
pub(super) struct State {
    /// Its own fields, without those of the blocks inside.
    pub(super) fields: Map<String, Value>,
    /// The blocks inside, with their field: `Branches[0]`, `ItemProcessor`.
    pub(super) blocks: Vec<(String, Value)>,
}

impl State {
    /// Returns the type.
    pub(super) fn kind(&self) -> String {
        let kind = self.fields.get("Type").and_then(Value::as_str);
        kind.unwrap_or_default().to_owned()
    }
}

/// Brings a state to its common form. `language` is what the state uses unless it says otherwise.
pub(super) fn state(written: &Value, language: &str, comments: bool) -> State {
    let mut fields = written.as_object().cloned().unwrap_or_default();
    let is =
        |fields: &Map<String, Value>, name: &str, value: &str| fields.get(name).and_then(Value::as_str) == Some(value);
    let is_map = is(&fields, "Type", "Map");
    if is_map {
        for (old, new) in [("Iterator", "ItemProcessor"), ("Parameters", "ItemSelector")] {
            if let Some(value) = fields.shift_remove(old) {
                fields.insert(new.to_owned(), value);
            }
        }
    }
    let language = fields
        .get("QueryLanguage")
        .and_then(Value::as_str)
        .unwrap_or(language)
        .to_owned();
    let mut blocks = Vec::new();
    if let Some(Value::Array(branches)) = fields.shift_remove("Branches") {
        for (index, branch) in branches.into_iter().enumerate() {
            blocks.push((format!("Branches[{index}]"), branch));
        }
    }
    blocks.extend(
        fields
            .shift_remove("ItemProcessor")
            .map(|block| ("ItemProcessor".to_owned(), block)),
    );
    if !comments {
        fields.shift_remove("Comment");
    }
    if language != "JSONata" {
        for path in PATHS {
            if is(&fields, path, "$") {
                fields.shift_remove(*path);
            }
        }
    }
    fields.insert("QueryLanguage".to_owned(), language.as_str().into());
    if fields.get("End") == Some(&Value::Bool(false)) {
        fields.shift_remove("End");
    }
    if is(&fields, "Type", "Pass") && fields.get("Result") == Some(&Value::Null) {
        fields.shift_remove("Result");
    }
    numbers(&mut fields);
    drop_default(&mut fields, "MaxConcurrency", &0.into());
    for list in ["Catch", "Choices", "Retry"] {
        for entry in fields.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            entry_of(entry, list, comments, &language);
        }
        drop_default(&mut fields, list, &Value::Array(Vec::new()));
    }
    State { fields, blocks }
}

/// Brings an entry of `Catch`, `Choices` or `Retry` to its common form.
fn entry_of(entry: &mut Value, list: &str, comments: bool, language: &str) {
    let Some(fields) = entry.as_object_mut() else { return };
    if !comments {
        fields.shift_remove("Comment");
    }
    // Any of the names is enough, so their order means nothing.
    if let Some(names) = fields.get_mut("ErrorEquals").and_then(Value::as_array_mut) {
        names.sort_by_key(Value::to_string);
        names.dedup();
    }
    numbers(fields);
    match list {
        "Retry" => {
            for (name, value) in [
                ("BackoffRate", Value::from(2)),
                ("IntervalSeconds", 1.into()),
                ("JitterStrategy", "NONE".into()),
                ("MaxAttempts", 3.into()),
            ] {
                drop_default(fields, name, &value);
            }
        }
        "Catch" if language != "JSONata" => drop_default(fields, "ResultPath", &"$".into()),
        _ => {}
    }
}

/// Brings the fields of a machine or a block to their common form, without the states.
pub(super) fn block(written: &Value, comments: bool) -> Map<String, Value> {
    let mut fields = written.as_object().cloned().unwrap_or_default();
    fields.shift_remove("States");
    // What the language means for each state is compared there.
    fields.shift_remove("QueryLanguage");
    fields.shift_remove("StartAt");
    drop_default(&mut fields, "Version", &"1.0".into());
    if !comments {
        fields.shift_remove("Comment");
    }
    if let Some(mode) = fields.get_mut("ProcessorConfig").and_then(Value::as_object_mut) {
        drop_default(mode, "Mode", &"INLINE".into());
    }
    drop_default(&mut fields, "ProcessorConfig", &Value::Object(Map::new()));
    numbers(&mut fields);
    fields
}

fn drop_default(fields: &mut Map<String, Value>, name: &str, default: &Value) {
    if fields.get(name) == Some(default) {
        fields.shift_remove(name);
    }
}

fn numbers(fields: &mut Map<String, Value>) {
    for name in NUMBERS {
        if let Some(number) = fields.get(*name).and_then(Value::as_f64)
            && number.fract() == 0.0
            && number.abs() < 9e15
        {
            fields.insert((*name).to_owned(), (number as i64).into());
        }
    }
}
