//! A loop whose exit depends on nothing that changes in it.

use crate::asl::definition::Comparison;
use crate::asl::definition::Condition;
use crate::asl::definition::Operand;
use crate::asl::definition::PathField;
use crate::asl::definition::QueryLanguage;
use crate::asl::definition::ResultPath;
use crate::asl::definition::State;
use crate::asl::definition::StateKind;
use crate::lint::finding::Confidence;
use crate::lint::finding::Severity;
use crate::lint::flow::describe;
use crate::lint::graph::Loop;
use crate::lint::graph::Way;
use crate::lint::rule::Example;
use crate::lint::rule::Reporter;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;
use crate::model::id::StateId;
use crate::query::jsonpath::path::Field;
use crate::query::jsonpath::path::Path;
use crate::query::jsonpath::path::Root;

pub(super) const RULE: Rule = Rule {
    id: "loop/no-progress",
    severity: Severity::Warning,
    confidence: Confidence::Path,
    summary: "Nothing in a loop changes what its Choice asks for",
    explanation: "The Choice that could leave the loop reads only data that no state in the loop writes. When the loop is not left \
        the first time, it is never left, until the history is full. Often a ResultPath puts the new value elsewhere \
        than where the Choice looks.",
    examples: &[Example {
        bad: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f","ResultPath":"$.job","Next":"C"},"C":{"Type":"Choice","Choices":[{"Variable":"$.status","StringEquals":"DONE","Next":"S"}],"Default":"W"},"W":{"Type":"Wait","Seconds":5,"Next":"A"},"S":{"Type":"Succeed"}}}"#,
        good: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f","ResultPath":"$.job","Next":"C"},"C":{"Type":"Choice","Choices":[{"Variable":"$.job.status","StringEquals":"DONE","Next":"S"}],"Default":"W"},"W":{"Type":"Wait","Seconds":5,"Next":"A"},"S":{"Type":"Succeed"}}}"#,
        location: "/States/C",
    }],
    check,
};

fn check(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    if subject.has_open_target() {
        return;
    }
    for found in subject.graph().loops() {
        let Some(paths) = exit_paths(subject, found) else {
            continue;
        };
        let Some((_, choice)) = paths.first() else { continue };
        let choice = *choice;
        let states: Vec<&State> = found.states.iter().map(|id| subject.definition.state(*id)).collect();
        if states
            .iter()
            .any(|state| paths.iter().any(|(path, _)| writes(state, path)))
        {
            continue;
        }
        let written = subject.written(choice);
        let message = format!(
            "No state of the loop changes what {} asks for, so the loop is left the first time or never",
            describe::name(subject, choice)
        );
        reporter
            .report(written.node, written.location.clone(), message)
            .hint("let the Choice look where the loop writes its result");
    }
}

/// Returns the paths of the input that decide whether the loop is left, each with its Choice; nothing when something
/// else decides, too.
fn exit_paths<'a>(subject: &Subject<'a>, found: &Loop) -> Option<Vec<(&'a Path, StateId)>> {
    let mut paths = Vec::new();
    for id in &found.states {
        let state = subject.definition.state(*id);
        if subject.graph().ends(state.block).contains(id) || state.language != QueryLanguage::JsonPath {
            return None;
        }
        let mut leaves = false;
        for step in subject.graph().successors(*id) {
            if subject.graph().share_loop(*id, step.to) {
                continue;
            }
            match step.way {
                Way::Catch(_) | Way::Next => return None,
                Way::Default | Way::Rule(_) => leaves = true,
            }
        }
        if let (true, StateKind::Choice(choice), PathField::Whole) = (leaves, &state.kind, &state.input_path) {
            for rule in &choice.rules {
                let mut own = Vec::new();
                collect(&rule.condition, &mut own)?;
                paths.extend(own.into_iter().map(|path| (path, *id)));
            }
        } else if leaves {
            return None;
        }
    }
    Some(paths)
}

/// Collects the paths of the input that a condition reads; nothing when it reads something else, too.
fn collect<'c>(condition: &'c Condition, paths: &mut Vec<&'c Path>) -> Option<()> {
    match condition {
        Condition::And(all) | Condition::Or(all) => all.iter().try_for_each(|condition| collect(condition, paths)),
        Condition::Not(inner) => collect(inner, paths),
        Condition::Literal(_) | Condition::Expression(_) => None,
        Condition::Compare { variable, comparison } => {
            let operand = match comparison {
                Comparison::String(_, Operand::Path(path))
                | Comparison::Numeric(_, Operand::Path(path))
                | Comparison::Timestamp(_, Operand::Path(path))
                | Comparison::BooleanEquals(Operand::Path(path)) => Some(path),
                _ => None,
            };
            for path in [Some(variable), operand].into_iter().flatten() {
                let is_plain = *path.root() == Root::Input && path.is_reference() && !path.is_root();
                paths.push(is_plain.then_some(path)?);
            }
            Some(())
        }
    }
}

/// Tells whether a state may change what is at a path.
fn writes(state: &State, path: &Path) -> bool {
    if !matches!(state.input_path, PathField::Whole) || !matches!(state.output_path, PathField::Whole) {
        return true;
    }
    let placed = match &state.kind {
        StateKind::Choice(_) | StateKind::Fail(_) | StateKind::Succeed | StateKind::Wait(_) => false,
        StateKind::Pass(None) if state.parameters.is_none() && matches!(state.result_path, ResultPath::Replace) => {
            false
        }
        _ => touches(&state.result_path, path),
    };
    placed || state.catchers.iter().any(|catcher| touches(&catcher.result_path, path))
}

/// Tells whether a `ResultPath` puts something at a path, above it or below it.
fn touches(result_path: &ResultPath, path: &Path) -> bool {
    match result_path {
        ResultPath::Replace => true,
        ResultPath::Discard => false,
        ResultPath::At(place) => place.fields().zip(path.fields()).all(|(a, b)| match (a, b) {
            (Field::Name(a), Field::Name(b)) => a == b,
            _ => true,
        }),
    }
}
