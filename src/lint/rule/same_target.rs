//! Branches and iterations that write the same thing.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::asl::definition::MapMode;
use crate::asl::definition::NumberField;
use crate::asl::definition::StateKind;
use crate::asl::node::Node;
use crate::lint::finding::Confidence;
use crate::lint::finding::Severity;
use crate::lint::integration;
use crate::lint::integration::Call;
use crate::lint::rule::Example;
use crate::lint::rule::Reporter;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;
use crate::lint::target::Targets;
use crate::lint::walk;
use crate::model::id::BlockId;
use crate::model::id::StateId;

pub(super) const PARALLEL: Rule = Rule {
    id: "parallel/same-target",
    severity: Severity::Warning,
    confidence: Confidence::Heuristic,
    summary: "Two branches of a Parallel write the same thing",
    explanation: "Branches run at the same time, in no certain order. When two of them write the same item, object or \
        file, what stays depends on chance; when both start an execution under one name, one of them fails. Let one \
        branch write it, or write it after the Parallel.",
    examples: &[
        Example {
            bad: r#"{"StartAt":"P","States":{"P":{"Type":"Parallel","Branches":[{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::dynamodb:putItem","Parameters":{"TableName":"t","Item":{"id":{"S.$":"$.id"},"done":{"S":"a"}}},"End":true}}},{"StartAt":"B","States":{"B":{"Type":"Task","Resource":"arn:aws:states:::dynamodb:updateItem","Parameters":{"TableName":"t","Key":{"id":{"S.$":"$.id"}},"UpdateExpression":"SET done = :d","ExpressionAttributeValues":{":d":{"S":"b"}}},"End":true}}}],"End":true}}}"#,
            good: r#"{"StartAt":"P","States":{"P":{"Type":"Parallel","Branches":[{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::dynamodb:updateItem","Parameters":{"TableName":"t","Key":{"id":{"S.$":"$.a"}},"UpdateExpression":"SET done = :d","ExpressionAttributeValues":{":d":{"S":"b"}}},"End":true}}},{"StartAt":"B","States":{"B":{"Type":"Task","Resource":"arn:aws:states:::dynamodb:updateItem","Parameters":{"TableName":"t","Key":{"id":{"S.$":"$.b"}},"UpdateExpression":"SET done = :d","ExpressionAttributeValues":{":d":{"S":"b"}}},"End":true}}}],"End":true}}}"#,
            location: "/States/P/Branches[1]/States/B",
        },
        Example {
            bad: r#"{"StartAt":"P","QueryLanguage":"JSONata","States":{"P":{"Type":"Parallel","Branches":[{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:us-east-1:123456789012:activity:debian-file-write","Arguments":{"Path":"/etc/motd","Content":"a"},"TimeoutSeconds":9,"End":true}}},{"StartAt":"B","States":{"B":{"Type":"Task","Resource":"arn:aws:states:::debian:file.template","Arguments":{"Path":"/etc/motd","Template":"b"},"End":true}}}],"End":true}}}"#,
            good: r#"{"StartAt":"P","QueryLanguage":"JSONata","States":{"P":{"Type":"Parallel","Branches":[{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::debian:file.line","Arguments":{"Path":"/etc/motd","Line":"a"},"End":true}}},{"StartAt":"B","States":{"B":{"Type":"Task","Resource":"arn:aws:states:::debian:file.line","Arguments":{"Path":"/etc/motd","Line":"b"},"End":true}}}],"End":true}}}"#,
            location: "/States/P/Branches[1]/States/B",
        },
    ],
    check: parallel,
};

pub(super) const MAP: Rule = Rule {
    id: "map/same-target",
    severity: Severity::Warning,
    confidence: Confidence::Heuristic,
    summary: "All iterations of a Map write the same thing",
    explanation: "The key, path or name that the Task writes to does not depend on the item, so each iteration \
        overwrites what the others wrote and one result stays, by chance. Build the key from the item or its index.",
    examples: &[Example {
        bad: r#"{"StartAt":"M","States":{"M":{"Type":"Map","ItemProcessor":{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::aws-sdk:s3:putObject","Parameters":{"Bucket":"b","Key":"report.json","Body.$":"$"},"End":true}}},"End":true}}}"#,
        good: r#"{"StartAt":"M","States":{"M":{"Type":"Map","ItemProcessor":{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::aws-sdk:s3:putObject","Parameters":{"Bucket":"b","Key.$":"States.Format('{}.json', $.id)","Body.$":"$"},"End":true}}},"End":true}}}"#,
        location: "/States/M/ItemProcessor/States/A",
    }],
    check: map,
};

pub(super) const READS: Rule = Rule {
    id: "parallel/reads-other-branch",
    severity: Severity::Warning,
    confidence: Confidence::Heuristic,
    summary: "A branch of a Parallel reads what another branch writes",
    explanation: "Branches run at the same time, in no certain order: the reader gets what was there before or after, by \
        chance. Read it after the Parallel, or in the branch that writes it.",
    examples: &[Example {
        bad: r#"{"StartAt":"P","States":{"P":{"Type":"Parallel","Branches":[{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::aws-sdk:s3:putObject","Parameters":{"Bucket":"b","Key.$":"$.k","Body.$":"$"},"End":true}}},{"StartAt":"B","States":{"B":{"Type":"Task","Resource":"arn:aws:states:::aws-sdk:s3:getObject","Parameters":{"Bucket":"b","Key.$":"$.k"},"End":true}}}],"End":true}}}"#,
        good: r#"{"StartAt":"P","States":{"P":{"Type":"Parallel","Branches":[{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::aws-sdk:s3:putObject","Parameters":{"Bucket":"b","Key.$":"$.k","Body.$":"$"},"ResultPath":null,"Next":"B"},"B":{"Type":"Task","Resource":"arn:aws:states:::aws-sdk:s3:getObject","Parameters":{"Bucket":"b","Key.$":"$.k"},"End":true}}},{"StartAt":"C","States":{"C":{"Type":"Pass","End":true}}}],"End":true}}}"#,
        location: "/States/P/Branches[1]/States/B",
    }],
    check: reads,
};

const APT_EXPLANATION: &str = "apt and dpkg let one at a time change a system. The actions wait for one another, each \
    LockTimeoutSeconds at most (60 by default), and fail with Apt.LockTimeout after that. Install all packages with one \
    action, which is faster too, or let one action follow the other.";

pub(super) const PARALLEL_APT: Rule = Rule {
    id: "parallel/apt-lock",
    severity: Severity::Warning,
    confidence: Confidence::Heuristic,
    summary: "Several branches of a Parallel need apt's lock",
    explanation: APT_EXPLANATION,
    examples: &[Example {
        bad: r#"{"StartAt":"P","States":{"P":{"Type":"Parallel","Branches":[{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::debian:apt.install","Parameters":{"Packages":["a"]},"End":true}}},{"StartAt":"B","States":{"B":{"Type":"Task","Resource":"arn:aws:states:::debian:apt.remove","Parameters":{"Packages":["b"]},"End":true}}}],"End":true}}}"#,
        good: r#"{"StartAt":"P","States":{"P":{"Type":"Parallel","Branches":[{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::debian:apt.install","Parameters":{"Packages":["a","c"]},"End":true}}},{"StartAt":"B","States":{"B":{"Type":"Task","Resource":"arn:aws:states:::debian:apt.install","Parameters":{"Packages":["b"],"Root":"/srv/other"},"End":true}}}],"End":true}}}"#,
        location: "/States/P/Branches[1]/States/B",
    }],
    check: parallel_apt,
};

pub(super) const MAP_APT: Rule = Rule {
    id: "map/apt-lock",
    severity: Severity::Warning,
    confidence: Confidence::Heuristic,
    summary: "Iterations of a Map need apt's lock at the same time",
    explanation: APT_EXPLANATION,
    examples: &[Example {
        bad: r#"{"StartAt":"M","States":{"M":{"Type":"Map","ItemProcessor":{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::debian:apt.install","Parameters":{"Packages.$":"States.Array($)"},"End":true}}},"End":true}}}"#,
        good: r#"{"StartAt":"M","States":{"M":{"Type":"Map","MaxConcurrency":1,"ItemProcessor":{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::debian:apt.install","Parameters":{"Packages.$":"States.Array($)"},"End":true}}},"End":true}}}"#,
        location: "/States/M/ItemProcessor/States/A",
    }],
    check: map_apt,
};

fn parallel(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    let targets = Targets::new(subject);
    let mut first = Writers::new();
    for (id, state, written) in subject.states() {
        let Some(target) = targets.of(state, written) else {
            continue;
        };
        let earlier = meet(subject, id, &target.name, target.is_constant, &mut first);
        if let Some(earlier) = earlier {
            let earlier = &subject.definition.state(earlier).name;
            let message = format!(
                "`{earlier}` of another branch probably writes {} at the same time: {}",
                target.name, target.clash
            );
            reporter
                .report(written.node, written.location.clone(), message)
                .hint("let one branch write it, or write it after the Parallel");
        }
    }
}

fn reads(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    let targets = Targets::new(subject);
    let mut first = Writers::new();
    for (id, state, written) in subject.states() {
        if let Some(target) = targets.of(state, written) {
            meet(subject, id, &target.name, target.is_constant, &mut first);
        }
    }
    if first.is_empty() {
        return;
    }
    // A reader that waits, waits for the writer: branches have no other way to tell each other something.
    let states = subject.definition.states.iter();
    let waits = states.filter(|state| matches!(state.kind, StateKind::Wait(_)));
    let waiting: BTreeSet<usize> = waits.map(|state| state.block.index()).collect();
    for (id, state, written) in subject.states() {
        if waiting.contains(&state.block.index()) {
            continue;
        }
        let Some((name, is_constant)) = targets.read_by(state, written) else {
            continue;
        };
        let Some(writer) = find(subject, id, &name, is_constant, &first) else {
            continue;
        };
        let writer = &subject.definition.state(writer).name;
        let message =
            format!("`{writer}` of another branch probably writes {name} at the same time: it is read before or after");
        reporter
            .report(written.node, written.location.clone(), message)
            .hint("read it after the Parallel, or in the branch that writes it");
    }
}

fn parallel_apt(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    let mut first = Writers::new();
    for (id, state, written) in subject.states() {
        let Some(system) = apt(&state.kind, written.node) else {
            continue;
        };
        if let Some(earlier) = meet(subject, id, &system, true, &mut first) {
            let earlier = &subject.definition.state(earlier).name;
            let message = format!(
                "It waits for apt's lock while `{earlier}` of another branch works, and if that takes longer than \
                 LockTimeoutSeconds it fails with Apt.LockTimeout"
            );
            reporter
                .report(written.node, written.location.clone(), message)
                .hint("do it with one action, or let one action follow the other");
        }
    }
}

/// For each Parallel and target, the first branch that has it, and the state there.
type Writers = BTreeMap<(StateId, String), (BlockId, StateId)>;

/// Notes that a state has a target, in every Parallel around it; returns the first state that has it in another
/// branch.
fn meet(subject: &Subject<'_>, id: StateId, target: &str, is_constant: bool, first: &mut Writers) -> Option<StateId> {
    let earlier = find(subject, id, target, is_constant, first);
    for (parallel, branch) in branches_around(subject, id, is_constant) {
        first.entry((parallel, target.to_owned())).or_insert((branch, id));
    }
    earlier
}

/// Returns a state that has the target in another branch of a Parallel around a state.
fn find(subject: &Subject<'_>, id: StateId, target: &str, is_constant: bool, first: &Writers) -> Option<StateId> {
    let mut branches = branches_around(subject, id, is_constant);
    branches.find_map(|(parallel, branch)| {
        let (other_branch, other) = first.get(&(parallel, target.to_owned()))?;
        (*other_branch != branch).then_some(*other)
    })
}

/// Returns the Parallels around a state, each with the branch that the state is in. What is no constant is something
/// else in each iteration, so the search ends at a Map.
fn branches_around(subject: &Subject<'_>, id: StateId, is_constant: bool) -> impl Iterator<Item = (StateId, BlockId)> {
    let definition = subject.definition;
    let mut block = definition.state(id).block;
    let around = std::iter::from_fn(move || {
        let parent = definition.block(block).parent?;
        let branch = std::mem::replace(&mut block, definition.state(parent).block);
        Some((parent, branch))
    });
    let is_parallel = move |id: StateId| matches!(definition.state(id).kind, StateKind::Parallel(_));
    let around = around.take_while(move |(parent, _)| is_constant || is_parallel(*parent));
    around.filter(move |(parent, _)| is_parallel(*parent))
}

fn map(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    let targets = Targets::new(subject);
    for (id, state, written) in subject.states() {
        let Some(map) = map_around(subject, id) else { continue };
        let Some(target) = targets.of(state, written).filter(|target| target.is_constant) else {
            continue;
        };
        let StateKind::Map(kind) = &subject.definition.state(map).kind else {
            continue;
        };
        // Child executions have names of their own.
        let is_own_execution = kind.mode != MapMode::Inline && target.name.contains("Execution.");
        if is_own_execution || deletes(&state.kind) {
            continue;
        }
        let message = format!(
            "Every iteration of `{}` probably writes {}, which does not depend on the item: {}",
            subject.definition.state(map).name,
            target.name,
            target.clash
        );
        reporter
            .report(written.node, written.location.clone(), message)
            .hint("build the key from the item or its index");
    }
}

/// To remove something twice does no harm.
fn deletes(kind: &StateKind) -> bool {
    let StateKind::Task(task) = kind else { return false };
    let call = Call::of(task);
    call.is_some_and(|call| call.action.starts_with("delete"))
        || integration::debian_action(task).is_some_and(|action| action == "file-remove")
}

fn map_apt(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    for (id, state, written) in subject.states() {
        if apt(&state.kind, written.node).is_none() {
            continue;
        }
        let Some(map) = map_around(subject, id) else { continue };
        let StateKind::Map(kind) = &subject.definition.state(map).kind else {
            continue;
        };
        if let Some(NumberField::Literal(most)) = kind.max_concurrency
            && most == 1.0
        {
            continue;
        }
        let message = format!(
            "The iterations of `{}` wait for apt's lock one after another, and if that takes longer than \
             LockTimeoutSeconds they fail with Apt.LockTimeout",
            subject.definition.state(map).name
        );
        reporter
            .report(written.node, written.location.clone(), message)
            .hint("hand all packages to one action, or set `MaxConcurrency` to 1");
    }
}

/// Returns the system whose apt a Task uses.
fn apt(kind: &StateKind, node: &Node) -> Option<String> {
    let StateKind::Task(task) = kind else { return None };
    let action = integration::debian_action(task)?;
    let arguments = node.get("Parameters").or_else(|| node.get("Arguments"));
    let root = arguments.and_then(|arguments| walk::member(arguments, "Root"));
    let root = root.map_or_else(String::new, |root| root.value.to_value().to_string());
    action.starts_with("apt-").then_some(root)
}

/// Returns the innermost Map around a state.
fn map_around(subject: &Subject<'_>, id: StateId) -> Option<StateId> {
    let definition = subject.definition;
    let mut parent = definition.block(definition.state(id).block).parent;
    while let Some(id) = parent {
        let state = definition.state(id);
        if matches!(state.kind, StateKind::Map(_)) {
            return Some(id);
        }
        parent = definition.block(state.block).parent;
    }
    None
}
