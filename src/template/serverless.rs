//! `serverless.yml` of the Serverless Framework with its plugin `serverless-step-functions`.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::asl::node::Node;
use crate::template::cloudformation;
use crate::template::compose::Dialect;
use crate::template::compose::variable_at;
use crate::template::find::Finder;
use crate::template::find::Severity;
use crate::template::find::format_of;
use crate::template::find::read;
use crate::template::machine::Form;
use crate::template::machine::Machine;
use crate::template::origin::Origin;
use crate::template::substitutions::Substitutions;

/// Files that name one another, at most.
const FILES_MAX: usize = 8;

/// A node and the file that it stands in.
struct Sourced {
    origin: Arc<Origin>,
    node: Node,
}

/// Collects the state machines of a service.
pub(super) fn collect(root: &Node, finder: &mut Finder<'_>) -> bool {
    let own = finder.origin.clone();
    let resources = root.get("resources");
    let groups = resources
        .map(Node::elements)
        .unwrap_or_default()
        .iter()
        .chain(resources);
    let mut is_known = false;
    for group in groups {
        if let Some(resources) = group.get("Resources") {
            is_known = root.get("service").is_some();
            cloudformation::collect_resources(resources, false, Dialect::Serverless, finder);
        }
    }
    let Some(block) = root.get("stepFunctions") else {
        return is_known;
    };
    let Some(block) = follow(finder, &own, block) else {
        return true;
    };
    let Some(machines) = block.node.get("stateMachines") else {
        return true;
    };
    let groups = match machines.elements() {
        [] => std::slice::from_ref(machines),
        groups => groups,
    };
    for group in groups {
        let Some(group) = follow(finder, &block.origin, group) else {
            continue;
        };
        for member in group.node.members() {
            if let Some(machine) = follow(finder, &group.origin, &member.value) {
                collect_machine(&member.key, &machine, finder);
            }
        }
    }
    true
}

fn collect_machine(name: &str, sourced: &Sourced, finder: &mut Finder<'_>) {
    let Some(definition) = sourced.node.get("definition") else {
        let message = format!("The state machine '{name}' has no definition");
        return finder.say_in(
            &sourced.origin,
            Severity::Error,
            "MISSING_DEFINITION",
            sourced.node.span,
            message,
        );
    };
    let Some(definition) = follow(finder, &sourced.origin, definition) else {
        return;
    };
    let machine = Machine {
        name: name.to_owned(),
        express: sourced.node.get("type").and_then(Node::text) == Some("EXPRESS"),
        dialect: Dialect::Serverless,
        substitutions: Substitutions::unknown(),
        known: &BTreeSet::new(),
    };
    finder.machine(&machine, &definition.origin, Form::Value, &definition.node);
}

/// Reads what `${file(…)}` stands for; any other value is itself.
fn follow(finder: &mut Finder<'_>, origin: &Arc<Origin>, node: &Node) -> Option<Sourced> {
    let mut found = Sourced {
        origin: origin.clone(),
        node: node.clone(),
    };
    for _ in 0..FILES_MAX {
        let Some(reference) = found.node.text().and_then(file_reference) else {
            return Some(found);
        };
        let unchecked = |finder: &mut Finder<'_>, why: &str| {
            let message = format!("`{}` {why}: what it holds is not checked", reference.path);
            finder.say_in(
                &found.origin,
                Severity::Warning,
                "UNCHECKED_DEFINITION",
                found.node.span,
                message,
            );
        };
        let path = reference.path.as_str();
        if path.contains("${") {
            unchecked(finder, "is a path that is known at deployment only");
            return None;
        }
        if ![".json", ".yaml", ".yml"].iter().any(|ending| path.ends_with(ending)) {
            unchecked(finder, "is neither JSON nor YAML");
            return None;
        }
        let file = match finder.read_once(path) {
            Ok(file) => file,
            Err(reason) => {
                let message = format!("The file '{path}' can not be read: {reason}");
                finder.say_in(
                    &found.origin,
                    Severity::Error,
                    "UNREADABLE_DEFINITION",
                    found.node.span,
                    message,
                );
                return None;
            }
        };
        finder.budget.spend(file.text.len());
        let mut node = match read(&file.text, format_of(&file.path, &file.text)) {
            Ok(node) => node,
            Err(mut finding) => {
                finding.location = None;
                let span = finding.span.unwrap_or_default();
                finder.say_in(&file, Severity::Error, finding.code, span, finding.message);
                return None;
            }
        };
        for key in &reference.keys {
            let Some(inner) = node.get(key).cloned() else {
                let message = format!("The file '{path}' has no '{}'", reference.keys.join("."));
                finder.say_in(
                    &found.origin,
                    Severity::Error,
                    "UNREADABLE_DEFINITION",
                    found.node.span,
                    message,
                );
                return None;
            };
            node = inner;
        }
        found = Sourced { origin: file, node };
    }
    let message = format!("More than {FILES_MAX} files name one another here");
    finder.say_in(
        &found.origin,
        Severity::Error,
        "UNREADABLE_DEFINITION",
        found.node.span,
        message,
    );
    None
}

struct FileReference {
    path: String,
    keys: Vec<String>,
}

/// Reads `${file(path)}` and `${file(path):key.key}`.
fn file_reference(text: &str) -> Option<FileReference> {
    if variable_at(text, 0)? != text.len() {
        return None;
    }
    let inner = text.strip_prefix("${file(")?.strip_suffix('}')?;
    let (path, rest) = inner.rsplit_once(')')?;
    let keys = rest
        .strip_prefix(':')
        .map(|keys| keys.split('.').map(|key| key.trim().to_owned()));
    Some(FileReference {
        path: path.trim().to_owned(),
        keys: keys.into_iter().flatten().collect(),
    })
}
