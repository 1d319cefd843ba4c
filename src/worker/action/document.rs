//! The documentation of actions, made from their facts.

use std::fmt::Write;

use crate::worker::action::ACTIONS;
use crate::worker::action::check;
use crate::worker::action::facts::Facts;
use crate::worker::action::facts::Kind;
use crate::worker::action::facts::Parameter;
use crate::worker::action::facts::Secrets;

/// Returns one line per action: name and summary.
pub fn list() -> Vec<(&'static str, &'static str)> {
    ACTIONS
        .iter()
        .map(|action| (action.facts().name, action.facts().summary))
        .collect()
}

/// Returns the whole page on all actions, as Markdown.
pub fn page() -> String {
    let mut page = String::from(PAGE);
    for (name, summary) in list() {
        let _ = writeln!(page, "- [`{name}`](#{}): {summary}", anchor(name));
    }
    for action in ACTIONS {
        let _ = write!(page, "\n{}", section(action.facts()));
    }
    page
}

const PAGE: &str = "\
# Actions on a Debian machine

This page is printed by `stepfn actions --markdown`.

A Task state reaches an action by its name: `arn:aws:states:::debian:apt.install`, or, so that AWS accepts the same
definition, as the activity `arn:aws:states:<region>:<account>:activity:debian-apt-install` (dots become hyphens).
Its parameters are the state's effective `Parameters`, `Arguments` or input.

Every action finds out first what it would change, and does nothing when the machine is as asked already. Its result
is an object: the members below, `Changed` (did anything change?) and, where something changed that can be undone,
`Checkpoint`: an id for [`undo`](#undo), `stepfn undo` and `--rollback-on-failure`.

Any action can also fail with `Debian.ActionNotAllowed` (the configuration forbids it), `Debian.CheckpointFailed` (what
undoing needs cannot be kept: nothing was changed), `Debian.LockFailed`, `Debian.SecretUnavailable` ([docs](secrets.md)), `Debian.IdentityUnavailable` (it cannot run as
the account that the role demands), and `States.Timeout` or `States.HeartbeatTimeout`, as any task.

";

/// GitHub's anchor of a heading.
fn anchor(name: &str) -> String {
    name.replace('.', "")
}

/// Returns the section on one action, as Markdown that also reads well in a terminal.
pub fn section(facts: &Facts) -> String {
    let mut text = format!("## {}\n\n{}", facts.name, facts.summary);
    if !facts.details.is_empty() {
        let _ = write!(text, " {}", facts.details);
    }
    let _ = write!(text, "\n\n```json\n{}\n```\n", facts.example);
    let _ = write!(text, "\nParameters:\n\n");
    parameters(&mut text, facts.parameters, "");
    for group in facts.one_of {
        let names: Vec<String> = group.iter().map(|name| format!("`{name}`")).collect();
        let _ = writeln!(text, "- Exactly one of {} must be there.", names.join(", "));
    }
    if !facts.result.is_empty() {
        let _ = write!(text, "\nResult:\n\n");
        for member in facts.result {
            let _ = writeln!(text, "- `{}`: {}", member.name, member.doc);
        }
    }
    let _ = write!(text, "\nErrors:\n\n");
    for error in facts.errors {
        let again = if error.retriable { " Trying again may help." } else { "" };
        let _ = writeln!(text, "- `{}`: {}{again}", error.name, error.doc);
    }
    let undo = facts.undo.unwrap_or("It cannot be undone, and makes no checkpoint.");
    let _ = write!(text, "\nUndo: {undo}\n");
    text
}

fn parameters(text: &mut String, list: &[Parameter], indent: &str) {
    for parameter in list {
        let must = if parameter.required { ", required" } else { "" };
        let kind = match parameter.kind {
            Kind::Record(_) => "an object".to_owned(),
            kind => check::describe(kind),
        };
        let secrets = match parameter.secrets {
            Secrets::Never | Secrets::Files => "",
            Secrets::Texts | Secrets::Header => " May hold [secrets](secrets.md).",
        };
        let _ = writeln!(
            text,
            "{indent}- `{}` ({kind}{must}): {}{secrets}",
            parameter.name, parameter.doc
        );
        if let Kind::Record(members) = parameter.kind {
            parameters(text, members, &format!("{indent}  "));
        }
    }
    if list.is_empty() {
        let _ = writeln!(text, "{indent}- none");
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::Value;

    use super::*;
    use crate::asl::load::Options;
    use crate::asl::load::compile;

    #[test]
    fn the_page_in_docs_is_this_one() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/actions.md");
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            std::fs::write(&path, page()).unwrap();
        }
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            kept == page(),
            "docs/actions.md is not what `stepfn actions --markdown` prints; write it anew with UPDATE_EXPECT=1"
        );
    }

    #[test]
    fn every_example_is_a_state_that_passes() {
        for action in ACTIONS {
            let facts = action.facts();
            let example: Value =
                serde_json::from_str(facts.example).unwrap_or_else(|error| panic!("{}: {error}", facts.name));
            let definition = serde_json::json!({ "StartAt": "S", "States": { "S": { "Type": "Task", "End": true,
                "Resource": format!("arn:aws:states:::debian:{}", facts.name), "Parameters": example } } });
            let definition = compile(&definition.to_string(), &Options::default())
                .unwrap_or_else(|findings| panic!("{}: {findings:?}", facts.name));
            let template = definition.states[0].parameters.as_ref().expect("Parameters");
            assert_eq!(check::sketch(facts, &template.sketch()), Ok(()), "{}", facts.name);
        }
    }

    #[test]
    fn the_facts_are_in_order() {
        for action in ACTIONS {
            let facts = action.facts();
            let own = facts.invalid_parameters();
            assert!(
                facts.errors.iter().any(|error| error.name == own),
                "{} lacks {own}",
                facts.name
            );
            for group in facts.one_of {
                for name in *group {
                    assert!(
                        facts.parameters.iter().any(|it| it.name == *name),
                        "{}: {name}",
                        facts.name
                    );
                }
            }
            for text in [facts.summary]
                .into_iter()
                .chain(facts.parameters.iter().map(|it| it.doc))
            {
                assert!(text.ends_with('.'), "{}: {text:?} is no sentence", facts.name);
            }
        }
    }
}
