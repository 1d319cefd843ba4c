//! What a Task writes to.

use std::collections::BTreeMap;

use crate::asl::definition::State;
use crate::asl::definition::StateKind;
use crate::asl::node::Node;
use crate::lint::integration;
use crate::lint::integration::Call;
use crate::lint::subject::Subject;
use crate::lint::subject::Written;
use crate::lint::walk;

/// Members of an `UpdateExpression` that do not depend on the order of updates.
const COMMUTING: &[&str] = &["ADD ", "add ", "+", " - ", "list_append"];

/// A thing that a Task writes as a whole: a second writer overwrites the first.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// In words: "the item {…} of the table `t`". Equal for equal targets.
    pub(crate) name: String,
    /// The same each time: neither the data nor a loop changes it.
    pub(crate) is_constant: bool,
    /// What happens to the second writer, `{}` being "it".
    pub(crate) clash: &'static str,
}

/// Finds the targets of a definition's Tasks.
#[derive(Debug)]
pub(crate) struct Targets<'a> {
    /// What the definition was read from.
    text: &'a str,
    /// The names of the key's attributes, for the tables of which some call tells.
    keys: BTreeMap<String, Vec<String>>,
}

impl<'a> Targets<'a> {
    /// Looks at all calls for the keys of tables.
    pub(crate) fn new(subject: &Subject<'a>) -> Self {
        let mut keys = BTreeMap::new();
        let mut targets = Self {
            text: subject.text,
            keys: BTreeMap::new(),
        };
        for (_, state, written) in subject.states() {
            let StateKind::Task(task) = &state.kind else { continue };
            let Some(call) = Call::of(task).filter(|call| call.service == "dynamodb") else {
                continue;
            };
            let Some(arguments) = walk::arguments(written) else {
                continue;
            };
            let (table, key) = (targets.part(arguments, "TableName"), walk::member(arguments, "Key"));
            if let (Some(table), Some(key), false) = (table, key, call.action == "putItem") {
                let names = key.value.members().iter().map(|member| member.key.clone());
                keys.insert(table.text, names.collect());
            }
        }
        targets.keys = keys;
        targets
    }

    /// Returns the name of what a state reads, as far as its definition tells; equal to that of the one who writes it.
    pub(crate) fn read_by(&self, state: &State, written: &Written<'_>) -> Option<(String, bool)> {
        let StateKind::Task(task) = &state.kind else {
            return None;
        };
        let arguments = walk::arguments(written)?;
        let call = Call::of(task)?;
        let parts = match (call.service, call.action) {
            ("dynamodb", "getItem") => [self.part(arguments, "TableName")?, self.part(arguments, "Key")?],
            ("s3", "getObject" | "headObject") => [self.part(arguments, "Bucket")?, self.part(arguments, "Key")?],
            _ => return None,
        };
        let is_constant = parts.iter().all(|part| part.is_constant);
        let [outer, inner] = parts;
        Some((named(call.service, &outer.text, &inner.text), is_constant))
    }

    /// Returns what a state writes to, as far as its definition tells.
    pub(crate) fn of(&self, state: &State, written: &Written<'_>) -> Option<Target> {
        let StateKind::Task(task) = &state.kind else {
            return None;
        };
        let arguments = walk::arguments(written)?;
        if let Some(action) = integration::debian_action(task) {
            let writes = matches!(&*action, "file-copy" | "file-remove" | "file-template" | "file-write");
            let path = self.part(arguments, "Path").filter(|_| writes)?;
            return Some(Target {
                name: format!("the file {}", path.text),
                is_constant: path.is_constant,
                clash: "the last one wins",
            });
        }
        let call = Call::of(task)?;
        let (name, parts, clash) = match (call.service, call.action) {
            ("dynamodb", "putItem" | "updateItem" | "deleteItem") => {
                let update = walk::literal_member(arguments, "UpdateExpression").unwrap_or_default();
                let is_guarded = walk::member(arguments, "ConditionExpression").is_some();
                if is_guarded || COMMUTING.iter().any(|piece| update.contains(piece)) {
                    return None;
                }
                let table = self.part(arguments, "TableName")?;
                let key = match walk::member(arguments, "Item") {
                    Some(item) => self.key_of(&table.text, &item.value)?,
                    None => self.part(arguments, "Key")?,
                };
                (
                    named(call.service, &table.text, &key.text),
                    [table, key],
                    "the last one wins",
                )
            }
            ("s3", "putObject" | "copyObject" | "deleteObject") => {
                let (bucket, key) = (self.part(arguments, "Bucket")?, self.part(arguments, "Key")?);
                (
                    named(call.service, &bucket.text, &key.text),
                    [bucket, key],
                    "the last one wins",
                )
            }
            ("states" | "sfn", "startExecution") => {
                let (machine, name) = (self.part(arguments, "StateMachineArn")?, self.part(arguments, "Name")?);
                (
                    format!("the execution name {} of {}", name.text, machine.text),
                    [machine, name],
                    "the second one fails with ExecutionAlreadyExists, unless both have the same input",
                )
            }
            _ => return None,
        };
        Some(Target {
            name,
            is_constant: parts.iter().all(|part| part.is_constant),
            clash,
        })
    }

    /// Returns the key of an item that is put.
    fn key_of(&self, table: &str, item: &Node) -> Option<Part> {
        let Some(names) = self.keys.get(table) else {
            return self.whole("Item", item);
        };
        let mut whole = Part {
            text: String::new(),
            is_constant: true,
        };
        for name in names {
            let part = self.part(item, walk::bare(name))?;
            let separator = if whole.text.is_empty() { "" } else { "," };
            whole.text = format!("{}{separator}\"{name}\":{}", whole.text, part.text);
            whole.is_constant &= part.is_constant;
        }
        whole.text = format!("{{{}}}", whole.text);
        Some(whole)
    }

    fn part(&self, object: &Node, name: &str) -> Option<Part> {
        let member = walk::member(object, name)?;
        self.whole(&member.key, &member.value)
    }

    /// `None`: a placeholder hides it, and the text is not there to compare.
    fn whole(&self, key: &str, node: &Node) -> Option<Part> {
        let mut is_constant = !key.ends_with(".$") || is_of_execution(node.text().unwrap_or_default());
        let mut is_open = false;
        for value in walk::values(node) {
            let text = value.node.text().unwrap_or_default();
            let is_computed = value.key.ends_with(".$") || text.trim_start().starts_with("{%");
            is_constant &= !is_computed || is_of_execution(text);
            is_open |= value.node.is_open();
        }
        // Equal placeholders get equal values, whatever these are.
        let text = if is_open {
            let written = self.text.get(node.span.start as usize..node.span.end as usize)?;
            written.split_whitespace().collect()
        } else {
            node.to_value().to_string()
        };
        Some(Part { text, is_constant })
    }
}

fn named(service: &str, outer: &str, inner: &str) -> String {
    match service {
        "dynamodb" => format!("the item {inner} of the table {outer}"),
        _ => format!("the object {inner} of the bucket {outer}"),
    }
}

/// A piece of a target's name.
#[derive(Clone, Debug)]
struct Part {
    text: String,
    is_constant: bool,
}

/// Tells whether a path or expression reads only what stays the same in an execution.
fn is_of_execution(text: &str) -> bool {
    let inner = text.trim().trim_start_matches("{%").trim_end_matches("%}").trim();
    let path = inner
        .strip_prefix("$$.Execution.")
        .or_else(|| inner.strip_prefix("$states.context.Execution."));
    path.is_some_and(|path| path.chars().all(|c| c.is_ascii_alphanumeric() || c == '.'))
}
